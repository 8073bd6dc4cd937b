"""Every error that Trivium raises on purpose.

::

    TriviumError                    code, message, hint; `exit_code` is what the command line ends with
    ├── UsageError                  2  a person's mistake, found before anything ran
    │   ├── ConfigError                a setting, URL or duration that cannot be used
    │   ├── DefinitionError            problems in a definition, each with its place
    │   ├── RegistrationError          an action, agent or plugin that cannot be registered
    │   ├── InvalidInput               a value that its schema refuses
    │   ├── NotJson                    a value that has no canonical JSON form
    │   ├── TooLarge                   a value, key or file over its limit
    │   ├── NoChannels                 a message for a store that keeps none
    │   └── MissingPackage             a sibling package is not installed
    ├── NotFound                    3  a run, action, driver, flow or file that does not exist
    ├── Conflict                    4  the thing exists, but in a state or shape that forbids the request
    │   ├── KeyConflict                a key that was used with another target or other inputs
    │   ├── RunIsTerminal              a run that has ended takes no signal and no cancel
    │   └── MoveNotAllowed             a change of state outside the table of moves
    ├── StoreError                  5  the store cannot be reached, locked, read or written
    │   ├── StoreUnreachable
    │   ├── StoreBusy
    │   ├── StoreTooNew
    │   └── StoreUnsupported
    ├── RunFailed                   1  raised by `Run.result()`
    │   └── RunCancelled
    ├── StepFailed                  1  raised to a driver whose step failed for good
    ├── WaitTimeout                 1  raised to a driver whose wait ran out
    ├── EffectUnderWay              1  another call of the same effect is being made at this moment
    ├── EffectUnknown               1  an effect that may or may not have happened
    ├── InvalidOutput               1  what an action returned does not fit its schema
    ├── LeaseLost                   1  this worker no longer owns the run; what it did since changed nothing
    └── WorkerFailed                1  a background loop of the worker ended, or all its threads hang
    Parked (BaseException)             unwinds a driver whose run leaves memory; never an outcome
    NotDone                            raised by a user's effect: it certainly did not happen

An error takes ids and values, keeps them as attributes, and writes its own sentence. Codes are `TRV-nnnn`; the first
digit is the family (1 files and inputs, 2 lookups, 3 conflicts, 4 execution, 5 storage, 6 configuration and plugins)
and `docs/errors.md` lists them all. Some classes have a `kind`: the failure kind that they count as when they end a
step or a run (`error` without one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override


class TriviumError(Exception):
    """The base of all errors that Trivium raises on purpose."""

    code: ClassVar[str] = "TRV-4000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @override
    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


# --- usage: exit 2 -------------------------------------------------------------------------------


class UsageError(TriviumError):
    """A mistake of the caller that is found before anything ran."""

    code = "TRV-1000"
    exit_code = 2


class ConfigError(UsageError):
    """A setting that cannot be used."""

    code = "TRV-6001"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a user's file. Lines and columns count from 1."""

    code: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    warning: bool = False

    @override
    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.code} {self.message}" if place else f"{self.code} {self.message}"


class DefinitionError(UsageError):
    """All problems of a definition, gathered."""

    code = "TRV-1001"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RegistrationError(UsageError):
    """An action, agent or plugin that cannot be registered."""

    code = "TRV-6002"


class InvalidInput(UsageError):
    """A value that its schema refuses; `details` has one line for each field."""

    code = "TRV-1003"
    kind = "schema"

    def __init__(self, what: str, details: Sequence[str]) -> None:
        self.what = what
        self.details = tuple(details)
        super().__init__(f"{what} does not fit its schema: " + "; ".join(self.details))


class NotJson(UsageError):
    """A value without a canonical JSON form; `path` leads to the part that has none."""

    code = "TRV-1004"
    kind = "schema"

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        shown = path if len(path) <= 200 else f"{path[:120]}...{path[-60:]}"
        super().__init__(f"{shown} is not JSON: {reason}", hint="return or pass only JSON values")


class TooLarge(UsageError):
    """A value over one of the limits."""

    code = "TRV-1005"
    kind = "schema"

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(
            f"{what} has {size:,} bytes, the limit is {limit:,}", hint="store it elsewhere and pass a link"
        )


class NoChannels(UsageError):
    """A message for a store that keeps no messages."""

    code = "TRV-6004"

    def __init__(self) -> None:
        super().__init__("this store has no channels, so nothing can be published")


class MissingPackage(UsageError):
    """A sibling package that the request needs is not installed."""

    code = "TRV-6003"

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs a package that is not installed", hint=f'pip install "trivium[{extra}]"')


# --- lookups: exit 3 -----------------------------------------------------------------------------


class NotFound(TriviumError):
    """Something that was asked for by name or id does not exist."""

    code = "TRV-2001"
    exit_code = 3

    def __init__(self, what: str, name: str, *, hint: str | None = None) -> None:
        self.what, self.name = what, name
        super().__init__(f"{what} {name!r} does not exist", hint=hint)


# --- conflicts: exit 4 ---------------------------------------------------------------------------


