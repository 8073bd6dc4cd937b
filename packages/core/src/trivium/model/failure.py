"""A recorded failure: what a run's or a step's `error` holds."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from types import TracebackType

from trivium.errors import StepFailed, TriviumError
from trivium.json import JsonText, JsonValue, dumps, loads
from trivium.model.states import FailureKind, StepStatus

MAX_TRACEBACK = 16 * 1024
MAX_MESSAGE = 4 * 1024
MAX_TYPE = 500
OURS = __name__.partition(".")[0]
BARE = (KeyError, SystemExit)
"""Exceptions whose text is only a value, `'country'` or `3`, and says nothing without its type."""
_MARK = "\n[... cut ...]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed. `type` and `traceback` are set for exceptions that are not ours."""

    code: str
    message: str
    kind: FailureKind = FailureKind.ERROR
    type: str | None = None
    traceback: str | None = None
    bases: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """The names of the exception's class and of the classes above it, for `Retry.on`. Known only where the exception
    was caught, where the decision to retry is made: it is not stored."""

    def to_json(self) -> dict[str, JsonValue]:
        """The object that users see: absent parts are left out."""
        found: dict[str, JsonValue] = {"code": self.code, "message": self.message, "kind": str(self.kind)}
        if self.type is not None:
            found["type"] = self.type
        if self.traceback is not None:
            found["traceback"] = self.traceback
        return found

    def to_text(self) -> JsonText:
        """Canonical text for storing; `from_text` reads it."""
        return dumps(self.to_json())

    @classmethod
    def from_text(cls, text: str) -> Failure:
        """Read what `to_text` wrote; also from a release that knows more kinds."""
        found = loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"not a failure: {text:.80}")
        return cls(
            code=str(found.get("code", "TRV-4000")),
            message=str(found.get("message", "")),
            kind=_kind(found.get("kind"), FailureKind.ERROR),
            type=None if found.get("type") is None else str(found["type"]),
            traceback=None if found.get("traceback") is None else str(found["traceback"]),
        )


def step_failed(key: str, status: StepStatus, failure: Failure | None) -> StepFailed:
    """What a driver gets raised for a step that ended so."""
    if failure is None:
        return StepFailed(key, f"it is {status}")
    return StepFailed(key, failure.message, kind=failure.kind, failure_code=failure.code)


def printable(text: str, limit: int) -> str:
    """`text` as storable JSON text: at most `limit` characters and a mark where it was cut, lone surrogates escaped."""
    # Cut first, or a gigabyte of message would be encoded to keep four kilobytes; and again, since escapes are longer.
    return _cut(_cut(text, limit).encode("utf-8", "backslashreplace").decode(), limit)


def _cut(text: str, limit: int) -> str:
    half = limit // 2
    return text if len(text) <= limit + len(_MARK) else f"{text[:half]}{_MARK}{text[-half:]}"


def type_name(kind: type[BaseException]) -> str:
    """How an exception type is written in failures and policies: dotted, builtins bare."""
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return printable(name, MAX_TYPE)


def failure_of(error: BaseException, *, kind: FailureKind = FailureKind.ERROR) -> Failure:
    """The record of an exception: ours by code and sentence, foreign ones with type and traceback.

    `kind` is what it counts as where the exception does not say so itself.
    """
    bases = tuple(type_name(base) for base in type(error).__mro__ if issubclass(base, BaseException))
    if isinstance(error, TriviumError):
        return Failure(
            code=getattr(error, "failure_code", error.code),
            message=printable(str(error), MAX_MESSAGE),
            kind=_kind(getattr(error, "kind", None), kind),
            bases=bases,
        )
    try:
        message = str(error)
    except Exception as broken:  # foreign code: __str__ of the user's exception
        message = f"<its __str__ raised {type(broken).__name__}>"
    if isinstance(error, BARE):
        message = f"{type(error).__name__}: {message}" if message else ""
    return Failure(
        code="TRV-4010",
        message=printable(message or bases[0], MAX_MESSAGE),
        kind=kind,
        type=bases[0],
        traceback=printable(_traceback(error), MAX_TRACEBACK),
        bases=bases,
    )


def _kind(found: object, default: FailureKind) -> FailureKind:
    try:
        return FailureKind(str(found))
    except ValueError:
        return default


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
    except Exception as broken:  # foreign code again: __str__, __notes__ or __cause__ of the user's exception
        return "".join(traceback.format_tb(error.__traceback__)) + f"<its text cannot be had: {type(broken).__name__}>"


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """The frames from where the user's code begins: how we came to call it says nothing about what is wrong there."""
    part = trace
    while part is not None and str(part.tb_frame.f_globals.get("__name__")).startswith(f"{OURS}."):
        part = part.tb_next
    return part or trace
