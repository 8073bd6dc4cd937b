"""Callbacks from threads run on whatever loop the program has."""

import asyncio
import threading

import anyio
import pytest

from trivium.bridge import Bridge


async def _task_started_by_a_thread() -> bool:
    ran = anyio.Event()
    errors: list[BaseException] = []

    async def task() -> None:
        ran.set()

    def fail(error: BaseException) -> None:
        errors.append(error)
        ran.set()

    async with anyio.create_task_group() as tasks:
        bridge = Bridge(fail)
        threading.Thread(target=bridge.call_soon, args=(lambda: tasks.start_soon(task),)).start()
        await ran.wait()
    return not errors


def test_a_callback_starts_tasks_on_a_loop_that_asyncio_itself_runs():
    # not anyio.run, which would leave its mark in the context: a web server's loop has none either
    assert asyncio.run(_task_started_by_a_thread())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_callback_starts_tasks_on_a_loop_that_anyio_runs(backend: str):
    assert anyio.run(_task_started_by_a_thread, backend=backend)
