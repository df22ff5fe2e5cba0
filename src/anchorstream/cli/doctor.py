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

# What a user installs; `all` is these together but for Parquet, LiteRT and ExecuTorch, `dev` is for who works on the
# project.
_EXTRAS = (
    "runtime",
    "torch",
    "plot",
    "train",
    "synth",
    "tune",
    "parquet",
    "litert-runtime",
    "litert",
    "executorch",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Looks, and prints. What is optional and missing is no failure."""
    about = {
        "anchorstream": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_threads": _cpu_threads(),
    }
    packages = _packages()
    checks = [_gpu(), _model_runtime(), _litert(), _sound_files(), _microphone(), _synthetic_speech()]
    if args.json:
        print(json.dumps({**about, "packages": packages, "checks": checks}))
        return 0
    print(
        "anchorstream {anchorstream}, Python {python}, {platform}, {cpu_threads} CPU threads".format(**about)
    )
    for group, versions in packages.items():
        print(f"\n{group}")
        for name, version in versions.items():
            print(f"  {name:20} {version or 'missing'}")
        missing = [name for name, version in versions.items() if version is None]
        if missing:
            print(f"  -> pip install '{'anchorstream' if group == 'base' else f'anchorstream[{group}]'}'")
    print()
    for check in checks:
        print(f"{check['name']}: {check['finding']}")
        if check["remedy"]:
            print(f"  -> {check['remedy']}")
    return 0


def _cpu_threads() -> int | None:
    # Those that this process may use, where the system says so: fewer than there are in a container.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count()


def _packages() -> dict[str, dict[str, str | None]]:
    """For the base and each extra, the packages and their versions; ``None`` where one is missing."""
    groups: dict[str, dict[str, str | None]] = {group: {} for group in ("base", *_EXTRAS)}
    try:
        requirements = metadata.requires("anchorstream") or []
    except metadata.PackageNotFoundError:
        # Run from its sources: what it was made of is not on record.
        return {"base": {"anchorstream": None, "numpy": _version("numpy")}}
    for requirement in requirements:
        package, extra = (
            re.match(r"[\w.-]+", requirement),
            re.search(r"extra\s*==\s*['\"]([\w-]+)", requirement),
        )
        group = extra[1] if extra else "base"
        # An extra that takes in another one names this project.
        if package and package[0] != "anchorstream" and group in groups:
            groups[group][package[0]] = _version(package[0])
    return groups


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _check(name: str, finding: str, remedy: str = "") -> dict[str, Any]:
    return {"name": name, "finding": finding, "remedy": remedy}


def _load(package: str, extra: str) -> tuple[Any, str, str]:
    """The module, or ``None`` with what is wrong and what helps. A package may be there and still not load."""
    try:
        return importlib.import_module(package), "", ""
    except ModuleNotFoundError:
        return None, f"{package} is not installed", f"pip install 'anchorstream[{extra}]'"
    except (ImportError, OSError) as error:
        return None, f"{package} does not load: {error}", f"pip install --force-reinstall {package}"


def _gpu() -> dict[str, Any]:
    torch, finding, remedy = _load("torch", "train")
    if torch is None:
        return _check("GPU", f"{finding}; training needs it, detecting does not", remedy)
    if not torch.cuda.is_available():
        return _check("GPU", f"none that torch {torch.__version__} can use; training runs on the CPU")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return _check("GPU", f"CUDA {torch.version.cuda}: {', '.join(names)}")


def _model_runtime() -> dict[str, Any]:
    onnxruntime, finding, remedy = _load("onnxruntime", "runtime")
    if onnxruntime is not None:
        finding = f"onnxruntime {onnxruntime.__version__}, one CPU thread a model"
    return _check(".onnx files", finding, remedy)


def _litert() -> dict[str, Any]:
    litert, finding, remedy = _load("ai_edge_litert", "litert-runtime")
    if litert is not None:
        finding = f"ai-edge-litert {_version('ai-edge-litert')}"
    return _check(".tflite files", finding, remedy)


def _sound_files() -> dict[str, Any]:
    soundfile, finding, remedy = _load("soundfile", "runtime")
    if soundfile is not None:
        finding = f"{soundfile.__libsndfile_version__} (libsndfile): {', '.join(sorted(soundfile.available_formats()))}"
    return _check("sound files", finding, remedy)


def _microphone() -> dict[str, Any]:
    sounddevice, finding, remedy = _load("sounddevice", "runtime")
    if sounddevice is None:
        if "PortAudio" in finding:
            remedy = "install PortAudio (Debian: apt install libportaudio2; macOS: brew install portaudio)"
        return _check("microphone", finding, remedy)
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        return _check(
            "microphone", f"PortAudio cannot list the devices: {error}", "is a sound server running?"
        )
    inputs = [
        f"{index}: {device['name']}"
        for index, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]
    if not inputs:
        remedy = "plug one in, or feed audio by `anchorstream listen MODEL --stdin`"
        return _check("microphone", "no input device", remedy)
    return _check("microphone", ", ".join(inputs))


def _synthetic_speech() -> dict[str, Any]:
    loader, finding, remedy = _load("espeakng_loader", "synth")
    if loader is not None:
        finding = f"eSpeak NG in {loader.get_library_path()}"
    return _check("synthetic speech", finding, remedy)
