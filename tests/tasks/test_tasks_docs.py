"""What docs/tasks.md says of triggers is what the task does: its drawing, its table, its figures."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from anchorstream.data.clip import Segment, Stream
from anchorstream.data.motion import Gesture, MotionSettings, SimulatedMotion, draw_wearer
from anchorstream.frames import FrameClock
from anchorstream.tasks import TASKS, TriggerTask
from anchorstream.train.recipe import load_config

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
CHARACTER_S = 0.1
NAME_LENGTH = 13


def drawn() -> dict[str, str]:
    """The rows of the drawing by their names, one character 0.1 s."""
    (drawing,) = re.findall(r"```\n(wrist is up .*?)```", PAGE, re.DOTALL)
    return {row[:NAME_LENGTH].strip(): row[NAME_LENGTH:] for row in drawing.splitlines()}


def spans(row: str, mark: str) -> list[tuple[float, float]]:
    return [
        (found.start() * CHARACTER_S, found.end() * CHARACTER_S) for found in re.finditer(f"{mark}+", row)
    ]


def test_the_drawing_of_a_trigger() -> None:
    rows = drawn()
    segments = tuple(
        Segment("a.wav", "speech", "speech", "anna", start_s, end_s)
        for start_s, end_s in spans(rows["speech"], "#")
    )
    gestures = []
    for up_s, down_s in spans(rows["wrist is up"], "#"):
        gestures += [Gesture("raise", up_s - 0.6, up_s), Gesture("lower", down_s, down_s + 0.5)]
    nothing = np.zeros((0, 6), np.float32)
    wearer = draw_wearer(np.random.default_rng(0))
    motion = SimulatedMotion(nothing[:, 0], nothing, tuple(gestures), "still", wearer)
    stream = Stream(np.zeros(9 * 16_000, np.float32), segments, snr_db=10.0, motion=motion)

    task, clock = TriggerTask(), FrameClock(CHARACTER_S, delay_s=0.0)
    targets, anchors = task.targets(stream, clock, 90)
    assert np.flatnonzero(targets).tolist() == [at for at, mark in enumerate(rows["targets"]) if mark == "#"]
    marked = [at for name in ("anchor", "other anchor") for at, mark in enumerate(rows[name]) if mark == "|"]
    assert np.flatnonzero(anchors).tolist() == sorted(marked)
    (event,) = task.events(stream)
    assert clock.frame_at(event.anchor_s) == rows["anchor"].index("|")
    ((first_s, last_s),) = spans(rows["window"], "=")
    assert abs(first_s - (event.start_s - task.window.pre_s)) < 1e-6
    # The last character is the one that the end of the window lies in.
    assert last_s - CHARACTER_S <= event.anchor_s + task.window.post_s <= last_s


def test_the_table_has_every_task_and_the_defaults_of_triggers() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in PAGE.splitlines()
        if line.startswith("| ")
    ]
    assert rows[0] == ["", *(f"`{name}`" for name in TASKS)]
    said = {row[0]: row[-1] for row in rows}
    task = TriggerTask()
    assert f"`label_after_s` = {task.label_after_s:g} s" in said["positive frames"]
    assert f"{task.early_s:g} and {task.late_s:g} s" in said["a hit lies in"]
    assert f"`refractory_s` = {task.refractory_s:g} s" in said["armed again"]
    least_s, greatest_s = task.scored_mix.gap_s
    assert f"pauses of {least_s:g} to {greatest_s:g} s" in said["streams for scoring"]
    rates = [f"{rate:g}" for rate in task.reporting.false_alarm_rates]
    assert said["operating points"].replace("*", "").startswith(", ".join(rates))
    assert f"**{task.reporting.chosen_rate:g}**" in said["operating points"]
    selected = ", ".join(f"{rate:g}" for rate in task.reporting.selection_rates)
    assert said["a checkpoint is chosen by the mean miss rate at"] == f"{selected} per hour"


def test_how_much_calmer_scored_streams_are() -> None:
    trained, scored = load_config("trigger").motion, TriggerTask().accompaniment(None).settings
    page = " ".join(PAGE.split())
    assert f"{scored.idle_per_minute:g} idle raise a minute ({trained.idle_per_minute:g})" in page
    assert f"{scored.others_per_minute:g} other gestures a minute ({trained.others_per_minute:g})" in page
    assert (scored.other_at_onset_share, trained.other_at_onset_share) == (1 / 5, 1 / 2)
    assert f"amid {scored.amid_share:.0%} of the other utterances ({trained.amid_share:.0%})" in page
    assert f"under {scored.recorded_share:.0%} of the streams ({trained.recorded_share:.0%})" in page
    assert scored.raise_share == trained.raise_share == 1 / 2
    # That is all in which they differ.
    names = ("idle_per_minute", "others_per_minute", "other_at_onset_share", "amid_share", "recorded_share")
    calmed = {name: getattr(scored, name) for name in names}
    assert replace(trained, **calmed) == scored
    assert isinstance(scored, MotionSettings)
