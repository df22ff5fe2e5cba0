"""The search: the recipe first, as many trials for each loss, the same with and without a kill in between."""

import json
import math
from pathlib import Path

import pytest

# An extra of its own: what needs it is skipped without it.
optuna = pytest.importorskip("optuna")

from anchorstream.compare.confirming import confirm  # noqa: E402
from anchorstream.compare.plan import load_subject  # noqa: E402
from anchorstream.compare.study import open_storage, open_studies  # noqa: E402
from anchorstream.compare.trials import TrialError  # noqa: E402
from anchorstream.compare.tuned_files import write_tuned  # noqa: E402
from anchorstream.compare.tuning import result_of, tune  # noqa: E402
from anchorstream.train.config import Config  # noqa: E402
from anchorstream.train.config_error import ConfigError  # noqa: E402
from anchorstream.train.recipe import load_config  # noqa: E402


class Instant:
    """Trainings that are over at once: the area is least where peak and learning rate are near what they should be."""

    jobs, one_disk = 2, False

    def __init__(self, dies_after: int | None = None, fails=lambda config: False) -> None:
        self.started: list[Path] = []
        self._left, self._fails = dies_after, fails

    def start(self, arguments, log: Path):
        if self._left is not None:
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
        folder = Path(arguments[arguments.index("--out") + 1])
        self.started.append(folder)
        config = load_config(arguments[1])
        log.write_text("diverged")
        (folder / "config.yaml").write_text(config.to_yaml())
        failed = self._fails(config)
        if not failed:
            area = self.area(config)
            summary = {"dev_area": area, "dev_miss_rate": area and area / 2}
            (folder / "training.json").write_text(json.dumps(summary))
        return self._Over(1 if failed else 0)

    @staticmethod
    def area(config: Config) -> float:
        away = abs(math.log(config.optimiser.learning_rate / 0.02)) / 10 + config.seed / 1000
        if config.loss == "sal":
            away += abs(math.log(config.loss_options["peak"] / 12)) / 5
        return min(1.0, 0.05 + away)

    class _Over:
        def __init__(self, code: int) -> None:
            self._code = code

        def poll(self) -> int:
            return self._code

        def stop(self) -> None:
            pass


def search(out: Path, losses, trials: int, launcher=None, seeds: int = 1, overrides=(), watch=None):
    subject = load_subject("keyword", overrides, losses)
    studies = open_studies(open_storage(out), subject, seeds)
    asked = [study for study in studies if study.loss in losses]
    tune(asked, trials=trials, seeds=seeds, out=out, launcher=launcher or Instant(), watch=watch)
    return {study.loss: result_of(study, trials, seeds, out) for study in studies}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("anchorstream.compare.trials._POLL_S", 0.0)


def test_the_recipe_comes_first_and_each_loss_has_as_many_trials(tmp_path) -> None:
    launcher = Instant()
    found = search(tmp_path, ["ce", "sal"], 10, launcher)
    assert len(launcher.started) == len(set(launcher.started)) == 20
    for loss, one in found.items():
        own = load_config("keyword", [f"loss={loss}"])
        assert len(one.tried) == 10
        assert one.own.settings["optimiser.learning_rate"] == own.optimiser.learning_rate
        assert one.own.area == Instant.area(own)
        assert one.best.area == min(tried.area for tried in one.tried) < one.own.area
        assert one.own.miss_rate == one.own.area / 2
    # What both have is drawn alike as long as it is drawn at random, so that chance favours neither.
    for ce, sal in zip(found["ce"].tried[:8], found["sal"].tried[:8], strict=True):
        assert ce.settings.items() <= sal.settings.items()
    assert set(found["sal"].importances) == {one.key for one in found["sal"].ranges}


