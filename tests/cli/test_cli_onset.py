"""Speech onset detection from a folder of recordings to detections in a file; tones stand in for speech."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anchorstream.cli.main import main

pytestmark = pytest.mark.usefixtures("few_examples")

RATE_HZ = 16_000
BUDGET = [
    "rooms=2",
    "mix.length_s=6",
    "mix.snr_db=[10, 20]",
    "model={name: ds-tcn, options: {channels: 16, dilations: [1, 2, 4, 8]}}",
    "optimiser.epochs=4",
    "optimiser.streams_per_epoch=96",
    "dev.hours=0.05",
]


def said(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_train_evaluate_export_detect(tones: Path, tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    assert main(["train", "onset", f"data={tones}", *BUDGET, "--out", str(run), "--json"]) == 0
    summary = said(capsys)
    assert summary["dev_miss_rate"] < 0.3
    assert summary["dev_frame_auc"]["speech"] > 0.9
    assert [point["rate"] for point in summary["dev_operating_points"]["speech"]] == [10.0, 60.0]

    assert main(["evaluate", str(run), "--hours", "0.1", "--json"]) == 0
    label = said(capsys)["labels"]["speech"]
    assert [point["rate"] for point in label["operating_points"]] == [10.0, 60.0]
    assert label["frame_auc"] > 0.9
    page = (run / "report.html").read_text(encoding="utf-8")
    figures, _, made = page.partition("How this was made")  # the audit there counts clips by kind
    assert "keyword" not in figures
    assert "ROC-AUC" in figures
    assert "the onset of speech" in made
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert {row["rate"] for row in report["summary"]} == {10.0, 60.0}

    assert main(["export", str(run), "--json"]) == 0
    exported = said(capsys)
    assert exported["decoder"]["release_s"] == 0.4
    # A rate that training did not note: dev is scored once more, for the export as for the evaluation.
    at_twenty = ["--target-fa-per-hour", "20", "--json"]
    assert main(["export", str(run), "--out", str(tmp_path / "twenty.onnx"), *at_twenty]) == 0
    threshold = said(capsys)["decoder"]["threshold"]["speech"]
    assert main(["evaluate", str(run), "--hours", "0.1", *at_twenty]) == 0
    label = said(capsys)["labels"]["speech"]
    assert label["chosen_on_dev"]["threshold"] == label["on_dev"]["threshold"] == threshold
    on_dev = label["on_dev"]
    assert on_dev["false_alarms"] <= 20 * on_dev["hours"] + 1e-9
    # As quick as a typical hit; the false alarms pay for it.
    limit_s = on_dev["latency_p50_s"]
    limited = ["--max-latency-ms", str(1000 * limit_s), "--hours", "0.1"]
    assert main(["evaluate", str(run), *limited, "--json"]) == 0
    assert said(capsys)["labels"]["speech"]["on_dev"]["latency_p90_s"] <= limit_s + 1e-6
    assert main(["evaluate", str(run), *limited]) == 0
    assert "dev, where it was chosen" in capsys.readouterr().out
    assert main(["export", str(run), "--target-fa-per-hour", "10", "--max-latency-ms", "1"]) == 1
    assert "at that rate the least P90 is" in capsys.readouterr().err

    # Noise, and in it three tones: after 1.5 s, 0.1 s behind the first (one stretch), and after 3.5 s.
    rng = np.random.default_rng(1)
    samples = 0.01 * rng.standard_normal(5 * RATE_HZ)
    tone = 0.3 * np.sin(2 * np.pi * 900 * np.arange(RATE_HZ // 2) / RATE_HZ)
    for start_s in (1.5, 2.1, 3.5):
        first = round(start_s * RATE_HZ)
        samples[first : first + len(tone)] += tone
    file = tmp_path / "talk.wav"
    soundfile.write(file, samples, RATE_HZ)
    assert main(["detect", exported["model"], str(file), "--json"]) == 0
    found = said(capsys)["files"][0]["detections"]
    assert {entry["label"] for entry in found} == {"speech"}
    assert [entry["time_s"] for entry in found] == pytest.approx([1.5, 3.5], abs=0.25)


def test_recordings_without_noise_are_refused(tones: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tones / "negative", folder / "negative")
    assert main(["train", "onset", f"data={folder}", "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert f"{folder}: no recordings of noise in train, dev, test" in error
    assert "Put recordings without speech" in error


def test_other_speech_alone_will_do(tones: Path, tmp_path: Path) -> None:
    from anchorstream.train.corpus import corpus_of
    from anchorstream.train.recipe import load_config

    folder = tmp_path / "data"
    for kind in ("negative", "noise"):
        shutil.copytree(tones / kind, folder / kind)
    corpus = corpus_of(load_config("onset", [f"data={folder}"]))
    assert {clip.label for clip in corpus.clips if clip.kind == "speech"} == {"speech"}
    assert {clip.split for clip in corpus.clips} == {"train", "dev", "test"}


def test_the_demo_knows_the_task(cli, tones: Path, tmp_path: Path) -> None:
    helped = cli("demo", "--task", "onset", "--help")
    assert helped.code == 0
    assert "--task" in helped.out
    unknown = cli("demo", "--task", "onsets", "--out", tmp_path)
    assert unknown.code == 2
    assert "there is no task 'onsets'; --task takes one of keyword, onset" in unknown.err
    keyword = cli("demo", "--task", "onset", "--keyword", "alexa", "--data", tones, "--out", tmp_path)
    assert keyword.code == 2
    assert "unknown key 'keywords'" in keyword.err
    loss = cli("demo", "--task", "onset", "--losses", "ce,nonsense", "--out", tmp_path)
    assert loss.code == 2
    assert "unknown loss 'nonsense'" in loss.err


@pytest.mark.slow
def test_the_demo_ends_in_an_onset_detector(tones: Path, tmp_path: Path, capsys) -> None:
    command = ["demo", "--task", "onset", "--data", str(tones), "--out", str(tmp_path), "--losses", "sal"]
    command += ["--hours", "0.05", *BUDGET, "optimiser.epochs=2", "optimiser.streams_per_epoch=48"]
    assert main([*command, "--json"]) == 0
    result = said(capsys)
    assert {system["rate"] for system in result["systems"]} == {10.0, 60.0}
    assert Path(result["model"]).name == "speech.onnx"
    notes = {found["note"].partition(" ms ")[2] for found in result["live"]["detections"]}
    assert notes <= {"after the onset of speech", ""}
    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "frame ROC-AUC" in table
    assert "for 60 false alarms per hour" in table
    assert "Latency in ms after the onset of speech" in table


def test_halves_of_no_keyword_are_refused_before_anything_is_read(tmp_path: Path, capsys) -> None:
    # A run whose recordings are not there: reading them would fail otherwise.
    (tmp_path / "config.yaml").write_text("task: {name: onset}\ndata: nowhere\n", encoding="utf-8")
    assert main(["evaluate", str(tmp_path), "--halves"]) == 2
    assert "the task 'onset' has none" in capsys.readouterr().err
