"""What a model file says of itself: a JSON object in its metadata, checked before anything else is done with the file.

The metadata is data: no path in it is opened, no code in it is run, and a size in it is believed only within limits.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

from anchorstream.decode import DecoderSettings
from anchorstream.frames import FrameClock

#: The key of the contract in the metadata of a model file.
METADATA_KEY = "anchorstream"
#: The version of this schema; a reader refuses others.
FORMAT = 1

_MOST_CHARACTERS = 1_000_000
_MOST_LABELS = 1_000
_MOST_STATES = 256
_MOST_CHANNELS = 64
# Of all states together, and of the decoder's memory.
_MOST_NUMBERS = 4_000_000
_MOST_REFRACTORY_S = 3_600
# A float holds every whole number up to here.
_MOST_WHOLE = 10**15
# Whatever walks through a contract later may call itself for each.
_MOST_LEVELS = 64


class ModelError(ValueError):
    """A file that is no model of ours, or one that cannot be run; the message says why."""


class ContractError(ValueError):
    """A model file whose contract is missing, or says what no runtime can keep."""


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A state tensor: its name, its shape without the batch axis, its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything that is needed to run a model, and what is known of it.

    Attributes:
        format: version of this schema.
        version: of the project that wrote the file.
        labels: what the columns of the posteriors stand for.
        sample_rate_hz: of the samples that go in, mono float32 in [-1, 1].
        hop_samples: samples of one frame.
        delay_s: frame ``t`` is known at ``t * hop_s + delay_s``.
        features: settings of the front end, which is inside the model.
        motion: channels of the motion sensor, whose frames (:mod:`anchorstream.features.motion`) go in beside the
            samples; none for audio alone. Accelerations are in g, angular rates in rad/s.
        motion_hop_samples: samples of one frame of motion; 0 without a sensor.
        states: the state tensors, zeros at the start of a stream.
        decoder: settings of the decoder, the threshold among them.
        operating_points: thresholds and what was measured at them.
        training: data, licences, and how it was trained.
        quantisation: empty where the weights are those that were trained; else their type, and how far the posteriors,
            the misses and the false alarms are from those of the trained network.
    """

    format: int
    version: str
    labels: tuple[str, ...]
    sample_rate_hz: int
    hop_samples: int
    delay_s: float
    features: dict[str, Any] = field(default_factory=dict)
    motion: tuple[str, ...] = ()
    motion_hop_samples: int = 0
    states: tuple[StateSpec, ...] = ()
    decoder: dict[str, Any] = field(default_factory=dict)
    operating_points: list[dict[str, Any]] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)
    quantisation: dict[str, Any] = field(default_factory=dict)

    @property
    def hop_s(self) -> float:
        """Seconds from frame to frame."""
        return self.hop_samples / self.sample_rate_hz

    @property
    def motion_hop_s(self) -> float:
        """Seconds from one frame of motion to the next; 0 without a sensor."""
        return self.motion_hop_samples / self.sample_rate_hz

    @property
    def clock(self) -> FrameClock:
        """When the frames are known."""
        return FrameClock(self.hop_s, self.delay_s)

    def to_json(self) -> str:
        """The contract as it is written into a model file.

        Raises:
            ContractError: if it is one that :meth:`from_json` would refuse.
        """
        try:
            # ASCII: a path among the training's notes may be no UTF-8, which a model file cannot hold.
            text = json.dumps(asdict(self))
        except (TypeError, ValueError, RecursionError) as error:
            raise ContractError(f"the contract cannot be written as JSON: {error}") from error
        Contract.from_json(text)
        return text

    @classmethod
    def from_json(cls, text: str) -> Contract:
        """Reads and checks a contract.

        Raises:
            ContractError: with the reason.
        """
        if len(text) > _MOST_CHARACTERS:
            raise ContractError(f"the contract has {len(text)} characters, more than {_MOST_CHARACTERS}")
        try:
            values = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)
        except ContractError:
            raise
        except (ValueError, RecursionError) as error:
            raise ContractError(f"the contract is no valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise ContractError(f"the contract must be a JSON object, it is a {type(values).__name__}")
        _check_levels(values)
        _need(values, "format", _is_whole, "a whole number")
        if values["format"] != FORMAT:
            raise ContractError(
                f"the model has a contract of format {values['format']}, this version reads format {FORMAT}; "
                "export the model again, or install the version of anchorstream that wrote it"
            )
        # Written before there was a motion sensor or a choice of weights, it has neither.
        values = {"motion": [], "motion_hop_samples": 0, "quantisation": {}, **values}
        for name, (check, expected) in _CHECKS.items():
            _need(values, name, check, expected)
        unknown = sorted(set(values) - set(_CHECKS) - {"format"})
        if unknown:
            raise ContractError(f"the contract has unknown keys: {', '.join(unknown)[:200]}")
        states = tuple(
            StateSpec(item["name"], tuple(item["shape"]), item["dtype"]) for item in values["states"]
        )
        if len({state.name for state in states}) < len(states):
            raise ContractError("the contract names a state twice")
        if sum(math.prod(state.shape) for state in states) > _MOST_NUMBERS:
            raise ContractError(f"the contract's states have more than {_MOST_NUMBERS:,} numbers together")
        contract = cls(
            **{
                **values,
                "labels": tuple(values["labels"]),
                "motion": tuple(values["motion"]),
                "states": states,
            }
        )
        _check_motion(contract)
        _check_decoder(contract)
        return contract


def _refuse_constant(name: str) -> float:
    raise ContractError(f"the contract holds {name}, which is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ContractError(f"the contract holds {digits[:100]}, which is no finite number")
    return number


def _whole(digits: str) -> int:
    # By their length first: so many digits that int() refuses them are no reason for another error.
    if len(digits.lstrip("-")) > len(str(_MOST_WHOLE)) or abs(int(digits)) > _MOST_WHOLE:
        raise ContractError(
            f"the contract holds {digits[:100]}, which is larger than any number in it may be"
        )
    return int(digits)


def _check_levels(values: object) -> None:
    level = [values]
    for _ in range(_MOST_LEVELS):
        inside = [
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, (dict, list))
        ]
        level = list(chain.from_iterable(inside))
        if not level:
            return
    raise ContractError(f"the contract is nested more than {_MOST_LEVELS} levels deep")


def _need(values: Mapping[str, Any], name: str, check: Callable[[Any], bool], expected: str) -> None:
    if name not in values:
        raise ContractError(f"the contract has no {name}")
    if not check(values[name]):
        raise ContractError(f"the contract's {name} must be {expected}, got {reprlib.repr(values[name])}")


def _check_motion(contract: Contract) -> None:
    hop = contract.motion_hop_samples
    fits = hop > 0 and contract.hop_samples % hop == 0 if contract.motion else hop == 0
    if not fits:
        raise ContractError(
            f"the contract's motion_hop_samples must divide {contract.hop_samples} where there is a motion sensor, "
            f"and be 0 without one; got {hop} for {len(contract.motion)} channels"
        )


def _check_decoder(contract: Contract) -> None:
    try:
        settings = DecoderSettings.from_dict(contract.decoder)
        if isinstance(settings.threshold, Mapping) and set(settings.threshold) != set(contract.labels):
            raise ValueError(
                f"thresholds for {sorted(settings.threshold)}, labels are {sorted(contract.labels)}"
            )
    except (TypeError, ValueError) as error:
        raise ContractError(f"the contract's decoder: {str(error)[:200]}") from error
    numbers = settings.smoothing_s / contract.hop_s * len(contract.labels)
    if numbers > _MOST_NUMBERS:
        raise ContractError(
            f"the contract's decoder smooths over {settings.smoothing_s:g} s, which is more than can be kept"
        )
    quiet_s = max(settings.refractory_s, settings.release_s)
    if quiet_s > _MOST_REFRACTORY_S:
        raise ContractError(
            f"the contract's decoder must be quiet for at most {_MOST_REFRACTORY_S} s, got {quiet_s:g}"
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    # Printable, because labels are printed: a model file must not steer the terminal.
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _are_labels(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= _MOST_LABELS
        and all(_is_text(label) for label in value)
        and len(set(value)) == len(value)
    )


def _are_channels(value: object) -> bool:
    return value == [] or (_are_labels(value) and isinstance(value, list) and len(value) <= _MOST_CHANNELS)


def _is_state(value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"name", "shape", "dtype"}
        and _is_text(value["name"])
        and value["dtype"] == "float32"
        and isinstance(value["shape"], list)
        and 0 < len(value["shape"]) <= 8
        and all(_is_whole(size) and size > 0 for size in value["shape"])
        and math.prod(value["shape"]) <= _MOST_NUMBERS
    )


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "version": (_is_text, "a version"),
    "labels": (_are_labels, "a list of different names"),
    "sample_rate_hz": (lambda v: _is_whole(v) and 1_000 <= v <= 384_000, "a rate from 1,000 to 384,000 Hz"),
    "hop_samples": (lambda v: _is_whole(v) and 1 <= v <= 100_000, "a number of samples from 1 to 100,000"),
    "delay_s": (
        lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 60,
        "a number of seconds from 0 to 60",
    ),
    "features": (_is_object, "an object"),
    "motion": (_are_channels, f"a list of up to {_MOST_CHANNELS} different names"),
    "motion_hop_samples": (
        lambda v: _is_whole(v) and 0 <= v <= 100_000,
        "a number of samples from 0 to 100,000",
    ),
    "states": (
        lambda v: isinstance(v, list) and len(v) <= _MOST_STATES and all(map(_is_state, v)),
        "a list of states",
    ),
    "decoder": (_is_object, "an object"),
    "operating_points": (lambda v: isinstance(v, list) and all(map(_is_object, v)), "a list of objects"),
    "training": (_is_object, "an object"),
    "quantisation": (_is_object, "an object"),
}
