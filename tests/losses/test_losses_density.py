"""Anchors as times, and as a density over frames."""

import math

import losses_naive as naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.frames import FrameClock
from anchorstream.losses import (
    KERNEL_NAMES,
    StreamingAnchorLoss,
    end_frame_loss,
    frames_of_times,
    streaming_anchor_loss,
    temporal_weight,
)

F64 = torch.float64


@pytest.mark.parametrize("kernel", KERNEL_NAMES)
@pytest.mark.parametrize("scale_after", [None, 0.7, 6.0])
@pytest.mark.parametrize("num_frames", [1, 2, 13])
def test_the_weight_is_the_expectation_of_the_kernel(kernel, scale_after, num_frames):
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(3, num_frames, generator=generator, dtype=F64)
    density = density / density.sum(-1, keepdim=True)
    density[1] *= 0.4  # it may be that there is no anchor
    density[2] = 0.0
    options = {"peak": 7.0, "floor": 0.5, "scale": 2.0, "scale_after": scale_after, "kernel": kernel}
    got = temporal_weight(None, density=density, dtype=F64, **options)
    for row in range(3):
        for t in range(num_frames):
            none = 1 - float(density[row].sum())
            expected = none * 0.5 + sum(
                float(q) * naive.weight(t, [a], **options) for a, q in enumerate(density[row])
            )
            assert float(got[row, t]) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 60), st.data())
@settings(max_examples=50, deadline=None)
def test_a_certain_anchor_is_an_anchor(num_frames, data):
    frame = data.draw(st.integers(0, num_frames - 1))
    density = torch.zeros(1, num_frames)
    density[0, frame] = 1.0
    options = {"scale": 4.0, "scale_after": 2.0}
    certain = temporal_weight(torch.tensor([[frame]]), num_frames, **options)
    torch.testing.assert_close(temporal_weight(None, density=density, **options), certain)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_weights_stay_in_bounds_whatever_the_density(density):
    weight = temporal_weight(None, density=torch.tensor([density], dtype=F64), peak=5.0, floor=1.0, scale=3.0)
    assert weight.min() >= 1.0
    assert weight.max() <= 5.0


def test_an_uncertain_anchor_spreads_its_weight():
    logits = torch.zeros(1, 41)
    targets = torch.zeros(1, 41, dtype=torch.long)
    spread = torch.zeros(1, 41)
    spread[0, 16:25] = 1 / 9
    loss = StreamingAnchorLoss(peak=10.0, scale=2.0, reduction="none")
    certain = loss(logits, targets, torch.tensor([[20]]))
    uncertain = loss(logits, targets, density=spread)
    assert uncertain[0, 20] < certain[0, 20]
    assert uncertain[0, 14] > certain[0, 14]
    torch.testing.assert_close(loss.weight(targets, density=spread) * math.log(2), uncertain)


def test_a_density_goes_before_the_rule_and_no_further_than_the_padding():
    targets = torch.tensor([[0, 1, 1, 0, 0, 0]])
    logits = torch.zeros(1, 6)
    density = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0, torch.nan]])
    valid = torch.tensor([[True] * 5 + [False]])
    got = streaming_anchor_loss(logits, targets, None, valid, density=density, reduction="none")
    expected = streaming_anchor_loss(logits, targets, torch.tensor([[4]]), valid, reduction="none")
    torch.testing.assert_close(got, expected)


