"""Branches of a driver that run beside each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio

from trivium.engine.drive import Drive, is_of_user
from trivium.errors import Parked

T = TypeVar("T")


async def gather(drive: Drive, branches: Sequence[Callable[[], Awaitable[T]]], *, return_errors: bool) -> Sequence[T]:
    """As `RunContext.gather`. Each branch has a task of its own, which counts as one of the run's; the caller counts as
    waiting until the last has ended."""
    drive.check_leaving()
    if not branches:
        return []
    activity = drive.activity
    counts = activity.is_own_task()
    results: list[Any] = [None] * len(branches)
    errors: dict[int, BaseException] = {}
    left = len(branches)
    ended = anyio.Event()

    async def run(index: int, branch: Callable[[], Awaitable[T]]) -> None:
        nonlocal left
        activity.adopt_task()
        try:
            results[index] = await branch()
        except Parked:
            pass
        except BaseException as error:  # foreign code: the branch
            if not is_of_user(error):
                raise
            errors[index] = error
        finally:
            activity.release_task()
            left -= 1
            if left == 0:
                if counts:
                    activity.resume()  # the caller goes on in the last branch's stead
                ended.set()
            activity.suspend()

    for index, branch in enumerate(branches):
        activity.resume()
        drive.tasks.start_soon(run, index, branch)
    if counts:
        activity.suspend()
    try:
        await ended.wait()
    except BaseException:
        # Cut off by a cancel scope of the driver's own: it goes on, and counts again, whatever its branches do.
        if counts and left:
            counts = False
            activity.resume()
        raise
    drive.check_leaving()
    if return_errors:
        return [errors.get(index, result) for index, result in enumerate(results)]
    if errors:
        raise errors[min(errors)]
    return results
