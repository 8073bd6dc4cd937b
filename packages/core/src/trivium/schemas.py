"""From a callable's signature to the checks of what goes in and what comes out, through pydantic.

Input comes as JSON text and is bound to the parameters: strict on types, except that an int serves where a float is
asked. Output is checked against the return annotation and becomes canonical JSON text. Either may instead be given as
JSON Schema. What a name means, and how a call runs, is decided elsewhere.
"""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Never, NoReturn, TypeAlias

import typing_extensions

from trivium.errors import InvalidInput, InvalidOutput, MissingPackage, RegistrationError
from trivium.foreign import reason_of
from trivium.json import NULL, JsonText, JsonValue, dumps, loads
from trivium.signatures import UNKNOWN, Signature
from trivium.suggestions import did_you_mean

if TYPE_CHECKING:  # pydantic takes a third of the time to import trivium: it comes with the first action
    from pydantic import TypeAdapter

MAX_DETAILS = 20

_JsonSchema: TypeAlias = Mapping[str, Any]


# --- input ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class InputSchema:
    """What a callable takes. Made by `of`."""

    _signature: Signature
    _adapter: TypeAdapter[Any] | None = None
    _extras: TypeAdapter[Any] | None = None
    _given: _Given | None = None
    _names: frozenset[str] = field(default=frozenset())
    _required: frozenset[str] = field(default=frozenset())
    _injected: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(
        cls,
        function: Callable[..., Any] | Signature,
        *,
        skip: Collection[str] = (),
        schema: _JsonSchema | None = None,
    ) -> InputSchema:
        """From the type hints, or from a JSON Schema that stands in their place. `skip`: parameters that are injected.

        :raises RegistrationError: the signature or the schema cannot be used
        :raises MissingPackage: a JSON Schema needs the `jsonschema` extra
        """
        read = function if isinstance(function, Signature) else Signature.of(function)
        parameters = tuple(one for one in read.parameters if one.name not in skip)
        read = Signature(read.place, parameters, read.extra, read.returns)
        names = frozenset(one.name for one in parameters)
        required = frozenset(one.name for one in parameters if one.required)
        injected = frozenset(skip)
        if schema is not None:
            given = _Given.of(schema, f"input_schema of {read.place}")
            return cls(read, _given=given, _names=names, _required=required, _injected=injected)
        hints = {one.name: one.annotation for one in parameters}
        shape = _typed_dict(
            {
                one.name: one.annotation if one.required else typing_extensions.NotRequired[one.annotation]
                for one in parameters
            },
            open_=read.extra is not None,
        )
        extras = None
        if read.extra is not None and read.extra not in (Any, object):
            extras = _adapt(types.GenericAlias(dict, (str, read.extra)), {"**kwargs": read.extra}, read.place)
        return cls(read, _adapt(shape, hints, read.place), extras, None, names, required, injected)

    def bind(self, text: JsonText, *, what: str = "input") -> dict[str, Any]:
        """The arguments to call with. What is not given is left to Python's defaults.

        :raises InvalidInput: with a line for each field that does not fit
        """
        adapter = self._adapter
        if adapter is None:
            return self._bind_given(text, what)
        if text == "{}" and not self._required:
            return {}
        try:
            bound: dict[str, Any] = adapter.validator.validate_json(text, strict=True)
            if self._extras is not None:
                extra = {name: value for name, value in bound.items() if name not in self._names}
                bound |= self._extras.validate_json(dumps(extra), strict=True)
        except Exception as error:  # a refusal; or else validators are foreign code
            raise InvalidInput(what, _details(error, what, self._names)) from None
        if self._signature.extra is not None and not self._injected.isdisjoint(bound):  # **kwargs would let it through
            raise InvalidInput(what, [_unknown(name, self._names) for name in sorted(self._injected & bound.keys())])
        return bound

    def _bind_given(self, text: JsonText, what: str) -> dict[str, Any]:
        value = loads(text)
        if not isinstance(value, dict):
            raise InvalidInput(what, [f"{what}: should be an object, not {_json_type(value)}"])
        assert self._given is not None
        details = list(self._given.complaints(value, what))
        details += [f"{name} is missing" for name in sorted(self._required - value.keys())]
        unknown = self._injected if self._signature.extra is not None else value.keys() - self._names
        details += [_unknown(name, self._names) for name in sorted(unknown & value.keys())]
        if details:
            raise InvalidInput(what, _capped(details))
        return value

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the input object."""
        if self._adapter is None:
            assert self._given is not None
            return self._given.copy()
        schema = _described(self._adapter, "validation")
        schema.pop("title", None)
        for one in self._signature.parameters:
            if not one.required and isinstance(shown := schema.get("properties", {}).get(one.name), dict):
                try:
                    shown["default"] = loads(dumps(one.default))
                except Exception:  # a default that is not JSON (foreign objects may even raise) is Python's own affair
                    continue
        return schema


def _typed_dict(fields: dict[str, Any], *, open_: bool) -> Any:
    # A TypedDict and no model: any name may be a parameter's, and what was not given stays away from the result.
    make: Any = typing_extensions.TypedDict
    shape = make("Input", fields)
    shape.__pydantic_config__ = {"extra": "allow" if open_ else "forbid"}
    return shape


def _adapt(annotation: Any, parts: Mapping[str, Any], place: str) -> TypeAdapter[Any]:
    """The adapter of `annotation`; where pydantic has none, the error names the one of `parts` that is to blame."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        try:
            # Within Any, pydantic would turn NaN into null unseen; so it stays NaN, and is refused as what it is.
            return TypeAdapter(annotation, config=ConfigDict(ser_json_inf_nan="constants"))
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise
            return TypeAdapter(annotation)  # models and their like have a configuration of their own
    except Exception as whole:  # building a schema runs foreign code, and pydantic raises many types
        for name, part in parts.items():
            try:
                TypeAdapter(part)
            except Exception as error:  # as above
                raise _no_schema(name, place, error) from None
        raise _no_schema(" and ".join(parts), place, whole) from None


