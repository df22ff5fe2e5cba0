"""What every network of the project offers beyond the streaming contract."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anchorstream.models.normalise import BandNormalisation
from anchorstream.models.streaming import State, StreamingModule


class FrameNetwork(StreamingModule):
    """A streaming network from raw features to logits; the normalisation of its features is part of it.

    Args:
        bands: features of a frame.
        classes: logits of a frame. What they mean is the detector's business (:mod:`anchorstream.models.outputs`).

    Attributes:
        name: how recipes and saved models call it.
        stride: frames of features for one frame of logits.
        normalise: the fixed normalisation, applied first.
        head: the last layer, from :func:`detection_head`.
    """

    name: ClassVar[str]
    stride: int = 1
    head: nn.Linear

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        if bands < 1 or classes < 1:
            raise ValueError(f"a network needs at least 1 band and 1 class, got {bands} and {classes}")
        self.bands, self.classes = bands, classes
        self.normalise = BandNormalisation(bands)

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The options that build this network again, JSON-ready."""

    @property
    @abstractmethod
    def receptive_field_frames(self) -> int | None:
        """Frames of features that one output depends on; ``None`` where it is all of the past."""

    def forward(self, x: Tensor) -> Tensor:
        """Runs (B, T, bands) from a fresh state and returns logits (B, T // stride, classes).

        Frames after the last whole stride are dropped.

        Raises:
            TypeError: if ``x`` is of a wider dtype than the network and no autocast converts it.
            ValueError: if ``x`` has another shape, no rows, or less than a stride of frames.
        """
        self._check_features(x)
        x = x[:, : x.shape[1] // self.stride * self.stride]
        return self._run(x, self.init_state(x.shape[0]), whole=True)[0]

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs (B, n * stride, bands) and returns logits (B, n, classes) and the state after it.

        Raises:
            TypeError: as ``forward``.
            ValueError: if ``x`` has another shape, no rows, or its frames are no whole number of strides.
        """
        self._check_features(x)
        if x.shape[1] % self.stride:
            raise ValueError(
                f"a step of {self.name} takes a multiple of {self.stride} frames, got {x.shape[1]}; "
                "keep the rest for the next step"
            )
        return self._run(x, state, whole=False)

    @abstractmethod
    def _run(self, x: Tensor, state: State, *, whole: bool) -> tuple[Tensor, State]:
        """What ``step`` does, on checked features; ``whole`` where ``x`` is a whole sequence in a fresh state."""

    def _check_features(self, x: Tensor) -> None:
        if x.dim() != 3 or x.shape[2] != self.bands or x.shape[1] < self.stride or x.shape[0] < 1:
            raise ValueError(
                f"{self.name} takes features (B, T, {self.bands}) with B >= 1 and T >= {self.stride}, "
                f"got shape {tuple(x.shape)}"
            )
        # The normalisation brings narrower types, integers included, to the network's; autocast the wider ones, but
        # for doubles, which it leaves as they are.
        own = self.normalise.std.dtype
        wide = torch.promote_types(x.dtype, own)
        if wide != own and (wide == torch.float64 or not torch.is_autocast_enabled(x.device.type)):
            raise TypeError(
                f"{self.name} is of {own} and takes no features of {x.dtype}; convert them with "
                f"features.to({own}), or the network"
            )


def detection_head(channels: int, classes: int) -> nn.Linear:
    """The last layer: (B, T, channels) to logits (B, T, classes), all of them near 0 before training.

    A detector gives it the bias that fits the meaning of its logits.
    """
    head = nn.Linear(channels, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head
