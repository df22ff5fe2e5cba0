"""Which moments are shown, against posteriors that are drawn by hand: two seeds, one stream."""

from types import SimpleNamespace

import numpy as np
import pytest

from anchorstream.compare.evaluation import ScoredRun
from anchorstream.compare.examples import pick_examples
from anchorstream.data.clip import Segment, Stream
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Event, MatchWindow, PosteriorStream

HOP_S, DURATION_S = 0.1, 60.0
EVENTS = [Event("yes", 5.0 * i, 5.0 * i + 0.5, f"speaker {i}") for i in range(1, 7)]
TASK = SimpleNamespace(window=MatchWindow(0.0, 0.5), labels=("yes",))


def scored(peaks, alarms):
    """A run whose posterior is each of `peaks` 0.2 s after an event's anchor, and each of `alarms` at its time."""
    posteriors = np.zeros((round(DURATION_S / HOP_S), 1))
    for event, peak in zip(EVENTS, peaks, strict=True):
        posteriors[round((event.anchor_s + 0.2) / HOP_S)] = peak
    for time_s, peak in alarms:
        posteriors[round(time_s / HOP_S)] = peak
    stream = PosteriorStream(posteriors, HOP_S, 0.0, ["yes"], EVENTS, DURATION_S, "drawn")
    run = SimpleNamespace(config=SimpleNamespace(task=TASK))
    return ScoredRun(run, [stream], {}, DecoderSettings(0.5, refractory_s=0.3), {})


@pytest.fixture
def runs():
    # Misses, threshold 0.5:  both   both   one    -    -    one
    first = scored((0.30, 0.10, 0.05, 0.9, 0.8, 0.7), [(40.0, 0.6), (45.0, 0.9)])
    second = scored((0.20, 0.30, 0.95, 0.9, 0.8, 0.1), [(40.2, 0.99), (50.0, 0.7)])
    return [first, second]


@pytest.fixture
def streams():
    samples = np.arange(round(DURATION_S * 16_000), dtype=np.float32)
    segment = Segment("clip", "speech", "no", None, 39.0, 39.5)
    return [Stream(samples, (segment,), 10.0, "drawn")]


def shown(examples, kind):
    return [example for example in examples if example.kind == kind]


def test_misses_of_most_seeds_come_first_then_the_lowest_posterior(runs, streams):
    titles = [example.title for example in shown(pick_examples(runs, streams, "yes"), "miss")]
    assert [title.split(";")[0] for title in titles] == [
        "by 2 of 2 seeds, highest posterior 0.200, speaker 2",
        "by 2 of 2 seeds, highest posterior 0.250, speaker 1",
        "by 1 of 2 seeds, highest posterior 0.400, speaker 6",
        "by 1 of 2 seeds, highest posterior 0.500, speaker 3",
    ]
    assert titles[0].endswith("; at 10.50 s of drawn")


def test_false_alarms_of_several_seeds_at_one_moment_are_one(runs, streams):
    alarms = shown(pick_examples(runs, streams, "yes"), "false alarm")
    assert [alarm.title.split(";")[0] for alarm in alarms] == [
        "with 2 of 2 seeds, posterior 0.990",
        "with 1 of 2 seeds, posterior 0.900",
        "with 1 of 2 seeds, posterior 0.700",
    ]
    # It is the seed that was surest whose posteriors are drawn, and what was said before is named.
    assert alarms[0].posteriors.max() == pytest.approx(0.99)
    assert alarms[0].title.endswith("at 40.20 s of drawn, on 'no'")


def test_no_more_than_asked_for_is_shown(runs, streams):
    examples = pick_examples(runs, streams, "yes", worst=1, latest=2)
    assert [example.kind for example in examples] == ["miss", "false alarm", "hit", "hit"]


def test_a_piece_is_cut_around_its_moment(runs, streams):
    miss = shown(pick_examples(runs, streams, "yes"), "miss")[-1]  # 0.05 with the first seed, at 15.7 s
    assert miss.samples[0] == pytest.approx(13.5 * 16_000)
    assert len(miss.samples) == 4 * 16_000
    assert np.flatnonzero(miss.posteriors).tolist() == [22]
    assert [(event.start_s, event.anchor_s) for event in miss.events] == [pytest.approx((1.5, 2.0))]
    assert miss.detections == []
    assert miss.threshold == 0.5


def test_of_one_run_no_seeds_are_counted(runs, streams):
    for example in pick_examples(runs[:1], streams, "yes"):
        assert "seeds" not in example.title
