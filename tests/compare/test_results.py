"""Tables from results.jsonl equal those from the runs; the file refuses what it cannot be read as."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from anchorstream.cli.main import main
from anchorstream.compare.comparison import Conditions
from anchorstream.compare.contests import Contest, ResultsError, contests
from anchorstream.compare.evaluation import ScoredRun
from anchorstream.compare.markdown import markdown
from anchorstream.compare.results import read_results, result_line, write_results
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Event, MatchWindow, PosteriorStream, sweep
from anchorstream.report import SystemResult
from anchorstream.report.summary import summarise
from anchorstream.train.recipe import load_config
from anchorstream.train.run import Run

CONFIG = load_config("keyword", ["task.keywords=[up, down]", "data=/a/b/recordings"])
CONDITIONS = Conditions("test", 10.0, 0.5)


def scored_run(loss: str, seed: int, folder, *, skill: float, model: str = "ds-tcn") -> ScoredRun:
    """A made-up detector: its posteriors rise at some of the events, some hops late, and now and then at nothing."""
    rng, events_rng = np.random.default_rng([seed, len(loss), len(model)]), np.random.default_rng(0)
    streams = []
    for number in range(12):
        posteriors = 0.3 * rng.random((6000, 2))
        events = []
        for k in range(18):
            anchor_s = 2.0 + 3.2 * k + events_rng.uniform(0, 0.8)
            label, speaker = events_rng.integers(2), f"spk{events_rng.integers(7)}"
            clip_id = f"{speaker}/{events_rng.integers(4)}"
            events.append(Event(("up", "down")[label], anchor_s - 0.5, anchor_s, speaker, clip_id))
            if rng.random() < skill:
                at = int(anchor_s * 100) + rng.integers(-10, 30)
                posteriors[at : at + 20, label] = rng.uniform(0.4, 1.0)
        for _ in range(3):
            at = rng.integers(5900)
            posteriors[at : at + 20] = rng.uniform(0.4, 0.9)
        streams.append(PosteriorStream(posteriors, 0.01, 0.01, ("up", "down"), events, 60.0, f"s{number}"))
    decoder = DecoderSettings(threshold={"up": 0.61, "down": 0.72}, smoothing_s=0.05)
    config = CONFIG.model_copy(
        update={"loss": loss, "seed": seed, "model": CONFIG.model.model_copy(update={"name": model})}
    )
    summary = {"epochs": 3, "best_epoch": 2, "dev_miss_rate": 0.1, "parameters": 7, "seconds": 12.5}
    run = Run(folder / f"{loss}-{seed}", config, summary)
    curves = {label: sweep(streams, label, decoder, MatchWindow(0.0, 0.75)) for label in ("up", "down")}
    return ScoredRun(run, streams, curves, decoder, {})


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = {
        (model, loss): [scored_run(loss, seed, folder, skill=skill, model=model) for seed in (1, 2, 3)]
        for model, loss, skill in [
            ("ds-tcn", "ce", 0.7),
            ("ds-tcn", "sal", 0.8),
            ("gru", "ce", 0.5),
            ("gru", "sal", 0.45),
        ]
    }
    lines = [
        result_line(one, label, CONDITIONS, model)
        for label in ("up", "down")
        for (model, _), of_system in runs.items()
        for one in of_system
    ]
    return SimpleNamespace(runs=runs, lines=lines)


def same(a, b) -> bool:
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isfinite(a):
        return abs(a - b) <= 1.1e-6
    return a == b


def test_summaries_of_the_file_are_those_of_the_runs(measured, tmp_path) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, measured.lines)
    found = contests(read_results(path))
    assert [contest.label for contest in found] == ["up", "down"]
    for contest in found:
        for rate in contest.reporting.false_alarm_rates:
            rows = contest.summaries(rate)
            assert [row.system for row in rows] == ["ds-tcn/ce", "ds-tcn/sal", "gru/ce", "gru/sal"]
            for row, ((model, loss), runs) in zip(rows, measured.runs.items(), strict=True):
                system = SystemResult(row.system, [run.curves[contest.label] for run in runs])
                baseline = SystemResult(
                    "ce", [run.curves[contest.label] for run in measured.runs[model, "ce"]]
                )
                direct = summarise(system, rate, baseline if loss != "ce" else None)
                for name, value in dataclasses.asdict(direct).items():
                    if name.startswith("latency"):
                        # Kept in whole microseconds.
                        assert same(value, getattr(row, name)), name
                    elif name.endswith("difference") and value is not None:
                        assert value == dataclasses.asdict(getattr(row, name))
                    else:
                        assert value == getattr(row, name), name
                assert 0 < row.miss_rate < row.area < 1
                assert (row.difference is None) == (loss == "ce")


def test_a_line_counts_what_a_loop_counts(measured) -> None:
    line = next(
        line for line in measured.lines if (line["label"], line["loss"], line["seed"]) == ("down", "sal", 2)
    )
    run = measured.runs["ds-tcn", "sal"][1]
    events = [event for stream in run.streams for event in stream.events if event.label == "down"]
    assert [tuple(line["recordings"][i]) for i in line["events"]] == [(e.speaker, e.clip_id) for e in events]
    assert [point["rate"] for point in line["operating_points"]] == [0.1, 0.5, 1.0, 5.0]
    for point in (*line["operating_points"], line["chosen_on_dev"]):
        fired = [
            [
                found
                for found in dataclasses.replace(run, decoder=at(run, point)).detections(stream)
                if found.label == "down"
            ]
            for stream in run.streams
        ]
        by_speaker, latencies, hits = {}, [], 0
        for stream, detections in zip(run.streams, fired, strict=True):
            for event in (event for event in stream.events if event.label == "down"):
                # Windows of this made-up data do not overlap.
                hit = [d.time_s for d in detections if event.start_s <= d.time_s <= event.anchor_s + 0.75]
                of_speaker = by_speaker.setdefault(event.speaker, {"events": 0, "misses": 0})
                of_speaker["events"] += 1
                of_speaker["misses"] += not hit
                hits += bool(hit)
                latencies.append(math.floor(1e6 * (hit[0] - event.anchor_s)) if hit else None)
        assert point["by_speaker"] == by_speaker
        kept = line["curve"]["latencies_us"][line["curve"]["thresholds"].index(point["threshold"])]
        assert all(
            a == b if a is None or b is None else abs(a - b) <= 1
            for a, b in zip(kept, latencies, strict=True)
        )
        assert (point["misses"], point["events"]) == (len(events) - hits, len(events))
        assert point["false_alarms"] == sum(map(len, fired)) - hits
    assert (line["epochs"], line["seconds_trained"], line["parameters"]) == (3, 12.5, 7)
    # Where the recordings lie is nobody's business.
    assert line["data"] == "recordings"
    assert "/a/b" not in json.dumps(line)


def at(run: ScoredRun, point: dict) -> DecoderSettings:
    return dataclasses.replace(run.decoder, threshold=point["threshold"])


def test_lines_of_several_files_go_together_and_the_same_line_counts_once(measured) -> None:
    some = [line for line in measured.lines if line["loss"] == "ce"]
    others = [line for line in measured.lines if line["loss"] == "sal"]
    together = contests([*some, *others, *some])
    assert markdown(together) == markdown(contests(measured.lines))
    # On other streams, nothing is compared with anything.
    moved = [{**line, "streams_hash": "other"} for line in others]
    apart = contests([*some, *moved])
    assert [(contest.label, len(contest.systems)) for contest in apart] == [("up", 2), ("down", 2)] * 2
    again = [{**others[0], "config_hash": "other"}]
    with pytest.raises(ResultsError, match="ds-tcn, sal, seed 1"):
        contests([*others, *again])
    # Nor is a larger network a further seed.
    larger = [{**others[0], "seed": 9, "config_hash": "other", "model_options": {"channels": 112}}]
    with pytest.raises(
        ResultsError, match=r"model_options is \{\} for seed 1 and \{'channels': 112\} for seed 9"
    ):
        contests([*others, *larger])


def test_a_network_without_the_baseline_is_compared_with_nothing(measured) -> None:
    def some(model: str, loss: str) -> list[dict]:
        return [line for line in measured.lines if (line["model"], line["loss"]) == (model, loss)]

    focal = [{**line, "loss": "focal"} for line in some("gru", "ce")]
    found = contests([*some("ds-tcn", "ce"), *some("ds-tcn", "sal"), *focal, *some("gru", "sal")])[0]
    assert found.baseline == "ce"
    assert {row.system for row in found.summaries(1.0) if row.difference} == {"ds-tcn/sal"}
    # The baseline need not be the first of its network.
    found = contests([*some("ds-tcn", "ce"), *some("gru", "sal"), *some("gru", "ce")])[0]
    assert {row.system for row in found.summaries(1.0) if row.difference} == {"gru/sal"}


def test_systems_are_compared_over_the_seeds_that_both_have(measured) -> None:
    lines = [
        line
        for line in measured.lines
        if line["model"] == "ds-tcn" and (line["loss"] == "ce" or line["seed"] == 2)
    ]
    base, row = contests(lines)[0].summaries(1.0)
    (_, ce, _), (_, sal, _) = (
        [run.curves["up"] for run in measured.runs["ds-tcn", loss]] for loss in ("ce", "sal")
    )
    of_seed_2 = summarise(SystemResult("sal", [sal]), 1.0, SystemResult("ce", [ce]))
    assert (base.seeds, row.seeds, row.compared_seeds) == (3, 1, 1)
    assert row.difference == of_seed_2.difference
    assert row.area_difference == of_seed_2.area_difference
    assert row.difference.estimate != pytest.approx(row.miss_rate - base.miss_rate)
    # Without a seed in common there is no difference.
    apart = [line for line in lines if (line["loss"], line["seed"]) != ("ce", 2)]
    assert [row.difference for row in contests(apart)[0].summaries(1.0)] == [None, None]


def test_a_network_alone_is_not_named(measured) -> None:
    lines = [line for line in measured.lines if line["model"] == "gru"]
    contest = contests(lines)[0]
    assert isinstance(contest, Contest)
    assert [system.name for system in contest.systems] == ["ce", "sal"]
    assert "against ce, points" in "\n".join(markdown([contest]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON"),
        ("[]", "expected a line of schema 1"),
        ('{"schema": 2}', "expected a line of schema 1, got 2"),
        ('{"schema": 1, "task": "keyword"}', "must have .*chosen_on_dev"),
    ],
)
def test_what_is_no_line_is_refused_with_its_number(measured, tmp_path, text: str, reason: str) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, measured.lines[:1])
    with path.open("a") as file:
        file.write(text + "\n")
    with pytest.raises(ResultsError, match=f"results.jsonl:2.*{reason}"):
        read_results(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"curve": {}}, "KeyError"),
        ({"events": [10_000]}, "IndexError"),
        ({"events": []}, "reshape"),
        ({"reporting": {"anchor": "x", "false_alarm_rates": None}}, "one or more rates"),
        ({"reporting": []}, "AttributeError"),
        ({"window": {"pre": 1}}, "TypeError"),
        ({"chosen_on_dev": {"threshold": 0.123456}}, "was not visited"),
        ({"snr_db": "loud"}, "format code"),
        ({"seed": [1]}, "unhashable"),
    ],
)
def test_a_damaged_line_is_refused_with_its_number(measured, tmp_path, changes: dict, reason: str) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, [measured.lines[0], {**measured.lines[1], **changes}])
    with pytest.raises(ResultsError, match=rf"results.jsonl:2 is damaged \(.*{reason}"):
        read_results(path)


def test_a_curve_with_a_column_too_short_is_refused(measured, tmp_path) -> None:
    line = json.loads(json.dumps(measured.lines[0]))
    line["curve"]["false_alarms"].pop()
    write_results(tmp_path / "results.jsonl", [line])
    with pytest.raises(ResultsError, match=r"results.jsonl:1 is damaged .*equally long"):
        read_results(tmp_path / "results.jsonl")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "has no line"), (b"\n\n", "no line"), (b"\xff", "no text")]
)
def test_a_file_without_a_line_is_refused(tmp_path, content: bytes, reason: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=reason):
        read_results(path)


@pytest.mark.parametrize("name", ["sp\udcff", "a\u2028b", "a\u2029b", "a\x85b", "食べる"])
def test_names_of_any_letters_are_read_back(measured, tmp_path, name: str) -> None:
    path = tmp_path / "results.jsonl"
    recordings = [[name, f"{name}/1"]]
    lines = [
        {**line, "recordings": recordings, "events": [0] * len(line["events"])} for line in measured.lines[:2]
    ]
    write_results(path, lines)
    assert [line["recordings"] for line in read_results(path)] == [recordings] * 2
    assert path.read_bytes().isascii()


def test_names_that_hold_ends_of_lines_are_read_from_older_files(measured, tmp_path) -> None:
    path = tmp_path / "results.jsonl"
    lines = [{**line, "data": "a\u2028b\u2029c\x85d"} for line in measured.lines[:2]]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    assert [line["data"] for line in read_results(path)] == [line["data"] for line in lines]


def test_the_command_prints_json_where_nothing_bounds_false_alarms(measured, tmp_path, capsys) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, [{**line, "curve": {**line["curve"], "hours": 0.0}} for line in measured.lines[:1]])
    assert main(["compare", "--from", str(path), "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out, parse_constant=lambda text: 1 / 0)["tables"]
    assert [row["false_alarms_per_hour_interval"] for row in table["systems"]] == [[0.0, None]] * 4
