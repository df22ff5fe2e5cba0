"""Every rule of matching as a timeline drawn by hand, and matching against an exhaustive search.

A timeline has one character for 0.1 s: `[` and `A` are an event's start and anchor, `x` is a detection.
The window reaches from 0.2 s before the start to 0.3 s after the anchor.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.decode import Detection
from anchorstream.metrics import Event, Matching, MatchWindow, exposure_s, match

WINDOW = MatchWindow(pre_s=0.2, post_s=0.3)


def drawn(reference, detections):
    """Events and detections of a drawing; both lines share one time axis."""
    starts = [i / 10 for i, c in enumerate(reference) if c == "["]
    anchors = [i / 10 for i, c in enumerate(reference) if c == "A"]
    events = [Event("yes", start, anchor) for start, anchor in zip(starts, anchors, strict=True)]
    return [Detection(i / 10, "yes", 1.0) for i, c in enumerate(detections) if c == "x"], events


@pytest.mark.parametrize(
    ("rule", "reference", "detections", "expected"),
    [
        (
            "a hit after the anchor",
            ".....[..A.......",
            ".........x......",
            Matching(((0, 0),), (), ()),
        ),
        (
            "an early hit, before the anchor",
            ".....[..A.......",
            "......x.........",
            Matching(((0, 0),), (), ()),
        ),
        (
            "an early hit, pre_s before the start: the edge belongs to the window",
            ".....[..A.......",
            "...x............",
            Matching(((0, 0),), (), ()),
        ),
        (
            "too early: one false alarm and one miss",
            ".....[..A.......",
            "..x.............",
            Matching((), (0,), (0,)),
        ),
        (
            "a late hit, post_s after the anchor: the edge belongs to the window",
            ".....[..A.......",
            "...........x....",
            Matching(((0, 0),), (), ()),
        ),
        (
            "too late: one false alarm and one miss",
            ".....[..A.......",
            "............x...",
            Matching((), (0,), (0,)),
        ),
        (
            "two hits: the first one hits, the second one hits no event",
            ".....[..A.......",
            ".......x..x.....",
            Matching(((0, 0),), (), (1,)),
        ),
        (
            "two events close together, each with its own detection",
            ".....[A...[A....",
            ".......x....x...",
            Matching(((0, 0), (1, 1)), (), ()),
        ),
        (
            "two events close together, windows apart: the detection belongs to the second",
            ".....[A......[A.",
            "............x...",
            Matching(((1, 0),), (0,), ()),
        ),
        (
            "two events close together, one detection that belongs to the second",
            ".....[A...[A....",
            "............x...",
            Matching(((1, 0),), (0,), ()),
        ),
        (
            "overlapping windows: two detections in the overlap hit both events",
            ".....[A..[A.....",
            ".......xx.......",
            Matching(((0, 0), (1, 1)), (), ()),
        ),
        (
            "overlapping windows: one detection in the overlap hits the event that ends first",
            ".....[A..[A.....",
            "........x.......",
            Matching(((0, 0),), (1,), ()),
        ),
        (
            "overlapping windows: a detection for each, a third one is a false alarm",
            ".....[A..[A.....",
            "......x.x.x.....",
            Matching(((0, 0), (1, 1)), (), (2,)),
        ),
        (
            "an event at the start of the file",
            "[.A.............",
            "x...............",
            Matching(((0, 0),), (), ()),
        ),
        (
            "an event at the end of the file, with no time left to detect it",
            "............[..A",
            "................",
            Matching((), (0,), ()),
        ),
        ("an event and no detection", ".....[..A.......", "................", Matching((), (0,), ())),
        ("a detection and no event", "................", "......x.........", Matching((), (), (0,))),
        ("nothing at all", "................", "................", Matching((), (), ())),
    ],
)
def test_timeline(rule, reference, detections, expected):
    assert match(*drawn(reference, detections), WINDOW) == expected, rule


@pytest.mark.parametrize(
    ("rule", "reference", "detections", "expected"),
    [
        # `A` is start and anchor, `-` goes on: the window of the first one ends 0.3 s after it.
        ("in time", "..A------.......", "....x...........", Matching(((0, 0),), (), ())),
        (
            "late: a miss, and no false alarm",
            "..A------.......",
            "......x.........",
            Matching((), (0,), (), (0,)),
        ),
        ("late to the last moment", "..A------.......", "........x.......", Matching((), (0,), (), (0,))),
        ("later: a false alarm", "..A------.......", ".........x......", Matching((), (0,), (0,))),
        ("late twice", "..A------.......", "......x.x.......", Matching((), (0,), (1,), (0,))),
        ("again after a hit", "..A------.......", "...x..x.........", Matching(((0, 0),), (), (1,))),
        ("too early is not late", "...A-----.......", "x...............", Matching((), (0,), (0,))),
        ("over before its window ends", "..A-............", "......x.........", Matching((), (0,), (0,))),
        (
            "what hits the next one is no late one",
            "..A----A---.....",
            ".......x........",
            Matching(((1, 0),), (0,), ()),
        ),
        (
            "late for two, one is excused",
            "..A--------.....",
            "......xx........",
            Matching((), (0,), (1,), (0,)),
        ),
    ],
)
def test_a_detection_while_it_goes_on_is_late(rule, reference, detections, expected):
    events = []
    for i, c in enumerate(reference):
        if c == "A":
            events.append(Event("yes", i / 10, i / 10, goes_on_until_s=i / 10))
        elif c == "-":
            events[-1] = replace(events[-1], goes_on_until_s=i / 10)
    found = [Detection(i / 10, "yes", 1.0) for i, c in enumerate(detections) if c == "x"]
    assert match(found, events, WINDOW) == expected, rule


def test_what_goes_on_is_no_exposure():
    events = [Event("yes", 1.0, 1.0, goes_on_until_s=3.0), Event("yes", 2.0, 2.0)]
    assert exposure_s(events, 10.0, WINDOW) == pytest.approx(10.0 - 2.2)
    assert exposure_s([Event("yes", 8.0, 8.0, goes_on_until_s=12.0)], 10.0, WINDOW) == pytest.approx(7.8)


def test_a_detection_of_another_label_hits_nothing():
    detections = [Detection(1.0, "no", 1.0)]
    assert match(detections, [Event("yes", 0.5, 1.0)], WINDOW) == Matching((), (0,), (0,))


def test_labels_are_matched_apart():
    events = [Event("yes", 0.5, 1.0), Event("no", 0.5, 1.0)]
    detections = [Detection(1.0, "no", 1.0), Detection(1.1, "yes", 1.0)]
    assert match(detections, events, WINDOW) == Matching(((0, 1), (1, 0)), (), ())


def test_the_order_in_which_things_are_given_changes_nothing():
    detections, events = drawn(".....[A..[A.....", "......x.x.x.....")
    backwards = match(detections[::-1], events[::-1], WINDOW)
    assert backwards == Matching(((0, 1), (1, 2)), (), (0,))


def most_hits(times, windows):
    """The size of the largest one-to-one matching, by trying everything."""
    if not windows:
        return 0
    (low, high), rest = windows[0], windows[1:]
    return max(
        [most_hits(times, rest)]
        + [
            1 + most_hits(times[:i] + times[i + 1 :], rest)
            for i, time_s in enumerate(times)
            if low - 1e-6 <= time_s <= high + 1e-6
        ]
    )


tenths = st.integers(0, 30).map(lambda n: n / 10)


@settings(max_examples=150, deadline=None)
@given(st.lists(tenths, max_size=5), st.lists(st.tuples(tenths, st.integers(0, 5)), max_size=5))
def test_no_matching_has_more_hits(times, spans):
    events = [Event("yes", start, start + length / 10) for start, length in spans]
    detections = [Detection(time_s, "yes", 1.0) for time_s in times]
    matching = match(detections, events, WINDOW)
    windows = [(event.start_s - WINDOW.pre_s, event.anchor_s + WINDOW.post_s) for event in events]
    assert len(matching.hits) == most_hits(tuple(times), windows)
    for event, detection in matching.hits:
        low, high = windows[event]
        assert low - 1e-6 <= times[detection] <= high + 1e-6
    assert sorted([e for e, _ in matching.hits] + list(matching.misses)) == list(range(len(events)))
    assert sorted([d for _, d in matching.hits] + list(matching.false_alarms)) == list(range(len(times)))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 10.0),
        ([(2.0, 3.0)], 10.0 - 1.5),
        ([(2.0, 3.0), (3.1, 4.0)], 10.0 - 2.5),  # overlapping windows count once
        ([(3.1, 4.0), (2.0, 3.0)], 10.0 - 2.5),
        ([(2.0, 6.0), (3.0, 4.0)], 10.0 - 4.5),  # one inside the other
        ([(0.1, 0.5)], 10.0 - 0.8),  # cut at the start of the file
        ([(9.0, 9.9)], 10.0 - 1.2),  # cut at its end
    ],
)
def test_exposure_is_what_no_window_covers(spans, expected):
    events = [Event("yes", *span) for span in spans]
    assert exposure_s(events, 10.0, WINDOW) == pytest.approx(expected)


@given(st.lists(st.tuples(tenths, st.integers(0, 9)), max_size=8))
@settings(max_examples=100, deadline=None)
def test_exposure_counts_the_milliseconds_outside(spans):
    events = [Event("yes", start, start + length / 10) for start, length in spans]
    middles = (np.arange(4000) + 0.5) / 1000
    inside = np.zeros(4000, dtype=bool)
    for event in events:
        inside |= (middles > event.start_s - WINDOW.pre_s) & (middles < event.anchor_s + WINDOW.post_s)
    assert exposure_s(events, 4.0, WINDOW) == pytest.approx((~inside).sum() / 1000)


def test_windows_that_fill_a_stream_leave_nothing_of_it():
    rng = np.random.default_rng(0)
    for _ in range(300):
        ends = np.cumsum(rng.integers(1, 200, 20)) / 100
        events = [Event("yes", start, end) for start, end in pairwise([0.0, *ends.tolist()])]
        assert exposure_s(events, float(ends[-1]), MatchWindow(0.0, 0.0)) == 0.0


def test_a_detection_without_a_time_is_refused():
    # NaN has no place in an order: sorted among others it would turn hits into misses.
    with pytest.raises(ValueError, match="time of a detection must be finite"):
        match([Detection(1.0, "yes", 1.0), Detection(float("nan"), "yes", 1.0)], [], WINDOW)


@pytest.mark.parametrize("values", [(-0.1, 0.0), (0.0, -0.1), (float("nan"), 0.0), (0.0, float("inf"))])
def test_a_window_reaches_forwards_and_backwards(values):
    with pytest.raises(ValueError, match="at least 0 seconds"):
        MatchWindow(*values)
