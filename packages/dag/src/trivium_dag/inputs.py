"""The inputs that a flow declares, and the check of those that it is given.

A declaration is a small part of JSON Schema. Types are strict, except that an integer serves where a number is asked.
All that is wrong is reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from trivium.errors import InvalidInput, NotJson, TooLarge
from trivium.json import JsonValue, dumps, loads
from trivium.model.drivers import CommandLineText
from trivium_dag.problems import did_you_mean, listed

Schema: TypeAlias = Mapping[str, JsonValue]

TYPES: Final[dict[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, Sequence) and not isinstance(value, str),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}
OTHER_NAMES: Final = {
    "str": "string", "text": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array",
    "dict": "object", "map": "object", "mapping": "object", "none": "null",
}  # fmt: skip
"""What people write who think of another language: good for a suggestion."""

_TYPE_OF: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
_SIZES: Final = (("minLength", "maxLength", "characters", str), ("minItems", "maxItems", "items", list))


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that it allows; none means all."""
    declared = schema.get("type", ())
    return (declared,) if isinstance(declared, str) else tuple(str(one) for one in _items(declared))


def is_required(schema: Schema) -> bool:
    """It must be given: there is no default, and it is not declared otherwise."""
    return "default" not in schema and schema.get("required", True) is True


def check_inputs(flow: str, declared: Mapping[str, Schema], given: JsonValue) -> dict[str, JsonValue]:
    """The inputs of a run: those given, in the order of their declarations, with defaults filled in.

    :raises InvalidInput: with all that is wrong
    """
    what = f"the input of flow {flow!r}"
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise InvalidInput(what, [f"it must be an object of names and values, not {type_of(given)}"])
    wrong: list[str] = []
    found: dict[str, JsonValue] = {}
    for name, schema in declared.items():
        if name in given:
            value = given[name]
            if isinstance(value, CommandLineText):
                value = from_command_line(value, schema)
            optional = value is None and not is_required(schema) and "default" not in schema
            if not optional:
                wrong += violations(value, schema, name)
            found[name] = value
        elif is_required(schema):
            wrong.append(f"{name} is missing{_described(schema)}")
        else:
            found[name] = schema.get("default")
    for name in given:
        if name not in declared:
            near = did_you_mean(str(name), list(declared))
            known = f" (it has {listed(declared)})" if declared and not near else ""
            wrong.append(f"{name} is not an input of this flow{known}{near}")
    if wrong:
        raise InvalidInput(what, wrong)
    return found


def violations(value: JsonValue, schema: Schema, name: str) -> Iterable[str]:
    """A line for everything in which `value` does not fit."""
    types = types_of(schema)
    if types and not any(TYPES[one](value) for one in types):
        yield f"{name} must be {' or '.join(types)}, not {type_of(value)} {_shown(value)}"
        return
    if "enum" in schema:
        allowed = _items(schema["enum"])
        if not any(_equal(value, one) for one in allowed):
            yield f"{name} must be one of {', '.join(_shown(one) for one in allowed)}, not {_shown(value)}"
            return
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if isinstance(low, (int, float)) and value < low:
            yield f"{name} must be at least {low}, not {value}"
        if isinstance(high, (int, float)) and value > high:
            yield f"{name} must be at most {high}, not {value}"
    for least, most, unit, kind in _SIZES:
        if isinstance(value, (str, Sequence)) and isinstance(value, str) is (kind is str):
            low, high = schema.get(least), schema.get(most)
            if isinstance(low, int) and len(value) < low:
                yield f"{name} must have at least {low} {unit}, not {len(value)}"
            if isinstance(high, int) and len(value) > high:
                yield f"{name} must have at most {high} {unit}, not {len(value)}"
    inner = schema.get("items")
    if isinstance(inner, Mapping) and isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from violations(item, inner, f"{name}[{index}]")


def from_command_line(text: str, schema: Schema) -> JsonValue:
    """What was typed, by the declared types: JSON where that fits them, else text."""
    types = types_of(schema)
    text = str(text)  # of the marked class, orjson takes none
    if types == ("string",):
        return text
    try:
        parsed = loads(text)
        dumps(parsed)  # the standard library's parser takes NaN
    except (ValueError, RecursionError, NotJson):
        return text
    others = [one for one in types if one != "string"]
    return text if "string" in types and not any(TYPES[one](parsed) for one in others) else parsed


def type_of(value: JsonValue) -> str:
    """The JSON Schema word for the type of `value`."""
    return next((name for name in _TYPE_OF if TYPES[name](value)), type(value).__name__)


def _described(schema: Schema) -> str:
    description = schema.get("description")
    return f" ({description:.120})" if isinstance(description, str) and description else ""


def _items(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _equal(one: JsonValue, other: JsonValue) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)  # to Python, True is 1


def _shown(value: object) -> str:
    try:
        text: str = dumps(value)
    except (
        NotJson,
        TooLarge,
    ):  # shown in a message about something else; what is no JSON is refused where it is stored
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
