"""Every format by files written by hand, and every way in which one may be wrong."""

import json

import numpy as np
import pytest

from anchorstream.decode import Detection
from anchorstream.metrics import Event
from anchorstream.score import (
    ScoreInputError,
    are_posteriors,
    read_detections,
    read_durations,
    read_posteriors,
    read_reference,
)


@pytest.fixture
def write(tmp_path):
    def make(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def items(listing):
    return {name: [item for item, _ in found] for name, found in listing.items.items()}


# References


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_reference_in_csv(write, delimiter, line_end):
    lines = [
        ["file", "start_s", "anchor_s", "label", "speaker", "goes_on_until_s", "duration_s"],
        ["b/two.wav", "1.0", "1.5", "yes", "", "2.5", ""],
        ["one.flac", "3", "3.25", "no", "anna", "", "60"],
        ["silence", "", "", "", "", "", "30"],
    ]
    text = line_end.join(delimiter.join(line) for line in [*lines, [""]])
    listing = read_reference(write("events.csv", "\ufeff" + text))
    assert items(listing) == {
        "b/two": [Event("yes", 1.0, 1.5, goes_on_until_s=2.5)],
        "one": [Event("no", 3.0, 3.25, "anna")],
        "silence": [],
    }
    assert listing.durations_s == {"one": 60.0, "silence": 30.0}
    assert listing.labels == ["yes", "no"]
    assert listing.where["one"].endswith("events.csv, line 3")


def test_the_anchor_is_the_end_of_a_segment_or_its_start(write):
    path = write("events.csv", "file,start_s,end_s,label\na,1,1.5,yes\n")
    assert items(read_reference(path)) == {"a": [Event("yes", 1.0, 1.5)]}
    assert items(read_reference(path, "start")) == {"a": [Event("yes", 1.0, 1.0, goes_on_until_s=1.5)]}


def test_an_anchor_that_is_stated_is_kept(write):
    path = write("events.csv", "file,start_s,anchor_s,label\na,1,1.5,yes\n")
    assert items(read_reference(path, "start")) == {"a": [Event("yes", 1.0, 1.5)]}


def test_a_reference_in_json_lines(write):
    path = write(
        "events.jsonl",
        '{"file": "a.wav", "start_s": 1, "anchor_s": 1.5, "label": "yes", "speaker": null}\n\n'
        '{"file": "b.wav", "duration_s": 12.5}\n',
    )
    listing = read_reference(path)
    assert items(listing) == {"a": [Event("yes", 1.0, 1.5)], "b": []}
    assert listing.durations_s == {"b": 12.5}


def test_a_reference_in_rttm(write):
    path = write(
        "events.rttm",
        ";; a comment\n"
        "SPKR-INFO meeting 1 <NA> <NA> <NA> adult_female anna <NA>\n"
        "SPEAKER meeting 1 10.25 1.50 <NA> <NA> speech <NA> <NA>\n"
        "LEXEME other.2020 1 3.0 0.5 computer lex anna 0.9\n",
    )
    assert items(read_reference(path)) == {
        "meeting": [Event("speech", 10.25, 11.75)],
        "other.2020": [Event("computer", 3.0, 3.5, "anna")],
    }


def test_a_folder_of_audacitys_labels(write, tmp_path):
    write("labels/a.txt", "1.000000\t1.500000\tyes please\n\\\t200.0\t3000.0\n2.0\t2.5\tno\n")
    write("labels/b.txt", "")
    write("labels/notes.md", "nothing of ours")
    assert items(read_reference(tmp_path / "labels")) == {
        "a": [Event("yes please", 1.0, 1.5), Event("no", 2.0, 2.5)]
    }
    assert items(read_reference(tmp_path / "labels" / "a.txt")).keys() == {"a"}


HEADER = "file,start_s,anchor_s,label\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("e.csv", HEADER + "a,1,2\n", "line 2: has 3 cells, the header names 4 columns"),
        ("e.csv", HEADER + "a,one,2,yes\n", "line 2: start_s must be a number, got 'one'"),
        ("e.csv", HEADER + "a,1_0,20,yes\n", "line 2: start_s must be a number, got '1_0'"),
        ("e.csv", HEADER + "a,1,nan,yes\n", "line 2: anchor_s must be finite, got nan"),
        ("e.csv", HEADER + "a,1,inf,yes\n", "line 2: anchor_s must be finite, got inf"),
        ("e.csv", HEADER + "a,-1,2,yes\n", "line 2: start_s must be at least 0 seconds, got -1"),
        ("e.csv", HEADER + "a,2,1,yes\n", "line 2: anchor_s must not lie before start_s, got 2 and 1"),
        ("e.csv", HEADER + "a,,1,yes\n", "line 2: expected a start_s, got nothing"),
        ("e.csv", HEADER + "a,1,2,\n", "line 2: expected a label, got nothing"),
        ("e.csv", HEADER + ",1,2,yes\n", "line 2: expected a file, got nothing"),
        ("e.csv", HEADER + "a,1,2,yes\nb,1,2,yes\na,1,2.0,yes\n", "line 4: stands twice: .*line 2"),
        ("e.csv", HEADER + "a.wav,1,2,yes\na.flac,4,5,yes\n", "line 3: .*would be one recording"),
        ("e.csv", HEADER + "a,1,,yes\n", "line 2: expected either anchor_s or end_s, got none"),
        ("e.csv", "file,start_s,end_s,anchor_s,label\na,1,2,2,yes\n", "got both"),
        ("e.csv", "file,start,anchor_s,label\n", r"line 1: expected names among .*got \['start'\]"),
        ("e.csv", "file,label,label\n", "line 1: a column stands twice"),
        ("e.csv", "", "line 1: expected names among .*got none"),
        ("e.csv", HEADER + 'a,1,2,"yes', "no CSV"),
        ("e.csv", b"file,label\n\xff\xfe", "expected text in UTF-8"),
        ("e.csv", "file,duration_s\na,1\na,2\n", "line 3: 'a' lasts 2 s here and 1 s further up"),
        ("e.csv", "file,duration_s\na,1\na,1\n", "line 3: stands twice"),
        (
            "e.csv",
            "file,start_s,anchor_s,label,goes_on_until_s\na,1,2,yes,1.5\n",
            "line 2: goes_on_until_s must not lie before the anchor",
        ),
        ("e.csv", HEADER + "a,1,1e308,yes\n", "line 2: anchor_s must be a number of seconds, got 1e"),
        ("e.jsonl", "{", "line 1: no JSON"),
        ("e.jsonl", '{"file": "a", "start_s": ' + 5000 * "1" + "}", "line 1: no JSON"),
        ("e.jsonl", "\n[1]\n", "line 2: expected one JSON object a line"),
        ("e.jsonl", '{"file": "a", "start_s": NaN, "anchor_s": 1, "label": "yes"}', "start_s must be finite"),
        ("e.jsonl", '{"file": "a", "start_s": true, "anchor_s": 1, "label": "yes"}', "must be a number"),
        ("e.jsonl", '{"file": 3, "start_s": 1, "anchor_s": 1, "label": "yes"}', "expected a file, got 3"),
        ("e.jsonl", '{"file": "a", "end": 1}', r"expected names among .*\['end'\]"),
        ("e.rttm", "SPEAKER a 1 2.0 0.5 <NA>\n", "line 1: expected at least 8 fields"),
        ("e.rttm", "\nSPEAKER a 1 2.0 -1 <NA> <NA> yes\n", "line 2: duration must be at least 0"),
        ("e.rttm", "WORD a 1 2.0 1 <NA> <NA> yes\n", "line 1: expected a line of type SPEAKER or LEXEME"),
        (
            "e.rttm",
            "\nLEXEME a 1 2.0 1 <NA> lex <NA>\n",
            "line 2: expected a word or a name, got <NA> for both",
        ),
        (
            "e.jsonl",
            '{"file": "a", "start_s": 1, "start_s": 2, "anchor_s": 3, "label": "yes"}',
            r"e\.jsonl, line 1: a name stands twice in \['file', 'start_s', 'start_s'",
        ),
        ("e.txt", "1.0\t2.0\n", "line 1: expected start, end and label"),
        ("e.txt", "1,0\t2,0\tyes\n", "line 1: start_s must be a number, got '1,0'"),
        ("e.txt", "1.0\t2.0\t\n", "line 1: expected a label"),
        ("e.json", '{"files": []}', "a .json file must be what `anchorstream detect --json` prints"),
        ("e.xml", "", "expected a file that ends in one of"),
    ],
)
def test_a_wrong_reference_is_refused_with_its_row(write, name, text, message):
    with pytest.raises(ScoreInputError, match=message) as error:
        read_reference(write(name, text))
    assert name in str(error.value)


