"""Several classes with anchors, peaks and scales of their own; several independent outputs."""

import losses_naive as naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream import losses
from anchorstream.losses import StreamingAnchorLoss, build, streaming_anchor_loss

F64 = torch.float64
OPTIONS = {"peak": [4.0, 8.0, 6.0], "floor": 0.5, "scale": [1.0, 2.0, 5.0], "scale_after": [3.0, 1.0, 2.0]}


def weight_by_loops(anchors, t, overlap, kernel="exponential"):
    """``anchors`` are pairs of frame and class."""

    def of(anchor):
        frame, k = anchor
        scale = OPTIONS["scale_after" if t > frame else "scale"][k]
        return 0.5 + (OPTIONS["peak"][k] - 0.5) * naive.KERNELS[kernel](abs(t - frame) / scale)

    if not anchors:
        return 0.5
    if overlap == "largest":
        return max(of(anchor) for anchor in anchors)
    # The nearest; of two equally near the earlier; of two classes at one frame the one with the higher peak.
    return of(min(anchors, key=lambda a: (abs(t - a[0]), a[0], -OPTIONS["peak"][a[1]])))


@given(
    anchors=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 2)), max_size=6),
    overlap=st.sampled_from(["nearest", "largest"]),
    kernel=st.sampled_from(sorted(naive.KERNELS)),
    class_dim=st.sampled_from([-1, 1]),
)
@settings(max_examples=150, deadline=None)
def test_anchors_of_each_class_agree_with_a_loop(anchors, overlap, kernel, class_dim):
    mask = torch.zeros(1, 12, 3, dtype=torch.bool)
    for frame, k in anchors:
        mask[0, frame, k] = True
    logits = torch.zeros(1, 12, 3, dtype=F64)
    if class_dim == 1:
        logits, mask = logits.transpose(1, 2), mask.transpose(1, 2)
    targets = torch.zeros(1, 12, dtype=torch.long)
    loss = StreamingAnchorLoss(**OPTIONS, overlap=overlap, kernel=kernel, class_dim=class_dim)
    expected = torch.tensor([[weight_by_loops(anchors, t, overlap, kernel) for t in range(12)]])
    torch.testing.assert_close(loss.weight(targets, mask), expected, check_dtype=False)
    loss.reduction = "none"
    ce = torch.log(torch.tensor(3.0, dtype=F64))
    torch.testing.assert_close(loss(logits, targets, mask), expected.to(F64) * ce)


@pytest.mark.parametrize("overlap", ["nearest", "largest"])
def test_an_anchor_without_a_class_has_that_of_its_frame(overlap):
    targets = torch.tensor([[0, 1, 1, 0, 0, 2, 0, 0]])
    loss = StreamingAnchorLoss(**OPTIONS, overlap=overlap)
    by_rule = loss.weight(targets)
    assert by_rule[0, 2] == 8.0
    assert by_rule[0, 5] == 6.0
    indices = torch.tensor([[2, 5, 7]])  # frame 7 is background: hard, and no keyword
    expected = [[weight_by_loops([(2, 1), (5, 2), (7, 0)], t, overlap) for t in range(8)]]
    torch.testing.assert_close(loss.weight(targets, indices), torch.tensor(expected))
    of_classes = torch.tensor([[[7, -1], [2, -1], [5, -1]]])  # (B, K, A)
    assert torch.equal(loss.weight(targets, of_classes), loss.weight(targets, indices))


@pytest.mark.parametrize("class_dim", [-1, 1])
def test_the_weight_takes_what_the_loss_takes_where_a_batch_lacks_the_highest_class(class_dim):
    targets = torch.tensor([[0, 1, 1, 0, 0]])
    mask = torch.zeros(1, 5, 4, dtype=torch.bool)
    mask[0, 2, 1] = True
    mask = mask if class_dim == -1 else mask.transpose(1, 2)
    logits = torch.zeros(mask.shape)
    calls = [
        {"anchors": mask},
        {"anchors": torch.tensor([[[-1], [2], [-1], [-1]]])},  # (B, K, A)
        {"density": mask.float()},
    ]
    for options in ({}, {"class_weight": [1.0] * 4}, {"scale_after": [20.0] * 4}, {"peak": [10.0] * 4}):
        loss = StreamingAnchorLoss(**options, class_dim=class_dim, reduction="none")
        for call in calls:
            weight = loss.weight(targets, **call)
            torch.testing.assert_close(weight, loss.weight(targets, torch.tensor([[2]])))
            ce = torch.log(torch.tensor(4.0))
            torch.testing.assert_close(loss(logits, targets, **call), weight * ce)


