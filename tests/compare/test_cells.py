"""What a table says beside its figures."""

import numpy as np
import pytest

from anchorstream.compare.cells import caution
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
    ],
)
def test_single_trainings_that_are_compared_are_said_to_be_such(
    systems: list[SystemResult], cautious: bool
) -> None:
    assert ("another seed" in caution(systems)) is cautious
