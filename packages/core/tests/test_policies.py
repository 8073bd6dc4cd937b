"""Durations, and the decision when a failed step is tried again."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import ConfigError
from trivium.model.failure import Failure, failure_of
from trivium.model.policies import (
    LONGEST,
    NEVER_RETRIED,
    NO_RETRY,
    RETRIED,
    Backoff,
    Retry,
    micros,
    next_delay,
    retries,
    seconds,
)
from trivium.model.states import FailureKind

ERROR = Failure(code="TRV-4010", message="it broke")

# --- durations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("2d", 172_800.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("1m500ms", 60.5),
        ("0s", 0.0),
        ("PT5M", 300.0),
        ("PT0.5S", 0.5),
        ("P1DT2H", 93_600.0),
        ("P2W", 1_209_600.0),
        ("P1DT2H3M4S", 93_784.0),
        (0, 0.0),
        (7, 7.0),
        (2.5, 2.5),
    ],
)
def test_duration_has_the_length_that_it_says(text: Any, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", " ", "5", "five", "5 m", "-5s", "+5s", "5s5m", "1s1s", "1e3s", ".5s", "5.s", "1M", "5S", "٣s", "5s\n"),
        *("P", "PT", "P1DT", "P1Y", "P1M", "PT5", "5M", "pt5m", "1" * 200 + "s", "9999999999d"),
        *(None, True, [], {}, b"5s", -1, -0.001, float("nan"), float("inf"), 10**400, LONGEST * 1.01),
    ],
)
def test_what_is_no_duration_is_refused_with_the_cure(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"timeout .* \(give seconds as a number, or text like 500ms"):
        seconds(wrong, what="timeout")


@given(st.tuples(*[st.integers(0, 500) for _ in range(5)]).filter(any))
def test_units_of_a_duration_add_up(parts: tuple[int, ...]) -> None:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    text = "".join(f"{count}{unit}" for count, unit in zip(parts, units, strict=True) if count)

    assert seconds(text) == pytest.approx(sum(count * size for count, size in zip(parts, units.values(), strict=True)))


@given(st.text(alphabet="PTDHMSdhms0123456789. -", max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with suppress(ConfigError):
        assert 0.0 <= seconds(text) <= LONGEST


@given(st.floats(min_value=0, max_value=LONGEST))
def test_stored_duration_is_the_nearest_microsecond_and_never_vanishes(length: float) -> None:
    stored = micros(length)

    assert abs(stored - length * 1_000_000) <= max(1.0, length * 1e-9)
    assert (stored == 0) == (length == 0)


# --- what a policy may say -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": -1}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"max_attempts": 2.0}, "max_attempts"),
        ({"max_attempts": "3"}, "max_attempts"),
        ({"backoff": "quadratic"}, "fixed, linear, exponential"),
        ({"backoff": []}, "fixed, linear, exponential"),
        ({"initial": "soon"}, "retry: initial"),
        ({"maximum": -1}, "retry: maximum"),
        ({"initial": 10, "maximum": 5}, "not shorter"),
        ({"jitter": "yes"}, "jitter"),
        ({"on": 5}, "retry: on"),
        ({"on": (5,)}, "retry: on"),
        ({"never": ("",)}, "retry: never"),
        ({"on": ("schema",)}, "never retried"),
        ({"on": (int,)}, "retry: on"),
    ],
)
def test_policy_that_cannot_be_meant_is_refused_when_it_is_made(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Retry(**wrong)


def test_policies_that_mean_the_same_are_equal() -> None:
    assert Retry(backoff="fixed", initial="1m", maximum="1h", on=(OSError,)) == Retry(
        backoff=Backoff.FIXED, initial=60, maximum=3600.0, on=("OSError",)
    )


def test_without_a_maximum_a_long_initial_delay_is_kept() -> None:
    policy = Retry(max_attempts=5, initial="5m", jitter=False)

    assert next_delay(policy, attempt=3, failure=ERROR, seed="s") == 300.0


def test_one_name_without_its_tuple_is_taken_as_one_name() -> None:
    assert Retry(on="TimeoutError").on == ("TimeoutError",)  # type: ignore[arg-type]  # the mistake itself


# --- how long ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        ("fixed", [2.0, 2.0, 2.0, 2.0, 2.0]),
        ("linear", [2.0, 4.0, 6.0, 8.0, 9.0]),
        ("exponential", [2.0, 4.0, 8.0, 9.0, 9.0]),
    ],
)
def test_delay_grows_as_declared_up_to_the_maximum(backoff: str, delays: list[float]) -> None:
    policy = Retry(max_attempts=6, backoff=backoff, initial=2, maximum=9, jitter=False)

    assert [next_delay(policy, attempt=attempt, failure=ERROR, seed="s") for attempt in range(1, 6)] == delays


def test_last_attempt_has_no_next() -> None:
    policy = Retry(max_attempts=3)

    assert next_delay(policy, attempt=2, failure=ERROR, seed="s") is not None
    assert next_delay(policy, attempt=3, failure=ERROR, seed="s") is None
    assert next_delay(policy, attempt=4, failure=ERROR, seed="s") is None


def test_without_a_policy_there_is_one_attempt() -> None:
    assert next_delay(NO_RETRY, attempt=1, failure=ERROR, seed="s") is None


policies = st.builds(
    Retry,
    max_attempts=st.integers(1, 20_000),
    backoff=st.sampled_from(Backoff),
    initial=st.floats(0, 1000),
    maximum=st.floats(1000, 1e9),
    jitter=st.booleans(),
)


@given(policies, st.integers(1, 10_000), st.text())
def test_delay_lies_within_its_bounds_for_any_attempt(policy: Retry, attempt: int, seed: str) -> None:
    delay = next_delay(policy, attempt=attempt, failure=ERROR, seed=seed)

    assert (delay is None) == (attempt >= policy.max_attempts)
    assert 0.0 <= (delay or 0.0) <= seconds(policy.maximum)


@given(policies, st.integers(1, 10_000), st.text())
def test_delay_is_the_same_wherever_it_is_computed(policy: Retry, attempt: int, seed: str) -> None:
    first = next_delay(policy, attempt=attempt, failure=ERROR, seed=seed)
    second = next_delay(policy, attempt=attempt, failure=ERROR, seed=seed)

    assert first == second


def test_jitter_spreads_over_the_upper_half_of_the_delay() -> None:
    policy = Retry(max_attempts=2, initial=10, backoff="fixed")

    delays = [next_delay(policy, attempt=1, failure=ERROR, seed=f"run {n}") or 0.0 for n in range(1000)]

    assert 5.0 <= min(delays) < 5.2
    assert 9.8 < max(delays) <= 10.0
    assert 7.4 < sum(delays) / len(delays) < 7.6


# --- what ----------------------------------------------------------------------------------------


def failure(kind: FailureKind) -> Failure:
    return Failure(code="TRV-4000", message="it broke", kind=kind)


@pytest.mark.parametrize("kind", sorted(RETRIED))
def test_errors_and_timeouts_are_retried_by_default(kind: FailureKind) -> None:
    assert retries(Retry(), failure(kind))


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - RETRIED))
def test_other_failures_are_not_retried_by_default(kind: FailureKind) -> None:
    assert not retries(Retry(), failure(kind))


@pytest.mark.parametrize("kind", sorted(NEVER_RETRIED))
def test_no_policy_repeats_what_must_not_be_repeated(kind: FailureKind) -> None:
    error = Failure(code="TRV-4010", message="", kind=kind, type="OSError", bases=("OSError", "Exception"))

    assert not retries(Retry(on=(OSError, Exception)), error)


@pytest.mark.parametrize(
    "on",
    [
        ("OSError",),
        ("builtins.OSError",),
        ("ConnectionError",),
        (OSError,),
        ("Exception",),
        ("error",),
        ("ValueError", "OSError"),
    ],
)
def test_policy_names_an_exception_by_itself_or_by_a_base(on: Any) -> None:
    assert retries(Retry(on=on), failure_of(ConnectionResetError("gone")))


@pytest.mark.parametrize("on", [("ValueError",), ("OSErr",), ("timeout",), (ValueError,), ("lost_worker",)])
def test_what_a_policy_does_not_name_is_not_retried(on: Any) -> None:
    assert not retries(Retry(on=on), failure_of(ConnectionResetError("gone")))


class OutOfPaper(Exception):
    pass


@pytest.mark.parametrize("name", ["OutOfPaper", f"{__name__}.OutOfPaper", OutOfPaper])
def test_exceptions_of_users_are_named_bare_or_dotted_or_given(name: Any) -> None:
    assert retries(Retry(on=(name,)), failure_of(OutOfPaper()))


def test_never_wins_over_on() -> None:
    policy = Retry(on=("OSError",), never=("ConnectionError",))

    assert retries(policy, failure_of(FileNotFoundError()))
    assert not retries(policy, failure_of(ConnectionResetError()))


def test_never_may_name_a_kind() -> None:
    assert not retries(Retry(never=("timeout",)), failure(FailureKind.TIMEOUT))


def test_timeout_of_the_engine_counts_as_a_timeout_error() -> None:
    assert retries(Retry(on=(TimeoutError,)), failure(FailureKind.TIMEOUT))


def test_lost_worker_is_retried_where_it_is_asked_for() -> None:
    assert retries(Retry(on=("lost_worker",)), failure(FailureKind.LOST_WORKER))


def test_failure_from_the_journal_is_known_by_its_own_type() -> None:
    stored = Failure.from_text(failure_of(OutOfPaper()).to_text())

    assert retries(Retry(on=(OutOfPaper,)), stored)
