"""Streaming detectors that fire at the right moment.

Importing this package imports nothing heavy; take what you need from its rooms, for instance
``from anchorstream.losses import StreamingAnchorLoss``.
"""

__version__ = "0.1.0"
