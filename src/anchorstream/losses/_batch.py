"""Reads a batch: checks it, brings every kind of target and output into the forms that the losses work with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from anchorstream.losses._checks import can_look_at_values, check_tensor, working_dtype
from anchorstream.losses._shapes import (
    check_class_dim,
    check_logits,
    check_targets,
    frames_shape,
    valid_mask,
)


class Batch(NamedTuple):
    """A batch, checked. Several sigmoid outputs (B, T, K) have become B * K rows of one output each.

    Attributes:
        logits: (B, T) for one sigmoid output, at least float32, with 0 where a frame is not valid; or
            (B, T, K) / (B, K, T) as ``class_dim`` says, as they came: padding may hold anything.
        labels: (B, T) int64 class indices, 0 (background) where a frame does not count; the likeliest class
            of soft targets.
        soft: soft targets, or ``None``: (B, T) for one sigmoid output, else (B, T, K).
        counted: (B, T) bool, True = valid and not ignored: the frames of the loss; ``None`` = all are.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        class_dim: -1 or 1; of no meaning for (B, T).
        class_weight: (K,); for one sigmoid output (2,), or (B, 1, 2); ``None`` = all 1.
        label_smoothing: in [0, 1).
        outputs: how many sigmoid outputs each sequence had, where the rows are outputs; else 0.
    """

    logits: Tensor
    labels: Tensor
    soft: Tensor | None
    counted: Tensor | None
    valid: Tensor | None
    class_dim: int
    class_weight: Tensor | None
    label_smoothing: float
    outputs: int

    @classmethod
    def of_classes(
        cls, logits: Tensor, labels: Tensor, counted: Tensor | None, valid: Tensor | None, *, class_dim: int
    ) -> Batch:
        """A batch with class indices and nothing else: the counterpart of :attr:`frames`."""
        return cls(logits, labels, None, counted, valid, class_dim, None, 0.0, 0)

    @property
    def frames(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """``labels``, ``counted`` and ``valid``."""
        return self.labels, self.counted, self.valid

    @property
    def sigmoid(self) -> bool:
        """Whether each row has one sigmoid output, and not one logit for each class."""
        return self.logits.ndim == 2

    @property
    def only_labels(self) -> bool:
        """Whether the targets are class indices and nothing else, neither soft nor smoothed."""
        return self.soft is None and self.label_smoothing == 0

    @property
    def sequences_and_classes(self) -> tuple[int, int]:
        """B as it came, and for how many classes, or outputs, a sequence may have anchors of their own."""
        rows = self.labels.shape[0]
        return (rows // self.outputs, self.outputs) if self.outputs else (rows, self.num_classes)

    @property
    def dtype(self) -> torch.dtype:
        """In which the loss is computed: at least float32."""
        return working_dtype(self.logits.dtype)

    @property
    def num_classes(self) -> int:
        """K, background included; 2 for a sigmoid output."""
        return 2 if self.sigmoid else self.logits.shape[self.class_dim]

    def clean_logits(self) -> Tensor:
        """At least float32, 0 where a frame is not valid: nothing in the padding reaches a gradient."""
        logits = at_least_single(self.logits)
        if self.sigmoid or self.valid is None:
            return logits
        return logits.masked_fill(~self.valid.unsqueeze(self.class_dim), 0.0)

    def only_counted(self, values: Tensor) -> Tensor:
        """Values (B, T), with 0 at frames that do not count."""
        return values if self.counted is None else values.masked_fill(~self.counted, 0.0)

    def fold(self, losses: Tensor) -> Tensor:
        """Losses (B, T) of the rows in the form in which the targets came."""
        if not self.outputs:
            return losses
        losses = losses.view(-1, self.outputs, losses.shape[-1])
        return losses if self.class_dim == 1 else losses.transpose(1, 2)


def read_batch(
    logits: Tensor,
    targets: Tensor,
    valid: Tensor | None,
    lengths: Tensor | None,
    *,
    multi_label: bool,
    class_weight: Tensor | Sequence[float] | None,
    label_smoothing: float,
    ignore_index: int,
    class_dim: int,
) -> Batch:
    """Checks a batch and masks what does not count.

    Raises:
        TypeError: if a dtype is wrong, or something is no tensor.
        ValueError: if a shape, a target or an option is wrong.
    """
    check_class_dim(class_dim)
    check_label_smoothing(label_smoothing)
    check_logits(logits, class_dim, multi_label)
    outputs = 0
    valid = valid_mask(valid, lengths, frames_shape(logits, class_dim), logits.device)
    check_tensor("targets", targets)
    soft = targets.is_floating_point()
    check_targets(logits, targets, class_dim, one_each=soft or multi_label)
    if multi_label and logits.ndim == 3:
        outputs = logits.shape[class_dim]
        class_weight = _weight_of_outputs(class_weight, outputs, logits)
        logits, targets = (as_rows(tensor, class_dim) for tensor in (logits, targets))
        valid = None if valid is None else valid.repeat_interleave(outputs, dim=0)
    elif not soft and logits.ndim == 3 and logits.shape[class_dim] == 2:
        # The softmax of two classes is the sigmoid of their difference: half the work.
        background, event = at_least_single(logits).unbind(class_dim)
        logits = event - background
    if logits.ndim == 2:
        logits = at_least_single(logits)
        logits = logits if valid is None else logits.masked_fill(~valid, 0.0)
    num_classes = 2 if logits.ndim == 2 else logits.shape[class_dim]
    if soft:
        (soft_targets, labels), counted = _read_soft(targets, logits, class_dim, valid), valid
    else:
        soft_targets = None
        labels, counted = _read_hard(targets, num_classes, valid, ignore_index)
    weight = _class_weight(class_weight, num_classes, logits)
    return Batch(
        logits, labels, soft_targets, counted, valid, class_dim, weight, float(label_smoothing), outputs
    )


def at_least_single(logits: Tensor) -> Tensor:
    """Half precision as float32; everything else as it is."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def as_rows(tensor: Tensor, class_dim: int) -> Tensor:
    """(B, T, K) or (B, K, T) as (B * K, T): each output of each sequence is a row."""
    return tensor.movedim(class_dim, 1).flatten(0, 1)


