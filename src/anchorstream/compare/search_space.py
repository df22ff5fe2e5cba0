"""What tuning searches over: the learning rate and the width of the labels for every loss, and each loss's own options.

The learning rate belongs to every loss, since a weighted loss changes the size of the step. What all losses have comes
first, and in the same order: the settings that are drawn at random are then the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from anchorstream import losses
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.engine import untrained_detector

# Below, short trainings have not learnt yet: three of seven draws between 1e-3 and 3e-3 were wasted on every loss.
_LEARNING_RATE = (4e-3, 5e-2)
_DIGITS = 4


class _Option(NamedTuple):
    """An option of a loss and where to look; ``seconds``: the bounds are seconds, the option counts frames."""

    name: str
    low: float
    high: float
    log: bool = True
    seconds: bool = False


_GAMMA = _Option("gamma", 0.0, 4.0, log=False)
_ANCHOR = (
    _Option("peak", 1.0, 30.0),
    _Option("scale", 0.03, 1.0, seconds=True),
    _Option("scale_after", 0.03, 1.0, seconds=True),
)
_OPTIONS: dict[str, tuple[_Option, ...]] = {
    "ce": (),
    "wce": (_Option("class_weight", 1.0, 30.0),),
    "focal": (_GAMMA,),
    "sal": _ANCHOR,
    "sa+fl": (*_ANCHOR, _GAMMA),
    "safl": (*_ANCHOR, _GAMMA),
    "end-frame": (_Option("width_frames", 0.05, 0.6, seconds=True),),
    "max-pool": (),
    "smoothed-max-pool": (_Option("smoothing_frames", 0.02, 0.3, seconds=True),),
}


@dataclass(frozen=True, slots=True)
class Range:
    """A setting and where to look for it.

    Attributes:
        key: in a recipe, such as ``losses.sal.peak``.
        low: the least value.
        high: the greatest.
        own: the recipe's, which lies between them.
        log: whether factors count rather than differences.
    """

    key: str
    low: float
    high: float
    own: float
    log: bool

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]


def search_space(config: Config) -> list[Range]:
    """The ranges of a recipe's loss. A value of the recipe that lies beyond a range widens it.

    Raises:
        ConfigError: if the recipe has a value of its own for each class, where tuning looks for one number.
    """
    loss, task = config.loss, config.task
    ranges = [_range("optimiser.learning_rate", *_LEARNING_RATE, config.optimiser.learning_rate, log=True)]
    ranges += [
        _range(f"task.{name}", low, high, getattr(task, name), log=False)
        for name, (low, high) in task.label_ranges.items()
    ]
    options = {**losses.loss_options(loss), **config.losses.get(loss, {})}
    hop_s = untrained_detector(config).clock.hop_s
    for option in _OPTIONS[loss]:
        # A width is in frames, also where the times of anchors are in seconds; a scale is in what anchors are in.
        in_seconds = options.get("frame_rate_hz") is not None and option.name.startswith("scale")
        unit = 1.0 / hop_s if option.seconds and not in_seconds else 1.0
        ranges.append(
            _range(
                f"losses.{loss}.{option.name}",
                round(option.low * unit, _DIGITS),
                round(option.high * unit, _DIGITS),
                _own(config, option.name, options),
                log=option.log,
            )
        )
    return ranges


def settings_of(config: Config, ranges: Sequence[Range], values: Mapping[str, float]) -> dict[str, Any]:
    """Values by key as a recipe takes them, to four digits; those of the recipe itself remain as they are."""
    settings: dict[str, Any] = {}
    for one in ranges:
        value = values[one.key]
        value = value if value == one.own else min(one.high, max(one.low, float(f"{value:.{_DIGITS}g}")))
        settings[one.key] = _class_weight(config, value) if one.name == "class_weight" else value
    return settings


def _range(key: str, low: float, high: float, own: float, *, log: bool) -> Range:
    if log and own <= 0:
        raise ConfigError(
            f"{key} is {own} in the recipe; tuning looks for factors, and needs a value above 0"
        )
    return Range(key, min(low, own), max(high, own), own, log)


def _own(config: Config, name: str, options: Mapping[str, Any]) -> float:
    value = options[name]
    if name == "scale_after" and value is None:
        value = options["scale"]
    if name == "class_weight":
        background, *events = value
        if len(events) != len(config.task.labels) or len(set(map(str, events))) != 1:
            raise ConfigError(
                f"losses.{config.loss}.class_weight is {value}; tuning looks for one weight of all labels, and expects "
                f"one of the background, then {len(config.task.labels)} equal ones"
            )
        return float(events[0]) / float(background)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigError(
            f"losses.{config.loss}.{name} is {value!r}; tuning looks for one number, and expects one in the recipe"
        )
    return float(value)


def _class_weight(config: Config, value: float) -> list[float]:
    background = float(config.losses[config.loss]["class_weight"][0])
    return [background, *[background * value] * len(config.task.labels)]
