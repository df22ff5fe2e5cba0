"""Work that must not hold up a live signal: jobs in a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)

_MOST_WAITING = 16


class Background:
    """Does jobs one after the other in a thread, so that whoever gives them need not wait.

    A job that fails is logged as a warning, and the next one is done. Where 16 wait already, a further one is given
    up, logged and counted.

    Args:
        what: a job in a word or two, for what is logged.

    Attributes:
        given_up: jobs that were not done, because too many waited.
        failed: jobs that failed.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.given_up = self.failed = 0
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(_MOST_WAITING)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=what, daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], None], *, wait: bool = False) -> None:
        """Takes a job; with ``wait``, waits for a place in the queue rather than giving it up.

        Raises:
            RuntimeError: after ``close``.
        """
        if self._closed:
            raise RuntimeError(f"{self._what}: closed; make a new one")
        try:
            self._jobs.put(job, block=wait)
        except queue.Full:
            self.given_up += 1
            _LOG.warning("%s: given up, %d wait already", self._what, _MOST_WAITING)

    def close(self) -> None:
        """Waits until all jobs are done."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:
                # Whatever it was, the signal goes on, and so do the jobs after this one.
                self.failed += 1
                _LOG.warning("%s: %s", self._what, error)
