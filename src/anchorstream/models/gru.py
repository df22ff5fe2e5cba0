"""A gated recurrent network."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.streaming import State


class GRUNetwork(FrameNetwork):
    """Stacked GRU layers and a linear head.

    The state is ``hidden``, (B, layers, units), zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: outputs of a frame, background first.
        units: width of every layer.
        layers: GRU layers.
    """

    name: ClassVar[str] = "gru"

    def __init__(self, bands: int, classes: int, *, units: int = 64, layers: int = 2) -> None:
        super().__init__(bands, classes)
        if units < 1 or layers < 1:
            raise ValueError(f"gru needs units >= 1 and layers >= 1, got units={units}, layers={layers}")
        self.units, self.layers = units, layers
        self.gru = nn.GRU(bands, units, num_layers=layers, batch_first=True)
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
        return {"hidden": self.head.weight.new_zeros(batch, self.layers, self.units)}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs (B, T, bands) and returns logits (B, T, classes) and the state after it."""
        self.check_features(x)
        outputs, hidden = self.gru(self.normalise(x), state["hidden"].transpose(0, 1).contiguous())
        logits: Tensor = self.head(outputs)
        return logits, {"hidden": hidden.transpose(0, 1)}