class Conflict(TriviumError):
    """The thing exists, but its state or shape forbids the request."""

    code = "TRV-3001"
    exit_code = 4
    kind = "conflict"


class KeyConflict(Conflict):
    """A key that belongs to another target or other inputs."""

    code = "TRV-3002"

    def __init__(self, key: str, run_id: str, difference: str) -> None:
        self.key, self.run_id, self.difference = key, run_id, difference
        super().__init__(f"key {key!r} belongs to run {run_id}, which has {difference}", hint="choose another key")


class RunIsTerminal(Conflict):
    """A run that has ended takes no signal and no cancel."""

    code = "TRV-3003"

    def __init__(self, run_id: str, status: str) -> None:
        self.run_id, self.status = run_id, status
        super().__init__(f"run {run_id} is already {status}")


class MoveNotAllowed(Conflict):
    """A change of state that the table of moves does not have."""

    code = "TRV-3004"

    def __init__(self, what: str, old: str, new: str) -> None:
        self.what, self.old, self.new = what, old, new
        super().__init__(f"{what} is {old} and cannot become {new}")


# --- storage: exit 5 -----------------------------------------------------------------------------


class StoreError(TriviumError):
    """The store cannot do what was asked of it."""

    code = "TRV-5001"
    exit_code = 5


class StoreUnreachable(StoreError):
    """The store cannot be opened."""

    code = "TRV-5002"


class StoreBusy(StoreError):
    """The write lock was not to be had in time."""

    code = "TRV-5003"


class StoreTooNew(StoreError):
    """The store was written by a newer release."""

    code = "TRV-5004"

    def __init__(self, url: str, found: int, known: int) -> None:
        self.url, self.found, self.known = url, found, known
        super().__init__(
            f"{url} has schema {found}, this release knows {known}", hint="upgrade trivium, or open another store"
        )


class StoreUnsupported(StoreError):
    """The database, its version or its place cannot carry a store."""

    code = "TRV-5005"


# --- execution: exit 1 ---------------------------------------------------------------------------


class RunFailed(TriviumError):
    """A run ended without a result. `kind` and `failure_code` are those of the run's error."""

    code = "TRV-4001"

    def __init__(self, run_id: str, message: str, *, kind: str = "error", failure_code: str = "TRV-4001") -> None:
        self.run_id, self.kind, self.failure_code = run_id, kind, failure_code
        super().__init__(f"run {run_id} failed: {message}", hint=f"trivium runs show {run_id}")


class RunCancelled(RunFailed):
    """A run was cancelled."""

    code = "TRV-4002"


class StepFailed(TriviumError):
    """A step failed for good; raised to the driver, which may catch it."""

    code = "TRV-4003"

    def __init__(self, key: str, message: str, *, kind: str = "error", failure_code: str = "TRV-4003") -> None:
        self.key, self.reason, self.kind, self.failure_code = key, message, kind, failure_code
        super().__init__(f"step {key!r} failed: {message}")


class WaitTimeout(TriviumError):
    """A wait ran out before what it waited for came."""

    code = "TRV-4004"
    kind = "timeout"

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"{key!r} timed out")


class EffectUnknown(TriviumError):
    """After a crash nobody knows whether an effect happened; it is never repeated silently."""

    code = "TRV-4005"
    kind = "unknown"

    def __init__(self, scope: str, key: str, why: str) -> None:
        self.scope, self.key = scope, key
        super().__init__(
            f"effect {key!r} of {scope} may or may not have happened: {why}",
            hint="give once() a verify=, or find out and resolve it",
        )


class InvalidOutput(TriviumError):
    """What an action returned does not fit its schema; `details` has one line for each field."""

    code = "TRV-4011"
    kind = "schema"

    def __init__(self, what: str, details: Sequence[str]) -> None:
        self.what = what
        self.details = tuple(details)
        super().__init__(
            f"{what} does not fit its schema: " + "; ".join(self.details),
            hint="return what the annotation says, or change the annotation",
        )


class EffectUnderWay(TriviumError):
    """Another call of the same effect is being made at this moment."""

    code = "TRV-4015"

    def __init__(self, scope: str, key: str, run_id: str) -> None:
        self.scope, self.key, self.run_id = scope, key, run_id
        super().__init__(f"effect {key!r} of {scope} is under way in run {run_id}", hint="give the step a retry")


class LeaseLost(TriviumError):
    """Another worker owns the run now; nothing of this commit was applied."""

    code = "TRV-4006"

    def __init__(self, run_id: str, epoch: int) -> None:
        self.run_id, self.epoch = run_id, epoch
        super().__init__(f"run {run_id} is no longer owned under epoch {epoch}")


class WorkerFailed(TriviumError):
    """The worker cannot go on; its runs will be taken over."""

    code = "TRV-4007"


class Parked(BaseException):
    """Unwinds the driver of a run that leaves memory.

    A `BaseException`, so that `except Exception` in user code cannot swallow it. What a driver returns or raises after
    it is dropped, and every verb called while it unwinds raises it again.
    """


class NotDone(Exception):
    """Raised by the call of an effect: it certainly did not happen, so the ledger entry is cleared."""
