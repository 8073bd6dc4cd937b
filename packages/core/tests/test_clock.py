"""The clocks of the machine, and times as text."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.clock import Micros, SystemClock, iso


def test_wall_clock_never_runs_backward_whichever_clock_is_asked() -> None:
    one, other = SystemClock(), SystemClock()

    shown = [clock.now() for _ in range(1000) for clock in (one, other)]

    assert shown == sorted(shown)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_800_000_000_123_456, "2027-01-15T08:00:00.123456Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_written_to_the_microsecond(at: int, text: str) -> None:
    assert iso(Micros(at)) == text


@given(st.integers(0, 253_402_300_799_999_999), st.integers(0, 253_402_300_799_999_999))
def test_times_sort_as_their_texts_do(one: int, other: int) -> None:
    assert (iso(Micros(one)) < iso(Micros(other))) == (one < other)


async def test_wait_ends_with_the_event() -> None:
    event = anyio.Event()
    event.set()

    with anyio.fail_after(30):
        await SystemClock().wait(event, None)
        await SystemClock().wait(event, 3600)


@pytest.mark.parametrize("seconds", [0, -1, 0.001])
async def test_wait_ends_with_the_time(seconds: float) -> None:
    event = anyio.Event()

    with anyio.fail_after(30):
        await SystemClock().wait(event, seconds)

    assert not event.is_set()