def _no_schema(name: str, place: str, error: Exception) -> RegistrationError:
    subject = name if name == "the return type" else f"parameter {name!r}"
    return RegistrationError(
        f"the annotation of {subject} of {place} cannot be checked: {reason_of(error)}",
        hint="use types that pydantic knows, or give a JSON Schema",
    )


# --- output --------------------------------------------------------------------------------------

_ANYTHING = (UNKNOWN, Any, object, Never, NoReturn, JsonValue)


@dataclass(frozen=True, slots=True, eq=False)
class OutputSchema:
    """What a callable returns. Made by `of`."""

    _exact: type | None = None
    """A value of just this type needs no further check than being JSON. With an `_adapter` that decides on the
    others."""
    _adapter: TypeAdapter[Any] | None = None
    _given: _Given | None = None

    @classmethod
    def of(cls, annotation: Any = UNKNOWN, *, place: str = "it", schema: _JsonSchema | None = None) -> OutputSchema:
        """From a resolved return annotation, or from a JSON Schema that stands in its place.

        :raises RegistrationError: the annotation or the schema cannot be used
        :raises MissingPackage: a JSON Schema needs the `jsonschema` extra
        """
        if schema is not None:
            return cls(_given=_Given.of(schema, f"output_schema of {place}"))
        if _is_anything(annotation):
            return cls()
        if annotation is None or annotation is type(None):
            return cls(type(None))
        if (container := _open_container(annotation)) is not None:
            return cls(container)
        adapter = _adapt(annotation, {"the return type": annotation}, place)
        return cls(annotation if annotation in (bool, int, float, str) else None, adapter)

    def encode(self, value: object, *, what: str = "output") -> JsonText:
        """Canonical JSON text of what was returned.

        :raises InvalidOutput: it does not fit its annotation, or its serialisation fails
        :raises NotJson: it has a part that is not JSON
        :raises TooLarge:
        """
        if type(value) is self._exact:
            return NULL if value is None else dumps(value, what=what)
        if self._adapter is not None:
            return dumps(self._checked(self._adapter, value, what), what=what)
        if self._exact is not None and not _fits(value, self._exact):
            wanted = "an object" if self._exact is dict else "an array" if self._exact is list else "None"
            raise InvalidOutput(what, [f"{what}: should be {wanted}, not a {type(value).__qualname__}"])
        text = dumps(value, what=what)
        if self._given is not None and (details := _capped(self._given.complaints(loads(text), what))):
            raise InvalidOutput(what, details)
        return text

    def _checked(self, adapter: TypeAdapter[Any], value: object, what: str) -> object:
        try:
            checked = adapter.validator.validate_python(value, strict=True)
            return adapter.serializer.to_python(checked, mode="json", warnings="error")
        except Exception as error:  # a refusal; or else foreign code in serializers, or a value that contains itself
            raise InvalidOutput(what, _details(error, what, ())) from None

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the output; empty where everything is allowed."""
        if self._given is not None:
            return self._given.copy()
        if self._adapter is not None:
            return _described(self._adapter, "serialization")
        words = {dict: "object", list: "array", type(None): "null"}
        return {} if self._exact is None else {"type": words[self._exact]}


def _is_anything(annotation: Any) -> bool:
    return any(annotation is one for one in _ANYTHING)


def _open_container(annotation: Any) -> type | None:
    """dict or list where the annotation says no more than that."""
    origin = typing_extensions.get_origin(annotation) or annotation
    of = typing_extensions.get_args(annotation)
    if origin is dict or origin is Mapping:
        return dict if not of or (of[0] in (str, Any) and _is_anything(of[1])) else None
    if origin is list:
        return list if not of or _is_anything(of[0]) else None
    return None


def _fits(value: object, exact: type) -> bool:
    return isinstance(value, (list, tuple) if exact is list else exact)


# --- schemas given by hand -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """A JSON Schema from the user. References lead only into itself: nothing is ever fetched."""

    text: JsonText
    validator: Any

    @classmethod
    def of(cls, schema: _JsonSchema, what: str) -> _Given:
        try:
            jsonschema: Any = importlib.import_module("jsonschema")
            referencing: Any = importlib.import_module("referencing")
        except ImportError:
            raise MissingPackage(f"the {what}", "jsonschema") from None
        text = dumps(schema, what=what)
        plain = loads(text)
        kind = jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(plain)
        except jsonschema.SchemaError as error:
            raise RegistrationError(f"{what} is no JSON Schema: {error.message:.200} at {error.json_path}") from None
        return cls(text, kind(plain, registry=referencing.Registry()))

    def complaints(self, value: JsonValue, what: str) -> Iterator[str]:
        try:
            for error in self.validator.iter_errors(value):
                yield f"{_path(error.absolute_path) or what}: {error.message:.200}"
        except Exception as error:  # a reference that leads nowhere shows only here, in many types
            yield f"its JSON Schema cannot be used: {reason_of(error)}"

    def copy(self) -> dict[str, Any]:
        copied: Any = loads(self.text)
        return dict(copied)


# --- sentences -----------------------------------------------------------------------------------


def _details(error: Exception, what: str, names: Collection[str]) -> list[str]:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return [f"checking it raised {reason_of(error)}"]
    lines = []
    for one in error.errors(include_url=False, include_context=False):
        path = _path(one["loc"])
        if one["type"] == "missing":
            lines.append(f"{path} is missing")
        elif one["type"] == "extra_forbidden":
            lines.append(_unknown(path, names))
        else:
            found = f", not {_json_type(one['input'])}" if one["type"].endswith("_type") else ""
            lines.append(f"{path or what}: {one['msg']}{found}")
    return _capped(lines)


def _unknown(name: str, names: Collection[str]) -> str:
    near = did_you_mean(name, names)
    return f"{name} is unknown" + (f", {near}" if near else "")


def _capped(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return found if len(found) <= MAX_DETAILS else [*found[:MAX_DETAILS], f"and {len(found) - MAX_DETAILS} more"]


def _path(parts: Iterable[object]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _json_type(value: object) -> str:
    # The type alone: the value may be a secret, and errors are stored and shown.
    words = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    other = "a number" if isinstance(value, (int, float)) else f"a {type(value).__qualname__}"
    return words.get(type(value), other)


def _described(adapter: TypeAdapter[Any], mode: typing.Literal["validation", "serialization"]) -> dict[str, Any]:
    try:
        return adapter.json_schema(mode=mode)
    except Exception:  # types that are checked but have no JSON Schema: anything may come
        return {}
