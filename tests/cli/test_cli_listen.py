"""Listen: each detection is printed as it happens, and every way of ending is a clean one."""

import io
import json
import re
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest

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
    stdin(raw([0.2]).tobytes())
    assert cli("listen", model_path, "--stdin", "--threshold", "1.5").out == ""


@pytest.mark.parametrize("tail", [b"", b"\1"])
@pytest.mark.parametrize("count", [0, 1, 100, 3300])
def test_an_end_anywhere_is_no_error(cli, model_path, stdin, count, tail):
    stdin(raw([0.2])[:count].tobytes() + tail)
    result = cli("listen", model_path, "--stdin")
    assert result.code == 0
    assert "0 detection(s)" in result.err


@pytest.mark.parametrize(
    "options",
    [["--rate", "0"], ["--rate", "-1"], ["--rate", "16k"], ["--channels", "0"], ["--threshold", "x"]],
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
