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

    Inside it works on (B, C, 1, T) in channels-last order, which is (B, T, C) in memory: no copy of the features,
    and on a CPU it trains more than twice as fast as on ``Conv1d``. The state of a block is the end of its
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
        self.expand = _pointwise(bands, channels)
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
            f"block{index}_tail": _zeros(like, batch, self.channels, (self.kernel_size - 1) * dilation)
            for index, dilation in enumerate(self.dilations)
        }

    def forward(self, x: Tensor) -> Tensor:
        """Runs (B, T, bands) from a fresh state and returns logits (B, T, classes)."""
        return self._run(x, self.init_state(x.shape[0]), whole=True)[0]

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs (B, T, bands) and returns logits (B, T, classes) and the state after it."""
        return self._run(x, state, whole=False)

    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        self.check_features(x)
        hidden = self.expand(self.normalise(x).transpose(1, 2).unsqueeze(2))
        hidden = F.relu(self.expand_norm(hidden))
        tails: State = {}
        for index, block in enumerate(self.blocks):
            name = f"block{index}_tail"
            hidden, tails[name] = block(hidden, state[name], whole)
        logits: Tensor = self.head(hidden.squeeze(2).transpose(1, 2))
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
        self.pointwise = _pointwise(channels, channels)
        self.norm = nn.BatchNorm2d(channels)
        self.dilation = dilation

    def forward(self, x: Tensor, tail: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
        """Runs (B, C, 1, T) after ``tail`` and returns as many frames, and the tail after them."""
        joined = torch.cat((tail, x), dim=3)
        convolved = self._down_columns(joined, x.shape[3]) if whole else self.depthwise(joined)
        x = x + F.relu(self.norm(self.pointwise(convolved)))
        return x, joined[..., joined.shape[3] - tail.shape[3] :]

    def _down_columns(self, joined: Tensor, frames: int) -> Tensor:
        """The depthwise convolution in the form in which whole sequences train fast.

        Frames that are a dilation apart are the columns of an image (T / dilation, dilation), a view in
        channels-last order, and the convolution runs down its columns without a dilation. Processor libraries
        have no fast gradient for a large dilation: for 8 and 16 this form takes 10 ms forward and backward
        and the dilated one 100 ms (64 x 64 channels x 800 frames, one thread). A step of one frame would
        have to fill up a whole row, so steps keep the dilated form.
        """
        batch, channels, _, length = joined.shape
        if missing := -length % self.dilation:
            # What fills up the last row is cut off again and reaches no other frame.
            joined = torch.cat((joined, _zeros(joined, batch, channels, missing)), dim=3)
        image = joined.reshape(batch, channels, -1, self.dilation)
        # The copy has the strides of a kernel in channels-last order; a view sends the gradient the slow way.
        kernel = self.depthwise.weight.reshape(channels, 1, -1, 1).clone(memory_format=torch.channels_last)
        return F.conv2d(image, kernel, groups=channels).reshape(batch, channels, 1, -1)[..., :frames]


def _pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1 x 1 convolution whose weights are in channels-last order, as its inputs are."""
    convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
    convolution.weight.data = convolution.weight.data.contiguous(memory_format=torch.channels_last)
    return convolution


def _zeros(like: Tensor, batch: int, channels: int, frames: int) -> Tensor:
    """(B, C, 1, T) in channels-last order: joined with frames in another order, the others lose theirs."""
    return like.new_zeros(batch, 1, frames, channels).permute(0, 3, 1, 2)
