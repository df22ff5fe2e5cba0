"""What the logits of a detector mean: a softmax over background and labels, or a sigmoid for each label."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from anchorstream.frames import IGNORED

Outputs = Literal["softmax", "sigmoid"]

OUTPUTS: tuple[Outputs, ...] = get_args(Outputs)

# The share of frames on which anything is to be detected, as a fresh detector supposes it.
_EVENT_PRIOR = 0.02


def logit_count(labels: int, outputs: Outputs) -> int:
    """The logits of a frame: one for each label, and with a softmax one for the background before them.

    Raises:
        ValueError: if there is no such kind of outputs.

    Example:
        >>> logit_count(2, "softmax"), logit_count(2, "sigmoid")
        (3, 2)
    """
    if outputs not in OUTPUTS:
        raise ValueError(f"outputs must be {' or '.join(map(repr, OUTPUTS))}, got {outputs!r}")
    return labels + 1 if outputs == "softmax" else labels


def event_posteriors(logits: Tensor, outputs: Outputs = "softmax") -> Tensor:
    """The probabilities of the labels, (..., labels), from logits (..., K).

    Those of a softmax leave room for the background, which is dropped: together they are at most 1. Those of sigmoid
    outputs know nothing of each other.

    Example:
        >>> event_posteriors(torch.tensor([0.0, 0.0]))
        tensor([0.5000])
        >>> event_posteriors(torch.tensor([0.0, 0.0]), "sigmoid")
        tensor([0.5000, 0.5000])
    """
    return logits.softmax(dim=-1)[..., 1:] if outputs == "softmax" else logits.sigmoid()


def prior_logits(labels: int, outputs: Outputs) -> Tensor:
    """The logits (K,) at which every label has the probability 0.02 / ``labels``: where the head's bias starts.

    Nearly every frame is background; from even odds the first steps would go into learning just that, with gradients
    from thousands of easy frames (the reason and the remedy are those of Lin et al., Focal Loss for Dense Object
    Detection, 2017, section 3.3).

    Example:
        >>> event_posteriors(prior_logits(2, "sigmoid"), "sigmoid")
        tensor([0.0100, 0.0100])
    """
    prior = _EVENT_PRIOR / labels
    if outputs == "sigmoid":
        return torch.full((labels,), math.log(prior / (1 - prior)))
    logits = torch.full((labels + 1,), math.log(prior / (1 - _EVENT_PRIOR)))
    logits[0] = 0.0
    return logits


def targets_by_label(targets: Tensor, labels: int) -> Tensor:
    """Class indices (B, T), 0 = background, as 0 and 1 for each label: (B, T, labels); for one label (B, T).

    ``IGNORED`` remains, for every label.

    Example:
        >>> targets_by_label(torch.tensor([[0, 2, 1]]), 2).tolist()
        [[[0, 0], [0, 1], [1, 0]]]
    """
    of_labels = F.one_hot(targets.clamp(min=0), labels + 1)[..., 1:]
    return of_labels.masked_fill((targets == IGNORED)[..., None], IGNORED).squeeze(-1)


def loss_inputs(logits: Tensor, targets: Tensor, outputs: Outputs) -> tuple[Tensor, Tensor]:
    """Logits (B, T, K) and class indices (B, T) as the losses want them.

    A softmax takes them as they are. Several sigmoid outputs need targets of the shape of the logits and the losses'
    option ``multi_label``; one alone is (B, T), the losses' form for it.
    """
    if outputs == "softmax":
        return logits, targets
    return logits.squeeze(-1), targets_by_label(targets, logits.shape[-1])
