"""Readings from a pipe: on the stream's clock, and lines that are none do no harm."""

import os
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from anchorstream.runtime import MotionPipe, SourceError
from anchorstream.runtime.motion_pipe import SensorClock

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "wrist"
    os.mkfifo(path)
    return path


def taken(pipe, count, position_s):
    """What has come up to ``position_s``, once ``count`` readings are there."""
    times_s, readings = [], []
    for _ in range(500):
        more = pipe.take(position_s)
        times_s += more[0].tolist()
        readings += more[1].tolist()
        if len(times_s) >= count:
            return times_s, readings
        time.sleep(0.01)
    raise AssertionError(f"{len(times_s)} of {count} readings came")


def test_the_first_line_is_tied_to_its_arrival_and_later_ones_count_from_there(fifo):
    pipe = MotionPipe(fifo, 3)
    with fifo.open("w") as writer:
        writer.write("700.0,0,0,1\n")
        writer.flush()
        (first_s,), readings = taken(pipe, 1, 5.0)
        # Before now by what the machine takes to hand it over.
        assert first_s <= 5.0
        assert readings == [[0, 0, 1]]
        writer.write("700.5,1,0,0\n702.25,0,1,0\n")
        writer.flush()
        times_s, readings = taken(pipe, 2, 8.0)
    np.testing.assert_allclose(times_s, [first_s + 0.5, first_s + 2.25], atol=1e-9)
    assert readings == [[1, 0, 0], [0, 1, 0]]
    assert (pipe.malformed_lines, pipe.lost_readings) == (0, 0)


def test_what_claims_to_be_from_later_is_handed_out_then(fifo):
    pipe = MotionPipe(fifo, 3)
    with fifo.open("w") as writer:
        writer.write("0,0,0,1\n1e9,9,9,9\n0.5,1,0,0\n")
        writer.flush()
        assert len(taken(pipe, 1, 1.0)[0]) == 1
        assert taken(pipe, 1, 1.6)[1] == [[1, 0, 0]]


@pytest.mark.parametrize("wrong_s", ["1000", "1764000000.5", "-1e300", "1.7e308"])
def test_a_time_that_is_far_away_is_left_out_and_counted(fifo, wrong_s):
    pipe = MotionPipe(fifo, 3)
    with fifo.open("w") as writer:
        writer.write(f"176400000,0,0,1\n{wrong_s},9,9,9\n176399999.5,1,0,0\n")
        writer.flush()
        assert taken(pipe, 2, 20.0)[1] == [[0, 0, 1], [1, 0, 0]]
    assert (pipe.misdated_readings, pipe.malformed_lines) == (1, 0)


def test_lines_that_are_no_reading_are_counted(fifo):
    pipe = MotionPipe(fifo, 3)
    with fifo.open("wb") as writer:
        writer.write(b"time,ax,ay,az\n0,0,0,1\n\n0.1,0,0\n0.1,a,0,1\n0.1,nan,0,1\n\xff\xfe\n0.1,0,0,1,5\n")
        writer.write(b"1" * 10_000 + b"\n0,0,1,0,7,7,7\n")
        writer.flush()
        _, readings = taken(pipe, 2, 10.0)
    # A gyroscope that the model does not have is left out.
    assert readings == [[0, 0, 1], [0, 1, 0]]
    # Five, and the three pieces of a line that is too long.
    assert pipe.malformed_lines == 8


def test_a_model_with_a_gyroscope_needs_one(fifo):
    pipe = MotionPipe(fifo, 6)
    with fifo.open("w") as writer:
        writer.write("0,0,0,1\n0.1,0,0,1\n0.2,1,2,3,4,5,6\n")
        writer.flush()
        assert taken(pipe, 1, 10.0)[1] == [[1, 2, 3, 4, 5, 6]]
    assert pipe.malformed_lines == 1  # and one that was taken for a header


def test_the_next_writer_has_a_clock_of_its_own(fifo):
    pipe, opened_again = MotionPipe(fifo, 3), threading.Event()

    def reopen(mode):
        opened_again.set()
        return fifo.open(mode)

    for clock_s, position_s in ((0.0, 5.0), (1e6, 50.0)):
        with fifo.open("w") as writer:
            writer.write(f"{clock_s},0,0,1\n")
            writer.flush()
            (time_s,), _ = taken(pipe, 1, position_s)
            pipe._path = SimpleNamespace(open=reopen)
        assert position_s - 5 < time_s <= position_s
        # A writer that comes before the end of the last was seen would be taken for the same.
        assert opened_again.wait(10)


