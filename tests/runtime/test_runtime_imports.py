"""What runs on a device needs numpy and onnxruntime: a fresh interpreter never sees torch and its company."""

import json
import subprocess
import sys

import pytest
import soundfile

import tiny_model

HEAVY = [
    "torch",
    "pytorch_lightning",
    "scipy",
    "matplotlib",
    "pydantic",
    "onnx",
    "pyarrow",
    "anchorstream.train",
]

_REPORT = f"""
import json, sys
print(json.dumps([name for name in {HEAVY} if name in sys.modules]), file=sys.stderr)
"""


def heavy_after(code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", code + _REPORT], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "module", ["runtime", "decode", "metrics", "score", "frames", "features.motion", "cli.main"]
)
def test_importing(module, tmp_path):
    assert heavy_after(f"import anchorstream.{module}", tmp_path) == []


@pytest.mark.parametrize("module", ["onnxruntime", "soundfile", "soxr", "sounddevice"])
def test_the_runtime_is_imported_without_its_parts(module, tmp_path):
    code = f"import sys; sys.modules[{module!r}] = None; import anchorstream.runtime"
    assert heavy_after(code, tmp_path) == []


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_detecting_in_a_file(model_path, tmp_path, rate_hz):
    samples = tiny_model.stream(1.0, [0.5], rate_hz=rate_hz, hz=500)
    soundfile.write(tmp_path / "burst.wav", samples, rate_hz)
    code = f"""
from anchorstream.cli.main import main
assert main(["detect", {str(model_path)!r}, "burst.wav", "--json", "--posteriors", "out"]) == 0
"""
    assert heavy_after(code, tmp_path) == []
    assert (tmp_path / "out" / "burst.npz").is_file()
