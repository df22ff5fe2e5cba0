"""Detect: every file of the list is done, and a faulty one is named."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tiny_model

DATA = Path(os.environ.get("ANCHORSTREAM_DATA", Path(__file__).parents[3] / "shared" / "data"))


def files(result):
    return json.loads(result.out)["files"]


def fired(entry):
    return [found["time_s"] for found in entry["detections"]]


def test_the_json_is_what_is_promised(cli, model_path, sound):
    path = sound("a.wav", [0.2, 0.6])
    result = cli("detect", model_path, path, "--json")
    assert result.code == 0
    # A burst from 0.2 s on is hop 20; it fires at hop 21, which is known at 0.22 s (see tiny_model).
    assert json.loads(result.out) == {
        "files": [
            {
                "path": str(path),
                "duration_s": 1.0,
                "detections": [
                    {"time_s": 0.22, "label": "loud", "score": 1.0},
                    {"time_s": 0.62, "label": "loud", "score": 1.0},
                ],
            }
        ]
    }


def test_people_get_a_line_a_detection_and_a_summary_apart(cli, model_path, sound):
    path = sound("a.wav", [0.2])
    result = cli("detect", model_path, path, sound("b.wav"))
    assert result.out == f"{path}:     0.220 s  loud  score 1.000\n"
    assert result.err == "1 detection(s) in 2 file(s), 2.0 s\n"


def test_options_may_stand_between_the_files(cli, model_path, sound):
    result = cli("detect", model_path, "--json", sound("a.wav"), "--threshold", "0.9", sound("b.wav"))
    assert [Path(entry["path"]).name for entry in files(result)] == ["a.wav", "b.wav"]


@pytest.mark.parametrize(("threshold", "expected"), [("0.6", [0.21]), ("0.7", [0.22])])
def test_a_threshold_takes_the_place_of_the_models(cli, model_path, sound, threshold, expected):
    result = cli("detect", model_path, sound("a.wav", [0.2]), "--json", "--threshold", threshold)
    assert fired(files(result)[0]) == expected


@pytest.mark.parametrize("threshold", ["0", "-1", "nan", "inf", "high", "80"])
def test_a_threshold_that_is_none_is_wrong_usage(cli, threshold):
    result = cli("detect", "no.onnx", "no.wav", f"--threshold={threshold}")
    assert result.code == 2
    assert "positive number" in result.err or "a posterior from 0 to 1" in result.err


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype", "suffix"),
    [(8_000, 1, "PCM_16", "wav"), (44_100, 2, "FLOAT", "wav"), (48_000, 3, "PCM_24", "flac")],
)
def test_any_rate_channels_and_depth(cli, model_path, tmp_path, rate_hz, channels, subtype, suffix):
    path = tmp_path / f"a.{suffix}"
    samples = tiny_model.stream(1.0, [0.2, 0.6], rate_hz=rate_hz, hz=440)
    soundfile.write(path, np.stack([samples] * channels, axis=1), rate_hz, subtype=subtype)
    (entry,) = files(cli("detect", model_path, path, "--json"))
    assert entry["duration_s"] == 1.0
    assert fired(entry) == pytest.approx([0.22, 0.62], abs=0.011)


def test_a_file_shorter_than_a_hop_is_filled_up_with_silence(cli, model_path, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.full(100, 0.9), tiny_model.RATE_HZ)
    out = tmp_path / "out"
    result = cli("detect", model_path, path, "--json", "--posteriors", out)
    assert result.code == 0
    assert files(result)[0]["duration_s"] == 0.00625
    assert np.load(out / "short.npz")["posteriors"].shape == (1, 1)


def test_posteriors_can_be_scored_by_others(cli, model_path, sound, tmp_path):
    out = tmp_path / "deep" / "folder"
    path = sound("a.wav", [0.2])
    result = cli("detect", model_path, path, "--json", "--posteriors", out)
    assert files(result)[0]["posteriors"] == str(out / "a.npz")
    with np.load(out / "a.npz", allow_pickle=False) as npz:
        assert set(npz) == {"posteriors", "hop_s", "delay_s", "labels"}
        assert npz["posteriors"].dtype == np.float32
        assert npz["posteriors"].shape == (100, 1)
        assert (float(npz["hop_s"]), float(npz["delay_s"]), npz["labels"].tolist()) == (0.01, 0.01, ["loud"])
        assert npz["posteriors"][19:23, 0] == pytest.approx([0, 0.625, 1, 1], abs=1e-3)
    assert [file.name for file in out.iterdir()] == ["a.npz"]


def test_files_of_one_stem_do_not_overwrite_each_other(cli, model_path, sound, tmp_path):
    paths = [
        sound("x/a.wav", duration_s=0.1),
        sound("y/a.wav", duration_s=0.2),
        sound("A.flac", duration_s=0.3),
        sound("a-2.wav", duration_s=0.4),
    ]
    result = cli("detect", model_path, *paths, "--json", "--posteriors", tmp_path / "out")
    lengths = [len(np.load(entry["posteriors"])["posteriors"]) for entry in files(result)]
    assert lengths == [10, 20, 30, 40]


def test_a_folder_stands_for_its_audio_files(cli, model_path, sound, tmp_path):
    sound("set/b.flac")
    sound("set/deeper/a.WAV")
    (tmp_path / "set" / "notes.txt").write_text("no audio")
    (tmp_path / "set" / "folder.wav").mkdir()
    result = cli("detect", model_path, tmp_path / "set", tmp_path / "set" / "b.flac", "--json")
    assert result.code == 0
    assert [Path(entry["path"]).name for entry in files(result)] == ["b.flac", "a.WAV"]


def faulty(folder):
    """A file of each kind of fault, and what is said of it."""
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no audio")
    (folder / "nothing").mkdir()
    soundfile.write(folder / "no_sample.wav", np.zeros(0), 16_000)
    return {
        "empty.wav": "no audio file that can be read",
        "text.wav": "no audio file that can be read",
        "no_sample.wav": "holds no sample",
        "missing.wav": "there is no such file",
        "nothing": "holds no audio file",
    }


def test_faulty_files_are_named_and_the_others_done(cli, model_path, sound, tmp_path):
    reasons = faulty(tmp_path)
    good = [sound("first.wav", [0.2]), sound("last.wav", [0.4])]
    result = cli(
        "detect", model_path, good[0], *(tmp_path / name for name in reasons), good[1], "--json",
        "--posteriors", tmp_path / "out",
    )  # fmt: skip
    assert result.code == 1
    first, *bad, last = files(result)
    assert (fired(first), fired(last)) == ([0.22], [0.42])
    for entry, (name, reason) in zip(bad, reasons.items(), strict=True):
        assert entry["error"].startswith(str(tmp_path / name))
        assert reason in entry["error"]
        assert (entry["duration_s"], entry["detections"]) == (0.0, [])
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"first.npz", "last.npz"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_fault_like_others(cli, model_path, sound, tmp_path):
    good, locked = sound("set/good.wav", [0.2]), sound("set/locked/hidden.wav")
    locked.parent.chmod(0)
    try:
        for given in ([tmp_path / "set"], [good, locked], [good, locked.parent]):
            result = cli("detect", model_path, *given, "--json")
            assert result.code == 1
            first, second = files(result)
            assert fired(first) == [0.22]
            assert "ermission denied" in second["error"] or "may not be read" in second["error"]
    finally:
        locked.parent.chmod(0o700)


def test_a_name_that_no_file_can_have_is_a_fault_like_others(cli, model_path, sound, tmp_path):
    result = cli("detect", model_path, sound("good.wav", [0.2]), tmp_path / ("a" * 300 + ".wav"), "--json")
    assert result.code == 1
    first, second = files(result)
    assert fired(first) == [0.22]
    assert "name too long" in second["error"]


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100])
def test_of_a_damaged_file_everything_before_the_damage_is_searched(cli, model_path, tmp_path, rate_hz):
    whole, damaged = tmp_path / "whole.wav", tmp_path / "damaged.wav"
    for path, duration_s in ((whole, 0.93), (damaged, 2.0)):
        samples = tiny_model.stream(duration_s, [0.2, 0.9], rate_hz=rate_hz, hz=440)
        soundfile.write(path, samples, rate_hz)
    damaged.write_bytes(damaged.read_bytes()[: whole.stat().st_size])
    result = cli("detect", model_path, whole, damaged, "--json", "--posteriors", tmp_path / "out")
    first, second = files(result)
    assert second["error"].startswith(f"{damaged}: damaged or cut off")
    assert second["detections"] == first["detections"]
    assert len(first["detections"]) == 2
    found = [np.load(entry["posteriors"])["posteriors"] for entry in (first, second)]
    assert np.array_equal(*found)


def test_clips_that_cannot_be_written_are_a_fault(cli, model_path, sound, tmp_path, monkeypatch):
    monkeypatch.setattr("anchorstream.runtime.clips.SaveClips._write", lambda *_: 1 / 0)
    result = cli("detect", model_path, sound("a.wav", [0.2]), "--json", "--save-clips", tmp_path / "clips")
    assert result.code == 1
    assert files(result)[0]["error"].endswith("1 clip(s) could not be written")
    assert fired(files(result)[0]) == [0.22]


def test_people_are_told_of_each_fault_and_their_number(cli, model_path, sound, tmp_path):
    reasons = faulty(tmp_path)
    result = cli("detect", model_path, *(tmp_path / name for name in reasons), sound("good.wav", [0.2]))
    assert result.code == 1
    assert len(result.out.splitlines()) == 1
    *errors, summary, count = result.err.splitlines()
    assert all(line.startswith("anchorstream: error: ") for line in errors)
    assert len(errors) == len(reasons)
    assert summary == "1 detection(s) in 6 file(s), 1.0 s"
    assert count == "5 of 6 file(s) had a fault"


def test_what_comes_before_the_damage_is_kept(cli, model_path, sound):
    # Noise, so that the encoder cannot make the rest of the file a few bytes long.
    path = sound("a.flac", [1.0], duration_s=30.0)
    noise = 0.01 * np.random.default_rng(0).standard_normal(30 * 16_000)
    soundfile.write(path, np.clip(soundfile.read(path)[0] + noise, -1, 1), 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    result = cli("detect", model_path, path, "--json")
    assert result.code == 1
    (entry,) = files(result)
    assert "damaged" in entry["error"]
    assert 10 <= entry["duration_s"] < 30
    assert fired(entry) == [1.02]


def test_samples_that_are_no_numbers_are_silence_and_said(cli, model_path, tmp_path):
    samples = tiny_model.stream(1.0, [0.2, 0.6])
    samples[6400:6410] = np.nan
    samples[6410] = np.inf
    path = tmp_path / "nan.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    result = cli("detect", model_path, path, "--json")
    assert result.code == 1
    (entry,) = files(result)
    assert "11 sample(s) are NaN or infinite" in entry["error"]
    assert fired(entry) == [0.22, 0.62]


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_model_that_is_none_is_named(cli, sound, tmp_path, content):
    model = tmp_path / "model.onnx"
    if content is not None:
        model.write_bytes(content)
    result = cli("detect", model, sound("a.wav"), "--json")
    assert (result.code, result.out) == (1, "")
    assert str(model) in result.err
    assert len(result.err.splitlines()) == 1


def test_a_folder_for_posteriors_that_is_a_file_is_said_before_the_work(cli, model_path, sound, tmp_path):
    (tmp_path / "out").write_text("")
    result = cli("detect", model_path, sound("a.wav", [0.2]), "--posteriors", tmp_path / "out")
    assert (result.code, result.out) == (1, "")
    assert str(tmp_path / "out") in result.err


def test_posteriors_that_cannot_be_written_are_a_fault_like_others(cli, model_path, sound, tmp_path):
    (tmp_path / "out" / "a.npz").mkdir(parents=True)
    paths = sound("a.wav", [0.2]), sound("b.wav", [0.4])
    result = cli("detect", model_path, *paths, "--json", "--posteriors", tmp_path / "out")
    assert result.code == 1
    first, second = files(result)
    assert first["error"].startswith(f"{tmp_path / 'out' / 'a.npz'}: the posteriors cannot be written: ")
    assert "posteriors" not in first
    assert (fired(first), fired(second)) == ([0.22], [0.42])
    assert second["posteriors"] == str(tmp_path / "out" / "b.npz")


@pytest.mark.parametrize("sign", ["a", "語"])
def test_what_is_written_of_a_file_with_a_long_name_has_a_shorter_one(cli, model_path, sound, tmp_path, sign):
    stem = sign * (240 // len(sign.encode()))
    paths = [sound(f"{stem}-{number}.wav", [0.2]) for number in (1, 2)]
    out, clips = tmp_path / "out", tmp_path / "clips"
    result = cli("detect", model_path, *paths, "--json", "--posteriors", out, "--save-clips", clips)
    assert result.code == 0
    names = [sign * (120 // len(sign.encode())), sign * (118 // len(sign.encode())) + "-2"]
    assert [entry["posteriors"] for entry in files(result)] == [str(out / f"{name}.npz") for name in names]
    assert {path.name for path in clips.iterdir()} == {f"{name}_000000.220s_loud.flac" for name in names}


def test_a_file_of_too_many_channels_is_a_fault_like_others(cli, model_path, sound, tmp_path):
    path = tmp_path / "array.wav"
    soundfile.write(path, np.zeros((1600, 100)), 16_000)
    result = cli("detect", model_path, path, sound("good.wav", [0.2]), "--json")
    assert result.code == 1
    first, second = files(result)
    assert first["error"].startswith(f"{path}: has 100 channels, expected at most 64")
    assert fired(second) == [0.22]


@pytest.mark.parametrize(
    "arguments",
    [
        ["", "a.wav"],
        ["no.onnx", ""],
        *(["no.onnx", "a.wav", option, ""] for option in ("--posteriors", "--motion", "--save-clips")),
    ],
)
def test_an_empty_path_is_not_the_folder_one_is_in(cli, arguments):
    result = cli("detect", *arguments)
    assert (result.code, result.out) == (2, "")
    assert "expected a path, got an empty text" in result.err


def test_posteriors_that_cannot_be_written_leave_no_half_file(cli, model_path, sound, tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    result = cli("detect", model_path, sound("a.wav", [0.2]), "--posteriors", tmp_path / "out", "--json")
    assert result.code == 1
    assert "the disk is full" in result.err
    assert list((tmp_path / "out").iterdir()) == []


def test_ctrl_c_loses_no_finished_file(process, model_path, sound, tmp_path):
    done = sound("a.wav", [0.2])
    # The signal comes when the second file is about to be opened.
    code = (
        "import anchorstream.runtime as runtime, os, signal, sys\n"
        "from anchorstream.cli.main import main\n"
        "real = runtime.sound_file\n"
        "def sound_file(path, **options):\n"
        "    if path.name == 'b.wav': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(path, **options)\n"
        "runtime.sound_file = sound_file\n"
        "sys.exit(main())\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    running = process("detect", model_path, done, sound("b.wav"), "--json", script=script)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert [entry["path"] for entry in json.loads(out)["files"]] == [str(done)]
    assert b"interrupted" in err
    assert b"Traceback" not in err


def test_recordings_that_arrive_damaged_are_all_named(cli, model_path):
    if not (DATA / "broken").is_dir():
        pytest.skip(f"recordings are not there: {DATA}")
    result = cli("detect", model_path, DATA / "broken", "--json")
    assert result.code == 1
    assert len(files(result)) == 6
    assert all("damaged" in entry["error"] for entry in files(result))


def test_clips_and_commands_of_files(cli, model_path, sound, tmp_path):
    first, second = sound("a.wav", [0.2, 0.6]), sound("sub/a.wav", [0.4])
    clips, times = tmp_path / "clips", tmp_path / "times"
    command = f"sh -c 'echo $ANCHORSTREAM_TIME_S $ANCHORSTREAM_FILE >> {times}'"
    options = ["--save-clips", clips, "--before", 0.1, "--after", 0.1, "--exec", command]
    result = cli("detect", model_path, first, second, *options)
    assert result.code == 0
    assert sorted(path.name for path in clips.iterdir()) == [
        "a-2_000000.420s_loud.flac",
        "a_000000.220s_loud.flac",
        "a_000000.620s_loud.flac",
    ]
    assert times.read_text() == f"0.22 {first}\n0.62 {first}\n0.42 {second}\n"
    whole, _ = soundfile.read(first, dtype="int16")
    clip, _ = soundfile.read(clips / "a_000000.220s_loud.flac", dtype="int16")
    np.testing.assert_allclose(clip, whole[1920:5120], atol=1)


def test_more_clips_than_wait_at_once_are_all_written(cli, model_path, sound, tmp_path):
    path = sound("many.wav", np.arange(0.2, 29.8, 0.3), duration_s=30.0)
    cli("detect", model_path, path, "--save-clips", tmp_path / "clips")
    assert len(list((tmp_path / "clips").iterdir())) == 99
