"""The maker of the models that ship: its plan, its cards, and the whole chain on tones."""

import json
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from tools.ship import __main__ as maker  # noqa: E402
from tools.ship.cards import DOCS, write_words  # noqa: E402
from tools.ship.plan import Planned, read_plan  # noqa: E402
from tools.ship.words import BEGIN, END, table, with_table, words  # noqa: E402

from anchorstream.cli.main import COMMANDS  # noqa: E402
from anchorstream.data.folder import scan_folder  # noqa: E402
from anchorstream.data.manifest import write_manifest  # noqa: E402
from anchorstream.shipped import FOLDER, read_card, shipped_cards  # noqa: E402
from shipped_card import card_of  # noqa: E402

SIX = {"alexa", "computer", "jarvis", "smart mirror", "snowboy", "view glass"}


def test_the_plan_has_a_model_for_each_keyword_and_one_for_all():
    labels = {model.name: set(model.config("DIR", 1).task.labels) for model in read_plan()}
    assert labels.pop("six-keywords") == SIX
    assert labels.pop("speech-onset") == {"speech"}
    assert labels.pop("wrist-trigger") == {"trigger"}
    assert labels == {keyword.replace(" ", "-"): {keyword} for keyword in SIX}


@pytest.mark.parametrize("model", read_plan(), ids=lambda model: model.name)
def test_a_training_is_the_same_on_the_same_machine_and_its_command_is_that_of_the_plan(model):
    config = model.config("DIR", 1)
    assert config.optimiser.threads == 1
    assert config.optimiser.patience >= config.optimiser.epochs
    assert config.mix.snr_db[0] < 0 < 20 < config.mix.snr_db[1]
    program, command, recipe, *overrides = shlex.split(model.command(1))
    assert (program, command) == ("anchorstream", "train")
    assert command in COMMANDS
    from anchorstream.train.recipe import load_config

    assert load_config(ROOT / recipe, overrides) == config


def test_what_is_trained_on_simulated_motion_says_so():
    (model,) = read_plan(names=["wrist-trigger"])
    assert "simulated motion" in model.summary
    assert any("simulated" in limit for limit in model.limits)


def test_a_name_that_is_not_planned_is_refused():
    with pytest.raises(ValueError, match=r"no model quiet in models\.yaml; there are six-keywords, computer"):
        read_plan(names=["quiet"])


@pytest.mark.parametrize("card", shipped_cards(), ids=lambda card: card.name)
def test_the_words_of_a_card_that_ships_are_made_of_it(card):
    assert (FOLDER / f"{card.name}.md").read_text(encoding="utf-8") == words(card.values)


def test_what_ships_is_planned_and_the_page_has_its_table():
    cards = shipped_cards()
    assert {card.name for card in cards} <= {model.name for model in read_plan()}
    page = DOCS.read_text(encoding="utf-8")
    assert with_table(page, [card.values for card in cards]) == page


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="no place for the table"):
        with_table("# A page", [])


def test_words_and_table_say_what_the_card_says(shelf):
    path = shelf("loud")
    card = card_of("loud", ["loud"], [path])
    text = words(card)
    for said in (
        "5.0% [0.0, 10.0] (1 of 20)",
        "2.0 [0.2, 7.2] (2 in 1.00 h)",
        "50 / 110",
        "CC BY 4.0",
        "Ada, Bo",
    ):
        assert said in text
    (row,) = [line for line in table([card]).splitlines() if line.startswith("| `loud`")]
    assert row.count("5.0% [0.0, 10.0] | 2.0") == 3
    page = with_table(f"before\n{BEGIN}\nold\n{END}\nafter", [card])
    assert "old" not in page
    assert page.startswith("before\n")
    assert page.endswith("\nafter")
    assert with_table(page, [card]) == page
    several = table([card_of("two", ["a", "b"], [path])])
    assert "| 5.0% | 4.0 |" in several


