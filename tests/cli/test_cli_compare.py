"""``anchorstream compare``, as a person runs it, on a task that is learnt in seconds."""

import json
import sys
from pathlib import Path

import pytest

from anchorstream.cli.main import main
from anchorstream.compare.results import read_results
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


def command(tones: Path, out: Path, *words: str) -> list[str]:
    return ["compare", "keyword", f"data={tones}", *BUDGET, "--out", str(out), "--hours", "0.03", *words]


@pytest.mark.slow
def test_networks_losses_and_noise_levels_end_in_one_report_and_are_not_measured_twice(
    tones: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    out = tmp_path / "out"
    words = ["--losses", "ce,sal", "--models", "ds-tcn,mixednet", "--seeds", "1"]
    assert main(command(tones, out, *words, "--snr-db", "20", "--json")) == 0
    first = json.loads(capsys.readouterr().out)
    (table,) = first["tables"]
    systems = ["ds-tcn/ce", "ds-tcn/sal", "mixednet/ce", "mixednet/sal"]
    assert list(dict.fromkeys(row["system"] for row in table["systems"])) == systems
    assert not list(out.glob("cache*"))
    assert [(line["model"], line["loss"]) for line in read_results(out / "results.jsonl")] == [
        tuple(system.split("/")) for system in systems
    ]
    report = (out / "report.html").read_text()
    assert "<audio" in report
    single = "Each is one training"
    assert report.index('class="verdict"') < report.index(single) < report.index("<table")

    # Another noise level: nothing is trained, and the first one is scored anew only for its page in its new place.
    trained = {path: path.stat().st_mtime_ns for path in out.glob("*/training.json")}
    assert len(trained) == 4
    assert main(command(tones, out, *words, "--snr-db", "20,0", "--json")) == 0
    both = json.loads(capsys.readouterr().out)
    assert [table["snr_db"] for table in both["tables"]] == [20.0, 0.0]
    assert both["tables"][0] == table
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/training.json")} == trained
    overview = (out / "report.html").read_text()
    assert overview.index('class="verdict"') < overview.index(single) < overview.index("<table")
    for page in ("snr-20db/report.html", "snr-0db/report.html"):
        assert f'href="{page}"' in overview
        assert (out / page).is_file()

    # A call that was killed between the two levels goes on with the second, and reads no recording for the first.
    lines = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(lines[:4]))
    pages = {name: (out / name / "report.html").stat().st_mtime_ns for name in ("snr-20db", "snr-0db")}
    assert main(command(tones, out, *words, "--snr-db", "20,0")) == 0
    assert "ds-tcn/sal" in capsys.readouterr().out
    assert (out / "results.jsonl").read_text() == "".join(lines)
    assert (out / "snr-20db" / "report.html").stat().st_mtime_ns == pages["snr-20db"]
    assert (out / "snr-0db" / "report.html").stat().st_mtime_ns > pages["snr-0db"]
    monkeypatch.setattr("anchorstream.cli.compare._corpus", lambda _: pytest.fail("nothing is to be scored"))
    assert main(command(tones, out, *words, "--snr-db", "20,0", "--json")) == 0
    assert json.loads(capsys.readouterr().out) == both

    # The table of the file alone is the one that results.md ends with.
    assert main(["compare", "--from", str(out / "results.jsonl"), "--markdown"]) == 0
    assert capsys.readouterr().out.strip() in (out / "results.md").read_text()


@pytest.mark.slow
def test_a_comparison_that_is_killed_takes_its_trainings_with_it_and_goes_on(
    tones: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    words = [*command(tones, out, "--losses", "ce", "--seeds", "1"), "optimiser.epochs=40"]
    started = out / "ds-tcn-ce-seed1" / "checkpoints" / "last.ckpt"
    children = kill_once_there(words, started, patience_s=180)
    assert started.exists()
    assert len(children) == 1
    wait_until_gone(children)
    assert not (out / "ds-tcn-ce-seed1" / "training.json").exists()

    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["tables"]) == 1
    progress = json.loads((out / "ds-tcn-ce-seed1" / "progress.json").read_text())
    assert [row["epoch"] for row in progress["epochs"]] == list(range(40))
    # It was resumed: two attempts have written logs.
    assert len(list((out / "ds-tcn-ce-seed1" / "logs").iterdir())) == 2


def test_what_is_wrong_is_told_at_once_before_anything_is_made(tones: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert (
        main(command(tones, out, "--losses", "ce,nonsense", "--models", "ds-tcn,other", "mix.lenth_s=3")) == 2
    )
    told = capsys.readouterr().err
    for part in ("3 error(s)", "unknown loss 'nonsense'", "'other'", "lenth_s"):
        assert part in told
    assert not out.exists()
    assert main(["compare", "keyword", "data=/nowhere/at/all", "--out", str(out)]) in (1, 2)
    assert "/nowhere/at/all" in capsys.readouterr().err
    assert not out.exists()
    assert main(["compare"]) == 2
    assert "RECIPE" in capsys.readouterr().err
    assert main(command(tones, out, "--losses", "")) == 2
    assert "--losses names none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--snr-db", "10,10", "named twice"),
        ("--snr-db", "loud", "expected a number"),
        ("--hours", "0", "above 0"),
        ("--losses", "ce,,sal", "commas"),
        ("--seeds", "0", "from 1 on"),
    ],
)
def test_wrong_options_are_wrong_usage(capsys, option: str, value: str, reason: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["compare", "keyword", option, value])
    assert stop.value.code == 2
    assert reason in capsys.readouterr().err


def test_ray_that_is_not_there_is_told_with_how_to_get_it(
    tones: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(command(tones, tmp_path / "out", "--ray")) == 2
    assert "pip install 'anchorstream[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_trainings_on_a_local_ray_are_those_of_this_machine(
    tones: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words = ["--losses", "ce,sal", "--seeds", "1", "--json"]
    try:
        assert main(command(tones, tmp_path / "ray", *words, "--ray")) == 0
    finally:
        ray.shutdown()
    there = json.loads(capsys.readouterr().out)
    assert main(command(tones, tmp_path / "here", *words)) == 0
    here = json.loads(capsys.readouterr().out)
    assert there["tables"] == here["tables"]
