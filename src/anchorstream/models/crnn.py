"""A convolutional recurrent network: separable convolutions over time, then a GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.models.gru_layers import GRU
from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.separable import Pointwise, SeparableBlocks, to_frames, to_image
from anchorstream.models.streaming import State


class CRNN(FrameNetwork):
    """The blocks of the depthwise-separable TCN over a few tenths of a second, one GRU layer, a linear head.

    The state is the end of each block's input, (B, 1, (kernel_size - 1) * dilation, C), and ``hidden`` of the
    GRU, (B, 1, units), all zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: logits of a frame.
        channels: width of every convolutional block.
        kernel_size: taps of every depthwise convolution.
        dilations: frames between two taps, one value for each block.
        units: width of the GRU.
    """

    name: ClassVar[str] = "crnn"

    def __init__(
        self,
        bands: int,
        classes: int,
        *,
        channels: int = 48,
        kernel_size: int = 5,
        dilations: Sequence[int] = (1, 2, 4),
        units: int = 48,
    ) -> None:
        super().__init__(bands, classes)
        if channels < 1 or kernel_size < 2 or not dilations or min(dilations) < 1 or units < 1:
            raise ValueError(
                "crnn needs channels >= 1, kernel_size >= 2, dilations of at least 1 and units >= 1, got "
                f"channels={channels}, kernel_size={kernel_size}, dilations={list(dilations)}, units={units}"
            )
        self.channels, self.kernel_size, self.dilations = channels, kernel_size, tuple(dilations)
        self.units = units
        self.expand = Pointwise(bands, channels)
        self.expand_norm = nn.BatchNorm2d(channels)
        self.blocks = SeparableBlocks(channels, kernel_size, self.dilations)
        self.gru = GRU(channels, units)
        self.head = detection_head(units, classes)

    @property
    def options(self) -> dict[str, Any]:
        """The options that build this network again, JSON-ready."""
        return {
            "channels": self.channels,
            "kernel_size": self.kernel_size,
            "dilations": list(self.dilations),
            "units": self.units,
        }

    @property
    def receptive_field_frames(self) -> None:
        """All of the past."""
        return None

    def init_state(self, batch: int) -> State:
        """Zeros for every block and for the GRU."""
        like = self.head.weight
        return {**self.blocks.init_state(batch, like), "hidden": like.new_zeros(batch, 1, self.units)}

    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        image = F.relu(self.expand_norm(self.expand(to_image(self.normalise(x)))))
        image, tails = self.blocks(image, state, whole)
        outputs, hidden = self.gru(to_frames(image), state["hidden"].transpose(0, 1).contiguous())
        logits: Tensor = self.head(outputs)
        return logits, {**tails, "hidden": hidden.transpose(0, 1)}
