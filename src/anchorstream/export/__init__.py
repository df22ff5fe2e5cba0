"""From a trained detector to one file that any device runs, checked against the network before it is written."""

from anchorstream.export.onnx import export_onnx
from anchorstream.export.parity import ParityError, check_parity
from anchorstream.export.run import export_run

__all__ = ["ParityError", "check_parity", "export_onnx", "export_run"]
