"""A causal temporal convolutional network of depthwise-separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.separable import Pointwise, SeparableBlocks, to_frames, to_image
from anchorstream.models.streaming import State


class DSTCN(FrameNetwork):
    """Depthwise-separable TCN: a 1 x 1 convolution, residual blocks of growing dilation, a linear head.

    The state of a block is the end of its input, (B, 1, (kernel_size - 1) * dilation, C), zeros at the start
    of a stream.

    Args:
        bands: features of a frame.
        classes: logits of a frame.
        channels: width of every block.
        kernel_size: taps of every depthwise convolution.
        dilations: frames between two taps, one value for each block.

    Example:
        >>> DSTCN(bands=40, classes=2).receptive_field_frames
        125
    """

    name: ClassVar[str] = "ds-tcn"

    def __init__(
        self,
        bands: int,
        classes: int,
        *,
        channels: int = 64,
        kernel_size: int = 5,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
    ) -> None:
        super().__init__(bands, classes)
        if channels < 1 or kernel_size < 2 or not dilations or min(dilations) < 1:
            raise ValueError(
                "ds-tcn needs channels >= 1, kernel_size >= 2 and dilations of at least 1, "
                f"got channels={channels}, kernel_size={kernel_size}, dilations={list(dilations)}"
            )
        self.channels, self.kernel_size, self.dilations = channels, kernel_size, tuple(dilations)
        self.expand = Pointwise(bands, channels)
        self.expand_norm = nn.BatchNorm2d(channels)
        self.blocks = SeparableBlocks(channels, kernel_size, self.dilations)
        self.head = detection_head(channels, classes)

    @property
    def options(self) -> dict[str, Any]:
        """The options that build this network again, JSON-ready."""
        return {"channels": self.channels, "kernel_size": self.kernel_size, "dilations": list(self.dilations)}

    @property
    def receptive_field_frames(self) -> int:
        """Frames that one output depends on, its own among them."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)

    def init_state(self, batch: int) -> State:
        """Zeros for every block."""
        return self.blocks.init_state(batch, self.head.weight)

    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        hidden = F.relu(self.expand_norm(self.expand(to_image(self.normalise(x)))))
        hidden, tails = self.blocks(hidden, state, whole)
        logits: Tensor = self.head(to_frames(hidden))
        return logits, tails
