"""A folder of one's own: who goes where, and what is said when there is nothing to go."""

import errno
import os
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from anchorstream.data.audit import Skipped
from anchorstream.data.clip import SPLITS
from anchorstream.data.folder import FolderError, scan_folder


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def by_split(recordings, kind):
    return Counter(recording.split for recording in recordings if recording.kind == kind)


def test_kinds_labels_and_speakers_follow_from_the_folders(tmp_path):
    touch(tmp_path, *(f"positive/{name}/{i}.wav" for name in ("anna", "ben", "cleo") for i in range(2)))
    touch(tmp_path, "negative/anna/x.flac", "negative/y.ogg", "noise/rain/1.WAV", "noise/2.wav")
    scan = scan_folder(tmp_path, keyword="hey you")
    found = {item.path: (item.kind, item.label, item.speaker) for item in scan.recordings}
    assert found["positive/anna/0.wav"] == ("keyword", "hey you", "anna")
    assert found["negative/anna/x.flac"] == ("speech", "speech", "anna")
    assert found["negative/y.ogg"] == ("speech", "speech", None)
    assert found["noise/rain/1.WAV"] == ("noise", "rain", None)
    assert found["noise/2.wav"] == ("noise", "noise", None)
    splits = {item.speaker: set() for item in scan.recordings}
    for item in scan.recordings:
        splits[item.speaker].add(item.split)
    assert all(len(splits[name]) == 1 for name in ("anna", "ben", "cleo"))
    assert by_split(scan.recordings, "keyword").keys() == set(SPLITS)
    assert scan.notes == ()


@pytest.mark.parametrize("count", [3, 4, 10, 100])
def test_files_are_shared_out_70_15_15_and_no_split_stays_empty(tmp_path, count):
    touch(tmp_path, *(f"{kind}/{i}.wav" for kind in ("positive", "negative", "noise") for i in range(count)))
    recordings = scan_folder(tmp_path).recordings
    for kind in ("keyword", "speech", "noise"):
        found = by_split(recordings, kind)
        assert found.keys() == set(SPLITS)
        assert found["train"] == pytest.approx(0.7 * count, abs=1.2)
        assert found["dev"] == pytest.approx(0.15 * count, abs=1)


def test_a_speaker_with_most_recordings_goes_to_train(tmp_path):
    touch(tmp_path, *(f"positive/anna/{i}.wav" for i in range(50)))
    touch(tmp_path, *(f"positive/{name}/{i}.wav" for name in ("ben", "cleo", "dan") for i in range(5)))
    split_of = {item.speaker: item.split for item in scan_folder(tmp_path).recordings}
    assert split_of["anna"] == "train"


def test_the_split_depends_on_names_alone(tmp_path):
    names = [f"positive/{name}.wav" for name in "abcdefghij"]
    first = scan_folder(touch(tmp_path / "one", *names)).recordings
    second = scan_folder(touch(tmp_path / "two", *reversed(names))).recordings
    assert [(item.path, item.split) for item in first] == [(item.path, item.split) for item in second]


def test_too_few_speakers_are_split_by_file_and_it_says_so(tmp_path):
    touch(tmp_path, *(f"positive/{name}/{i}.wav" for name in ("anna", "ben") for i in range(10)))
    scan = scan_folder(tmp_path)
    assert by_split(scan.recordings, "keyword").keys() == set(SPLITS)
    assert {item.speaker for item in scan.recordings} == {None}
    assert "positive/ has 2 speaker(s), too few" in scan.notes[0]


def test_hidden_files_are_passed_over_and_other_files_named(tmp_path):
    touch(tmp_path, *(f"positive/{i}.wav" for i in range(3)), "positive/.DS_Store", "positive/._1.wav")
    scan = scan_folder(touch(tmp_path, "positive/notes.txt", "noise/song.m4a"))
    assert len(scan.recordings) == 3
    assert {item.path for item in scan.ignored} == {"positive/notes.txt", "noise/song.m4a"}


@pytest.mark.parametrize("any_speech", [False, True])
def test_recordings_of_another_format_or_in_another_place_are_named(tmp_path, any_speech):
    with pytest.raises(FolderError, match=r"2 file\(s\) there are \.m4a, none of .*ffmpeg -i"):
        scan_folder(touch(tmp_path / "phone", "positive/1.m4a", "positive/2.m4a"), any_speech=any_speech)
    with pytest.raises(FolderError, match=r"1 lie in .*loose itself, such as 1\.wav; expected positive/"):
        scan_folder(touch(tmp_path / "loose", "1.wav"), any_speech=any_speech)


def test_a_folder_that_is_not_there_is_named_with_where_it_was_sought(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FolderError, match=rf"mine: there is no such folder in {tmp_path};"):
        scan_folder(Path("mine"))


@pytest.mark.parametrize("paths", [(), ("negative/1.wav",)])
def test_without_a_positive_recording_it_says_what_is_expected(tmp_path, paths):
    with pytest.raises(FolderError, match=r"no sound file in .*positive; expected positive/ with"):
        scan_folder(touch(tmp_path, *paths))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FolderError, match="nowhere: there is no such folder; expected positive/"):
        scan_folder(tmp_path / "nowhere")


