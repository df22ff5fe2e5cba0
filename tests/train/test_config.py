import pytest
import torch

from anchorstream.models.registry import MODELS
from anchorstream.tasks import KeywordTask, SpeechOnsetTask
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.recipe import load_config, shipped_recipes


def test_the_shipped_recipe_loads_and_overrides_reach_it() -> None:
    config = load_config(
        "keyword", ["seed=7", "task.keywords=[alexa, jarvis]", "losses.sal.peak=9", "mix.snr_db=[5, 5]"]
    )
    assert config.seed == 7
    assert config.task.keywords == ("alexa", "jarvis")
    assert config.loss_options["peak"] == 9
    assert config.mix.snr_db == (5.0, 5.0)


def test_a_network_may_be_named_alone() -> None:
    config = load_config("keyword", ["model=gru"])
    assert config.model.name == "gru"
    assert config == load_config("keyword", ["model={name: gru}"])
    with pytest.raises(ConfigError, match=r"model\.name: unknown model 'grru' \(did you mean 'gru'\?\)"):
        load_config("keyword", ["model=grru"])


def test_words_are_words_and_numbers_numbers() -> None:
    config = load_config(
        "keyword",
        ["task.keywords=[yes, no, on, off]", "losses.sal.scale=1e1", "data=my recordings #1", "loss=sal"],
    )
    assert config.task.keywords == ("yes", "no", "on", "off")
    assert config.loss_options["scale"] == 10.0
    assert config.data == "my recordings #1"
    with pytest.raises(
        ConfigError, match=r"task.keywords: expected a list, such as \[computer\], got 'computer'"
    ):
        load_config("keyword", ["task.keywords=computer"])
    with pytest.raises(ConfigError, match="sal: reduction 'none' leaves no single number to train by"):
        load_config("keyword", ["losses.sal.reduction=none"])
    with pytest.raises(ConfigError, match=r"learning_rate: .*finite number"):
        load_config("keyword", ["optimiser.learning_rate=.inf"])


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    assert isinstance(load_config(name), Config)


def test_a_configuration_survives_being_written_and_read(tmp_path) -> None:
    config = load_config("keyword", ["loss=sa+fl", "data=here/ünïcode"])
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(file) == config


def test_all_errors_are_reported_at_once() -> None:
    overrides = [
        "optimiser.epoch=3",
        "optimiser.batch_size=many",
        "loss=sall",
        "model.name=resnet",
        "task.keyword=[x]",
        "mix.snr=[1, 2]",
        "sead=1",
        "losses.sal.peek=3",
        "nonsense",
    ]
    with pytest.raises(ConfigError) as error:
        load_config("keyword", overrides)
    text = str(error.value)
    assert "9 error(s)" in text
    assert "optimiser.epoch: unknown key (did you mean 'epochs'?)" in text
    assert "optimiser.batch_size" in text
    assert "'many'" in text
    assert "did you mean 'sal'?" in text
    assert "unknown model 'resnet'" in text
    assert "'keyword' (did you mean 'keywords'?)" in text
    assert "'snr' (did you mean 'snr_db'?)" in text
    assert "sead: unknown key (did you mean 'seed'?)" in text
    assert "peek" in text
    assert "'nonsense': an override reads key=value" in text


def test_a_keyword_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="named again: alexa"):
        load_config("keyword", ["task.keywords=[alexa, alexa]"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model={name: gru, options: {unit: 8}}",
            "model 'gru' has no option unit; its options are units, layers",
        ),
        (
            "model={name: mixednet, options: {stride: 9}}",
            "mixednet needs stride >= 1 and first_kernel_size > stride",
        ),
        ("model={name: lstm, options: {units: many}}", "options of lstm"),
        ("model={name: ds-tcn, options: {bands: 3}}", "options of ds-tcn"),
    ],
)
def test_wrong_options_of_a_network_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("keyword", [override])


def test_a_configuration_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for name in MODELS:
        load_config("keyword", [f"model.name={name}"])
    assert torch.equal(torch.rand(3), expected)