def test_no_file_and_an_empty_folder(tmp_path):
    with pytest.raises(ScoreInputError, match=r"none\.csv: there is no such file or folder"):
        read_reference(tmp_path / "none.csv")
    with pytest.raises(ScoreInputError, match=r"the folder holds no \.txt"):
        read_reference(tmp_path)


# Detections


def test_detections_in_csv_are_sorted_and_that_is_said(write):
    listing = read_detections(
        write("found.csv", "file,time_s,label,score\na,2.0,yes,0.5\nb,9,yes,\na,1.0,no,0.25\n")
    )
    assert items(listing) == {
        "a": [Detection(1.0, "no", 0.25), Detection(2.0, "yes", 0.5)],
        "b": [Detection(9.0, "yes", 1.0)],
    }
    assert [note.partition(": ")[2] for note in listing.notes] == [
        "in 1 recording(s) detections are out of the order of time: sorted"
    ]


def test_detections_in_json_lines(write):
    path = write(
        "found.jsonl",
        '{"file": "a", "time_s": 1.5, "label": "yes", "duration_s": 9}\n{"file": "b", "duration_s": 3}\n',
    )
    listing = read_detections(path)
    assert items(listing) == {"a": [Detection(1.5, "yes", 1.0)], "b": []}
    assert listing.durations_s == {"a": 9.0, "b": 3.0}
    assert listing.notes == []


