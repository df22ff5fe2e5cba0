"""References and scores put together: names, lengths, labels, and what does not fit."""

import unicodedata

import numpy as np
import pytest

from anchorstream.decode import Decoder, DecoderSettings, Detection
from anchorstream.metrics import Event, MatchWindow, sweep
from anchorstream.score import (
    DetectionStream,
    Listing,
    Posteriors,
    ScoreInputError,
    choose_labels,
    detection_streams,
    posterior_streams,
    read_detections,
    read_durations,
    read_reference,
    score_detections,
)
from anchorstream.score.names import Recordings, recording_name
from anchorstream.score.text import table

WINDOW = MatchWindow(pre_s=0.0, post_s=0.5)


@pytest.fixture
def read(tmp_path):
    """Reads rows as a reference, detections or durations."""

    def make(kind, *rows):
        header, reader = {
            "reference": ("file,start_s,anchor_s,label,duration_s", read_reference),
            "detections": ("file,time_s,label,duration_s", read_detections),
            "durations": ("file,duration_s", read_durations),
        }[kind]
        path = tmp_path / f"{kind}.csv"
        path.write_text("\n".join([header, *rows, ""]))
        return reader(path)

    return make


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.wav", "a"),
        ("./x/a.FLAC", "x/a"),
        ("x\\a.npz", "x/a"),
        ("meeting.2020", "meeting.2020"),
        (".wav", ".wav"),
        ("a.wav.wav", "a.wav"),
    ],
)
def test_endings_of_sound_files_do_not_count(file, name):
    assert recording_name(file) == name


def test_a_name_is_one_however_accents_are_written(read):
    one, other = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert one != other
    reference = read("reference", f"{other}.wav,1,1.5,yes,", f"{one}.wav,2,2.5,yes,")
    scores = read("detections", f"{one}.wav,1.6,yes,")
    (stream,) = detection_streams(reference, scores, read("durations", f"{other},10"))
    assert (stream.name, len(stream.events), len(stream.detections)) == ("café", 2, 1)


def test_the_whole_name_decides_and_then_the_name_without_folders():
    recordings = Recordings(["x/a", "y/a", "y/b", "c"])
    assert recordings.find("y/a") == "y/a"
    assert recordings.find("/data/b") == "y/b"
    assert recordings.find("z/c") == "c"
    assert recordings.find("a") is None
    with pytest.raises(ScoreInputError, match="here: recording 'a' has no posteriors; is that x/a or y/a"):
        recordings.all_of(["a"], ["here"], "posteriors")
    with pytest.raises(ScoreInputError, match="there: 'z/c' and 'c' would both be the recording 'c'"):
        recordings.all_of(["c", "z/c"], ["here", "there"], "posteriors")


def test_streams_of_detections(read):
    reference = read("reference", "x/a.wav,1,1.5,yes,", "b.wav,2,2.5,yes,")
    scores = read("detections", "a.flac,1.6,yes,", "b,9,no,")
    durations = read("durations", "a,10", "b,20", "c,30")
    a, b, c = detection_streams(reference, scores, durations)
    assert (a.name, a.duration_s, a.events) == ("a", 10.0, [Event("yes", 1.0, 1.5)])
    assert a.detections == [Detection(1.6, "yes", 1.0)]
    assert (b.detections, b.events) == ([Detection(9.0, "no", 1.0)], [Event("yes", 2.0, 2.5)])
    assert (c.duration_s, c.events, c.detections) == (30.0, [], [])


@pytest.mark.parametrize("stating", ["detections", "reference"])
def test_lengths_may_stand_in_the_scores_or_in_the_reference(read, stating):
    rows = {"reference": ["a,1,1.5,yes,"], "detections": ["a,1.6,yes,"]}
    rows[stating] = [rows[stating][0] + "10", "b,,,20" if stating == "detections" else "b,,,,20"]
    streams = detection_streams(*(read(kind, *given) for kind, given in rows.items()))
    assert [(one.name, one.duration_s, len(one.events)) for one in streams] == [("a", 10, 1), ("b", 20, 0)]


