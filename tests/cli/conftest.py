import subprocess
import sys
from types import SimpleNamespace

import pytest
import soundfile

import tiny_model
from anchorstream.cli.main import main


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    return tiny_model.save(tmp_path_factory.mktemp("model") / "loud.onnx")


@pytest.fixture
def sound(tmp_path):
    """Writes a sound file with bursts at the given times and returns its path."""

    def write(name, bursts_s=(), duration_s=1.0, rate_hz=tiny_model.RATE_HZ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tiny_model.stream(duration_s, bursts_s, rate_hz=rate_hz), rate_hz)
        return path

    return write


@pytest.fixture
def few_examples(monkeypatch):
    """Reports with few examples: coding their sound and drawing them is much of the time of a report."""
    monkeypatch.setattr("anchorstream.report.page._EXAMPLES_AT_MOST", 12)


@pytest.fixture
def cli(capsys):
    """Runs the command line in this process."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return run


@pytest.fixture
def process():
    """The command line as a process of its own, with pipes."""
    started = []

    def start(*arguments, script=None, **options):
        entry = ["-m", "anchorstream"] if script is None else [str(script)]
        command = [sys.executable, *entry, *map(str, arguments)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen(command, **{**pipes, **options}))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()
