"""The loss and its gradient in one pass over the logits, as a Triton kernel: what runs on a GPU.

Imported only where Triton and a GPU are. With ``TRITON_INTERPRET=1`` the same code runs on the CPU, for tests.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from anchorstream.losses._batch import Batch
from anchorstream.losses._eager import differentiable_gradient

# Elements of the tile (frames x classes) that one program holds in registers.
_TILE = 2048

#: With more classes than this a tile is one frame, and a program of its own would be due.
MOST_CLASSES = _TILE


@triton.jit
def _log1p(x):
    """``log(1 + x)`` to full precision, from a rounded logarithm (Kahan)."""
    total = 1.0 + x
    return tl.where(total == 1.0, x, tl.log(total) * (x / tl.where(total == 1.0, 1.0, total - 1.0)))


@triton.jit
def _loss_kernel(
    logits_ptr,
    labels_ptr,
    plain_ptr,
    focal_ptr,
    scale_ptr,
    loss_ptr,
    gradient_ptr,
    num_rows,
    num_frames,
    num_classes,
    row_stride,
    frame_stride,
    class_stride,
    gradient_row_stride,
    gradient_frame_stride,
    gradient_class_stride,
    gamma,
    SIGMOID: tl.constexpr,
    HAS_PLAIN: tl.constexpr,
    HAS_FOCAL: tl.constexpr,
    GAMMA_IS_TWO: tl.constexpr,
    SUM: tl.constexpr,
    WRITE_GRADIENT: tl.constexpr,
    FRAMES: tl.constexpr,
    CLASSES: tl.constexpr,
):
    """``l_t = (plain_t + focal_t * (1 - p_t)^gamma) * CE_t`` and its gradient for a tile of frames.

    With ``SUM`` both are times the scale, and the program writes one sum; else it writes the loss of each frame.
    """
    frame = tl.program_id(0).to(tl.int64) * FRAMES + tl.arange(0, FRAMES)
    there = frame < num_rows * num_frames
    row, t = frame // num_frames, frame % num_frames
    label = tl.load(labels_ptr + frame, mask=there, other=0)
    start = row * row_stride + t * frame_stride
    gradient_start = row * gradient_row_stride + t * gradient_frame_stride
    factor = tl.zeros([FRAMES], tl.float32)
    if HAS_PLAIN:
        plain = tl.load(plain_ptr + frame, mask=there, other=0.0)
        factor += tl.abs(plain)
    if HAS_FOCAL:
        focal = tl.load(focal_ptr + frame, mask=there, other=0.0)
        factor += tl.abs(focal)
    # Nothing is read where the weight is 0: padding may hold NaN.
    used = there & (factor > 0)
    if SIGMOID:
        z = tl.load(logits_ptr + start, mask=used, other=0.0).to(tl.float32)
        sign = tl.where(label == 1, -1.0, 1.0)
        against = sign * z
        small = tl.exp(-tl.abs(against))
        ce = tl.maximum(against, 0.0) + _log1p(small)
        miss = tl.where(against >= 0, 1.0, small) / (1.0 + small)
        hit = tl.where(against >= 0, small, 1.0) / (1.0 + small)
    else:
        k = tl.arange(0, CLASSES)
        inside = used[:, None] & (k < num_classes)[None, :]
        x = tl.load(logits_ptr + start[:, None] + k[None, :] * class_stride, mask=inside, other=-float("inf"))
        x = x.to(tl.float32)
        highest = tl.where(used, tl.max(x, axis=1), 0.0)
        odds = tl.exp(x - highest[:, None])
        total = tl.where(used, tl.sum(odds, axis=1), 1.0)
        is_label = k[None, :] == label[:, None]
        of_label = tl.sum(tl.where(is_label & inside, x, 0.0), axis=1)
        rest = tl.sum(tl.where(is_label, 0.0, odds), axis=1)
        of_label_odds = tl.sum(tl.where(is_label, odds, 0.0), axis=1)
        # Where the label is the likeliest class, total = 1 + rest, and rest keeps its digits.
        ce = tl.where(of_label == highest, _log1p(rest), tl.log(total) + (highest - of_label))
        miss = rest / total
        hit = of_label_odds / total
    miss = tl.maximum(miss, 1.1754943508222875e-38)
    loss = tl.zeros([FRAMES], tl.float32)
    slope = tl.zeros([FRAMES], tl.float32)
    if HAS_FOCAL:
        if GAMMA_IS_TWO:
            power = focal * miss * miss
        else:
            power = focal * tl.exp2(gamma * tl.log2(miss))
        loss += power * ce
        # ce / miss, and not miss^(gamma - 1), which has no bound where gamma is near 0 and a frame is all but sure.
        slope += power * (1.0 + gamma * hit * (ce / miss))
    if HAS_PLAIN:
        loss += plain * ce
        slope += plain
    loss = tl.where(used, loss, 0.0)
    if SUM:
        scale = tl.load(scale_ptr)
        slope *= scale
        tl.store(loss_ptr + tl.program_id(0), tl.sum(loss, axis=0) * scale)
    else:
        tl.store(loss_ptr + frame, loss, mask=there)
    if WRITE_GRADIENT:
        if SIGMOID:
            result = tl.where(used, slope * sign * miss, 0.0)
            tl.store(gradient_ptr + gradient_start, result.to(gradient_ptr.dtype.element_ty), mask=there)
        else:
            # dCE/dx_k = p_k - [k is the target]; for the target that is what it misses to 1.
            difference = tl.where(is_label, -(rest / total)[:, None], odds / total[:, None])
            result = tl.where(used[:, None], slope[:, None] * difference, 0.0)
            tl.store(
                gradient_ptr + gradient_start[:, None] + k[None, :] * gradient_class_stride,
                result.to(gradient_ptr.dtype.element_ty),
                mask=there[:, None] & (k < num_classes)[None, :],
            )


@triton.jit
def _scale_kernel(values_ptr, factor_ptr, size, BLOCK: tl.constexpr):
    """Multiplies in place; where the factor is 1, as in a plain ``loss.backward()``, it touches nothing."""
    factor = tl.load(factor_ptr)
    if factor != 1.0:
        index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        values = tl.load(values_ptr + index, mask=index < size)
        tl.store(values_ptr + index, (values * factor).to(values_ptr.dtype.element_ty), mask=index < size)


class TritonLoss(torch.autograd.Function):
    """The same as ``EagerLoss``, called alike, for float32 and half-precision logits."""

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
        """See ``EagerLoss.forward``."""
        ctx.class_dim, ctx.gamma = batch.class_dim, gamma
        wanted = bool(ctx.needs_input_grad[0])
        loss, ctx.gradient = _launch(logits, batch, plain, focal, gamma, scale, write_gradient=wanted)
        ctx.save_for_backward(logits, scale, plain, focal, *batch.frames)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """See ``EagerLoss.backward``."""
        logits, scale, plain, focal, *frames = ctx.saved_tensors
        batch = Batch.of_classes(logits, *frames, class_dim=ctx.class_dim)
        if torch.is_grad_enabled():
            return differentiable_gradient(batch, plain, focal, ctx.gamma, scale, gradient), *[None] * 5
        result = ctx.gradient
        ctx.gradient = None
        if result is None:  # a second time through a retained graph
            result = _launch(logits, batch, plain, focal, ctx.gamma, scale, write_gradient=True)[1]
        if scale is None:
            result = result * (gradient if batch.sigmoid else gradient.unsqueeze(batch.class_dim))
        else:
            block = 4 * _TILE
            programs = triton.cdiv(max(result.numel(), 1), block)
            with torch.cuda.device_of(result):  # type: ignore[no-untyped-call]
                _scale_kernel[(programs,)](result, gradient, result.numel(), BLOCK=block)
        return result, *[None] * 5


def _launch(
    logits: Tensor,
    batch: Batch,
    plain: Tensor | None,
    focal: Tensor | None,
    gamma: float,
    scale: Tensor | None,
    *,
    write_gradient: bool,
) -> tuple[Tensor, Any]:
    """The loss, (B, T) or a scalar, and the gradient of the logits, if it is wanted."""
    rows, num_frames = batch.labels.shape
    classes = 1 if batch.sigmoid else triton.next_power_of_2(batch.num_classes)
    tile = max(1, _TILE // (4 if batch.sigmoid else classes))
    programs = triton.cdiv(rows * num_frames, tile)
    # Dense, whatever the strides of the logits, so that it can be scaled as one block.
    gradient = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device) if write_gradient else None
    size = (rows, num_frames) if scale is None else (programs,)
    loss = torch.zeros(size, dtype=torch.float32, device=logits.device)
    if not programs:
        return loss if scale is None else loss.sum(), gradient
    nothing = loss  # stands for a pointer that the kernel does not follow
    with torch.cuda.device_of(logits):  # type: ignore[no-untyped-call]
        _loss_kernel[(programs,)](
            logits,
            batch.labels.contiguous(),
            nothing if plain is None else plain.expand(rows, num_frames).contiguous(),
            nothing if focal is None else focal.expand(rows, num_frames).contiguous(),
            nothing if scale is None else scale,
            loss,
            nothing if gradient is None else gradient,
            rows,
            num_frames,
            batch.num_classes,
            *_strides(logits, batch),
            *_strides(logits if gradient is None else gradient, batch),
            float(gamma),
            SIGMOID=batch.sigmoid,
            HAS_PLAIN=plain is not None,
            HAS_FOCAL=focal is not None,
            GAMMA_IS_TWO=gamma == 2,
            SUM=scale is not None,
            WRITE_GRADIENT=write_gradient,
            FRAMES=tile,
            CLASSES=classes,
        )
    return loss if scale is None else loss.sum(), gradient


def _strides(tensor: Tensor, batch: Batch) -> tuple[int, int, int]:
    """From one sequence, one frame and one class to the next."""
    if batch.sigmoid:
        return tensor.stride(0), tensor.stride(1), 0
    middle = batch.class_dim == 1
    return tensor.stride(0), tensor.stride(2 if middle else 1), tensor.stride(1 if middle else 2)
