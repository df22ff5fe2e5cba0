"""Triggers, a raised wrist and then speech, from a folder of recordings to detections; tones stand in for speech."""

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
    "mix.length_s=8",
    "mix.snr_db=[10, 20]",
    # Little that could be confused with a raise, so that a small budget is enough.
    "motion={raise_share: 0.4, late_share: 0, amid_share: 0, idle_per_minute: 4, others_per_minute: 1, "
    "walk_share: 0, desk_share: 0, drive_share: 0}",
    "task.inputs=[audio, accelerometer]",
    "task.modality_dropout=0",
    "model={name: ds-tcn, options: {channels: 24, dilations: [1, 2, 4, 8, 16]}}",
    "optimiser.epochs=5",
    "optimiser.streams_per_epoch=384",
    "optimiser.batch_size=4",
    "optimiser.learning_rate=0.02",
    "optimiser.threads=1",
    "dev.hours=0.05",
]


def said(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def write_wrist(path: Path, duration_s: float, raised_s, rate_hz: int = 50) -> None:
    """A left arm that hangs (gravity is felt on -x, towards the elbow) and turns its display up (z) in the spans."""
    times_s = (np.arange(round(duration_s * rate_hz)) + 0.5) / rate_hz
    turned = np.zeros_like(times_s)
    for up_s, down_s in raised_s:
        turned += np.clip((times_s - up_s) / 0.7, 0, 1) - np.clip((times_s - down_s) / 0.7, 0, 1)
    angle = turned**2 * (3 - 2 * turned) * np.pi / 2
    rows = np.column_stack([times_s, -np.cos(angle), np.zeros_like(angle), np.sin(angle)])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, delimiter=",", header="time,ax,ay,az", comments="", fmt="%.4f")


