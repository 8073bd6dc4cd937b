"""`Trivium`: open a store, register actions, start runs and ask about them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.lowlevel
import anyio.to_thread

from trivium.clock import Clock, Micros
from trivium.config import DEFAULT_STORE
from trivium.engine.engine import Engine
from trivium.engine.follow import follow
from trivium.engine.runs import new_root
from trivium.engine.settings import EngineSettings
from trivium.engine.targets import prepare
from trivium.errors import Conflict, NotFound, RunCancelled, RunFailed, UsageError
from trivium.hooks import Plugins
from trivium.ids import RunId, WorkerId
from trivium.json import JsonValue, dumps, loads
from trivium.loading import load_module
from trivium.model.commit import Applied, CancelUnit, End, NewSignal, Result, RetryUnit, SignalUnit, StartUnit
from trivium.model.drivers import EveryName, Names, Prepared
from trivium.model.events import Event, Observer
from trivium.model.journal import Entry
from trivium.model.runs import DEFAULT_QUEUE, Definition, NewRun, Run
from trivium.model.states import FailureKind, RunStatus
from trivium.registry import Registry
from trivium.storage.open import open_storage
from trivium.storage.port import Note, Pruned, RunFilter, Storage, WorkerRecord

if TYPE_CHECKING:
    from trivium.graph import Drawing, Recorded

MOST_DRAWN = 2_000
"""Runs of one tree that a picture shows."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as stored at one moment."""

    run: Run
    entries: Sequence[Entry]
    notes: Sequence[Note]
    children: Sequence[Run]


class RunHandle:
    """A run, wherever it is driven. Made by `Trivium.start` and `Trivium.get`."""

    def __init__(self, app: Trivium, run_id: RunId, *, existed: bool = False) -> None:
        self._app = app
        self.id = run_id
        self.existed = existed
        """The start found a run of the same key."""

    async def result(self) -> JsonValue:
        """Wait for the end; the outputs.

        :raises RunFailed: it failed; `RunCancelled`: it was cancelled
        """
        end = await self._app.engine.wait_end(self.id)
        if end.status is RunStatus.COMPLETED:
            return loads(end.output) if end.output is not None else None
        message = end.error.message if end.error is not None else str(end.status)
        code = end.error.code if end.error is not None else RunFailed.code
        if end.status is RunStatus.CANCELLED:
            raise RunCancelled(self.id, message, kind=FailureKind.CANCELLED, failure_code=code)
        kind = end.error.kind if end.error is not None else FailureKind.ERROR
        raise RunFailed(self.id, message, kind=kind, failure_code=code)

    async def wait(self) -> End:
        """Wait for the end, whatever it is."""
        return await self._app.engine.wait_end(self.id)

    async def run(self) -> Run:
        """Its row, as stored now."""
        return await self._app.engine.read_run(self.id)

    async def status(self) -> RunStatus:
        """Its status, as stored now."""
        return (await self.run()).status

    async def snapshot(self) -> Snapshot:
        """The run with its journal, its history and the runs that it started."""
        return await anyio.to_thread.run_sync(partial(read_snapshot, self._app.storage, self.id))

    async def cancel(self, reason: str = "cancelled by request") -> RunStatus:
        """Cancel it and the runs below it; its status now. One that is driven ends a moment later.

        :raises RunIsTerminal: it has ended
        """
        applied = await self._app.engine.commit(CancelUnit(self.id, reason))
        return applied.status or await self.status()

    async def signal(self, name: str, payload: JsonValue = None, *, id: str | None = None) -> None:
        """Signal it: durable once this returns; buffered until it waits for it. `id` deduplicates.

        :raises RunIsTerminal: it has ended
        """
        text = dumps(payload, what="payload")
        await self._app.engine.commit(SignalUnit(NewSignal(self.id, name, text, id)))

    async def retry(self) -> None:
        """Start a failed or cancelled run again from where it failed, with the runs below it. `drive` it, or leave it
        to a worker.

        :raises Conflict: it is neither failed nor cancelled
        """
        await self._app.engine.commit(RetryUnit(self.id))
        self._app.engine.worker.look_for_work()

    def events(self) -> AsyncIterator[Event]:
        """What happens in its tree from now on, until it ends: at once for what this process drives, else within half a
        second, from the journal."""
        return follow(self._app.engine, self.id)

    async def graph(self) -> Drawing:
        """The picture of the run as it stands: of its definition with states, times and attempts, and the runs it
        started."""
        from trivium.graph import Drawing, picture_of_run

        top, below = await anyio.to_thread.run_sync(self._app.read_tree, self.id)
        return Drawing(picture_of_run(top, below))


