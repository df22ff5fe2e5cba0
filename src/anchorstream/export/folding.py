"""The constants of a detector in the form that takes the fewest operators to run; what it computes stays as it is.

A step of one hop is some sixty operators on a few hundred numbers each, and each costs about as much as what it
computes: the two that go are some 3% of a step of `mixednet`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anchorstream.models.detector import StreamingDetector


def fold(detector: StreamingDetector) -> None:
    """Changes ``detector``, in evaluation mode, in place: for export, not for training on."""
    if detector.outputs == "softmax" and len(detector.labels) == 1:
        _fold_softmax(detector)
    # The readings of a motion sensor are normalised in the same place, and are no logarithms.
    if not detector.motion:
        _fold_mean(detector)


def _fold_softmax(detector: StreamingDetector) -> None:
    """A softmax over background and one label is a sigmoid of the difference of their logits."""
    weight, bias = detector.network.head.weight.data, detector.network.head.bias.data
    head = nn.Linear(weight.shape[1], 1)
    head.weight.data, head.bias.data = weight[1:] - weight[:1], bias[1:] - bias[:1]
    detector.network.head, detector.outputs = head.requires_grad_(False), "sigmoid"


def _fold_mean(detector: StreamingDetector) -> None:
    """A mean that is taken from a logarithm is a factor before it: log(x) - m = log(x exp(-m))."""
    frontend, normalise = detector.frontend, detector.network.normalise
    factor = torch.exp(-normalise.mean.double())
    frontend.step_mel = (frontend.step_mel * factor).float()
    frontend.floor = (frontend.floor * factor).float()
    detector.network.set_submodule("normalise", _Scale(normalise.std))


class _Scale(nn.Module):
    std: Tensor

    def __init__(self, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        return x / self.std
