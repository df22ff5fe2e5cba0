"""What a recipe trains on, to look at and to listen to: streams with their targets, anchors and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from anchorstream import losses
from anchorstream.data.clip import SAMPLE_RATE_HZ, Stream
from anchorstream.data.corpus import Corpus
from anchorstream.data.motion import AXES_ACCELEROMETER, SimulatedMotion
from anchorstream.frames import IGNORED, FrameClock
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.outputs import targets_by_label
from anchorstream.report.examples import draw_spectrogram, wav_data_uri
from anchorstream.report.page import environment, write_page
from anchorstream.report.style import INK, MUTED, WIDTH_IN, colour_of, drawing, save, shortened, to_svg
from anchorstream.train.config import Config
from anchorstream.train.corpus import training_mixer
from anchorstream.train.engine import untrained_detector

PAGE_FILE = "inspect.html"


@dataclass(frozen=True, slots=True, eq=False)
class InspectedStream:
    """One training stream and what the loss makes of it.

    Attributes:
        stream: the samples and what was said.
        labels: the names of the classes 1, 2, ...
        clock: when frames are known.
        targets: (T,) class of each frame, 0 = background, ``IGNORED`` = not counted.
        anchors: (T,) bool.
        weight: (T,) the temporal weight, of several sigmoid outputs the largest; ``None`` for a loss without one.
    """

    stream: Stream
    labels: tuple[str, ...]
    clock: FrameClock
    targets: NDArray[np.int64]
    anchors: NDArray[np.bool_]
    weight: NDArray[np.float32] | None


def inspected_streams(config: Config, corpus: Corpus, count: int) -> list[InspectedStream]:
    """The first ``count`` training streams of a configuration: exactly those that its training begins with."""
    detector = untrained_detector(config)
    loss = losses.build(config.loss, **config.loss_options)
    mixer = training_mixer(config, corpus)
    found = []
    for index in range(count):
        stream = mixer.stream(index)
        frames = len(stream.samples) // detector.hop_samples
        targets, anchors = config.task.targets(stream, detector.clock, frames)
        weight = None
        if isinstance(loss, losses.StreamingAnchorLoss):
            weight = _weight(loss, targets, anchors, detector)
        found.append(InspectedStream(stream, config.task.labels, detector.clock, targets, anchors, weight))
    return found


def _weight(
    loss: losses.StreamingAnchorLoss,
    targets: NDArray[np.int64],
    anchors: NDArray[np.bool_],
    detector: StreamingDetector,
) -> NDArray[np.float32]:
    of_frames = torch.from_numpy(targets)[None]
    if detector.outputs == "sigmoid":
        of_frames = targets_by_label(of_frames, len(detector.labels))
    weight = loss.weight(of_frames, torch.from_numpy(anchors)[None])[0]
    return (weight.amax(-1) if weight.ndim == 2 else weight).numpy()


def write_inspection(
    out_dir: Path,
    title: str,
    streams: Sequence[InspectedStream],
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a PNG for each stream and one HTML page with all of them, and returns the page's path.

    Args:
        out_dir: made if it is not there; pictures of the same number are replaced.
        title: what stands on top of the page.
        streams: what to draw.
        progress: called with (done, total) as streams are drawn.

    Raises:
        OSError: if the files cannot be written.
    """
    shown = []
    with drawing():
        for index, item in enumerate(streams):
            figure = inspection_figure(item)
            save(figure, out_dir / picture_file(index))
            shown.append(
                {
                    "name": f"stream {index}",
                    "snr_db": item.stream.snr_db,
                    "events": _events_of(item.targets),
                    "anchors": int(item.anchors.sum()),
                    "svg": Markup(
                        to_svg(figure, f"targets, anchors, weight and spectrogram of stream {index}")
                    ),
                    "wav": Markup(wav_data_uri(item.stream.samples)),
                }
            )
            if progress:
                progress(index + 1, len(streams))
    weighted = any(item.weight is not None for item in streams)
    worn = any(item.stream.motion is not None for item in streams)
    template = environment().get_template("inspection.html.j2")
    page = template.render(title=title, streams=shown, weighted=weighted, worn=worn)
    path = out_dir / PAGE_FILE
    write_page(path, page)
    return path


