"""Whose a target is: it is offered to the drivers, and where none takes it, somebody should say why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from trivium.errors import MissingPackage, NotFound, TriviumError
from trivium.json import JsonValue
from trivium.model.drivers import Driver, Names, Prepared

SIBLINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {"flow": ("dag", (".yaml", ".yml", ".json"))}
"""Kinds that packages of ours drive: the extra that installs each, and the endings of its files."""


def prepare(drivers: Collection[Driver], target: object, inputs: JsonValue, names: Names) -> Prepared:
    """Offer a target to the drivers, in order.

    :raises NotFound, MissingPackage: none takes it
    """
    for driver in drivers:
        prepared = driver.prepare(target, inputs, names)
        if prepared is not None:
            return prepared
    raise nobody_takes(target, (driver.kind for driver in drivers))


def nobody_takes(target: object, kinds: Iterable[str]) -> TriviumError:
    """The error for a target that no driver took: the package that would take it is not installed, or it does not
    exist."""
    text = str(target)
    here = set(kinds)
    for kind, (extra, endings) in SIBLINGS.items():
        if kind not in here and (text.startswith(f"{kind}:") or text.lower().endswith(endings)):
            return MissingPackage(f"{kind} {text!r}", extra)
    hint = "give a flow file (.yaml, .yml, .json), or install the plugin that takes this target"
    return NotFound("target", text, hint=hint)
