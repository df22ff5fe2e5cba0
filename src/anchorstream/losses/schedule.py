"""Options that move while a network is trained: peak, scale, gamma and every other number."""

from __future__ import annotations

import math
from collections.abc import Callable

from anchorstream.losses._checks import check_number
from anchorstream.losses._module import FrameLoss

#: The value of an option at a training step, from 0 on.
Schedule = Callable[[int], float]


def constant(value: float) -> Schedule:
    """``value`` at every step.

    Example:
        >>> constant(3.0)(100)
        3.0
    """
    return _between(value, value, 1, 0, lambda share: share)


def linear(start: float, end: float, *, steps: int, begin: int = 0) -> Schedule:
    """From ``start`` to ``end`` on a straight line over ``steps`` steps from step ``begin`` on.

    Before it is ``start``, afterwards ``end``.

    Raises:
        ValueError: if ``steps`` is less than 1.

    Example:
        >>> peak = linear(1.0, 9.0, steps=4)
        >>> [peak(step) for step in (0, 1, 4, 100)]
        [1.0, 3.0, 9.0, 9.0]
    """
    return _between(start, end, steps, begin, lambda share: share)


def cosine(start: float, end: float, *, steps: int, begin: int = 0) -> Schedule:
    """From ``start`` to ``end`` on half a period of a cosine, gently at both ends; else as :func:`linear`.

    Example:
        >>> gamma = cosine(0.0, 2.0, steps=4)
        >>> [round(gamma(step), 3) for step in range(5)]
        [0.0, 0.293, 1.0, 1.707, 2.0]
    """
    return _between(start, end, steps, begin, lambda share: (1 - math.cos(math.pi * share)) / 2)


class LossSchedule:
    """Moves options of a loss: ``schedule.set(step)`` before each training step, and nothing else to keep.

    The values depend on the step alone, so a resumed training takes them up where they were. In Lightning::

        class MoveLoss(pl.Callback):
            def on_train_batch_start(self, trainer, *_): schedule.set(trainer.global_step)

    Args:
        loss: the loss module.
        schedules: for each option by its name, a function of the step (:func:`linear`, :func:`cosine`,
            :func:`constant` or one's own).

    Raises:
        ValueError: if the loss has no such option, or a value on the way is out of range.
        TypeError: if an option is no number, or a schedule is no function.

    Example:
        >>> from anchorstream.losses import StreamingAnchorLoss
        >>> loss = StreamingAnchorLoss()
        >>> schedule = LossSchedule(loss, peak=linear(1.0, 10.0, steps=1000))
        >>> schedule.set(500)
        >>> loss.peak
        5.5
    """

    def __init__(self, loss: FrameLoss, **schedules: Schedule) -> None:
        options = loss.options
        for name, schedule in schedules.items():
            if name not in options:
                raise ValueError(f"{type(loss).__name__} has no option {name!r}; it has {', '.join(options)}")
            check_number(f"{name}, to be moved by a schedule,", options[name])
            if not callable(schedule):
                raise TypeError(f"the schedule of {name} must be a function of the step, got {schedule!r}")
        self.loss, self.schedules = loss, schedules
        self.set(0)

    def set(self, step: int) -> None:
        """Gives every option its value at ``step``.

        Raises:
            ValueError: if a value is out of range; the message names it and the loss keeps the old values.
        """
        before = self.loss.options
        for name, schedule in self.schedules.items():
            setattr(self.loss, name, schedule(step))
        try:
            self.loss.check()
        except (TypeError, ValueError) as error:
            for name in self.schedules:
                setattr(self.loss, name, before[name])
            raise type(error)(f"at step {step}: {error}") from error


def _between(start: float, end: float, steps: int, begin: int, shape: Callable[[float], float]) -> Schedule:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps!r}")

    def at(step: int) -> float:
        share = min(max((step - begin) / steps, 0.0), 1.0)
        return float(start + (end - start) * shape(share))

    return at