def test_the_weight_refuses_classes_that_do_not_fit_each_other():
    targets = torch.tensor([[0, 1, 1, 0, 3]])
    loss = StreamingAnchorLoss(peak=[10.0] * 4)
    with pytest.raises(ValueError, match="one set for each of the 4 classes"):
        loss.weight(targets, torch.zeros(1, 5, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"class indices in \[0, 3\)"):
        StreamingAnchorLoss().weight(targets, density=torch.zeros(1, 5, 3))


def test_one_number_for_all_classes_is_that_number_for_each():
    targets = torch.tensor([[0, 1, 1, 0, 0, 2, 0, 0], [0] * 8])
    logits = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    for overlap in ("nearest", "largest"):
        one = streaming_anchor_loss(logits, targets, peak=5.0, scale=2.0, scale_after=3.0, overlap=overlap)
        each = streaming_anchor_loss(
            logits, targets, peak=[5.0] * 3, scale=[2.0] * 3, scale_after=[3.0] * 3, overlap=overlap
        )
        torch.testing.assert_close(one, each)


def test_nearest_and_largest_differ_between_two_anchors_with_uneven_scales():
    weight = losses.temporal_weight(
        torch.tensor([[0, 4]]), 5, peak=2, floor=1, scale=1, scale_after=9, kernel="triangular"
    )
    largest = losses.temporal_weight(
        torch.tensor([[0, 4]]),
        5,
        peak=2,
        floor=1,
        scale=1,
        scale_after=9,
        kernel="triangular",
        overlap="largest",
    )
    assert weight[0].tolist() == pytest.approx([2, 2 - 1 / 9, 2 - 2 / 9, 1, 2])
    assert largest[0].tolist() == pytest.approx([2, 2 - 1 / 9, 2 - 2 / 9, 2 - 3 / 9, 2])


# Independent outputs.

NAMES = [name for name in losses.LOSS_NAMES if name != "wce"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("class_dim", [-1, 1])
def test_each_output_is_a_loss_of_its_own(name, soft, class_dim):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 10, 4, generator=generator, dtype=F64)
    targets = (torch.rand(3, 10, 4, generator=generator) < 0.4).long()
    if soft:
        targets = 0.2 + 0.6 * targets.to(F64)
    valid = torch.arange(10) < torch.tensor([10, 6, 0])[:, None]
    weight = [[0.5, 1.0], [1.0, 2.0], [1.0, 1.0], [3.0, 0.5]]
    options = {} if name == "ce" else {"class_weight": weight}
    arranged = [x if class_dim == -1 else x.transpose(1, 2) for x in (logits, targets)]
    loss = build(name, multi_label=True, reduction="none", class_dim=class_dim, **options)
    got = loss(*arranged, None, valid)
    assert got.shape == arranged[1].shape
    for k in range(4):
        options = {} if name == "ce" else {"class_weight": weight[k]}
        alone = build(name, reduction="none", **options)(logits[..., k], targets[..., k], None, valid)
        torch.testing.assert_close(got.select(class_dim, k), alone)
    for reduction in ("sum", "mean"):
        loss.reduction = reduction
        expected = got.sum() / (16 * 4 if reduction == "mean" else 1)
        torch.testing.assert_close(loss(*arranged, None, valid), expected)


def test_outputs_have_anchors_peaks_and_scales_of_their_own():
    logits = torch.zeros(2, 6, 2)
    targets = torch.zeros(2, 6, 2, dtype=torch.bool)
    options = {"peak": [3.0, 9.0], "scale": [1.0, 2.0], "kernel": "triangular", "multi_label": True}
    anchors = torch.tensor([[[1], [4]], [[-1], [0]]])  # (B, K, A)
    got = (
        streaming_anchor_loss(logits, targets, anchors, **options, reduction="none")
        / logits.sigmoid()[0, 0, 0].log().neg()
    )
    expected = torch.tensor([[[1, 3, 1, 1, 1, 1], [1, 1, 1, 5, 9, 5]], [[1] * 6, [9, 5, 1, 1, 1, 1]]])
    torch.testing.assert_close(got, expected.float().transpose(1, 2))
    mask = torch.zeros(2, 6, 2, dtype=torch.bool)
    mask[0, 1, 0] = mask[0, 4, 1] = mask[1, 0, 1] = True
    loss = StreamingAnchorLoss(**options)
    torch.testing.assert_close(loss.weight(targets, mask), expected.float().transpose(1, 2))
    shared = loss.weight(targets, torch.tensor([[1], [-1]]))  # (B, A): for every output
    assert shared[0, 1].tolist() == [3.0, 9.0]
    assert (shared[1] == 1).all()


def test_one_weight_for_each_output_weighs_background_and_event_alike():
    logits = torch.zeros(1, 3, 2)
    targets = torch.tensor([[[0, 1], [1, 0], [0, 0]]])
    got = losses.frame_cross_entropy(
        logits, targets, multi_label=True, class_weight=[1.0, 3.0], reduction="none"
    )
    torch.testing.assert_close(got, torch.tensor([[[1.0, 3.0]] * 3]) * torch.log(torch.tensor(2.0)))
    mean = losses.frame_cross_entropy(
        logits, targets, multi_label=True, class_weight=[1.0, 3.0], reduction="weighted_mean"
    )
    torch.testing.assert_close(mean, torch.log(torch.tensor(2.0)))
    exact = losses.frame_cross_entropy(
        logits.to(F64), targets, multi_label=True, class_weight=[0.1, 0.3], reduction="none"
    )
    tenths = torch.tensor([[[0.1, 0.3]] * 3], dtype=F64)
    torch.testing.assert_close(exact, tenths * torch.log(torch.tensor(2.0, dtype=F64)), rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match="each of the 2 outputs"):
        losses.frame_cross_entropy(logits, targets, multi_label=True, class_weight=[1.0, 3.0, 1.0])


def test_ignored_targets_of_single_outputs_leave_the_others():
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    targets = torch.ones(2, 5, 3, dtype=torch.long)
    targets[0, 2, 1] = -100
    got = streaming_anchor_loss(logits, targets, multi_label=True, reduction="none")
    assert got[0, 2, 1] == 0
    assert (got == 0).sum() == 1


def test_a_single_row_of_one_output_is_multi_label_with_one():
    logits = torch.randn(2, 7, 1, generator=torch.Generator().manual_seed(2))
    targets = (logits > 0).long()
    got = streaming_anchor_loss(logits, targets, multi_label=True)
    torch.testing.assert_close(got, streaming_anchor_loss(logits[..., 0], targets[..., 0]))
    same = streaming_anchor_loss(logits[..., 0], targets[..., 0], multi_label=True)
    torch.testing.assert_close(got, same)
