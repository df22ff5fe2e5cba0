import math

import numpy as np
import pytest
import torch

from anchorstream.losses import FocalLoss, LossSchedule, StreamingAnchorLoss, constant, cosine, linear


def test_shapes_of_schedules():
    line = linear(2.0, 10.0, steps=4, begin=10)
    assert [line(step) for step in (0, 10, 11, 14, 99)] == [2.0, 2.0, 4.0, 10.0, 10.0]
    down = cosine(4.0, 0.0, steps=2)
    assert [down(step) for step in (0, 1, 2, 3)] == pytest.approx([4.0, 2.0, 0.0, 0.0])
    quarter = cosine(0.0, 1.0, steps=4)(1)
    assert quarter == pytest.approx((1 - math.cos(math.pi / 4)) / 2)
    assert constant(3.0)(7) == 3.0
    with pytest.raises(ValueError, match="steps must be at least 1"):
        linear(1.0, 2.0, steps=0)


def test_options_move_and_the_loss_with_them():
    loss = StreamingAnchorLoss(focal="multiply")
    schedule = LossSchedule(
        loss, peak=linear(1.0, 10.0, steps=9), gamma=cosine(0.0, 2.0, steps=9), scale=lambda step: 5.0 + step
    )
    assert (loss.peak, loss.gamma, loss.scale) == (1.0, 0.0, 5.0)  # where it begins
    schedule.set(9)
    assert (loss.peak, loss.gamma, loss.scale) == (10.0, 2.0, 14.0)
    logits = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    targets = (logits > 1).long()
    expected = StreamingAnchorLoss(focal="multiply", peak=10.0, gamma=2.0, scale=14.0)(logits, targets)
    assert torch.equal(loss(logits, targets), expected)
    schedule.set(0)  # the step alone decides
    assert loss.peak == 1.0


def test_a_schedule_may_give_numbers_of_numpy():
    loss = StreamingAnchorLoss()
    LossSchedule(loss, peak=lambda step: np.interp(step, [0, 10], [1.0, 9.0])).set(5)
    assert repr(loss.peak) == "5.0"


def test_a_resumed_training_continues_where_it_was():
    first, second = StreamingAnchorLoss(), StreamingAnchorLoss()
    for step in range(6):
        LossSchedule(first, peak=linear(1.0, 10.0, steps=10)).set(step)
    second.load_state_dict(first.state_dict())
    assert second.peak == first.peak == 5.5
    LossSchedule(second, peak=linear(1.0, 10.0, steps=10)).set(6)
    assert second.peak == pytest.approx(6.4)


def test_what_cannot_be_moved_is_refused():
    with pytest.raises(ValueError, match="FocalLoss has no option 'peak'; it has gamma"):
        LossSchedule(FocalLoss(), peak=constant(1.0))
    with pytest.raises(TypeError, match=r"kernel.* must be a number"):
        LossSchedule(StreamingAnchorLoss(), kernel=constant(1.0))
    with pytest.raises(TypeError, match=r"peak.* must be a number, got \[1.0, 2.0\]"):
        LossSchedule(StreamingAnchorLoss(peak=[1.0, 2.0]), peak=constant(1.0))
    with pytest.raises(TypeError, match="schedule of peak must be a function"):
        LossSchedule(StreamingAnchorLoss(), peak=3.0)


def test_a_value_out_of_range_names_its_step_and_leaves_the_loss_as_it_was():
    loss = StreamingAnchorLoss()
    schedule = LossSchedule(loss, peak=linear(5.0, 0.0, steps=5), gamma=linear(1.0, 2.0, steps=5))
    schedule.set(2)
    with pytest.raises(ValueError, match=r"at step 5: peak must be at least floor, got peak=0\.0"):
        schedule.set(5)
    assert (loss.peak, loss.gamma) == (3.0, pytest.approx(1.4))
