import re
import runpy
from pathlib import Path

import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_loop.py"


def test_own_loop_learns_to_fire(capsys):
    with torch.random.fork_rng():
        runpy.run_path(str(EXAMPLE))
    printed = capsys.readouterr().out
    losses = [float(value) for value in re.findall(r"loss ([\d.]+)", printed)]
    assert losses[-1] < 0.5 * losses[0]
    found = re.search(r"fired on (\d+)% of 200 events, ([+-][\d.]+) frames", printed)
    assert found, printed
    assert int(found[1]) >= 85
    assert abs(float(found[2])) <= 3