@pytest.fixture(scope="module")
def run(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trigger") / "run"
    assert main(["train", "trigger", f"data={tones}", *BUDGET, "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_a_report_says_what_was_there_and_what_was_missing(run: Path, tmp_path: Path, capsys) -> None:
    events = set()
    for missing in ("nothing", "motion", "audio"):
        out, without = tmp_path / missing, [] if missing == "nothing" else ["--without", missing]
        assert main(["evaluate", str(run), "--hours", "0.1", "--out", str(out), *without, "--json"]) == 0
        found = said(capsys)
        points = found["labels"]["trigger"]["operating_points"]
        assert [point["rate"] for point in points] == [0.1, 0.5, 1.0, 5.0]
        events |= {point["events"] for point in points}
        assert found["streams"].endswith(f"0.1 h, without {missing}" if without else "0.1 h")
        page = (out / "report.html").read_text(encoding="utf-8")
        assert "simulated motion" in page
        assert found["streams"] in page
    # They are the same streams, and what happened in them does not depend on who perceived it.
    assert len(events) == 1
    assert events.pop() > 10
    assert main(["evaluate", str(run), "--hours", "0.05", "--out", str(tmp_path)]) == 0
    assert "simulated motion" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_the_exported_model_wants_both_and_in_the_right_order(run: Path, tmp_path: Path, capsys) -> None:
    assert main(["export", str(run), "--json"]) == 0
    model = said(capsys)["model"]

    # Three tones; before the second the wrist is raised. It is raised once more, and nothing is said.
    rng = np.random.default_rng(1)
    samples = 0.01 * rng.standard_normal(16 * RATE_HZ)
    rising = 0.3 * np.sin(2 * np.pi * np.cumsum(np.linspace(450, 2000, RATE_HZ // 2)) / RATE_HZ)
    for start_s in (2, 6, 12):
        samples[start_s * RATE_HZ :][: len(rising)] += rising
    audio, motion = tmp_path / "walk.wav", tmp_path / "walk.csv"
    soundfile.write(audio, samples, RATE_HZ)
    write_wrist(motion, 16.0, [(4.8, 7.2), (9.0, 10.4)])

    detect = ["detect", model, str(audio), "--json"]
    assert main([*detect, "--motion", str(motion), "--posteriors", str(tmp_path)]) == 0
    entry = said(capsys)["files"][0]
    with np.load(entry["posteriors"]) as file:
        posteriors, hop_s = file["posteriors"][:, 0], float(file["hop_s"])
    times_s = hop_s * np.arange(len(posteriors))
    expected = (times_s >= 6) & (times_s < 7)
    surest, otherwise = posteriors[expected].max(), posteriors[~expected].max()
    assert surest > 1.5 * otherwise

    between = ["--threshold", f"{(surest + otherwise) / 2:.4f}"]
    assert main([*detect, "--motion", str(motion), *between]) == 0
    (found,) = said(capsys)["files"][0]["detections"]
    assert found["label"] == "trigger"
    assert found["time_s"] == pytest.approx(6.25, abs=0.35)

    assert main([*detect, *between]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["files"][0]["detections"] == []
    assert "without --motion it is taken as off" in captured.err


def test_what_hears_audio_alone_can_do_without_nothing(tmp_path: Path, capsys) -> None:
    # A run whose recordings are not there: reading them would fail otherwise.
    for task in ("{name: keyword}", "{name: trigger, inputs: [audio]}"):
        (tmp_path / "config.yaml").write_text(f"data: nowhere\ntask: {task}\n", encoding="utf-8")
        for missing in ("audio", "motion"):
            assert main(["evaluate", str(tmp_path), "--without", missing]) == 2
            assert "hears audio alone here" in capsys.readouterr().err


def test_motion_that_is_not_there_is_named_before_anything_is_read(tmp_path: Path, capsys) -> None:
    wrists = tmp_path / "wrists"
    train = [
        "train",
        "trigger",
        "data=nowhere",
        f"motion_data.folder={wrists}",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(train) == 1
    assert f"{wrists}: there is no folder of recordings of motion" in capsys.readouterr().err
    for split in ("train", "dev"):
        write_wrist(wrists / split / "anna.csv", 4.0, [])
    # The test is not mixed until the training is over, which is too late to hear of it.
    assert main(train) == 1
    assert "no recordings of motion for the split 'test'" in capsys.readouterr().err
    bad = wrists / "test" / "bea.csv"
    bad.parent.mkdir()
    bad.write_text("time,ax,ay,az\n0.00,0,0,1\n0.02,0,0,loose\n", encoding="utf-8")
    assert main(train) == 1
    assert f"{bad}: line 3: 'loose' in column 'az' is no number" in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_recordings_of_wrists_are_what_gestures_are_put_over(tones: Path, tmp_path: Path) -> None:
    from anchorstream.train.corpus import corpus_of, scored_streams, training_mixer, wrists_of
    from anchorstream.train.recipe import load_config

    for split in ("train", "dev", "test"):
        write_wrist(tmp_path / split / "anna.csv", 4.0, [])
    overrides = [f"data={tones}", "rooms=1", f"motion_data.folder={tmp_path}", "motion.recorded_share=1"]
    config = load_config("trigger", overrides)
    wrists_of(config)
    corpus = corpus_of(config)
    assert training_mixer(config, corpus).stream(0).motion.background == "recorded"
    scored = scored_streams(config, corpus, "dev", snr_db=10.0, hours=0.1)
    # Of streams for scoring, half.
    assert {stream.motion.background == "recorded" for stream in scored} == {False, True}


def test_noise_is_no_need_of_triggers(tones: Path, tmp_path: Path) -> None:
    from anchorstream.train.corpus import corpus_of
    from anchorstream.train.recipe import load_config

    shutil.copytree(tones / "negative", tmp_path / "negative")
    corpus = corpus_of(load_config("trigger", [f"data={tmp_path}"]))
    assert {clip.label for clip in corpus.clips if clip.kind != "noise"} == {"speech"}


def test_the_demo_takes_the_options_of_the_task(cli, tmp_path: Path) -> None:
    wrong = cli("demo", "--task", "trigger", "--out", tmp_path, "motion.raise_shar=1", "task.inputs=[sonar]")
    assert wrong.code == 2
    assert "2 error(s)" in wrong.err
    assert "unknown key 'raise_shar' (did you mean 'raise_share'?)" in wrong.err
    assert "'audio', 'accelerometer' or 'gyroscope', got 'sonar'" in wrong.err
