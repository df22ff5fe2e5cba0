"""The cross entropy of frames and how likely their target is, in operations that torch differentiates."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from anchorstream.losses._batch import Batch
from anchorstream.losses._compiled import kept_apart

# Along a last dimension of fewer classes than this, torch's log-softmax on a CPU does not vectorise: over a
# dimension in the middle it runs three to five times as fast, and from here on slower.
_FEW_CLASSES = 16

# Where softplus becomes the identity; by default so early that float64 loses digits.
NO_THRESHOLD = 40.0


def cross_entropy_and_miss(batch: Batch) -> tuple[Tensor, Tensor]:
    """The class-weighted cross entropy of each frame, and the probability of what is not its target.

    For class indices ``CE_t = -alpha[y_t] * log p_t(y_t)``; for soft targets y, and with label smoothing
    ``y' = (1 - e) y + e / K``, ``CE_t = -sum_k alpha[k] * y'_t(k) * log p_t(k)``, both as in
    ``F.cross_entropy``. The target's probability is ``p_t = sum_k y_t(k) p_t(k)``, without the smoothing.

    Returns:
        ``CE_t`` (B, T), finite but of no meaning where a frame does not count, and ``1 - p_t`` (B, T), at least the
        smallest number.
    """
    if batch.soft is not None:
        ce, miss = _of_soft_targets(batch, batch.soft)
    else:
        nll, miss = _of_labels(batch)
        weight = weight_of_class(batch)
        ce = nll if weight is None else weight * nll
        if batch.label_smoothing > 0:
            ce = (1 - batch.label_smoothing) * ce + batch.label_smoothing * _of_all_classes(batch)
    # The clamp keeps the gradient of a focal factor finite at p = 1 and gamma < 1.
    return ce, miss.clamp(min=torch.finfo(miss.dtype).tiny)


def negative_log_likelihood(batch: Batch) -> Tensor:
    """``-log p_t`` of the frame's label, (B, T); unweighted, of no meaning where a frame does not count."""
    return _of_labels(batch)[0]


def _of_labels(batch: Batch) -> tuple[Tensor, Tensor]:
    """``-log p_t`` and ``1 - p_t`` of the frame's label, (B, T)."""
    if batch.sigmoid:
        against = sign_against(batch.labels, batch.dtype) * batch.logits
        return F.softplus(against, threshold=NO_THRESHOLD), torch.sigmoid(against)
    nll = _of_softmax(batch.clean_logits(), batch.labels, batch.class_dim)
    return nll, -torch.expm1(-nll)  # keeps its digits for p near 1


def sign_against(labels: Tensor, dtype: torch.dtype) -> Tensor:
    """1 where the label (B, T) is the background, -1 at an event: times the logit, that of the other answer."""
    return torch.rsub(labels, 1, alpha=2).to(dtype)


def _of_softmax(logits: Tensor, labels: Tensor, class_dim: int) -> Tensor:
    if torch.compiler.is_compiling():
        # A compiler fuses the choice of the class into the sum, and then has nothing to scatter on the way back.
        log_posterior = F.log_softmax(logits, dim=class_dim).movedim(class_dim, -1)
        chosen = labels.unsqueeze(-1) == torch.arange(log_posterior.shape[-1], device=labels.device)
        nll = -torch.where(chosen, log_posterior, 0.0).sum(dim=-1)
        return kept_apart(nll) if logits.device.type == "cpu" else nll
    if class_dim == 1:
        return F.cross_entropy(logits, labels, reduction="none")
    if classes_go_in_the_middle(logits):
        return F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)


def classes_go_in_the_middle(logits: Tensor) -> bool:
    """Whether (B, T, K) logits are faster as (B, K, T)."""
    return logits.shape[-1] < _FEW_CLASSES and logits.device.type == "cpu"


def log_posteriors(batch: Batch) -> Tensor:
    """``log p_t(k)`` (B, T, K), for one sigmoid output those of background and event."""
    logits = batch.clean_logits()
    if batch.sigmoid:
        return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=-1)
    return F.log_softmax(logits, dim=batch.class_dim).movedim(batch.class_dim, -1)


def weight_of_class(batch: Batch) -> Tensor | None:
    """The weight of each frame's class, (B, T); of a soft target, the mean under it."""
    weights = batch.class_weight
    if weights is None:
        return None
    if batch.soft is None:
        return weights[batch.labels] if weights.ndim == 1 else torch.where(batch.labels == 1, *_pair(weights))
    if batch.sigmoid:
        event, background = _pair(weights)
        return background + (event - background) * batch.soft
    return (batch.soft * weights).sum(dim=-1)  # a matrix product would run in half precision under autocast


def distribution(batch: Batch) -> Tensor:
    """The targets as probabilities (B, T, K), (B, T, 2) for one sigmoid output, smoothed, times the class weights."""
    if batch.soft is None:
        target = F.one_hot(batch.labels, batch.num_classes).to(batch.dtype)
    elif batch.sigmoid:
        target = torch.stack([1 - batch.soft, batch.soft], dim=-1)
    else:
        target = batch.soft
    target = (1 - batch.label_smoothing) * target + batch.label_smoothing / batch.num_classes
    return target if batch.class_weight is None else batch.class_weight * target


def _of_soft_targets(batch: Batch, soft: Tensor) -> tuple[Tensor, Tensor]:
    log_posterior = log_posteriors(batch)
    ce = -(distribution(batch) * log_posterior).sum(dim=-1)
    posterior = log_posterior.exp()
    if batch.sigmoid:
        return ce, 1 - (soft * posterior[..., 1] + (1 - soft) * posterior[..., 0])
    return ce, 1 - (soft * posterior).sum(dim=-1)


def _of_all_classes(batch: Batch) -> Tensor:
    """``-sum_k alpha[k] * log p_t(k) / K``, the part that label smoothing adds."""
    log_posterior = log_posteriors(batch)
    if batch.class_weight is not None:
        log_posterior = batch.class_weight * log_posterior
    return -log_posterior.mean(dim=-1)


def _pair(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of event and background, each (B, 1) or a scalar."""
    return weights[..., 1], weights[..., 0]
