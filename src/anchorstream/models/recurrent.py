"""What the gated recurrent networks share."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.streaming import State

# More than anyone stacks: a model's file may ask for any number.
_MOST_LAYERS = 64


class RecurrentNetwork(FrameNetwork):
    """Stacked recurrent layers and a linear head.

    Every state is (B, layers, units), zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: logits of a frame.
        units: width of every layer.
        layers: recurrent layers.

    Attributes:
        cell: the kind of layer; the layers are the submodule that has the network's name.
        state_names: what a layer remembers, in the order in which torch hands it out.
    """

    cell: ClassVar[type[nn.GRU] | type[nn.LSTM]]
    state_names: ClassVar[tuple[str, ...]]

    def __init__(self, bands: int, classes: int, *, units: int = 64, layers: int = 2) -> None:
        super().__init__(bands, classes)
        if units < 1 or not 1 <= layers <= _MOST_LAYERS:
            raise ValueError(
                f"{self.name} needs units >= 1 and layers from 1 to {_MOST_LAYERS}, got units={units}, layers={layers}"
            )
        self.units, self.layers = units, layers
        self.add_module(self.name, self.cell(bands, units, num_layers=layers, batch_first=True))
        self.head = detection_head(units, classes)

    @property
    def options(self) -> dict[str, Any]:
        """The options that build this network again, JSON-ready."""
        return {"units": self.units, "layers": self.layers}

    @property
    def receptive_field_frames(self) -> None:
        """All of the past."""
        return None

    def init_state(self, batch: int) -> State:
        """A zero vector for every layer."""
        like = self.head.weight
        return {name: like.new_zeros(batch, self.layers, self.units) for name in self.state_names}

    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        # torch has the layers first, and hands out several states as a tuple, one as itself.
        before = tuple(state[name].transpose(0, 1).contiguous() for name in self.state_names)
        layers = self.get_submodule(self.name)
        outputs, after = layers(self.normalise(x), before if len(before) > 1 else before[0])
        if len(before) == 1:
            after = (after,)
        logits: Tensor = self.head(outputs)
        return logits, {
            name: memory.transpose(0, 1) for name, memory in zip(self.state_names, after, strict=True)
        }
