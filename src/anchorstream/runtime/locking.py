"""Calls from several threads on one object, one after the other."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar


class _Locked(Protocol):
    _lock: threading.RLock


_Self = TypeVar("_Self", bound=_Locked)
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def locked(
    method: Callable[Concatenate[_Self, _Arguments], _Result],
) -> Callable[Concatenate[_Self, _Arguments], _Result]:
    """A method that waits for the object's ``_lock``, an ``RLock``, as long as another thread has it."""

    @functools.wraps(method)
    def call(self: _Self, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with self._lock:
            return method(self, *args, **kwargs)

    return call
