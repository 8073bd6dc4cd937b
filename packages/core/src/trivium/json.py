"""The one JSON of Trivium: canonical text for hashing and storing, the same with and without orjson.

Refused with the path to them, since encoders disagree on them: NaN, infinities, integers beyond 64 bits, lone
surrogates, keys that are not strings, nesting beyond a depth, and everything that is not JSON. Tuples are arrays, and
subclasses of the JSON types (a `StrEnum`, a `defaultdict`) are what they hold.

A value is first looked over quickly: nearly all hold nothing but the plain types, and go to the encoder as they stand.
Only the others are walked again, to be made plain or to find out which part to blame.
"""

from __future__ import annotations

import hashlib
import json as _stdlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NewType, TypeAlias

from trivium.errors import NotJson, TooLarge

JsonValue: TypeAlias = None | bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
JsonText = NewType("JsonText", str)
"""Canonical JSON text: keys sorted by code point, no white space, nothing escaped that need not be."""

NULL = JsonText("null")
MAX_VALUE_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 200

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder and a decoder. `encode` gets plain values only, and raises TypeError or ValueError on lone
    surrogates."""

    encode: Callable[[object], bytes]
    decode: Callable[[str], Any]


_encode_text = _stdlib.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode

STDLIB: Final = Codec(lambda value: _encode_text(value).encode(), _stdlib.loads)
"""Sets the format; it is always there."""


def _orjson_codec() -> Codec | None:
    try:
        import orjson
    except ImportError:
        return None
    write, sort_keys = orjson.dumps, orjson.OPT_SORT_KEYS
    return Codec(lambda value: write(value, None, sort_keys), orjson.loads)


ORJSON: Final = _orjson_codec()
"""Where orjson is installed: ten times as fast, and the same text for what `_survey` lets through to it."""

FASTEST: Final = ORJSON or STDLIB


def dumps(value: object, *, what: str = "value", limit: int = MAX_VALUE_BYTES, codec: Codec = FASTEST) -> JsonText:
    """Canonical text of `value`.

    :raises NotJson: naming the path to the first part that is not JSON, `what` being its root
    :raises TooLarge: the text has more than `limit` bytes
    """
    verdict = _survey(value, 0)
    try:
        plain = value if verdict != _ODD else _plain(value, what)
        data = (codec if verdict == _PLAIN else STDLIB).encode(plain)
    except (TypeError, ValueError):  # a lone surrogate: the second walk says where
        data = STDLIB.encode(_plain(value, what))
    if len(data) > limit:
        raise TooLarge(what, len(data), limit)
    return JsonText(data.decode())


def loads(text: str, *, codec: Codec = FASTEST) -> JsonValue:
    """The value of canonical text, as `dumps` wrote it: fresh containers at every call. For the text of others:
    `parse`."""
    value: JsonValue = codec.decode(text)
    return value


def parse(text: str, *, what: str = "text", limit: int = MAX_VALUE_BYTES) -> JsonValue:
    """The value of JSON text from outside: what it is and whether it is any depends on no codec.

    :raises NotJson: it is no JSON, has a key twice, or has a value that `dumps` refuses; `what` is its root
    :raises TooLarge: its value has more than `limit` bytes
    """
    try:
        value: JsonValue = _stdlib.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except RecursionError:
        raise NotJson(what, f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise NotJson(what, str(error)) from None
    dumps(value, what=what, limit=limit)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r:.80} stands twice")
        found[key] = value
    return found


def digest(text: str) -> str:
    """SHA-256 of the text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- the first walk: is it plain? ----------------------------------------------------------------

_PLAIN: Final = 0
"""All codecs write it alike, as it stands (lone surrogates apart, which they refuse)."""
_FLOATS: Final = 1
"""Plain, with a float that orjson writes as 1e16 and the standard library as 1e+16."""
_ODD: Final = 2
"""It has subclasses or parts that are not JSON, or is too deep."""


def _survey(value: object, depth: int) -> int:
    # Every value of every step passes here: one loop for all containers, and scalars are judged in it without a call.
    kind = type(value)
    items: Any
    if kind is dict:
        for key in value:  # type: ignore[attr-defined]  # `kind is dict` narrows nothing for mypy
            if type(key) is not str:
                return _ODD
        items = value.values()  # type: ignore[attr-defined]  # as above
    elif kind is list or kind is tuple:
        items = value
    else:
        items, depth = (value,), depth - 1
        if kind not in _SCALARS:
            return _ODD
    if depth >= MAX_DEPTH:
        return _ODD
    verdict = _PLAIN
    for item in items:
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is int:
            if not _INT_MIN <= item <= _INT_MAX:
                return _ODD
        elif kind is float:
            if 1e-4 <= item < 1e16 or -1e16 < item <= -1e-4 or item == 0.0:
                continue
            if not math.isfinite(item):
                return _ODD
            verdict = _FLOATS
        else:
            found = _survey(item, depth + 1)
            if found == _ODD:
                return _ODD
            verdict |= found
    return verdict


_SCALARS: Final = frozenset({str, bool, int, float, type(None)})


# --- the second walk: make it plain, or say what is wrong ----------------------------------------


class _NotPlain(Exception):
    """Carries the way back up to the root: a path is only written once there is something to say."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.steps: list[str] = []


def _plain(value: object, what: str) -> object:
    """A copy of the exact JSON types."""
    try:
        return _copy(value, 0)
    except _NotPlain as error:
        raise NotJson(what + "".join(reversed(error.steps)), error.reason) from None


def _copy(value: object, depth: int) -> object:
    # The unbound methods read what is stored: a subclass may answer otherwise, and encoders do not agree on asking it.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _copy_text(value)
    if isinstance(value, int):
        if not _INT_MIN <= (number := int.__int__(value)) <= _INT_MAX:
            raise _NotPlain("an integer beyond 64 bits")
        return number
    if isinstance(value, float):
        if not math.isfinite(fraction := float.__float__(value)):
            raise _NotPlain(f"{fraction} is not a JSON number")
        return fraction
    if isinstance(value, (dict, list, tuple)) and depth >= MAX_DEPTH:
        raise _NotPlain(f"nested deeper than {MAX_DEPTH} levels")
    step = ""
    try:
        if isinstance(value, dict):
            copied: dict[str, object] = {}
            for key, item in dict.items(value):
                if not isinstance(key, str):
                    raise _NotPlain(f"a key of type {type(key).__name__}, {_shown(key)}")
                plain_key = _copy_text(key)
                step = f".{plain_key:.80}"
                copied[plain_key] = _copy(item, depth + 1)
                step = ""
            return copied
        if isinstance(value, (list, tuple)):
            array: list[object] = []
            for index, item in enumerate(list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)):
                step = f"[{index}]"
                array.append(_copy(item, depth + 1))
            return array
    except _NotPlain as error:
        error.steps.append(step)
        raise
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise _NotPlain(f"it is of type {name}")


def _copy_text(text: str) -> str:
    exact = str.__str__(text)
    try:
        exact.encode()
    except UnicodeEncodeError:
        raise _NotPlain("a string with a lone surrogate") from None
    return exact


def _shown(key: object) -> str:
    try:
        return f"{key!r:.40}"
    except Exception:  # foreign code: __repr__ of whatever was used as a key
        return "which cannot be shown"
