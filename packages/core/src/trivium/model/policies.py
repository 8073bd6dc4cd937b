"""Retry policies, durations, and the pure decisions over them: arguments in, decision out, no clock and no store."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from trivium.clock import SECOND, Micros
from trivium.errors import ConfigError
from trivium.model.failure import Failure, type_name
from trivium.model.states import FailureKind

Duration: TypeAlias = float | int | str
"""Seconds as a number, or text: `500ms`, `30s`, `5m`, `1h30m`, `2d`, `PT5M`."""

LONGEST = 1000 * 365.25 * 86400.0
"""A thousand years: what is longer would leave the range of the stored times, and is a mistake anyway."""

_DURATION_HINT = "give seconds as a number, or text like 500ms, 30s, 5m, 1h30m, 2d or PT5M"
_NUMBER = r"\d+(?:\.\d+)?"
_SHORT = re.compile(
    rf"(?:({_NUMBER})d)?(?:({_NUMBER})h)?(?:({_NUMBER})m(?!s))?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?", re.ASCII
)
_ISO = re.compile(
    rf"P(?:({_NUMBER})W)?(?:({_NUMBER})D)?(?:T(?=\d)(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?", re.ASCII
)
_SHORT_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_ISO_UNITS = (604800.0, 86400.0, 3600.0, 60.0, 1.0)


def seconds(duration: object, *, what: str = "duration") -> float:
    """The length of a `Duration` in seconds.

    Units go from large to small and stand once each. ISO 8601 years and months are refused: they have no fixed length.

    :raises ConfigError: it is no duration, negative, not finite, or longer than `LONGEST`; `what` names the setting
    """
    found: float | None
    if isinstance(duration, str):
        found = _parse(duration)
        if found is None:
            raise ConfigError(f"{what} {duration!r:.80} is not a duration", hint=_DURATION_HINT)
    elif isinstance(duration, (int, float)) and not isinstance(duration, bool):
        try:
            found = float(duration)
        except OverflowError:
            found = math.inf
    else:
        raise ConfigError(f"{what} is a {type(duration).__name__}, not a duration", hint=_DURATION_HINT)
    if not 0.0 <= found <= LONGEST:  # also refuses NaN
        raise ConfigError(f"{what} {duration!r:.80} is not between 0 and 1000 years", hint=_DURATION_HINT)
    return found + 0.0  # -0.0 becomes 0.0


def micros(duration: object, *, what: str = "duration") -> Micros:
    """The length of a duration as it is stored. Refuses what `seconds` refuses; never rounds a positive one to
    nothing."""
    exact = seconds(duration, what=what)
    return Micros(max(round(exact * SECOND), 1 if exact else 0))


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> float | None:
    if len(text) > 100:
        return None
    for pattern, units in ((_SHORT, _SHORT_UNITS), (_ISO, _ISO_UNITS)):
        match = pattern.fullmatch(text)
        if match is not None and any(match.groups()):
            return math.fsum(float(part) * unit for part, unit in zip(match.groups(), units, strict=True) if part)
    return None


class Backoff(StrEnum):
    """How the delay before the next attempt grows."""

    FIXED = "fixed"
    LINEAR = "linear"
    """`initial` times the number of attempts so far."""
    EXPONENTIAL = "exponential"
    """`initial`, doubled with every attempt."""


class Delivery(StrEnum):
    """What a crash between a step's start and its commit means."""

    AT_LEAST_ONCE = "at_least_once"
    """It runs again."""
    AT_MOST_ONCE = "at_most_once"
    """Its start costs a commit of its own; after a crash it has failed, kind `unknown`."""


class Overlap(StrEnum):
    """Whether the next attempt may begin while the thread of one that timed out still runs: it cannot be stopped."""

    FORBID = "forbid"
    ALLOW = "allow"


