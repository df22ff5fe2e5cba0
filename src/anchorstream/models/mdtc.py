"""The multi-scale dilated temporal convolutional network of the NPU team and of wekws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.separable import CausalDepthwise, Pointwise, to_frames, to_image
from anchorstream.models.streaming import State

# More than anyone stacks: a model's file may ask for any number.
_MOST_STACKS = 64


class MDTC(FrameNetwork):
    """MDTC: one block on the features, then stacks of dilated blocks; the outputs of all stacks are summed.

    Each stack sees further back than the one before; the sum hands the head all of these scales. The structure
    is that of ``mdtc`` in wekws (its small size is the default here), but for the biases of convolutions that a
    normalisation follows, which it would take away again.

    The state of a block is the end of its input, (B, 1, (kernel_size - 1) * dilation, C), zeros at the start of
    a stream. Block 0 is the one on the features.

    Args:
        bands: features of a frame.
        classes: logits of a frame.
        channels: width of every block.
        kernel_size: taps of every depthwise convolution.
        dilations: frames between two taps, one value for each block of a stack.
        stacks: number of stacks.

    Example:
        >>> MDTC(bands=40, classes=2).receptive_field_frames
        185
    """

    name: ClassVar[str] = "mdtc"

    def __init__(
        self,
        bands: int,
        classes: int,
        *,
        channels: int = 32,
        kernel_size: int = 5,
        dilations: Sequence[int] = (1, 2, 4, 8),
        stacks: int = 3,
    ) -> None:
        super().__init__(bands, classes)
        if (
            channels < 1
            or kernel_size < 2
            or not dilations
            or min(dilations) < 1
            or not 1 <= stacks <= _MOST_STACKS
        ):
            raise ValueError(
                "mdtc needs channels >= 1, kernel_size >= 2, dilations of at least 1 and stacks from 1 to "
                f"{_MOST_STACKS}, got "
                f"channels={channels}, kernel_size={kernel_size}, dilations={list(dilations)}, stacks={stacks}"
            )
        self.channels, self.kernel_size, self.dilations = channels, kernel_size, tuple(dilations)
        self.stacks = stacks
        self.blocks = nn.ModuleList(
            [
                _Block(bands, channels, kernel_size, 1),
                *(
                    _Block(channels, channels, kernel_size, dilation)
                    for _ in range(stacks)
                    for dilation in self.dilations
                ),
            ]
        )
        self.head = detection_head(channels, classes)

    @property
    def options(self) -> dict[str, Any]:
        """The options that build this network again, JSON-ready."""
        return {
            "channels": self.channels,
            "kernel_size": self.kernel_size,
            "dilations": list(self.dilations),
            "stacks": self.stacks,
        }

    @property
    def receptive_field_frames(self) -> int:
        """Frames that one output depends on, its own among them."""
        return 1 + (self.kernel_size - 1) * (1 + self.stacks * sum(self.dilations))

    def init_state(self, batch: int) -> State:
        """Zeros for every block."""
        like, before = self.head.weight, self.kernel_size - 1
        tails = [(self.bands, before), *[(self.channels, before * d) for d in self.dilations] * self.stacks]
        return {
            f"block{index}_tail": like.new_zeros(batch, 1, frames, channels)
            for index, (channels, frames) in enumerate(tails)
        }

    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        hidden = to_image(self.normalise(x))
        tails: State = {}
        ends_of_stacks = []
        for index, block in enumerate(self.blocks):
            name = f"block{index}_tail"
            hidden, tails[name] = block(hidden, state[name], whole)
            if index and index % len(self.dilations) == 0:
                ends_of_stacks.append(hidden)
        total = ends_of_stacks[0]
        for end in ends_of_stacks[1:]:
            total = total + end
        logits: Tensor = self.head(to_frames(total))
        return logits, tails


class _Block(nn.Module):
    """A depthwise and two pointwise convolutions, each normalised, and a residual where the widths agree."""

    def __init__(self, inputs: int, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = CausalDepthwise(inputs, kernel_size, dilation)
        self.depthwise_norm = nn.BatchNorm2d(inputs)
        self.pointwise = Pointwise(inputs, channels)
        self.pointwise_norm = nn.BatchNorm2d(channels)
        self.mix = Pointwise(channels, channels)
        self.mix_norm = nn.BatchNorm2d(channels)
        self.residual = inputs == channels

    def forward(self, x: Tensor, tail: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
        """Runs (B, inputs, 1, T) after ``tail`` and returns (B, channels, 1, T) and the tail after them."""
        hidden, tail = self.depthwise(x, tail, whole)
        hidden = F.relu(self.pointwise_norm(self.pointwise(self.depthwise_norm(hidden))))
        hidden = self.mix_norm(self.mix(hidden))
        return F.relu(hidden + x if self.residual else hidden), tail
