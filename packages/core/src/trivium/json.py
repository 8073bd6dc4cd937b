"""The one JSON of Trivium: canonical text for hashing and storing, the same with and without orjson.

Refused with the path to them, since encoders disagree on them: NaN, infinities, integers beyond 64 bits, lone
surrogates, keys that are not strings, and everything that is not JSON.
"""

from __future__ import annotations

import hashlib
import json as _stdlib
import math
from collections.abc import Mapping, Sequence
from typing import NewType, TypeAlias, Union

from trivium.errors import NotJson, TooLarge

try:
    import orjson as _orjson
except ImportError:  # pragma: no cover - both branches run in CI, in environments of their own
    _orjson = None  # type: ignore[assignment]  # the fallback of an optional accelerator

JsonValue: TypeAlias = Union[None, bool, int, float, str, Sequence["JsonValue"], Mapping[str, "JsonValue"]]
JsonText = NewType("JsonText", str)
"""Canonical JSON text: keys sorted, no white space, UTF-8."""

NULL = JsonText("null")
MAX_VALUE_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 200

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_encode_stdlib = _stdlib.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode


def dumps(value: object, *, what: str = "value", limit: int = MAX_VALUE_BYTES) -> JsonText:
    """Canonical text of `value`.

    :raises NotJson: naming the path to the first part that is not JSON, `what` being its root
    :raises TooLarge: the text has more than `limit` bytes
    """
    has_float = _check(value, what, 0)
    if _orjson is not None and not has_float:  # floats: orjson writes 1e16 where the standard library writes 1e+16
        data = _orjson.dumps(value, option=_orjson.OPT_SORT_KEYS)
        size, text = len(data), data.decode()
    else:
        text = _encode_stdlib(value)
        size = len(text)
        if size * 4 > limit:
            size = len(text.encode())
    if size > limit:
        raise TooLarge(what, size, limit)
    return JsonText(text)


def loads(text: str) -> JsonValue:
    """The value of canonical text: fresh containers at every call."""
    value: JsonValue = _orjson.loads(text) if _orjson is not None else _stdlib.loads(text)
    return value


def digest(text: str) -> str:
    """SHA-256 of the text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _check(value: object, path: str, depth: int) -> bool:
    """Refuse what is not JSON; True if a float is in it."""
    kind = type(value)
    if kind is str:
        if not value.isascii():  # type: ignore[attr-defined]  # `kind is str` narrows nothing for mypy
            _check_text(str(value), path)
        return False
    if value is None or kind is bool:
        return False
    if kind is int:
        if not _INT_MIN <= value <= _INT_MAX:  # type: ignore[operator]  # as above
            raise NotJson(path, "an integer beyond 64 bits")
        return False
    if depth >= MAX_DEPTH:
        raise NotJson(path, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        found = False
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotJson(path, f"a key of type {type(key).__name__}, {key!r:.40}")
            if not key.isascii():
                _check_text(key, path)
            found |= _check(item, f"{path}.{key}", depth + 1)
        return found
    if isinstance(value, (list, tuple)):
        found = False
        for index, item in enumerate(value):
            found |= _check(item, f"{path}[{index}]", depth + 1)
        return found
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(path, f"{value} is not a JSON number")
        return True
    raise NotJson(path, f"a {kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else f"a {kind.__name__}")


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJson(path, "a string with a lone surrogate") from None
