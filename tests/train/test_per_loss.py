"""Settings of single losses: applied to their own loss alone, and only where losses may differ."""

import pytest

from anchorstream.train.config_error import ConfigError
from anchorstream.train.per_loss import read_per_loss
from anchorstream.train.recipe import load_config

RECIPE = """
per_loss:
  sal: {optimiser.learning_rate: 0.02, losses.sal.peak: 7.0, task.label_after_s: 0.3}
  ce: {optimiser.learning_rate: 0.005}
"""


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


def test_each_loss_has_its_own_and_the_others_the_recipes(recipe) -> None:
    sal, ce, focal = (load_config(recipe, [f"loss={loss}"]) for loss in ("sal", "ce", "focal"))
    assert (sal.optimiser.learning_rate, sal.loss_options["peak"], sal.task.label_after_s) == (0.02, 7.0, 0.3)
    assert (ce.optimiser.learning_rate, ce.task.label_after_s) == (0.005, 0.4)
    assert focal.optimiser.learning_rate == 0.01
    # The default loss is sal.
    assert load_config(recipe) == sal


def test_an_override_is_stronger_and_what_was_applied_is_written_once(recipe, tmp_path) -> None:
    config = load_config(recipe, ["optimiser.learning_rate=0.03", "losses.sal={peak: 2.0}"])
    assert (config.optimiser.learning_rate, config.loss_options) == (0.03, {"peak": 2.0})
    assert config.task.label_after_s == 0.3
    written = tmp_path / "config.yaml"
    written.write_text(config.to_yaml())
    assert load_config(written) == config


def test_a_tuning_stands_in_the_place_of_the_recipes_own(recipe, tmp_path) -> None:
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "best.yaml").write_text("per_loss: {sal: {losses.sal.peak: 3.0}}")
    for path in (tmp_path / "tuned", tmp_path / "tuned" / "best.yaml"):
        config = load_config(recipe, tuned=read_per_loss(path))
        assert (config.loss_options["peak"], config.optimiser.learning_rate) == (3.0, 0.01)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("[sal]", "expected a loss, then its settings"),
        ("{sall: {}}", "there is no loss 'sall'"),
        ("{sal: 3}", "per_loss.sal"),
        ("{ce: {optimiser.epochs: 3}}", "'optimiser.epochs' cannot differ between losses"),
        ("{ce: {losses.sal.peak: 3}}", "'losses.sal.peak' cannot differ"),
        ("{ce: {task.late_s: 3}}", "'task.late_s' cannot differ"),
        ("{sal: {losses.sal.peek: 3}}", "peek"),
        ("{sal: {optimiser.learning_rate: -1}}", "learning_rate"),
    ],
)
def test_what_is_wrong_is_told_with_all_else(tmp_path, section, told) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(f"per_loss: {section}")
    with pytest.raises(ConfigError) as error:
        load_config(file, ["sead=1"])
    assert told in str(error.value)
    assert any(told in problem for problem in error.value.problems)
    assert "sead" in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"), [(None, "is not there"), ("seed: 1", "no section per_loss"), ("{", "no valid YAML")]
)
def test_a_file_that_is_no_tuning_is_told(tmp_path, text, told) -> None:
    if text is not None:
        (tmp_path / "best.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_per_loss(tmp_path)
