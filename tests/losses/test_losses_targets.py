"""Soft targets and label smoothing, against torch and against loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from anchorstream.losses import (
    end_frame_loss,
    focal_loss,
    frame_cross_entropy,
    max_pooling_loss,
    smoothed_max_pooling_loss,
    streaming_anchor_loss,
    temporal_weight,
)

F64 = torch.float64
LOSSES = [
    streaming_anchor_loss,
    frame_cross_entropy,
    focal_loss,
    end_frame_loss,
    max_pooling_loss,
    smoothed_max_pooling_loss,
]


def make_batch(num_classes, batch=3, num_frames=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, num_frames, num_classes) if num_classes else (batch, num_frames)
    logits = 2 * torch.randn(shape, generator=generator, dtype=F64)
    targets = torch.randint(0, max(num_classes, 2), (batch, num_frames), generator=generator)
    return logits, targets


def soft_of(logits, seed=1):
    generator = torch.Generator().manual_seed(seed)
    noise = 2 * torch.randn(logits.shape, generator=generator, dtype=F64)
    return noise.softmax(-1) if logits.ndim == 3 else noise.sigmoid()


@pytest.mark.parametrize("num_classes", [2, 3, 20])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothing_weights_and_soft_targets_are_those_of_torch(num_classes, label_smoothing, weighted):
    logits, targets = make_batch(num_classes)
    weight = torch.linspace(0.5, 2.0, num_classes, dtype=F64) if weighted else None
    options = {"class_weight": weight, "label_smoothing": label_smoothing, "reduction": "none"}
    theirs = {"weight": weight, "label_smoothing": label_smoothing, "reduction": "none"}
    torch.testing.assert_close(
        frame_cross_entropy(logits, targets, **options),
        F.cross_entropy(logits.transpose(1, 2), targets, **theirs),
    )
    soft = soft_of(logits)
    torch.testing.assert_close(
        frame_cross_entropy(logits, soft, **options),
        F.cross_entropy(logits.transpose(1, 2), soft.transpose(1, 2), **theirs),
    )
    mean = frame_cross_entropy(logits, targets, **{**options, "reduction": "weighted_mean"})
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), **{**theirs, "reduction": "mean"})
    torch.testing.assert_close(mean, expected)


def test_one_sigmoid_output_with_soft_targets_is_binary_cross_entropy():
    logits, _ = make_batch(0)
    soft = soft_of(logits)
    expected = F.binary_cross_entropy_with_logits(logits, soft)
    torch.testing.assert_close(frame_cross_entropy(logits, soft), expected)
    smoothed = F.binary_cross_entropy_with_logits(logits, 0.9 * soft + 0.05)
    torch.testing.assert_close(frame_cross_entropy(logits, soft, label_smoothing=0.1), smoothed)


@pytest.mark.parametrize("num_classes", [0, 2, 4])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize("focal", [None, "add", "multiply"])
def test_soft_anchor_losses_agree_with_a_loop(num_classes, label_smoothing, focal):
    logits, _ = make_batch(num_classes)
    soft = soft_of(logits)
    anchors = torch.tensor([[2], [8], [-1]])
    alpha = [0.5] + [1.5] * (max(num_classes, 2) - 1)
    got = streaming_anchor_loss(
        logits,
        soft,
        anchors,
        scale=2.0,
        focal=focal,
        gamma=1.5,
        class_weight=alpha,
        label_smoothing=label_smoothing,
        reduction="none",
    )
    weight = temporal_weight(anchors, 9, scale=2.0, dtype=F64)
    for row in range(3):
        for t in range(9):
            if num_classes:
                y, p = soft[row, t].tolist(), logits[row, t].softmax(-1).tolist()
            else:
                y, p = ([1 - float(v), float(v)] for v in (soft[row, t], logits[row, t].sigmoid()))
            smooth = [(1 - label_smoothing) * q + label_smoothing / len(y) for q in y]
            ce = -sum(a * q * math.log(v) for a, q, v in zip(alpha, smooth, p, strict=True))
            miss = 1 - sum(q * v for q, v in zip(y, p, strict=True))
            w = float(weight[row, t])
            factor = {None: w, "add": w + miss**1.5, "multiply": w * miss**1.5}[focal]
            assert float(got[row, t]) == pytest.approx(factor * ce, rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_classes", [0, 2, 3])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.25])
def test_soft_targets_of_0_and_1_are_class_indices(loss, num_classes, label_smoothing):
    logits, targets = make_batch(num_classes)
    soft = F.one_hot(targets, num_classes).to(F64) if num_classes else targets.to(F64)
    valid = torch.arange(9) < torch.tensor([9, 5, 0])[:, None]
    weight = [0.5, 2.0, 1.0][: max(num_classes, 2)]
    options = {"label_smoothing": label_smoothing, "class_weight": weight}
    as_soft = loss(logits, soft, None, valid, **options)
    torch.testing.assert_close(as_soft, loss(logits, targets, None, valid, **options))
    soft[~valid] = torch.nan  # padding is not looked at
    assert torch.equal(loss(logits, soft, None, valid, **options), as_soft)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_classes", [2, 3])
def test_soft_targets_with_the_classes_in_the_middle(loss, num_classes):
    logits, _ = make_batch(num_classes)
    soft = soft_of(logits)
    middle = loss(logits.transpose(1, 2), soft.transpose(1, 2), class_dim=1, reduction="none")
    torch.testing.assert_close(middle, loss(logits, soft, reduction="none"))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_gradients_under_soft_targets_agree_with_finite_differences(loss, num_classes):
    logits, targets = make_batch(num_classes, batch=2, num_frames=5)
    soft = soft_of(logits)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, soft), logits)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, label_smoothing=0.2), logits)


def test_pooling_of_soft_events_keeps_the_likeliest_class():
    # Frames 1 and 2 are one event of class 1, more likely at frame 2.
    soft = torch.tensor([[[1.0, 0.0], [0.3, 0.7], [0.2, 0.8], [0.9, 0.1]]])
    logits = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 0.0]]])
    got = max_pooling_loss(logits, soft, reduction="none")
    ce = -(soft * logits.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(got, ce * torch.tensor([[1.0, 0.0, 1.0, 1.0]]))


def test_smoothed_pooling_of_soft_events_is_the_cross_entropy_of_smoothed_posteriors():
    logits, _ = make_batch(3, batch=1, num_frames=3)
    soft = torch.tensor([[[0.1, 0.8, 0.1]] * 3], dtype=F64)
    got = smoothed_max_pooling_loss(logits, soft, smoothing_frames=1.0, reduction="none")
    taps = torch.exp(-0.5 * torch.arange(-3, 4, dtype=F64) ** 2)
    taps = taps / taps.sum()
    posterior = logits.softmax(-1)[0]
    smooth = torch.stack([sum(taps[3 + s - t] * posterior[s] for s in range(3)) for t in range(3)])
    best = int(smooth[:, 1].argmax())
    expected = torch.zeros(1, 3, dtype=F64)
    expected[0, best] = -(soft[0, best] * smooth[best].log()).sum()
    torch.testing.assert_close(got, expected)