def test_what_matters_is_found_and_too_few_trials_tell_nothing(tmp_path) -> None:
    subject = load_subject("keyword", [], ["sal"])
    (study,) = open_studies(open_storage(tmp_path), subject, 1)
    for point in study.next(40):
        peak = point.values["losses.sal.peak"]
        if len(study.told) < 10:
            assert study.importances == {}
        study.tell(point, abs(math.log(peak / 12)))
    shares = study.importances
    assert next(iter(shares)) == "losses.sal.peak"
    assert shares["losses.sal.peak"] > 0.5
    assert sum(shares.values()) == pytest.approx(1.0)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory):
    return search(tmp_path_factory.mktemp("uncut"), ["sal"], 10, seeds=2)


@pytest.mark.parametrize("cut", [1, 2, 17])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(tmp_path, uncut, cut) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, ["sal"], 10, Instant(dies_after=cut), seeds=2)
    launcher = Instant()
    again = search(tmp_path, ["sal"], 10, launcher, seeds=2)
    assert len(launcher.started) == 20 - cut
    assert again == uncut


def test_one_that_was_cut_off_while_settings_were_drawn_draws_them_again(tmp_path, uncut) -> None:
    subject = load_subject("keyword", [], ["sal"])
    (study,) = open_studies(open_storage(tmp_path), subject, 1)
    study._study.ask().suggest_float("optimiser.learning_rate", 1e-3, 5e-2, log=True)
    again = search(tmp_path, ["sal"], 3)["sal"].tried
    assert [tried.settings for tried in again] == [tried.settings for tried in uncut["sal"].tried[:3]]


def test_more_trials_and_other_losses_come_later_and_what_is_there_stays(tmp_path) -> None:
    search(tmp_path, ["sal"], 4)
    launcher = Instant()
    found = search(tmp_path, ["ce"], 6, launcher)
    assert len(launcher.started) == 6
    assert {loss: len(one.tried) for loss, one in found.items()} == {"ce": 6, "sal": 4}
    launcher = Instant()
    again = search(tmp_path, ["ce", "sal"], 6, launcher)
    assert len(launcher.started) == 2
    assert again["sal"].tried[:4] == found["sal"].tried
    # Fewer: only the first count.
    assert len(search(tmp_path, ["ce", "sal"], 3)["ce"].tried) == 3


def test_a_trial_is_the_mean_of_its_seeds(tmp_path) -> None:
    own = search(tmp_path, ["ce"], 1, seeds=3)["ce"].own
    areas = [Instant.area(load_config("keyword", ["loss=ce", f"seed={seed}"])) for seed in (1, 2, 3)]
    assert own.area == pytest.approx(sum(areas) / 3)


class Lucky(Instant):
    """With seed 1 the settings that are worst in truth look best."""

    @staticmethod
    def area(config: Config) -> float:
        away = abs(math.log(config.optimiser.learning_rate / 0.01)) / 10
        return 0.5 - away if config.seed == 1 else 0.1 + away


def test_what_was_luck_with_one_seed_is_not_chosen(tmp_path) -> None:
    launcher = Lucky()
    before = search(tmp_path, ["ce", "sal"], 5, launcher)
    assert before["ce"].best is not before["ce"].own
    subject = load_subject("keyword", [], ["ce", "sal"])
    studies = open_studies(open_storage(tmp_path), subject, 1)
    launcher.started.clear()
    seen: list[tuple[int, int, float]] = []

    def confirmed():
        confirm(
            studies,
            trials=5,
            seeds=1,
            further=2,
            out=tmp_path,
            launcher=launcher,
            progress=lambda *done: seen.append(done),
        )
        return {study.loss: result_of(study, 5, 1, tmp_path, 2) for study in studies}

    found = confirmed()
    # The recipe's settings and two others of each loss; all of one seed first.
    assert len(launcher.started) == 12
    assert [path.name[-1] for path in launcher.started] == ["2"] * 6 + ["3"] * 6
    assert seen[-1] == (12, 12, 12.0)
    for loss, one in found.items():
        assert one.best is one.own
        assert sum(tried.confirmed is not None for tried in one.tried) == 3
        areas = [Lucky.area(load_config("keyword", [f"loss={loss}", f"seed={seed}"])) for seed in (1, 2, 3)]
        assert one.own.judged == pytest.approx(sum(areas) / 3)
    launcher.started.clear()
    assert confirmed()["ce"].best.number == found["ce"].best.number
    assert not launcher.started