def check_label_smoothing(label_smoothing: float) -> None:
    """Raises a ValueError unless ``label_smoothing`` lies in [0, 1)."""
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing!r}")


def _read_hard(
    targets: Tensor, num_classes: int, valid: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor | None]:
    look = can_look_at_values(targets) and targets.numel() > 0
    labels = targets.long()
    if look and valid is None:
        low, high = torch.stack(labels.aminmax()).tolist()
        if 0 <= low <= high < num_classes and not low <= ignore_index <= high:
            return labels, None
    counted = labels != ignore_index  # int64: in a small type -100 would be some other class
    if valid is not None:
        counted = counted & valid
    labels = labels.masked_fill(~counted, 0)
    if look:
        low, high = torch.stack(labels.aminmax()).tolist()
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"targets must be class indices in [0, {num_classes}) or ignore_index={ignore_index}, got "
                f"values from {low} to {high} in valid frames"
            )
    return labels, counted


def _read_soft(
    targets: Tensor, logits: Tensor, class_dim: int, valid: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Probabilities, float as the logits, class last, 0 in the padding; and the likeliest class."""
    soft = targets.to(at_least_single(logits).dtype)
    if logits.ndim == 3:
        soft = soft.movedim(class_dim, -1)
    if valid is not None:
        soft = soft.masked_fill(~(valid if soft.ndim == 2 else valid.unsqueeze(-1)), 0.0)
    if can_look_at_values(soft) and soft.numel():
        low, high = (float(bound) for bound in torch.stack(soft.aminmax()).tolist())
        if not (low >= 0 and high <= 1):  # NaN fails both
            raise ValueError(
                f"soft targets ({targets.dtype}) must be probabilities in [0, 1], got values from {low:g} to "
                f"{high:g} in valid frames"
            )
        if soft.ndim == 3:
            total = soft.sum(dim=-1)
            off = (total - 1).abs() > 1e-3
            off = off if valid is None else off & valid
            if bool(off.any()):
                where = tuple(off.nonzero()[0].tolist())
                raise ValueError(
                    f"soft targets of a frame must sum to 1 over the classes, at (row, frame) {where} they "
                    f"sum to {float(total[where]):g}; for independent outputs set multi_label=True"
                )
    return soft, (soft > 0.5).long() if soft.ndim == 2 else soft.argmax(dim=-1)


def _weight_of_outputs(
    class_weight: Tensor | Sequence[float] | None, outputs: int, logits: Tensor
) -> Tensor | None:
    """The weights (B * K, 1, 2) of background and event in each row."""
    if class_weight is None:
        return None
    weights = torch.as_tensor(class_weight, dtype=working_dtype(logits.dtype), device=logits.device)
    if weights.shape == (outputs,):
        weights = weights.unsqueeze(-1).expand(-1, 2)
    if weights.shape != (outputs, 2):
        raise ValueError(
            f"class_weight must hold one weight for each of the {outputs} outputs, or one for the background "
            f"and one for the event of each, ({outputs}, 2); got shape {tuple(weights.shape)}"
        )
    return weights.repeat(logits.shape[0], 1).unsqueeze(1)


def _class_weight(
    class_weight: Tensor | Sequence[float] | None, num_classes: int, logits: Tensor
) -> Tensor | None:
    if class_weight is None:
        return None
    weights = torch.as_tensor(class_weight, dtype=at_least_single(logits[:0]).dtype, device=logits.device)
    if weights.ndim != 3 and weights.shape != (num_classes,):
        raise ValueError(
            f"class_weight must hold one weight for each of the {num_classes} classes, got shape "
            f"{tuple(weights.shape)}"
        )
    return weights