def test_durations_come_before_the_scores_own(read):
    scores = read("detections", "a,1.6,yes,10")
    (stream,) = detection_streams(read("reference"), scores, read("durations", "a,12"))
    assert stream.duration_s == 12.0


@pytest.mark.parametrize(
    ("reference", "detections", "durations", "message"),
    [
        ("a,1,1.5,yes,", "a,1,yes,", None, "false alarms are counted per hour.*--durations"),
        (
            "a,1,1.5,yes,",
            "b,1,yes,9",
            None,
            r"reference.csv, line 2: recording 'a' has no duration_s in the sc",
        ),
        ("a,1,1.5,yes,", "a,1,yes,", "b,9", r"reference.csv, line 2: .*in the durations; there is b"),
        ("a,1,1.5,yes,", "b,1,yes,", "a,9", r"detections.csv, line 2: recording 'b' has no duration_s"),
        ("a,9.5,9.6,yes,", "a,1,yes,9", None, r"reference.csv, line 2: the event starts at 9.5 s, .* 9 s"),
        ("a,1,1.5,yes,", "a,10.1,yes,9", None, r"detections.csv, line 2: the detection lies at 10.1 s"),
    ],
)
def test_what_does_not_fit_is_refused(read, reference, detections, durations, message):
    stated = None if durations is None else read("durations", durations)
    with pytest.raises(ScoreInputError, match=message):
        detection_streams(read("reference", reference), read("detections", detections), stated)


def posteriors(frames=100):
    return Posteriors(np.full((frames, 1), 0.1), 0.01, 0.03, ("yes",), "p/a.npz")


def test_streams_of_posteriors(read):
    (stream,) = posterior_streams(read("reference", "x/a.wav,0.5,0.6,yes,"), {"a": posteriors()})
    assert stream.duration_s == pytest.approx(99 * 0.01 + 0.03)
    assert stream.events == [Event("yes", 0.5, 0.6)]
    (stream,) = posterior_streams(read("reference"), {"a": posteriors()}, read("durations", "a.wav,1"))
    assert stream.duration_s == 1.0


@pytest.mark.parametrize(
    ("reference", "durations", "message"),
    [
        ("b,1,1.5,yes,", None, "reference.csv, line 2: recording 'b' has no posteriors; there is a"),
        ("a,2,2.5,yes,", None, "reference.csv, line 2: the event starts at 2 s, .* ends at 1.02 s"),
        ("a,0.5,0.5,yes,", "b,1", "durations.csv, line 2: recording 'b' has no posteriors"),
        ("a,0.5,0.5,yes,", "a,60", "a.npz: the posteriors end at 1.02 s, .* ends at 60 s"),
    ],
)
def test_what_does_not_fit_posteriors(read, reference, durations, message):
    stated = None if durations is None else read("durations", durations)
    with pytest.raises(ScoreInputError, match=message):
        posterior_streams(read("reference", reference), {"a": posteriors()}, stated)


def test_posteriors_whose_length_the_durations_do_not_state(read):
    both = {"a": posteriors(), "b": posteriors()}
    with pytest.raises(ScoreInputError, match="the durations do not state the length of 'b'"):
        posterior_streams(read("reference"), both, read("durations", "a,1"))


def test_which_labels_are_scored():
    assert choose_labels(["yes"], ["yes", "no"]) == (["yes"], ["no"])
    assert choose_labels([], ["yes", "no"]) == (["yes", "no"], [])
    assert choose_labels(["yes"], ["no"], ["no"]) == (["no"], [])
    assert choose_labels(["yes"], []) == (["yes"], [])
    with pytest.raises(ScoreInputError, match="no label 'maybe' in the reference or the scores"):
        choose_labels(["yes"], ["no"], ["maybe"])
    with pytest.raises(ScoreInputError, match="no label 'yes' in the posteriors, which have 'Yes'; --label"):
        choose_labels(["yes"], ["Yes"], columns=True)
    with pytest.raises(ScoreInputError, match="no label to score"):
        choose_labels([], [])


