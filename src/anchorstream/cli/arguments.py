"""Arguments that several commands take: a wrong value is wrong usage, said before anything is loaded."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anchorstream.runtime import RunCommand, SaveClips, Session


#: What a command says of an argument that is a model.
MODEL_HELP = (
    "a file that `anchorstream export` wrote, or the name of a model that ships (`anchorstream models`)"
)
MODELS_HELP = "files that `anchorstream export` wrote, or names of models that ship (`anchorstream models`)"

# Of a clip, around a detection.
_BEFORE_S, _AFTER_S = 2.0, 1.0


def model_file(text: str) -> Path:
    """A model file or the name of a model that ships, for ``type=`` of an argument; the value is a path."""
    from anchorstream.shipped import UnknownModelError, model_path

    named_path(text)
    try:
        return model_path(text)
    except UnknownModelError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def named_path(text: str) -> Path:
    """A path, for ``type=`` of an argument; an empty one would be the folder that one is in."""
    if not text:
        raise argparse.ArgumentTypeError(
            "expected a path, got an empty text; is a variable of the shell empty?"
        )
    return Path(text)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Declares the recipe of a command that trains."""
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        help="a YAML file, or the name of a shipped recipe: keyword, onset, trigger",
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Declares what a command changes of its recipe."""
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        default=[],
        help="overrides of the recipe, such as seed=2 optimiser.epochs=10",
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Declares how many trainings a command runs at a time."""
    parser.add_argument(
        "--jobs", type=positive_int, metavar="N", help="trainings side by side (default: one a core)"
    )


def positive_int(text: str) -> int:
    """A whole number from 1 on, for ``type=`` of an argument."""
    return _whole(text, least=1)


def non_negative_int(text: str) -> int:
    """A whole number from 0 on, for ``type=`` of an argument."""
    return _whole(text, least=0)


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got {text!r}")
    return value


def threshold(text: str) -> float:
    """A threshold of posteriors, for ``type=`` of an argument."""
    value = positive(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"expected a posterior from 0 to 1, such as 0.8, got {text!r}")
    return value


def positive(text: str) -> float:
    """A finite number above 0, for ``type=`` of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a positive number such as 0.8, got {text!r}")
    return value


def number(text: str) -> float:
    """A finite number, for ``type=`` of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number such as 0.5, got {text!r}")
    return value


def hours(text: str) -> float:
    """A positive number of hours, for ``type=`` of an argument."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected hours above 0, got {text!r}")
    return value


def milliseconds(text: str) -> float:
    """A positive number of milliseconds, for ``type=`` of an argument; the value is in seconds."""
    return positive(text) / 1000


def seconds(text: str) -> float:
    """A length of time, for ``type=`` of an argument."""
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 on, got {text!r}")
    return value


def add_sinks(parser: argparse.ArgumentParser) -> None:
    """Declares what may be done with each detection, besides printing it."""
    parser.set_defaults(wrong_usage=parser.error)
    parser.add_argument(
        "--exec",
        metavar="COMMAND",
        help="run for each detection, which it finds as JSON on stdin and in ANCHORSTREAM_LABEL, _TIME_S and _SCORE",
    )
    parser.add_argument(
        "--save-clips", type=named_path, metavar="DIR", help="write the sound around each detection into DIR"
    )
    parser.add_argument(
        "--before", type=seconds, metavar="S", help=f"seconds of a clip before (default: {_BEFORE_S:g})"
    )
    parser.add_argument(
        "--after", type=seconds, metavar="S", help=f"seconds of a clip after (default: {_AFTER_S:g})"
    )


def command(args: argparse.Namespace, *, wait: bool = False) -> RunCommand | None:
    """What ``--exec`` asks for; a command that cannot be run is wrong usage."""
    from anchorstream.runtime import RunCommand

    if args.exec is None:
        return None
    try:
        return RunCommand(args.exec, wait=wait)
    except ValueError as error:
        args.wrong_usage(f"--exec: {error}")
        raise


def check_sinks(args: argparse.Namespace) -> None:
    """Ends with wrong usage where something goes with a sink that was not asked for."""
    if args.save_clips is None and (args.before, args.after) != (None, None):
        args.wrong_usage("--before and --after are lengths of clips, which go with --save-clips DIR")


def save_clips(
    args: argparse.Namespace, sample_rate_hz: int, name: str, *, wait: bool = False
) -> AbstractContextManager[SaveClips | None]:
    """What ``--save-clips`` asks for."""
    from anchorstream.runtime import SaveClips

    if args.save_clips is None:
        return nullcontext()
    return SaveClips(
        args.save_clips,
        sample_rate_hz=sample_rate_hz,
        before_s=_BEFORE_S if args.before is None else args.before,
        after_s=_AFTER_S if args.after is None else args.after,
        name=name,
        wait=wait,
    )


def check_motion(session: Session, model: Path, motion: Path | None) -> None:
    """Whether ``--motion`` goes with the model; says so on stderr where a sensor is left out.

    Raises:
        ValueError: if motion is given for a model that has no sensor.
    """
    channels = ", ".join(session.contract.motion)
    if motion is not None and not channels:
        raise ValueError(f"{model} hears audio alone and takes no --motion")
    if motion is None and channels:
        print(
            f"{model} has a motion sensor ({channels}); without --motion it is taken as off", file=sys.stderr
        )


def names(text: str) -> list[str]:
    """Names with commas between them, for ``type=`` of an argument."""
    parts = [name.strip() for name in text.split(",")]
    if text and not all(parts):
        raise argparse.ArgumentTypeError(f"expected names with commas between them, got {text!r}")
    return [name for name in parts if name]
