"""The networks at the sizes that the documentation and ``anchorstream models`` speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from anchorstream.models.network import FrameNetwork
from anchorstream.models.registry import build_model


@dataclass(frozen=True, slots=True)
class Preset:
    """A network and the options that give it its size.

    Attributes:
        name: how the documentation calls it.
        model: the network's name in the registry.
        purpose: what it is for, in a line.
        options: those that differ from the network's defaults.
    """

    name: str
    model: str
    purpose: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self, *, bands: int, classes: int) -> FrameNetwork:
        """Makes the network.

        Args:
            bands: features of a frame.
            classes: logits of a frame.
        """
        return build_model(self.model, bands=bands, classes=classes, **self.options)


#: Every network at its defaults, under its own name, and other sizes.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset("ds-tcn", "ds-tcn", "the default: one keyword or a few"),
            Preset(
                "ds-tcn-small",
                "ds-tcn",
                "one keyword, a block less over the same stretch of time",
                {"dilations": [1, 3, 9, 18]},
            ),
            Preset(
                "ds-tcn-large",
                "ds-tcn",
                "many keywords, where memory and power allow",
                {"channels": 192, "dilations": [1, 1, 2, 2, 4, 8, 16]},
            ),
            Preset("mdtc", "mdtc", "long keywords: it sees further back"),
            Preset("mixednet", "mixednet", "the cheapest devices: it decides once in three frames"),
            Preset("gru", "gru", "the least to remember, and no end to how far back it can"),
            Preset("gru-large", "gru", "the same for many keywords", {"units": 144}),
            Preset("lstm", "lstm", "in the place of a GRU where one is to be compared, or a device has it"),
            Preset("crnn", "crnn", "convolutions for the sounds, one small GRU for their order"),
        )
    }
)
