"""Detect and listen with a motion sensor: the wrist that is raised decides what fires."""

import io
import json
import os
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import tiny_model

# Of the bursts at 0.2 and 0.6 s, the wrist is raised in the second: see tiny_model.
TIMES_S, READINGS = tiny_model.wrist(1.0, [(0.4, 0.9)])


@pytest.fixture(scope="session")
def trigger_path(tmp_path_factory):
    return tiny_model.save_trigger(tmp_path_factory.mktemp("trigger") / "trigger.onnx")


def lines(times_s=TIMES_S, readings=READINGS):
    return [
        ",".join(map(str, [time_s, *reading])) + "\n"
        for time_s, reading in zip(times_s, readings, strict=True)
    ]


@pytest.fixture
def table(tmp_path):
    def write(times_s=TIMES_S, readings=READINGS, header="time,ax,ay,az"):
        path = tmp_path / "motion.csv"
        path.write_text(header + "\n" + "".join(lines(times_s, readings)))
        return path

    return write


# Detect


def fired(result):
    return [found["time_s"] for found in json.loads(result.out)["files"][0]["detections"]]


def test_a_file_of_motion_goes_with_the_audio(cli, trigger_path, sound, table):
    path, motion = sound("a.wav", [0.2, 0.6]), table()
    # The first reading is that of 0.01 s.
    result = cli("detect", trigger_path, path, "--motion", motion, "--motion-offset-s", "0.01", "--json")
    assert (result.code, fired(result)) == (0, [0.62])
    assert result.err == ""


@pytest.mark.parametrize(("offset_s", "expected"), [("-0.3", [0.22]), ("0", [0.62]), ("1e6", [])])
def test_the_offset_says_when_the_sensor_began(cli, trigger_path, sound, table, offset_s, expected):
    path, motion = sound("a.wav", [0.2, 0.6]), table()
    assert (
        fired(
            cli("detect", trigger_path, path, "--motion", motion, f"--motion-offset-s={offset_s}", "--json")
        )
        == expected
    )


def test_what_was_mended_in_the_file_is_said(cli, trigger_path, sound, table):
    motion = table(TIMES_S * 1000, READINGS * 9.80665)
    result = cli("detect", trigger_path, sound("a.wav", [0.6]), "--motion", motion)
    assert result.code == 0
    *notes, summary = result.err.splitlines()
    assert [note.startswith(f"{motion}: ") for note in notes] == [True, True]
    assert "taken as ms" in notes[0]
    assert "taken as m/s²" in notes[1]
    assert summary.startswith("1 detection(s)")


def test_without_motion_the_sensor_is_off_and_that_is_said(cli, trigger_path, sound):
    result = cli("detect", trigger_path, sound("a.wav", [0.2, 0.6]), "--json")
    assert (result.code, fired(result)) == (0, [])
    assert (
        result.err
        == f"{trigger_path} has a motion sensor (ax, ay, az); without --motion it is taken as off\n"
    )


def test_a_file_of_motion_that_is_none_is_explained(cli, trigger_path, sound, tmp_path):
    result = cli("detect", trigger_path, sound("a.wav"), "--motion", tmp_path / "missing.csv", "--json")
    assert (result.code, result.out) == (1, "")
    assert result.err == f"anchorstream: error: {tmp_path / 'missing.csv'}: there is no such file\n"


@pytest.mark.parametrize("command", ["detect", "listen"])
def test_a_model_of_audio_alone_takes_no_motion(cli, model_path, sound, table, command):
    audio = [sound("a.wav")] if command == "detect" else ["--stdin"]
    result = cli(command, model_path, *audio, "--motion", table())
    assert (result.code, result.out) == (1, "")
    assert "hears audio alone" in result.err


def test_a_model_with_a_gyroscope_needs_one(cli, sound, table, tmp_path):
    model = tiny_model.save_trigger(tmp_path / "six.onnx", channels=6)
    result = cli("detect", model, sound("a.wav"), "--motion", table())
    assert result.code == 1
    assert "has no gyroscope" in result.err


def test_motion_goes_with_one_audio_file(cli, trigger_path, sound, table):
    result = cli("detect", trigger_path, sound("a.wav"), sound("b.wav"), "--motion", table())
    assert result.code == 2
    assert "--motion goes with one audio file, got 2" in result.err


@pytest.mark.parametrize("offset_s", ["nan", "inf", "soon"])
def test_an_offset_that_is_none_is_wrong_usage(cli, offset_s):
    assert cli("detect", "no.onnx", "no.wav", "--motion-offset-s", offset_s).code == 2


