"""The page over several levels: what it claims is what the pages claim, and its links lead to them."""

import json

import numpy as np

from anchorstream.compare.comparison import Conditions
from anchorstream.compare.contests import Contest
from anchorstream.compare.overview import overall_verdict, write_overview
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Curve, Event, MatchWindow
from anchorstream.report import SystemResult
from anchorstream.report.headline import headline
from anchorstream.report.summary import summarise
from anchorstream.tasks import Reporting

EVENTS = tuple(
    Event("a", 0.0, 0.0, who, f"{who}{i}") for who, n in (("A", 1), ("B", 2), ("C", 2)) for i in range(n)
)


def curve(missed: list[int], hours: float = 1.0) -> Curve:
    return Curve(
        label="a",
        settings=DecoderSettings(),
        window=MatchWindow(0.0, 0.75),
        thresholds=np.array([0.5]),
        false_alarms=np.array([0]),
        latencies_s=np.where(np.array(missed), np.nan, 0.01)[:, None],
        events=EVENTS,
        hours=hours,
    )


def contests(hours: float = 1.0) -> list[Contest]:
    block = [
        SystemResult("ce", [curve([1, 1, 1, 1, 1], hours)]),
        SystemResult("sal", [curve([0, 0, 0, 0, 1], hours)]),
    ]
    reporting = Reporting(anchor="the end")
    return [
        Contest("a", Conditions(snr_db=level), "keyword", reporting, [block], ()) for level in (0.0, 10.0)
    ]


def test_what_is_clear_of_zero_is_what_the_page_of_a_level_calls_so() -> None:
    ce = SystemResult("ce", [curve([1, 1, 0, 1, 0]) for _ in range(3)])
    sal = SystemResult("sal", [curve([0, 1, 1, 1, 1]), curve([0, 1, 0, 1, 0]), curve([0, 0, 0, 0, 0])])
    rows = [summarise(ce, 1.0), summarise(sal, 1.0, ce)]
    # Sums of thirds: nothing but rounding keeps the upper limit from zero.
    assert -1e-9 < rows[1].difference.high < 0
    assert "cannot be told from ce" in headline(rows, 0.75)[0]
    assert "No difference from a baseline has an interval clear of zero" in overall_verdict([rows], "levels")


def test_links_lead_to_pages_of_any_name(tmp_path) -> None:
    pages = [tmp_path / name / "report.html" for name in ("é 1#?%", "snr-10db")]
    text = write_overview(tmp_path, "title", contests(), pages, {}).read_text(encoding="utf-8")
    assert 'href="%C3%A9%201%23%3F%25/report.html"' in text
    assert 'href="snr-10db/report.html"' in text


def test_the_json_is_json_where_nothing_bounds_false_alarms(tmp_path) -> None:
    pages = [tmp_path / name / "report.html" for name in "ab"]
    write_overview(tmp_path, "title", contests(hours=0.0), pages, {"nan": float("nan")})
    document = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda text: 1 / 0)
    assert document["summary"][0]["false_alarms_per_hour_interval"] == [0.0, None]
    assert document["context"]["nan"] is None
