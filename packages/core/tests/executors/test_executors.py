"""The executors that come with core, by themselves."""

import contextvars
import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from trivium.bridge import Bridge
from trivium.executors import Call, InlineExecutor, ThreadExecutor


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def call(function, *, label="run/step", on_begin=None, is_async=False, **arguments) -> Call:
    return Call(function, arguments, is_async, label, on_begin)


def opened(limit: int) -> ThreadExecutor:
    """A thread executor on this event loop."""
    failures: list[BaseException] = []
    executor = ThreadExecutor(limit)
    executor.start(Bridge(failures.append))
    return executor


async def eventually(condition) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_the_inline_executor_awaits_a_coroutine_where_it_stands():
    async def where(n: int) -> tuple[int, str]:
        return n, threading.current_thread().name

    assert await InlineExecutor().run(call(where, is_async=True, n=3)) == (3, threading.current_thread().name)


async def test_the_inline_executor_calls_a_function_that_promised_not_to_block():
    began = []

    assert await InlineExecutor().run(call(lambda: 5, on_begin=lambda: began.append(1))) == 5
    assert began == [1]


async def test_a_thread_call_runs_in_a_daemon_thread_of_ours_and_gives_its_value():
    def where() -> tuple[str, bool]:
        thread = threading.current_thread()
        return thread.name, thread.daemon

    executor = opened(2)
    found = await executor.run(call(where))
    executor.close()

    assert found == ("trivium-step-1", True)


@pytest.mark.parametrize("error", [ValueError("no good"), SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_a_thread_call_gives_its_exception_as_it_is(error):
    def wrong() -> None:
        raise error

    executor = opened(1)
    with pytest.raises(type(error)) as raised:
        await executor.run(call(wrong))
    assert raised.value is error
    assert await executor.run(call(lambda: "the thread goes on")) == "the thread goes on"
    executor.close()


async def test_a_thread_call_sees_the_context_variables_of_its_caller():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    executor = opened(1)

    assert await executor.run(call(variable.get)) == "set"
    executor.close()


async def test_threads_are_used_again():
    executor = opened(8)

    names = {await executor.run(call(lambda: threading.current_thread().name)) for _ in range(5)}
    executor.close()

    assert len(names) == 1


async def test_no_more_calls_than_the_limit_run_at_once_and_the_others_begin_later():
    release = threading.Event()
    running, most, began = [0], [0], []
    lock = threading.Lock()

    def works() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        release.wait(30)
        with lock:
            running[0] -= 1

    executor = opened(2)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(executor.run, call(works, on_begin=lambda: began.append(1)))
        await eventually(lambda: running[0] == 2)
        assert len(began) == 2
        release.set()
    executor.close()

    assert (most, len(began)) == ([2], 5)


async def test_a_cancelled_call_keeps_its_place_until_its_thread_ends():
    release, began = threading.Event(), threading.Event()

    def hangs() -> None:
        began.set()
        release.wait(30)

    executor = opened(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(executor.run, call(hangs, label="a"))
        await anyio.to_thread.run_sync(began.wait, 5)
        tasks.cancel_scope.cancel()
    assert (executor.stuck, executor.all_stuck, executor.is_stuck("a"), executor.is_stuck("b")) == (
        1,
        True,
        True,
        False,
    )
    assert await executor.wait_unstuck("b", 0) is True
    assert await executor.wait_unstuck("a", 0.01) is False

    release.set()
    assert await executor.wait_unstuck("a", 5) is True
    assert (executor.stuck, executor.all_stuck) == (0, False)
    assert await executor.run(call(lambda: 1)) == 1
    executor.close()


async def test_a_call_that_is_cancelled_while_it_waits_for_a_place_takes_none():
    release, began = threading.Event(), threading.Event()

    def hangs() -> None:
        began.set()
        release.wait(30)

    executor = opened(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(executor.run, call(hangs))
        await anyio.to_thread.run_sync(began.wait, 5)
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(executor.run, call(lambda: 1))
            await anyio.lowlevel.checkpoint()
            waiting.cancel_scope.cancel()
        assert executor.stuck == 0
        release.set()
    assert await executor.run(call(lambda: 2)) == 2
    executor.close()


async def test_a_place_that_was_handed_to_a_call_that_is_cancelled_goes_to_the_next():
    executor = opened(1)
    release, began = threading.Event(), threading.Event()
    found = []

    def hangs() -> None:
        began.set()
        release.wait(30)

    second = anyio.CancelScope()

    async def cancelled() -> None:
        with second:
            await executor.run(call(lambda: "second"))

    async def third() -> None:
        found.append(await executor.run(call(lambda: "third")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(executor.run, call(hangs))
        await anyio.to_thread.run_sync(began.wait, 5)
        tasks.start_soon(cancelled)
        await eventually(lambda: len(executor._waiting) == 1)
        tasks.start_soon(third)
        await eventually(lambda: len(executor._waiting) == 2)
        executor._free_place()  # the place goes to the second, which is cancelled before it runs
        second.cancel()
        await eventually(lambda: bool(found))
        release.set()
    executor.close()

    assert found == ["third"]


async def test_a_stuck_step_is_that_of_its_whole_label_and_of_its_run_only():
    release, began = threading.Event(), threading.Event()

    def hangs() -> None:
        began.set()
        release.wait(30)

    executor = opened(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(executor.run, call(hangs, label="run/s10"))
        await anyio.to_thread.run_sync(began.wait, 5)
        tasks.cancel_scope.cancel()
    steps = [executor.is_stuck(label) for label in ("run/s10", "run/s1", "run/s")]
    runs = [executor.is_stuck_in(run) for run in ("run", "ru", "run/s10")]
    release.set()
    ended = await executor.wait_unstuck("run/s10", 30)
    executor.close()

    assert (steps, runs, ended) == ([True, False, False], [True, False, False], True)
