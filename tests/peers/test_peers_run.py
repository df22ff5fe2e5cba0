"""Measuring, rows, tables, and the command on a small folder of tones."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from rich.console import Console

import run as script
import ten
import tiny_model
from anchorstream.data.clip import Segment, Stream
from anchorstream.metrics import wilson
from anchorstream.tasks import TASKS
from engine import NotInstalledError, System
from lineup import LINEUPS, open_all
from measure import decoder_of, measure
from results import as_markdown, missing_rows, print_results, result_rows

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
KEYWORD = TASKS["keyword"](keywords=("alexa",))


class Clockwork:
    """Posterior 0.9 in the blocks of 100 ms that end at ``times_s``, else 0.1; it keeps what it heard."""

    block_samples = 1600

    def __init__(self, *times_s):
        self.times_s, self.heard, self.order = times_s, [], []

    def reset(self):
        self.blocks = 0

    def push(self, pcm):
        if not self.blocks:
            self.order.append(self)
        self.heard.append(pcm)
        self.blocks += 1
        return 0.9 if round(self.blocks / 10, 6) in self.times_s else 0.1


def system(name, engine, **about):
    return System(name=name, engine=engine, version="it 1", post_processing="none", smoothing_s=0.0, **about)


@pytest.fixture
def streams():
    """Twice 20 s with the keyword at 3 to 3.5 s, of anna, and at 8 to 8.5 s, of ben."""
    samples = np.random.default_rng(0).uniform(-1, 1, 320_000).astype(np.float32)
    segments = (
        Segment("a.wav", "keyword", "alexa", "anna", 3.0, 3.5),
        Segment("c.wav", "speech", "coffee", "carl", 5.0, 6.0),
        Segment("b.wav", "keyword", "alexa", "ben", 8.0, 8.5),
    )
    return [Stream(samples * gain, segments, 10.0, f"stream {gain}") for gain in (0.5, 0.25)]


def test_all_hear_the_same_samples_and_take_turns_at_being_first(streams):
    engines = [Clockwork(3.6), Clockwork(3.6)]
    engines[1].order = order = engines[0].order
    measured = measure([system("a", engines[0]), system("b", engines[1])], streams, KEYWORD, "alexa")
    assert order == [engines[0], engines[1], engines[1], engines[0]]
    heard = [np.concatenate(engine.heard) for engine in engines]
    assert heard[0].dtype == np.int16
    assert heard[0].tolist() == heard[1].tolist()
    assert np.abs(heard[0][:320_000] / 32768 - streams[0].samples).max() <= 0.5 / 32768
    assert [len(one.cpu_ms_per_s) for one in measured] == [2, 2]


def test_misses_false_alarms_and_latency_by_hand(streams):
    # anna is hit 100 ms after the word's end, ben is missed; 12 s is a false alarm.
    one, other = measure(
        [
            system("ours", Clockwork(3.6, 8.7), ours=True, threshold=0.5),
            system("peer", Clockwork(3.6, 12.0)),
        ],
        streams,
        KEYWORD,
        "alexa",
    )
    about = {"snr_db": 10.0, "speakers": 2}
    ours, peer = result_rows([one, other], KEYWORD, "alexa", (0.0, 300.0), about)
    silent, at_300 = peer["points"]
    assert (silent["misses"], silent["false_alarms"]) == (4, 0)
    # Windows of 0.5 + 0.75 s, two in each of the two streams of 20 s.
    assert at_300["hours"] == pytest.approx(2 * (20 - 2 * 1.25) / 3600)
    assert (at_300["misses"], at_300["events"], at_300["false_alarms"]) == (2, 4, 2)
    assert at_300["false_alarms_per_hour"] == pytest.approx(2 / at_300["hours"])
    assert at_300["latency_p50_s"] == pytest.approx(0.1)
    # Missed by the peer alone: both of ben's. With two speakers, one of four draws has ben alone.
    assert at_300["misses_more_than_ours"] == [0.5, 0.0, 1.0]
    assert ours["points"][0]["misses"] == 0
    assert ours["points"][0]["latency_p50_s"] == pytest.approx(0.15)
    assert "misses_more_than_ours" not in ours["points"][0]
    assert ours["shipped"]["threshold"] == 0.5
    assert peer["shipped"] is None
    assert (ours["hop_s"], ours["delay_s"]) == pytest.approx((0.1, 0.1))


def test_decoders_differ_in_smoothing_alone():
    task = TASKS["onset"]()
    assert decoder_of(replace(system("a", None), smoothing_s=None), task) == task.decoder
    own = decoder_of(system("a", None, threshold=0.7), task)
    assert own == replace(task.decoder, smoothing_s=0.0, threshold=0.7)


def test_the_tables_hold_the_figures_and_who_is_missing(streams, capsys):
    measured = measure([system("a peer", Clockwork(3.6, 8.7), parameters=1234)], streams, KEYWORD, "alexa")
    about = {
        "snr_db": 10.0,
        "speakers": 2,
        "label": "alexa",
        "anchor": "the keyword's end",
        "split": "dev",
        "stream_hours": 0.01,
        "date": "2026-01-01",
        "machine": "it",
    }
    rows = result_rows(measured, KEYWORD, "alexa", (0.0,), about)
    rows += missing_rows({"TEN VAD": "pip install ten-vad"}, about)
    page = as_markdown(rows)
    cells = next(line for line in page.splitlines() if "a peer" in line).strip("| ").split(" | ")
    # Every event was hit: what drawing speakers anew says nothing of, Wilson does.
    assert cells[:3] == ["10 dB", "a peer", f"0.0% [0.0, {100 * wilson(0, 4)[1]:.1f}]<br>150 / 200"]
    assert cells[5] == "1,234"
    assert "TEN VAD did not run: pip install ten-vad" in page
    assert "4 events of 2 speakers and 0.01 h without an event" in page
    print_results(rows, Console(width=200))
    printed = capsys.readouterr().out
    assert re.search(r"10 dB +│ a peer +│ +0\.0% \[0\.0, \d+\.\d\]", printed)
    assert "150 / 200" in printed
    assert "TEN VAD did not run: pip install ten-vad" in printed


def test_who_is_not_installed_is_listed_with_what_installs_it():
    def absent():
        raise NotInstalledError("pip install it")

    peers = {"there": lambda: system("there", None), "absent": absent}
    systems, missing = open_all(replace(LINEUPS["onset"], peers=peers), [])
    assert [one.name for one in systems] == ["there"]
    assert missing == {"absent": "pip install it"}


def test_a_package_whose_library_cannot_be_loaded_is_not_installed(monkeypatch, tmp_path):
    if sys.platform != "linux":
        pytest.skip("the other libraries are complete")
    package = ModuleType("ten_vad")
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, "ten_vad", package)
    with pytest.raises(NotInstalledError, match=r"apt-get install libc\+\+1 \(.*libten_vad\.so"):
        ten.load()


def test_two_models_of_one_name_are_refused(tmp_path):
    lineup = replace(LINEUPS["onset"], label="loud", peers={})
    paths = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        paths.append(tiny_model.save(tmp_path / folder / "loud.onnx"))
    with pytest.raises(ValueError, match="a name of its own, got loud, loud"):
        open_all(lineup, paths)


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for kind, count in (("positive", 30), ("noise", 8)):
        (folder / kind).mkdir()
        for number in range(count):
            noise = 1e-4 * rng.standard_normal(16_000)
            tone = (
                0.3 * np.sin(np.arange(16_000) * rng.uniform(0.1, 0.6)) * (np.arange(16_000) % 12_000 > 4000)
            )
            samples = noise + tone if kind == "positive" else 0.05 * rng.standard_normal(48_000)
            soundfile.write(folder / kind / f"{number:02}.wav", samples, 16_000)
    return folder


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Runs the script with a tiny model of "speech", one peer that is there and one that is not."""

    def absent():
        raise NotInstalledError("pip install it")

    loudness = Clockwork()
    loudness.push = lambda pcm: float(np.clip(np.abs(pcm / 32768).mean(), 0, 1))
    peers = {"loudness": lambda: system("loudness", loudness, threshold=0.1), "absent": absent}
    monkeypatch.setitem(LINEUPS, "onset", replace(LINEUPS["onset"], peers=peers))

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["run.py", *map(str, words)])
        script.main()

    return command


