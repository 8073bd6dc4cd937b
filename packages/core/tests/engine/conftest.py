"""What the tests of the engine share: two small drivers, a store that several apps stand on, a clock that is moved by
hand.

Every test runs under asyncio and under trio on the in-memory storage, and under asyncio on SQLite. Test modules cannot
import this one; they get everything through the fixture `world`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from typing_extensions import override

from trivium.app import RunHandle, Trivium
from trivium.clock import Clock, Micros
from trivium.engine.bus import Subscription
from trivium.engine.settings import EngineSettings
from trivium.errors import StepFailed
from trivium.hooks import Plugins, hookimpl
from trivium.ids import RunId
from trivium.json import JsonValue, dumps
from trivium.model.commit import End
from trivium.model.context import Outcome, RunContext
from trivium.model.drivers import Driver, Names, Prepared
from trivium.model.events import Event
from trivium.model.journal import Entry
from trivium.model.policies import Duration, Retry, micros
from trivium.model.runs import Definition, Limit
from trivium.model.states import RunStatus
from trivium.storage.memory import MemoryStorage
from trivium.storage.port import Storage
from trivium.testing import Pause, TestClock, pause_at

E = TypeVar("E", bound=Event)

PATIENCE = 30.0
"""Seconds of real time after which what a test waits for has certainly gone wrong."""


# --- a driver that spawns children and waits --------------------------------------------------------


@dataclass(frozen=True)
class Script:
    """A coroutine function over the context, and what its runs are to have."""

    function: Callable[[RunContext], Awaitable[JsonValue]]
    name: str
    timeout: Micros | None = None
    limits: tuple[Limit, ...] = ()
    needs: frozenset[str] = frozenset()


class Scripts(Driver):
    """Drives functions: a run's target is the function itself, or `script:NAME` of one that was a target before."""

    kind: ClassVar[str] = "script"

    def __init__(self) -> None:
        self.known: dict[str, Script] = {}

    @override
    def prepare(self, target: object, inputs: JsonValue, names: Names) -> Prepared | None:
        script = self.known.get(target.removeprefix("script:")) if isinstance(target, str) else target
        if callable(script):
            script = Script(script, script.__name__)  # type: ignore[attr-defined]  # tests pass functions
        if not isinstance(script, Script):
            return None
        self.known[script.name] = script
        return Prepared(
            target=f"script:{script.name}",
            definition=Definition.of(self.kind, script.name, {"name": script.name}, script.needs),
            inputs=inputs,
            timeout=script.timeout,
            limits=script.limits,
        )

    @override
    async def drive(self, context: RunContext) -> JsonValue:
        return await self.known[context.name].function(context)


# --- a driver that fans out ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Fan:
    """A graph of steps: by key the action, its input, and the keys of the steps before it."""

    steps: Mapping[str, tuple[str, dict[str, JsonValue], list[str]]]
    fused: bool = False
    """Whether the end goes into the commit of the last outcome."""
    retry: Retry | None = None
    propose: Callable[[Outcome], End | None] | None = None
    """What is proposed instead."""


class Fans(Driver):
    """Drives graphs by `launch` and `collect`; the output is that of all steps, by key."""

    kind: ClassVar[str] = "fan"
    pure: ClassVar[bool] = True

    def __init__(self) -> None:
        self.fans: dict[str, Fan] = {}

    @override
    def prepare(self, target: object, inputs: JsonValue, names: Names) -> Prepared | None:
        if not isinstance(target, Fan):
            return None
        definition = Definition.of(self.kind, "fan", {key: list(step) for key, step in target.steps.items()})
        self.fans[definition.id] = target
        return Prepared(target="fan:fan", definition=definition, inputs=inputs)

    @override
    async def drive(self, context: RunContext) -> JsonValue:
        fan = self.fans[context.definition_id]
        outputs: dict[str, JsonValue] = {}
        waiting = {key: set(before) for key, (_, _, before) in fan.steps.items()}

        def decide(outcome: Outcome) -> End | None:
            if not outcome.ok or waiting or len(outputs) + 1 < len(fan.steps):
                return None
            return End(RunStatus.COMPLETED, dumps({**outputs, outcome.key: outcome.output}))

        if fan.fused or fan.propose is not None:
            context.propose_end(fan.propose or decide)
        after: dict[str, list[str]] = {}
        for key, before in waiting.items():
            for one in before:
                after.setdefault(one, []).append(key)
        ready = [key for key, before in waiting.items() if not before]
        while ready or len(outputs) < len(fan.steps):
            for key in ready:
                del waiting[key]
                action, arguments, _ = fan.steps[key]
                context.options(retry=fan.retry).launch(key, action, arguments)
            ready = []
            for outcome in await context.collect():
                if not outcome.ok:
                    raise StepFailed(outcome.key, outcome.error.message if outcome.error else "?")
                outputs[outcome.key] = outcome.output
                for key in after.get(outcome.key, ()):
                    waiting[key].discard(outcome.key)
                    if not waiting[key]:
                        ready.append(key)
        return dict(sorted(outputs.items()))


# --- a store that several apps stand on ---------------------------------------------------------------


class SharedMemory(MemoryStorage):
    """A store in memory that outlives the apps that open it, as a file does."""

    @override
    def close(self) -> None:
        pass


