"""Feeding: which samples an engine gets, and when its posteriors are known."""

import numpy as np
import pytest

from engine import as_int16, feed


class Scripted:
    """An engine whose n-th block of a stream returns ``answers[n]``; what it heard is kept."""

    block_samples = 400

    def __init__(self, answers):
        self.answers, self.heard, self.resets = answers, [], 0

    def reset(self):
        self.resets += 1
        self.heard.clear()

    def push(self, pcm):
        self.heard.append(pcm)
        return self.answers[len(self.heard) - 1]


def test_a_posterior_is_known_when_its_block_has_ended():
    # Blocks of 25 ms. The first posterior comes with the second block, and then one with every third.
    engine = Scripted([None, 0.1, None, None, 0.2, None, None, 0.3])
    fed = feed(engine, np.zeros(8 * 400, np.int16))
    assert fed.posteriors.tolist() == [0.1, 0.2, 0.3]
    assert (fed.delay_s, fed.hop_s) == pytest.approx((2 * 0.025, 3 * 0.025))
    assert engine.resets == 1
    assert fed.cpu_s >= 0


def test_samples_are_fed_in_order_and_a_last_broken_block_is_left_out():
    engine = Scripted([0.0, 0.5, 1.0])
    pcm = np.arange(3 * 400 + 399, dtype=np.int16)
    feed(engine, pcm)
    assert np.concatenate(engine.heard).tolist() == pcm[:1200].tolist()


def test_rounding_beyond_0_and_1_is_cut():
    assert feed(Scripted([-0.1, 1.001]), np.zeros(800, np.int16)).posteriors.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("answers", [[0.1, 0.1, None, 0.1], [None, None, None, 0.1], [None] * 4])
def test_posteriors_without_a_rate_are_refused(answers):
    with pytest.raises(ValueError, match=r"Scripted gave \d posteriors in 0\.1 s"):
        feed(Scripted(answers), np.zeros(1600, np.int16))


def test_samples_are_rounded_and_full_scale_does_not_wrap():
    samples = np.array([0.0, 0.6 / 32768, -0.4 / 32768, 1.0, -1.0, 1.5], np.float32)
    assert as_int16(samples).tolist() == [0, 1, 0, 32767, -32768, 32767]
