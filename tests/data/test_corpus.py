"""Loading: what is kept, what is left out by name, and what stops it."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from anchorstream.data.corpus import CorpusError, load_corpus
from anchorstream.data.folder import FolderError
from anchorstream.data.manifest import ManifestError, Recording, write_manifest

RATE_HZ = 16_000


@pytest.fixture
def own_folder(tmp_path, write_wav):
    """A folder of one's own with three recordings of each sort, and every sort of bad file."""
    for kind in ("positive", "negative", "noise"):
        for number in range(3):
            write_wav(tmp_path / kind / f"{number}.wav", frequency_hz=1000 + 100 * number)
    write_wav(tmp_path / "positive" / "stereo.flac", channels=2)
    write_wav(tmp_path / "positive" / "other_rate.wav", rate_hz=44_100)
    (tmp_path / "positive" / "text.wav").write_text("no audio")
    soundfile.write(tmp_path / "negative" / "zero.wav", np.zeros(0), RATE_HZ)
    soundfile.write(tmp_path / "negative" / "short.wav", np.ones(160) * 0.1, RATE_HZ)
    soundfile.write(tmp_path / "negative" / "nan.wav", np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
    return tmp_path


def test_bad_files_are_left_out_by_name_and_the_rest_is_used(own_folder):
    corpus = load_corpus(own_folder, keywords=["hello"])
    reasons = {item.path: item.reason for item in corpus.audit.skipped}
    assert reasons.keys() == {
        "positive/text.wav",
        "negative/zero.wav",
        "negative/short.wav",
        "negative/nan.wav",
    }
    assert reasons["negative/zero.wav"] == "holds no samples"
    assert len(corpus.clips) == 11
    assert (corpus.audit.stereo, corpus.audit.resampled) == (1, 1)
    assert sum(tally.clips for tally in corpus.audit.tallies) == 11
    assert sum(tally.unsure for tally in corpus.audit.tallies) == 0
    assert json.loads(json.dumps(corpus.audit.to_dict()))["stereo"] == 1


def test_bounds_that_nobody_gave_are_found(own_folder):
    corpus = load_corpus(own_folder, keywords=["hello"])
    for clip in corpus.clips:
        if clip.kind == "noise":
            assert (clip.start_s, clip.end_s) == (None, None)
        else:
            assert (clip.start_s, clip.end_s) == pytest.approx((0.2, 0.7), abs=0.0101)
            assert clip.doubts == ()


def test_bounds_that_the_endpointer_doubts_are_counted(tmp_path, write_wav):
    for number in range(3):
        write_wav(tmp_path / "positive" / f"{number}.wav")
    samples, _ = soundfile.read(tmp_path / "positive" / "0.wav")
    soundfile.write(tmp_path / "positive" / "0.wav", samples[4000:], RATE_HZ)
    corpus = load_corpus(tmp_path)
    doubtful = [clip for clip in corpus.clips if clip.doubts]
    assert [clip.id for clip in doubtful] == ["positive/0.wav"]
    assert "touches the start" in doubtful[0].doubts[0]
    assert sum(tally.unsure for tally in corpus.audit.tallies) == 1


def test_select_narrows_by_split_kind_and_label(own_folder):
    corpus = load_corpus(own_folder, keywords=["hello"])
    assert len(corpus.select(kind="keyword")) == 5
    assert corpus.select(labels=["hello"]) == corpus.select(kind="keyword")
    assert [clip.split for clip in corpus.select(split="dev", kind="noise")] == ["dev"]


def test_only_what_is_asked_for_is_loaded(own_folder):
    seen = []
    corpus = load_corpus(own_folder, splits=["test"], kinds=["noise"], progress=lambda *at: seen.append(at))
    assert {(clip.split, clip.kind) for clip in corpus.clips} == {("test", "noise")}
    assert seen == [(1, 1)]


@pytest.mark.parametrize("workers", [1, 4])
def test_the_order_is_that_of_the_files_whatever_the_threads(own_folder, workers):
    clips = load_corpus(own_folder, workers=workers).clips
    assert [clip.id for clip in clips] == [clip.id for clip in load_corpus(own_folder, workers=2).clips]


def test_a_manifest_gives_bounds_speakers_and_terms(tmp_path, write_wav):
    write_wav(tmp_path / "a.wav")
    recording = Recording(
        "a.wav",
        "train",
        "keyword",
        "hello",
        duration_s=1.0,
        start_s=0.25,
        end_s=0.65,
        speaker="anna",
        doubts=("clipping",),
        source="home",
        licence="CC0",
    )
    write_manifest(tmp_path / "manifest.jsonl", [recording])
    corpus = load_corpus(tmp_path, keywords=["hello"])
    (clip,) = corpus.clips
    assert (clip.start_s, clip.end_s, clip.speaker, clip.doubts) == (0.25, 0.65, "anna", ("clipping",))
    assert [(origin.source, origin.licence, origin.clips) for origin in corpus.audit.origins] == [
        ("home", "CC0", 1)
    ]


def test_a_file_that_is_not_the_labelled_one_is_left_out(tmp_path, write_wav):
    write_wav(tmp_path / "a.wav")
    write_wav(tmp_path / "b.wav")
    recordings = [
        Recording(name, "train", "keyword", "hello", duration_s=duration_s, start_s=0.2, end_s=0.7)
        for name, duration_s in (("a.wav", 1.0), ("b.wav", 1.5))
    ]
    write_manifest(tmp_path / "manifest.jsonl", recordings)
    corpus = load_corpus(tmp_path)
    assert [clip.id for clip in corpus.clips] == ["a.wav"]
    assert "lasts 1.00 s, the manifest says 1.50 s" in corpus.audit.skipped[0].reason


def test_a_keyword_without_recordings_is_refused_with_what_there_is(tmp_path, write_wav):
    recordings = []
    for name, label in (("a.wav", "alexa"), ("b.wav", "alexa"), ("c.wav", "jarvis")):
        write_wav(tmp_path / name)
        recordings.append(Recording(name, "train", "keyword", label))
    write_manifest(tmp_path / "manifest.jsonl", recordings)
    with pytest.raises(
        CorpusError, match=r"no recordings of 'computer'; keywords there: alexa \(2\), jarvis \(1\)"
    ):
        load_corpus(tmp_path, keywords=["alexa", "computer"])


def test_a_keyword_whose_recordings_are_all_bad_is_refused(tmp_path, write_wav):
    write_wav(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("no audio")
    recordings = [
        Recording(name, "train", "keyword", label) for name, label in (("a.wav", "alexa"), ("b.wav", "hey"))
    ]
    write_manifest(tmp_path / "manifest.jsonl", recordings)
    with pytest.raises(CorpusError, match=r"no recordings of 'hey'"):
        load_corpus(tmp_path, keywords=["hey"])


def test_when_nothing_can_be_used_the_reasons_are_listed(tmp_path):
    (tmp_path / "positive").mkdir()
    (tmp_path / "positive" / "a.wav").write_text("no audio")
    with pytest.raises(
        CorpusError, match=r"none of 1 files can be used:\n  - positive/a.wav: cannot be decoded"
    ):
        load_corpus(tmp_path)


def test_several_keywords_need_a_manifest(own_folder):
    with pytest.raises(
        CorpusError, match=r"positive/ holds one keyword, 2 were asked for \(a, b\); a manifest.jsonl"
    ):
        load_corpus(own_folder, keywords=["a", "b"])


def test_a_missing_folder_or_a_wrong_manifest_is_refused(tmp_path):
    with pytest.raises(FolderError, match="there is no such folder"):
        load_corpus(tmp_path / "nowhere", keywords=["a", "b"])
    (tmp_path / "manifest.jsonl").write_text("no json\n")
    with pytest.raises(ManifestError, match="line 1: is not JSON"):
        load_corpus(tmp_path)


def test_damaged_recordings_are_skipped_named_and_counted(real_data, tmp_path, write_wav):
    broken = sorted((real_data / "broken").glob("*.flac"))
    for path in broken:
        (tmp_path / "positive").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "positive")
    for number in range(3):
        write_wav(tmp_path / "positive" / f"good{number}.wav")
    corpus = load_corpus(tmp_path)
    assert len(corpus.clips) == 3
    assert {item.path for item in corpus.audit.skipped} == {f"positive/{path.name}" for path in broken}


@pytest.mark.slow
def test_the_real_recordings_load_without_a_loss(real_data):
    corpus = load_corpus(real_data, keywords=["computer"], splits=["dev"])
    assert corpus.audit.skipped == ()
    assert corpus.audit.resampled == 300
    assert {tally.kind for tally in corpus.audit.tallies} == {"keyword", "speech", "digit", "noise"}
    assert all(
        0 <= clip.start_s < clip.end_s <= clip.duration_s for clip in corpus.clips if clip.kind != "noise"
    )


def test_files_left_out_and_few_recordings_are_remarked_on(own_folder):
    audit = load_corpus(own_folder, keywords=("computer",)).audit
    (left_out,) = [remark for remark in audit.remarks if "left out" in remark]
    assert left_out.startswith("4 file(s) left out: ")
    assert "positive/text.wav: " in left_out
    assert any(note.startswith("test has 1 recording(s) of keywords") for note in audit.notes)
    assert audit.remarks[:-1] == list(audit.notes)
