"""Which label fired at which event, on timelines drawn by hand: one character is 0.1 s."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.decode import Detection
from anchorstream.metrics import Event, MatchWindow, confusion, match

WINDOW = MatchWindow(pre_s=0.2, post_s=0.3)


def timeline(said, fired):
    """``[`` starts an event, the capital letter after it is its anchor and label; small letters fire."""
    starts = [i / 10 for i, c in enumerate(said) if c == "["]
    anchors = [(i / 10, c.lower()) for i, c in enumerate(said) if c.isupper()]
    events = [Event(label, start, at) for start, (at, label) in zip(starts, anchors, strict=True)]
    return [Detection(i / 10, c, 1.0) for i, c in enumerate(fired) if c.isalpha()], events


@pytest.mark.parametrize(
    ("said", "fired", "expected"),
    [
        # a detected as a, as b, missed; b ...; no event ...
        ("...[..A.....[..B....", ".......a........b...", [[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
        ("...[..A.....[..B....", "....................", [[0, 0, 1], [0, 0, 1], [0, 0, 0]]),
        # Another label in the window of a missed event is a confusion, outside of it an alarm about nothing.
        ("...[..A.............", ".......b............", [[0, 1, 0], [0, 0, 0], [0, 0, 0]]),
        ("...[..A.............", ".............b......", [[0, 0, 1], [0, 0, 0], [0, 1, 0]]),
        # An event that was hit is not confused besides.
        ("...[..A.............", "......ab............", [[1, 0, 0], [0, 0, 0], [0, 1, 0]]),
        ("...[..A.............", "......ba............", [[1, 0, 0], [0, 0, 0], [0, 1, 0]]),
        # A hit of its own event is no confusion of the neighbour's; one detection confuses one event.
        ("...[..A.[.B.........", "...........b........", [[0, 0, 1], [0, 1, 0], [0, 0, 0]]),
        ("..[.A.[.A...........", "......b.............", [[0, 1, 1], [0, 0, 0], [0, 0, 0]]),
        ("..[.A.[.A...........", "......bb............", [[0, 2, 0], [0, 0, 0], [0, 0, 0]]),
        # The timeline of docs/scoring.md.
        ("...[..A.....[..B....", "......b....a..bb....", [[0, 1, 0], [0, 1, 0], [1, 1, 0]]),
        ("....................", "..a......b....a.....", [[0, 0, 0], [0, 0, 0], [2, 1, 0]]),
    ],
)
def test_timelines(said, fired, expected):
    assert confusion([timeline(said, fired)], ["a", "b"], WINDOW).counts.tolist() == expected


@pytest.mark.parametrize(
    ("fired", "expected"),
    [
        # Of a, which goes on until the end, the window is over at 0.9.
        ("..........a.........", [[0, 0, 1], [0, 0, 1], [1, 0, 0]]),
        # A late detection of a is what was heard at b.
        ("...............a....", [[0, 0, 1], [1, 0, 0], [0, 0, 0]]),
        ("............a..b....", [[0, 0, 1], [0, 1, 0], [1, 0, 0]]),
    ],
)
def test_what_is_late_stands_in_a_column_as_well(fired, expected):
    detections, events = timeline("...[..A......[..B...", fired)
    events[0] = replace(events[0], goes_on_until_s=2.0)
    assert confusion([(detections, events)], ["a", "b"], WINDOW).counts.tolist() == expected


def test_streams_add_up_and_the_order_of_labels_is_that_of_the_call():
    one = timeline("...[..A.....", ".......b....")
    found = confusion([one, one], ["b", "a"], WINDOW)
    assert found.counts.tolist() == [[0, 0, 0], [2, 0, 0], [0, 0, 0]]
    assert found.to_dict() == {"labels": ["b", "a"], "counts": found.counts.tolist()}


def test_a_label_that_was_not_named_is_refused():
    with pytest.raises(ValueError, match=r"\['c'\] are not among \['a', 'b'\]"):
        confusion([timeline("...[..A.....", ".......c....")], ["a", "b"], WINDOW)


times = st.integers(0, 60).map(lambda tenth: tenth / 10)


@given(
    st.lists(st.tuples(times, st.sampled_from("abc")), max_size=8),
    st.lists(
        st.tuples(times, st.integers(0, 8), st.sampled_from("abc"), st.none() | st.integers(8, 20)),
        max_size=6,
    ),
)
@settings(max_examples=150, deadline=None)
def test_every_event_and_every_detection_is_counted_once(fired, said):
    detections = [Detection(time, label, 1.0) for time, label in fired]
    events = [
        Event(label, start, start + length / 10, goes_on_until_s=on and start + on / 10)
        for start, length, label, on in said
    ]
    counts = confusion([(detections, events)], ["a", "b", "c"], WINDOW).counts
    for k, label in enumerate("abc"):
        assert counts[k].sum() == sum(event.label == label for event in events)
        assert counts[:, k].sum() == sum(detection.label == label for detection in detections)
    assert counts[-1, -1] == 0
    assert np.trace(counts) == len(match(detections, events, WINDOW).hits)