def test_what_detect_prints(write):
    found = [{"time_s": 0.22, "label": "loud", "score": 0.75}]
    document = {
        "files": [
            {"path": "x/a.wav", "duration_s": 1.0, "detections": found},
            {"path": "x/b.wav", "duration_s": 2.0, "detections": [], "posteriors": "b.npz"},
        ]
    }
    listing = read_detections(write("found.json", json.dumps(document)))
    assert items(listing) == {"x/a": [Detection(0.22, "loud", 0.75)], "x/b": []}
    assert listing.durations_s == {"x/a": 1.0, "x/b": 2.0}


def test_of_a_segment_the_start_is_the_moment_and_that_is_said(write):
    point = write("point.txt", "1.5\t1.5\tyes\n")
    assert read_detections(point).notes == []
    segment = read_detections(write("a.rttm", "SPEAKER a 1 1.5 0.4 <NA> <NA> yes 0.75 <NA>\n"))
    assert items(segment) == {"a": [Detection(1.5, "yes", 0.75)]}
    assert "1 detection(s) have a start and an end: the start is taken" in segment.notes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.csv", "file,time_s,label\na,1,yes\na,1.0,yes\n", "line 3: stands twice: .*line 2"),
        ("d.csv", "file,time_s,label\na,-0.1,yes\n", "line 2: time_s must be at least 0"),
        ("d.csv", "file,time_s,label\na,,yes\n", "line 2: expected a time_s, got nothing"),
        ("d.csv", "file,time_s,label,score\na,1,yes,nan\n", "line 2: score must be finite"),
        ("d.csv", "file,start_s,end_s,label\na,1,2,yes\n", "line 1: expected names among file, time_s"),
        ("d.json", "[]", "a .json file must be what"),
        ("d.json", '{"files": [{"path": "a"}]}', "file 1: expected path, duration_s and detections"),
        ("d.json", '{"files": [{"path": "a", "detections": [3]}]}', "file 1 .a., detection 1: expected an"),
        (
            "d.json",
            '{"files": [{"path": "a", "duration_s": 1, "detections": [], "error": "a: cut off"}]}',
            "file 1: a: cut off; mend that file, or leave it out",
        ),
    ],
)
def test_wrong_detections_are_refused_with_their_row(write, name, text, message):
    with pytest.raises(ScoreInputError, match=message) as error:
        read_detections(write(name, text))
    assert name in str(error.value)


def test_durations(write):
    path = write("d.csv", "file,duration_s\na.wav,1.5\nb.wav,2\n")
    assert read_durations(path).durations_s == {"a": 1.5, "b": 2.0}
    with pytest.raises(ScoreInputError, match="line 2: expected a file and a duration_s"):
        read_durations(write("d.csv", "file,duration_s\na,\n"))
    with pytest.raises(ScoreInputError, match="line 2: duration_s must be at least 0"):
        read_durations(write("d.csv", "file,duration_s\na,-1\n"))


# Posteriors

GOOD = {
    "posteriors": np.array([[0.1, 0.2], [0.3, 1.0], [0.0, 0.5]], np.float32),
    "hop_s": 0.01,
    "delay_s": 0.03,
    "labels": np.array(["no", "yes"]),
}


