import itertools

import losses_naive as naive
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from anchorstream.losses import (
    StreamingAnchorLoss,
    anchors_from_targets,
    end_frame_loss,
    focal_loss,
    streaming_anchor_loss,
    temporal_weight,
)

F64 = torch.float64
FOCALS = [None, "add", "multiply"]


def make_batch(num_classes=3, batch=4, num_frames=11, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, num_frames, num_classes) if num_classes else (batch, num_frames)
    logits = 2 * torch.randn(shape, generator=generator, dtype=F64)
    targets = torch.randint(0, max(num_classes, 2), (batch, num_frames), generator=generator)
    targets[torch.rand(batch, num_frames, generator=generator) < 0.5] = 0
    targets[0] = 0
    valid = torch.arange(num_frames) < torch.tensor([num_frames, 7, 3, 0])[:batch, None]
    return logits, targets, valid


@pytest.mark.parametrize("num_classes", [0, 2, 3, 17])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "weighted_mean"])
def test_agrees_with_loops_over_a_grid_of_options(num_classes, reduction):
    logits, targets, valid = make_batch(num_classes)
    targets[1, 2] = -100
    indices = torch.tensor([[3, 9], [0, -1], [2, 1], [-1, -1]])
    anchor_lists = [[a for a in row if a >= 0] for row in indices.tolist()]
    class_weights = [None, [0.5, *[1.5] * (max(num_classes, 2) - 1)]]
    for focal, gamma, kernel, scale_after, class_weight, given_anchors in itertools.product(
        FOCALS, [0.0, 0.5, 2.0], ["exponential", "triangular"], [None, 1.5], class_weights, [True, False]
    ):
        options = {
            "peak": 6.0,
            "floor": 0.5,
            "scale": 3.0,
            "scale_after": scale_after,
            "kernel": kernel,
            "focal": focal,
            "gamma": gamma,
            "focal_weight": 0.7,
            "class_weight": class_weight,
            "reduction": reduction,
        }
        got = streaming_anchor_loss(logits, targets, indices if given_anchors else None, valid, **options)
        expected = naive.streaming_anchor(
            logits.tolist(),
            targets.tolist(),
            anchor_lists if given_anchors else None,
            valid.tolist(),
            **options,
        )
        torch.testing.assert_close(got, torch.tensor(expected, dtype=F64), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("focal", FOCALS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_gradients_agree_with_finite_differences(focal, gamma, num_classes):
    logits, targets, valid = make_batch(num_classes, batch=3, num_frames=5)
    logits.requires_grad_()
    loss = StreamingAnchorLoss(scale=2.0, focal=focal, gamma=gamma, reduction="weighted_mean")
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, None, valid[:3, :5]), logits)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, targets, None, valid[:3, :5]), logits)


# The limits of the definition.


@pytest.mark.parametrize("num_classes", [2, 5, 20])
def test_equal_peak_and_floor_is_cross_entropy(num_classes):
    logits, targets, _ = make_batch(num_classes)
    got = streaming_anchor_loss(logits, targets, peak=1.0, floor=1.0)
    torch.testing.assert_close(got, F.cross_entropy(logits.flatten(0, 1), targets.flatten()))


def test_equal_peak_and_floor_is_binary_cross_entropy_for_one_output():
    logits, targets, _ = make_batch(0)
    got = streaming_anchor_loss(logits, targets, peak=1.0, floor=1.0)
    torch.testing.assert_close(got, F.binary_cross_entropy_with_logits(logits, targets.to(F64)))


def test_gamma_zero_makes_safl_sal():
    logits, targets, valid = make_batch()
    # Some frames are all but sure.
    logits = logits * 40
    safl = streaming_anchor_loss(logits, targets, None, valid, focal="multiply", gamma=0.0)
    torch.testing.assert_close(safl, streaming_anchor_loss(logits, targets, None, valid), rtol=0, atol=0)


def test_focal_weight_zero_makes_sa_fl_sal():
    logits, targets, valid = make_batch()
    sa_fl = streaming_anchor_loss(logits, targets, None, valid, focal="add", focal_weight=0.0)
    torch.testing.assert_close(sa_fl, streaming_anchor_loss(logits, targets, None, valid))


