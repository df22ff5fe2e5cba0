"""The loss and its gradient with few passes over the logits: what runs in eager mode for class indices."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchorstream.losses._batch import Batch, at_least_single
from anchorstream.losses._cross_entropy import NO_THRESHOLD, classes_go_in_the_middle, sign_against

# On some processors torch's exp2 takes a quarter of the time of its exp.
_LOG2_E = math.log2(math.e)


class EagerLoss(torch.autograd.Function):
    """``l_t = (plain_t + focal_t * (1 - p_t)^gamma) * CE_t``: its frames (B, T), or their sum times ``scale``.

    Torch's own differentiation of the same operations runs twice as many of them, and holds twice the memory.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch gives it attributes as they are set
        logits: Tensor,
        batch: Batch,
        plain: Tensor | None,
        focal: Tensor | None,
        gamma: float,
        scale: Tensor | None,
    ) -> Tensor:
        """See the class. ``plain`` and ``focal`` are (B, T) or scalars, and 0 at frames that do not count."""
        ctx.sigmoid, ctx.class_dim, ctx.gamma = batch.sigmoid, batch.class_dim, gamma
        ctx.log_posterior = None  # no saved tensor: the gradient will be written over it
        ctx.middle = not batch.sigmoid and (batch.class_dim == 1 or classes_go_in_the_middle(logits))
        # Nothing below is seen by autograd, so what is no longer needed is written over.
        if batch.sigmoid:
            sign = sign_against(batch.labels, logits.dtype)
            miss = sign * logits
            ce = F.softplus(miss, threshold=NO_THRESHOLD)
            miss.sigmoid_()
        else:
            log_p, ctx.log_posterior = _softmax(logits, batch.labels, batch.valid, ctx.middle, ctx.class_dim)
            # Only the focal part asks how far the answer is off.
            miss = log_p if focal is None else torch.expm1(log_p).neg_()
            ce = log_p.neg()
        loss, slope = _modulate(ce, miss, plain, focal, gamma)
        if batch.sigmoid:
            # dCE/dz = p(event) - y
            slope = sign.mul_(miss).mul_(slope)
        ctx.save_for_backward(logits, slope, scale, plain, focal, *batch.frames)
        return loss if scale is None else loss.sum() * scale

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """The gradient of the logits; that of the gradient too, if it is asked for."""
        logits, slope, scale, plain, focal, *frames = ctx.saved_tensors
        if torch.is_grad_enabled():
            batch = Batch.of_classes(logits, *frames, class_dim=ctx.class_dim)
            return differentiable_gradient(batch, plain, focal, ctx.gamma, scale, gradient), *[None] * 5
        if scale is not None:
            gradient = gradient * scale
        slope = slope * gradient
        if ctx.sigmoid:
            return slope, *[None] * 5
        labels, _, valid = frames
        result, ctx.log_posterior = ctx.log_posterior, None
        if result is None:  # a second time through a retained graph
            _, result = _softmax(logits, labels, valid, ctx.middle, ctx.class_dim)
        dim = 1 if ctx.middle else -1
        slope = slope.expand(labels.shape).unsqueeze(dim)
        # dCE/dx_k = p_k - [k is the target]
        result.mul_(_LOG2_E).exp2_().mul_(slope)
        result.scatter_add_(dim, labels.unsqueeze(dim), -slope)
        if ctx.middle and ctx.class_dim != 1:
            result = result.transpose(1, 2)
        return result.to(logits.dtype), *[None] * 5


def _softmax(
    logits: Tensor, labels: Tensor, valid: Tensor | None, middle: bool, class_dim: int
) -> tuple[Tensor, Tensor]:
    """``log p_t`` of the target (B, T), and of all classes (B, K, T) if ``middle``, else (B, T, K)."""
    logits = at_least_single(logits)
    if middle and class_dim != 1:
        logits = logits.transpose(1, 2)
    dim = 1 if middle else -1
    log_posterior = F.log_softmax(logits, dim=dim)
    if valid is not None:
        log_posterior.masked_fill_(~valid.unsqueeze(dim), 0.0)
    return log_posterior.gather(dim, labels.unsqueeze(dim)).squeeze(dim), log_posterior


def _modulate(
    ce: Tensor, miss: Tensor, plain: Tensor | None, focal: Tensor | None, gamma: float
) -> tuple[Tensor, Tensor]:
    """The loss of each frame and its derivative by ``CE_t``; ``ce`` is written over."""
    if focal is None:
        return ce.mul_(plain), plain  # type: ignore[arg-type, return-value]  # one of the two is there
    miss.clamp_(min=torch.finfo(ce.dtype).tiny)
    # CE / m, and not m^(gamma - 1), which has no bound where gamma is near 0 and a frame is all but sure.
    slope = torch.neg(ce).exp_().mul_(ce).div_(miss).mul_(gamma).add_(1.0)
    loss = (miss * miss if gamma == 2 else miss**gamma).mul_(focal)
    slope.mul_(loss)
    if plain is not None:
        slope.add_(plain)
        loss.add_(plain)
    return loss.mul_(ce), slope


def differentiable_gradient(
    batch: Batch,
    plain: Tensor | None,
    focal: Tensor | None,
    gamma: float,
    scale: Tensor | None,
    gradient: Tensor,
) -> Tensor:
    """The gradient of the logits as a function of them and of ``gradient`` that can be differentiated again."""
    from anchorstream.losses._modulated import composed

    loss = composed(batch, plain, focal, gamma)
    total = loss if scale is None else loss.sum() * scale
    return torch.autograd.grad(total, batch.logits, gradient, create_graph=True)[0]