def test_a_recipe_that_is_not_there_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'keywrd'.*keyword"):
        load_config("keywrd")


@pytest.mark.parametrize("text", ["- a list", "a: [unclosed", "just words"])
def test_a_recipe_that_is_no_mapping_is_refused(tmp_path, text: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        load_config(file)


def test_yaml_in_a_recipe_cannot_run_code(tmp_path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("!!python/object/apply:os.system ['true']", encoding="utf-8")
    with pytest.raises(ConfigError, match="no valid YAML"):
        load_config(file)


def test_a_recipe_without_a_task_name_spots_keywords(tmp_path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text("task:\n  keywords: [alexa]\n  label_after_s: 0.3\n", encoding="utf-8")
    config = load_config(file, ["task.late_s=0.5"])
    assert config.task == KeywordTask(keywords=("alexa",), label_after_s=0.3, late_s=0.5)
    file.write_text("seed: 3\n", encoding="utf-8")
    assert load_config(file).task == KeywordTask()


def test_the_name_chooses_the_task_and_its_options(tmp_path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("task: {name: onset}\n", encoding="utf-8")
    config = load_config(file, ["task.hang_over_s=0.5"])
    assert config.task == SpeechOnsetTask(hang_over_s=0.5)
    file.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(file) == config


def test_wrong_options_of_motion_are_reported_with_the_others(tmp_path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "task: {name: trigger, input: [audio]}\n"
        "motion: {raise_shar: 0.5}\n"
        "motion_data: {foldr: wrists, gravity: perhaps}\n"
        "sead: 1\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as error:
        load_config(file)
    text = str(error.value)
    assert "5 error(s)" in text
    assert "task: unknown key 'input' (did you mean 'inputs'?)" in text
    assert "motion: unknown key 'raise_shar' (did you mean 'raise_share'?)" in text
    assert "motion_data.foldr: unknown key (did you mean 'folder'?)" in text
    assert "motion_data.gravity: " in text
    assert "'perhaps'" in text
    assert "sead: unknown key (did you mean 'seed'?)" in text

    overrides = ["motion.raise_share=1.5", "motion.amid_share=-1", "motion.raise_s=[0.1, 1]"]
    with pytest.raises(ConfigError) as error:
        load_config("trigger", [*overrides, "task.modality_dropout=2", "mix.length_s=-1"])
    text = str(error.value)
    assert "3 error(s)" in text
    assert "task: modality_dropout must lie in [0, 1], got 2" in text
    assert "mix: length_s must be" in text
    assert "motion: raise_share must lie in [0, 1], got 1.5; amid_share must lie in [0, 1], got -1" in text
    assert "raise_s must begin at 0.4 or above" in text


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (
            ["task.name=onsets", "sead=1"],
            ["2 error(s)", "task: unknown task 'onsets' (did you mean 'onset'?)"],
        ),
        (
            ["task.name=onset", "optimiser.epoch=1"],
            ["2 error(s)", "unknown key 'keywords'", "unknown key 'anchor_others'", "hang_over_s"],
        ),
        (["task.name=[onset]"], ["unknown task"]),
        (["task.label_after_s=soon"], ["task.label_after_s: ", "'soon'"]),
        (["task.refractory_s=-1"], ["  - task: refractory_s must lie between"]),
    ],
)
def test_a_wrong_task_or_option_is_named(overrides: list[str], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("keyword", overrides)
    for message in messages:
        assert message in str(error.value)


@pytest.mark.parametrize("override", ["motion.raise_share=0.2", "motion_data.folder=wrists"])
def test_motion_is_refused_where_nothing_feels_it(override) -> None:
    with pytest.raises(ConfigError, match="'keyword' hears audio alone"):
        load_config("keyword", [override])
    assert load_config("trigger", [override]) != load_config("trigger")


def test_inputs_that_do_not_go_together_are_named() -> None:
    with pytest.raises(ConfigError, match="a gyroscope goes with an accelerometer"):
        load_config("trigger", ["task.inputs=[audio, gyroscope]"])
