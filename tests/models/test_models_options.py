"""Options of networks are whole numbers: what torch would stumble over later is refused by name."""

import pytest

from anchorstream.models.registry import MODELS, build_model, model_options
from anchorstream.train.config import ModelConfig


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (
            "ds-tcn",
            {"dilations": [1.5]},
            r"each item of dilations of ds-tcn must be a whole number, got 1\.5",
        ),
        ("ds-tcn", {"dilations": [2.0]}, r"dilations of ds-tcn must be a whole number, got 2\.0"),
        ("ds-tcn", {"dilations": [True]}, "dilations of ds-tcn must be a whole number, got True"),
        ("ds-tcn", {"dilations": "12"}, "dilations of ds-tcn must be a list of up to 64, got '12'"),
        ("ds-tcn", {"dilations": 3}, "dilations of ds-tcn must be a list of up to 64, got 3"),
        ("ds-tcn", {"channels": 64.0}, r"channels of ds-tcn must be a whole number, got 64\.0"),
        ("mixednet", {"stride": 1.5}, r"stride of mixednet must be a whole number, got 1\.5"),
        ("mixednet", {"stride": True}, "stride of mixednet must be a whole number, got True"),
        ("mixednet", {"kernel_sizes": [5]}, "kernel_sizes of mixednet must be a list of up to 64, got 5"),
        ("mixednet", {"kernel_sizes": [[5.5]]}, r"kernel_sizes of mixednet must be a whole number, got 5\.5"),
        ("mdtc", {"stacks": 1.5}, r"stacks of mdtc must be a whole number, got 1\.5"),
        ("mdtc", {"stacks": 65}, "stacks from 1 to 64, got .*stacks=65"),
        ("crnn", {"units": 2.5}, r"units of crnn must be a whole number, got 2\.5"),
        ("gru", {"units": True}, "units of gru must be a whole number, got True"),
        ("gru", {"layers": "2"}, "layers of gru must be a whole number, got '2'"),
        ("lstm", {"layers": 65}, "layers from 1 to 64, got .*layers=65"),
        ("lstm", {"units": None}, "units of lstm must be a whole number, got None"),
    ],
)
def test_an_option_that_is_no_whole_number_is_named_with_its_value(model, options, reason):
    with pytest.raises(ValueError, match=reason):
        build_model(model, bands=4, classes=2, **options)
    with pytest.raises(ValueError, match=reason):
        ModelConfig(name=model, options=options)


@pytest.mark.parametrize("name", MODELS)
def test_the_defaults_are_options_too(name):
    assert build_model(name, bands=4, classes=2, **model_options(name)).name == name
