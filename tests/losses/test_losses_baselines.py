import math

import losses_naive as naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from anchorstream.losses import (
    FocalLoss,
    FrameCrossEntropy,
    end_frame_loss,
    focal_loss,
    frame_cross_entropy,
    max_pooling_loss,
    smoothed_max_pooling_loss,
)

F64 = torch.float64


def make_batch(num_classes, seed=0, batch=3, num_frames=12):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, num_frames, num_classes) if num_classes else (batch, num_frames)
    logits = 2 * torch.randn(shape, generator=generator, dtype=F64)
    targets = torch.randint(0, max(num_classes, 2), (batch, num_frames), generator=generator)
    targets[torch.rand(batch, num_frames, generator=generator) < 0.3] = 0
    valid = torch.arange(num_frames) < torch.tensor([num_frames, 7, 3])[:batch, None]
    return logits, targets, valid


def test_class_weights_with_weighted_mean_are_those_of_torch():
    logits, targets, _ = make_batch(3)
    weight = torch.tensor([0.2, 1.0, 3.0], dtype=F64)
    flat = logits.flatten(0, 1), targets.flatten()
    ours = FrameCrossEntropy(class_weight=weight, reduction="weighted_mean")(logits, targets)
    torch.testing.assert_close(ours, F.cross_entropy(*flat, weight=weight))
    summed = frame_cross_entropy(logits, targets, class_weight=weight, reduction="sum")
    torch.testing.assert_close(summed, F.cross_entropy(*flat, weight=weight, reduction="sum"))


def test_cross_entropy_ignores_what_torch_ignores():
    logits, targets, _ = make_batch(3)
    targets[0, :4] = -100
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(frame_cross_entropy(logits, targets), expected)


@pytest.mark.parametrize("num_classes", [0, 2, 4])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 3.0])
def test_focal_agrees_with_a_loop(num_classes, gamma):
    logits, targets, valid = make_batch(num_classes)
    alpha = [0.25] + [0.75] * (max(num_classes, 2) - 1)
    got = focal_loss(logits, targets, None, valid, gamma=gamma, class_weight=alpha, reduction="none")
    for row in range(3):
        for t in range(12):
            label = int(targets[row, t])
            p = naive.probability(logits[row, t].tolist(), label)
            expected = alpha[label] * (1 - p) ** gamma * -math.log(p) if valid[row, t] else 0.0
            assert float(got[row, t]) == pytest.approx(expected, rel=1e-9)


def test_focal_is_the_published_binary_form():
    logits, targets, _ = make_batch(0)
    p = logits.sigmoid()
    expected = torch.where(targets == 1, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log()).mean()
    torch.testing.assert_close(FocalLoss(class_weight=[0.75, 0.25])(logits, targets), expected)


def test_end_frame_masks_far_frames_but_no_sequence_without_an_anchor():
    logits = torch.zeros(2, 6, 2, requires_grad=True)
    targets = torch.tensor([[0, 0, 1, 1, 0, 0], [0] * 6])
    loss = end_frame_loss(logits, targets, width_frames=1, reduction="none")
    assert (loss > 0).int().tolist() == [[0, 0, 1, 1, 1, 0], [1] * 6]
    mean = end_frame_loss(logits, targets, width_frames=1)
    assert mean.item() == pytest.approx(math.log(2))
    assert end_frame_loss(logits, targets, width_frames=1, reduction="mean").item() == pytest.approx(
        math.log(2) * 9 / 12
    )


def test_end_frame_takes_anchors_before_the_rule():
    logits = torch.zeros(1, 6, 2)
    targets = torch.tensor([[0, 0, 1, 1, 0, 0]])
    loss = end_frame_loss(logits, targets, torch.tensor([[0]]), width_frames=1, reduction="none")
    assert (loss > 0).int().tolist() == [[1, 1, 0, 0, 0, 0]]


