"""Which raises are triggers: timelines drawn by hand, and the plans that the simulator makes."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from anchorstream.data.motion import Gesture, MotionSettings, triggers
from anchorstream.data.motion.plan import plan

UTTERANCE = [(5.0, 6.0)]


def up(end_s, start_s=None):
    return Gesture("raise", end_s - 0.5 if start_s is None else start_s, end_s)


def down(start_s):
    return Gesture("lower", start_s, start_s + 0.5)


@pytest.mark.parametrize(
    ("gestures", "speech", "expected"),
    [
        ([up(4.5), down(6.5)], UTTERANCE, [(5.0, 0)]),  # the wrist is up first
        ([up(5.25), down(6.5)], UTTERANCE, [(5.25, 0)]),  # speech begins first
        ([up(3.5)], UTTERANCE, [(5.0, 0)]),  # just early enough
        ([up(3.49)], UTTERANCE, []),
        ([up(5.3)], UTTERANCE, [(5.3, 0)]),  # just in time
        ([up(5.31)], UTTERANCE, []),
        ([up(4.0), down(4.9)], UTTERANCE, []),  # on its way down before the speech
        ([up(4.0), down(5.1)], UTTERANCE, [(5.0, 0)]),  # on its way down once both were there
        ([up(4.0), down(4.2), up(4.8)], UTTERANCE, [(5.0, 0)]),  # the second look
        ([up(4.5)], [], []),
        ([Gesture("drink", 4.0, 4.5)], UTTERANCE, []),
        ([up(5.2)], [(5.0, 5.1), (5.5, 6.0)], [(5.5, 1)]),  # a word that ended before the wrist was up
        ([up(4.5)], [(5.0, 5.3), (5.6, 6.0)], [(5.0, 0)]),  # the first of two
        ([up(4.5), up(4.7)], [(5.0, 5.3), (5.6, 6.0)], [(5.0, 0), (5.6, 1)]),  # no utterance twice
        ([up(8.0), up(4.5), down(6.2)], [(5.0, 6.0), (8.2, 9.0)], [(5.0, 0), (8.2, 1)]),  # in any order
    ],
)
def test_the_rule_on_timelines_drawn_by_hand(gestures, speech, expected):
    assert [(item.anchor_s, item.utterance) for item in triggers(gestures, speech)] == expected


def test_a_trigger_says_when_the_wrist_began_to_move():
    assert triggers([up(4.5, start_s=3.7)], UTTERANCE)[0].raise_start_s == 3.7


@st.composite
def streams(draw):
    pairs = draw(st.lists(st.tuples(st.floats(0.0, 4.0), st.floats(0.05, 4.0)), max_size=12))
    speech, time_s = [], 0.0
    for pause_s, length_s in pairs:
        speech.append((time_s + pause_s, time_s + pause_s + length_s))
        time_s = speech[-1][1]
    share = st.sampled_from([0.0, 0.5, 1.0])
    settings = MotionSettings(
        raise_share=draw(share),
        late_share=draw(share),
        amid_share=draw(share),
        idle_per_minute=draw(st.sampled_from([0.0, 2.0, 20.0])),
        others_per_minute=draw(st.sampled_from([0.0, 6.0, 20.0])),
        other_at_onset_share=draw(share),
        lead_s=draw(st.sampled_from([(0.1, 0.8), (0.0, 1.4)])),
    )
    # What goes on when the stream ends may be in the list with its full length.
    duration_s = max(1.0, time_s + draw(st.floats(-2.0, 3.0)))
    return speech, duration_s, settings, draw(st.integers(0, 2**32 - 1))


@examples(max_examples=200, deadline=None)
@given(streams())
def test_what_is_meant_as_a_trigger_is_one_and_nothing_else_is(stream):
    speech, duration_s, settings, seed = stream
    blocks = plan(speech, duration_s, settings, np.random.default_rng(seed))
    gestures = [gesture for block in blocks for gesture in block.gestures]
    meant = [
        (max(block.gestures[0].end_s, speech[block.utterance][0]), block.start_s, block.utterance)
        for block in blocks
        if block.role == "trigger"
    ]
    found = [(item.anchor_s, item.raise_start_s, item.utterance) for item in triggers(gestures, speech)]
    assert found == meant


@examples(max_examples=200, deadline=None)
@given(streams())
def test_gestures_are_in_order_and_no_two_overlap(stream):
    speech, duration_s, settings, seed = stream
    blocks = plan(speech, duration_s, settings, np.random.default_rng(seed))
    gestures = [gesture for block in blocks for gesture in block.gestures]
    for one, following in itertools.pairwise(gestures):
        assert one.start_s < one.end_s <= following.start_s
    assert all(item.start_s >= 0 for item in gestures)
    lengths_s = {
        kind: [g.end_s - g.start_s for g in gestures if g.kind == kind] for kind in ("raise", "lower")
    }
    assert all(0.4 - 1e-9 <= length_s <= 1.2 for length_s in lengths_s["raise"])
    assert all(0.4 - 1e-9 <= length_s <= 1.0 for length_s in lengths_s["lower"])


@examples(max_examples=200, deadline=None)
@given(streams())
def test_raises_are_never_near_the_edges_of_the_rule(stream):
    speech, duration_s, settings, seed = stream
    for block in plan(speech, duration_s, settings, np.random.default_rng(seed)):
        if block.role == "other":
            continue
        up_s = block.gestures[0].end_s
        down_s = block.gestures[1].start_s
        for index, (onset_s, end_s) in enumerate(speech):
            if end_s <= up_s or down_s <= onset_s:
                continue  # this speech never meets the raised wrist
            if block.utterance == index:
                assert onset_s - 1.4 - 1e-9 <= up_s <= onset_s + 0.25 + 1e-9
                assert up_s <= end_s - 0.1 + 1e-9
            elif onset_s <= up_s:
                assert up_s >= onset_s + 0.85 - 1e-9
            else:
                pytest.fail(f"the wrist of {block} is still up at {onset_s}")


@examples(max_examples=200, deadline=None)
@given(streams())
def test_the_wrist_is_down_before_the_next_utterance(stream):
    speech, duration_s, settings, seed = stream
    for block in plan(speech, duration_s, settings, np.random.default_rng(seed)):
        if block.role == "trigger":
            end_s = speech[block.utterance][1]
            down = block.gestures[1]
            assert end_s + 0.05 - 1e-9 <= down.start_s <= end_s + 1.0
            assert all(down.end_s <= onset_s - 0.1 + 1e-9 for onset_s, _ in speech[block.utterance + 1 :])


def test_with_long_pauses_all_that_is_asked_for_happens():
    speech = [(4.0 + 6.0 * i, 6.0 + 6.0 * i) for i in range(100)]
    settings = MotionSettings(raise_share=0.5, amid_share=0.5, idle_per_minute=3.0, others_per_minute=2.0)
    roles = [block.role for block in plan(speech, 604.0, settings, np.random.default_rng(1))]
    # Four standard deviations of the binomial and Poisson counts.
    assert roles.count("trigger") == pytest.approx(50, abs=20)
    assert roles.count("amid") == pytest.approx(25, abs=18)
    assert roles.count("idle") == pytest.approx(30, abs=22)
    assert roles.count("other") == pytest.approx(20, abs=18)


def test_without_a_chance_nothing_happens():
    settings = MotionSettings(raise_share=0, amid_share=0, idle_per_minute=0, others_per_minute=0)
    assert plan([(1.0, 3.0), (4.0, 6.0)], 8.0, settings, np.random.default_rng(0)) == []


@pytest.mark.parametrize("speech", [[(3.0, 4.0), (1.0, 2.0)], [(1.0, 3.0), (2.0, 4.0)], [(2.0, 2.0)]])
def test_speech_out_of_order_is_refused(speech):
    with pytest.raises(ValueError, match="in order of time"):
        plan(speech, 8.0, MotionSettings(), np.random.default_rng(0))


@pytest.mark.parametrize("duration_s", [0.0, -1.0, float("nan")])
def test_a_stream_without_a_length_is_refused(duration_s):
    with pytest.raises(ValueError, match="duration_s must be a positive"):
        plan([], duration_s, MotionSettings(), np.random.default_rng(0))


def test_all_wrong_settings_are_reported_at_once():
    with pytest.raises(ValueError) as error:
        MotionSettings(
            raise_share=1.5,
            raise_s=(0.1, 1.0),
            lower_s=(0.2, 0.5),
            lead_s=(0.1, 2.0),
            hold_s=(3.0, 1.0),
            other_s=(0.1, 1.0),
            rate_hz=(25.0, 1000.0),
            jitter=(0.0, 0.9),
            idle_per_minute=-1.0,
            walk_share=0.9,
            desk_share=0.9,
        )
    named = "raise_share raise_s lower_s lead_s hold_s other_s rate_hz jitter idle_per_minute walk_share"
    assert [name for name in named.split() if name not in str(error.value)] == []
