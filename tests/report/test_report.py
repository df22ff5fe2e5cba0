"""The page: complete, offline, harmless whatever names it is given, and the same numbers as the metrics."""

import base64
import io
import json
import re
import wave
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from PIL import Image

from anchorstream.decode import DecoderSettings, Detection
from anchorstream.metrics import Event, MatchWindow, PosteriorStream, garwood, sweep, wilson
from anchorstream.report import Example, SystemResult, plot_det, plot_frontier, plot_latency, write_report
from anchorstream.report.examples import example_svg
from anchorstream.report.page import environment
from anchorstream.report.sound import mp3_data_uri, wav_data_uri
from anchorstream.report.speakers import misses_by_speaker
from anchorstream.report.spectrogram import log_mel_db, spectrogram_data_uri
from anchorstream.report.summary import summarise

WINDOW = MatchWindow(pre_s=0.0, post_s=0.5)
HOSTILE = '<script>alert("1")</script> & $x^{$ _y \x00 \udcff 食べる'


def curve(found=(0, 1, 2), late_s=0.1, speakers=("ann", "bob", "cid", "dee"), false_alarms=2, sure=0.9):
    """Events, of which those in `found` are detected `late_s` after their anchor, and some false alarms."""
    events = [Event("yes", 10.0 * i + 5, 10.0 * i + 5.5, speaker) for i, speaker in enumerate(speakers)]
    posteriors = np.zeros((36_000, 1), dtype=np.float32)
    for index in found:
        posteriors[round((events[index].anchor_s + late_s) * 10)] = sure
    for index in range(false_alarms):
        posteriors[1000 + 100 * index] = 0.8 - 0.1 * index
    stream = PosteriorStream(posteriors, 0.1, 0.0, ["yes"], events, 3600.0)
    return sweep([stream], "yes", DecoderSettings(), WINDOW)


def example(kind="hit", title="one", seconds=1.0):
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, round(16_000 * seconds)).astype(np.float32)
    posteriors = np.linspace(0, 1, round(100 * seconds)).astype(np.float32)
    events = [Event(HOSTILE, 0.2, 0.6)]
    return Example(kind, title, samples, posteriors, 0.01, 0.01, events, [Detection(0.7, "yes", 0.7)], 0.7)


