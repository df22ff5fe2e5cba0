"""Each example runs as a script of its own: what other libraries warn of there is not ours to fail on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FIRED = r"fired on (\d+)% of \d+ events, ([+-][\d.]+|[+-]nan) frames"


def printed_by(name: str) -> str:
    # Nothing may be downloaded, and one thread keeps the figures the same.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    finished = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def fired(printed: str) -> list[tuple[int, float]]:
    """The hit rate in percent and the mean delay in frames, of each line that has them."""
    return [(int(rate), float(delay)) for rate, delay in re.findall(FIRED, printed)]


@pytest.mark.slow
def test_each_class_fires_at_its_own_events():
    printed = printed_by("multi_class.py")
    classes = fired(printed)
    assert len(classes) == 3, printed
    for rate, delay in classes:
        assert rate >= 85
        assert abs(delay) <= 3
    false_alarms = re.search(r"no event: fired in (\d+)%", printed)
    assert false_alarms, printed
    assert int(false_alarms[1]) <= 20
    counts = [[int(count) for count in line.split()] for line in printed.splitlines()[-4:]]
    for there, row in enumerate(counts):
        assert len(row) == 4
        assert row[there] >= 0.8 * sum(row)


@pytest.mark.slow
def test_weak_rows_add_to_the_exact_ones():
    printed = printed_by("weak_labels.py")
    exact, weak = fired(printed)
    assert weak[0] >= 85, printed
    assert abs(weak[1]) <= 3, printed
    assert weak[0] >= exact[0] + 5, printed


@pytest.mark.slow
def test_lightning_moves_the_peak_and_learns():
    pytest.importorskip("pytorch_lightning")
    printed = printed_by("lightning_module.py")
    assert "peak 1 at the start" in printed
    assert "peak 10 after 150 steps" in printed
    ((rate, delay),) = fired(printed)
    assert rate >= 85
    assert abs(delay) <= 3


@pytest.mark.slow
def test_hugging_face_trainer_counts_every_frame_once():
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    printed = printed_by("hugging_face_trainer.py")
    losses = re.findall(r"training loss ([\d.]+), test loss ([\d.]+)", printed)
    whole, accumulated = ([float(loss) for loss in pair] for pair in losses)
    assert accumulated == pytest.approx(whole, rel=2e-3)  # the same steps, whether in one batch or in four
    assert len(fired(printed)) == 2, printed
    for rate, delay in fired(printed):
        assert rate >= 85
        assert abs(delay) <= 3
