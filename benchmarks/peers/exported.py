"""Our own models: an exported file through ``anchorstream.runtime``, hop by hop, with the decoder that it came with."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from anchorstream.decode import DecoderSettings
from anchorstream.runtime import Session
from engine import SAMPLE_RATE_HZ, System


class ExportedEngine:
    """A posterior for each hop of the model.

    Args:
        session: the model.
        label: which of its labels.

    Raises:
        ValueError: if it has no such label, wants another sample rate, or has a motion sensor beside the microphone.
    """

    def __init__(self, session: Session, label: str) -> None:
        contract = session.contract
        if label not in contract.labels:
            raise ValueError(f"the model detects {list(contract.labels)}; expected {label!r} among them")
        if contract.sample_rate_hz != SAMPLE_RATE_HZ or contract.motion:
            raise ValueError(
                f"expected a model of audio alone at {SAMPLE_RATE_HZ} Hz, got one at {contract.sample_rate_hz} Hz "
                f"with the motion channels {list(contract.motion)}"
            )
        self.block_samples = contract.hop_samples
        self._session, self._column = session, contract.labels.index(label)
        self.reset()

    def reset(self) -> None:
        self._state = self._session.init_state()

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        samples = pcm[None].astype(np.float32) / np.float32(32768)
        posteriors, self._state = self._session.step(samples, self._state)
        return float(posteriors[0, 0, self._column])


def load(path: Path, label: str) -> System:
    """Opens an exported file, or exports a run first.

    Args:
        path: a file that ``anchorstream export`` wrote, or a folder that ``anchorstream train`` wrote.
        label: what is to be detected.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is neither, has not finished training, or does not detect ``label``.
    """
    if not path.is_dir():
        return _system(path, path.parent.resolve().name if path.stem == "model" else path.stem, label)
    # Imported here: a model file needs no torch.
    from anchorstream.compare.evaluation import chosen_decoder
    from anchorstream.export import export_run
    from anchorstream.train.run import open_run

    run = open_run(path)
    if label not in run.config.task.labels:
        raise ValueError(f"{path} detects {list(run.config.task.labels)}; expected {label!r} among them")
    with TemporaryDirectory() as folder:
        return _system(
            export_run(run, Path(folder) / "model.onnx", chosen_decoder(run)), path.resolve().name, label
        )


def _system(path: Path, name: str, label: str) -> System:
    session = Session.open(path)
    try:
        engine = ExportedEngine(session, label)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    contract = session.contract
    decoder = DecoderSettings.from_dict(contract.decoder)
    return System(
        name=name,
        engine=engine,
        version=f"anchorstream {contract.version}",
        post_processing=f"the mean of the last {decoder.smoothing_frames(contract.hop_s)} posteriors",
        smoothing_s=decoder.smoothing_s,
        threshold=decoder.threshold_of(label),
        parameters=contract.training.get("parameters"),
        model_bytes=path.stat().st_size,
        ours=True,
    )