def test_densities_of_classes_and_of_outputs():
    density = torch.zeros(2, 8, 3)
    density[0, 2, 1] = density[0, 6, 2] = 1.0
    density[1, 3, 0] = 0.5
    mask = density > 0
    mask[1] = False
    targets = torch.zeros(2, 8, dtype=torch.long)
    options = {"peak": [2.0, 8.0, 6.0], "scale": [1.0, 2.0, 3.0], "kernel": "triangular"}
    loss = StreamingAnchorLoss(**options, overlap="largest")
    got = loss.weight(targets, density=density)
    torch.testing.assert_close(got[0], loss.weight(targets, mask)[0])
    assert got[1].tolist() == pytest.approx([1, 1, 1, 1.5, 1, 1, 1, 1], abs=1e-5)
    outputs = StreamingAnchorLoss(**options, multi_label=True)
    each = outputs.weight(torch.zeros(2, 8, 3, dtype=torch.long), density=density)
    assert each[0, 2].tolist() == pytest.approx([1, 8, 1], abs=1e-5)
    shared = outputs.weight(torch.zeros(2, 8, 3, dtype=torch.long), density=density[..., 1])
    assert shared[0, 2].tolist() == pytest.approx([2, 8, 6], abs=1e-5)


@pytest.mark.parametrize("scales", [(2.0, [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], 2.0)])
@pytest.mark.parametrize("multi_label", [False, True])
def test_one_scale_may_be_a_number_and_the_other_one_for_each_class(scales, multi_label):
    density = torch.zeros(1, 8, 3)
    density[0, 2, 1] = density[0, 6, 2] = 1.0
    targets = torch.zeros((1, 8, 3) if multi_label else (1, 8), dtype=torch.long)
    scale, scale_after = scales
    loss = StreamingAnchorLoss(
        scale=scale, scale_after=scale_after, overlap="largest", multi_label=multi_label
    )
    torch.testing.assert_close(loss.weight(targets, density=density), loss.weight(targets, density > 0))


def test_no_gradient_flows_into_a_density():
    density = torch.full((1, 5), 0.2, requires_grad=True)
    logits = torch.zeros(1, 5, requires_grad=True)
    streaming_anchor_loss(logits, torch.zeros(1, 5, dtype=torch.long), density=density).backward()
    assert density.grad is None


def test_end_frame_masking_under_a_density():
    logits = torch.zeros(2, 7)
    targets = torch.zeros(2, 7, dtype=torch.long)
    density = torch.zeros(2, 7)
    density[0, 2] = density[0, 3] = 0.5
    got = end_frame_loss(logits, targets, density=density, width_frames=1, reduction="none") / math.log(2)
    assert got[0].tolist() == pytest.approx([0, 0.5, 1, 1, 0.5, 0, 0], abs=1e-6)
    assert got[1].tolist() == pytest.approx([1] * 7)  # nothing near: no anchor


# Times.


@given(st.floats(0, 50), st.sampled_from([16.0, 50.0, 62.5, 100.0]))
@settings(max_examples=200)
def test_times_become_frames_as_everywhere_in_the_project(time_s, rate):
    got = int(frames_of_times(torch.tensor([time_s], dtype=F64), rate))
    assert got in (FrameClock(1 / rate).frame_at(time_s), FrameClock(1 / rate).frame_at(time_s - 0.01 / rate))


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_end_of_every_frame_is_in_that_frame(dtype):
    frames = torch.arange(360_000)
    times = ((frames + 1).to(F64) / 100).to(dtype)
    assert torch.equal(frames_of_times(times, 100.0), frames)


def test_times_are_anchors():
    targets = torch.zeros(2, 50, dtype=torch.long)
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([[0.1, 0.3], [0.5, torch.nan]])
    frames = torch.tensor([[9, 29], [49, -1]])
    options = {"scale": 0.05, "frame_rate_hz": 100.0}
    got = streaming_anchor_loss(logits, targets, times, **options)
    assert torch.equal(got, streaming_anchor_loss(logits, targets, frames, **options))
    padded = streaming_anchor_loss(logits, targets, times.nan_to_num(-1.0), **options)
    assert torch.equal(got, padded)
    width = {"width_frames": 3.0}
    assert torch.equal(
        end_frame_loss(logits, targets, times, frame_rate_hz=100.0, **width),
        end_frame_loss(logits, targets, frames, **width),
    )
