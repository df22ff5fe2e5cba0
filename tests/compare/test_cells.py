"""What a table says beside its figures."""

from dataclasses import replace

import numpy as np
import pytest

from anchorstream.compare.cells import caution, seeds
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Event, MatchWindow, PosteriorStream, sweep
from anchorstream.report import SystemResult


def system(name: str, seeds: int) -> SystemResult:
    stream = PosteriorStream(np.zeros((100, 1)), 0.1, 0.0, ["yes"], [Event("yes", 2.5, 3.0, "anna")], 10.0)
    return SystemResult(name, [sweep([stream], "yes", DecoderSettings(), MatchWindow(0.0, 0.5))] * seeds)


@pytest.mark.parametrize(
    ("systems", "cautious"),
    [
        ([system("ce", 1), system("sal", 1)], True),
        ([system("ce", 3), system("sal", 3)], False),
        ([system("ce", 1)], False),  # there is nothing that one could be better than
        ([system("ce", 3), system("sal", 1)], True),
    ],
)
def test_single_trainings_that_are_compared_are_said_to_be_such(
    systems: list[SystemResult], cautious: bool
) -> None:
    assert ("another seed" in caution(systems)) is cautious


def test_of_trainings_some_of_which_are_single_those_are_named() -> None:
    told = caution([system("ce", 3), system("sal", 1), system("focal", 1)])
    assert told.startswith("Of sal, focal there is one training: another seed")


def test_seeds_that_not_all_have_are_told() -> None:
    assert seeds([system("ce", 3), system("sal", 3)]) == "3 seed(s)"
    one, two = (replace(system("ce", 2), seeds=both) for both in ([1, 2], [2, 3]))
    assert seeds([one, replace(one, seeds=[2, 1])]) == "2 seed(s)"
    assert seeds([one, two]) == "2 seed(s), differences over those that both have"
    three = replace(system("sal", 3), seeds=[1, 2, 3])
    assert seeds([three, one]) == "2 to 3 seeds, differences over those that both have"
