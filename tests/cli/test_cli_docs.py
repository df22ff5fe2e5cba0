"""The commands on the pages can be given as they stand there: recipes, overrides and options exist."""

import re
import shlex
from pathlib import Path

import pytest

from anchorstream.cli.main import COMMANDS, main
from anchorstream.train.recipe import load_config, shipped_recipes

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[list[str]]:
    """The words of each command in a block of code, from its name on; what stands after # is a comment."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"^ {4,}\S.*$", text, re.MULTILINE)
    found = []
    for line in "\n".join(blocks).splitlines():
        if stated := re.match(r" *(?:.*\| )?anchorstream (\w+ .*)", line):
            words = shlex.split(re.sub("[|>;&].*", "", stated[1]), comments=True)
            if words[0] in COMMANDS:
                found.append(words)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_and_overrides_are_taken(page: Path) -> None:
    for name, *words in commands(page):
        if name in ("train", "inspect", "compare", "tune") and words[0] in shipped_recipes():
            # What the reader or a loop is to fill in, as in seed=SEED or seed=$seed, cannot be known here.
            overrides = [word for word in words[1:] if re.match(r"[\w.]+=(?![A-Z]+$)[^$]*$", word)]
            load_config(words[0], overrides)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_exist(page: Path, capsys) -> None:
    for name, *words in commands(page):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        known = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out))
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, f"anchorstream {name} {' '.join(words)}"


def test_the_trigger_task_is_told_with_its_commands() -> None:
    told = {word for page in PAGES for words in commands(page) for word in words if "trigger" in words}
    assert {"train", "inspect", "demo", "task.inputs=[audio]", "motion_data.gravity=false"} <= told
