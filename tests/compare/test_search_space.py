"""Where tuning looks: each loss in its own options, and in what all of them have."""

import pytest

from anchorstream import losses
from anchorstream.compare.search_space import _OPTIONS, search_space, settings_of
from anchorstream.compare.tuning import with_settings
from anchorstream.train.config_error import ConfigError
from anchorstream.train.recipe import load_config

SHARED = ["learning_rate", "label_before_s", "label_after_s"]


def names(*overrides: str, recipe: str = "keyword") -> list[str]:
    return [one.name for one in search_space(load_config(recipe, overrides))]


def test_every_loss_has_a_space_of_options_that_it_has() -> None:
    assert set(_OPTIONS) == set(losses.LOSS_NAMES)
    for loss, options in _OPTIONS.items():
        assert {option.name for option in options} <= set(losses.loss_options(loss))


def test_each_loss_is_searched_in_what_it_has() -> None:
    assert names("loss=ce") == SHARED
    assert names("loss=focal") == [*SHARED, "gamma"]
    assert names("loss=sal") == [*SHARED, "peak", "scale", "scale_after"]
    assert names("loss=safl") == names("loss=sa+fl") == [*SHARED, "peak", "scale", "scale_after", "gamma"]
    assert names("loss=max-pool") == SHARED
    assert names("loss=ce", recipe="onset") == ["learning_rate"]
    assert names("loss=ce", recipe="trigger") == ["learning_rate", "label_after_s"]


@pytest.mark.parametrize("recipe", ["keyword", "onset", "trigger"])
@pytest.mark.parametrize("loss", losses.LOSS_NAMES)
def test_the_recipe_lies_within_and_both_ends_can_be_trained(recipe, loss) -> None:
    weights = "losses.wce={class_weight: [1, 5]}"
    config = load_config(recipe, [f"loss={loss}", weights])
    ranges = search_space(config)
    assert all(one.low <= one.own <= one.high and one.low < one.high for one in ranges)
    own = with_settings(config, settings_of(config, ranges, {one.key: one.own for one in ranges}))
    options, asked = ({**losses.loss_options(loss), **one.loss_options} for one in (own, config))
    # As far after the anchor as before it: that is what none means.
    if asked.get("scale_after", 0) is None:
        asked["scale_after"] = asked["scale"]
    assert options == asked
    assert own.model_copy(update={"losses": config.losses}) == config
    for end in ("low", "high"):
        values = {one.key: getattr(one, end) for one in ranges}
        with_settings(config, settings_of(config, ranges, values))


def test_a_recipe_beyond_a_range_widens_it_and_seconds_are_frames_of_the_network() -> None:
    ranges = {one.name: one for one in search_space(load_config("keyword", ["losses.sal.peak=90"]))}
    assert (ranges["peak"].own, ranges["peak"].high) == (90.0, 90.0)
    assert (ranges["scale"].low, ranges["scale"].high) == (3.0, 100.0)
    assert ranges["scale_after"].own == ranges["scale"].own == 20.0
    slower = {one.name: one for one in search_space(load_config("keyword", ["model.name=mixednet"]))}
    assert (slower["scale"].low, slower["scale"].high) == (1.0, pytest.approx(100 / 3, abs=1e-3))
    seconds = "losses.sal={scale: 0.2, frame_rate_hz: 100}"
    timed = {one.name: one for one in search_space(load_config("keyword", [seconds]))}
    assert (timed["scale"].low, timed["scale"].own, timed["scale"].high) == (0.03, 0.2, 1.0)


def test_class_weights_are_one_number_for_all_labels() -> None:
    config = load_config(
        "keyword", ["loss=wce", "task.keywords=[a, b]", "losses.wce.class_weight=[0.5, 2, 2]"]
    )
    ranges = search_space(config)
    values = {one.key: one.own for one in ranges}
    assert values["losses.wce.class_weight"] == 4.0
    values["losses.wce.class_weight"] = 8.12345
    assert settings_of(config, ranges, values)["losses.wce.class_weight"] == [0.5, 4.0615, 4.0615]


@pytest.mark.parametrize(
    "override",
    ["losses.sal.peak=[1, 4]", "losses.sal.scale_after=[10, 20]", "loss=wce", "losses.sal.scale=-3"],
)
def test_what_is_no_number_to_be_searched_is_told(override) -> None:
    with pytest.raises(ConfigError, match=r"sal|wce"):
        search_space(
            load_config("keyword", ["task.keywords=[a]", "losses.wce.class_weight=[[1, 2]]", override])
        )
