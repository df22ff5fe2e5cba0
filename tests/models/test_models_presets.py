"""The documented sizes: one for every network, each of the size that the docs say."""

import pytest

from anchorstream.models.presets import PRESETS
from anchorstream.models.registry import MODELS

SIZES = {
    "ds-tcn": (23_000, 27_000),
    "ds-tcn-small": (20_500, 21_500),
    "ds-tcn-large": (265_000, 295_000),
    "mdtc": (30_000, 33_000),
    "mixednet": (23_000, 27_000),
    "gru": (43_000, 55_000),
    "gru-large": (190_000, 210_000),
    "lstm": (57_000, 64_000),
    "crnn": (22_000, 27_000),
}


def test_every_network_has_a_preset_of_its_name_with_its_defaults():
    for name in MODELS:
        assert (PRESETS[name].model, dict(PRESETS[name].options)) == (name, {})
    assert set(PRESETS) == set(SIZES)
    assert all(name == preset.name and preset.purpose for name, preset in PRESETS.items())


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_docs(name):
    network = PRESETS[name].build(bands=40, classes=2)
    low, high = SIZES[name]
    assert low <= sum(parameter.numel() for parameter in network.parameters()) <= high
    assert network.name == PRESETS[name].model


def test_what_differs_from_the_defaults_is_an_option_of_the_network():
    network = PRESETS["ds-tcn-large"].build(bands=40, classes=2)
    assert network.options == {"kernel_size": 5, "channels": 192, "dilations": [1, 1, 2, 2, 4, 8, 16]}
    assert PRESETS["gru-large"].build(bands=40, classes=2).options == {"units": 144, "layers": 2}


def test_the_small_preset_looks_back_as_far_as_the_default():
    small, default = (PRESETS[name].build(bands=40, classes=2) for name in ("ds-tcn-small", "ds-tcn"))
    assert small.receptive_field_frames == default.receptive_field_frames
