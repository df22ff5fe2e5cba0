"""The live view: on a terminal alone, and what it shows is what is heard."""

import io
import os
import re
import sys
import threading
from contextlib import redirect_stdout

import numpy as np
import pytest

import tiny_model
from anchorstream.cli import live_view as module
from anchorstream.cli.live_view import live_view


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(module, "_REFRESH_S", 0.0)
    return Terminal()


def rows(text):
    """The rows that were drawn last, without what steers the terminal."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return plain.replace("\r", "").rstrip("\n").splitlines()


def test_levels_and_posteriors_stand_beside_their_thresholds(terminal):
    with redirect_stdout(terminal), live_view([("stop", 0.5), ("go", 0.75)], plain=False) as show:
        show(np.full(160, 0.5, np.float32), [0.25, 1.0])
        level, stop, go = rows(terminal.getvalue())[-3:]
    # 0.5 of full scale is -6 dB: 54 of the 60 dB that are drawn, 36 of 40 places.
    assert level == f"level {'█' * 36}{'─' * 4} -6 dB"
    assert stop == f" stop {'█' * 10}{'─' * 10}┃{'─' * 19} 0.25"
    assert go == f"   go {'█' * 30}┃{'█' * 9} 1.00"


def test_a_peak_stays_a_moment(terminal):
    with redirect_stdout(terminal), live_view([("stop", 0.5)], plain=False) as show:
        show(np.zeros(160, np.int16), [1.0])
        show(np.zeros(0, np.int16), [0.0])
        show(np.zeros(160, np.int16), [0.0])
        drawn = terminal.getvalue()
    assert re.findall(r"\d\.\d\d", "\n".join(rows(drawn))) == ["1.00", "0.75", "0.56"]
    assert "-60 dB" in drawn


@pytest.mark.parametrize("threshold", [1.0, 1.5, 1e308])
def test_a_threshold_that_nothing_reaches_stands_at_the_end(terminal, threshold):
    with redirect_stdout(terminal), live_view([("stop", threshold)], plain=False) as show:
        show(np.zeros(160, np.int16), [0.5])
    assert f"stop {'█' * 20}{'─' * 19}┃ 0.50" in "\n".join(rows(terminal.getvalue()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_any_sample_can_be_shown(terminal, bad):
    with redirect_stdout(terminal), live_view([("stop", 1.5)], plain=False) as show:
        for value in (bad, 0.0):
            show(np.full((160, 2), value, np.float32), [0.5])
        show(np.full(160, -32768, np.int16), [0.5])
    assert " 0 dB" in terminal.getvalue()


def test_without_rich_there_is_a_word_and_no_view(terminal, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with redirect_stdout(terminal), live_view([("stop", 0.5)], plain=False) as show:
        show(np.zeros(160, np.int16), [0.5])
    assert "pip install rich" in capsys.readouterr().err


def test_plain_shows_nothing(terminal):
    with redirect_stdout(terminal), live_view([("stop", 0.5)], plain=True) as show:
        show(np.zeros(160, np.int16), [0.5])
    assert terminal.getvalue() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
@pytest.mark.parametrize("options", [[], ["--plain"], ["--json"]])
def test_listening_on_a_terminal(process, model_path, options):
    import pty

    ours, theirs = pty.openpty()
    running = process("listen", model_path, "--stdin", *options, stdout=theirs)
    os.close(theirs)
    samples = (tiny_model.stream(1.0, [0.2, 0.6]) * 32767).astype("<i2").tobytes()
    written = threading.Thread(target=lambda: (running.stdin.write(samples), running.stdin.close()))
    written.start()
    shown = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not part:
            break
        shown += part
    written.join()
    running.stdin = None
    os.close(ours)
    assert running.wait(60) == 0
    text = shown.decode()
    assert ("level" in text) == (not options)
    # Above the view, each in a line of its own.
    lines = [line for line in rows(text) if "0.22" in line or "0.62" in line]
    assert len(lines) == 2