def test_a_pipe_without_a_writer_gives_nothing(fifo):
    times_s, readings = MotionPipe(fifo, 3).take(1.0)
    assert (times_s.shape, readings.shape) == ((0,), (0, 3))


def test_readings_that_nobody_takes_are_lost_and_counted(fifo, monkeypatch):
    monkeypatch.setattr("anchorstream.runtime.motion_pipe._MOST_WAITING", 10)
    pipe = MotionPipe(fifo, 3)
    with fifo.open("w") as writer:
        writer.write("0,0,0,1\n" * 50)
        writer.flush()
        for _ in range(500):
            if pipe.lost_readings == 40:
                break
            time.sleep(0.01)
        assert len(taken(pipe, 10, 100.0)[0]) == 10
    assert pipe.lost_readings == 40


@pytest.mark.parametrize("kind", ["missing", "folder", "file"])
def test_what_is_no_pipe_is_explained(tmp_path, kind):
    path = tmp_path if kind == "folder" else tmp_path / "readings.csv"
    if kind == "file":
        path.write_text("time,ax,ay,az\n0,0,0,1\n")
    with pytest.raises(SourceError, match="No such file" if kind == "missing" else "detect --motion"):
        MotionPipe(path, 3)


# The clock of the sensor


def on_the_stream_s(claimed_s, arrived_s, moments_s=None):
    """Where a sensor's clock puts the times that its lines claim."""
    clock, moments_s = SensorClock(), arrived_s if moments_s is None else moments_s
    return np.array([clock.stream_s(*line) for line in zip(claimed_s, arrived_s, moments_s, strict=True)])


def test_a_clock_that_drifts_is_followed():
    true_s, drift = np.arange(0, 3600, 0.1), 1e-4
    arrived_s = true_s + np.random.default_rng(0).uniform(0.005, 0.05, len(true_s))
    errors_s = on_the_stream_s(77 + true_s * (1 + drift), arrived_s) - true_s
    # Untied it would be 0.36 s off in the end. What remains is the least delay and 10 s of drift.
    assert np.abs(errors_s[100:]).max() < 0.02


def test_lines_that_waited_for_a_reader_are_soon_put_right():
    # Half a second of lines arrives at once, then each with its time.
    true_s = np.arange(10.0, 15.0, 0.02)
    errors_s = on_the_stream_s(true_s, np.maximum(true_s, 10.5)) - true_s
    assert errors_s[0] == 0.5
    assert np.abs(errors_s[100:]).max() < 1e-9


def test_audio_that_waited_for_the_model_makes_readings_late_for_a_moment_only():
    # Two seconds of audio are heard in a tenth of one: the first line seems to come at 0, and not at 2.
    true_s = np.arange(2.0, 20.0, 0.01)
    arrived_s = np.where(true_s < 2.1, 21 * (true_s - 2.0), true_s)
    errors_s = on_the_stream_s(true_s, arrived_s, true_s) - true_s
    assert errors_s[0] == -2
    assert np.abs(errors_s[true_s > 2.0 + 1.6]).max() < 1e-9


@pytest.mark.parametrize("first_s", [1e300, -1e300, 1e6, 49.0, -1e6])
def test_a_first_line_that_was_cut_off_harms_a_second(first_s):
    true_s = np.arange(0, 20, 0.02)
    errors_s = on_the_stream_s(np.where(true_s == 0, first_s, 50 + true_s), true_s) - true_s
    assert np.abs(errors_s[true_s > 1]).max() < 1e-9


@pytest.mark.parametrize("jump_s", [50.0, -50.0, 5000.0, -5000.0, -7201.0])
def test_a_clock_that_was_set_is_tied_anew(jump_s):
    true_s = np.arange(0, 60, 0.02)
    errors_s = on_the_stream_s(true_s + jump_s * (true_s > 20), true_s) - true_s
    assert np.abs(errors_s[:1000]).max() < 1e-9
    assert np.abs(errors_s[-1000:]).max() < 1e-9


def test_one_wrong_time_harms_no_other():
    times_s = np.arange(0, 60, 0.02)
    claimed_s = times_s.copy()
    claimed_s[::100] += 1e6
    claimed_s[0] = 0
    errors_s = on_the_stream_s(claimed_s, times_s) - times_s
    assert np.abs(errors_s[claimed_s == times_s]).max() < 1e-9
