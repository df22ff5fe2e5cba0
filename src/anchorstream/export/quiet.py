"""Keeps what converters say about their own inside from users."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet_converter() -> Iterator[None]:
    """Without the warnings, log lines and prints of a converter; what it raises comes through."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        # They print to both.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextmanager
def quiet_native_code() -> Iterator[None]:
    """Without what native code writes to the standard error of the process, for the moment that a library loads."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed: nobody hears
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
