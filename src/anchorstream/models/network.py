"""What every network of the project offers beyond the streaming contract."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from anchorstream.models.normalise import BandNormalisation
from anchorstream.models.streaming import State, StreamingModule

# The share of frames on which anything is to be detected, as the head supposes it before training.
_EVENT_PRIOR = 0.02


class FrameNetwork(StreamingModule):
    """A streaming network from raw features to logits; the normalisation of its features is part of it.

    Args:
        bands: features of a frame.
        classes: outputs of a frame, background first.

    Attributes:
        name: how recipes and saved models call it.
        stride: frames of features for one frame of logits.
        normalise: the fixed normalisation, applied first.
    """

    name: ClassVar[str]
    stride: int = 1

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        if bands < 1 or classes < 2:
            raise ValueError(
                f"a network needs at least 1 band and 2 classes (background first), got {bands} and {classes}"
            )
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
            ValueError: if ``x`` has another shape, or less than a stride of frames.
        """
        self._check_features(x)
        x = x[:, : x.shape[1] // self.stride * self.stride]
        return self._run(x, self.init_state(x.shape[0]), whole=True)[0]

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs (B, n * stride, bands) and returns logits (B, n, classes) and the state after it.

        Raises:
            ValueError: if ``x`` has another shape, or its frames are no whole number of strides.
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
        if x.dim() != 3 or x.shape[2] != self.bands or x.shape[1] < self.stride:
            raise ValueError(
                f"{self.name} takes features (B, T, {self.bands}) with T >= {self.stride}, "
                f"got shape {tuple(x.shape)}"
            )


def detection_head(channels: int, classes: int) -> nn.Linear:
    """The last layer: (B, T, channels) to logits (B, T, classes), background first.

    Its bias starts where all events together have the probability 0.02. Nearly every frame is background;
    from even odds the first steps would go into learning just that, with gradients from thousands of easy
    frames (the reason and the remedy are those of Lin et al., Focal Loss for Dense Object Detection, 2017,
    section 3.3).
    """
    head = nn.Linear(channels, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.constant_(head.bias, math.log(_EVENT_PRIOR / (classes - 1) / (1 - _EVENT_PRIOR)))
    head.bias.data[0] = 0.0
    return head
