"""From posteriors to detections: one streaming decoder for evaluation and for live use. numpy only."""

from anchorstream.decode.crossings import crossings
from anchorstream.decode.decoder import Decoder, Detection
from anchorstream.decode.settings import DecoderSettings
from anchorstream.decode.smoothing import smooth

__all__ = ["Decoder", "DecoderSettings", "Detection", "crossings", "smooth"]
