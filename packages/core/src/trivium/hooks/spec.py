"""The hook specifications: everything that a plugin may implement.

A plugin is a module that an entry point of the group `trivium` names::

    [project.entry-points.trivium]
    nats = "trivium_nats.plugin"

Its functions are marked with `hookimpl`, and an implementation declares only those arguments that it uses. They are
plain functions: an `async def`, a wrapper, or a name that is not in this file makes the plugin fail to load.

**A plugin's module must be cheap to import.** All plugins are imported when the first hook is called, also for a list
of commands; so the module imports what it needs inside its functions. `trivium --help` has 0.3 s for everything.

What goes wrong in a plugin is reported with its distribution (in the log, and by `trivium plugins`), and the others
go on without it. Two plugins that bring the same thing (a URL scheme, a driver's kind, a command) are an error that
names both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import pluggy

if TYPE_CHECKING:
    from trivium.clock import Clock
    from trivium.model.drivers import Driver
    from trivium.model.events import Observer
    from trivium.registry import Registry
    from trivium.storage.port import Storage

PROJECT = "trivium"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of its name."""

StorageFactory: TypeAlias = "Callable[[str, Clock], Storage]"
"""Makes a storage, not yet opened, from a URL and the clock that it is to give out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of the `trivium` command line, imported only when it is called or asked for its own help."""

    name: str
    """One word; the same as no other plugin's."""
    target: str
    """`module:attribute` of a `typer.Typer` (a group, or a single command) or of a function that typer can run."""
    summary: str
    """One line for `trivium --help`."""
    panel: str = "More"
    """The heading under which the help lists it."""


@hookspec
def trivium_storages() -> Mapping[str, StorageFactory]:
    """Storages by URL scheme: `{"nats": open_nats}` serves `nats://...`. Since 0.1.

    Called once for each loaded set of plugins, when the first store is opened; before any commit. The factory is
    called for every store that is opened, with the whole URL; it checks the URL and connects to nothing
    (`Storage.open` does). An exception of the hook takes the plugin's storages out; one of the factory fails the
    opening.
    """
    raise NotImplementedError


@hookspec
def trivium_drivers() -> Sequence[Driver]:
    """Paradigms: drivers, each with a kind of its own. Since 0.1.

    Called once for each loaded set of plugins, before the first target is resolved. Targets are offered to the
    drivers in the order of the plugins' names, the built-in ones first, until one says that a target is its own. An
    exception takes the plugin's drivers out: their runs stay `queued` here, and the log says why.
    """
    raise NotImplementedError


@hookspec
def trivium_discover(module: ModuleType, registry: Registry) -> None:
    """Register what a user's module holds (`-m`, `modules=[...]`): actions, agents, subscribers. Since 0.1.

    Called once for each module and each app, after the module was imported and before anything runs. Returns nothing:
    what is found goes into `registry`. An exception ends the loading of the module: one of Trivium's own as it is,
    since it tells the user what is wrong with their module; any other with the plugin's name.
    """
    raise NotImplementedError


@hookspec
def trivium_commands() -> Sequence[Command]:
    """Commands of the command line. Since 0.1.

    Called once for each call of `trivium` that needs more than a built-in command: the help, a command of a plugin, an
    unknown word. An exception takes the plugin's commands out, never the command line.
    """
    raise NotImplementedError


@hookspec
def trivium_observers() -> Sequence[Observer]:
    """Observers of the event stream (`trivium.model.events`). Since 0.1.

    Called once for each loaded set of plugins, when an app starts; an exception takes the plugin's observers out. Each
    observer gets every event **after** its commit, in order, on a thread of its own with a bounded queue: one that is
    too slow loses events, one that raises is logged, and neither disturbs the engine. Best effort, at most once: what
    must not be missed is read from the store's history.
    """
    raise NotImplementedError