def test_what_a_model_was_trained_on_stays_where_it_is(tmp_path):
    speakers = [f"speaker{k}" for k in range(12)]
    touch(tmp_path, *(f"positive/{name}/{i}.wav" for name in speakers for i in range(4)), "noise/1.wav")
    touch(tmp_path, *(f"negative/{i}.wav" for i in range(10)))
    known = {item.path: item.split for item in scan_folder(tmp_path).recordings}
    # A speaker with more than all others, who goes to train and would move the rest.
    touch(tmp_path, *(f"positive/new/{i}.wav" for i in range(30)), f"positive/{speakers[0]}/more.wav")
    anew = {item.path: item.split for item in scan_folder(tmp_path).recordings}
    assert any(anew[path] != split for path, split in known.items())
    kept = {item.path: item.split for item in scan_folder(tmp_path, known=known).recordings}
    assert known.items() <= kept.items()
    assert kept[f"positive/{speakers[0]}/more.wav"] == known[f"positive/{speakers[0]}/0.wav"]


def splits_of(scan):
    return {item.path: item.split for item in scan.recordings}


def test_a_third_speaker_moves_no_file_of_two_who_were_split_by_file(tmp_path):
    touch(tmp_path, *(f"positive/{name}/{i}.wav" for name in ("anna", "ben") for i in range(6)))
    touch(tmp_path, *(f"negative/anna/{i}.wav" for i in range(6)))
    known = splits_of(scan_folder(tmp_path))
    touch(tmp_path, *(f"positive/cleo/{i}.wav" for i in range(6)), "positive/anna/new.wav")
    scan = scan_folder(tmp_path, known=known)
    assert known.items() <= splits_of(scan).items()
    speakers = {item.path: item.speaker for item in scan.recordings}
    assert {speakers[path] for path in known} == {speakers["positive/anna/new.wav"]} == {None}
    assert speakers["positive/cleo/0.wav"] == "cleo"
    assert len({item.split for item in scan.recordings if item.speaker == "cleo"}) == 1
    (note,) = scan.notes
    assert "2 speaker(s) are in several splits already, such as anna: split by file" in note


def test_speakers_who_are_left_stay_whole_however_few(tmp_path):
    touch(tmp_path, *(f"positive/{name}/{i}.wav" for name in ("anna", "ben", "cleo") for i in range(6)))
    known = splits_of(scan_folder(tmp_path))
    for path in (tmp_path / "positive" / "cleo").iterdir():
        path.unlink()
    touch(tmp_path, *(f"positive/{name}/new{i}.wav" for name in ("anna", "ben") for i in range(4)))
    scan = scan_folder(tmp_path, known=known)
    for name in ("anna", "ben"):
        there = {item.split for item in scan.recordings if item.speaker == name}
        assert there == {known[f"positive/{name}/0.wav"]}
    assert {item.speaker for item in scan.recordings} == {"anna", "ben"}
    assert scan.notes == ()


def test_a_speaker_is_one_however_accents_are_written(tmp_path):
    names = ("José", "Zoë", "Björn", "André", "Chloé")
    for kind, form in (("positive", "NFC"), ("negative", "NFD")):
        touch(
            tmp_path, *(f"{kind}/{unicodedata.normalize(form, name)}/{i}.wav" for name in names for i in "ab")
        )
    scan = scan_folder(tmp_path)
    assert {item.speaker for item in scan.recordings} == set(names)
    assert len({(item.speaker, item.split) for item in scan.recordings}) == len(names)
    # The paths are those of the files.
    assert all((tmp_path / item.path).is_file() for item in scan.recordings)


def test_a_keyword_called_speech_is_told_from_other_speech(tmp_path):
    touch(tmp_path, *(f"{kind}/{i}.wav" for kind in ("positive", "negative") for i in range(3)))
    for keyword, other in (("speech", "other speech"), ("computer", "speech")):
        labels = {(item.kind, item.label) for item in scan_folder(tmp_path, keyword).recordings}
        assert labels == {("keyword", keyword), ("speech", other)}


@pytest.fixture
def unreadable(monkeypatch):
    """Folders of a name that cannot be listed; a superuser could list any."""

    def make(name):
        scandir = os.scandir

        def refusing(path):
            if Path(path).name == name:
                raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)

    return make


def test_a_folder_that_cannot_be_read_is_named(tmp_path, unreadable):
    touch(tmp_path, *(f"positive/{name}/{i}.wav" for name in ("anna", "ben", "cleo", "dan") for i in "ab"))
    unreadable("dan")
    scan = scan_folder(tmp_path)
    assert scan.ignored == (Skipped("positive/dan", "cannot be read: Permission denied"),)
    assert len(scan.recordings) == 6
    unreadable("positive")
    with pytest.raises(FolderError, match="positive; positive cannot be read: Permission denied; make it re"):
        scan_folder(tmp_path)


def test_a_hidden_folder_that_cannot_be_read_is_passed_over(tmp_path, unreadable):
    touch(tmp_path, *(f"positive/{i}.wav" for i in range(3)), "positive/.Trashes/x.wav")
    unreadable(".Trashes")
    assert scan_folder(tmp_path).ignored == ()


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_links_to_folders_are_followed_and_one_that_leads_back_is_walked_once(tmp_path):
    touch(tmp_path / "elsewhere", *(f"anna/{i}.wav" for i in range(2)))
    touch(tmp_path / "own", "positive/ben/1.wav", "positive/cleo/1.wav")
    (tmp_path / "own" / "positive" / "anna").symlink_to(tmp_path / "elsewhere" / "anna")
    (tmp_path / "own" / "positive" / "ben" / "back").symlink_to(tmp_path / "own" / "positive")
    recordings = scan_folder(tmp_path / "own").recordings
    assert sorted(item.path for item in recordings if item.speaker == "anna") == [
        "positive/anna/0.wav",
        "positive/anna/1.wav",
    ]
    assert len(recordings) == 4
