"""Doctor: what is there, what is missing, and how to get it; never a failure."""

import json
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest


def findings(result):
    return {check["name"]: check for check in json.loads(result.out)["checks"]}


@pytest.fixture
def microphones(monkeypatch):
    class PortAudioError(Exception):
        pass

    def make(devices):
        def query():
            if isinstance(devices, str):
                raise PortAudioError(devices)
            return devices

        fake = SimpleNamespace(query_devices=query, PortAudioError=PortAudioError)
        monkeypatch.setitem(sys.modules, "sounddevice", fake)

    return make


def test_every_extra_is_listed_with_its_packages(cli):
    packages = json.loads(cli("doctor", "--json").out)["packages"]
    assert list(packages) == [
        "base",
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
    ]
    assert packages["base"] == {"numpy": np.__version__}
    assert set(packages["runtime"]) == {"onnxruntime", "soundfile", "soxr", "sounddevice", "rich"}
    assert packages["runtime"]["soxr"] == metadata.version("soxr")


def test_a_missing_package_is_named_with_its_remedy(cli, monkeypatch):
    known = metadata.version

    def version(package):
        if package == "soxr":
            raise metadata.PackageNotFoundError(package)
        return known(package)

    monkeypatch.setattr(metadata, "version", version)
    result = cli("doctor")
    assert result.code == 0
    assert "  soxr                 missing\n" in result.out
    assert "  -> pip install 'anchorstream[runtime]'\n" in result.out


def test_microphones_are_listed_by_number(cli, microphones):
    microphones(
        [
            {"name": "speakers", "max_input_channels": 0},
            {"name": "headset", "max_input_channels": 1},
            {"name": "array", "max_input_channels": 4},
        ]
    )
    assert findings(cli("doctor", "--json"))["microphone"]["finding"] == "1: headset, 2: array"


def test_no_microphone_is_no_failure(cli, microphones):
    microphones([{"name": "speakers", "max_input_channels": 0}])
    result = cli("doctor")
    assert result.code == 0
    assert "microphone: no input device\n  -> plug one in" in result.out


def test_a_sound_system_that_fails_is_no_failure_of_doctor(cli, microphones):
    microphones("no server")
    result = cli("doctor", "--json")
    assert result.code == 0
    assert "no server" in findings(result)["microphone"]["finding"]


@pytest.mark.parametrize(
    ("package", "check", "remedy"),
    [
        ("torch", "GPU", "pip install 'anchorstream[train]'"),
        ("onnxruntime", ".onnx files", "pip install 'anchorstream[runtime]'"),
        ("ai_edge_litert", ".tflite files", "pip install 'anchorstream[litert-runtime]'"),
        ("soundfile", "sound files", "pip install 'anchorstream[runtime]'"),
        ("sounddevice", "microphone", "pip install 'anchorstream[runtime]'"),
        ("espeakng_loader", "synthetic speech", "pip install 'anchorstream[synth]'"),
    ],
)
def test_what_is_not_installed_comes_with_its_remedy(cli, monkeypatch, package, check, remedy):
    monkeypatch.setitem(sys.modules, package, None)
    result = cli("doctor", "--json")
    assert result.code == 0
    found = findings(result)[check]
    assert f"{package} is not installed" in found["finding"]
    assert found["remedy"] == remedy


def test_numpy_alone_is_enough():
    """As after `pip install anchorstream`: every other package is refused by the import system."""
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "anchorstream", "numpy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
from anchorstream.cli.main import main
sys.exit(main(["doctor"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("is not installed") == 6