class Page(HTMLParser):
    """Collects what a browser would load or run, and checks that tags close."""

    VOID = ("meta", "br", "img", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.handlers, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.addresses.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def full_report(folder, name=HOSTILE):
    training = [
        {"epoch": e, "seed": s, "loss": 1 / (e + 1), "note": HOSTILE} for s in (0, 1) for e in range(3)
    ]
    systems = [
        SystemResult(
            "cross entropy", [curve(), curve((0, 1))], [curve().at_threshold(0.5)], [example("miss")]
        ),
        SystemResult(
            name, [curve((0, 1, 2, 3))], [], [example("hit", HOSTILE), example("false alarm")], training
        ),
    ]
    context = {
        "command": HOSTILE,
        "versions": {"numpy": np.__version__},
        "skipped": [HOSTILE],
        "nan": float("nan"),
    }
    return write_report(folder, HOSTILE, systems, context, caution=f"Beware of {HOSTILE}."), systems


def test_the_page_is_whole_and_needs_nothing_from_outside(tmp_path):
    path, _ = full_report(tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert page.tags.count("audio") == 3
    assert page.tags.count("svg") == 3 + 1 + 3  # three curves, one training log, three examples
    assert not [a for a in page.addresses if not a.startswith(("data:", "#"))]
    assert "@import" not in path.read_text(encoding="utf-8")


def test_hostile_names_stay_text(tmp_path):
    path, _ = full_report(tmp_path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert page.handlers == []
    assert "&lt;script&gt;alert" in text
    # A caution is read before any figure.
    assert text.index('class="verdict"') < text.index("Beware of &lt;script&gt;") < text.index("<table")
    assert "\x00" not in text


def test_the_json_holds_the_numbers_of_the_metrics(tmp_path):
    path, systems = full_report(tmp_path)

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    document = json.loads((path.parent / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
    for told, system in zip(document["systems"], systems, strict=True):
        assert told["name"] == system.name
        for seed, expected in zip(told["seeds"], system.curves, strict=True):
            assert seed["operating_points"]["1"] == expected.at_false_alarms_per_hour(1).to_dict()
            assert seed["misses"] == expected.misses.tolist()
            assert seed["false_alarms"] == expected.false_alarms.tolist()
    assert document["context"]["nan"] is None
    assert document["caution"].startswith("Beware of <script>")
    # The second system finds all four events 100 ms after their anchors, the first three or two of them.
    by_deadline = document["systems"][1]["frontier"]
    assert len(by_deadline["deadlines_s"]) == 51
    assert by_deadline["miss_rate"] == [1.0] * 10 + [0.0] * 41
    assert document["summary"][0]["area"] == pytest.approx(0.375 + 0.625 * 10 / 51)
    assert document["misses_by_speaker"]["cid"] == {"events": 1, "missed": [0.5, 0.0]}


def test_who_is_missed_most_comes_first(tmp_path):
    found = [
        curve((0, 1), speakers=("ann", "ann", "bob", "cid")),
        curve((0, 3), speakers=("ann", "ann", "bob", "cid")),
    ]
    rows = misses_by_speaker([SystemResult("two seeds", found), SystemResult("others", [curve((0,))])], 1.0)
    assert [(row.speaker, row.events, row.missed) for row in rows] == [
        ("bob", 1, (1.0, 1.0)),
        ("dee", 1, (None, 1.0)),
        ("cid", 1, (0.5, 1.0)),
        ("ann", 2, (0.25, 0.0)),
    ]
    assert misses_by_speaker([SystemResult("unknown", [curve(speakers=(None, None, None))])], 1.0) == []


@pytest.mark.slow
def test_many_systems_and_speakers_have_a_page_of_bounded_size(tmp_path):
    speakers = [f"speaker {i}" for i in range(45)]
    heard = curve(range(40), speakers=speakers)
    systems = [
        SystemResult(
            f"net, loss {i}",
            [heard],
            examples=[
                example(kind, f"{kind} {n}", seconds=4.0)
                for kind in ("miss", "false alarm")
                for n in range(30)
            ],
        )
        for i in range(16)
    ]
    path = write_report(tmp_path, "many", systems, {})
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    # At most 240 examples: five of each kind of sixteen systems.
    assert page.tags.count("audio") == 16 * 2 * 5
    assert "25 speakers more" in text
    assert path.stat().st_size < 10e6


def test_where_no_false_alarm_was_heard_a_rate_lies_below_a_figure(tmp_path):
    quiet = [curve(false_alarms=0)] * 3
    text = write_report(
        tmp_path, "t", [SystemResult("quiet", quiet, [curve(false_alarms=0).at_threshold(0.5)])], {}
    ).read_text(encoding="utf-8")
    # An hour without any; three seeds have heard the same one. At four rates, and at the chosen threshold.
    assert text.count("<td>below 3</td>") == 5
    assert summarise(SystemResult("quiet", quiet), 1.0).false_alarms_per_hour_text == "below 3"
    # Less sure of the events than of what is none: two false alarms and one cannot be avoided.
    loud = [curve(false_alarms=count, sure=0.5) for count in (2, 1)]
    once = summarise(SystemResult("loud", loud), 5.0)
    hours = curve().hours
    assert (once.false_alarms, once.false_alarms_per_hour) == (3, pytest.approx(1.5 / hours))
    assert once.false_alarms_per_hour_interval == garwood(1.5, hours)


def test_the_table_at_the_top_by_hand(tmp_path):
    path, _ = full_report(tmp_path, name="SAL")
    row = re.search(r'<table class="headline">.*?</table>', path.read_text(encoding="utf-8"), re.DOTALL)[0]
    cells = [
        re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", cell)).strip()
        for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
    ]
    # Cross entropy misses one of four events with the first seed and two with the second: 37.5%.
    assert cells[0] == "cross entropy mean of 2 seeds"
    assert cells[1].startswith("37.5%")
    # Of the 51 deadlines from 0 to 500 ms, the first ten are before what is found 100 ms after the anchor.
    early = 10 / 51
    assert cells[4].startswith(f"{0.375 + 0.625 * early:.1%}")
    assert cells[8] == "SAL"
    assert cells[9].startswith("0.0%")
    assert cells[11].startswith("\N{MINUS SIGN}37.5")
    # Of four speakers one is missed with both seeds and one with one of them: signs of two speakers matter.
    assert cells[11].endswith("p = 0.50")
    assert cells[12].startswith(f"{early:.1%}")
    assert cells[13].startswith(f"\N{MINUS SIGN}{100 * 0.375 * (1 - early):.1f}")
    assert cells[14:16] == ["100", "100"]


@pytest.mark.parametrize(
    "system",
    [
        SystemResult("no events", [curve(found=(), speakers=())]),
        SystemResult("no hits", [curve(found=())]),
        SystemResult("no false alarms", [curve(false_alarms=0)]),
        SystemResult("no speakers", [curve(speakers=(None, None, None, None))]),
        SystemResult(
            "no audio",
            [
                sweep(
                    [PosteriorStream(np.zeros((0, 1)), 0.1, 0, ["yes"], [], 0)],
                    "yes",
                    DecoderSettings(),
                    WINDOW,
                )
            ],
        ),
        SystemResult("an empty example", [curve()], examples=[example(seconds=0.0), example(seconds=0.01)]),
    ],
    ids=lambda system: system.name,
)
def test_a_report_of_little_is_a_report(tmp_path, system):
    page = Page(write_report(tmp_path, "little", [system], {}).read_text(encoding="utf-8"))
    assert page.open == []
    json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))


def test_where_every_event_is_hit_or_missed_there_is_doubt_all_the_same(tmp_path):
    for found, expected in (((0, 1, 2, 3), wilson(0, 4)), ((), wilson(4, 4))):
        system = SystemResult("alike", [curve(found), curve(found)])
        summary = summarise(system, 1.0)
        assert summary.miss_rate_interval == expected
        assert f"{100 * expected[0]:.1f}%" in write_report(tmp_path, "t", [system], {}).read_text()


def test_the_rates_and_the_frame_wise_area_of_a_task_stand_where_those_of_keywords_would(tmp_path):
    systems = [
        SystemResult("two seeds", [curve(), curve()], frame_auc=[0.97, 0.99]),
        SystemResult("not scored", [curve()]),
    ]
    page = write_report(tmp_path, "t", systems, {}, rates=(10.0, 60.0), headline_rates=(60.0,))
    text = page.read_text(encoding="utf-8")
    assert Page(text).open == []
    assert "missed at<br>60 false alarms/h" in text
    assert "At 60 false alarms per hour, not scored cannot be told from" not in text
    assert "At 60 false alarms per hour, “not scored” cannot be told from “two seeds”" in text
    assert "0.9800<small>0.9700 – 0.9900</small>" in text
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {row["rate"] for row in document["summary"]} == {10.0, 60.0}
    assert [system["frame_auc"] for system in document["systems"]] == [[0.97, 0.99], []]
    with pytest.raises(ValueError, match=r"headline_rates must be among the rates \[10.0, 60.0\], got \[1.0"):
        write_report(tmp_path, "t", systems, {}, rates=(10.0, 60.0))


def test_without_a_frame_wise_area_the_page_has_no_column_for_it(tmp_path):
    assert "ROC-AUC" not in full_report(tmp_path)[0].read_text(encoding="utf-8")


def test_the_interval_of_seeds_counts_events_once():
    one = summarise(SystemResult("one", [curve()]), 1.0)
    three = summarise(SystemResult("three", [curve(), curve(), curve()]), 1.0)
    assert three.miss_rate_interval == one.miss_rate_interval


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_single_pictures(tmp_path, suffix):
    systems = [SystemResult("_a$", [curve(), curve()]), SystemResult("食" * 200, [curve(late_s=-0.2)])]
    for plot in (plot_det, plot_frontier, plot_latency):
        path = tmp_path / "new" / f"{plot.__name__}.{suffix}"
        plot(systems, path)
        head = path.read_bytes()[:200]
        assert head.startswith(b"\x89PNG") if suffix == "png" else b"<?xml" in head


def test_the_wav_is_the_samples():
    samples = np.array([0.0, 0.5, -1.0, 2.0, np.nan], dtype=np.float32)
    uri = wav_data_uri(samples)
    with wave.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:audio/wav;base64,")))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 16_000, 2)
        values = np.frombuffer(file.readframes(5), dtype="<i2")
    assert values.tolist() == [0, 16384, -32767, 32767, 0]


def test_sound_is_compressed_and_still_the_same():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(64_000) / 16_000).astype(np.float32)
    uri = mp3_data_uri(tone)
    assert len(uri) < len(wav_data_uri(tone)) / 4
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(uri.removeprefix("data:audio/mpeg;base64,"))))
    assert rate == 16_000
    assert len(samples) / rate == pytest.approx(4.0, abs=0.15)
    spectrum = np.abs(np.fft.rfft(samples[16_000:48_000]))
    assert spectrum.argmax() == 2000  # of 2 s: 1000 Hz


