"""docs/scoring.md is what the code does: its timelines are scored, its files read, its commands run."""

import re
import shlex
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anchorstream.cli.main import main
from anchorstream.decode import Decoder, DecoderSettings, Detection
from anchorstream.frames import FrameClock
from anchorstream.metrics import Curve, Event, MatchWindow, frontier, match
from anchorstream.score import DetectionStream, read_reference, score_detections

PAGE = (Path(__file__).parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")
WINDOW = MatchWindow(pre_s=0.2, post_s=0.3)
WIDTH = 16
CHARACTER_S = 0.1

#: What each drawing is said to show: latencies of the hits in characters, misses, false alarms, late detections.
SAID = {
    "early hit (negative latency)": ([-2], 0, 0, 0),
    "two hits: one hit, one false alarm": ([-1], 0, 1, 0),
    "too late: a miss and a false alarm": ([], 1, 1, 0),
    "late hit: the edge belongs to the window": ([3], 0, 0, 0),
    "too early: a miss and a false alarm": ([], 1, 1, 0),
    "no detection: a miss": ([], 1, 0, 0),
    "hit inside the refractory time of a false alarm: one false alarm, one miss": ([], 1, 1, 0),
    "two events, two detections: two hits": ([1, -2], 0, 0, 0),
    "one detection in the overlap: the event that ends first is hit": ([2], 1, 0, 0),
    "two events close together, windows apart: the detection belongs to the second": ([-2], 1, 0, 0),
    "late: a miss": ([], 1, 0, 1),
    "twice: a miss and one false alarm": ([], 1, 1, 1),
    "again after a hit: one false alarm": ([1], 0, 1, 0),
    "at the start": ([-2], 0, 0, 0),
    "at the end, no time left: a miss": ([], 1, 0, 0),
    "nothing at all": ([], 0, 0, 0),
    "an alarm where nothing happens: false alarm": ([], 0, 1, 0),
}


def drawings() -> dict[str, list[str]]:
    """The rows of each drawing by what stands above it; drawings stand side by side."""
    found: dict[str, list[str]] = {}
    for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL):
        captions: dict[int, list[str]] = {}
        rows: dict[int, list[str]] = {}
        for part in [*block.splitlines(), ""]:
            places = [one.start() for one in re.finditer(rf"(?<!\S)[.\[A=x#-]{{{WIDTH}}}(?!\S)", part)]
            if rows and not places:  # the next row of drawings begins
                found |= {" ".join(captions[at]): rows[at] for at in rows}
                captions, rows = {}, {}
            if not places:
                for words in re.finditer(r"\S+(?: \S+)*", part):
                    captions.setdefault(words.start(), []).append(words[0])
            for at in places:
                rows.setdefault(at, []).append(part[at : at + WIDTH])
    return found


def events_of(row: str) -> list[Event]:
    events: list[Event] = []
    start_s = None
    for at, mark in enumerate(row):
        time_s = at * CHARACTER_S
        if mark == "[":
            start_s = time_s
        elif mark == "A":
            events.append(Event("yes", time_s if start_s is None else start_s, time_s))
            start_s = None
        elif mark == "-":
            events[-1] = replace(events[-1], goes_on_until_s=time_s)
    return events


def test_every_drawing_of_the_page_is_known() -> None:
    assert drawings().keys() == SAID.keys()


@pytest.mark.parametrize("caption", SAID)
def test_the_timelines_of_the_page(caption: str) -> None:
    latencies, misses, false_alarms, late = SAID[caption]
    reference, *windows, said = drawings()[caption]
    events = events_of(reference)
    detections = [Detection(at * CHARACTER_S, "yes", 1.0) for at, mark in enumerate(said) if mark == "x"]
    if "#" in windows[-1]:
        decoder = Decoder(DecoderSettings(0.5), ["yes"], FrameClock(CHARACTER_S, delay_s=0.0))
        times = [found.time_s for found in decoder.push([[float(mark == "#")] for mark in windows.pop()])]
        assert times == pytest.approx([found.time_s for found in detections])

    for event, row in zip(events, windows, strict=False):
        inside = [WINDOW.contains(at * CHARACTER_S, event) for at in range(WIDTH)]
        assert [mark == "=" for mark in row] == inside
    if not events:
        assert "=" not in "".join(windows)

    matching = match(detections, events, WINDOW)
    found = [(detections[d].time_s - events[e].anchor_s) / CHARACTER_S for e, d in matching.hits]
    assert found == pytest.approx(latencies)
    assert len(matching.late) == late
    point = score_detections([DetectionStream(detections, events, WIDTH * CHARACTER_S)], "yes", WINDOW)
    assert (point.events, point.misses, point.false_alarms) == (len(events), misses, false_alarms)
    if not events:
        assert point.miss_rate is None
        assert point.hours * 3600 == pytest.approx(WIDTH * CHARACTER_S)


