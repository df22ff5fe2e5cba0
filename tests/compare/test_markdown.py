"""What stands in results.md: true of whatever was scored, and text whatever it is named."""

from dataclasses import replace

import numpy as np
import pytest

from anchorstream.compare.comparison import Conditions
from anchorstream.compare.contests import Contest
from anchorstream.compare.markdown import markdown, write_markdown
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Event, MatchWindow, PosteriorStream, sweep
from anchorstream.report import SystemResult
from anchorstream.tasks import Reporting

REPORTING = Reporting(anchor="the keyword's end")


def contest(speakers, label: str = "yes") -> Contest:
    """A system that finds the first event alone; the speaker of each event is given."""
    events = [Event(label, 10.0 * i + 5, 10.0 * i + 5.5, who, f"r{i}") for i, who in enumerate(speakers)]
    posteriors = np.zeros((3600, 1))
    if events:
        posteriors[56] = 0.9
    stream = PosteriorStream(posteriors, 0.1, 0.0, [label], events, 360.0)
    curve = sweep([stream], label, DecoderSettings(threshold=0.5), MatchWindow(0.0, 0.5), thresholds=[0.5])
    system = SystemResult("ce", [curve], [curve.at_threshold(0.5)])
    return Contest(label, Conditions(), "keyword", REPORTING, [[system]], ())


def test_without_an_event_there_is_no_miss_rate() -> None:
    assert "| ce | - |" in "\n".join(markdown([contest([])]))


@pytest.mark.parametrize(
    ("speakers", "told", "method"),
    [
        (["ann", "ann", "bob"], "3 recordings of 2 speakers", "bootstrap over speakers"),
        ([None] * 3, "3 recordings of unknown speakers", "Wilson's, as if"),
        (["ann"] * 3, "3 recordings of 1 speaker,", "Wilson's, as if"),
        (["ann", "bob", None], "3 recordings of 2 speakers and unknown ones", "Wilson's, as if"),
    ],
)
def test_speakers_are_counted_as_far_as_they_are_known(speakers, told: str, method: str) -> None:
    text = "\n".join(markdown([contest(speakers)]))
    assert told in text
    assert f"95% of the mean over seeds, {method}" in text


def test_hostile_names_stay_text(tmp_path) -> None:
    hostile = contest(["ann", "bob"], "x|y`\n# h<script>\\")
    text = write_markdown(tmp_path, [hostile], {"data": "/a/sp\udcff\u2028|<b>"}).read_text(encoding="utf-8")
    assert "### x\\|y\\` # h\\<script>\\\\\n" in text
    assert text.startswith("- data: /a/sp\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\\|\\<b>\n")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert len(headings) == 1
    # Where levels are named, too.
    other = replace(hostile, streams=Conditions(snr_db=0.0))
    assert "\n# h" not in "\n".join(markdown([hostile, other]))
