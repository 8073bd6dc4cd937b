"""Work that is counted."""

import sys
import threading

import anyio

from trivium.testing import calls_counted


def nothing() -> None:
    pass


def test_calls_of_python_and_of_c_are_counted_alike():
    with calls_counted() as calls:
        for _ in range(100):
            nothing()
        for _ in range(100):
            len("")

    assert 200 <= calls.count < 210  # the block's own end takes some


def test_what_comes_behind_the_block_is_not_counted():
    with calls_counted() as calls:
        pass
    before = calls.count

    nothing()

    assert calls.count == before


def test_what_another_thread_does_is_not_counted():
    def much() -> None:
        for _ in range(1_000):
            nothing()

    other = threading.Thread(target=much)
    with calls_counted() as calls:
        other.start()
        other.join()

    assert calls.count < 500


async def test_all_tasks_of_the_event_loop_are_counted():
    async def much() -> None:
        for _ in range(1_000):
            nothing()

    with calls_counted() as calls:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(much)

    assert calls.count > 1_000


def test_a_profiler_of_before_is_back_at_the_end():
    seen: list[str] = []

    def profiler(frame: object, event: str, argument: object) -> None:
        seen.append(event)

    sys.setprofile(profiler)
    try:
        with calls_counted():
            pass
        restored = sys.getprofile()
    finally:
        sys.setprofile(None)

    assert restored is profiler
