"""Causal convolutions over time, depthwise and pointwise: what the convolutional networks are made of.

They work on (B, C, 1, T) in channels-last order, which is (B, T, C) in memory: no copy of the features, and on a CPU it
trains more than twice as fast as on ``Conv1d``. A convolution keeps the end of its input, its *tail*, for the next
chunk; at the start of a stream it is zeros. A tail is (B, 1, T, C), as it lies in memory: so it is in exported files,
where a copy of whole frames is one of whole blocks of memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.models.streaming import State

# Less rows of a batch than this send torch the slow way through a 1 x 1 convolution.
_FEW_ROWS = 16


class CausalDepthwise(nn.Module):
    """A depthwise convolution, one kernel for each channel, over the frames up to the current one.

    Args:
        channels: of input and output.
        kernel_size: taps, at least 2.
        dilation: frames between two taps.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__()
        self.weight = nn.Conv2d(channels, channels, (1, kernel_size), groups=channels, bias=False).weight
        self.channels, self.dilation = channels, dilation

    def forward(self, x: Tensor, tail: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
        """Runs (B, C, 1, T) after ``tail`` and returns as many frames, and the tail after them.

        Args:
            x: the frames.
            tail: (B, 1, (kernel_size - 1) * dilation, C), those before them.
            whole: whether ``x`` is a whole sequence, for which there is a form that trains faster.
        """
        joined, tail = after_tail(x, tail)
        return self.convolve(joined, x.shape[3], whole), tail

    def convolve(self, joined: Tensor, frames: int, whole: bool) -> Tensor:
        """The last ``frames`` outputs (B, C, 1, frames) over a tail and the frames after it (B, C, 1, T)."""
        if whole:
            return self._down_columns(joined, frames)
        return F.conv2d(joined, self.weight, dilation=(1, self.dilation), groups=self.channels)

    def _down_columns(self, joined: Tensor, frames: int) -> Tensor:
        """The convolution in the form in which whole sequences train fast.

        Frames that are a dilation apart are the columns of an image (T / dilation, dilation), a view in
        channels-last order, and the convolution runs down its columns without a dilation. Processor libraries
        have no fast gradient for a large dilation: for 8 and 16 this form takes 10 ms forward and backward
        and the dilated one 100 ms (64 x 64 channels x 800 frames, one thread). A step of one frame would
        have to fill up a whole row, so steps keep the dilated form.
        """
        batch, channels, _, length = joined.shape
        if missing := -length % self.dilation:
            # What fills up the last row is cut off again and reaches no other frame.
            joined = torch.cat(
                (joined, joined.new_zeros(batch, 1, missing, channels).permute(0, 3, 1, 2)), dim=3
            )
        image = joined.reshape(batch, channels, -1, self.dilation)
        # The copy has the strides of a kernel in channels-last order; a view sends the gradient the slow way.
        kernel = self.weight.reshape(channels, 1, -1, 1).clone(memory_format=torch.channels_last)
        return F.conv2d(image, kernel, groups=channels).reshape(batch, channels, 1, -1)[..., :frames]


class SeparableBlock(nn.Module):
    """``x + relu(norm(pointwise(depthwise(x))))``.

    There is no activation between the two convolutions: the pair is one separable convolution, and trains
    better and faster without (Chollet, Xception, 2017, section 4.7).
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = CausalDepthwise(channels, kernel_size, dilation)
        self.pointwise = Pointwise(channels, channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, tail: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
        """Runs (B, C, 1, T) after ``tail`` and returns as many frames, and the tail after them."""
        convolved, tail = self.depthwise(x, tail, whole)
        return x + F.relu(self.norm(self.pointwise(convolved))), tail


class SeparableBlocks(nn.ModuleList):
    """Separable blocks one after the other, and the tails that they keep.

    Args:
        channels: width of every block.
        kernel_size: taps of every depthwise convolution, at least 2.
        dilations: frames between two taps, one value for each block.
    """

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__(SeparableBlock(channels, kernel_size, dilation) for dilation in dilations)
        self._tails = [(channels, (kernel_size - 1) * dilation) for dilation in dilations]

    def init_state(self, batch: int, like: Tensor) -> State:
        """The tail of each block, zeros (B, 1, (kernel_size - 1) * dilation, C) of the type of ``like``."""
        return {
            f"block{index}_tail": like.new_zeros(batch, 1, frames, channels)
            for index, (channels, frames) in enumerate(self._tails)
        }

    def forward(self, x: Tensor, state: State, whole: bool) -> tuple[Tensor, State]:
        """Runs (B, C, 1, T) and returns as many frames and the tails after them; see ``CausalDepthwise``."""
        tails: State = {}
        for index, block in enumerate(self):
            name = f"block{index}_tail"
            x, tails[name] = block(x, state[name], whole)
        return x, tails


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution, without bias: a normalisation follows.

    torch has two ways to run it on one CPU thread, and takes the slow one for batches of less than 16. What is a row
    of the batch makes no difference to it, so a small batch is handed over as one of many short rows, a view: 64
    channels of 8 x 800 frames then take half the time, forward and backward.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Runs (B, inputs, 1, T) in channels-last order and returns (B, outputs, 1, T)."""
        if x.device.type != "cpu" or torch.compiler.is_compiling() or len(x) >= _FEW_ROWS:
            return super().forward(x)
        batch, frames = x.shape[0], x.shape[3]
        for rows in (2 * _FEW_ROWS, _FEW_ROWS):
            if batch * frames % rows == 0:
                convolved = super().forward(_with_rows(x, rows, batch * frames // rows))
                return _with_rows(convolved, batch, frames)
        return super().forward(x)


def _with_rows(image: Tensor, rows: int, frames: int) -> Tensor:
    """(B, C, 1, T) as (rows, C, 1, frames), all frames in the same order: a view in channels-last order."""
    return image.permute(0, 2, 3, 1).reshape(rows, 1, frames, -1).permute(0, 3, 1, 2)


def channels_last(convolution: nn.Conv2d) -> nn.Conv2d:
    """The convolution with its weights in channels-last order, as its inputs are."""
    convolution.weight.data = convolution.weight.data.contiguous(memory_format=torch.channels_last)
    return convolution


def to_image(features: Tensor) -> Tensor:
    """(B, T, C) as (B, C, 1, T), a view in channels-last order."""
    return features.unsqueeze(1).permute(0, 3, 1, 2)


def to_frames(image: Tensor) -> Tensor:
    """(B, C, 1, T) as (B, T, C)."""
    return image.permute(0, 2, 3, 1).squeeze(1)


def after_tail(x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (B, C, 1, T) with the tail (B, 1, t, C) before them, (B, C, 1, t + T), and the tail after them."""
    joined = torch.cat((tail, x.permute(0, 2, 3, 1)), dim=2)
    # Counted from the end, an exported graph needs no arithmetic on shapes.
    return joined.permute(0, 3, 1, 2), joined[:, :, -tail.shape[2] :]