def test_detections_are_the_point_of_the_sweep_that_made_them():
    """Random posteriors: decoded at a threshold, and scored both ways."""
    rng = np.random.default_rng(3)
    settings = DecoderSettings(threshold=0.9, refractory_s=0.3, smoothing_s=0.02)
    streams, of_posteriors = [], []
    for number in range(4):
        one = Posteriors(rng.random((500, 2)) ** 0.5, 0.01, 0.02, ("no", "yes"), "")
        starts = np.sort(rng.uniform(0.0, 4.5, 4)).round(3)
        events = [Event("yes", start, start + 0.2, speaker=str(number)) for start in starts]
        listing = Listing({"a": [(event, "") for event in events]}, {"a": ""})
        (stream,) = posterior_streams(listing, {"a": one})
        of_posteriors.append(stream)
        detections = Decoder(settings, one.labels, stream.clock).push(one.posteriors)
        streams.append(DetectionStream(detections, events, one.duration_s))
    expected = sweep(of_posteriors, "yes", settings, WINDOW).at_threshold(0.9).to_dict()
    found = score_detections(streams, "yes", WINDOW).to_dict()
    assert 0 < found["misses"] < found["events"]
    assert found["false_alarms"] > 0
    assert found.pop("threshold") is None
    del expected["threshold"]
    for name, value in expected.items():
        assert found[name] == (value if name == "label" else pytest.approx(value)), name
    assert found["miss_rate_speaker_interval"] is not None


# As text


def point_of(false_alarms, seconds):
    found = [Detection(10.0 * i, "yes", 1.0) for i in range(false_alarms)]
    return score_detections([DetectionStream(found, [], seconds)], "yes", WINDOW)


def test_no_false_alarm_in_half_an_hour_is_below_six_per_hour():
    row = table([("detections", point_of(0, 1800.0))]).splitlines()[1]
    assert "0 in 0.5 h         below 6 " in row


def test_false_alarms_have_their_interval():
    # Garwood of 10 counts: 4.795 to 18.39.
    assert "10 in 1 h    10 [4.8, 18]" in table([("detections", point_of(10, 3600.0))]).splitlines()[1]


def test_what_cannot_be_said_is_a_dash():
    header, row = table([("detections", point_of(0, 0.0))]).splitlines()
    assert header.split()[0] == "at"
    assert row.split() == ["detections", "-", "0", "of", "0", "-", "0", "in", "0", "h", *"------"]


def test_an_anchor_behind_the_end_of_its_recording_is_a_mistake(read):
    # Milliseconds, say: the window would take in all of the recording, and be hit by whatever fires in it.
    reference = read("reference", "a.wav,1,1500,yes,60")
    with pytest.raises(ScoreInputError, match=r"line 2: the anchor lies at 1500 s, and .* ends at 60 s"):
        detection_streams(reference, read("detections", "a.flac,40,yes,60"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detections": [Detection(float("nan"), "yes", 1.0)]}, "a detection lies outside"),
        ({"detections": [Detection(12.0, "yes", 1.0)]}, "a detection lies outside"),
        ({"events": [Event("yes", 11.0, 12.0)]}, "an event lies outside"),
        ({"events": [Event("yes", 1.0, float("inf"))]}, "times of an event must be finite"),
        ({"duration_s": float("nan")}, "duration_s must be at least 0"),
        ({"duration_s": -5.0}, "duration_s must be at least 0"),
    ],
)
def test_a_wrong_recording_is_refused_by_name(change, message):
    values = {"detections": [], "events": [], "duration_s": 10.0, "name": "kitchen"}
    with pytest.raises(ValueError, match=f"recording 'kitchen': .*{message}"):
        DetectionStream(**{**values, **change})
