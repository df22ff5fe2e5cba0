"""A network of mixed depthwise convolutions that steps once in several frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.models.network import FrameNetwork, detection_head
from anchorstream.models.separable import (
    CausalDepthwise,
    Pointwise,
    channels_last,
    to_frames,
    to_image,
    zero_frames,
)
from anchorstream.models.streaming import State


class MixedNet(FrameNetwork):
    """A convolution with a stride, then blocks whose depthwise convolutions have several kernel sizes.

    With the default stride it decides once in three frames of features, every 30 ms, and all behind its first
    convolution runs a third as often. Output ``t`` depends on the frames up to ``stride * (t + 1) - 1``.

    The state is the end of the normalised features, ``first_tail`` (B, bands, 1, first_kernel_size - stride),
    and for each kernel size of each block the end of its input, (B, C, 1, kernel_size - 1), zeros at the start
    of a stream.

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
        self._tail_names = [
            [f"block{index}_tail{part}" for part in range(len(sizes))]
            for index, sizes in enumerate(kernel_sizes)
        ]
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
        first = zero_frames(like, batch, self.bands, self.first_kernel_size - self.stride)
        tails = {
            name: zero_frames(like, batch, share, size - 1)
            for names, width, sizes in zip(self._tail_names, self._widths, self.kernel_sizes, strict=True)
            for name, share, size in zip(names, _shares(width, len(sizes)), sizes, strict=True)
        }
        return {"first_tail": first, **tails}

    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        tail = state["first_tail"]
        joined = torch.cat((tail, to_image(self.normalise(x))), dim=3)
        after: State = {"first_tail": joined[..., joined.shape[3] - tail.shape[3] :]}
        hidden = F.relu(self.first_norm(self.first(joined)))
        for names, block in zip(self._tail_names, self.blocks, strict=True):
            hidden, tails = block(hidden, [state[name] for name in names], whole)
            after.update(zip(names, tails, strict=True))
        logits: Tensor = self.head(to_frames(hidden))
        return logits, after


class _Block(nn.Module):
    """Depthwise convolutions of several sizes on shares of the channels, then one pointwise convolution over all.

    A residual goes around it where the widths agree.
    """

    def __init__(self, inputs: int, channels: int, kernel_sizes: Sequence[int]) -> None:
        super().__init__()
        self.shares = _shares(inputs, len(kernel_sizes))
        self.depthwise = nn.ModuleList(
            CausalDepthwise(share, size) for share, size in zip(self.shares, kernel_sizes, strict=True)
        )
        self.pointwise = Pointwise(inputs, channels)
        self.norm = nn.BatchNorm2d(channels)
        self.residual = inputs == channels

    def forward(self, x: Tensor, tails: list[Tensor], whole: bool) -> tuple[Tensor, list[Tensor]]:
        """Runs (B, inputs, 1, T) after ``tails`` and returns (B, channels, 1, T) and the tails after them."""
        # A split into one part is none; litert-torch 0.10 cannot convert one.
        parts = torch.split(x, self.shares, dim=1) if len(self.shares) > 1 else (x,)
        mixed = [
            depthwise(part, tail, whole)
            for depthwise, part, tail in zip(self.depthwise, parts, tails, strict=True)
        ]
        convolved = torch.cat([part for part, _ in mixed], dim=1)
        hidden = F.relu(self.norm(self.pointwise(convolved)))
        return hidden + x if self.residual else hidden, [tail for _, tail in mixed]


def _shares(channels: int, parts: int) -> list[int]:
    """``channels`` in ``parts`` as even as can be; the first take what is over."""
    return [channels // parts + (part < channels % parts) for part in range(parts)]
