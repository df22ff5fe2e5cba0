"""A network of mixed depthwise convolutions that steps once in several frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.separable import (
    CausalDepthwise,
    Pointwise,
    after_tail,
    channels_last,
    to_frames,
    to_image,
)
from anchorstream.models.streaming import State


class MixedNet(FrameNetwork):
    """A convolution with a stride, then blocks whose depthwise convolutions have several kernel sizes.

    With the default stride it decides once in three frames of features, every 30 ms, and all behind its first
    convolution runs a third as often. Output ``t`` depends on the frames up to ``stride * (t + 1) - 1``.

    The state is the end of the normalised features, ``first_tail`` (B, 1, first_kernel_size - stride, bands),
    and for each block the end of its input, (B, 1, largest kernel size - 1, C), zeros at the start of a stream.

    Args:
        bands: features of a frame.
        classes: logits of a frame.
        stride: frames of features for one output.
        first_channels: width of the first convolution.
        first_kernel_size: taps of the first convolution, more than ``stride``.
        channels: width of every block.
        kernel_sizes: for each block the kernel sizes that share its channels, counted in outputs.

    Example:
        >>> network = MixedNet(bands=40, classes=2)
        >>> network(torch.zeros(1, 30, 40)).shape, network.receptive_field_frames
        (torch.Size([1, 10, 2]), 155)
    """

    name: ClassVar[str] = "mixednet"

    def __init__(
        self,
        bands: int,
        classes: int,
        *,
        stride: int = 3,
        first_channels: int = 32,
        first_kernel_size: int = 5,
        channels: int = 64,
        kernel_sizes: Sequence[Sequence[int]] = ((5,), (7, 11), (9, 15), (23,)),
    ) -> None:
        super().__init__(bands, classes)
        kernel_sizes = tuple(tuple(sizes) for sizes in kernel_sizes)
        if not 1 <= stride < first_kernel_size:
            raise ValueError(
                "mixednet needs stride >= 1 and first_kernel_size > stride, "
                f"got stride={stride}, first_kernel_size={first_kernel_size}"
            )
        if not kernel_sizes or not all(sizes and min(sizes) >= 2 for sizes in kernel_sizes):
            raise ValueError(
                "mixednet needs kernel_sizes of at least 2, one or more for each block, "
                f"got kernel_sizes={[list(sizes) for sizes in kernel_sizes]}"
            )
        widths = [first_channels, *[channels] * (len(kernel_sizes) - 1)]
        if channels < 1 or any(width < len(sizes) for width, sizes in zip(widths, kernel_sizes, strict=True)):
            raise ValueError(
                "mixednet needs a channel for each kernel size of a block, got "
                f"first_channels={first_channels}, channels={channels}, "
                f"kernel_sizes={[list(sizes) for sizes in kernel_sizes]}"
            )
        self.stride, self.kernel_sizes = stride, kernel_sizes
        self.first_channels, self.first_kernel_size = first_channels, first_kernel_size
        self.channels, self._widths = channels, widths
        self.first = channels_last(
            nn.Conv2d(bands, first_channels, (1, first_kernel_size), stride=(1, stride), bias=False)
        )
        self.first_norm = nn.BatchNorm2d(first_channels)
        self.blocks = nn.ModuleList(
            _Block(width, channels, sizes) for width, sizes in zip(widths, kernel_sizes, strict=True)
        )
        self.head = detection_head(channels, classes)

    @property
    def options(self) -> dict[str, Any]:
        """The options that build this network again, JSON-ready."""
        return {
            "stride": self.stride,
            "first_channels": self.first_channels,
            "first_kernel_size": self.first_kernel_size,
            "channels": self.channels,
            "kernel_sizes": [list(sizes) for sizes in self.kernel_sizes],
        }

    @property
    def receptive_field_frames(self) -> int:
        """Frames of features that one output depends on."""
        outputs = sum(max(sizes) - 1 for sizes in self.kernel_sizes)
        return self.first_kernel_size + self.stride * outputs

    def init_state(self, batch: int) -> State:
        """Zeros for the first convolution and for every block."""
        like = self.head.weight
        return {
            "first_tail": like.new_zeros(batch, 1, self.first_kernel_size - self.stride, self.bands),
            **{
                f"block{index}_tail": like.new_zeros(batch, 1, max(sizes) - 1, width)
                for index, (width, sizes) in enumerate(zip(self._widths, self.kernel_sizes, strict=True))
            },
        }

    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        after: State = {}
        joined, after["first_tail"] = after_tail(to_image(self.normalise(x)), state["first_tail"])
        hidden = F.relu(self.first_norm(self.first(joined)))
        for index, block in enumerate(self.blocks):
            name = f"block{index}_tail"
            hidden, after[name] = block(hidden, state[name], whole)
        logits: Tensor = self.head(to_frames(hidden))
        return logits, after


class _Block(nn.Module):
    """Depthwise convolutions of several sizes on shares of the channels, then one pointwise convolution over all.

    A residual goes around it where the widths agree.
    """

    def __init__(self, inputs: int, channels: int, kernel_sizes: Sequence[int]) -> None:
        super().__init__()
        self.shares, self._taps = _shares(inputs, len(kernel_sizes)), max(kernel_sizes)
        self.depthwise = nn.ModuleList(
            CausalDepthwise(share, size) for share, size in zip(self.shares, kernel_sizes, strict=True)
        )
        self.pointwise = Pointwise(inputs, channels)
        self.norm = nn.BatchNorm2d(channels)
        self.residual = inputs == channels

    def forward(self, x: Tensor, tail: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
        """Runs (B, inputs, 1, T) after ``tail`` and returns (B, channels, 1, T) and the tail after them."""
        joined, tail = after_tail(x, tail)
        convolved = self._by_shares(joined, x.shape[3]) if whole else self._at_once(joined)
        hidden = F.relu(self.norm(self.pointwise(convolved)))
        return hidden + x if self.residual else hidden, tail

    def _convolutions(self) -> list[CausalDepthwise]:
        return cast("list[CausalDepthwise]", list(self.depthwise))

    def _by_shares(self, joined: Tensor, frames: int) -> Tensor:
        """Each convolution over its share of the channels, of a whole sequence."""
        frames_first = joined.permute(0, 2, 3, 1)
        mixed = []
        for depthwise, part in zip(
            self._convolutions(), torch.split(frames_first, self.shares, dim=3), strict=True
        ):
            # A part with gaps between its frames would send the convolution a slow way.
            own = part[:, :, self._taps - depthwise.weight.shape[3] :].contiguous().permute(0, 3, 1, 2)
            mixed.append(depthwise.convolve(own, frames, whole=True))
        return torch.cat(mixed, dim=1)

    def _at_once(self, joined: Tensor) -> Tensor:
        """One convolution of the largest kernel size, the others with zeros before them: the cheapest step."""
        weights = [F.pad(one.weight, (self._taps - one.weight.shape[3], 0)) for one in self._convolutions()]
        return F.conv2d(joined, torch.cat(weights), groups=joined.shape[1])


def _shares(channels: int, parts: int) -> list[int]:
    """``channels`` in ``parts`` as even as can be; the first take what is over."""
    return [channels // parts + (part < channels % parts) for part in range(parts)]