def test_flat_weight_makes_safl_the_focal_loss():
    logits, targets, valid = make_batch()
    safl = streaming_anchor_loss(logits, targets, None, valid, focal="multiply", peak=1.0, floor=1.0)
    torch.testing.assert_close(safl, focal_loss(logits, targets, None, valid))


def test_rectangle_on_nothing_is_end_frame_masking():
    logits, targets, _ = make_batch()
    logits, targets = logits[1:], targets[1:]  # every row has an anchor
    masked = streaming_anchor_loss(
        logits, targets, kernel="rectangular", peak=1.0, floor=0.0, scale=2, reduction="none"
    )
    torch.testing.assert_close(masked, end_frame_loss(logits, targets, width_frames=2, reduction="none"))
    assert (masked == 0).any()


def test_weight_multiplies_cross_entropy_frame_by_frame():
    logits, targets, _ = make_batch()
    anchors = torch.tensor([[2], [5], [-1], [10]])
    ce = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    weight = temporal_weight(anchors, 11, dtype=F64)
    got = streaming_anchor_loss(logits, targets, anchors, reduction="none")
    torch.testing.assert_close(got, weight * ce)


# Layouts and inputs.


@pytest.mark.parametrize("num_classes", [3, 20])
def test_classes_in_the_middle_give_the_same_loss_and_gradient(num_classes):
    logits, targets, valid = make_batch(num_classes)
    last = logits.clone().requires_grad_()
    middle = logits.transpose(1, 2).contiguous().requires_grad_()
    loss = streaming_anchor_loss(last, targets, None, valid)
    same = streaming_anchor_loss(middle, targets, None, valid, class_dim=1)
    torch.testing.assert_close(loss, same)
    loss.backward()
    same.backward()
    torch.testing.assert_close(last.grad, middle.grad.transpose(1, 2))


def test_two_classes_agree_with_one_sigmoid_output():
    logits, targets, valid = make_batch(2)
    one = logits[..., 1] - logits[..., 0]
    for focal in FOCALS:
        two_outputs = streaming_anchor_loss(logits, targets, None, valid, focal=focal)
        torch.testing.assert_close(streaming_anchor_loss(one, targets, None, valid, focal=focal), two_outputs)


def test_lengths_are_valid_in_short():
    logits, targets, valid = make_batch()
    with_lengths = streaming_anchor_loss(logits, targets, lengths=valid.sum(-1))
    torch.testing.assert_close(with_lengths, streaming_anchor_loss(logits, targets, None, valid))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32])
def test_targets_of_any_integer_type(dtype):
    logits, targets, _ = make_batch(2)
    torch.testing.assert_close(
        streaming_anchor_loss(logits, targets.to(dtype)), streaming_anchor_loss(logits, targets)
    )


