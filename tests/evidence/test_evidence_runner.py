"""What is missing is trained and kept; what is there, in any study, is not trained again."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from anchorstream.compare.comparison import Conditions
from records import read_all
from runner import missing, train_and_score
from studies import Cell

ROOT = Path(__file__).parents[2]
WORKER = """
import multiprocessing, os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
sys.path.insert(0, "benchmarks/evidence")
from measuring import prepare

pool = ProcessPoolExecutor(
    1, multiprocessing.get_context("spawn"), initializer=prepare, initargs=(os.getpid(), Path(sys.argv[1]))
)
pool.submit(signal.signal, signal.SIGTERM, signal.SIG_IGN).result()
worker = pool.submit(os.getpid).result()
pool.submit(time.sleep, 600)
print(worker, flush=True)
time.sleep(600)
"""
SCORED = Conditions("test", 10.0, 0.05)


@pytest.mark.slow
def test_cells_are_measured_once_and_copied_to_another_study(small, tmp_path) -> None:
    # The last one cannot be trained: there are no recordings.
    overrides = [["loss=ce"], ["loss=sal"], ["loss=ce", f"data={tmp_path}/nowhere"]]
    configs = [
        small("optimiser.epochs=1", "optimiser.streams_per_epoch=8", "dev.hours=0.02", *given)
        for given in overrides
    ]
    cells = [Cell("main", "keyword", "ds-tcn", {}, config) for config in configs]
    out, results = tmp_path / "runs", tmp_path / "results"
    assert missing(cells, results, SCORED) == cells
    assert train_and_score(cells, out, results, SCORED, jobs=2) == 1
    lines = read_all(results)
    assert {line["loss"] for line in lines} == {"ce", "sal"}
    assert all(sum(line["events"]) > 0 and line["seconds"] > 0 for line in lines)
    assert not list(out.glob("cache-*"))
    assert missing(cells, results, SCORED) == cells[2:]
    # At another noise level it is another measurement.
    assert missing(cells[:1], results, Conditions("test", 0.0, 0.05)) == cells[:1]

    other = [replace(cell, study="ablation-kernel", variant={"kernel": "power"}) for cell in cells[:2]]
    assert missing(other, results, SCORED, copy=False) == []
    assert len(read_all(results)) == 2
    assert missing(other, results, SCORED) == []
    copied = [line for line in read_all(results) if line["study"] == "ablation-kernel"]
    assert [line["variant"] for line in copied] == [{"kernel": "power"}] * 2
    # Trainings side by side end in either order.
    points = {line["loss"]: line["points"] for line in lines}
    assert {line["loss"]: line["points"] for line in copied} == points
    assert missing(other, results, SCORED) == []
    assert len(read_all(results)) == 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="looks for the worker in the way of POSIX")
def test_a_worker_ends_with_its_runner_even_where_it_takes_no_signal(tmp_path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as runner:
        worker = int(runner.stdout.readline())
        os.kill(worker, 0)
        runner.kill()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, 9)
    pytest.fail("the worker goes on alone")


def test_the_command_says_what_is_missing_and_trains_nothing(tmp_path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "benchmarks/evidence/train.py", "ablation-floor", "--data", "recordings"),
            *("--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")),
            *("--seeds", "1", "--first-seed", "7", "--dry-run"),
        ],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    floors = [f"keyword ds-tcn sal, floor {floor}, seed 7" for floor in (0.0, 0.1, 0.5, 1.0)]
    assert sorted(done.stdout.splitlines()) == sorted(["keyword ds-tcn ce, seed 7", *floors])
    assert not list(tmp_path.iterdir())
