"""The entry: finds the command, imports it alone, and turns errors into one clear line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from anchorstream import __version__

#: Each command is the module ``anchorstream.cli.NAME`` with ``add_arguments(parser)`` and ``run(args) -> exit code``.
COMMANDS = {
    "demo": "the whole chain on synthetic speech, or on recordings of one's own",
    "inspect": "what a recipe trains on, drawn and audible",
    "compare": "losses and networks against each other, on the same streams",
    "tune": "settings of each loss, searched on dev",
    "train": "from a recipe to a trained detector",
    "adapt": "a detector taught to hear people whom it misses",
    "evaluate": "misses, false alarms and latency of a trained detector",
    "score": "the same of any engine's posteriors or detections",
    "export": "one model file that runs without torch",
    "info": "what a model file says of itself",
    "verify": "whether a model file still equals the network of a run",
    "detect": "a model over audio files",
    "listen": "a model on the microphone or on standard input",
    "models": "the models that ship, and the networks",
    "doctor": "what is installed, what is missing, how to get it",
}

_EXAMPLE = """\
examples:
  anchorstream demo
  anchorstream train keyword data=my_recordings "task.keywords=[computer]"
  anchorstream COMMAND --help"""

# The extra of pyproject.toml that holds what a command needs; `train` has that of the others.
_EXTRAS = {"demo": "all", "detect": "runtime", "listen": "runtime", "info": "runtime"}

# Packages of an extra of their own: synthetic speech, whose engine has another licence, the search
# over settings, and the formats of a model.
_PACKAGE_EXTRAS = {
    "espeakng_loader": "synth",
    "optuna": "tune",
    "litert_torch": "litert",
    "ai_edge_quantizer": "litert",
    "ai_edge_litert": "litert-runtime",
    "executorch": "train,executorch",
}

_DEBUG = "ANCHORSTREAM_DEBUG"

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Raises:
        SystemExit: for ``--help``, ``--version`` and wrong usage, as argparse does.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    # Closed by who started us: what goes there is for nobody, and must not go to the other one.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file may have a name, and a model a label, that the terminal's encoding does not have.
        sys.stdout.reconfigure(errors="backslashreplace")
    if not argv or argv[0] not in COMMANDS:
        _main_parser().parse_args(argv or ["--help"])
        return USAGE
    try:
        code = _run(argv[0], argv[1:])
        # Here, while a full disk or a reader that has gone can still be told.
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nanchorstream: interrupted; what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough (`| head`): no error, but not everything was said.
        return FAILED
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if os.environ.get(_DEBUG):
            traceback.print_exc()
        print(f"anchorstream: error: {_explain(error, argv[0])}", file=sys.stderr)
        return USAGE if type(error).__name__ == "ConfigError" else FAILED
    finally:
        _settle_stdout()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _run(name: str, argv: Sequence[str]) -> int:
    command = importlib.import_module(f"anchorstream.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"anchorstream {name}",
        description=(command.__doc__ or "").partition(": ")[2].partition("\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    command.add_arguments(parser)
    # Intermixed, so that options may stand between files and overrides.
    args = parser.parse_intermixed_args(argv)
    if args.debug:
        os.environ[_DEBUG] = "1"
    code: int = command.run(args)
    return code


def _main_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anchorstream",
        description="Trains, measures and runs streaming detectors.",
        epilog="commands:\n"
        + "\n".join(f"  {name:9} {line}" for name, line in COMMANDS.items())
        + "\n\n"
        + _EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"anchorstream {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do, see below")
    return parser


def _settle_stdout() -> None:
    """What cannot be written is given up, or the interpreter would try again at exit and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: Exception, command: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and not find_spec(error.name.partition(".")[0]):
        extra = _PACKAGE_EXTRAS.get(error.name.partition(".")[0]) or _EXTRAS.get(command, "train")
        return (
            f"this command needs the package {error.name}; install with: pip install 'anchorstream[{extra}]'"
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        what = error.filename or "the output"
        return f"the disk is full: {what} was not written; free some space and run this again"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
