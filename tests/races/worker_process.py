"""A worker in a process of its own: `python worker_process.py URL`, until its standard input ends.

With a target behind the URL it is a client that starts it. It stops or kills itself at the points that TRIVIUM_FAULTS
names. It does not beat unless TRIVIUM_RACES_BEAT is set, so that it makes no commit but those of its runs: the first is
the claim with which it boots.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
from typing_extensions import override

from trivium import Definition, Driver, JsonValue, NotDone, Prepared, RunContext, Trivium
from trivium.engine.settings import EngineSettings
from trivium.hooks import Plugins, hookimpl
from trivium.model.runs import Limit
from trivium.testing.faults import install_from_env, pause_at
from trivium_storage_sqlite.plugin import open_sqlite


class Scripts(Driver):
    """A driver whose runs are async functions: `script:NAME`."""

    kind = "script"

    def __init__(self) -> None:
        self.bodies: dict[str, Callable[[RunContext], Any]] = {}
        self.limits: dict[str, tuple[Limit, ...]] = {}

    def __call__(self, *, limits: tuple[Limit, ...] = ()) -> Callable[[Callable[[RunContext], Any]], str]:
        """Add a function; what is left in its place is its target."""

        def add(body: Callable[[RunContext], Any]) -> str:
            self.bodies[body.__name__] = body
            self.limits[body.__name__] = limits
            return f"script:{body.__name__}"

        return add

    @override
    def prepare(self, target: object, inputs: Any, names: object) -> Prepared | None:
        scheme, _, name = str(target).partition(":")
        if scheme != "script":
            return None
        return Prepared(
            target=f"script:{name}",
            definition=Definition.of("script", name, {}),
            inputs=inputs,
            limits=self.limits.get(name, ()),
        )

    @override
    async def drive(self, context: RunContext) -> Any:
        return await self.bodies[context.name](context)

    def plugins(self, storages: dict[str, Any]) -> Plugins:
        """These scripts and these storages, and nothing that is installed."""
        plugin = SimpleNamespace(
            __name__="scripts",
            trivium_drivers=hookimpl(lambda: [self]),
            trivium_storages=hookimpl(lambda: storages),
        )
        return Plugins.load(extra=[plugin], installed=False)


# --- what processes run -----------------------------------------------------------------------------


def mark(file: str, text: str) -> str:
    """Leave a trace outside of the store."""
    with open(file, "a") as stream:
        stream.write(f"{text}\n")
    return text


async def marks(context: RunContext) -> JsonValue:
    """A step for each of the inputs' `steps`."""
    inputs: Any = context.inputs
    return [await context.step(text, "mark", file=inputs["file"], text=text) for text in inputs["steps"]]


async def marks_nothing(context: RunContext) -> JsonValue:
    """Ends at once."""
    return None


async def marks_then_waits(context: RunContext) -> JsonValue:
    """The same, then a signal."""
    await marks(context)
    return await context.wait("go")


async def marks_once(context: RunContext) -> JsonValue:
    """One effect, which leaves a trace when it is called, and another when it is verified."""
    inputs: Any = context.inputs

    def verify() -> str:
        mark(inputs["file"], "verified")
        if "called" not in Path(inputs["file"]).read_text().split():
            raise NotDone
        return "called"

    return await context.once("pay", lambda: mark(inputs["file"], "called"), verify=verify)


async def dies(context: RunContext) -> None:
    """Kills its worker, as often as it is driven."""
    inputs: Any = context.inputs
    mark(inputs["file"], "driven")
    os.kill(os.getpid(), 9)


LIMITED = (Limit("door", 1),)


async def marks_alone(context: RunContext) -> JsonValue:
    """As `marks`, one run at a time."""
    return await marks(context)


def add_all(scripts: Scripts) -> None:
    """Have a driver know all of these."""
    for body in (marks, marks_nothing, marks_then_waits, marks_once, dies):
        scripts()(body)
    scripts(limits=LIMITED)(marks_alone)


async def main(url: str, starts: str = "") -> None:
    scripts = Scripts()
    add_all(scripts)
    settings = EngineSettings(name="process", park_after=3600.0, shutdown_grace=5.0, queues=frozenset({"default"}))
    plugins = scripts.plugins({"sqlite": open_sqlite})
    app = Trivium(url, actions=[mark], plugins=plugins, settings=settings, worker=not starts)
    install_from_env("TRIVIUM_FAULTS")
    if starts:
        async with app:
            await app.start(starts, key="the client's")
        return
    beat = bool(os.environ.get("TRIVIUM_RACES_BEAT"))
    with pause_at("engine.before_beat", 0 if beat else 1) as heart:
        async with app:
            print(app.engine.worker_id, flush=True)
            await anyio.to_thread.run_sync(sys.stdin.read)
            heart.resume()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], "".join(sys.argv[2:]))