def test_without_an_encoder_sound_is_a_wav_file(monkeypatch):
    monkeypatch.setattr("anchorstream.report.sound.soundfile.available_formats", dict)
    samples = np.zeros(100, dtype=np.float32)
    assert mp3_data_uri(samples) == wav_data_uri(samples)


def test_an_example_is_drawn_where_and_when_it_happens():
    # 2 s with the event from 0.5 to 1 s, a detection at 1.5 s, and a posterior of 0, then 1 from the half on.
    one = Example(
        "hit",
        HOSTILE,
        np.zeros(32_000, dtype=np.float32),
        np.repeat([0.0, 1.0], 100),
        0.01,
        0.0,
        [Event("yes", 0.5, 1.0)],
        [Detection(1.5, "yes", 0.5)],
        threshold=0.25,
    )
    svg = str(example_svg(one, environment()))
    assert Page(svg).open == []
    assert "&lt;script&gt;" in svg
    left, right, top, bottom = 30.0, 552.0, 12.0, 172.0  # the spectrogram, as the picture has it
    assert f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"' in svg

    def at(seconds):
        return left + (right - left) * seconds / 2

    assert f'class="event" d="M{at(0.5)} {top - 4}H{at(1.0)}V{bottom}"' in svg
    assert f'class="threshold" d="M{left} {bottom - 0.25 * (bottom - top)}H{right}"' in svg
    assert f'class="detection" d="M{at(1.5)} {top}V{bottom}"' in svg
    corners = re.search(r'class="posterior" points="([^"]*)"', svg)[1].split()
    # What stays as it was needs no point of its own.
    assert corners == [
        f"{at(0.0):.1f},{bottom}",
        f"{at(0.99):.1f},{bottom}",
        f"{at(1.0):.1f},{top}",
        f"{at(1.99):.1f},{top}",
    ]


