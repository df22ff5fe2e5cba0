"""Draws the picture of docs/tasks.md: a training stream of triggers as `anchorstream inspect` shows it.

python docs/pictures/make_trigger.py

Synthetic speech and simulated motion; of the first streams it takes the one in which most is to be seen.
"""

from __future__ import annotations

from pathlib import Path

from anchorstream.data.synthetic import SyntheticSize, synthetic_corpus
from anchorstream.report.inspection import InspectedStream, inspected_streams, inspection_figure
from anchorstream.report.style import drawing
from anchorstream.train.recipe import load_config

HERE = Path(__file__).parent
# A picture needs no more speech than this, and no rooms.
SIZE = SyntheticSize(others=60, noises=1)
OVERRIDES = ["mix.length_s=10", "mix.room_probability=0", "mix.snr_db=[15, 25]"]


def shown(item: InspectedStream) -> tuple[bool, int]:
    """How much there is to be seen: a trigger, and beside it what is none."""
    motion = item.stream.motion
    assert motion is not None
    there = bool(item.targets.any()) and bool(item.stream.samples.any()) and len(motion.readings) > 0
    spoken = sum(segment.kind != "noise" for segment in item.stream.segments)
    return there, len({gesture.kind for gesture in motion.gestures}) + spoken


def main() -> None:
    """Draws it."""
    config = load_config("trigger", OVERRIDES)
    corpus = config.task.prepare(synthetic_corpus((), size=SIZE), config.data)
    with drawing():
        item = max(inspected_streams(config, corpus, 40), key=shown)
        # Coarser than what the command draws: noise in a spectrogram makes large files.
        inspection_figure(item).savefig(HERE / "trigger.png", dpi=110)


if __name__ == "__main__":
    main()
