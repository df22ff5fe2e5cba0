"""What a comparison keeps of an earlier call, and what it writes anew."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from anchorstream.compare import experiment
from anchorstream.compare.comparison import Comparison, Conditions, write_reports
from anchorstream.compare.evaluation import ScoredRun
from anchorstream.compare.plan import Subject, plan
from anchorstream.compare.results import result_line
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Event, MatchWindow, PosteriorStream, sweep
from anchorstream.report import SystemResult
from anchorstream.train.recipe import load_config
from anchorstream.train.run import Run

CONFIG = load_config("keyword", ["task.keywords=[up]", "data=/a/b/recordings"])
SUBJECT = Subject(CONFIG, ("ce", "sal"), {CONFIG.model.name: CONFIG.model})
QUIET, LOUD = Conditions(snr_db=20.0, hours=0.1), Conditions(snr_db=0.0, hours=0.1)


@pytest.fixture
def compared(tmp_path, monkeypatch):
    """Compares made-up trainings of some seeds at some levels, and returns the levels that were scored."""
    scored = []
    monkeypatch.setattr(
        "anchorstream.report.page._pictures", lambda *_: {"det": "", "frontier": "", "latency": ""}
    )
    runs = {}
    monkeypatch.setattr(experiment, "open_run", lambda folder: runs[folder])

    def score(trials, corpus, conditions, folder, title, context, progress=None):
        scored.append(conditions.snr_db)
        ones = {trial: _made_up(runs[trial.folder]) for trial in trials}
        systems = [
            SystemResult(loss, [one.curves["up"] for trial, one in ones.items() if trial.config.loss == loss])
            for loss in ("ce", "sal")
        ]
        comparison = Comparison({"up": systems}, {}, None, CONFIG.task)
        pages = write_reports(comparison, folder, title, context)
        by_loss = sorted(ones.values(), key=lambda one: one.run.config.loss)
        return experiment.Scored(comparison, pages, [result_line(one, "up", conditions) for one in by_loss])

    monkeypatch.setattr(experiment, "score", score)

    def run(levels, seeds=(1,)):
        trials = plan(SUBJECT, seeds, tmp_path)
        for trial in trials:
            trial.folder.mkdir(exist_ok=True)
            summary = {"epochs": 1, "best_epoch": 0, "dev_miss_rate": 0.1, "parameters": 7}
            runs[trial.folder] = Run(trial.folder, trial.config, summary)
        scored.clear()
        clips = SimpleNamespace(audit=SimpleNamespace(to_dict=dict))
        outcome = experiment.score_all(
            trials,
            levels,
            tmp_path,
            "title",
            {},
            lambda: clips,
            lambda name: nullcontext(lambda done, total: None),
        )
        assert outcome.report == tmp_path / "report.html"
        return list(scored)

    return run


def _made_up(run: Run) -> ScoredRun:
    events = [Event("up", 10.0 * i + 5, 10.0 * i + 5.5, f"s{i}", f"r{i}") for i in range(4)]
    posteriors = np.zeros((600, 1))
    posteriors[56 + run.config.seed] = 0.9
    stream = PosteriorStream(posteriors, 0.1, 0.0, ["up"], events, 60.0)
    decoder = DecoderSettings(threshold={"up": 0.5})
    curve = sweep([stream], "up", decoder, MatchWindow(0.0, 0.75))
    return ScoredRun(run, [stream], {"up": curve}, decoder, {})


def test_what_was_scored_is_not_scored_again(compared, tmp_path) -> None:
    assert compared([QUIET, LOUD]) == [20.0, 0.0]
    assert compared([QUIET, LOUD]) == []
    page = tmp_path / "snr-0db" / "report.html"
    page.unlink()
    assert compared([QUIET, LOUD]) == [0.0]
    assert page.is_file()


def test_an_overview_is_no_page_of_a_level(compared, tmp_path) -> None:
    compared([QUIET, LOUD])
    assert "Each heading leads to a page" in (tmp_path / "report.html").read_text()
    assert compared([QUIET]) == [20.0]
    assert "Each heading leads to a page" not in (tmp_path / "report.html").read_text()
    assert '"systems"' in (tmp_path / "report.json").read_text()
    assert compared([QUIET]) == []


def test_a_page_of_other_seeds_is_written_anew(compared, tmp_path) -> None:
    compared([QUIET])
    lines = (tmp_path / "results.jsonl").read_text()
    compared([QUIET], seeds=(1, 2))
    # As where a call was killed after its reports and before its lines.
    (tmp_path / "results.jsonl").write_text(lines)
    assert compared([QUIET]) == [20.0]
    assert compared([QUIET]) == []
    for name in ("report.html", "report.json"):
        kept = (tmp_path / name).read_text()
        (tmp_path / name).write_text("of something else")
        assert compared([QUIET]) == [20.0]
        assert (tmp_path / name).read_text() == kept
