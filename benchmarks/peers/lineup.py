"""Who takes part in which task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import exported
import micro_vad
import micro_wake_word
import open_wake_word
import silero
import ten
import webrtc
from engine import NotInstalledError, System


@dataclass(frozen=True)
class Lineup:
    """A task of the benchmark.

    Attributes:
        recipe: of the project, with its task and its scored streams.
        overrides: of the recipe, as `anchorstream train` takes them.
        label: what is to be detected.
        rates: false alarms per hour at which misses are stated; 0 is "at no false alarm".
        peers: what opens each peer, by the name under which it is listed where it is missing.
    """

    recipe: str
    overrides: tuple[str, ...]
    label: str
    rates: tuple[float, ...]
    peers: dict[str, Callable[[], System]]


LINEUPS = {
    "keyword": Lineup(
        recipe="keyword",
        # openWakeWord hears its word for more than a second; on dev nobody else loses by the half second more.
        overrides=("task.keywords=[alexa]", "task.refractory_s=1.5"),
        label="alexa",
        rates=(0.0, 0.5, 1.0, 5.0),
        peers={"microWakeWord": micro_wake_word.load, "openWakeWord": open_wake_word.load},
    ),
    "onset": Lineup(
        recipe="onset",
        overrides=(),
        label="speech",
        rates=(10.0, 30.0, 60.0),
        peers={
            "Silero VAD": silero.load,
            "TEN VAD": ten.load,
            "WebRTC VAD": webrtc.load,
            "microVAD": micro_vad.load,
        },
    ),
}


def open_all(lineup: Lineup, ours: Sequence[Path]) -> tuple[list[System], dict[str, str]]:
    """Ours, then the peers that are installed; and for each that is not, what installs it.

    Raises:
        FileNotFoundError, ValueError: if one of ours cannot be opened, or two have the same name.
    """
    systems = [exported.load(path, lineup.label) for path in ours]
    names = [system.name for system in systems]
    if len(set(names)) < len(names) or set(names) & set(lineup.peers):
        raise ValueError(f"every model needs a name of its own, got {', '.join(names)}; rename the files")
    missing = {}
    for name, load in lineup.peers.items():
        try:
            systems.append(load())
        except NotInstalledError as error:
            missing[name] = str(error)
    return systems, missing
