"""From the name of a model that ships to its files."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from anchorstream.shipped.card import Card, read_card

#: Where the files lie; part of the installed package.
FOLDER = Path(__file__).parent / "models"

# In the order in which they are taken; each beside the package that runs it.
_FORMATS = ((".onnx", "onnxruntime"), (".tflite", "ai_edge_litert"))
_WEIGHTS = ".safetensors"


class UnknownModelError(FileNotFoundError):
    """Neither a file nor the name of a model that ships; the message lists those that do."""


def shipped_names() -> list[str]:
    """The names of the models that ship, in order."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def shipped_cards() -> list[Card]:
    """Their cards, in the order of their names.

    Raises:
        CardError: if one cannot be read.
    """
    return [read_card(FOLDER / f"{name}.json") for name in shipped_names()]


def model_path(given: str | Path) -> Path:
    """The model file that is meant: a path that exists, else the name of a model that ships.

    Upper and lower case, and ``smart mirror`` for ``smart-mirror``, are all the same. The file is that of the
    runtime which is installed, ONNX where both or none are.

    Args:
        given: a path, or a name.

    Returns:
        The path as it was given where it is no name, whether there is such a file or not.

    Raises:
        UnknownModelError: if it looks like a name, without folder or suffix, and none of that name ships.

    Example:
        >>> model_path("my_models/computer.onnx").as_posix()
        'my_models/computer.onnx'
    """
    path = Path(given)
    # A folder of recordings that has the name of a model does not hide the model.
    if path.is_file() or not _is_name(path):
        return path
    name = _known(path)
    files = [(FOLDER / f"{name}{suffix}", find_spec(package) is not None) for suffix, package in _FORMATS]
    there = [(file, runs) for file, runs in files if file.is_file()]
    # A card without a file is a broken installation: opening says which file is missing.
    return next((file for file, runs in there if runs), there[0][0] if there else files[0][0])


def weights_path(given: str | Path) -> Path:
    """The weights to go on training from: a path that exists, else those of a model that ships.

    Arguments and errors are those of :func:`model_path`, but that a folder is a path, too.
    """
    path = Path(given)
    if path.exists() or not _is_name(path):
        return path
    return FOLDER / f"{_known(path)}{_WEIGHTS}"


def _is_name(path: Path) -> bool:
    return len(path.parts) == 1 and not path.suffix and path.name != ".."


def _known(path: Path) -> str:
    name, known = re.sub("[ _]+", "-", path.name.strip().lower()), shipped_names()
    if name not in known:
        raise UnknownModelError(
            f"no file {str(path)!r}, and no model of that name ships; those that do: {', '.join(known) or 'none'}"
        )
    return name
