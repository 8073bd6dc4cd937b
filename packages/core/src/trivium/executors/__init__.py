"""Where a step's callable really runs."""

from trivium.executors.inline import InlineExecutor
from trivium.executors.port import Call, Executor
from trivium.executors.thread import ThreadExecutor

__all__ = ["Call", "Executor", "InlineExecutor", "ThreadExecutor"]
