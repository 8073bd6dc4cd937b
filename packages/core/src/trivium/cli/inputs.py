"""Inputs of a run, from the words of a command line.

`-i` values are handed on as they were typed: the driver knows the declared types. Only where they must be JSON at once
(a signal's payload) are they read here: as JSON if they parse, else as text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from trivium.errors import NotFound, TriviumError, UsageError
from trivium.json import JsonValue, dumps
from trivium.model.drivers import CommandLineText


def collect_inputs(pairs: Sequence[str] | None, file: str | None) -> dict[str, JsonValue] | None:
    """The inputs of `--inputs` with those of `-i` over them; None where neither was given.

    :raises NotFound: the file does not exist
    :raises UsageError: it is no JSON object, or a pair is none
    """
    if not pairs and file is None:
        return None
    found = _read_file(file) if file is not None else {}
    seen: set[str] = set()
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"-i {pair!r} is not KEY=VALUE", hint="write -i month=2026-11")
        if key.strip() in seen:
            raise UsageError(f"-i gives {key.strip()!r} twice", hint='a list is one value: -i \'tags=["a", "b"]\'')
        if value.startswith("@env:"):
            raise UsageError(
                f"-i {key.strip()}={value[:40]}: @env: references are not supported by this version",
                hint="have the action read the environment; an input would stand in the journal",
            )
        seen.add(key.strip())
        found[key.strip()] = CommandLineText(value)
    return found


def json_or_text(text: str) -> JsonValue:
    """The value of a word: JSON if it is, else the text itself."""
    try:
        value: JsonValue = json.loads(text)
        dumps(value)  # NaN and numbers beyond 64 bits parse, and are no JSON of ours
    except (ValueError, RecursionError, TriviumError):
        return text
    return value


def _read_file(file: str) -> dict[str, JsonValue]:
    name = "stdin" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("file", file) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text (byte {error.start})") from None
    try:
        # The standard library's: an accelerator makes a float of a number beyond 64 bits, instead of an error.
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{name} holds {_kind(value)}", hint='inputs are an object: {"name": value}')
    return dict(value)


def _kind(value: JsonValue) -> str:
    names = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")
