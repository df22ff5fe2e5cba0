import math

import losses_naive as naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.losses import (
    KERNEL_NAMES,
    anchor_distance,
    anchor_mask,
    anchors_from_targets,
    frames_of_times,
    temporal_weight,
)

F64 = torch.float64


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("onset", [1, 0, 0, 1, 0, 1, 0, 0]),
        ("offset", [0, 1, 0, 0, 1, 1, 0, 0]),
        ("both", [1, 1, 0, 1, 1, 1, 0, 0]),
    ],
)
def test_rule_marks_the_edges_of_runs(rule, expected):
    targets = torch.tensor([[1, 1, 0, 1, 1, 2, 0, 0]])
    assert anchors_from_targets(targets, rule).int().tolist() == [expected]


def test_rule_reads_an_event_cut_by_the_end_of_the_valid_frames_as_ending_there():
    targets = torch.tensor([[0, 1, 1, 1, 1]])
    valid = torch.tensor([[True, True, True, False, False]])
    assert anchors_from_targets(targets, "offset", valid=valid).int().tolist() == [[0, 0, 1, 0, 0]]
    assert anchors_from_targets(targets, "offset").int().tolist() == [[0, 0, 0, 0, 1]]


def test_rule_takes_ignored_frames_for_background():
    targets = torch.tensor([[-100, 1, 1, -100, 0]])
    assert anchors_from_targets(targets, "both").int().tolist() == [[0, 1, 1, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_labels_of_any_integer_type(dtype):
    # -100 is 156 in uint8, and 255 would be -1.
    highest = torch.iinfo(dtype).max
    label = min(156, highest)
    targets = torch.tensor([[0, label, label, 0, highest]], dtype=dtype)
    assert anchors_from_targets(targets).int().tolist() == [[0, 0, 1, 0, 1]]
    assert anchors_from_targets(targets, ignore_index=-1).int().tolist() == [[0, 0, 1, 0, 1]]
    assert anchors_from_targets(targets, ignore_index=highest).int().tolist() == [
        [0, 0, int(label != highest), 0, 0]
    ]


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_anchors_of_any_integer_type(dtype):
    indices = torch.tensor([[100, -1]])
    assert torch.equal(temporal_weight(indices.to(dtype), 300), temporal_weight(indices, 300))
    assert torch.equal(anchor_mask(indices.to(dtype), 40000), anchor_mask(indices, 40000))


def test_rule_on_an_empty_sequence_and_an_unknown_rule():
    assert anchors_from_targets(torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0)
    with pytest.raises(ValueError, match="onset, offset, both, got 'middle'"):
        anchors_from_targets(torch.zeros(1, 3, dtype=torch.long), "middle")


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
@settings(max_examples=50)
def test_offsets_agree_with_a_loop(labels):
    mask = anchors_from_targets(torch.tensor([labels]), "offset")
    assert mask[0].nonzero().flatten().tolist() == naive.offsets(labels)


@given(st.integers(1, 20), st.data())
@settings(max_examples=80)
def test_distance_agrees_with_a_loop(num_frames, data):
    anchors = data.draw(st.lists(st.integers(0, num_frames - 1), max_size=5))
    expected = [naive.distance(t, anchors) for t in range(num_frames)]
    indices = torch.tensor([[*anchors, -1]])
    assert anchor_distance(indices, num_frames)[0].tolist() == expected
    assert anchor_distance(anchor_mask(indices, num_frames))[0].tolist() == expected


def test_without_any_anchor_the_distance_is_infinite():
    assert anchor_distance(torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[math.inf] * 3]
    assert anchor_distance(torch.zeros(2, 0, dtype=torch.long), 3).tolist() == [[math.inf] * 3] * 2
    assert anchor_distance(torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)


@pytest.mark.parametrize("kernel", KERNEL_NAMES)
@pytest.mark.parametrize("scale_after", [None, 0.5, 7.0])
def test_weight_agrees_with_a_loop(kernel, scale_after):
    options = {"peak": 7.0, "floor": 0.25, "scale": 3.0, "scale_after": scale_after, "kernel": kernel}
    rows = [[0, 9], [4], [], [13, 3, 2]]
    indices = torch.tensor([row + [-1] * (3 - len(row)) for row in rows])
    got = temporal_weight(indices, 14, dtype=F64, **options)
    expected = torch.tensor([[naive.weight(t, row, **options) for t in range(14)] for row in rows], dtype=F64)
    torch.testing.assert_close(got, expected, rtol=1e-14, atol=1e-14)


@given(
    kernel=st.sampled_from(KERNEL_NAMES),
    scale=st.floats(0.01, 1e4),
    floor=st.floats(0, 50),
    extra=st.floats(0, 50),
    anchor=st.integers(0, 30),
)
@settings(max_examples=80)
def test_weight_is_bounded_and_decays_with_distance(kernel, scale, floor, extra, anchor):
    peak = floor + extra
    weight = temporal_weight(
        torch.tensor([anchor]), 31, peak=peak, floor=floor, scale=scale, kernel=kernel, dtype=F64
    )
    assert weight[anchor] == pytest.approx(peak)
    assert weight.min() >= floor - 1e-9
    assert weight.max() <= peak + 1e-9
    order = (torch.arange(31) - anchor).abs().argsort(stable=True)
    assert (weight[order].diff() <= 1e-9).all()


@pytest.mark.parametrize("kernel", KERNEL_NAMES)
def test_weight_of_a_sequence_without_anchors_is_the_floor(kernel):
    weight = temporal_weight(torch.zeros(2, 5, dtype=torch.bool), floor=0.5, kernel=kernel)
    assert weight.tolist() == [[0.5] * 5] * 2


def test_one_frame_has_the_peak_and_frames_far_away_the_floor():
    weight = temporal_weight(torch.tensor([500]), 2000, peak=8.0, floor=2.0, scale=5.0, dtype=F64)
    assert weight[500] == 8.0
    assert (weight == 8.0).sum() == 1
    torch.testing.assert_close(weight[[0, 1999]], torch.tensor([2.0, 2.0], dtype=F64))


def test_scale_in_seconds_is_scale_in_frames():
    anchors = torch.tensor([[30]])
    in_seconds = temporal_weight(anchors, 80, scale=0.05, scale_after=0.2, frame_rate_hz=100)
    in_frames = temporal_weight(anchors, 80, scale=5, scale_after=20)
    assert torch.equal(in_seconds, in_frames)


def test_rectangle_in_seconds_keeps_its_outermost_frames():
    # 0.29 * 100 is 28.999999999999996 in floating point.
    weight = temporal_weight(
        torch.tensor([40]), 100, peak=1, floor=0, scale=0.29, kernel="rectangular", frame_rate_hz=100
    )
    assert weight.nonzero().flatten().tolist() == list(range(11, 70))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_at_the_end_and_not_while_frames_are_counted(dtype):
    anchors = torch.tensor([2501])
    weight = temporal_weight(anchors, 3000, scale=5.0, dtype=dtype)
    assert weight.dtype == dtype
    assert torch.equal(weight, temporal_weight(anchors, 3000, scale=5.0, dtype=F64).float().to(dtype))
    assert (weight == 10.0).nonzero().flatten().tolist() == [2501]
    density = torch.zeros(3000, dtype=dtype)
    density[2501] = 1.0
    expected = temporal_weight(None, density=density, scale=5.0)
    assert torch.equal(temporal_weight(None, density=density, scale=5.0, dtype=dtype), expected.to(dtype))
    distance = anchor_distance(anchors, 3000, dtype=dtype)
    assert torch.equal(distance, (torch.arange(3000) - 2501).to(dtype))


def test_weights_and_distances_are_floating():
    for call in (temporal_weight, anchor_distance):
        with pytest.raises(TypeError, match=r"dtype must be floating point, got torch\.int64"):
            call(torch.tensor([1]), 4, dtype=torch.int64)


def test_a_kernel_of_ones_own():
    weight = temporal_weight(
        torch.tensor([1]), 4, peak=3, floor=1, scale=1, kernel=lambda x: (x == 0).to(x.dtype)
    )
    assert weight.tolist() == [1, 3, 1, 1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"peak": 0.5}, ValueError, "peak must be at least floor"),
        ({"floor": -1.0}, ValueError, "floor must be at least 0"),
        ({"peak": math.nan}, ValueError, "peak .* finite"),
        ({"scale": 0.0}, ValueError, "scale must be more than 0"),
        ({"scale": "20"}, TypeError, "scale must be a number"),
        ({"scale_after": -2.0}, ValueError, "scale_after must be more than 0"),
        ({"kernel": "cosine"}, ValueError, "exponential, gaussian"),
        ({"kernel": 3}, TypeError, "or a function"),
        ({"scale": 0.1, "frame_rate_hz": 0.0}, ValueError, "frame_rate_hz must be more than 0"),
        ({"frame_rate_hz": 100.0}, ValueError, "scale is in seconds"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        temporal_weight(torch.tensor([1]), 4, **options)


@pytest.mark.parametrize(
    ("anchors", "num_frames", "error", "message"),
    [
        (torch.tensor([[4]]), 4, ValueError, r"\[0, 4\) or be -1 .* from 4 to 4"),
        (torch.tensor([[-2, 1]]), 4, ValueError, "from -2 to 1"),
        (torch.tensor([[0.5]]), 4, TypeError, "times in seconds and need frame_rate_hz"),
        (torch.tensor([[1]]), None, TypeError, "num_frames"),
        (torch.ones(1, 3, dtype=torch.bool), 4, ValueError, r"4 frames, got shape \(1, 3\)"),
        ([[1]], 4, TypeError, "anchors must be a tensor, got list"),
    ],
)
def test_wrong_anchors_are_refused(anchors, num_frames, error, message):
    with pytest.raises(error, match=message):
        anchor_mask(anchors, num_frames)


def test_what_is_no_tensor_is_refused_by_name():
    with pytest.raises(TypeError, match="targets must be a tensor, got list"):
        anchors_from_targets([[0, 1, 0]])
    with pytest.raises(TypeError, match="valid must be a tensor, got list"):
        anchors_from_targets(torch.tensor([[0, 1, 0]]), valid=[[True, True, False]])
    with pytest.raises(TypeError, match="times_s must be a tensor, got list"):
        frames_of_times([[0.5]], 100.0)
    with pytest.raises(TypeError, match="density must be a tensor, got list"):
        temporal_weight(None, density=[[0.5, 0.5]])
