"""What the package holds: each model is the file of its card, opens, and all of them together are small."""

import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from anchorstream.models.weights import read_weights
from anchorstream.runtime import Detector, Session
from anchorstream.shipped import FOLDER, read_card, shipped_names

ROOT = Path(__file__).parents[2]
LARGEST_BYTES = 3_000_000


@pytest.fixture(
    params=shipped_names() or [pytest.param("", marks=pytest.mark.skip(reason="no model ships yet"))]
)
def card(request):
    return read_card(FOLDER / f"{request.param}.json")


def test_all_files_together_are_small():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES


def test_there_is_no_file_without_a_card():
    known = {"README.md"}
    for name in shipped_names():
        known |= {f"{name}.json", f"{name}.md", *read_card(FOLDER / f"{name}.json").files}
    assert {path.name for path in FOLDER.iterdir()} == known


def test_the_files_are_those_of_the_card(card):
    card.check_files(FOLDER)
    assert {f"{card.name}.onnx", f"{card.name}.safetensors"} <= set(card.files)


def test_the_card_in_words_says_the_same(card):
    text = (FOLDER / f"{card.name}.md").read_text(encoding="utf-8")
    for name, about in card.files.items():
        assert name in text
        assert about["sha256"] in text


def test_the_model_is_what_its_card_says(card):
    session = Session.open(card.name)
    assert session.contract.labels == card.labels
    assert session.contract.decoder == card.values["decoder"]
    assert 1000 * session.contract.hop_s == pytest.approx(card.values["cost"]["hop_ms"])
    with Detector.open(card.name) as detector:
        # Two seconds of silence.
        assert detector.push(np.zeros(32_000, dtype=np.int16)) == []
        assert detector.posteriors.max() < 0.5


def test_the_weights_are_those_of_the_model(card):
    detector = read_weights(FOLDER / f"{card.name}.safetensors")
    assert detector.labels == card.labels
    session = Session.open(FOLDER / f"{card.name}.onnx")
    rng = np.random.default_rng(0)
    pcm = (0.1 * rng.standard_normal((1, 50 * session.contract.hop_samples))).astype(np.float32)
    posteriors, _ = session.step(pcm, session.init_state())

    import torch

    with torch.inference_mode():
        expected = detector.posteriors(detector(torch.from_numpy(pcm))).numpy()
    # The matrices of the file have 16 bits.
    np.testing.assert_allclose(posteriors, expected, atol=0.02)


@pytest.mark.skipif(find_spec("ai_edge_litert") is None, reason="needs anchorstream[litert-runtime]")
def test_the_8_bit_file_differs_by_no_more_than_the_card_says(card):
    lite = FOLDER / f"{card.name}.tflite"
    if not lite.is_file():
        pytest.skip("this model has none")
    rounded, exact = Session.open(lite), Session.open(lite.with_suffix(".onnx"))
    assert rounded.contract.quantisation == card.values["quantisation"]
    for name in ("labels", "decoder", "hop_samples", "motion", "states"):
        assert getattr(rounded.contract, name) == getattr(exact.contract, name)
    rng = np.random.default_rng(0)
    pcm = (0.1 * rng.standard_normal((1, 100 * exact.contract.hop_samples))).astype(np.float32)
    one, other = (session.step(pcm, session.init_state())[0] for session in (rounded, exact))
    assert np.abs(one - other).max() <= 2 * card.values["quantisation"]["posterior_drift"]["max"]


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is not installed here"
)
def test_the_wheel_holds_them(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    # Something to hold, also while none ships.
    (source / "src/anchorstream/shipped/models/made-up.onnx").write_bytes(b"onnx")
    (source / "src/anchorstream/shipped/models/made-up.json").write_text("{}")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for path in (source / "src/anchorstream/shipped/models").iterdir():
        assert f"anchorstream/shipped/models/{path.name}" in inside
