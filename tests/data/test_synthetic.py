"""Synthetic speech: times against the endpointer, distinct voices, and nothing shared between splits."""

import importlib.util
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from anchorstream.anchors.endpoint import find_speech
from anchorstream.data import espeak
from anchorstream.data.clip import SPLITS
from anchorstream.data.espeak import EspeakError, open_espeak
from anchorstream.data.mix import MixSettings, StreamMixer
from anchorstream.data.synthetic import DIALECTS, SOURCE, TIMBRES, SyntheticSize, synthetic_corpus
from anchorstream.data.texts import OtherSpeech, near_misses

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="eSpeak NG is not installed"
)
SMALL = SyntheticSize(keywords=60, others=100, noises=1)


@pytest.fixture(scope="module")
def corpus():
    return synthetic_corpus(["computer"], seed=3, size=SMALL)


@needs_espeak
class TestEspeak:
    def test_the_end_of_a_word_is_where_its_sound_ends(self):
        """The pause phoneme against the endpointer on the clean samples, over every timbre."""
        error_s = []
        with open_espeak() as speaker:
            for timbre in TIMBRES:
                spoken = speaker.speak("computer", f"en-us+{timbre}")
                ((start_s, end_s),) = spoken.words
                silence = np.zeros(spoken.sample_rate_hz // 2)
                samples = np.concatenate([silence, spoken.samples / 32768, silence])
                bounds = find_speech(samples, spoken.sample_rate_hz)
                error_s.append((bounds.start_s - 0.5 - start_s, bounds.end_s - 0.5 - end_s))
        median_s, p90_s = np.median(np.abs(error_s), axis=0), np.quantile(np.abs(error_s), 0.9, axis=0)
        assert median_s[1] < 0.015
        # A few timbres have an echo.
        assert p90_s[1] < 0.03
        # The closure of the first plosive is a part of the word that cannot be heard.
        assert p90_s[0] < 0.03

    def test_words_follow_each_other(self):
        with open_espeak() as speaker:
            spoken = speaker.speak("please open the window", "en+f2")
        assert len(spoken.words) == 4
        times = [time_s for word in spoken.words for time_s in word]
        assert times[-1] <= len(spoken.samples) / spoken.sample_rate_hz
        for (_, end_s), (start_s, _) in zip(spoken.words[:-1], spoken.words[1:], strict=True):
            assert -1e-9 <= start_s - end_s < 0.05

    def test_speed_changes_the_length(self):
        with open_espeak() as speaker:
            slow = speaker.speak("computer", "en", words_per_minute=100)
            fast = speaker.speak("computer", "en", words_per_minute=200)
        assert len(slow.samples) > 1.5 * len(fast.samples)

    def test_loaded_afresh_it_says_the_same_in_the_same_way(self):
        def say():
            with open_espeak() as speaker:
                return [speaker.speak("computer", f"en-us+{timbre}").samples for timbre in TIMBRES]

        for timbre, one, other in zip(TIMBRES, say(), say(), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=timbre)

    def test_every_dialect_is_there_and_an_unknown_one_is_refused(self):
        with open_espeak() as speaker:
            for dialect in DIALECTS:
                assert len(speaker.speak("computer", dialect).words) == 1
            with pytest.raises(EspeakError, match="no voice 'klingon-x'"):
                speaker.speak("computer", "klingon-x")

    def test_timbres_differ_from_each_other_and_from_the_plain_voice(self):
        """An unknown timbre would sound like the plain voice: long-term spectra, pitch and tempo tell them apart."""
        text = "the quick brown fox jumps over the lazy dog while nobody is watching"

        def portrait(speaker, voice):
            spoken = speaker.speak(text, voice)
            windows = np.lib.stride_tricks.sliding_window_view(spoken.samples / 32768, 512)[
                ::256
            ] * np.hanning(512)
            power = np.abs(np.fft.rfft(windows))[:, 2:].reshape(len(windows), -1, 5).sum(axis=2) ** 2
            level = np.log(power + 1e-6)
            loud = level[level.mean(axis=1) > np.median(level.mean(axis=1))]
            return np.concatenate([loud.mean(axis=0), loud.std(axis=0), [len(spoken.samples) / 22050]])

        with open_espeak() as speaker:
            portraits = np.array([portrait(speaker, f"en-us+{timbre}") for timbre in TIMBRES])
            again = np.array([portrait(speaker, f"en-us+{timbre}") for timbre in TIMBRES])
            plain, unknown = portrait(speaker, "en-us"), portrait(speaker, "en-us+no such timbre")
        within = np.abs(portraits - again).mean(axis=1)
        between = np.abs(portraits[:, None] - portraits[None]).mean(axis=2) + 99 * np.eye(len(TIMBRES))
        assert len(TIMBRES) >= 40
        assert between.min() > 2 * np.quantile(within, 0.9)
        assert np.abs(portraits - plain).mean(axis=1).min() > 2 * np.abs(unknown - plain).mean()

    def test_data_under_a_long_path_is_found(self, tmp_path, monkeypatch):
        import espeakng_loader

        folder = tmp_path / ("long" * 40)
        folder.mkdir()
        (folder / "data").symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(folder / "data"))
        with open_espeak() as speaker:
            assert len(speaker.speak("computer", "en-us").words) == 1

    def test_data_that_is_not_there_is_said(self, tmp_path, monkeypatch, capfd):
        import espeakng_loader

        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
        with pytest.raises(EspeakError, match="does not start"), open_espeak():
            pass


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(espeak.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'anchorstream\[synth\]'"):
        synthetic_corpus(["computer"], size=SMALL)


@needs_espeak
class TestCorpus:
    def test_sizes_kinds_and_labels(self, corpus):
        counts = {(tally.split, tally.kind): tally.clips for tally in corpus.audit.tallies}
        assert counts == {
            **{("train", "keyword"): 60, ("train", "speech"): 100, ("train", "noise"): 5},
            **{
                (split, kind): n
                for split in ("dev", "test")
                for kind, n in (("keyword", 12), ("speech", 20), ("noise", 5))
            },
        }
        assert {clip.label for clip in corpus.select(kind="keyword")} == {"computer"}
        assert len({clip.id for clip in corpus.clips}) == len(corpus.clips)

    def test_it_is_called_synthetic(self, corpus):
        assert [origin.source for origin in corpus.audit.origins] == [SOURCE]
        assert "synthetic" in SOURCE
        assert "synthetic" in corpus.audit.notes[0]

    def test_no_speaker_is_in_two_splits(self, corpus):
        speakers = [{clip.speaker for clip in corpus.select(split=split)} - {None} for split in SPLITS]
        assert all(len(names) >= 10 for names in speakers)
        assert len(speakers[0] | speakers[1] | speakers[2]) == sum(map(len, speakers))

    def test_bounds_lie_within_the_clip_and_samples_within_full_scale(self, corpus):
        for clip in corpus.clips:
            assert clip.samples.dtype == np.float32
            assert 0.01 < np.abs(clip.samples).max() <= 1
            if clip.kind != "noise":
                assert 0 <= clip.start_s < clip.end_s <= clip.duration_s
                assert clip.end_s - clip.start_s > 0.1

    def test_bounds_agree_with_the_endpointer(self, corpus):
        error_s = []
        for clip in corpus.select(kind="keyword"):
            bounds = find_speech(np.pad(clip.samples, 3200), 16_000)
            error_s.append((bounds.start_s - 0.2 - clip.start_s, bounds.end_s - 0.2 - clip.end_s))
        # The closure before the first sound of "computer" cannot be heard.
        assert np.median(error_s, axis=0) == pytest.approx([0.02, 0.0], abs=0.015)
        assert np.quantile(np.abs(error_s), 0.9, axis=0) == pytest.approx(0, abs=0.04)

    def test_the_same_seed_gives_the_same_samples_and_another_one_others(self, corpus):
        again = synthetic_corpus(["computer"], seed=3, size=SMALL)
        other = synthetic_corpus(["computer"], seed=4, size=SMALL)
        for one, two in zip(corpus.clips, again.clips, strict=True):
            assert (one.id, one.speaker, one.end_s) == (two.id, two.speaker, two.end_s)
            np.testing.assert_array_equal(one.samples, two.samples)
        assert any(one.speaker != two.speaker for one, two in zip(corpus.clips, other.clips, strict=True))

    def test_a_worker_process_makes_the_same(self, corpus):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            there = pool.submit(synthetic_corpus, ["computer"], seed=3, size=SMALL).result()
        assert pickle.dumps([clip.samples for clip in there.clips]) == pickle.dumps(
            [clip.samples for clip in corpus.clips]
        )

    def test_several_keywords_and_progress(self):
        seen = []
        made = synthetic_corpus(
            ["hey robot", "alexa"], size=SyntheticSize(5, 5, 1), progress=lambda *at: seen.append(at)
        )
        assert {clip.label for clip in made.select(kind="keyword")} == {"hey robot", "alexa"}
        assert seen == [(done, len(made.clips)) for done in range(1, len(made.clips) + 1)]

    def test_it_can_be_mixed(self, corpus):
        mixer = StreamMixer(corpus.select(split="dev"), ["computer"], MixSettings(room_probability=0), seed=1)
        assert not mixer.synthetic_noise
        assert mixer.left_out == ()
        assert {segment.label for segment in mixer.stream(1).segments} <= {"computer", "speech"}

    @pytest.mark.parametrize("keywords", [[""], ["..."], ["alexa", " "]])
    def test_what_cannot_be_spoken_is_refused(self, keywords):
        with pytest.raises(ValueError, match="keywords must be words that can be spoken"):
            synthetic_corpus(keywords, size=SMALL)

    def test_without_a_keyword_there_is_other_speech_and_noise(self):
        corpus = synthetic_corpus((), size=SMALL)
        assert {(clip.split, clip.kind) for clip in corpus.clips} == {
            (split, kind) for split in SPLITS for kind in ("speech", "noise")
        }


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="others must be at least 1, got 0"):
        SyntheticSize(others=0)


@pytest.mark.parametrize("keyword", ["computer", "alexa", "hey robot", "Jarvis", "go"])
def test_nothing_that_is_not_the_keyword_contains_it(keyword):
    plain = keyword.lower().replace(" ", "")
    assert near_misses(keyword)
    for split in SPLITS:
        other = OtherSpeech([keyword], split)
        for seed in range(300):
            assert plain not in other.draw(np.random.default_rng(seed)).replace(" ", "").replace(",", "")


def test_no_text_is_said_in_two_splits():
    said = [
        {OtherSpeech(["computer"], split).draw(np.random.default_rng(seed)) for seed in range(1000)}
        for split in SPLITS
    ]
    assert len(said[0] | said[1] | said[2]) == sum(map(len, said))
    assert len(said[0]) > 400


def test_a_keyword_that_is_everywhere_is_refused():
    with pytest.raises(ValueError, match="nothing can be said without one of the keywords e"):
        OtherSpeech(["e", "a", "o", "i", "u"], "test").draw(np.random.default_rng(0))
