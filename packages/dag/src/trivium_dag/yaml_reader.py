"""The strict reader of YAML and JSON files: text in, JSON values with their places out.

It decides what of YAML is allowed: one document, mappings with text keys that stand once, scalars by YAML 1.2's core
schema (`on` and `no` are text, `010` is ten, `12:30` is text), no tags, no merge keys, bounded aliases. What the values
mean is decided by others.

Values are built from the parser's events, one by one, with the guards before each: PyYAML's C composer recurses without
bound and takes the process down with a megabyte of `[`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trivium.errors import NotFound, UsageError
from trivium.json import JsonValue
from trivium_dag import problems as codes
from trivium_dag.problems import Mark, Problems

if TYPE_CHECKING:
    import yaml
    from yaml.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of everything a file may have."""

    size: int = 64 * 1024 * 1024
    depth: int = 100
    nodes: int = 5_000_000
    aliases: int = 1_000
    expanded: int = 200_000
    """Values that stand for others by aliases, together."""
    scalar: int = 4 * 1024 * 1024


LIMITS: Final = Limits()
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})

_WORDS: Final[dict[str, JsonValue]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMBER_STARTS: Final = frozenset("-+.0123456789")
_INT: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_SURROGATES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read: its value, and where everything in it stands."""

    file: str
    value: JsonValue
    root: Mark

    def problems(self) -> Problems:
        """An empty gathering of problems that knows the places of this document."""
        return Problems(self.file, self.root)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    :raises NotFound: there is no such file
    :raises UsageError: it is a folder, or may not be read
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound("file", str(path), hint="the path is relative to the working directory") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{str(path)!r} cannot be read: {reason}", hint="name a .yaml, .yml or .json file") from None


def read_document(data: bytes, file: str, *, limits: Limits = LIMITS) -> Document:
    """The document in `data`; `file` names it in problems and, by its suffix, says whether it is JSON.

    :raises DefinitionError: with every problem that could be found
    """
    problems = Problems(file)
    text = _decode(data, problems, limits)
    problems.raise_errors()
    if file.lower().endswith(".json"):
        _check_json(text, problems)
        problems.raise_errors()
        text = _NOT_IN_YAML.sub(_escaped, _SURROGATES.sub(_join_surrogates, text))
    builder = _Builder(problems, limits)
    try:
        value, root = builder.document(text)
    except _Stop:
        value, root = None, Mark(1, 1)
    problems.raise_errors()
    return Document(file, value, root)


def _decode(data: bytes, problems: Problems, limits: Limits) -> str:
    if len(data) > limits.size:
        problems.at(codes.LIMIT, f"the file has {len(data):,} bytes, the limit is {limits.size:,}", None, None)
        return ""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        problems.at(codes.TEXT, "the file is not UTF-8 text; save it as UTF-8", line, column)
        return ""
    nul = text.find("\0")
    if nul >= 0:
        line, column = text.count("\n", 0, nul) + 1, nul - text.rfind("\n", 0, nul)
        problems.at(codes.TEXT, "the file has a NUL character; is it a text file?", line, column)
    return text


def _check_json(text: str, problems: Problems) -> None:
    """A `.json` file is JSON to the letter, though most of YAML would do too: other tools will read it."""
    import json

    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        problems.at(codes.SYNTAX, f"not JSON: {error.msg}", error.lineno, error.colno)
    except RecursionError:
        problems.at(codes.LIMIT, "nested too deep", 1, 1)
    except ValueError:  # a number with thousands of digits
        problems.at(codes.NOT_JSON, "a number beyond 64 bits", None, None)


def _join_surrogates(found: re.Match[str]) -> str:
    """JSON escapes a character beyond the first plane as two; YAML has no such pairs."""
    high, low = int(found[2], 16), int(found[3], 16)
    return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _line(text: str, line: int) -> str:
    """A line, counted from 0, as YAML counts them; nothing where there is none."""
    return "".join(re.split(r"\r\n|\r|\n", text)[line : line + 1])


def _place(event: Event) -> tuple[int, int]:
    """Where an event begins, counted from 1. Events of a parser always have a mark; only the types say otherwise."""
    mark = event.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _escaped(found: re.Match[str]) -> str:
    """JSON strings may have characters that YAML forbids, or takes for the end of a line."""
    return f"\\u{ord(found[0]):04x}"


class _Stop(Exception):
    """A problem was noted after which the rest of the file cannot be read."""


class _Builder:
    """Builds values from events."""

    def __init__(self, problems: Problems, limits: Limits) -> None:
        import yaml

        self._yaml = yaml
        self._problems = problems
        self._limits = limits
        self._nodes = 0
        self._aliases = 0
        self._expanded = 0
        self._anchors: dict[str, tuple[JsonValue, Mark, int]] = {}
        self._open: set[str] = set()

    def document(self, text: str) -> tuple[JsonValue, Mark]:
        loader: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(self._yaml, "CSafeLoader", self._yaml.SafeLoader)
        events: Iterator[Event] = self._yaml.parse(text, Loader=loader)
        try:
            return self._document(events)
        except self._yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = error.problem or error.context or "a mistake"
            line = "" if mark is None else _line(text, mark.line)
            if mark is not None and line[mark.column : mark.column + 1] == "\t":
                what = "a tab, where YAML takes spaces only"
            elif "${{" in line:
                what += '; within { } or [ ] a reference stands in quotes: "${{ ... }}"'
            place = (None, None) if mark is None else (mark.line + 1, mark.column + 1)
            self._problems.at(codes.SYNTAX, what, *place)
        except self._yaml.YAMLError as error:  # the reader's own: a character that YAML forbids
            self._problems.at(codes.TEXT, str(error).splitlines()[0], None, None)
        raise _Stop

    def _document(self, events: Iterator[Event]) -> tuple[JsonValue, Mark]:
        yaml = self._yaml
        found: tuple[JsonValue, Mark] | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if found is not None:
                    self._refuse(codes.REFUSED_YAML, "a second document; a flow's file has one", event)
                found = self._node(next(events), events, 0)
        if found is None:
            self._problems.at(codes.NOT_A_FLOW, "the file is empty", 1, 1)
            raise _Stop
        return found

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> tuple[JsonValue, Mark]:
        yaml = self._yaml
        mark = Mark(*_place(event))
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            self._refuse(codes.LIMIT, f"more than {self._limits.nodes:,} values", event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event), mark
        assert isinstance(event, yaml.NodeEvent)
        anchor, before = event.anchor, self._nodes
        if event.tag is not None:
            self._problems.at(codes.REFUSED_YAML, f"tags are not allowed: {event.tag!r:.60}", mark.line, mark.column)
        if anchor is not None:
            self._open.add(anchor)
        value: JsonValue
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        else:
            if depth >= self._limits.depth:
                self._refuse(codes.LIMIT, f"nested deeper than {self._limits.depth} levels", event)
            if isinstance(event, yaml.MappingStartEvent):
                value = self._mapping(events, depth, mark)
            else:
                value = self._sequence(events, depth, mark)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (value, mark, self._nodes - before + 1)
        return value, mark

    def _mapping(self, events: Iterator[Event], depth: int, mark: Mark) -> JsonValue:
        yaml = self._yaml
        found: dict[str, JsonValue] = {}
        marks: dict[str, Mark] = {}
        keys: dict[str, tuple[int, int]] = {}
        mark.children, mark.keys = marks, keys
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            place = _place(event)
            key, _ = self._node(event, events, depth + 1)
            plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            value, inner = self._node(next(events), events, depth + 1)
            if not isinstance(key, str) or isinstance(event, yaml.AliasEvent):
                text = event.value if isinstance(event, yaml.ScalarEvent) else "a value that is no text"
                self._problems.at(codes.KEY_NOT_TEXT, f"a key must be text, quote it: {text:.60}", *place)
            elif key == "<<" and plain:
                self._problems.at(codes.REFUSED_YAML, "merge keys (<<) are not allowed; write the keys out", *place)
            elif key in found:
                first = keys[key][0]
                text = f"the key {key!r:.60} stands twice in one mapping, first in line {first}"
                self._problems.at(codes.DUPLICATE_KEY, text, *place)
            else:
                found[key], marks[key], keys[key] = value, inner, place
        return found

    def _sequence(self, events: Iterator[Event], depth: int, mark: Mark) -> JsonValue:
        yaml = self._yaml
        found: list[JsonValue] = []
        marks: list[Mark] = []
        mark.children = marks
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            value, inner = self._node(event, events, depth + 1)
            found.append(value)
            marks.append(inner)
        return found

    def _alias(self, event: yaml.AliasEvent) -> JsonValue:
        name = event.anchor or ""
        if name in self._open:
            self._refuse(codes.REFUSED_YAML, f"*{name:.60} stands within what it repeats", event)
        if name not in self._anchors:
            self._refuse(codes.SYNTAX, f"*{name:.60} repeats an anchor that was not set before", event)
        value, _, size = self._anchors[name]
        self._aliases += 1
        self._expanded += size
        self._nodes += size  # an alias of something with aliases counts all that it stands for
        if self._aliases > self._limits.aliases:
            self._refuse(codes.LIMIT, f"more than {self._limits.aliases:,} aliases", event)
        if self._expanded > self._limits.expanded:
            self._refuse(codes.LIMIT, f"aliases stand for more than {self._limits.expanded:,} values", event)
        return value

    def _scalar(self, event: yaml.ScalarEvent) -> JsonValue:
        text = event.value
        if len(text) > self._limits.scalar:
            self._refuse(codes.LIMIT, f"a text of more than {self._limits.scalar:,} characters", event)
        if not event.implicit[0]:  # quoted, or a block
            return text
        try:
            return plain_scalar(text)
        except ValueError as error:
            self._problems.at(codes.NOT_JSON, f"{error}: {text:.40}", *_place(event))
            return None

    def _refuse(self, code: str, message: str, event: Event) -> None:
        self._problems.at(code, message, *_place(event))
        raise _Stop


def plain_scalar(text: str) -> JsonValue:
    """What an unquoted scalar means by YAML 1.2's core schema.

    :raises ValueError: a number that JSON does not have
    """
    if not text or text[0] not in _NUMBER_STARTS:
        return _WORDS.get(text, text)
    if _INT.fullmatch(text):
        return _int(text, 10)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError("a number too large for JSON")
        return number
    if _BASED.fullmatch(text):
        return _int(text, 0)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("not a JSON number")
    return text


def _int(text: str, base: int) -> int:
    if len(text) <= 100:  # Python refuses to read thousands of digits, with a message of its own
        number = int(text, base)
        if -(2**63) <= number < 2**63:
            return number
    raise ValueError("an integer beyond 64 bits")