def test_words_say_what_8_bit_weights_change(shelf):
    card = card_of("loud", ["loud"], [shelf("loud")])
    assert "8-bit" not in words(card)
    row = {"label": "loud", "hours": 1.5, "events": 20, "misses": 3, "misses_before": 2}
    drift = {"mean": 0.00012, "p99": 0.001, "max": 0.0024}
    card["quantisation"] = {
        "posterior_drift": drift,
        "dev": [{**row, "false_alarms": 5, "false_alarms_before": 4}],
    }
    text = words(card)
    assert "by 0.00012 in the mean and 0.0024 at most. On dev, 1.50 h" in text
    assert "| loud | 2 | 3 | 20 | 4 | 5 |" in text


def test_without_what_makes_8_bit_files_nothing_is_trained(monkeypatch, capsys):
    monkeypatch.setattr(maker, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        maker.main(["--data", "recordings"])
    assert "pip install 'anchorstream[litert]'; --no-litert leaves them out" in capsys.readouterr().err


@pytest.mark.slow
def test_the_chain_on_tones_takes_up_what_is_there_and_gives_the_same_files(
    tones, tmp_path, monkeypatch, capsys
):
    data = tmp_path / "data"
    data.mkdir()
    for path in tones.iterdir():
        (data / path.name).symlink_to(path)
    write_manifest(data / "manifest.jsonl", scan_folder(tones, keyword="rising").recordings)
    small = [
        "rooms=2",
        "mix.length_s=5",
        "model={name: ds-tcn, options: {channels: 16, dilations: [1, 2, 4, 8]}}",
        "optimiser.epochs=2",
        "optimiser.streams_per_epoch=96",
        "dev.hours=0.05",
    ]
    plan = [Planned("rising", "A rising tone.", "keyword", ("task.keywords=[rising]",), (1, 2), ("Tones.",))]
    monkeypatch.setattr(maker, "read_plan", lambda names: plan)

    def make(runs, into):
        overrides = [f"--override={override}" for override in small]
        maker.main(
            [
                "--data",
                str(data),
                "--runs",
                str(runs),
                "--into",
                str(into),
                "--hours",
                "0.05",
                "--jobs",
                "1",
                "--no-litert",
                *overrides,
            ]
        )

    make(tmp_path / "runs", tmp_path / "one")
    card = read_card(tmp_path / "one" / "rising.json")
    card.check_files(tmp_path / "one")
    assert (tmp_path / "one" / "rising.md").read_text() == words(card.values)
    training = card.values["training"]
    assert [row["seed"] for row in training["tried"]] == [1, 2]
    assert training["seed"] == min(training["tried"], key=lambda row: row["dev_misses"])["seed"]
    assert "chosen on dev at the three noise levels together" in words(card.values)
    assert [level["snr_db"] for level in card.values["test"]["levels"]] == [20, 10, 0]
    assert card.values["data"]["sources"][0]["recordings"] > 0

    chosen = tmp_path / "runs" / ("rising" if training["seed"] == 1 else "rising-seed2")
    kept = chosen / "shipped-test-10dB-0.05h.json"
    marked = json.loads(kept.read_text())
    marked["labels"]["rising"]["speakers"] = 77
    kept.write_text(json.dumps(marked))
    trained = (chosen / "training.json").stat().st_mtime_ns
    make(tmp_path / "runs", tmp_path / "other")
    assert (chosen / "training.json").stat().st_mtime_ns == trained
    again = read_card(tmp_path / "other" / "rising.json")
    assert again.files == card.files
    assert again.values["test"]["levels"][1]["labels"]["rising"]["speakers"] == 77

    (tmp_path / "other" / "rising.md").write_text("stale")
    write_words(tmp_path / "other")
    assert (tmp_path / "other" / "rising.md").read_text() == words(again.values)


@pytest.mark.slow
def test_the_same_recipe_and_seed_give_the_same_files(small, tmp_path):
    from anchorstream.train.training import train

    config = small("optimiser.epochs=2")
    files = [
        maker.export("rising", train(config, tmp_path / name), tmp_path / f"{name}-files", litert=False)
        for name in ("one", "other")
    ]
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
