"""What is to be detected: labels, anchors, and how a task is scored and decoded. Nothing else knows a task by name."""

from anchorstream.tasks.keyword import KeywordTask

__all__ = ["KeywordTask"]
