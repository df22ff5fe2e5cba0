"""A causal temporal convolutional network of depthwise-separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.streaming import State


class DSTCN(FrameNetwork):
    """Depthwise-separable TCN: a 1 x 1 convolution, residual blocks of growing dilation, a linear head.

    Inside it works on (B, C, 1, T) in channels-last order, which is (B, T, C) in memory: no copy of the
    features, and on a CPU a block trains in about half the time of one on ``Conv1d`` (49 against 90 ms
    forward and backward, 64 x 64 channels x 800 frames, one thread). The state of a block is the end of its
    input, (B, C, 1, (kernel_size - 1) * dilation), zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: outputs of a frame, background first.
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
        self.expand = nn.Conv2d(bands, channels, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(channels)
        self.blocks = nn.ModuleList(_Block(channels, kernel_size, dilation) for dilation in self.dilations)
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
        like = self.head.weight
        return {
            # Channels last as well: joined with a tail in another order, the features would lose theirs.
            f"block{index}_tail": like.new_zeros(
                batch, (self.kernel_size - 1) * dilation, 1, self.channels
            ).transpose(1, 3)
            for index, dilation in enumerate(self.dilations)
        }

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs (B, T, bands) and returns logits (B, T, classes) and the state after it."""
        self.check_features(x)
        x = self.normalise(x).transpose(1, 2).unsqueeze(2)
        x = F.relu(self.expand_norm(self.expand(x)))
        tails: State = {}
        for index, block in enumerate(self.blocks):
            x, tails[f"block{index}_tail"] = block(x, state[f"block{index}_tail"])
        logits: Tensor = self.head(x.squeeze(2).transpose(1, 2))
        return logits, tails


class _Block(nn.Module):
    """``x + relu(norm(pointwise(depthwise(x))))``.

    There is no activation between the two convolutions: the pair is one separable convolution, and trains
    better and faster without (Chollet, Xception, 2017, section 4.7).
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, (1, kernel_size), dilation=(1, dilation), groups=channels, bias=False
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Runs (B, C, 1, T) after ``tail`` and returns as many frames, and the tail after them."""
        joined = torch.cat((tail, x), dim=3)
        x = x + F.relu(self.norm(self.pointwise(self.depthwise(joined))))
        return x, joined[..., joined.shape[3] - tail.shape[3] :]
