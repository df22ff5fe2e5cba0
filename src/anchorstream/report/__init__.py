"""Reports: one page that opens offline, the same as JSON, and single pictures."""

from anchorstream.report.page import write_report
from anchorstream.report.pictures import plot_det, plot_frontier, plot_latency
from anchorstream.report.result import Example, SystemResult

__all__ = ["Example", "SystemResult", "plot_det", "plot_frontier", "plot_latency", "write_report"]
