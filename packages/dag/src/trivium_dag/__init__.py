"""Flows: YAML and JSON graphs of steps, driven by the core.

The names are imported when they are first asked for: a plugin's package is imported by every call of the command line,
also by one that only lists the commands.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trivium_dag.definition import Flow, Step
    from trivium_dag.driver import FlowDriver
    from trivium_dag.loading import load_flow
    from trivium_dag.references import UnresolvedReference

__all__ = ["Flow", "FlowDriver", "Step", "UnresolvedReference", "load_flow"]

_HOMES = {
    "Flow": "definition",
    "FlowDriver": "driver",
    "Step": "definition",
    "UnresolvedReference": "references",
    "load_flow": "loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
