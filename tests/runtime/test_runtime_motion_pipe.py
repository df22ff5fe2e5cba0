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
        times_s, readings = taken(pipe, 2, 20.0)
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


def test_a_clock_that_drifts_is_followed():
    clock, drift = SensorClock(), 1e-4
    rng = np.random.default_rng(0)
    errors_s = []
    for true_s in np.arange(0, 3600, 0.1):
        arrived_s = true_s + rng.uniform(0.005, 0.05)
        errors_s.append(clock.stream_s(77 + true_s * (1 + drift), arrived_s) - true_s)
    # Untied it would be 0.36 s off in the end. What remains is the least delay and 10 s of drift.
    assert np.abs(errors_s[100:]).max() < 0.02


def test_lines_that_waited_for_a_reader_are_put_right_after_a_second():
    clock = SensorClock()
    # Half a second of lines arrives at once, then each with its time.
    errors_s = [clock.stream_s(true_s, max(true_s, 10.5)) - true_s for true_s in np.arange(10.0, 15.0, 0.02)]
    assert errors_s[0] == 0.5
    assert np.abs(errors_s[100:]).max() < 1e-9


@pytest.mark.parametrize("jump_s", [5000.0, -5000.0])
def test_a_clock_that_was_set_is_tied_anew(jump_s):
    clock = SensorClock()
    errors_s = [
        clock.stream_s(true_s + jump_s * (true_s > 20), true_s) - true_s for true_s in np.arange(0, 60, 0.02)
    ]
    assert np.abs(errors_s[:1000]).max() < 1e-9
    assert np.abs(errors_s[-1000:]).max() < 1e-9


def test_one_wrong_time_harms_no_other():
    clock = SensorClock()
    times_s = np.arange(0, 60, 0.02)
    claimed_s = times_s.copy()
    claimed_s[::100] += 1e6
    claimed_s[0] = 0
    errors_s = np.array([clock.stream_s(*pair) for pair in zip(claimed_s, times_s, strict=True)]) - times_s
    assert np.abs(errors_s[claimed_s == times_s]).max() < 1e-9