def test_a_finalist_that_fails_with_another_seed_misses_everything(tmp_path, capsys) -> None:
    launcher = Instant(fails=lambda config: config.seed == 2 and config.optimiser.learning_rate != 0.01)
    search(tmp_path, ["ce"], 4, launcher)
    studies = open_studies(open_storage(tmp_path), load_subject("keyword", [], ["ce"]), 1)
    confirm(studies, trials=4, seeds=1, further=1, out=tmp_path, launcher=launcher)
    found = result_of(studies[0], 4, 1, tmp_path, 1)
    assert found.best is found.own
    assert sorted(tried.confirmed for tried in found.tried if tried.confirmed is not None)[1:] == [1.0, 1.0]
    assert "its settings count as missing everything" in capsys.readouterr().err


def test_another_recipe_is_refused_in_the_same_folder(tmp_path) -> None:
    search(tmp_path, ["sal"], 1)
    for losses, overrides, seeds in (
        (["sal"], ["optimiser.epochs=3"], 1),
        (["ce"], ["optimiser.epochs=3"], 1),
        (["sal"], [], 2),
    ):
        with pytest.raises(ConfigError, match="choose another --out"):
            search(tmp_path, losses, 2, overrides=overrides, seeds=seeds)


def test_settings_with_which_training_fails_miss_everything_and_the_search_goes_on(tmp_path, capsys) -> None:
    found = search(tmp_path, ["ce"], 8, Instant(fails=lambda config: config.optimiser.learning_rate > 0.03))
    failed = [tried for tried in found["ce"].tried if tried.miss_rate is None]
    assert failed
    assert all(tried.area == 1.0 for tried in failed)
    assert found["ce"].best.settings["optimiser.learning_rate"] <= 0.03
    assert "diverged" in capsys.readouterr().err


def test_what_fails_with_the_recipe_or_twice_is_not_the_settings(tmp_path) -> None:
    with pytest.raises(TrialError, match="diverged"):
        search(tmp_path / "first", ["ce"], 4, Instant(fails=lambda config: True))
    launcher = Instant(fails=lambda config: config.optimiser.learning_rate != 0.01)
    launcher.jobs = 1
    with pytest.raises(TrialError, match="diverged"):
        search(tmp_path / "second", ["ce"], 9, launcher)
    assert len(launcher.started) == 3


def test_dev_without_events_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Instant, "area", staticmethod(lambda config: None))
    with pytest.raises(ValueError, match="no events on dev"):
        search(tmp_path, ["ce"], 1)


def test_bars_never_go_back_and_end_full(tmp_path) -> None:
    seen: dict[str, list[float]] = {}
    search(tmp_path, ["ce", "sal"], 3, watch=lambda loss, done, best: seen.setdefault(loss, []).append(done))
    assert all(done == sorted(done) and done[0] == 0 and done[-1] == 3 for done in seen.values())


def test_files_hold_what_was_found_and_train_each_loss_with_its_own(tmp_path) -> None:
    found = search(tmp_path, ["ce", "sal"], 5)
    subject = load_subject("keyword", [], ["ce", "sal"])
    page = write_tuned(tmp_path, subject.config, list(found.values()), {"seeds": 1})
    for loss, one in found.items():
        config = load_config(tmp_path / "best.yaml", [f"loss={loss}"])
        assert Instant.area(config) == one.best.area
    lines = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert len(lines) == 10
    assert {line["loss"] for line in lines if line["best"]} == {"ce", "sal"}
    assert [line["dev_area"] for line in lines[:5]] == [tried.area for tried in found["ce"].tried]
    text = page.read_text()
    for one in found.values():
        for key, value in one.best.settings.items():
            assert key in text
            assert f"{value:.4g}" in text
    assert (tmp_path / "importance.png").read_bytes()[:4] == b"\x89PNG"
    assert "different numbers of trials" not in text
    later = search(tmp_path, ["ce"], 6)
    assert "different numbers" in write_tuned(tmp_path, subject.config, list(later.values()), {}).read_text()
