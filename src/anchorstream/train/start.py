"""Where a training begins: at fresh weights, or at those of a run or of a model that ships."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from anchorstream.models.detector import StreamingDetector
from anchorstream.models.weights import read_weights
from anchorstream.shipped import UnknownModelError, weights_path
from anchorstream.train.config_error import ConfigError
from anchorstream.train.run import CONFIG_FILE, open_run, write_beside

#: Within a run's folder.
START_FILE = "start.json"
#: There too, where the result is to have a share of them: the weights themselves.
START_WEIGHTS = "start.safetensors"

_HEAD = "network.head."


@dataclass(frozen=True, slots=True)
class Start:
    """What a fine-tuned run began with.

    Attributes:
        source: the run, the file, or the name of the model that ships, as it was given.
        sha256: of the weights, by name and value.
        labels: what they detected.
        fresh: the parameters that began anew, since the labels are other ones; none where they are the same.
    """

    source: str
    sha256: str
    labels: tuple[str, ...]
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        anew = f"; the last layer begins anew: its labels were {', '.join(self.labels)}" if self.fresh else ""
        return f"the weights of {self.source}{anew}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {**asdict(self), "labels": list(self.labels), "fresh": list(self.fresh)}


def begin_with(detector: StreamingDetector, source: str) -> Start:
    """Gives ``detector`` the weights of ``source``, its normalisation among them.

    Where it has other labels, or another meaning of its logits, its last layer keeps the fresh weights that it has.

    Args:
        detector: with fresh weights; changed.
        source: a run's folder, a ``.safetensors`` file, or the name of a model that ships.

    Raises:
        ConfigError: if there is no such source, or its network or front end is another one; the message says what
            differs and how to ask for the same.
    """
    theirs = detector_of(source)
    differences = _differences(theirs, detector)
    if differences:
        listed = "\n".join(f"  - {line}" for line in differences)
        raise ConfigError(f"--from {source}: a training goes on with the same network\n{listed}", differences)
    state = theirs.state_dict()
    same_head = (theirs.labels, theirs.outputs) == (detector.labels, detector.outputs)
    fresh = () if same_head else tuple(name for name in state if name.startswith(_HEAD))
    own = detector.state_dict()
    detector.load_state_dict({name: own[name] if name in fresh else tensor for name, tensor in state.items()})
    return Start(source, _digest(theirs), theirs.labels, fresh)


def blend(detector: StreamingDetector, start: StreamingDetector, share: float) -> None:
    """Moves the weights of ``detector`` towards those that it began with, statistics of normalisations among them.

    What was trained on little has forgotten much; a mean of both keeps most of either (Wortsman et al., "Robust
    fine-tuning of zero-shot models", CVPR 2022).

    Args:
        detector: as it was trained; changed.
        start: as it began.
        share: of ``start`` in the result, in [0, 1].
    """
    began = start.state_dict()
    state = {
        name: torch.lerp(tensor, began[name], share) if tensor.is_floating_point() else tensor
        for name, tensor in detector.state_dict().items()
    }
    detector.load_state_dict(state)


def read_start(folder: Path) -> Start | None:
    """What a run began with; ``None`` for one that began with fresh weights."""
    try:
        values = json.loads((folder / START_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Start(values["source"], values["sha256"], tuple(values["labels"]), tuple(values["fresh"]))


def write_start(folder: Path, start: Start) -> None:
    """Notes in the run's folder what it begins with."""
    write_beside(folder / START_FILE, json.dumps(start.to_dict(), indent=1))


def detector_of(source: str) -> StreamingDetector:
    """The detector that a training goes on from.

    Args:
        source: a run's folder, a ``.safetensors`` file, or the name of a model that ships.

    Raises:
        ConfigError: if there is none, or it cannot be read.
    """
    try:
        path = weights_path(source)
        if (path / CONFIG_FILE).is_file():
            return open_run(path).model()
        if path.is_dir():
            raise ValueError(
                f"{path} is a folder, and no run: `anchorstream train` leaves {CONFIG_FILE} in one"
            )
        return read_weights(path)
    except UnknownModelError as error:
        raise ConfigError(f"--from: {str(error).replace('no file', 'no run or file', 1)}") from error
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"--from {source}: {error}; give the folder of a run that has finished, or the name of a model that ships"
        ) from error


def _differences(theirs: StreamingDetector, ours: StreamingDetector) -> list[str]:
    """What would have to be asked for, a line each."""
    was, now = theirs.to_config(), ours.to_config()
    lines = []
    if was["model"] != now["model"] or was["options"] != now["options"]:
        network = json.dumps({"name": was["model"], "options": was["options"]})
        lines.append(
            f"its network is {was['model']} {_said(was['options'])}, the recipe's is {now['model']} "
            f"{_said(now['options'])}; add: 'model={network}'"
        )
    if was["features"] != now["features"]:
        keys = [key for key in was["features"] if was["features"][key] != now["features"].get(key)]
        changes = ", ".join(f"{key} {was['features'][key]} for {now['features'].get(key)}" for key in keys)
        lines.append(f"its front end differs: {changes}; this version cannot train with that one")
    if was["motion"] != now["motion"]:
        lines.append(
            f"its motion sensor has the channels {was['motion'] or 'of none'}, the recipe's {now['motion'] or 'none'}; "
            "take a recipe of the same task and task.inputs"
        )
    return lines


def _said(options: dict[str, Any]) -> str:
    return "(" + ", ".join(f"{key} {value}" for key, value in options.items()) + ")"


def _digest(detector: StreamingDetector) -> str:
    digest = hashlib.sha256(json.dumps(detector.to_config(), sort_keys=True).encode())
    for name, tensor in sorted(detector.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