def test_the_drawing_of_the_decoder() -> None:
    rows = {
        line.split()[0]: line
        for line in re.findall(r"```\n(threshold .*?)```", PAGE, re.DOTALL)[0].splitlines()
    }
    refractory = rows["|<--"].rindex("|") - rows["|<--"].index("|")
    above = [[0.9 if mark == "#" else 0.1] for mark in rows["threshold"]]
    decoder = Decoder(DecoderSettings(0.5, refractory_s=refractory), ["yes"], FrameClock(1.0, delay_s=0.0))
    fired = [round(found.time_s) for found in decoder.push(above)]
    assert fired == [at for at, mark in enumerate(rows["detections"]) if mark == "x"]
    assert rows["|<--"].index("|") == fired[0]


def test_the_drawing_of_the_frontier() -> None:
    """Hits of each event at each threshold, and the table under them."""
    drawn, table = re.findall(r"```\n(threshold   low .*?)\n\n(missed by .*?)```", PAGE, re.DOTALL)[0]
    rows = [line.split() for line in drawn.splitlines()]
    (alarms,) = [cells[1:] for name, *cells in (("", *row) for row in rows) if cells[0] == "alarms"]
    (anchor,) = {row[1].index("A") for row in rows if row[0] == "anchor"}
    hits = [row[1:] for row in rows if row[0] == "event"]
    latencies_s = [
        [(at - anchor) * 0.1 if (at := row.find("x")) >= 0 else np.nan for row in event] for event in hits
    ]
    curve = Curve(
        label="yes",
        settings=DecoderSettings(),
        window=MatchWindow(pre_s=0.0, post_s=0.3),
        thresholds=np.array([0.2, 0.5, 0.8]),
        false_alarms=np.array([int(count) for count in alarms]),
        latencies_s=np.array(latencies_s),
        events=tuple(Event("yes", 100.0 * i, 100.0 * i) for i in range(len(hits))),
        hours=1.0,
    )
    head, *lines = table.splitlines()
    deadlines_s = [float(text) for text in re.findall(r"([\d.]+) s", head)]
    assert len(lines) == 2
    for line in lines:
        rate, *shares, area = re.fullmatch(r"at most (\d)/h" + 5 * r" +(\d+/\d+)", line).groups()
        found = frontier([curve], float(rate), deadlines_s)
        assert found.miss_rate == pytest.approx([float(Fraction(share)) for share in shares])
        assert found.area == pytest.approx(float(Fraction(area)))


def files() -> dict[str, str]:
    """The files of the page by their names."""
    return dict(re.findall(r"^`([\w.]+)`\n\n```\w*\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_command_prints_what_the_page_shows(folder: Path, capsys) -> None:
    command, output = re.search(
        r"```sh\nanchorstream (score [^\n]*)\n```\n\n```\n(.*?)```", PAGE, re.DOTALL
    ).groups()
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == output


def test_the_example_in_python(folder: Path, capsys) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/scoring.md", "exec"), {})
    assert capsys.readouterr().out.startswith("1 3 1 (0.05")


@pytest.mark.parametrize(
    ("name", "speaker"), [("events.jsonl", "ben"), ("events.rttm", "ben"), ("meeting.txt", None)]
)
def test_one_event_in_three_ways_more(folder: Path, name: str, speaker: str | None) -> None:
    events = [event for event, _ in read_reference("events.csv").items["meeting"]]
    found = read_reference(name)
    assert [event for event, _ in found.items["meeting"]] == [replace(events[1], speaker=speaker)]
