"""Trainings as tasks of a Ray cluster: the same processes, on whichever machine has room."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchorstream.compare.launch import Training, child
from anchorstream.train.config_error import ConfigError


class RayTasks:
    """Starts each training as a task of one core, on the cluster that ``RAY_ADDRESS`` names, or on a local one.

    Every machine needs this package, and the folder of the comparison and the recordings under the same paths. Streams
    are not shared between trainings: a file that several machines write is not the same for all at all times.

    Raises:
        ConfigError: if Ray is not installed.
        ConnectionError: if there is no cluster at the address.
    """

    def __init__(self) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ConfigError(
                "--ray needs the package ray; install with: pip install 'anchorstream[ray]'"
            ) from error
        self._ray = ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level="warning", include_dashboard=False)
        self._task = ray.remote(num_cpus=1, max_retries=0)(_train)

    @property
    def jobs(self) -> int:
        """As many as the cluster has cores."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    @property
    def one_disk(self) -> bool:
        """They may be on several machines."""
        return False

    def start(self, arguments: Sequence[str], log: Path) -> Training:
        """Hands a training to the cluster, which starts it when there is a core."""
        return _Task(self._ray, self._task.remote(list(arguments), str(log), str(Path.cwd())))


def _train(arguments: list[str], log: str, folder: str) -> int:
    """Runs on a machine of the cluster."""
    with Path(log).open("wb") as file, child(arguments, file, Path(folder)) as process:
        return process.wait()


class _Task:
    def __init__(self, ray: Any, reference: Any) -> None:  # noqa: ANN401 - Ray is not there for the type checker
        self._ray, self._reference = ray, reference

    def poll(self) -> int | None:
        ready, _ = self._ray.wait([self._reference], timeout=0)
        if not ready:
            return None
        try:
            return int(self._ray.get(self._reference))
        except self._ray.exceptions.RayError as error:
            print(f"ray: {error}", file=sys.stderr)
            return 1

    def stop(self) -> None:
        # The process of the task is killed, and the training ends with it.
        self._ray.cancel(self._reference, force=True)
        self._ray.wait([self._reference], timeout=_STOP_S)


_STOP_S = 10.0
