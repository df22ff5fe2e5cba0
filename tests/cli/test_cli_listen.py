"""Listen: each detection is printed as it happens, and every way of ending is a clean one."""

import io
import json
import re
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import tiny_model


def raw(bursts_s, duration_s=1.0, **options):
    return (tiny_model.stream(duration_s, bursts_s, **options) * 32767).astype("<i2")


@pytest.fixture
def stdin(monkeypatch):
    def give(samples):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(bytes(samples))))

    return give


def test_raw_samples_are_listened_to_until_they_end(cli, model_path, stdin):
    stdin(raw([0.2, 0.6]).tobytes())
    result = cli("listen", model_path, "--stdin")
    assert result.code == 0
    assert result.out == "     0.22 s  loud  score 1.000\n     0.62 s  loud  score 1.000\n"
    assert result.err == "listening for loud; Ctrl-C ends\n2 detection(s) in 1.0 s\n"


def test_json_is_one_object_a_line(cli, model_path, stdin):
    stdin(raw([0.2, 0.6]).tobytes())
    result = cli("listen", model_path, "--stdin", "--json")
    assert [json.loads(line) for line in result.out.splitlines()] == [
        {"time_s": 0.22, "label": "loud", "score": pytest.approx(1.0, abs=1e-3)},
        {"time_s": 0.62, "label": "loud", "score": pytest.approx(1.0, abs=1e-3)},
    ]


def test_rate_and_channels_of_the_samples(cli, model_path, stdin):
    stereo = np.repeat(raw([0.2], rate_hz=48_000, hz=440), 2)
    stdin(stereo.tobytes())
    result = cli("listen", model_path, "--stdin", "--rate", 48_000, "--channels", 2, "--json")
    assert json.loads(result.out)["time_s"] == pytest.approx(0.22, abs=0.011)
    assert result.err.endswith("1 detection(s) in 1.0 s\n")


def test_a_threshold_takes_the_place_of_the_models(cli, model_path, stdin):
    # It fires on the way up, the lower it is the sooner.
    for threshold, time in (("0.6", "0.21 s"), ("0.7", "0.22 s")):
        stdin(raw([0.2]).tobytes())
        assert time in cli("listen", model_path, "--stdin", "--threshold", threshold).out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", 44_100], "--rate and --channels go with --stdin"),
        (["--channels", 2], "--rate and --channels go with --stdin"),
        (["--stdin", "--device", 1], "--device is a microphone"),
        (["--stdin", "--before", 1], "go with --save-clips DIR"),
        (["--stdin", "--threshold", 80], "a posterior from 0 to 1"),
    ],
)
def test_options_of_something_else_are_refused(cli, model_path, stdin, options, said):
    stdin(b"")
    result = cli("listen", model_path, *options)
    assert result.code == 2
    assert said in result.err


@pytest.mark.parametrize("tail", [b"", b"\1"])
@pytest.mark.parametrize("count", [0, 1, 100, 3300])
def test_an_end_anywhere_is_no_error(cli, model_path, stdin, count, tail):
    stdin(raw([0.2])[:count].tobytes() + tail)
    result = cli("listen", model_path, "--stdin")
    assert result.code == 0
    assert "0 detection(s)" in result.err


@pytest.mark.parametrize(
    "options",
    [
        ["--rate", "0"],
        ["--rate", "-1"],
        ["--rate", "16k"],
        ["--channels", "0"],
        ["--channels", "65"],
        ["--threshold", "x"],
        ["--motion", ""],
        ["--save-clips", ""],
    ],
)
def test_wrong_options_are_wrong_usage(cli, options):
    result = cli("listen", "no.onnx", "--stdin", *options)
    assert result.code == 2
    assert "expected" in result.err


def test_a_detection_is_printed_before_the_source_ends(process, model_path):
    running = process("listen", model_path, "--stdin", "--json")
    running.stdin.write(raw([0.2], duration_s=0.5).tobytes())
    running.stdin.flush()
    # The pipe stays open: without a flush of its own this line would not come.
    assert json.loads(running.stdout.readline())["time_s"] == 0.22
    running.stdin.close()
    running.stdin = None
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (0, b"")
    assert err.endswith(b"1 detection(s) in 0.5 s\n")


