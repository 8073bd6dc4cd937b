"""What a command works with: settings, plugins, the user's actions, the store. Each is made when it is first asked
for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from trivium.config import Settings, load_settings
from trivium.errors import Conflict, NotFound
from trivium.hooks import Plugins
from trivium.ids import RunId
from trivium.model.drivers import EveryName
from trivium.storage.port import RunFilter, Storage

if TYPE_CHECKING:
    from trivium.app import Trivium
    from trivium.model.drivers import Driver, Names
    from trivium.model.events import Observer
    from trivium.registry import Registry


class Session:
    """One command's work. Options that were not given are None, and come from the environment or a file."""

    def __init__(
        self,
        *,
        store: str | None = None,
        modules: Sequence[str] | None = None,
        concurrency: int | None = None,
        queues: Sequence[str] | None = None,
    ) -> None:
        self.settings: Settings = load_settings(
            {
                "store": store,
                "modules": list(modules) if modules else None,
                "concurrency": concurrency,
                "queues": list(queues) if queues else None,
            }
        )

    @cached_property
    def plugins(self) -> Plugins:
        return Plugins.load()

    @cached_property
    def registry(self) -> Registry:
        """The actions of all modules."""
        from trivium.loading import load_module
        from trivium.registry import Registry

        registry = Registry()
        for reference in self.settings.modules:
            self.plugins.discover(load_module(reference, folder=self.settings.folder), registry)
        return registry

    @property
    def names(self) -> Names:
        """What definitions are checked against: the registry, or, where no module was named, every name."""
        return self.registry if self.settings.modules else EveryName()

    @property
    def drivers(self) -> Sequence[Driver]:
        return self.plugins.drivers

    @contextmanager
    def storage(self) -> Iterator[Storage]:
        """The store, open; for commands that only read or that need no worker."""
        from trivium.storage.open import open_storage

        with open_storage(self.settings.store, openers=self.plugins.storages) as storage:
            yield storage

    def app(self, *, only_started: bool, name: str | None = None, observers: Sequence[Observer] = ()) -> Trivium:
        """The app as a worker, not yet entered; with `only_started` it drives only what it is told to."""
        from trivium.app import Trivium
        from trivium.engine.settings import EngineSettings

        settings = self.settings
        return Trivium(
            settings.store,
            modules=settings.modules,
            folder=settings.folder,
            only_started=only_started,
            plugins=self.plugins,
            observers=observers,
            settings=EngineSettings(
                name=name or "cli",
                concurrency=settings.concurrency,
                # What a person asks this process to drive, it drives, whatever queue it is in.
                queues=None if settings.queues is None or only_started else frozenset(settings.queues),
                heartbeat_timeout=settings.heartbeat_timeout,
                park_after=settings.park_grace,
                shutdown_grace=settings.shutdown_grace,
            ),
        )

    def client(self, *, starts: bool = False) -> Trivium:
        """The app as a client, not yet entered: it writes, and drives nothing. One that `starts` runs knows the user's
        actions; where no module was named it takes every action for one that the workers have."""
        from trivium.app import Trivium

        named = self.settings.modules if starts else ()
        return Trivium(
            self.settings.store, modules=named, folder=self.settings.folder, worker=False, plugins=self.plugins
        )


def find_run(storage: Storage, beginning: str) -> RunId:
    """The id of the one run whose id begins so.

    :raises NotFound: none does
    :raises Conflict: several do
    """
    found = storage.runs(RunFilter(id_prefix=beginning, limit=3)) if beginning else ()
    if not found:
        raise NotFound("run", beginning, hint="trivium runs list shows those there are")
    if len(found) > 1 and all(run.id != beginning for run in found):
        raise Conflict(f"several runs begin with {beginning!r}", hint="give more of the id")
    return next((run.id for run in found if run.id == beginning), found[0].id)