RETRIED = frozenset({FailureKind.ERROR, FailureKind.TIMEOUT})
"""The kinds that an empty `Retry.on` means."""
NEVER_RETRIED = frozenset(
    {
        FailureKind.SCHEMA,
        FailureKind.CONFLICT,
        FailureKind.CANCELLED,
        FailureKind.UNKNOWN,
        FailureKind.REJECTED,
    }
)
"""The kinds that no policy can make the engine repeat: the same call fails again, or must not happen twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and when a failed step is tried again.

    `on` names what is retried: failure kinds (`error`, `timeout`, `lost_worker`), or exception types by class, bare or
    dotted name, which match their subclasses too; empty means `error` and `timeout`. `never` names in the same way what
    is not, and wins. Schema errors, conflicts, cancellations, rejections and unknown outcomes are never retried.

    Checked when it is made (`ConfigError`), and made plain: `backoff` is a `Backoff`, durations are seconds, `on` and
    `never` are names. Without a `maximum` it is 60 seconds, or `initial` where that is longer.
    """

    max_attempts: int = 1
    backoff: Backoff | str = Backoff.EXPONENTIAL
    initial: Duration = 1.0
    maximum: Duration | None = None
    jitter: bool = True
    on: tuple[str | type[BaseException], ...] = ()
    never: tuple[str | type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        if type(self.max_attempts) is not int or self.max_attempts < 1:
            raise ConfigError(
                f"retry: max_attempts is {self.max_attempts!r:.80}", hint="give a whole number, 1 for a single attempt"
            )
        try:
            backoff = Backoff(self.backoff)
        except ValueError:
            raise ConfigError(
                f"retry: backoff is {self.backoff!r:.80}", hint="give one of " + ", ".join(Backoff)
            ) from None
        if type(self.jitter) is not bool:
            raise ConfigError(f"retry: jitter is {self.jitter!r:.80}", hint="give true or false")
        initial = seconds(self.initial, what="retry: initial")
        maximum = max(60.0, initial) if self.maximum is None else seconds(self.maximum, what="retry: maximum")
        if maximum < initial:
            raise ConfigError(
                f"retry: maximum is {maximum:g} s and initial is {initial:g} s",
                hint="give a maximum that is not shorter",
            )
        on, never = _names("on", self.on), _names("never", self.never)
        plain = {"backoff": backoff, "initial": initial, "maximum": maximum, "on": on, "never": never}
        for field, value in plain.items():
            object.__setattr__(self, field, value)
        refused = sorted(NEVER_RETRIED.intersection(on))
        if refused:
            raise ConfigError(
                f"retry: failures of kind {', '.join(refused)} are never retried", hint="leave them out of `on`"
            )


def _names(what: str, given: object) -> tuple[str, ...]:
    if isinstance(given, (str, type)):  # a tuple of one without its comma: iterating the text would match nothing
        given = (given,)
    if not isinstance(given, (tuple, list, set, frozenset)):
        raise ConfigError(f"retry: {what} is a {type(given).__name__}", hint="give a tuple of names or exception types")
    names = []
    for one in given:
        if isinstance(one, type) and issubclass(one, BaseException):
            names.append(type_name(one))
        elif isinstance(one, str) and one:
            names.append(str(one))
        else:
            raise ConfigError(
                f"retry: {what} has {one!r:.80}", hint="give failure kinds, exception types or their names"
            )
    return tuple(names)


NO_RETRY = Retry()


def retries(retry: Retry, failure: Failure) -> bool:
    """Whether the policy repeats such a failure at all, however many attempts are left."""
    if failure.kind in NEVER_RETRIED or _matches(retry.never, failure):
        return False
    return _matches(retry.on, failure) if retry.on else failure.kind in RETRIED


def next_delay(retry: Retry, *, attempt: int, failure: Failure, seed: str) -> float | None:
    """Seconds until the next attempt, after attempt number `attempt` (from 1) failed; None: there is none.

    A pure function: a worker that takes over computes the delay that the dead one did. With jitter it lies between half
    of the delay and all of it, by a hash of `seed` and `attempt`.
    """
    if attempt >= retry.max_attempts or not retries(retry, failure):
        return None
    initial, maximum = seconds(retry.initial), seconds(retry.maximum if retry.maximum is not None else LONGEST)
    match retry.backoff:
        case Backoff.FIXED:
            delay = initial
        case Backoff.LINEAR:
            delay = initial * attempt
        case _:
            delay = initial * 2.0 ** min(attempt - 1, 1000)  # may become inf, which the maximum cuts
    delay = min(delay, maximum)
    return delay * (0.5 + 0.5 * _fraction(seed, attempt)) if retry.jitter else delay


def _matches(names: tuple[str | type[BaseException], ...], failure: Failure) -> bool:
    if not names:
        return False
    known = {str(failure.kind), *failure.bases}
    if failure.type is not None:
        known.add(failure.type)
    if failure.kind is FailureKind.TIMEOUT:
        known.add("TimeoutError")  # the engine's own timeouts raise nothing in the user's code
    known |= {name.rpartition(".")[2] for name in known} | {f"builtins.{name}" for name in known if "." not in name}
    return not known.isdisjoint(names)


def _fraction(seed: str, attempt: int) -> float:
    mark = hashlib.sha256(f"{seed}\0{attempt}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(mark[:6], "big") / 2**48