def test_ctrl_c_ends_with_a_summary(process, model_path):
    running = process("listen", model_path, "--stdin")
    running.stdin.write(raw([0.2], duration_s=0.5).tobytes())
    running.stdin.flush()
    assert b"0.22 s" in running.stdout.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (0, b"")
    # How much had been heard by then is a matter of luck.
    assert re.search(rb"\n1 detection\(s\) in 0\.[2-5] s\n$", err)
    assert b"Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("which", ["SIGTERM", "SIGHUP"])
def test_the_end_of_a_service_loses_no_clip(process, model_path, tmp_path, which):
    listening = process("listen", model_path, "--stdin", "--save-clips", tmp_path / "clips")
    listening.stdin.write(raw([0.2]).tobytes())
    listening.stdin.flush()
    assert b"loud" in listening.stdout.readline()
    listening.send_signal(getattr(signal, which))
    _, told = listening.communicate(timeout=60)
    assert listening.returncode == 0
    assert b"1 detection(s) in " in told
    assert b"1 clip(s) saved" in told
    assert len(list((tmp_path / "clips").iterdir())) == 1


def test_a_closed_standard_input_is_explained(cli, model_path, monkeypatch):
    # As after `<&-` in a shell, or in a service without one.
    monkeypatch.setattr(sys, "stdin", None)
    result = cli("listen", model_path, "--stdin")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("anchorstream: error: standard input is closed")


def test_a_microphone_that_is_not_there_is_explained(cli, model_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    result = cli("listen", model_path)
    assert (result.code, result.out) == (1, "")
    assert 'pip install "anchorstream[runtime]"' in result.err
    assert len(result.err.splitlines()) == 1


def test_devices_are_listed_without_a_model(cli, monkeypatch):
    devices = [{"name": "speakers", "max_input_channels": 0}, {"name": "headset", "max_input_channels": 1}]
    fake = SimpleNamespace(query_devices=lambda: devices)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    result = cli("listen", "--list-devices")
    assert (result.code, result.out, result.err) == (0, "  1  headset\n", "")


def test_several_models_hear_one_source(cli, model_path, tmp_path, stdin):
    other = tmp_path / "other.onnx"
    other.write_bytes(model_path.read_bytes())
    stdin(raw([0.2]).tobytes())
    result = cli("listen", model_path, other, "--stdin", "--json")
    assert [json.loads(line)["model"] for line in result.out.splitlines()] == ["loud", "other"]
    stdin(raw([0.2]).tobytes())
    result = cli("listen", model_path, model_path, "--stdin")
    line = f"     0.22 s  loud  score 1.000  {model_path}\n"
    assert result.out == 2 * line
    assert result.err == "listening for loud; Ctrl-C ends\n2 detection(s) in 1.0 s\n"


def test_clips_of_what_was_heard(cli, model_path, stdin, tmp_path):
    samples = raw([0.2, 0.6])
    stdin(samples.tobytes())
    folder = tmp_path / "clips"
    result = cli("listen", model_path, "--stdin", "--save-clips", folder, "--before", 0.1, "--after", 0.05)
    assert (result.code, result.err.splitlines()[-1]) == (0, "2 clip(s) saved")
    first, second = sorted(folder.iterdir())
    assert re.fullmatch(r"\d{8}T\d{6}Z_000000\.220s_loud\.flac", first.name)
    np.testing.assert_array_equal(soundfile.read(first, dtype="int16")[0], samples[1920:4320])
    np.testing.assert_array_equal(soundfile.read(second, dtype="int16")[0], samples[8320:10_720])


@pytest.mark.parametrize(
    "options", [["--before", "-1"], ["--after", "x"], ["--exec", ""], ["--exec", "no-such-thing"]]
)
def test_a_sink_that_cannot_be_is_wrong_usage(cli, model_path, options):
    result = cli("listen", model_path, "--stdin", *options)
    assert (result.code, result.out) == (2, "")
    assert options[0] in result.err


def test_a_command_for_each_detection_does_not_hold_up_the_lines(process, model_path):
    running = process(
        "listen", model_path, "--stdin", "--json", "--exec", "sh -c 'sleep 1; echo $ANCHORSTREAM_LABEL'"
    )
    running.stdin.write(raw([0.2], duration_s=0.5).tobytes())
    running.stdin.flush()
    assert json.loads(running.stdout.readline())["time_s"] == 0.22
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    # Ctrl-C is meant for us: the command comes to its end, and stdout stays what it is.
    assert (running.returncode, out) == (0, b"")
    assert b"\nloud\n" in err