def test_max_pooling_by_hand():
    # Two events of class 1, one of class 2 right after the second: each keeps its best frame, the first of
    # ties.
    targets = torch.tensor([[0, 1, 1, 0, 1, 1, 2, 2]])
    logits = torch.zeros(1, 8, 3)
    logits[0, 2, 1] = 4.0
    logits[0, 7, 2] = 4.0
    loss = max_pooling_loss(logits, targets, reduction="none")
    assert (loss > 0).int().tolist() == [[1, 0, 1, 1, 1, 0, 0, 1]]
    likely, even = math.log(1 + 2 * math.exp(-4)), math.log(3)
    expected = (2 * likely + 3 * even) / 5
    assert max_pooling_loss(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def _smoothed(row_logits, label, t, valid, sigma):
    reach = math.ceil(3 * sigma)
    taps = {s: math.exp(-0.5 * (s / sigma) ** 2) for s in range(-reach, reach + 1)}
    area = sum(taps.values())
    return sum(
        tap / area * naive.probability(row_logits[t + s], label)
        for s, tap in taps.items()
        if 0 <= t + s < len(row_logits) and valid[t + s]
    )


@given(st.integers(0, 1000), st.sampled_from([0, 2, 4]), st.sampled_from([None, 0.4, 1.3]))
@settings(max_examples=25)
def test_pooling_agrees_with_loops(seed, num_classes, sigma):
    logits, targets, valid = make_batch(num_classes, seed)
    if sigma is None:
        got = max_pooling_loss(logits, targets, None, valid, reduction="none")
    else:
        got = smoothed_max_pooling_loss(
            logits, targets, None, valid, smoothing_frames=sigma, reduction="none"
        )
    expected = torch.zeros_like(got)
    for row in range(3):
        row_logits, row_valid = logits[row].tolist(), valid[row].tolist()
        labels = [y if v else 0 for y, v in zip(targets[row].tolist(), row_valid, strict=True)]

        def cost(t, labels=labels, row_logits=row_logits, row_valid=row_valid):
            if labels[t] == 0 or sigma is None:
                return -math.log(naive.probability(row_logits[t], labels[t]))
            return -math.log(_smoothed(row_logits, labels[t], t, row_valid, sigma))

        for t, label in enumerate(labels):
            if label == 0 and row_valid[t]:
                expected[row, t] = cost(t)
        for run in naive.runs(labels):
            best = min(run, key=cost)
            expected[row, best] = cost(best)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


def test_smoothing_of_almost_nothing_is_max_pooling():
    logits, targets, valid = make_batch(3)
    smoothed = smoothed_max_pooling_loss(logits, targets, None, valid, smoothing_frames=1e-3)
    torch.testing.assert_close(smoothed, max_pooling_loss(logits, targets, None, valid))


def test_smoothed_pooling_prefers_a_broad_peak_to_a_higher_single_frame():
    logits = torch.full((1, 12), -6.0)
    logits[0, 1] = 6.0
    logits[0, 6:10] = 3.0
    targets = torch.ones(1, 12, dtype=torch.long)
    assert max_pooling_loss(logits, targets, reduction="none").argmax() == 1
    assert smoothed_max_pooling_loss(logits, targets, smoothing_frames=1.5, reduction="none").argmax() in (
        7,
        8,
    )


LOSSES = [frame_cross_entropy, focal_loss, end_frame_loss, max_pooling_loss, smoothed_max_pooling_loss]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_gradients_agree_with_finite_differences(loss, num_classes):
    logits, targets, valid = make_batch(num_classes, num_frames=7)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, None, valid), logits)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_nan_padding_and_empty_batches(loss, num_classes):
    logits, targets, valid = make_batch(num_classes)
    garbage = logits.clone()
    garbage[~valid] = torch.nan
    logits.requires_grad_()
    garbage.requires_grad_()
    clean, dirty = loss(logits, targets, None, valid), loss(garbage, targets, None, valid)
    torch.testing.assert_close(clean, dirty)
    dirty.backward()
    assert (garbage.grad[~valid] == 0).all()
    assert garbage.grad.isfinite().all()
    nothing = loss(garbage, targets, None, torch.zeros_like(valid))
    assert nothing == 0
    assert loss(logits[:, :0], targets[:, :0]) == 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_extreme_logits_stay_finite(loss, num_classes):
    _, targets, _ = make_batch(num_classes)
    shape = (*targets.shape, num_classes) if num_classes else targets.shape
    logits = torch.full(shape, 1e4)
    logits[:, ::2] = -1e4
    if num_classes:
        logits[..., 0] = -logits[..., 1]
    logits.requires_grad_()
    value = loss(logits, targets)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_baselines_compile_into_one_graph(loss):
    logits, targets, valid = make_batch(3)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, targets, None, valid), loss(logits, targets, None, valid))


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="width_frames must be more than 0"):
        end_frame_loss(torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.long), width_frames=0)
    with pytest.raises(ValueError, match="smoothing_frames must be more than 0"):
        smoothed_max_pooling_loss(torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.long), smoothing_frames=0)
    with pytest.raises(ValueError, match="gamma must be at least 0"):
        FocalLoss(gamma=-1)
