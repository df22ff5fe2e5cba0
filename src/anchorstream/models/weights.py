"""A detector as one file, to go on training from: weights in safetensors, and in its header all that makes the rest."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from anchorstream.models.detector import UNREADABLE, StreamingDetector

_CONFIG_KEY = "anchorstream"


def write_weights(detector: StreamingDetector, path: Path, *, half: bool = False) -> Path:
    """Writes ``detector`` as one ``.safetensors`` file; the same detector gives the same bytes.

    Args:
        detector: what to write.
        path: the file.
        half: whether its matrices are rounded to 16 bits, a relative error of 0.0005, which training on makes up for in
            its first steps. Biases, scales and statistics, which are few, keep 32.

    Raises:
        OSError: if the file cannot be written; one that was there is kept.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in detector.state_dict().items()}
    if half:
        tensors = {
            name: tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
            for name, tensor in tensors.items()
        }
    data = save(tensors, {_CONFIG_KEY: json.dumps(detector.to_config(), sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    beside.write_bytes(data)
    beside.replace(path)
    return path


def read_weights(path: Path) -> StreamingDetector:
    """Reads what :func:`write_weights` wrote, in evaluation mode on the CPU.

    Raises:
        ValueError: if the file holds no detector.
        FileNotFoundError: if there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected weights of a detector (.safetensors)")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        detector = StreamingDetector.from_weights(json.loads(about[_CONFIG_KEY]), tensors)
    except (SafetensorError, KeyError, *UNREADABLE) as error:
        raise ValueError(f"{path} holds no detector that can be read: {error}") from error
    return detector.eval()
