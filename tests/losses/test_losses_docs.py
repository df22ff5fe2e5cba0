import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from anchorstream import losses

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"
MODULES = [f"{losses.__name__}.{module.name}" for module in pkgutil.iter_modules(losses.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_code_on_the_page_runs_in_order():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert names["logits"].grad[:, 280:].abs().sum() == 0
    assert names["weight"].argmax() == 150


def test_the_page_names_every_loss_kernel_and_option():
    page = PAGE.read_text(encoding="utf-8")
    for name in (*losses.LOSS_NAMES, *losses.KERNEL_NAMES, *losses.loss_options("sa+fl")):
        assert f"`{name}`" in page
