"""What logits mean: posteriors, priors and targets against hand computation."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.frames import IGNORED
from anchorstream.losses import build
from anchorstream.models.outputs import (
    OUTPUTS,
    event_posteriors,
    logit_count,
    loss_inputs,
    prior_logits,
    targets_by_label,
)


def test_posteriors_of_a_softmax_leave_out_the_background():
    logits = torch.tensor([[0.7, 0.2, 0.1]]).log()
    torch.testing.assert_close(event_posteriors(logits, "softmax"), torch.tensor([[0.2, 0.1]]))


def test_posteriors_of_sigmoid_outputs_know_nothing_of_each_other():
    logits = torch.tensor([[math.log(4.0), math.log(9.0), -math.log(3.0)]])
    torch.testing.assert_close(event_posteriors(logits, "sigmoid"), torch.tensor([[0.8, 0.9, 0.25]]))


@given(labels=st.integers(1, 9))
@settings(max_examples=9, deadline=None)
def test_at_first_nearly_every_frame_is_background(labels):
    for outputs in OUTPUTS:
        logits = prior_logits(labels, outputs)
        assert logits.shape == (logit_count(labels, outputs),)
        posteriors = event_posteriors(logits, outputs)
        assert posteriors.tolist() == pytest.approx([0.02 / labels] * labels)


def test_class_indices_become_a_target_for_each_label():
    targets = torch.tensor([[0, 1, 3], [2, 0, 0]])
    expected = [[[0, 0, 0], [1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 0], [0, 0, 0]]]
    assert targets_by_label(targets, 3).tolist() == expected


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_frames_at_which_no_answer_is_asked_for_count_in_no_loss(outputs):
    logits = torch.randn(1, 4, logit_count(2, outputs), requires_grad=True)
    targets = torch.tensor([[0, IGNORED, 2, 1]])
    options = {"multi_label": True} if outputs == "sigmoid" else {}
    build("sal", **options)(*loss_inputs(logits, targets, outputs), targets == 2).backward()
    assert logits.grad[0].abs().sum(-1).gt(0).tolist() == [True, False, True, True]


def test_one_sigmoid_output_is_what_the_losses_take_for_one():
    logits, targets = torch.randn(2, 4, 1), torch.tensor([[0, 1, 1, 0], [0, 0, 0, 1]])
    given_logits, given_targets = loss_inputs(logits, targets, "sigmoid")
    assert torch.equal(given_logits, logits[..., 0])
    assert torch.equal(given_targets, targets)


def test_a_softmax_goes_to_the_losses_as_it_is():
    logits, targets = torch.randn(2, 4, 3), torch.zeros(2, 4, dtype=torch.long)
    given_logits, given_targets = loss_inputs(logits, targets, "softmax")
    assert given_logits is logits
    assert given_targets is targets
