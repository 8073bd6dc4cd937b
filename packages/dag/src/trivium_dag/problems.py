"""Problems in a flow's file: their codes, the gathering of all of them, and the "did you mean".

The codes are the family TRV-11xx; `CODES` says what each means, and the package's README lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, TypeAlias

from trivium import suggestions
from trivium.errors import DefinitionError, Problem

Path: TypeAlias = tuple["str | int", ...]
"""Where a value stands in a document: the keys and indexes that lead to it."""

TEXT: Final = "TRV-1100"
SYNTAX: Final = "TRV-1101"
DUPLICATE_KEY: Final = "TRV-1102"
KEY_NOT_TEXT: Final = "TRV-1103"
REFUSED_YAML: Final = "TRV-1104"
LIMIT: Final = "TRV-1105"
NOT_JSON: Final = "TRV-1106"
NOT_A_FLOW: Final = "TRV-1110"
FORMAT_VERSION: Final = "TRV-1111"
UNKNOWN_KEY: Final = "TRV-1112"
NOT_SUPPORTED: Final = "TRV-1113"
MISSING_KEY: Final = "TRV-1114"
WRONG_VALUE: Final = "TRV-1115"
BAD_ID: Final = "TRV-1116"
BAD_DURATION: Final = "TRV-1117"
DUPLICATE_ID: Final = "TRV-1120"
UNKNOWN_STEP: Final = "TRV-1121"
UNKNOWN_INPUT: Final = "TRV-1122"
CYCLE: Final = "TRV-1123"
UNKNOWN_ACTION: Final = "TRV-1124"
BAD_REFERENCE: Final = "TRV-1125"
EXPRESSION: Final = "TRV-1126"
BAD_DEFAULT: Final = "TRV-1127"
UNKNOWN_OUTPUT: Final = "TRV-1130"
FAILURE_FUNCTION: Final = "TRV-1131"
IGNORED_KEY: Final = "TRV-1132"
TOO_MANY: Final = "TRV-1199"

CODES: Final[dict[str, str]] = {
    TEXT: "The file is not UTF-8 text, or has characters that no text file has.",
    SYNTAX: "The file is not YAML (or, named `.json`, not JSON).",
    DUPLICATE_KEY: "A key stands twice in one mapping.",
    KEY_NOT_TEXT: "A key is not text: `1:`, `true:`, `null:` or `[a]:`. Quote it.",
    REFUSED_YAML: "YAML that flows do not have: tags, merge keys (`<<`), several documents, cyclic aliases.",
    LIMIT: "The file is larger, deeper or has more values, aliases or text than a flow may have.",
    NOT_JSON: "A number without a JSON form: `.nan`, `.inf`, integers beyond 64 bits.",
    NOT_A_FLOW: "The file is no flow: neither `steps` (native) nor `nodes` (Dagger) stands at its top.",
    FORMAT_VERSION: "`trivium: 1` is missing, or names a version of the format that this release does not know.",
    UNKNOWN_KEY: "A key that the format does not have.",
    NOT_SUPPORTED: "A key or form that the format has and this version does not support yet.",
    MISSING_KEY: "A key that must be there is not.",
    WRONG_VALUE: "A value of the wrong type, or outside what is allowed.",
    BAD_ID: "A name or id that cannot be one.",
    BAD_DURATION: "A duration that cannot be read. `500ms`, `30s`, `5m`, `1h30m`, `2d` and `PT5M` can.",
    DUPLICATE_ID: "Two steps have one id.",
    UNKNOWN_STEP: "A step is named that the flow does not have.",
    UNKNOWN_INPUT: "An input is named that the flow does not declare.",
    CYCLE: "Steps that wait for each other.",
    UNKNOWN_ACTION: "An action is used that is not registered.",
    BAD_REFERENCE: "A `${{ }}` that is not closed, is empty, or leads to something that does not exist.",
    EXPRESSION: "An expression that is more than a plain path; this version evaluates paths alone.",
    BAD_DEFAULT: "An input's default does not fit the input's own schema.",
    UNKNOWN_OUTPUT: "Dagger: an output is named that its node does not declare.",
    FAILURE_FUNCTION: "Dagger, a warning: the function named by `failure` is not called.",
    IGNORED_KEY: "Dagger, a warning: a key that has no meaning here.",
    TOO_MANY: "There are more problems than are shown.",
}

MAX_PROBLEMS: Final = 100
_MAX_CANDIDATES: Final = 2_000  # difflib compares with each of them: seconds, for the ids of a large flow
_MAX_SUGGESTIONS: Final = 25


class Mark:
    """The place of one value in a file, and the places of what is in it. Lines and columns count from 1."""

    __slots__ = ("children", "column", "keys", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.children: dict[str, Mark] | list[Mark] | None = None
        self.keys: dict[str, tuple[int, int]] | None = None


class Problems:
    """Gathers what is wrong with one document, each with its place."""

    def __init__(self, file: str, root: Mark | None = None) -> None:
        self.file = file
        self._root = root
        self._found: list[Problem] = []
        self._errors = 0
        self._suggestions = 0
        self._overflow = False

    def error(self, code: str, message: str, path: Path = (), *, key: bool = False) -> None:
        """Note a problem at the value that `path` leads to; with `key`, at the key before it."""
        line, column = self.place(path, key=key)
        self.at(code, message, line, column)

    def warning(self, code: str, message: str, path: Path = (), *, key: bool = False) -> None:
        """Note something that the author should know and that stops nothing."""
        line, column = self.place(path, key=key)
        self.at(code, message, line, column, warning=True)

    def at(self, code: str, message: str, line: int | None, column: int | None, *, warning: bool = False) -> None:
        """Note a problem at a place of the file."""
        self._errors += not warning
        if len(self._found) < MAX_PROBLEMS:
            self._found.append(Problem(code, message, self.file, line, column, warning))
        elif not warning and not self._overflow:
            self._overflow = True
            text = f"more than {MAX_PROBLEMS} problems, the rest is not shown"
            self._found.append(Problem(TOO_MANY, text, self.file))

    def did_you_mean(self, name: str, candidates: Collection[str]) -> str:
        """`; did you mean 'x'?`, or nothing. A bounded number of times for a document: comparing is slow."""
        if self._suggestions >= _MAX_SUGGESTIONS:
            return ""
        self._suggestions += 1
        return did_you_mean(name, candidates)

    @property
    def full(self) -> bool:
        """Looking further would show nothing more."""
        return self._overflow

    @property
    def errors(self) -> int:
        """How many were noted, warnings not counted."""
        return self._errors

    def in_order(self) -> tuple[Problem, ...]:
        """All of them, as they stand in the file."""
        last = float("inf")
        return tuple(sorted(self._found, key=lambda problem: (problem.line or last, problem.column or 0)))

    def raise_errors(self) -> None:
        """Raise a `DefinitionError` with everything found, if an error is among it."""
        if self._errors:
            raise DefinitionError(self.in_order())

    def place(self, path: Path, *, key: bool = False) -> tuple[int | None, int | None]:
        """Line and column of the value that `path` leads to, of the key before it, or of what it is missing from."""
        mark, place = self._root, None
        for part in path:
            if mark is None:
                break
            if isinstance(mark.children, dict) and isinstance(part, str):
                place = None if mark.keys is None else mark.keys.get(part)
                inner = mark.children.get(part)
            elif isinstance(mark.children, list) and isinstance(part, int) and part < len(mark.children):
                place, inner = None, mark.children[part]
            else:
                inner = None
            if inner is None:
                return mark.line, mark.column
            mark = inner
        if key and place is not None:
            return place
        return (None, None) if mark is None else (mark.line, mark.column)


def did_you_mean(name: str, candidates: Collection[str]) -> str:
    """`; did you mean 'x'?` with the nearest candidate; nothing where none is near or looking would be slow."""
    if len(candidates) > _MAX_CANDIDATES or len(name) > 100:
        return ""
    near = suggestions.did_you_mean(name, map(str, candidates))
    return f"; {near}" if near else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """The names, quoted, for a sentence; a long list is cut."""
    shown = sorted(names)
    return ", ".join(repr(name) for name in shown[:limit]) + (", ..." if len(shown) > limit else "")