@dataclass
class World:
    """One store, one clock, and apps on them. Events are kept from before the body of `app` on."""

    url: str
    clock: TestClock
    memory: Storage | None
    scripts: Scripts = field(default_factory=Scripts)
    fans: Fans = field(default_factory=Fans)
    storage_factory: Callable[[str, Clock], Storage] | None = None
    """What opens the store instead, for apps that are made from now on: a storage that fails."""

    @hookimpl
    def trivium_drivers(self) -> Sequence[Driver]:
        return [self.scripts, self.fans]

    @hookimpl
    def trivium_storages(self) -> Mapping[str, Callable[[str, Clock], Storage]]:
        return {"shared": lambda url, clock: self.memory, "broken": self._broken}  # type: ignore[dict-item, return-value]

    def _broken(self, url: str, clock: Clock) -> Storage:
        assert self.storage_factory is not None
        return self.storage_factory(url, clock)

    def script(
        self,
        function: Callable[[RunContext], Awaitable[JsonValue]],
        *,
        timeout: Duration | None = None,
        limits: Sequence[Limit] = (),
        needs: Sequence[str] = (),
    ) -> Script:
        """A target whose runs have these."""
        return Script(
            function,
            function.__name__,
            None if timeout is None else micros(timeout),
            tuple(limits),
            frozenset(needs),
        )

    fan = staticmethod(Fan)

    def unopened(
        self,
        *actions: Callable[..., Any],
        worker: bool = True,
        only_started: bool = False,
        observers: Sequence[Callable[[Event], None]] = (),
        clock: Clock | None = None,
        url: str | None = None,
        **settings: Any,
    ) -> Trivium:
        """An app on the store, not entered yet."""
        return Trivium(
            url or self.url,
            actions=actions,
            worker=worker,
            only_started=only_started,
            observers=observers,
            plugins=Plugins.load(extra=[self]),
            clock=clock or self.clock,
            settings=EngineSettings(**settings),
        )

    @asynccontextmanager
    async def app(self, *actions: Callable[..., Any], **options: Any) -> AsyncIterator[Opened]:
        """An app on the store, with what happens in it."""
        with anyio.fail_after(PATIENCE):
            async with self.unopened(*actions, **options) as app:
                yield Opened(self, app)


class Opened:
    """An open app, and its events so far."""

    def __init__(self, world: World, app: Trivium) -> None:
        self.world = world
        self.app = app
        self.engine = app.engine
        self.storage = app.storage
        self.start = app.start
        self.get = app.get
        self.events: Subscription = app.engine.bus.subscribe()
        self.seen: list[Event] = []

    async def heard(self, kind: type[E], run: RunHandle | None = None, *, nth: int = 1, **wanted: object) -> E:
        """Wait for the nth event of that kind, of that run, with those fields, since the app was opened."""

        def fits(event: Event) -> bool:
            return (
                isinstance(event, kind)
                and (run is None or event.run_id == run.id)
                and all(getattr(event, name) == value for name, value in wanted.items())
            )

        with anyio.fail_after(PATIENCE):
            while len(found := [event for event in self.seen if fits(event)]) < nth:
                event = await self.events.get()
                assert event is not None, "the app was closed"
                self.seen.append(event)
        found_one = found[nth - 1]
        assert isinstance(found_one, kind)
        return found_one

    async def idle(self, run: RunHandle) -> None:
        """Wait until a run that is driven here only waits. The engine tells nobody of that, so this looks at every turn
        of the loop."""
        await self.until(lambda: (drive := self.engine.worker.driven.get(run.id)) is not None and drive.idle)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Look at every turn of the event loop; for what the engine has no event for."""
        with anyio.fail_after(PATIENCE):
            while not condition():
                await anyio.lowlevel.checkpoint()

    async def journal(self, run: RunHandle | RunId) -> dict[str, Entry]:
        """The stored entries by key; of two generations the later."""
        run_id = run if isinstance(run, str) else run.id
        entries = await anyio.to_thread.run_sync(self.storage.entries, run_id)
        return {entry.key: entry for entry in entries}

    async def notes(self, run: RunHandle) -> list[str]:
        """The run's history."""
        return [note.text for note in await anyio.to_thread.run_sync(self.storage.notes, run.id)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The storages are called from threads, so one event loop is enough for the second of them."""
    if "world" in metafunc.fixturenames:
        combinations = [("asyncio", "memory"), ("trio", "memory"), ("asyncio", "sqlite")]
        metafunc.parametrize(("anyio_backend", "world"), combinations, indirect=True)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    clock = TestClock()
    if request.param == "sqlite":
        yield World(f"sqlite:///{tmp_path}/store.db", clock, None)
        return
    memory = SharedMemory(clock=clock)
    yield World("shared:", clock, memory)
    MemoryStorage.close(memory)


# --- commits that are held --------------------------------------------------------------------------


class Held:
    """The commits of an app, held from when `hold` is called."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._pause: Pause | None = None

    def hold(self) -> None:
        """Hold the committer at its next commit. What is submitted on the event loop without a turn in between is in
        it, or behind it."""
        self._pause = self._stack.enter_context(pause_at("engine.before_commit"))

    async def reached(self) -> None:
        while self._pause is None:
            await anyio.lowlevel.checkpoint()
        await anyio.to_thread.run_sync(self._pause.wait_reached)

    def resume(self) -> None:
        self._stack.close()


@pytest.fixture
def held() -> Iterator[Held]:
    with ExitStack() as stack:
        yield Held(stack)


@pytest.fixture
def plain(tmp_path: Path) -> World:
    """The two drivers as a plugin, for tests that make their apps and event loops themselves."""
    return World(f"sqlite:///{tmp_path}/store.db", TestClock(), None)