@pytest.mark.parametrize("ignore_index", [-100, -1])
def test_high_classes_in_a_small_integer_type_are_not_ignored(ignore_index):
    logits, _, _ = make_batch(257, batch=1)
    targets = torch.zeros(1, 11, dtype=torch.uint8)
    targets[0, 3:6], targets[0, 8] = 156, 255
    loss = StreamingAnchorLoss(ignore_index=ignore_index, reduction="none")
    lengths = torch.tensor([11])
    found = loss(logits, targets, lengths=lengths)
    assert torch.equal(found, loss(logits, targets.long(), lengths=lengths))
    assert (found > 0).all()


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def default_dtype(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("default_dtype")
@pytest.mark.parametrize("num_classes", [0, 2])
@pytest.mark.parametrize("focal", FOCALS)
@pytest.mark.parametrize(("dtype", "error"), [(F64, 1e-12), (torch.float32, 1e-5)])
def test_gradients_are_as_exact_as_the_logits(num_classes, focal, dtype, error):
    logits, targets, _ = make_batch(num_classes)
    leaf = logits.to(dtype).requires_grad_()
    loss = streaming_anchor_loss(leaf, targets, focal=focal, reduction="sum")
    loss.backward()
    assert loss.dtype == leaf.grad.dtype == dtype
    # The formulas of the page, for the one logit that tells event from background.
    event = leaf.detach().to(F64)
    event = event if num_classes == 0 else event[..., 1] - event[..., 0]
    sign = 1 - 2 * targets.to(F64)
    miss, ce = torch.sigmoid(sign * event), F.softplus(sign * event, threshold=50.0)
    weight = temporal_weight(anchors_from_targets(targets), dtype=F64)
    hard = miss**2 + 2 * miss * (1 - miss) * ce
    pull = {None: weight, "add": weight + hard, "multiply": weight * hard}[focal] * sign * miss
    expected = pull if num_classes == 0 else torch.stack([-pull, pull], dim=-1)
    torch.testing.assert_close(leaf.grad.to(F64), expected, rtol=error, atol=error)


def test_not_contiguous_logits():
    logits, targets, _ = make_batch(20)
    strided = logits.repeat_interleave(2, dim=1)[:, ::2]
    assert not strided.is_contiguous()
    torch.testing.assert_close(
        streaming_anchor_loss(strided, targets), streaming_anchor_loss(logits, targets)
    )


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (2, 0)])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "weighted_mean"])
def test_nothing_gives_zero(shape, reduction):
    logits = torch.zeros(shape, requires_grad=True)
    targets = torch.zeros(shape[:2], dtype=torch.long)
    loss = streaming_anchor_loss(logits, targets, reduction=reduction).sum()
    loss.backward()
    assert loss == 0
    assert logits.grad.shape == shape


@pytest.mark.parametrize("reduction", ["sum", "mean", "weighted_mean"])
@pytest.mark.parametrize("floor", [0.0, 1.0])
def test_no_valid_frame_gives_a_differentiable_zero(reduction, floor):
    logits, targets, _ = make_batch()
    logits = torch.full_like(logits, torch.nan).requires_grad_()
    valid = torch.zeros_like(targets, dtype=torch.bool)
    loss = streaming_anchor_loss(logits, targets, None, valid, reduction=reduction, floor=floor)
    loss.backward()
    assert loss == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_weights_of_zero_everywhere_give_zero():
    logits, _, _ = make_batch()
    targets = torch.zeros(logits.shape[:2], dtype=torch.long)
    logits.requires_grad_()
    loss = streaming_anchor_loss(logits, targets, floor=0.0, reduction="weighted_mean")
    loss.backward()
    assert loss == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_an_ignored_frame_may_be_an_anchor_but_a_padded_one_not():
    logits = torch.zeros(1, 4, 2)
    ignored = streaming_anchor_loss(
        logits, torch.tensor([[0, 0, -100, 0]]), torch.tensor([[2]]), scale=1, reduction="none"
    )
    assert ignored[0, 2] == 0
    assert ignored[0, 3] > ignored[0, 0] > 0
    valid = torch.tensor([[True, True, False, False]])
    targets = torch.zeros(1, 4, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\(0, 2\) lies in the padding"):
        streaming_anchor_loss(logits, targets, torch.tensor([[2]]), valid)
    mask = torch.tensor([[False, False, True, True]])
    assert streaming_anchor_loss(logits, targets, mask, valid) == pytest.approx(0.693147, abs=1e-5)


@pytest.mark.parametrize("focal", FOCALS)
@pytest.mark.parametrize("gamma", [0.0, 0.005, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("num_classes", [0, 2, 20])
def test_extreme_logits_stay_finite(focal, gamma, num_classes):
    _, targets, _ = make_batch(num_classes)
    shape = (*targets.shape, num_classes) if num_classes else targets.shape
    for value in (1e4, -1e4):
        logits = torch.full(shape, value)
        if num_classes:
            logits[..., 0] = -value
        logits.requires_grad_()
        loss = streaming_anchor_loss(logits, targets, focal=focal, gamma=gamma)
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype):
    logits, targets, valid = make_batch()
    half = logits.to(dtype).requires_grad_()
    loss = streaming_anchor_loss(half, targets, None, valid, focal="multiply")
    loss.backward()
    assert loss.dtype == torch.float32
    assert half.grad.dtype == dtype
    expected = streaming_anchor_loss(half.detach().float(), targets, None, valid, focal="multiply")
    torch.testing.assert_close(loss.detach(), expected)


@pytest.mark.parametrize("focal", FOCALS)
def test_compiles_into_one_graph(focal):
    logits, targets, valid = make_batch()
    loss = StreamingAnchorLoss(focal=focal, class_weight=[0.5, 1.0, 1.0])
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, targets, None, valid), loss(logits, targets, None, valid))