def picture_file(index: int) -> str:
    """What the picture of a stream is called in the folder."""
    return f"stream-{index:03}.png"


def inspection_figure(item: InspectedStream) -> Figure:
    """Targets, anchors and weight above the spectrogram with what was said, and the motion, where there is any."""
    motion = item.stream.motion
    figure = Figure(figsize=(WIDTH_IN * 1.6, 3.9 if motion is None else 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(
        3 if motion else 2, 1, sharex=True, height_ratios=[1.1, 1, 1][: 3 if motion else 2]
    )
    above, below = rows[:2]
    times = np.array([item.clock.time_of(frame) for frame in range(len(item.targets))])
    for label in np.unique(item.targets[item.targets > 0]):
        above.fill_between(
            times,
            0,
            1,
            where=item.targets == label,
            step="mid",
            transform=above.get_xaxis_transform(),
            color=colour_of(int(label) - 1),
            alpha=0.2,
            linewidth=0,
            label=shortened(item.labels[int(label) - 1]),
        )
    if (item.targets == IGNORED).any():
        above.fill_between(
            times,
            0,
            1,
            where=item.targets == IGNORED,
            step="mid",
            transform=above.get_xaxis_transform(),
            facecolor="none",
            edgecolor=MUTED,
            hatch="////",
            linewidth=0,
            label="not counted",
        )
    for time in times[item.anchors]:
        above.axvline(time, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    if item.weight is not None:
        above.plot(times, item.weight, color=INK, linewidth=1.3)
        above.set_ylim(0, 1.15 * float(item.weight.max(initial=1.0)))
        above.set_ylabel("weight")
    else:
        above.set_yticks([])
        above.set_ylabel("targets")
    if above.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=4)
    draw_spectrogram(below, item.stream.samples)
    _name_what_is_said(below, item.stream)
    if motion is not None:
        _draw_motion(rows[2], motion)
    rows[-1].set_xlabel("seconds")
    rows[-1].set_xlim(0, max(item.stream.duration_s, 1 / SAMPLE_RATE_HZ))
    return figure


def _events_of(targets: NDArray[np.int64]) -> int:
    """How many times positive frames begin."""
    positive = np.maximum(targets, 0)
    return int(np.count_nonzero(np.diff(positive, prepend=0) * positive))


def _draw_motion(axes: Axes, motion: SimulatedMotion) -> None:
    """The accelerometer, and the gestures over it."""
    for column, name in enumerate(AXES_ACCELEROMETER):
        axes.plot(
            motion.times_s, motion.readings[:, column], color=colour_of(column), linewidth=0.9, label=name
        )
    axes.set_ylabel("simulated motion, g")
    # Above the axes: readings go up and down anywhere in them.
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=3)
    for gesture in motion.gestures:
        axes.axvspan(gesture.start_s, gesture.end_s, color=MUTED, alpha=0.15, linewidth=0)
        written = axes.annotate(
            gesture.kind,
            (gesture.start_s, 0.04),
            xycoords=axes.get_xaxis_transform(),
            color=INK,
            fontsize=8,
            clip_on=True,
        )
        written.set_in_layout(False)


def _name_what_is_said(axes: Axes, stream: Stream) -> None:
    for segment in stream.segments:
        axes.plot([segment.start_s, segment.end_s], [1, 1], color="#ffffff", linewidth=3)
        name = axes.annotate(
            shortened(segment.label),
            (segment.start_s, 2.5),
            color="#ffffff",
            fontsize=8,
            clip_on=True,
        )
        name.set_in_layout(False)