def test_the_command_prints_and_writes_the_same_figures(command, tones, tmp_path, capsys):
    contract = replace(tiny_model.CONTRACT, labels=("speech",))
    model = tiny_model.save(tmp_path / "ours.onnx", metadata=contract.to_json())
    words = ["--task", "onset", "--data", tones, "--runs", model, "--out", tmp_path / "out"]
    command(*words, "--snr-db", "20,5", "--hours", 0.04, "--split", "test")
    printed = capsys.readouterr()
    assert "absent did not run: pip install it" in printed.err
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [(row["system"], row.get("snr_db")) for row in rows] == [
        ("absent", None),
        ("ours", 20),
        ("loudness", 20),
        ("ours", 5),
        ("loudness", 5),
    ]
    loud = rows[2]
    assert [point["rate"] for point in loud["points"]] == [10, 30, 60]
    assert loud["split"] == "test"
    assert loud["cpu_ms_per_s"] > 0
    # What is loud is easily found at 20 dB.
    assert loud["points"][-1]["miss_rate"] < 0.2
    page = (tmp_path / "out" / "results.md").read_text()
    for text in (page, printed.out):
        assert f"{loud['points'][-1]['miss_rate']:.1%}" in text
        assert f"{loud['cpu_ms_per_s']:.2f}" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "DATA", "--runs", "none.onnx"], "no model file none.onnx"),
        (["--data", "nowhere"], "nowhere"),
        (["--data", "DATA", "--snr-db", "loud"], "expected noise levels such as 20,10,0, got 'loud'"),
        (["--data", "DATA", "--hours", "0"], "hours must be a positive number"),
    ],
)
def test_what_cannot_be_run_is_said(command, tones, tmp_path, capsys, words, said):
    words = [tones if word == "DATA" else word for word in words]
    with pytest.raises(SystemExit) as end:
        command("--task", "onset", *words, "--out", tmp_path / "out")
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_the_page_has_commands_that_can_be_given(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run.py", "--help"])
    with pytest.raises(SystemExit):
        script.main()
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    given = re.findall(r"^ *python benchmarks/peers/run\.py (.*)$", text, re.MULTILINE)
    assert len(given) >= 2
    for words in given:
        assert set(re.findall(r"--[a-z-]+", words)) <= known
