"""A recorded failure: what a run's or a step's `error` holds."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from trivium.errors import TriviumError
from trivium.json import JsonText, JsonValue, dumps, loads
from trivium.model.states import FailureKind

MAX_TRACEBACK = 16 * 1024
MAX_MESSAGE = 4 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed. `type` and `traceback` are set for exceptions that are not ours."""

    code: str
    message: str
    kind: FailureKind = FailureKind.ERROR
    type: str | None = None
    traceback: str | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """The object that users see: absent parts are left out."""
        found: dict[str, JsonValue] = {"code": self.code, "message": self.message, "kind": str(self.kind)}
        if self.type is not None:
            found["type"] = self.type
        if self.traceback is not None:
            found["traceback"] = self.traceback
        return found

    def to_text(self) -> JsonText:
        return dumps(self.to_json())

    @classmethod
    def from_text(cls, text: str) -> Failure:
        """Read what `to_text` wrote; also from a release that knows more kinds."""
        found = loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"not a failure: {text:.80}")
        kind = str(found.get("kind", "error"))
        return cls(
            code=str(found.get("code", "TRV-4000")),
            message=str(found.get("message", "")),
            kind=FailureKind(kind) if kind in set(FailureKind) else FailureKind.ERROR,
            type=None if found.get("type") is None else str(found["type"]),
            traceback=None if found.get("traceback") is None else str(found["traceback"]),
        )


def printable(text: str, limit: int) -> str:
    """`text` as storable JSON text: at most `limit` characters, lone surrogates escaped."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else f"{text[: limit // 2]}\n[... cut ...]\n{text[-limit // 2 :]}"


def failure_of(error: BaseException, *, kind: FailureKind = FailureKind.ERROR) -> Failure:
    """The record of an exception: ours by code and sentence, foreign ones with type and traceback."""
    if isinstance(error, TriviumError):
        own = getattr(error, "kind", kind)
        return Failure(
            code=getattr(error, "failure_code", error.code),
            message=printable(str(error), MAX_MESSAGE),
            kind=FailureKind(own) if own in set(FailureKind) else kind,
        )
    try:
        message = str(error)
    except Exception as broken:  # foreign code: __str__ of the user's exception
        message = f"<its __str__ raised {type(broken).__name__}>"
    name = type(error).__qualname__ if type(error).__module__ == "builtins" else (
        f"{type(error).__module__}.{type(error).__qualname__}"
    )
    return Failure(
        code="TRV-4010",
        message=printable(message or name, MAX_MESSAGE),
        kind=kind,
        type=printable(name, 500),
        traceback=printable("".join(traceback.format_exception(error)), MAX_TRACEBACK),
    )
