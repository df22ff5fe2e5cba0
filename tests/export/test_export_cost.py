"""What a network costs: counted from it, timed on its file."""

import json

import pytest

from anchorstream.export import cost
from anchorstream.export.cost import model_cost
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_the_costs_are_those_of_the_detector(name, monkeypatch):
    monkeypatch.setattr(cost, "_timed", lambda detector, repeats: (3.0, 1.0))
    found = model_cost(PRESETS[name])
    detector = StreamingDetector.build(PRESETS[name].model, labels=["a"], options=PRESETS[name].options)
    assert found.parameters == detector.parameter_count
    assert found.state_size == detector.state_size
    assert found.macs_per_second == detector.macs_per_second()
    assert found.receptive_field_s == detector.receptive_field_s
    assert found.delay_ms == (30.0 if name == "mixednet" else 10.0)
    assert (found.cpu_ms_per_second_by_hop, found.cpu_ms_per_second_by_block) == (3.0, 1.0)
    assert json.loads(json.dumps(found.to_dict()))["name"] == name


def test_a_network_is_timed_on_its_file(monkeypatch):
    """A clock of which each reading is one second later: every run takes a second for its two of audio."""
    ticks = iter(range(1000))
    monkeypatch.setattr(cost.time, "process_time", lambda: next(ticks))
    found = model_cost(PRESETS["mixednet"], repeats=3)
    assert (found.cpu_ms_per_second_by_hop, found.cpu_ms_per_second_by_block) == (500.0, 500.0)
    assert next(ticks) == 2 * 2 * 3


def test_the_time_is_the_median_over_the_repeats(monkeypatch):
    readings = iter([0, 1, 10, 12, 20, 29])  # 1, 2 and 9 seconds for two of audio
    monkeypatch.setattr(cost.time, "process_time", lambda: next(readings))
    runs = []
    assert cost._cpu_ms_per_second(lambda: runs.append(1), repeats=3) == 1000.0
    assert len(runs) == 4  # one to warm up
