"""Finding plugins: which there are, and importing one. What they implement is `manager`'s.

Not pluggy's own discovery: that drops the second of two equal names in silence, and lets the first import error hide
all plugins after it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from typing_extensions import override

from trivium.errors import RegistrationError

GROUP = "trivium"

BUILTIN = {"core": "trivium.hooks.builtin", "cli": "trivium.cli.plugin"}
"""What core itself plugs in, by the same hooks. As text, since `cli` lies above this package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """A plugin as `trivium plugins` shows it."""

    name: str
    module: str
    distribution: str
    version: str = ""
    hooks: tuple[str, ...] = ()
    """Which hooks it implements; empty until it was imported."""
    error: str | None = None
    """Why it is out, if it is."""

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin that is out, or one of its hooks."""

    plugin: PluginInfo
    message: str

    @override
    def __str__(self) -> str:
        return f"plugin {self.plugin.name!r} of {self.plugin.origin}: {self.message}"


def builtin_plugins() -> Sequence[PluginInfo]:
    """What core plugs in itself."""
    return [PluginInfo(name=name, module=module, distribution="trivium") for name, module in BUILTIN.items()]


def installed_plugins(found: Iterable[EntryPoint] | None = None) -> Sequence[PluginInfo]:
    """The plugins of the environment by name, none of them imported.

    :raises RegistrationError: two have one name
    """
    infos = [_info(entry_point) for entry_point in (entry_points(group=GROUP) if found is None else found)]
    by_name: dict[str, PluginInfo] = {info.name: info for info in builtin_plugins()}
    for info in infos:
        other = by_name.setdefault(info.name, info)
        if other is not info:
            raise RegistrationError(
                f"two plugins are called {info.name!r}: "
                f"{other.module} of {other.origin} and {info.module} of {info.origin}",
                hint="uninstall one of the two distributions",
            )
    return sorted(infos, key=lambda info: info.name)


def import_plugin(info: PluginInfo) -> ModuleType | Failure:
    """The plugin's module, or what keeps it from being imported."""
    try:
        return importlib.import_module(info.module)
    except Exception as error:  # foreign code runs here, at its import
        reason = f"importing {info.module} failed: {type(error).__name__}: {error}"
        return Failure(replace(info, error=reason), reason)


def _info(entry_point: EntryPoint) -> PluginInfo:
    dist = entry_point.dist
    return PluginInfo(
        name=entry_point.name,
        module=entry_point.module,
        distribution=dist.name if dist is not None else "an unknown distribution",
        version=dist.version if dist is not None else "",
    )
