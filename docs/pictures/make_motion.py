"""Draws the picture of docs/motion.md: simulated motion of one wearer in three short streams.

python docs/pictures/make_motion.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anchorstream.data.motion import Gesture, MotionSettings, draw_wearer, triggers
from anchorstream.data.motion.plan import Block
from anchorstream.data.motion.simulate import SimulatedMotion, simulate_gestures
from anchorstream.report.style import GOOD, INK, MUTED, WIDTH_IN, colour_of, drawing, save

HERE = Path(__file__).parent
DURATION_S = 8.0
SPEECH = [(3.0, 5.0)]
QUIET = {"desk_share": 0.0, "drive_share": 0.0, "rate_hz": (100.0, 100.0), "loss_probability": 0.0}


def block(role: str, *gestures: Gesture) -> Block:
    """Gestures that belong together."""
    return Block(role, 0 if role == "trigger" else None, gestures, gestures[-1].end_s)


# Title, whether the wearer walks, speech, gestures.
STREAMS = [
    ("a trigger", False, SPEECH, block("trigger", Gesture("raise", 1.8, 2.6), Gesture("lower", 5.6, 6.3))),
    (
        "raised without speech",
        False,
        [],
        block("idle", Gesture("raise", 1.8, 2.6), Gesture("lower", 5.0, 5.7)),
    ),
    ("drinking while walking, then speech", True, [(3.0, 4.6)], block("other", Gesture("drink", 2.0, 6.0))),
]


def simulate(walks: bool, gestures: Block) -> SimulatedMotion:
    """One stream of the same wearer, whatever happens."""
    settings = MotionSettings(walk_share=float(walks), **QUIET)
    wearer = draw_wearer(np.random.default_rng(4))
    return simulate_gestures([gestures], DURATION_S, settings, np.random.default_rng(11), wearer=wearer)


def draw(panel: Axes, title: str, motion: SimulatedMotion, speech: list[tuple[float, float]]) -> None:
    """The accelerometer, the gestures by name, the speech, and the anchor of a trigger."""
    for index, name in enumerate(("x", "y", "z")):
        panel.plot(
            motion.times_s,
            motion.readings[:, index],
            color=colour_of(index),
            label=f"{name} axis",
            linewidth=1.2,
        )
    for start_s, end_s in speech:
        panel.axvspan(start_s, end_s, ymax=0.1, color=GOOD, alpha=0.35, linewidth=0)
        panel.annotate(
            "speech", ((start_s + end_s) / 2, -1.98), ha="center", va="bottom", fontsize=9, color=INK
        )
    for gesture in motion.gestures:
        panel.axvspan(gesture.start_s, gesture.end_s, color=MUTED, alpha=0.14, linewidth=0)
        middle_s = (gesture.start_s + gesture.end_s) / 2
        panel.annotate(gesture.kind, (middle_s, 1.95), ha="center", va="top", fontsize=9, color=INK)
    for trigger in triggers(motion.gestures, speech):
        panel.axvline(trigger.anchor_s, color=GOOD, linestyle=(0, (4, 3)), linewidth=1.4)
        panel.annotate("anchor", (trigger.anchor_s + 0.08, 1.95), va="top", fontsize=9, color=GOOD)
    panel.set_title(f"Simulated motion: {title}")
    panel.set_ylim(-2, 2)
    panel.set_xlim(0, DURATION_S)
    panel.set_ylabel("g")


def main() -> None:
    """Draws all three below each other."""
    with drawing():
        figure = Figure(figsize=(WIDTH_IN * 1.5, 6.6), layout="constrained")
        panels = list(figure.subplots(len(STREAMS), 1, sharex=True))
        for panel, (title, walks, speech, gestures) in zip(panels, STREAMS, strict=True):
            draw(panel, title, simulate(walks, gestures), speech)
        panels[-1].set_xlabel("seconds")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))
        save(figure, HERE / "motion.png")


if __name__ == "__main__":
    main()