def test_the_picture_of_a_spectrogram_has_low_bands_below():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    png = base64.b64decode(spectrogram_data_uri(tone).removeprefix("data:image/png;base64,"))
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("L"), dtype=np.int64)
    assert picture.shape == (40, 49)  # two frames of 98 in a column
    row = 39 - (round(1000 / 2840 * 41) - 1)
    assert (picture[row] == picture.max(axis=0)).all()
    assert (picture[:10] < picture[row]).all()


def test_the_spectrogram_shows_a_tone_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    level_db = log_mel_db(tone)
    assert level_db.shape == (98, 40)
    assert (level_db.min(), level_db.max()) == (-70.0, 0.0)
    # 1000 Hz is 1000 mel of the 2840 at 8 kHz; 41 steps reach there.
    assert set(level_db.argmax(axis=1).tolist()) == {round(1000 / 2840 * 41) - 1}


def test_an_older_report_survives_a_write_that_fails(tmp_path, monkeypatch):
    path, systems = full_report(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(
        "anchorstream.report.page.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        write_report(tmp_path, "new", systems, {})
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_wrong_results_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no curve"):
        SystemResult("a", [])
    with pytest.raises(ValueError, match="same label and events"):
        SystemResult("a", [curve(), curve(speakers=("ann",), found=())])
    with pytest.raises(ValueError, match="kind must be one of"):
        example("near miss")
    with pytest.raises(ValueError, match="one dimension"):
        Example("hit", "t", np.zeros((2, 2), np.float32), np.zeros(1), 0.01, 0.01, [], [], 0.5)
    for systems in ([], [SystemResult("a", [curve()])] * 2):
        with pytest.raises(ValueError, match="different names"):
            write_report(tmp_path, "t", systems, {})
