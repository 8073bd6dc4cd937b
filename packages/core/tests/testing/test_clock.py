"""The clock for tests: it stands until it is moved, and wakes its waiters in the order of their times."""

import threading

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from trivium.clock import SECOND
from trivium.testing import TestClock

PATIENCE = 30.0


def test_time_stands_until_it_is_moved():
    clock = TestClock()
    now, monotonic = clock.now(), clock.monotonic()

    clock.advance(1.5)

    assert clock.now() - now == 1.5 * SECOND
    assert clock.monotonic() - monotonic == 1.5


def test_a_jump_moves_the_wall_clock_alone():
    clock = TestClock()
    now, monotonic = clock.now(), clock.monotonic()

    clock.jump(3600)

    assert clock.now() - now == 3600 * SECOND
    assert clock.monotonic() == monotonic


def test_time_does_not_run_backward():
    clock = TestClock()

    with pytest.raises(ValueError, match="backward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="backward"):
        clock.jump(-1)


def test_small_steps_add_up_exactly():
    clock = TestClock()
    start = clock.now()

    for _ in range(10):
        clock.advance(0.1)

    assert clock.now() - start == SECOND
    assert clock.monotonic() == 1.0


async def test_waiters_wake_in_the_order_of_their_times():
    clock = TestClock()
    woken: list[float] = []

    async def wait(seconds: float) -> None:
        await clock.wait(anyio.Event(), seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as group:
        for seconds in (5, 1, 3, 2, 4):
            group.start_soon(wait, seconds)
        await clock.sleepers(5)
        clock.advance(10)

    assert woken == [1, 2, 3, 4, 5]


async def test_a_waiter_sleeps_until_its_time_has_come_wholly():
    clock = TestClock()
    woken = anyio.Event()

    async def wait() -> None:
        await clock.wait(anyio.Event(), 2)
        woken.set()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await clock.sleepers()
        clock.advance(1.999_999)
        await anyio.wait_all_tasks_blocked()
        assert not woken.is_set()
        clock.advance(0.000_001)
        await woken.wait()


async def test_an_event_ends_a_wait_before_its_time():
    clock = TestClock()
    event = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(clock.wait, event, 60)
        await clock.sleepers()
        event.set()

    assert event.is_set()


async def test_a_wait_without_a_time_ends_by_its_event_alone():
    clock = TestClock()
    event = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(clock.wait, event, None)
        await anyio.wait_all_tasks_blocked()
        clock.advance(10_000)
        await anyio.wait_all_tasks_blocked()
        event.set()


async def test_what_is_due_already_is_not_waited_for():
    clock = TestClock()
    event = anyio.Event()

    await clock.wait(event, 0)
    await clock.wait(event, -1)
    event.set()
    await clock.wait(event, 60)


async def test_a_cancelled_waiter_does_not_hold_up_the_others():
    clock = TestClock()
    woken: list[int] = []

    async def wait(seconds: int) -> None:
        await clock.wait(anyio.Event(), seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as group:
        cancelled = anyio.CancelScope()

        async def be_cancelled() -> None:
            with cancelled:
                await wait(1)

        group.start_soon(be_cancelled)
        group.start_soon(wait, 2)
        await clock.sleepers(2)
        cancelled.cancel()
        await anyio.wait_all_tasks_blocked()
        clock.advance(5)

    assert woken == [2]


async def test_a_waiter_that_waits_again_counts_from_the_new_time():
    clock = TestClock()
    times: list[float] = []

    async def wait_twice() -> None:
        for _ in range(2):
            await clock.wait(anyio.Event(), 1)
            times.append(clock.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(wait_twice)
        await clock.sleepers()
        clock.advance(1)
        await anyio.wait_all_tasks_blocked()
        await clock.sleepers()
        clock.advance(1)

    assert times == [1.0, 2.0]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_another_thread_may_move_the_clock(backend: str):
    clock = TestClock()
    with start_blocking_portal(backend) as portal:
        waiting = portal.start_task_soon(lambda: clock.wait(anyio.Event(), 5))
        portal.call(clock.sleepers)

        clock.advance(5)

        waiting.result(PATIENCE)


def test_waiters_of_two_event_loops_all_wake():
    clock = TestClock()

    async def wait(seconds: float) -> float:
        await clock.wait(anyio.Event(), seconds)
        return seconds

    with start_blocking_portal("asyncio") as one, start_blocking_portal("trio") as two:
        waiting = [
            one.start_task_soon(wait, 2),
            two.start_task_soon(wait, 1),
            two.start_task_soon(wait, 3),
        ]
        one.call(clock.sleepers, 3)
        clock.advance(10)
        results = [each.result(PATIENCE) for each in waiting]

    assert results == [2, 1, 3]


def test_threads_read_the_clock_while_it_moves():
    clock = TestClock()
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(clock.now() for _ in range(1000)))
    reader.start()

    for _ in range(1000):
        clock.advance(0.001)
    reader.join(PATIENCE)

    assert seen == sorted(seen)
