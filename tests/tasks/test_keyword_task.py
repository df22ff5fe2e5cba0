import numpy as np
import pytest

from anchorstream.data.clip import Segment, Stream
from anchorstream.frames import IGNORED, FrameClock
from anchorstream.tasks import KeywordTask


def stream_of(*segments: Segment) -> Stream:
    return Stream(samples=np.zeros(32_000, np.float32), segments=segments, snr_db=10.0)


def segment(label: str, start_s: float, end_s: float, kind: str = "keyword") -> Segment:
    return Segment(clip_id=label, kind=kind, label=label, speaker="anna", start_s=start_s, end_s=end_s)


def test_positive_frames_begin_with_the_first_frame_that_has_heard_the_whole_keyword() -> None:
    # The keyword ends at 0.505 s. Frame 50 is known at 0.51 s, the first moment at or after the end.
    task = KeywordTask(keywords=("computer",), label_after_s=0.02)
    targets, anchors = task.targets(stream_of(segment("computer", 0.1, 0.505)), FrameClock(0.01), 200)
    assert np.flatnonzero(targets > 0).tolist() == [50, 51]
    assert np.flatnonzero(anchors).tolist() == [50]


def test_labels_that_are_shorter_than_a_frame_are_a_frame() -> None:
    task = KeywordTask(keywords=("computer",), label_after_s=0.02, label_margin_s=0.0)
    targets, anchors = task.targets(stream_of(segment("computer", 0.1, 0.83)), FrameClock(0.1), 20)
    assert np.flatnonzero(targets > 0).tolist() == np.flatnonzero(anchors).tolist() == [8]


def test_a_text_is_no_list_of_keywords() -> None:
    with pytest.raises(ValueError, match="keywords must be a list of names, got the text 'computer'"):
        KeywordTask(keywords="computer")  # type: ignore[arg-type]


def test_labels_may_begin_before_the_end_while_the_anchor_stays() -> None:
    task = KeywordTask(label_before_s=0.03, label_after_s=0.01)
    targets, anchors = task.targets(stream_of(segment("computer", 0.1, 0.5)), FrameClock(0.01), 200)
    assert np.flatnonzero(targets > 0).tolist() == [46, 47, 48, 49]
    assert np.flatnonzero(anchors).tolist() == [49]


def test_each_keyword_has_its_class_and_everything_else_is_background() -> None:
    task = KeywordTask(keywords=("alexa", "computer"), label_after_s=0.01)
    stream = stream_of(
        segment("alexa", 0.1, 0.3),
        segment("computer", 0.5, 0.8),
        segment("jarvis", 1.0, 1.2),
        segment("alexa", 1.4, 1.6, kind="speech"),
    )
    targets, anchors = task.targets(stream, FrameClock(0.01), 200)
    assert {int(t): int(c) for t, c in enumerate(targets) if c > 0} == {29: 1, 79: 2}
    assert [event.label for event in task.events(stream)] == ["alexa", "computer"]
    assert np.flatnonzero(anchors).tolist() == [29, 79, 119, 159]


def test_no_answer_is_asked_for_while_a_keyword_is_all_but_over() -> None:
    task = KeywordTask(keywords=("computer",), label_after_s=0.02, label_margin_s=0.05)
    stream = stream_of(segment("computer", 0.1, 0.5), segment("jarvis", 0.6, 0.8))
    targets, _ = task.targets(stream, FrameClock(0.01), 200)
    assert np.flatnonzero(targets == IGNORED).tolist() == [44, 45, 46, 47, 48]
    assert np.flatnonzero(targets > 0).tolist() == [49, 50]


def test_the_margin_of_a_keyword_takes_nothing_from_the_keyword_before() -> None:
    task = KeywordTask(keywords=("a", "b"), label_after_s=0.4, label_margin_s=0.1)
    targets, _ = task.targets(
        stream_of(segment("a", 0.1, 0.5), segment("b", 0.6, 0.95)), FrameClock(0.01), 200
    )
    assert targets[49:94].tolist() == [1] * 40 + [IGNORED] * 5


def test_a_margin_that_begins_before_the_stream_is_cut() -> None:
    targets, _ = KeywordTask(label_margin_s=0.1).targets(
        stream_of(segment("computer", 0.0, 0.05)), FrameClock(0.01), 200
    )
    assert targets[:5].tolist() == [IGNORED] * 4 + [1]


def test_anchors_may_be_left_to_the_keywords_alone() -> None:
    task = KeywordTask(keywords=("computer",), anchor_others=False)
    stream = stream_of(segment("computer", 0.5, 0.8), segment("jarvis", 1.0, 1.2))
    targets, anchors = task.targets(stream, FrameClock(0.01), 200)
    assert np.flatnonzero(anchors).tolist() == [79]
    everywhere, _ = KeywordTask(keywords=("computer",)).targets(stream, FrameClock(0.01), 200)
    assert everywhere.tolist() == targets.tolist()


def test_a_keyword_that_ends_with_the_stream_stays_inside_it() -> None:
    task = KeywordTask()
    targets, anchors = task.targets(stream_of(segment("computer", 1.5, 2.0)), FrameClock(0.01), 200)
    assert targets[199] == 1
    assert anchors[199]
    _, beyond = task.targets(stream_of(segment("computer", 1.5, 2.5)), FrameClock(0.01), 200)
    assert not beyond.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keywords": ()}, "at least one keyword"),
        ({"keywords": ("a", "b", "a")}, "named again: a"),
        ({"label_after_s": -1.0}, "label_after_s must lie between"),
        ({"label_after_s": 0.0}, "no frame would be a positive one"),
    ],
)
def test_wrong_options_say_what_is_wrong(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeywordTask(**options)
