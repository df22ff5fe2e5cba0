"""``python -m anchorstream.cli.child ARGUMENTS``: the command line, which ends when its standard input does.

A comparison that is killed outright cannot end its trainings any more; they would go on unseen, and the next call of
the comparison would start them a second time in the same folders. Whoever starts one holds a pipe to it instead, which
the system closes, at once, however its holder ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from anchorstream.cli.main import main


def end_with_standard_input() -> None:
    """Ends this process as soon as nobody holds the other end of its standard input."""

    def watch() -> None:
        # Past the buffer of sys.stdin: a thread that waits in there makes an interpreter that ends abort.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_standard_input()
    sys.exit(main(sys.argv[1:]))
