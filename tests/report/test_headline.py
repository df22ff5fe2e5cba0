"""The sentences at the top: each claim against figures made for it."""

from dataclasses import replace

import numpy as np
import pytest

from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Difference, Event, MatchWindow, PosteriorStream, sweep
from anchorstream.report import SystemResult
from anchorstream.report.headline import headline, p_text
from anchorstream.report.summary import summarise

#: Twelve speakers, two events each.
EVENTS = [Event("yes", 10.0 * i + 5, 10.0 * i + 5.5, f"s{i // 2}") for i in range(24)]


def system(name, found, late_s=0.1, seeds=1, events=EVENTS):
    posteriors = np.zeros((36_000, 1))
    for index in found:
        posteriors[round((events[index].anchor_s + late_s) * 10)] = 0.9
    stream = PosteriorStream(posteriors, 0.1, 0.0, ["yes"], events, 3600.0)
    return SystemResult(name, [sweep([stream], "yes", DecoderSettings(), MatchWindow(0.0, 0.5))] * seeds)


def said(*systems):
    rows = [summarise(one, 1.0, systems[0] if one is not systems[0] else None) for one in systems]
    return headline(rows, 0.5)


def test_what_wins_is_said_with_its_figures():
    found = range(0, 24, 2)  # each speaker's first event
    first, second = said(system("ce", found, seeds=3), system("sal", range(24), seeds=3))
    # All twelve speakers agree: 2 / 2^12 = 0.0005.
    assert first == (
        "At 1 false alarm per hour, sal misses 0.0% where ce misses 50.0%: "
        "\N{MINUS SIGN}50.0 points [\N{MINUS SIGN}50.0, \N{MINUS SIGN}50.0], p < 0.001, 3 seeds."
    )
    # Deadlines 0, 10, ..., 500 ms; at 100 ms and later an event is found: 41 of 51.
    assert second.startswith(
        f"Counting what is found too late as missed, over deadlines up to 500 ms, sal misses {10 / 51:.1%} where "
        f"ce misses {(1 + 10 / 51) / 2:.1%}: "
    )


def test_latency_that_is_bought_with_nothing_shows_in_the_second_sentence_alone():
    first, second = said(system("ce", range(24), late_s=0.4), system("sal", range(24), late_s=0.1))
    assert first.startswith("At 1 false alarm per hour, sal cannot be told from ce, which misses 0.0%")
    assert "sal misses 19.6% where ce misses 78.4%" in second


@pytest.mark.parametrize("low", [-0.2, 0.0])
def test_no_win_is_claimed_while_the_interval_holds_zero(low):
    base, other = (summarise(system(name, range(6)), 1.0) for name in ("ce", "sal"))
    unclear = Difference(-0.1, low, 0.0, p_value=0.04, clusters=12)
    rows = [base, replace(other, miss_rate=0.65, difference=unclear, area_difference=unclear)]
    for sentence in headline(rows, 0.5):
        assert "sal cannot be told from ce" in sentence
        assert sentence.endswith("which chance could explain.")


def test_of_many_systems_the_best_is_told_and_the_others_named():
    base = summarise(system("ce", range(6)), 1.0)

    def other(name, estimate, low, high):
        difference = Difference(estimate, low, high, p_value=0.01, clusters=12)
        return replace(
            base,
            system=name,
            miss_rate=0.75 + estimate,
            difference=difference,
            area=0.8 + estimate,
            area_difference=difference,
        )

    best, good = other("ds-tcn, sal", -0.2, -0.3, -0.1), other("focal", -0.1, -0.15, -0.05)
    bad, worst = other("max-pool", 0.1, 0.02, 0.2), other("asym", 0.2, 0.1, 0.3)
    unclear = other("safl", -0.3, -0.6, 0.1)

    first, _ = headline([base, bad, good, unclear, best], 0.5)
    assert first.startswith(
        "At 1 false alarm per hour, “ds-tcn, sal” misses 55.0% where ce misses 75.0%: \N{MINUS SIGN}20.0 points"
    )
    assert first.endswith(" focal also misses fewer. max-pool misses more.")
    assert "safl" not in first

    first, _ = headline([base, bad, unclear, worst], 0.5)
    assert first.startswith(
        "At 1 false alarm per hour, no system can be shown to miss fewer than ce, 75.0%. asym misses 95.0%: +20.0"
    )
    assert first.endswith(" max-pool misses more.")

    first, _ = headline([base, bad, worst], 0.5)
    assert "ce misses fewest, 75.0%. asym misses 95.0%" in first

    first, _ = headline([base, unclear, other("focal", 0.01, -0.1, 0.2)], 0.5)
    assert "no system can be told from ce, which misses 75.0%: furthest from it is safl" in first


def test_of_one_system_its_figures_are_told():
    (only,) = said(system("sal", range(12)))
    assert only.startswith("At 1 false alarm per hour, sal misses 50.0% of 24 events [")
    assert only.endswith("and fires 100 ms (P50) and 100 ms (P90) after the anchor.")


def test_without_speakers_nothing_is_claimed():
    unknown = [replace(event, speaker=None) for event in EVENTS]
    (only,) = said(system("ce", range(6), events=unknown), system("sal", range(24), events=unknown))
    assert "ce 75.0%, sal 0.0%. Whether that is chance cannot be told" in only
    # All are known here, which is one.
    alone = [replace(event, speaker="ann") for event in EVENTS]
    (only,) = said(system("ce", range(6), events=alone), system("sal", range(24), events=alone))
    assert "of two or more speakers who are all known, and a seed in common." in only


def test_a_difference_is_of_the_seeds_that_both_have():
    ce = system("ce", range(0, 24, 2), seeds=2)
    first, _ = said(replace(ce, seeds=[1, 2]), replace(system("sal", range(24)), seeds=[2]))
    assert first.endswith(", p < 0.001, 1 seed in common.")
    (only,) = said(replace(ce, seeds=[1, 2]), replace(system("sal", range(24)), seeds=[3]))
    assert "Whether that is chance cannot be told" in only


@pytest.mark.parametrize("seeds", [[1], [1, 1], [1, 2, 3]])
def test_seeds_are_one_a_curve(seeds):
    with pytest.raises(ValueError, match="a seed for each of 2"):
        replace(system("ce", range(6), seeds=2), seeds=seeds)


def test_without_events_there_is_nothing_to_say():
    (only,) = said(system("ce", [], events=[]), system("sal", [], events=[]))
    assert only.startswith("No events were scored")


@pytest.mark.parametrize(
    ("p_value", "clusters", "text"),
    [
        (0.0625, 5, "p = 0.06 (5 speakers give 0.06 at least)"),
        (0.5, 2, "p = 0.50 (2 speakers give 0.50 at least)"),
        (0.031, 20, "p = 0.03"),
        (0.0039, 30, "p = 0.004"),
        (0.0001, 30, "p < 0.001"),
    ],
)
def test_a_p_value_says_how_small_it_could_be(p_value, clusters, text):
    assert p_text(Difference(-0.1, -0.2, -0.05, p_value, clusters)) == text