# What is refused.

LOGITS = torch.zeros(2, 5, 3)
TARGETS = torch.zeros(2, 5, dtype=torch.long)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"logits": torch.zeros(5, 3), "targets": TARGETS[0]}, ValueError, "batch dimension"),
        ({"logits": torch.zeros(5)}, ValueError, r"got shape \(5,\)"),
        ({"logits": torch.zeros(2, 5, 1)}, ValueError, r"squeeze\(-1\)"),
        ({"logits": torch.zeros(2, 3, 5)}, ValueError, "class_dim=1"),
        ({"logits": LOGITS.long()}, TypeError, "floating point"),
        ({"targets": TARGETS.float()}, ValueError, r"soft: .* each logit, \(2, 5, 3\)"),
        ({"targets": LOGITS + 0.5}, ValueError, r"sum to 1 .* \(0, 0\) they sum to 1.5"),
        ({"targets": LOGITS + 1.5}, ValueError, r"probabilities in \[0, 1\]"),
        ({"targets": LOGITS * torch.nan}, ValueError, "from nan to nan"),
        ({"targets": TARGETS + 1j}, TypeError, "complex"),
        (
            {"targets": TARGETS, "multi_label": True},
            ValueError,
            "multi_label=True: there must be one for each",
        ),
        ({"label_smoothing": 1.0}, ValueError, r"label_smoothing must lie in \[0, 1\)"),
        ({"peak": [2.0, 3.0]}, ValueError, "peak must be one number, or one for each of the 3 classes"),
        ({"peak": [2.0, 3.0, 0.5]}, ValueError, "at least floor"),
        ({"scale": [2.0, 3.0, 0.0]}, ValueError, r"scale\[2\] must be more than 0"),
        ({"scale_after": []}, ValueError, "or one for each class"),
        ({"overlap": "sum"}, ValueError, "nearest, largest"),
        ({"anchors": torch.tensor([[0.1], [0.2]])}, TypeError, "times in seconds and need frame_rate_hz"),
        (
            {"anchors": torch.tensor([[0.1], [9.0]]), "frame_rate_hz": 10.0, "scale": 0.1},
            ValueError,
            "anchor times, as frame indices, must lie in .* from 0 to 89",
        ),
        (
            {"anchors": torch.tensor([[0.1], [-0.5]]), "frame_rate_hz": 10.0, "scale": 0.1},
            ValueError,
            "at least 0 seconds",
        ),
        ({"anchors": torch.zeros(2, 4, 1, dtype=torch.long)}, ValueError, r"each of the 3 classes"),
        ({"density": torch.zeros(2, 4)}, ValueError, r"density must be \(B, T\) = \(2, 5\), or \(2, 5, 3\)"),
        ({"density": torch.zeros(2, 5) - 1}, ValueError, "at least 0, got values from -1"),
        ({"density": torch.zeros(2, 5) * torch.nan}, ValueError, "finite"),
        ({"density": TARGETS}, TypeError, "floating point"),
        ({"density": torch.zeros(2, 5), "anchors": TARGETS == 0}, TypeError, "not both"),
        ({"density": torch.zeros(2, 5), "peak": [1.0, 2.0, 3.0]}, ValueError, "of which class"),
        ({"targets": TARGETS + 3}, ValueError, r"\[0, 3\) .* from 3 to 3"),
        ({"targets": TARGETS - 1}, ValueError, "from -1 to -1"),
        ({"valid": torch.ones(2, 5)}, TypeError, "valid must be bool"),
        ({"valid": torch.ones(2, 4, dtype=torch.bool)}, ValueError, r"\(2, 5\), got \(2, 4\)"),
        ({"lengths": torch.tensor([5, 6])}, ValueError, "from 5 to 6"),
        ({"lengths": torch.tensor([5])}, ValueError, r"\(2,\), got \(1,\)"),
        ({"lengths": torch.tensor([5.0, 5.0])}, TypeError, "lengths must be integers"),
        ({"lengths": torch.tensor([5, 5]), "valid": TARGETS == 0}, TypeError, "not both"),
        ({"anchors": torch.tensor([[5], [1]])}, ValueError, "anchor indices"),
        ({"anchors": torch.tensor([5, 1])}, ValueError, r"got shape \(2,\)"),
        ({"anchors": torch.zeros(2, 4, dtype=torch.bool)}, ValueError, "5 frames"),
        ({"anchors": "end"}, ValueError, "onset, offset, both"),
        ({"class_weight": [1.0, 2.0]}, ValueError, "each of the 3 classes"),
        ({"class_dim": 0}, ValueError, "class_dim"),
        ({"reduction": "average"}, ValueError, "none, sum, mean, weighted_mean"),
        ({"density": torch.zeros(2, 5), "anchors": [[3], [4]]}, TypeError, "not both"),
        ({"peak": {2.0, 3.0}}, TypeError, "peak must be a number, or one for each class, got {"),
        ({"peak": [2.0, "3"]}, TypeError, r"peak\[1\] must be a number, got '3'"),
        ({"peak": torch.ones(3, 2)}, TypeError, r"peak\[0\] must be a number, got \[1.0, 1.0\]"),
        ({"peak": np.array([True, True, True])}, TypeError, r"peak\[0\] must be a number, got True"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        streaming_anchor_loss(**{"logits": LOGITS, "targets": TARGETS, **arguments})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("logits", LOGITS.tolist(), "list"),
        ("targets", TARGETS.tolist(), "list"),
        ("targets", TARGETS.numpy(), "ndarray"),
        ("anchors", [[3], [4]], "list"),
        ("anchors", ((3,), (4,)), "tuple"),
        ("valid", [[True] * 5] * 2, "list"),
        ("lengths", [5, 4], "list"),
        ("density", [[0.2] * 5] * 2, "list"),
    ],
)
def test_what_is_no_tensor_is_refused_by_name(name, value, kind):
    arguments = {"logits": LOGITS, "targets": TARGETS, name: value}
    message = rf"{name} must be a tensor, got {kind}; torch.tensor\({name}\) makes one"
    with pytest.raises(TypeError, match=message):
        streaming_anchor_loss(**arguments)
    with pytest.raises(TypeError, match=message):
        StreamingAnchorLoss()(**arguments)
    if arguments.pop("logits") is LOGITS:
        with pytest.raises(TypeError, match=message):
            StreamingAnchorLoss().weight(**arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"peak": 0.1}, ValueError, "at least floor"),
        ({"focal": "divide"}, ValueError, "'add' or 'multiply'"),
        ({"gamma": -1.0}, ValueError, "gamma must be at least 0"),
        ({"focal_weight": "1"}, TypeError, "focal_weight must be a number"),
        ({"gamma": True}, TypeError, "gamma must be a number, got True"),
        ({"gamma": np.bool_(True)}, TypeError, "gamma must be a number, got True"),
        ({"gamma": torch.tensor([1.0, 2.0])}, TypeError, r"gamma must be a number, got \[1.0, 2.0\]"),
        ({"anchors": "middle"}, ValueError, "onset, offset, both"),
        ({"reduction": "avg"}, ValueError, "reduction must be one of"),
        ({"class_dim": 2}, ValueError, "class_dim"),
        ({"class_weight": [-1.0, 1.0]}, ValueError, "at least 0"),
        ({"class_weight": [[1.0]]}, ValueError, "class_weight must be a list"),
    ],
)
def test_wrong_options_are_refused_when_the_module_is_made(options, error, message):
    with pytest.raises(error, match=message):
        StreamingAnchorLoss(**options)
