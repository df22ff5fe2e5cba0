import sys

import pytest

from anchorstream.cli import called as module
from anchorstream.cli.called import called


@pytest.mark.parametrize(
    ("first", "found", "told"),
    [
        ("/usr/bin/anchorstream", "/usr/bin/anchorstream", "anchorstream"),
        (".venv/bin/anchorstream", None, ".venv/bin/anchorstream"),
        ("/somewhere/else/anchorstream", None, "/somewhere/else/anchorstream"),
        ("/lib/anchorstream/__main__.py", None, "python -m anchorstream"),
    ],
)
def test_commands_that_are_told_can_be_typed(first, found, told, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: found)
    monkeypatch.setattr(sys, "argv", [first, "demo"])
    assert called() == told


def test_a_path_below_this_folder_is_told_from_here(monkeypatch, tmp_path):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / ".venv/bin/anchorstream")])
    assert called() == ".venv/bin/anchorstream"
