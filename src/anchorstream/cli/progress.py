"""Progress bars on stderr; nothing at all where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def bars() -> Progress:
    """A set of bars; ``add_task`` and ``update`` as in ``rich.progress``."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def loading_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """One bar that lives until its work is done: the value is called with (done, total)."""
    progress = bars()
    task = progress.add_task(description, total=None)

    def update(done: int, total: int) -> None:
        if not progress.finished:
            progress.update(task, completed=done, total=total)
            if done >= total:
                progress.stop()
            elif not progress.live.is_started:
                progress.start()

    try:
        yield update
    finally:
        progress.stop()
