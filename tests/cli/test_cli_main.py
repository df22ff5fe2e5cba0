"""The entry: help, exit codes, and errors in one line."""

import ast
import errno
import os
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import anchorstream
from anchorstream.cli import doctor
from anchorstream.cli.main import COMMANDS


@pytest.fixture
def failing(monkeypatch):
    """Lets `doctor` raise an error, as a stand-in for any command."""

    def make(error):
        def run(args):
            raise error

        monkeypatch.setattr(doctor, "run", run)

    return make


def test_the_help_lists_every_command_with_a_line(cli):
    for arguments in ([], ["--help"], ["-h"]):
        result = cli(*arguments)
        assert result.code == 0
        for name, line in COMMANDS.items():
            assert f"  {name:9} {line}\n" in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_ends_with_examples_of_it(cli, name):
    result = cli(name, "--help")
    assert result.code == 0
    assert result.err == ""
    assert f"\n  anchorstream {name}" in result.out.partition("examples:")[2]


def test_the_version_is_that_of_the_package(cli):
    assert cli("--version").out == f"anchorstream {anchorstream.__version__}\n"


@pytest.mark.parametrize("arguments", [["deetct"], ["--verbose"], ["doctor", "--jsn"], ["detect"]])
def test_wrong_usage_is_exit_code_2(cli, arguments):
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "error:" in result.err


def imported_by(arguments):
    code = (
        "import sys\nfrom anchorstream.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_no_command_and_nothing_heavy():
    modules = imported_by(["--help"])
    assert not modules & {"numpy", "torch", "onnxruntime", "rich", "soundfile"}
    assert {name for name in modules if name.startswith("anchorstream.cli.")} == {"anchorstream.cli.main"}


@pytest.mark.parametrize("name", ["detect", "listen", "doctor", "score"])
def test_the_commands_of_a_device_import_neither_torch_nor_each_other(name):
    modules = imported_by([name, "--help"])
    assert not modules & {"torch", "onnxruntime", "rich", "pydantic"}
    assert not {f"anchorstream.cli.{other}" for other in COMMANDS if other != name} & modules


def test_what_runs_on_a_device_never_imports_torch(model_path, sound):
    path = sound("a.wav", [0.2])
    modules = imported_by(["detect", str(model_path), str(path)])
    assert "onnxruntime" in modules
    assert not modules & {"torch", "pytorch_lightning", "pydantic", "scipy", "matplotlib", "rich"}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("the threshold is wrong"), "the threshold is wrong"),
        (RuntimeError("two files differ"), "two files differ"),
        (ValueError(), "ValueError"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.wav"), "a.wav: No such file"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out.npz"),
            "the disk is full: out.npz was not written; free some space and run this again",
        ),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(cli, failing, error, line):
    failing(error)
    result = cli("doctor")
    assert (result.code, result.out, result.err) == (1, "", f"anchorstream: error: {line}\n")


def test_a_wrong_configuration_is_exit_code_2(cli):
    result = cli("train", "keyword", "no_such_key=1")
    assert result.code == 2
    assert "no_such_key" in result.err
    assert "Traceback" not in result.err


def test_debug_shows_where_an_error_came_from(cli, failing, monkeypatch):
    monkeypatch.setenv("ANCHORSTREAM_DEBUG", "1")
    failing(ValueError("wrong"))
    result = cli("doctor")
    assert result.code == 1
    assert "Traceback" in result.err
    assert result.err.endswith("anchorstream: error: wrong\n")


def test_the_debug_option_is_the_variable(cli, failing, monkeypatch):
    monkeypatch.setenv("ANCHORSTREAM_DEBUG", "")
    failing(ValueError("wrong"))
    assert "Traceback" in cli("doctor", "--debug").err


def test_ctrl_c_is_one_line_and_exit_code_130(cli, failing):
    failing(KeyboardInterrupt())
    result = cli("doctor")
    assert result.code == 130
    assert result.err.strip() == "anchorstream: interrupted; what was finished is kept"


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("detect", "missing_package", "runtime"),
        ("listen", "missing_package", "runtime"),
        ("train", "missing_package.part", "train"),
        ("train", "espeakng_loader", "synth"),
        ("demo", "missing_package", "all"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_holds_it(cli, monkeypatch, command, package, extra):
    def run(args):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr("anchorstream.cli.main.find_spec", lambda name: None)
    monkeypatch.setattr(f"anchorstream.cli.{command}.run", run)
    needed = {"detect": ["m.onnx", "a.wav"], "listen": ["m.onnx"], "train": ["keyword"]}.get(command, [])
    result = cli(command, *needed)
    assert result.code == 1
    assert f"needs the package {package}; install with: pip install 'anchorstream[{extra}]'\n" in result.err


def test_the_extra_runtime_holds_what_the_runtime_imports():
    """So that the advice of the test above is right."""
    folder = Path(find_spec("anchorstream.runtime").submodule_search_locations[0])
    imported = set()
    for file in [
        *folder.glob("*.py"),
        *(folder.parent / "cli" / f"{name}.py" for name in ("detect", "listen")),
    ]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    requirements = map(Requirement, metadata.requires("anchorstream"))
    held = {one.name for one in requirements if not one.marker or one.marker.evaluate({"extra": "runtime"})}
    # The errors where these are missing name extras of their own, in test_cli_motion and test_runtime_litert.
    others = {"anchorstream", "pyarrow", "ai_edge_litert"}
    assert imported - set(sys.stdlib_module_names) - others <= held


def test_a_reader_that_has_gone_is_no_complaint(process, model_path, sound):
    reader, writer = os.pipe()
    os.close(reader)
    running = process("detect", model_path, sound("a.wav", [0.2]), stdout=writer)
    os.close(writer)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert b"Error" not in err
    assert b"Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_behind_stdout_is_said(process, model_path, sound, options):
    with Path("/dev/full").open("wb") as full:
        running = process("detect", model_path, sound("a.wav", [0.2]), *options, stdout=full)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert b"the disk is full: the output was not written" in err
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_closed_outputs_are_no_error_and_do_not_run_into_each_other(model_path, tmp_path):
    command = f"{sys.executable} -m anchorstream"
    done = subprocess.run(f"{command} models >&-", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        f"head -c 32000 /dev/zero | {command} listen {model_path} --stdin --json 2>&-",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_model_that_runs_tells_nobody_of_this_machine(model_path, sound, tmp_path):
    # onnxruntime's own packages keep a number of the device there, and call home.
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "anchorstream", "detect", model_path, sound("a.wav")],
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("command", ["demo", "evaluate", "compare"])
@pytest.mark.parametrize("option", ["--hours=nan", "--hours=0", "--snr-db=inf"])
def test_wrong_streams_are_wrong_usage_before_anything_is_read(cli, command, option):
    assert cli(command, *(["run"] if command != "demo" else []), option).code == 2
