"""The deadline heap: one for everything that waits for a time."""

from functools import partial

import anyio
import anyio.lowlevel
import pytest

from trivium.engine.timers import Timers
from trivium.testing import TestClock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def eventually(condition) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_callbacks_are_made_in_the_order_of_their_times():
    clock = TestClock()
    fired: list[int] = []
    timers = Timers(clock)
    for seconds in (3, 1, 2):
        timers.after(seconds, partial(fired.append, seconds))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await clock.sleepers()
        clock.advance(2)
        await eventually(lambda: len(fired) == 2)
        assert fired == [1, 2]
        await clock.sleepers()
        clock.advance(1)
        await eventually(lambda: len(fired) == 3)
        tasks.cancel_scope.cancel()

    assert fired == [1, 2, 3]


async def test_a_timer_that_is_cancelled_is_not_made():
    clock, fired = TestClock(), []
    timers = Timers(clock)
    timer = timers.after(1, lambda: fired.append("cancelled"))
    timers.after(1, lambda: fired.append("kept"))
    timer.cancel()
    timer.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await clock.sleepers()
        clock.advance(1)
        await eventually(lambda: bool(fired))
        tasks.cancel_scope.cancel()

    assert fired == ["kept"]


async def test_an_earlier_timer_that_comes_later_is_made_first():
    clock, fired = TestClock(), []
    timers = Timers(clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        timers.after(100, lambda: fired.append("late"))
        await clock.sleepers()
        timers.after(1, lambda: fired.append("early"))
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        await clock.sleepers()
        clock.advance(1)
        await eventually(lambda: bool(fired))
        tasks.cancel_scope.cancel()

    assert fired == ["early"]


async def test_a_callback_may_set_the_next_timer():
    clock, fired = TestClock(), []
    timers = Timers(clock)

    def again() -> None:
        fired.append(clock.monotonic())
        if len(fired) < 3:
            timers.after(0, again)

    timers.after(0, again)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await eventually(lambda: len(fired) == 3)
        tasks.cancel_scope.cancel()

    assert fired == [0, 0, 0]


async def test_a_moment_of_the_wall_clock_that_has_passed_is_now():
    clock, fired = TestClock(), []
    timers = Timers(clock)
    timers.at(clock.now(), lambda: fired.append("now"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await eventually(lambda: bool(fired))
        tasks.cancel_scope.cancel()


def test_timers_that_are_cancelled_do_not_pile_up_until_their_time():
    timers = Timers(TestClock())
    kept = timers.after(3600, lambda: None)
    for _ in range(100_000):
        timers.after(3600, lambda: None).cancel()

    assert len(timers) < 5_000
    assert kept.callback is not None
