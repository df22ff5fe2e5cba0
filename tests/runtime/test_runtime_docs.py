"""The examples of docs/live.md run as they stand there."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tiny_model

PAGE = (Path(__file__).parents[2] / "docs" / "live.md").read_text(encoding="utf-8")


def test_the_python_examples_run(model_path, trigger_path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model_path, "computer.onnx")
    soundfile.write("meeting.wav", tiny_model.stream(1.0, [0.5]), 16_000)
    # The wrist is raised in the second burst alone.
    shutil.copy(trigger_path, "trigger.onnx")
    soundfile.write("walk.wav", tiny_model.stream(1.0, [0.1, 0.7]), 16_000)
    rows = np.column_stack(tiny_model.wrist(1.0, [(0.4, 0.9)]))
    np.savetxt("walk.csv", rows, delimiter=",", header="time,ax,ay,az", comments="")
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 5
    for example in examples:
        exec(compile(example, "docs/live.md", "exec"), {})
    assert capsys.readouterr().out == "0.52 loud 1.0\n0.52 loud 1.0\n0.72 loud 1.0\n"


@pytest.mark.parametrize("command", ["detect", "listen"])
def test_the_options_of_the_examples_exist(command, capsys):
    from anchorstream.cli.main import main

    used = set(re.findall(rf"anchorstream {command} [^|\n]*", PAGE))
    with pytest.raises(SystemExit):
        main([command, "--help"])
    known = capsys.readouterr().out
    options = {option for line in used for option in re.findall(r"--[a-z-]+", line)}
    assert options
    assert all(option in known for option in options)
