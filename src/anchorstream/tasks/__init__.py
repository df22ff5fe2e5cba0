"""What is to be detected: labels, anchors, and how a task is scored and decoded. Nothing else knows a task by name."""

from anchorstream.tasks.keyword import KeywordTask
from anchorstream.tasks.onset import SpeechOnsetTask
from anchorstream.tasks.task import Reporting, Task
from anchorstream.tasks.trigger import TriggerTask

#: The tasks by the name that a recipe gives them.
TASKS: dict[str, type[Task]] = {"keyword": KeywordTask, "onset": SpeechOnsetTask, "trigger": TriggerTask}

#: What a recipe without a name means.
DEFAULT_TASK = "keyword"

__all__ = ["DEFAULT_TASK", "TASKS", "KeywordTask", "Reporting", "SpeechOnsetTask", "Task", "TriggerTask"]