class Trivium:
    """A store, the registered actions, and, with `worker`, a worker for them. Nothing starts in the constructor.

    `async with Trivium(...) as app:` opens the store, migrates it, and starts the worker; on leaving, steps under way
    may finish (for `shutdown_grace` seconds) and unfinished runs are handed back. `worker=False` is a client: it starts
    and asks but drives nothing. From plain scripts, `run(target, inputs)` does everything and returns the outputs.
    """

    def __init__(
        self,
        url: str = DEFAULT_STORE,
        *,
        modules: Sequence[str | Path] = (),
        folder: Path | None = None,
        actions: Sequence[Callable[..., Any]] = (),
        worker: bool = True,
        only_started: bool = False,
        plugins: Plugins | None = None,
        observers: Sequence[Observer] = (),
        clock: Clock | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        """:param folder: what relative `modules` are relative to; the working directory if absent
        :param only_started: drive only trees that this object was told to `drive`, nobody else's"""
        self.plugins = plugins or Plugins.load()
        self.registry = Registry()
        for reference in modules:
            self.plugins.discover(load_module(reference, folder=folder), self.registry)
        for function in actions:
            self.registry.register(function)
        self.storage: Storage = open_storage(url, clock=clock, openers=self.plugins.storages)
        self._worker = worker
        self._only_started = only_started
        self._observers = tuple(observers)
        self._settings = settings or EngineSettings()
        self._stack: AsyncExitStack | None = None
        self._engine: Engine | None = None
        self._roots: set[RunId] | None = set() if only_started else None

    # --- lifetime --------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        engine = Engine(
            self.storage,
            registry=self.registry,
            drivers=self.plugins.drivers,
            observers=(*self.plugins.observers, *self._observers),
            settings=self._settings,
            works=self._worker,
            roots=self._roots,
        )
        stack = AsyncExitStack()
        await stack.enter_async_context(engine.running())
        self._stack, self._engine = stack, engine
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        stack, self._stack = self._stack, None
        return None if stack is None else await stack.__aexit__(kind, error, trace)

    async def stop(self) -> None:
        """Work no more: steps under way may finish, then runs are handed back. Asking still works. May be called
        twice."""
        await self.engine.stop()

    @property
    def engine(self) -> Engine:
        """The engine below, while the app is open."""
        if self._engine is None:
            raise Conflict("the app is not open", hint="use it inside `async with Trivium(...) as app:`")
        return self._engine

    # --- starting --------------------------------------------------------------------------------

    def prepare(self, target: object, inputs: JsonValue = None) -> Prepared:
        """Resolve a target and check its inputs, without starting anything.

        :raises NotFound, DefinitionError, InvalidInput:
        """
        blind = not self._worker and not self.registry.action_names()
        names: Names = EveryName() if blind else self.registry
        return prepare(self.plugins.drivers, target, {} if inputs is None else inputs, names)

    async def start(
        self,
        target: object,
        inputs: JsonValue = None,
        *,
        key: str | None = None,
        queue: str | None = None,
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
        not_before: Micros | None = None,
    ) -> RunHandle:
        """Start a run: durable once this returns. A target is a flow file or what a paradigm offers, `flow:NAME` and
        the like.

        :raises NotFound, DefinitionError, InvalidInput: nothing was started
        :raises KeyConflict: the key belongs to this target with other inputs
        """
        prepared = self.prepare(target, inputs)
        new = new_root(
            prepared,
            key=key,
            queue=queue,
            priority=priority,
            labels=labels,
            not_before=not_before,
            claim_by=self._claimer(prepared.definition, queue, not_before),
        )
        return await self._start(new)

    async def _start(self, new: NewRun) -> RunHandle:
        engine = self.engine
        if self._roots is not None and self._worker:
            self._roots.add(new.id)

        def adopt(result: Result) -> None:
            if isinstance(result, Applied) and not result.started[0].existed:
                engine.worker.adopt(new, result.started[0])
            elif self._roots is not None:
                self._roots.discard(new.id)

        # Not behind the await: a caller that was cancelled meanwhile leaves a run that may be ours to drive.
        applied = await engine.commit(StartUnit(new), first=adopt)
        started = applied.started[0]
        return RunHandle(self, started.run_id, existed=started.existed)

    def _claimer(self, definition: Definition, queue: str | None, not_before: Micros | None) -> WorkerId | None:
        served = self._settings.queues is None or (queue or DEFAULT_QUEUE) in self._settings.queues
        return self.engine.worker.claimer(definition) if self._worker and served and not_before is None else None

    async def drive(self, run_id: RunId) -> None:
        """Have this process's worker drive the tree of a run, if nobody else does."""
        run = await self.engine.read_run(run_id)
        if self._roots is not None:
            self._roots.add(run.root_id)
        self.engine.worker.look_for_work()

    def run(self, target: object, inputs: JsonValue = None, *, key: str | None = None) -> JsonValue:
        """Start a run, drive it to its end, return its outputs. Blocks; for plain scripts, not inside an event loop.

        :raises RunFailed: and what `start` raises
        """
        with suppress(RuntimeError):  # how anyio says that there is no loop
            anyio.lowlevel.current_token()
            raise UsageError(
                "Trivium.run blocks, and this is inside an event loop",
                hint="open the app with `async with`, then: run = await app.start(...); await run.result()",
            )

        async def main() -> JsonValue:
            async with self:
                handle = await self.start(target, inputs, key=key)
                if handle.existed:
                    await self.drive(handle.id)
                return await handle.result()

        return anyio.run(main)

    # --- asking ----------------------------------------------------------------------------------

    async def get(self, run_id: str) -> RunHandle:
        """The run with this id, or with an id that begins so.

        :raises NotFound: none; :raises Conflict: several begin so
        """
        found = await self.runs(RunFilter(id_prefix=run_id, limit=2))
        if not found:
            raise NotFound("run", run_id, hint="trivium runs list")
        if len(found) > 1 and found[0].id != run_id:
            raise Conflict(f"several runs begin with {run_id!r}", hint="give more of the id")
        return RunHandle(self, found[0].id)

    async def runs(self, wanted: RunFilter | None = None) -> Sequence[Run]:
        """Runs, newest first."""
        return await anyio.to_thread.run_sync(self.storage.runs, wanted or RunFilter())

    def read_tree(self, run_id: RunId) -> tuple[Recorded, Sequence[Recorded]]:
        """A run and the runs below it, with what is needed to draw them. Blocks.

        :raises NotFound:
        """
        from trivium.graph import Recorded

        drivers = {driver.kind: driver for driver in self.plugins.drivers}

        def recorded(run: Run) -> Recorded:
            definition = self.storage.definition(run.definition_id)
            driver = drivers.get(run.kind)
            drawn = driver.picture(definition) if driver is not None and definition is not None else None
            return Recorded(run=run, entries=self.storage.entries(run.id), definition=drawn)

        top = self.storage.run(run_id)
        if top is None:
            raise NotFound("run", run_id, hint="trivium runs list")
        tree = reversed(self.storage.runs(RunFilter(root_id=top.root_id, limit=MOST_DRAWN)))
        inside = {run_id}
        below = []
        for run in tree:  # oldest first: a parent comes before its children
            if run.parent_id in inside:
                inside.add(run.id)
                below.append(recorded(run))
        return recorded(top), below

    async def workers(self) -> Sequence[WorkerRecord]:
        """Who is alive."""
        return await anyio.to_thread.run_sync(self.storage.workers)

    async def prune(self, *, before: Micros, dry_run: bool = False) -> Pruned:
        """Delete whole trees that ended before then."""
        return await anyio.to_thread.run_sync(partial(self.storage.prune, before=before, dry_run=dry_run))


def read_snapshot(storage: Storage, run_id: RunId) -> Snapshot:
    """A run with what belongs to it.

    :raises NotFound:
    """
    run = storage.run(run_id)
    if run is None:
        raise NotFound("run", run_id, hint="trivium runs list")
    children = storage.runs(RunFilter(parent_id=run_id, limit=10_000))
    return Snapshot(run, storage.entries(run_id), storage.notes(run_id), tuple(reversed(children)))


__all__ = ["DEFAULT_STORE", "RunHandle", "Snapshot", "Trivium", "read_snapshot"]
