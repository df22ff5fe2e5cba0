"""A network of long short-term memory."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from anchorstream.models.recurrent import RecurrentNetwork

_FORGET_BIAS = 1.0


class LSTMNetwork(RecurrentNetwork):
    """Stacked LSTM layers and a linear head.

    The state is ``hidden`` and ``cell``, each (B, layers, units), zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: logits of a frame.
        units: width of every layer.
        layers: LSTM layers.
    """

    name: ClassVar[str] = "lstm"
    cell = nn.LSTM
    state_names: ClassVar[tuple[str, ...]] = ("hidden", "cell")

    def __init__(self, bands: int, classes: int, *, units: int = 64, layers: int = 2) -> None:
        super().__init__(bands, classes, units=units, layers=layers)
        # The forget gates start open, or the cells would halve what they hold at every frame and a gradient would not
        # reach back over a word (Jozefowicz et al., 2015).
        for name, bias in self.get_submodule(self.name).named_parameters():
            if name.startswith("bias_"):
                forget = bias.data[units : 2 * units]
                forget.fill_(_FORGET_BIAS if name.startswith("bias_ih") else 0.0)