def test_parquet_without_pyarrow_names_the_extra(cli, trigger_path, sound, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "motion.parquet"
    path.write_bytes(b"PAR1")
    result = cli("detect", trigger_path, sound("a.wav"), "--motion", path)
    assert result.code == 1
    assert 'pip install "anchorstream[parquet]"' in result.err


# Listen


needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")


def in_time(write, pieces):
    """Writes each piece at its time, from now on."""
    start_s = time.monotonic()
    for at_s, piece in pieces:
        time.sleep(max(0, start_s + at_s - time.monotonic()))
        write(piece)


@needs_fifo
def test_a_sensor_in_a_pipe_and_raw_samples(process, trigger_path, tmp_path):
    fifo = tmp_path / "wrist"
    os.mkfifo(fifo)
    running = process("listen", trigger_path, "--stdin", "--json", "--motion", fifo, bufsize=0)
    assert running.stderr.readline().startswith(b"listening")
    samples = (tiny_model.stream(3.0, [0.5, 1.5, 2.5]) * 32767).astype("<i2").tobytes()
    # The wrist is raised a quarter of a second before the second burst and after it.
    times_s, readings = tiny_model.wrist(3.0, [(1.25, 1.95)])
    pieces = [((at + 1600) / 16_000, samples[2 * at : 2 * at + 3200]) for at in range(0, 48_000, 1600)]
    sensor = [(time_s, line) for time_s, line in zip(times_s, lines(times_s + 500, readings), strict=True)]
    sensor.insert(60, (1.2, "no reading\n"))
    # A digit was lost; in the stream it would be hours ago.
    sensor.insert(50, (1.1, "-9000,0,0,1\n"))
    with fifo.open("w", buffering=1) as writer:
        thread = threading.Thread(target=in_time, args=(writer.write, sensor))
        thread.start()
        in_time(running.stdin.write, pieces)
        thread.join()
        running.stdin.close()
        running.stdin = None
        out, err = running.communicate(timeout=60)
    assert [json.loads(line)["time_s"] for line in out.splitlines()] == [1.52]
    assert b"1 line(s) of the sensor were not `time,ax,ay,az`" in err
    assert b"1 reading(s) of the sensor were dropped: their time was more than a minute away" in err
    assert running.returncode == 0


@needs_fifo
def test_a_sensor_in_a_pipe_and_a_microphone(cli, trigger_path, tmp_path, monkeypatch):
    fifo = tmp_path / "wrist"
    os.mkfifo(fifo)
    samples = (tiny_model.stream(1.5, [0.3, 0.9])[:, None] * 32767).astype(np.int16)
    times_s, readings = tiny_model.wrist(1.5, [(0.65, 1.3)])
    started = threading.Event()

    class InputStream:
        def __init__(self, *, samplerate, blocksize, callback, **_):
            if started.is_set():
                # The recording is over and the microphone is looked for again: somebody ends it.
                raise KeyboardInterrupt
            self.callback = callback

        def start(self):
            threading.Thread(target=self.record).start()

        def record(self):
            status = SimpleNamespace(input_overflow=False)
            started.set()
            blocks = [((at + 1600) / 16_000, samples[at : at + 1600]) for at in range(0, 24_000, 1600)]
            in_time(lambda block: self.callback(block, len(block), None, status), blocks)

        def close(self):
            pass

    class PortAudioError(Exception):
        pass

    fake = SimpleNamespace(InputStream=InputStream, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)

    def sense():
        with fifo.open("w", buffering=1) as writer:
            started.wait(10)
            in_time(writer.write, [*zip(times_s, lines(times_s, readings), strict=True)])

    sensor = threading.Thread(target=sense)
    sensor.start()
    result = cli("listen", trigger_path, "--motion", fifo)
    sensor.join()
    assert result.code == 0
    assert result.out == "     0.92 s  loud  score 1.000\n"


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_what_is_no_pipe_is_explained(cli, trigger_path, table, tmp_path, kind):
    path = table() if kind == "file" else tmp_path / "missing"
    result = cli("listen", trigger_path, "--stdin", "--motion", path)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"anchorstream: error: {path}: ")


def test_listening_without_motion_takes_the_sensor_as_off(cli, trigger_path, monkeypatch):
    samples = (tiny_model.stream(1.0, [0.2]) * 32767).astype("<i2").tobytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(samples)))
    result = cli("listen", trigger_path, "--stdin")
    assert (result.code, result.out) == (0, "")
    assert "without --motion it is taken as off" in result.err
