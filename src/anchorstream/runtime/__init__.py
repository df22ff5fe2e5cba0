"""A trained detector on a live signal: numpy and onnxruntime or LiteRT, never torch."""

from anchorstream.decode import Detection
from anchorstream.runtime.asynchronous import detect_async
from anchorstream.runtime.clips import SaveClips
from anchorstream.runtime.contract import Contract, ContractError, ModelError
from anchorstream.runtime.detector import Detector
from anchorstream.runtime.microphones import input_devices, microphone
from anchorstream.runtime.motion_file import MotionRecording, read_motion
from anchorstream.runtime.motion_pipe import MotionPipe
from anchorstream.runtime.motion_table import MotionFileError
from anchorstream.runtime.packets import PacketDetector
from anchorstream.runtime.pool import DetectorPool
from anchorstream.runtime.session import Session
from anchorstream.runtime.sinks import JsonLines, RunCommand
from anchorstream.runtime.sources import Source, SourceError, raw_pcm, sound_file

__all__ = [
    "Contract",
    "ContractError",
    "Detection",
    "Detector",
    "DetectorPool",
    "JsonLines",
    "ModelError",
    "MotionFileError",
    "MotionPipe",
    "MotionRecording",
    "PacketDetector",
    "RunCommand",
    "SaveClips",
    "Session",
    "Source",
    "SourceError",
    "detect_async",
    "input_devices",
    "microphone",
    "raw_pcm",
    "read_motion",
    "sound_file",
]