def test_posteriors_end_when_their_last_frame_is_known(tmp_path):
    np.savez(tmp_path / "a.npz", **GOOD)
    np.savez_compressed(tmp_path / "b.npz", **{**GOOD, "posteriors": GOOD["posteriors"][:0]})
    found = read_posteriors(tmp_path)
    assert found.keys() == {"a", "b"}
    assert found["a"].labels == ("no", "yes")
    assert np.array_equal(found["a"].posteriors, GOOD["posteriors"])
    assert found["a"].duration_s == pytest.approx(2 * 0.01 + 0.03)
    assert found["b"].duration_s == 0.0
    assert read_posteriors(tmp_path / "a.npz").keys() == {"a"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"posteriors": np.array([[0.1, np.nan]])}, r"in \[0, 1\], got \[0.1, nan\] in frame 0"),
        ({"posteriors": np.array([[0.1, 0.2], [0.1, 3.5]])}, r"got \[0.1, 3.5\] in frame 1"),
        ({"posteriors": np.array([[0.1, -0.5]])}, "in frame 0"),
        ({"posteriors": np.array([0.1, 0.2])}, r"must have shape \(frames, 2\)"),
        ({"posteriors": np.array([[0.1]])}, r"must have shape \(frames, 2\)"),
        ({"posteriors": np.array([[1, 0]])}, "floating point, got .* int64"),
        ({"labels": np.array(["yes", "yes"])}, "labels must be one or more different names"),
        ({"labels": np.array([1, 2])}, "labels must be a list of names"),
        ({"labels": np.array(["yes", None])}, "is no .npz that can be read"),  # a pickle
        ({"hop_s": 0.0}, "hop_s must be a positive number"),
        ({"hop_s": np.nan}, "hop_s must be a positive number"),
        ({"hop_s": np.array([0.01, 0.02])}, "hop_s must be one number"),
        ({"delay_s": -1.0}, "delay_s must be at least 0"),
    ],
)
def test_wrong_posteriors_are_refused_with_their_file(tmp_path, changed, message):
    np.savez(tmp_path / "a.npz", **{**GOOD, **changed})
    with pytest.raises(ScoreInputError, match=message) as error:
        read_posteriors(tmp_path / "a.npz")
    assert "a.npz" in str(error.value)


def test_posteriors_without_an_array_or_of_two_detectors(tmp_path):
    np.savez(tmp_path / "a.npz", posteriors=GOOD["posteriors"])
    with pytest.raises(ScoreInputError, match=r"without \['hop_s', 'delay_s', 'labels'\]"):
        read_posteriors(tmp_path)
    np.savez(tmp_path / "a.npz", **GOOD)
    np.savez(tmp_path / "b.npz", **{**GOOD, "hop_s": 0.02})
    with pytest.raises(ScoreInputError, match=r"b\.npz: hop_s is 0\.02, and 0\.01 in .*a\.npz"):
        read_posteriors(tmp_path)


def test_endings_of_sound_files_do_not_count_in_the_names_of_posteriors(tmp_path):
    np.savez(tmp_path / "a.wav.npz", **GOOD)
    np.savez(tmp_path / "b.npz", **GOOD)
    (tmp_path / "b.npz").rename(tmp_path / "b.NPZ")
    assert are_posteriors(tmp_path)
    assert read_posteriors(tmp_path).keys() == {"a", "b"}
    np.savez(tmp_path / "a.npz", **GOOD)
    with pytest.raises(ScoreInputError, match=r"would be the posteriors of the recording 'a', as .*a\."):
        read_posteriors(tmp_path)


def test_a_damaged_archive(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **GOOD)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[60:100] = bytes(40)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ScoreInputError, match=r"a\.npz: is no \.npz that can be read"):
        read_posteriors(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_what_is_no_npz(write, content):
    with pytest.raises(ScoreInputError, match=r"a\.npz: is no \.npz that can be read"):
        read_posteriors(write("a.npz", content))


def test_an_array_alone_is_no_npz(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, GOOD["posteriors"])
    with pytest.raises(ScoreInputError, match=r"a\.npz: is no \.npz"):
        read_posteriors(tmp_path / "a.npz")


def test_no_posteriors_at_all(tmp_path):
    with pytest.raises(ScoreInputError, match=r"the folder holds no \.npz"):
        read_posteriors(tmp_path)
    with pytest.raises(ScoreInputError, match="cannot be read: No such file"):
        read_posteriors(tmp_path / "a.npz")
