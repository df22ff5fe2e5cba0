"""``anchorstream tune``, as a person runs it, on a task learnt in seconds, and a comparison with what it found."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from anchorstream.cli.main import main
from anchorstream.compare.results import read_results
from anchorstream.data.folder import scan_folder
from anchorstream.data.manifest import write_manifest
from child_processes import kill_once_there, wait_until_gone

pytestmark = pytest.mark.usefixtures("few_examples")

BUDGET = [
    "task.keywords=[rising]",
    "rooms=2",
    "mix.length_s=5",
    "model={name: ds-tcn, options: {channels: 8, dilations: [1, 2, 4, 8]}}",
    "optimiser.epochs=1",
    "optimiser.streams_per_epoch=16",
    "dev.hours=0.02",
]


@pytest.fixture
def no_test(tones: Path, tmp_path: Path) -> Path:
    """The tones without any of the test split."""
    folder = tmp_path / "no_test"
    kept = [one for one in scan_folder(tones, keyword="rising").recordings if one.split != "test"]
    for one in kept:
        (folder / one.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tones / one.path, folder / one.path)
    write_manifest(folder / "manifest.jsonl", kept)
    return folder


@pytest.mark.slow
def test_a_killed_search_goes_on_without_a_test_split_and_a_comparison_takes_what_it_found(
    no_test: Path, tmp_path: Path, capsys
) -> None:
    pytest.importorskip("optuna")
    out = tmp_path / "out"
    recipe = ["keyword", f"data={no_test}", *BUDGET, "--losses", "ce,sal"]
    words = ["tune", *recipe, "--trials", "2", "--confirm", "1", "--jobs", "1", "--out", str(out)]
    begun = out / "trials" / "sal-trial000-seed1" / "config.yaml"
    children = kill_once_there(words, begun, patience_s=300)
    wait_until_gone(children)
    trained = {path: path.stat().st_mtime_ns for path in out.glob("trials/*/training.json")}
    assert [path.parent.name for path in trained] == ["ce-trial000-seed1"]
    # What both train on is there for both, however wide their labels are, and for the next call.
    assert list(out.glob("trials/cache-seed1-*/rows.bin"))

    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # Two of each loss, and each with one more seed.
    assert len(list(out.glob("trials/*/training.json"))) == 8
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert not list(out.glob("trials/cache*"))
    assert {loss: one["trials"] for loss, one in found["losses"].items()} == {"ce": 2, "sal": 2}
    best = yaml.safe_load((out / "best.yaml").read_text())["per_loss"]
    assert best == {loss: one["settings"] for loss, one in found["losses"].items()}
    assert Path(found["report"]).is_file()
    assert (out / "importance.png").is_file()

    # Another loss, with fewer trials and another number of further seeds, leaves those as they are.
    later = [*words, "--json", "--losses", "focal", "--trials", "1", "--confirm", "0"]
    assert main(later) == 0
    joined = json.loads(capsys.readouterr().out)["losses"]
    assert {loss: joined[loss] for loss in ("ce", "sal")} == found["losses"]
    assert joined["focal"]["trials"] == 1

    # Nobody could have been heard on test: there is no one.
    compared = tmp_path / "compared"
    compare = ["compare", *recipe, "--seeds", "1", "--hours", "0.03", "--jobs", "1", "--out", str(compared)]
    best["sal"] |= {"optimiser.learning_rate": 0.004, "task.label_after_s": 0.3, "losses.sal.peak": 6.0}
    (out / "best.yaml").write_text(yaml.safe_dump({"per_loss": best}))
    assert main([*compare, "--tuned", str(out), "--split", "dev", "--json"]) == 0
    lines = {line["loss"]: line for line in read_results(compared / "results.jsonl")}
    for loss, line in lines.items():
        assert line["learning_rate"] == best[loss]["optimiser.learning_rate"]
        assert line["label_options"] == {
            name: best[loss][f"task.{name}"] for name in ("label_before_s", "label_after_s")
        }
    assert lines["sal"]["loss_options"]["peak"] == 6.0
    assert lines["sal"]["streams_hash"] == lines["ce"]["streams_hash"]
    assert "settings of each loss" in (compared / "report.html").read_text()
    assert main([*compare, "--tuned", str(out)]) == 1
    assert "no clip" in capsys.readouterr().err


def test_without_optuna_the_command_says_what_to_install(tones, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "anchorstream.compare.study", raising=False)
    out = tmp_path / "out"
    assert main(["tune", "keyword", f"data={tones}", *BUDGET, "--out", str(out)]) == 1
    assert "pip install 'anchorstream[tune]'" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_wrong_is_told_before_anything_is_made(tones, tmp_path, capsys) -> None:
    pytest.importorskip("optuna")
    out = tmp_path / "out"
    given = [f"data={tones}", *BUDGET, "--out", str(out)]
    assert main(["tune", "keyword", *given, "--losses", "ce,nonsense", "mix.lenth_s=3"]) == 2
    told = capsys.readouterr().err
    assert "unknown loss 'nonsense'" in told
    assert "lenth_s" in told
    assert main(["tune", "keyword", *given, "--loss", "sal", "losses.sal.peak=[1, 4]"]) == 2
    assert "losses.sal.peak is [1, 4]" in capsys.readouterr().err
    assert main(["tune", "keyword", "data=/nowhere/at/all", "--out", str(out)]) in (1, 2)
    assert "/nowhere/at/all" in capsys.readouterr().err
    assert not out.exists()


def test_a_comparison_wants_settings_of_each_of_its_losses(tmp_path, capsys) -> None:
    (tmp_path / "best.yaml").write_text("per_loss: {sal: {losses.sal.peak: 3.0}}")
    assert main(["compare", "keyword", "--losses", "ce,sal", "--tuned", str(tmp_path)]) == 2
    assert "--tuned: there is nothing for the loss 'ce'" in capsys.readouterr().err
    assert main(["compare", "keyword", "--tuned", str(tmp_path / "missing")]) == 2
    assert "is not there" in capsys.readouterr().err
