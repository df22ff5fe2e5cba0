import json

import numpy as np
import pytest

from anchorstream.compare.comparison import Conditions, compare, write_reports
from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.compare.plan import Subject, plan
from anchorstream.compare.trials import TrialError, _caches, run_trials
from anchorstream.decode import Decoder
from anchorstream.frames import FrameClock
from anchorstream.metrics import match
from anchorstream.train.corpus import corpus_of

CACHE = "cache-seed{}-hop10-delay10ms"


def planned(config, losses, seeds, folder):
    subject = Subject(config, tuple(losses), {config.model.name: config.model})
    return plan(subject, seeds, folder, name_networks=False)


def test_a_plan_goes_seed_by_seed_and_changes_nothing_but_loss_and_seed(small, tmp_path) -> None:
    config = small()
    trials = planned(config, ["ce", "sa+fl"], [1, 2], tmp_path)
    assert [trial.name for trial in trials] == ["ce, seed 1", "sa+fl, seed 1", "ce, seed 2", "sa+fl, seed 2"]
    assert len({trial.folder for trial in trials}) == 4
    for trial in trials:
        assert trial.config.model_copy(update={"loss": config.loss, "seed": config.seed}) == config


@pytest.mark.slow
def test_losses_are_compared_on_the_same_events_and_a_second_call_trains_nothing(small, tmp_path) -> None:
    config = small("optimiser.epochs=6")
    trials = planned(config, ["ce", "sal"], [1], tmp_path)
    shares: dict[str, list[float]] = {}
    runs = run_trials(
        trials, jobs=2, progress=lambda trial, done: shares.setdefault(trial.name, []).append(done)
    )
    assert all(done[-1] == 1.0 and done == sorted(done) for done in shares.values())
    before = [(run.folder / "training.json").stat().st_mtime_ns for run in runs]
    again = run_trials(trials, jobs=2)
    assert [(run.folder / "training.json").stat().st_mtime_ns for run in again] == before

    corpus = corpus_of(config)
    comparison = compare({"ce": runs[:1], "sal": runs[1:]}, corpus, Conditions("test", 10.0, 0.1))
    baseline, other = comparison.results["rising"]
    assert baseline.curves[0].events == other.curves[0].events
    assert len(baseline.curves[0].events) > 10

    # What the report says at the threshold of dev is what the decoder and the matching say, stream by stream.
    scored = comparison.scored["sal"][0]
    decoder = chosen_decoder(runs[1])
    misses = false_alarms = 0
    for stream in scored.streams:
        found = Decoder(decoder, stream.labels, FrameClock(stream.hop_s, stream.delay_s)).push(
            stream.posteriors
        )
        matching = match(found, stream.events, config.task.window)
        misses += len(matching.misses)
        false_alarms += len(matching.false_alarms)
    point = scored.at_chosen_threshold("rising")
    assert (point.misses, point.false_alarms) == (misses, false_alarms)
    assert all(np.isfinite(stream.posteriors).all() for stream in scored.streams)

    pages = write_reports(comparison, tmp_path / "report", "tones", {"seed": 1})
    assert pages["rising"].name == "report.html"
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [system["name"] for system in report["systems"]] == ["ce", "sal"]
    assert "another seed" in report["caution"]


@pytest.mark.slow
def test_a_seed_with_several_losses_shares_its_streams_until_the_last_is_trained(
    small, tmp_path, monkeypatch
) -> None:
    config = small("optimiser.epochs=1", "optimiser.streams_per_epoch=8", "dev.hours=0.02")
    trials = planned(config, ["ce", "sal"], [1], tmp_path)
    cache = tmp_path / CACHE.format(1)
    there = []
    runs = run_trials(trials, jobs=1, progress=lambda trial, _: there.append((trial.name, cache.exists())))
    assert ("sal, seed 1", True) in there
    assert not cache.exists()
    alone = planned(config, ["ce", "sal"], [1], tmp_path / "alone")
    there.clear()
    cache = tmp_path / "alone" / CACHE.format(1)
    others = run_trials(
        alone, jobs=1, cached=False, progress=lambda trial, _: there.append((trial.name, cache.exists()))
    )
    assert not any(exists for _, exists in there)
    for run, other in zip(runs, others, strict=True):
        weights = "model/weights.safetensors"
        assert (run.folder / weights).read_bytes() == (other.folder / weights).read_bytes()


def test_streams_are_shared_where_several_trainings_of_a_seed_are_ahead(
    small, tmp_path, monkeypatch, capsys
) -> None:
    def folders(losses: list[str], seeds: list[int]) -> list[str | None]:
        trials = planned(small(), losses, seeds, tmp_path)
        caches = _caches(trials)
        return [caches[trial].name if trial in caches else None for trial in trials]

    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    assert folders(["ce"], [1, 2]) == [None, None]
    assert folders(["ce", "sal"], [1, 2]) == [
        CACHE.format(1),
        CACHE.format(1),
        CACHE.format(2),
        CACHE.format(2),
    ]
    # One of seed 1 has been trained: what is left mixes for itself ...
    (tmp_path / "ce-seed1").mkdir()
    (tmp_path / "ce-seed1" / "training.json").write_text("{}")
    assert folders(["ce", "sal"], [1, 2]) == [None, None, CACHE.format(2), CACHE.format(2)]
    # ... unless it can read, and then removes, what an interrupted comparison left.
    (tmp_path / CACHE.format(1)).mkdir()
    assert folders(["ce", "sal"], [1])[1] == CACHE.format(1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    assert folders(["ce", "sal"], [2, 3]) == [None] * 4
    assert capsys.readouterr().err.count("every training mixes its own streams") == 1


def test_a_training_that_fails_says_which_and_why(small, tmp_path) -> None:
    config = small("data=/nowhere/at/all")
    with pytest.raises(TrialError, match=r"ce, seed 1(.|\n)*nowhere"):
        run_trials(planned(config, ["ce"], [1], tmp_path), jobs=1)
