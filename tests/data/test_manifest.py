"""Manifests: read back as written, and every mistake in them said at once."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.data.clip import KINDS, SPLITS
from anchorstream.data.manifest import ManifestError, Recording, read_manifest, write_manifest

GOOD = {"path": "a.wav", "split": "train", "kind": "keyword", "label": "alexa"}


@pytest.fixture
def manifest(tmp_path):
    """Writes lines, and the files a.wav, b.wav and c.wav beside them."""
    for name in "abc":
        (tmp_path / f"{name}.wav").touch()

    def write(*lines):
        path = tmp_path / "manifest.jsonl"
        path.write_text(
            "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        )
        return path

    return write


texts = st.text(min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(
    split=st.sampled_from(SPLITS),
    kind=st.sampled_from(KINDS),
    label=texts,
    times=st.lists(st.floats(0, 100), min_size=2, max_size=2, unique=True).map(sorted),
    speaker=st.none() | texts,
    doubts=st.lists(texts, max_size=3),
    author=st.none() | texts,
)
def test_what_is_written_is_read_back(tmp_path_factory, split, kind, label, times, speaker, doubts, author):
    folder = tmp_path_factory.mktemp("manifest")
    (folder / "a.wav").touch()
    recording = Recording(
        "a.wav",
        split,
        kind,
        label,
        sample_rate=16_000,
        duration_s=100.0,
        start_s=times[0],
        end_s=times[1],
        speaker=speaker,
        doubts=tuple(doubts),
        author=author,
    )
    write_manifest(folder / "manifest.jsonl", [recording])
    assert read_manifest(folder / "manifest.jsonl") == [recording]


def test_only_path_split_kind_and_label_are_needed(manifest):
    assert read_manifest(manifest(GOOD, "")) == [Recording("a.wav", "train", "keyword", "alexa")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'path': 'a.wav'}", "line 1: is not JSON"),
        ("[1, 2]", "line 1: must be a JSON object, it is list"),
        ("[" * 100_000, "line 1: is not JSON"),
        ({"path": "a.wav", "kind": "noise"}, "line 1: lacks split, label"),
        ({**GOOD, "speeker": "anna"}, "line 1: has unknown fields 'speeker'; known are path,.*speaker"),
        ({**GOOD, "split": "valid"}, "line 1: split must be one of train, dev, test, got 'valid'"),
        ({**GOOD, "split": ["train"]}, "line 1: split must be one of"),
        ({**GOOD, "kind": "Keyword"}, "line 1: kind must be one of keyword, speech, digit, noise"),
        ({**GOOD, "label": 7}, "line 1: label must be a string that is not empty, got 7"),
        ({**GOOD, "speaker": ""}, "line 1: speaker must be a string that is not empty"),
        ({**GOOD, "doubts": "clipping"}, "line 1: doubts must be a list of strings"),
        ({**GOOD, "doubts": [1]}, "line 1: doubts must be a list of strings"),
        ({**GOOD, "sample_rate": 16000.5}, "line 1: sample_rate must be a whole number of Hz"),
        (
            {**GOOD, "duration_s": True},
            "line 1: duration_s must be a number of seconds, at least 0, got True",
        ),
        (json.dumps(GOOD)[:-1] + ', "start_s": NaN, "end_s": 1}', "line 1: start_s must be a number"),
        ({**GOOD, "start_s": 1.0}, "line 1: start_s and end_s must be given together"),
        ({**GOOD, "start_s": 1.0, "end_s": 1.0}, "line 1: end_s must be after start_s, got 1.0 to 1.0"),
        ({**GOOD, "start_s": 0.0, "end_s": 2.0, "duration_s": 1.5}, r"line 1: end_s 2.0 lies after the end"),
        ({**GOOD, "path": "../a.wav"}, "line 1: path must be relative to the manifest's folder.*within it"),
        ({**GOOD, "path": "/etc/passwd"}, "line 1: path must be relative"),
        ({**GOOD, "path": "x\\a.wav"}, "line 1: path must be relative"),
        ({**GOOD, "path": "lost.wav"}, "line 1: there is no file lost.wav in "),
        (
            {**GOOD, "duration_s": 10**400},
            r"line 1: duration_s must be a number of seconds.*got 1000.*\.\.\.",
        ),
        ({**GOOD, "path": "x" * 300 + ".wav"}, r"line 1: x+\.wav cannot be read: File name too long"),
        (
            json.dumps(GOOD)[:-1] + ', "split": "test"}',
            "line 1: a field stands twice in path, split, .*split",
        ),
        ("", "holds no recording"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(manifest, line, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(manifest(line))


def test_all_wrong_lines_are_named_at_once(manifest):
    path = manifest(
        *(GOOD, "no json", {**GOOD, "path": "b.wav", "kind": "song"}, GOOD, {**GOOD, "path": "lost.wav"}),
        *({**GOOD, "path": f"{'x' * 300}.wav"}, {**GOOD, "path": "c.wav", "start_s": 10**400, "end_s": 1}),
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
    ]
    assert "a.wav is already on line 1" in caught.value.problems[2]
    assert str(caught.value).startswith(f"{path}: 6 problem(s):\n  - line 2: ")


def test_a_long_list_of_problems_is_cut_short_in_the_message_only(manifest):
    with pytest.raises(ManifestError, match="and 980 more") as caught:
        read_manifest(manifest(*["no json"] * 1000))
    assert len(caught.value.problems) == 1000


def test_a_speaker_in_two_splits_is_refused(manifest):
    anna = {**GOOD, "speaker": "anna"}
    path = manifest(anna, {**anna, "path": "b.wav", "split": "test"}, {**anna, "path": "c.wav"})
    expected = r"speaker 'anna' is in more than one split: train \(a.wav\), test \(b.wav\)"
    with pytest.raises(ManifestError, match=expected):
        read_manifest(path)


def test_a_manifest_that_is_no_text_or_not_there_is_refused(tmp_path):
    (tmp_path / "manifest.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ManifestError, match="is not UTF-8 text"):
        read_manifest(tmp_path / "manifest.jsonl")
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "other.jsonl")


def test_the_manifest_of_the_recordings_is_sound(real_data):
    recordings = read_manifest(real_data / "manifest.jsonl")
    assert len(recordings) > 3000
    assert {recording.kind for recording in recordings} == set(KINDS)
