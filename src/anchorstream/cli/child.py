"""``python -m anchorstream.cli.child PID ARGUMENTS``: the command line, which ends when its parent is gone.

A comparison that is killed outright cannot end its trainings any more; they would go on unseen, and the next call of
the comparison would start them a second time in the same folders.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from anchorstream.cli.main import main

_EVERY_S = 0.5


def end_with(parent: int) -> None:
    """Ends this process as soon as it is no child of ``parent`` any more."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
