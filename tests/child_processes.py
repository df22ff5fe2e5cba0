"""What a command that is killed leaves running: nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def children_of(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or ") Z " not in Path(f"/proc/{pid}/stat").read_text()


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + 30
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_running, pids))


def kill_once_there(words: list[str], path: Path, patience_s: float) -> list[int]:
    """Runs a command, kills it as soon as it has made ``path``, and returns the children that it had then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "anchorstream", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    until = time.monotonic() + patience_s
    while not path.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    children = children_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return children
