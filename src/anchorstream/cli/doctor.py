"""``anchorstream doctor``: what this machine has, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import re
from importlib import metadata
from typing import Any

from anchorstream import __version__

EXAMPLE = """\
examples:
  anchorstream doctor
  anchorstream doctor --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Looks, and prints. What is optional and missing is no failure."""
    python, machine, threads = platform.python_version(), platform.platform(), os.cpu_count()
    extras, checks = _extras(), [_torch(), _microphone(), _synthetic_speech()]
    if args.json:
        about = {"anchorstream": __version__, "python": python, "platform": machine, "cpu_threads": threads}
        print(json.dumps({**about, "extras": extras, "checks": checks}))
        return 0
    print(f"anchorstream {__version__}, Python {python}, {machine}, {threads} CPU threads")
    for extra, packages in extras.items():
        missing = [name for name, version in packages.items() if version is None]
        remedy = f"missing: {', '.join(missing)}\n  -> pip install 'anchorstream[{extra}]'"
        print(f"\n{extra}: {remedy if missing else 'ok'}")
        for name, version in packages.items():
            print(f"  {name:20} {version or 'missing'}")
    print()
    for check in checks:
        print(f"{check['name']}: {check['finding']}")
        if check["remedy"]:
            print(f"  -> {check['remedy']}")
    return 0


def _extras() -> dict[str, dict[str, str | None]]:
    """For each extra that a user installs, its packages and their versions; ``None`` where one is missing."""
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in metadata.requires("anchorstream") or []:
        match = re.match(r"([\w.-]+)[^;]*;\s*extra\s*==\s*['\"](\w+)['\"]", requirement)
        if match and match[1] != "anchorstream" and match[2] in ("torch", "runtime", "train", "synth"):
            extras.setdefault(match[2], {})[match[1]] = _version(match[1])
    return extras


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _check(name: str, finding: str, remedy: str = "") -> dict[str, Any]:
    return {"name": name, "finding": finding, "remedy": remedy}


def _torch() -> dict[str, Any]:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return _check("GPU", "torch is not installed; training needs it, detecting does not")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return _check("GPU", ", ".join(names))
    return _check("GPU", "none that torch can use; training runs on the CPU")


def _microphone() -> dict[str, Any]:
    try:
        sounddevice = importlib.import_module("sounddevice")
    except ImportError:
        return _check("microphone", "sounddevice is not installed", "pip install 'anchorstream[runtime]'")
    except OSError as error:
        return _check("microphone", str(error), "install PortAudio (Debian: apt install libportaudio2)")
    inputs = [device["name"] for device in sounddevice.query_devices() if device["max_input_channels"] > 0]
    if not inputs:
        return _check(
            "microphone", "no input device", "plug one in, or feed audio by `anchorstream listen --stdin`"
        )
    return _check("microphone", ", ".join(inputs))


def _synthetic_speech() -> dict[str, Any]:
    try:
        loader = importlib.import_module("espeakng_loader")
    except ImportError:
        return _check("synthetic speech", "eSpeak NG is not installed", "pip install 'anchorstream[synth]'")
    return _check("synthetic speech", f"eSpeak NG in {loader.get_library_path()}")
