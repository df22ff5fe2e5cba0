"""One example to look at: posteriors over the spectrogram, with what happened and what fired."""

from __future__ import annotations

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from numpy.typing import NDArray

from anchorstream.report.result import Example
from anchorstream.report.spectrogram import SAMPLE_RATE_HZ, spectrogram_data_uri

# The picture's own units; in a page it is as wide as there is room.
_WIDTH, _HEIGHT = 560.0, 196.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 30.0, 12.0, 552.0, 172.0


def example_svg(example: Example, environment: Environment) -> Markup:
    """The example as an SVG element: a line for the posterior, its threshold dashed, events and detections marked.

    By hand and not by matplotlib: a page has hundreds of them, and this is a tenth of the time and of the size.
    """
    duration_s = max(len(example.samples) / SAMPLE_RATE_HZ, example.hop_s)

    def across(time_s: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, time_s / duration_s))

    def up(posterior: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * min(1.0, max(0.0, posterior))

    posteriors = np.nan_to_num(np.asarray(example.posteriors, dtype=np.float64), nan=0.0)
    line = " ".join(
        f"{across(frame * example.hop_s + example.delay_s):.1f},{up(posterior):.1f}"
        for frame, posterior in enumerate(posteriors.tolist())
        if _turns(posteriors, frame)
    )
    return Markup(
        environment.get_template("example.svg.j2").render(
            width=_WIDTH,
            height=_HEIGHT,
            left=_LEFT,
            top=_TOP,
            right=_RIGHT,
            bottom=_BOTTOM,
            description=f"{example.kind}: {example.title}",
            spectrogram=spectrogram_data_uri(example.samples),
            seconds=[(across(second), second) for second in range(int(duration_s) + 1)],
            levels=[(up(level), level) for level in (0, 0.5, 1)],
            line=line,
            threshold=up(example.threshold),
            events=[(across(e.start_s), across(e.anchor_s)) for e in example.events],
            detections=[
                (across(d.time_s), up(d.score)) for d in example.detections if 0 <= d.time_s <= duration_s
            ],
        )
    )


def _turns(posteriors: NDArray[np.float64], frame: int) -> bool:
    """Whether the line needs this frame: where it stays as it was before and after, it does not."""
    if frame in (0, len(posteriors) - 1):
        return True
    return bool(np.abs(posteriors[[frame - 1, frame + 1]] - posteriors[frame]).max() > 1e-3)
