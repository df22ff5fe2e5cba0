"""A network of long short-term memory."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from anchorstream.models.recurrent import RecurrentNetwork


class LSTMNetwork(RecurrentNetwork):
    """Stacked LSTM layers and a linear head.

    The state is ``hidden`` and ``cell``, each (B, layers, units), zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: outputs of a frame, background first.
        units: width of every layer.
        layers: LSTM layers.
    """

    name: ClassVar[str] = "lstm"
    cell = nn.LSTM
    state_names: ClassVar[tuple[str, ...]] = ("hidden", "cell")
