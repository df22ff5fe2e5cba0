"""What `listen` shows on a terminal: how loud it is, each posterior beside its threshold, and above it what fired."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.text import Text

_WIDTH = 40
_QUIETEST_DB = -60.0
_REFRESH_S = 0.1
# Of a peak, what is still shown at the next refresh: it would be gone before anybody saw it.
_KEPT = 0.75
# More rows than a terminal has would scroll it away.
_MOST_ROWS = 20

#: Takes a block and the highest posterior of each row meanwhile.
Update = Callable[[NDArray[Any], Sequence[float]], None]


def live_view(rows: Sequence[tuple[str, float]], *, plain: bool) -> AbstractContextManager[Update]:
    """The view; where stdout is no terminal, with ``plain`` or without rich, one that shows nothing.

    Args:
        rows: name and threshold of each posterior.
        plain: whether it was asked for none.
    """
    if plain or not sys.stdout.isatty():
        return nullcontext(_show_nothing)
    try:
        return _LiveView(rows)
    except ImportError:
        print("a live view needs rich: pip install rich", file=sys.stderr)
        return nullcontext(_show_nothing)


def _show_nothing(block: NDArray[Any], posteriors: Sequence[float]) -> None:
    pass


class _LiveView(AbstractContextManager[Update]):
    def __init__(self, rows: Sequence[tuple[str, float]]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._rows, self._peaks = rows[:_MOST_ROWS], [0.0] * len(rows)
        self._name_width = max(len(name[:_WIDTH]) for name in ["level", *(name for name, _ in rows)])
        console = Console()
        self._signs = ("#", "-", "|") if console.options.ascii_only else ("█", "─", "┃")
        # Refreshed by hand: a thread of its own would cost more than the detector does.
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._level = 0.0
        self._shown_at = -math.inf

    def __enter__(self) -> Update:
        self._live.__enter__()
        return self.update

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401 - what ended it is the caller's
        self._live.__exit__(*error)

    def update(self, block: NDArray[Any], posteriors: Sequence[float]) -> None:
        """Keeps the peaks, and draws ten times a second."""
        if block.size:
            full_scale = 32768.0 if block.dtype == np.int16 else 1.0
            loudest = float(np.abs(block.astype(np.float64)).max()) / full_scale
            # What is no number shows as full scale; what is beyond it would stay for long.
            self._level = max(self._level, min(1.0, loudest))
        self._peaks = [max(old, new) for old, new in zip(self._peaks, posteriors, strict=True)]
        now = time.monotonic()
        if now - self._shown_at >= _REFRESH_S:
            self._shown_at = now
            self._live.update(self._drawn(), refresh=True)
            self._level *= _KEPT
            self._peaks = [_KEPT * peak for peak in self._peaks]

    def _drawn(self) -> Text:
        from rich.text import Text

        level = self._level
        level_db = max(_QUIETEST_DB, 20 * math.log10(level)) if level > 0 else _QUIETEST_DB
        lines = [
            self._row(
                "level",
                1 - level_db / _QUIETEST_DB,
                None,
                "green" if level < 1 else "red",
                f"{level_db:.0f} dB",
            )
        ]
        for (name, threshold), peak in zip(self._rows, self._peaks, strict=False):
            colour = "yellow" if peak >= threshold else "cyan"
            lines.append(self._row(name, peak, threshold, colour, f"{peak:.2f}"))
        return Text("\n").join(lines)

    def _row(self, name: str, share: float, threshold: float | None, colour: str, figure: str) -> Text:
        from rich.text import Text

        full, empty, mark = self._signs
        reached = round(_WIDTH * min(1.0, max(0.0, share)))
        signs = [(full, colour)] * reached + [(empty, "dim")] * (_WIDTH - reached)
        if threshold is not None:
            signs[min(_WIDTH - 1, round(_WIDTH * min(1.0, threshold)))] = (mark, "bold red")
        row = Text(f"{name[:_WIDTH]:>{self._name_width}} ")
        for (sign, style), run in groupby(signs):
            row.append(sign * len(list(run)), style=style)
        return row.append(f" {figure}")
