"""A finished run becomes a file that says what it was trained on and what its thresholds gave."""

import json

import onnx
import pytest

from anchorstream.decode import DecoderSettings
from anchorstream.export import export_run
from anchorstream.export.run import _shortened, _training
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime.contract import METADATA_KEY, Contract
from anchorstream.train.config import Config
from anchorstream.train.run import CONFIG_FILE, DATA_FILE, MODEL_FOLDER, SUMMARY_FILE, open_run

ORIGINS = [{"source": "a studio", "licence": "CC BY 4.0", "clips": 12}]
SKIPPED = [{"path": f"{number}.wav", "reason": "damaged"} for number in range(10_000)]
POINT = {"label": "computer", "rate": 1.0, "threshold": 0.4, "miss_rate": 0.2}


@pytest.fixture
def run(tmp_path):
    config = Config(loss="sal", losses={"sal": {"peak": 4.0}}, seed=7)
    (tmp_path / CONFIG_FILE).write_text(config.to_yaml())
    (tmp_path / DATA_FILE).write_text(
        json.dumps({"origins": ORIGINS, "tallies": [], "notes": [], "skipped": SKIPPED})
    )
    summary = {"epochs": 3, "parameters": 1000, "dev_operating_points": {"computer": [POINT]}}
    (tmp_path / SUMMARY_FILE).write_text(json.dumps(summary))
    StreamingDetector.build("gru", labels=["computer"], options={"units": 8}).save(tmp_path / MODEL_FOLDER)
    return open_run(tmp_path)


def test_the_file_says_what_is_known_of_the_run(run, tmp_path):
    path = export_run(run, tmp_path / "out" / "computer.onnx", DecoderSettings(threshold={"computer": 0.4}))
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    contract = Contract.from_json(metadata[METADATA_KEY])
    assert contract.labels == ("computer",)
    assert contract.decoder["threshold"] == {"computer": 0.4}
    assert contract.operating_points == [{"split": "dev", "snr_db": 10.0, **POINT}]
    assert contract.training["data"]["origins"] == ORIGINS
    assert contract.training["data"]["skipped"] == {"files": 10_000, "first": SKIPPED[:10]}
    assert (contract.training["loss"], contract.training["loss_options"]) == ("sal", {"peak": 4.0})
    assert (contract.training["seed"], contract.training["parameters"]) == (7, 1000)


def test_a_run_that_has_not_finished_is_refused(run, tmp_path):
    (tmp_path / SUMMARY_FILE).unlink()
    with pytest.raises(ValueError, match="has not finished"):
        export_run(open_run(tmp_path), tmp_path / "model.onnx", DecoderSettings())


def test_thousands_of_sources_are_counted_by_licence(run):
    sources = [
        {"source": f"https://example.org/sounds/{number}/", "licence": licence, "clips": clips}
        for number, licence, clips in [
            *((number, "CC0", 1) for number in range(12_000)),
            *((number, None, 2) for number in range(8_000)),
            *((number, "CC BY 4.0", 3) for number in range(99)),
        ]
    ]
    shortened = _shortened(sources)
    assert shortened[:99] == sources[-99:]
    assert shortened[99] == sources[12_000]
    assert shortened[100:] == [
        {"source": "7,999 further sources", "licence": None, "clips": 2 * 7_999},
        {"source": "12,000 further sources", "licence": "CC0", "clips": 12_000},
    ]
    audit = {"origins": sources, "tallies": [], "notes": [], "skipped": SKIPPED}
    (run.folder / DATA_FILE).write_text(json.dumps(audit))
    assert len(json.dumps(_training(run))) < 20_000


def test_a_hundred_sources_are_all_named_in_their_order():
    sources = [{"source": str(number), "licence": None, "clips": number} for number in range(100)]
    assert _shortened(sources) == sources


@pytest.mark.parametrize(
    "text", ['{"epochs": 1, "par', "{}", "[]", "null", "\xff", "[" * 100_000], ids=lambda text: text[:10]
)
@pytest.mark.parametrize("name", [SUMMARY_FILE, DATA_FILE])
def test_a_damaged_file_of_a_run_is_named_with_what_to_do(run, tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=rf"{tmp_path / name} is damaged: .*; bring it back .* train into"):
        export_run(open_run(tmp_path), tmp_path / "model.onnx", DecoderSettings())


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (SUMMARY_FILE, "dev_operating_points"),
        (SUMMARY_FILE, "parameters"),
        (DATA_FILE, "origins"),
        (DATA_FILE, "skipped"),
    ],
)
def test_a_file_of_a_run_that_lacks_something_is_named_with_it(run, tmp_path, name, key):
    values = json.loads((tmp_path / name).read_text())
    del values[key]
    (tmp_path / name).write_text(json.dumps(values))
    with pytest.raises(ValueError, match=rf"{tmp_path / name} is damaged: it has no '{key}'"):
        export_run(open_run(tmp_path), tmp_path / "model.onnx", DecoderSettings())
