"""From a trained detector to one file that any device runs, checked against the network before it is written."""

from anchorstream.export.executorch import export_executorch
from anchorstream.export.executorch_file import open_session
from anchorstream.export.litert import export_litert
from anchorstream.export.onnx import export_onnx
from anchorstream.export.parity import ParityError, check_parity
from anchorstream.export.run import TARGETS, Target, Verification, export_run, verify_run

__all__ = [
    "TARGETS",
    "ParityError",
    "Target",
    "Verification",
    "check_parity",
    "export_executorch",
    "export_litert",
    "export_onnx",
    "export_run",
    "open_session",
    "verify_run",
]
