"""A gated recurrent network."""

from __future__ import annotations

from typing import ClassVar

from anchorstream.models.gru_layers import GRU
from anchorstream.models.recurrent import RecurrentNetwork


class GRUNetwork(RecurrentNetwork):
    """Stacked GRU layers and a linear head.

    The state is ``hidden``, (B, layers, units), zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: logits of a frame.
        units: width of every layer.
        layers: GRU layers.
    """

    name: ClassVar[str] = "gru"
    cell = GRU
    state_names: ClassVar[tuple[str, ...]] = ("hidden",)
