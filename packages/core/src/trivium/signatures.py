"""What a callable asks for and returns: its parameters and its return annotation, resolved.

Whether pydantic can check the types, and how, is the matter of `trivium.schemas`.
"""

from __future__ import annotations

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typing_extensions

from trivium.errors import RegistrationError
from trivium.foreign import reason_of
from trivium.json import JsonValue

UNKNOWN = inspect.Parameter.empty
"""The annotation of what has none."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that is given by name; `annotation` is resolved."""

    name: str
    annotation: Any
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What can be asked of a callable: its parameters, what `**kwargs` takes (None: there are none), what it
    returns."""

    place: str
    parameters: tuple[Parameter, ...]
    extra: Any
    returns: Any

    @classmethod
    def of(cls, function: Callable[..., Any], *, known: Mapping[str, object] | None = None) -> Signature:
        """Read a signature. `known` names types that annotations may mention although their module does not import them
        at run time.

        :raises RegistrationError: it cannot be called by names alone, or an annotation cannot be resolved
        """
        from pydantic.fields import FieldInfo

        place = place_of(function)
        try:
            raw = inspect.signature(function)
        except NameError as error:  # from Python 3.14 on annotations are evaluated here
            raise _unresolved(place, "an annotation", error) from None
        except (TypeError, ValueError):
            raise RegistrationError(
                f"{place} has no signature that can be read", hint="wrap it in a function"
            ) from None
        names = {**(known or {}), **getattr(underlying(function), "__globals__", {})}
        names.setdefault("JsonValue", Any)  # it refers to itself by name
        if names["JsonValue"] is JsonValue:
            names["JsonValue"] = Any
        parameters: list[Parameter] = []
        extra = None
        for one in raw.parameters.values():
            subject = f"parameter {one.name!r}"
            if one.kind is inspect.Parameter.POSITIONAL_ONLY:
                raise RegistrationError(
                    f"{subject} of {place} is positional-only, and inputs have names", hint="drop the `/`"
                )
            if one.kind is inspect.Parameter.VAR_POSITIONAL:
                raise RegistrationError(
                    f"{place} takes *{one.name}, and inputs have names", hint="take a list, or **kwargs"
                )
            annotation = _resolve(one.annotation, names, place, subject)
            if one.kind is inspect.Parameter.VAR_KEYWORD:
                if typing_extensions.get_origin(annotation) in (typing.Unpack, typing_extensions.Unpack):
                    raise RegistrationError(f"{subject} of {place} is unpacked", hint="name the parameters")
                extra = annotation
                continue
            if isinstance(one.default, FieldInfo):
                raise RegistrationError(
                    f"the default of {subject} of {place} is a pydantic Field",
                    hint="write Annotated[type, Field(...)]: a plain call would get the Field itself",
                )
            parameters.append(Parameter(one.name, annotation, one.default is one.empty, one.default))
        returns = UNKNOWN if raw.return_annotation is raw.empty else raw.return_annotation
        if returns is not UNKNOWN:
            returns = _resolve(returns, names, place, "the return type")
        return cls(place, tuple(parameters), extra, returns)


def place_of(function: Callable[..., Any]) -> str:
    """Where a callable is written, for messages: `shop.price (shop.py:12)`."""
    inner = underlying(function)
    name = f"{getattr(inner, '__module__', None)}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
    code = getattr(inner, "__code__", None)
    return f"{name} ({_near(code.co_filename)}:{code.co_firstlineno})" if code is not None else name


def _near(file: str) -> str:
    try:
        path = os.path.relpath(file)
    except (OSError, ValueError):  # the working directory is gone, or on another drive
        return file
    return file if path.startswith(os.pardir) else path


def underlying(function: Callable[..., Any]) -> Any:
    """The plain function under wrappers, partials, methods and callable instances, as far as there is one."""
    inner: Any = function
    for _ in range(100):  # a wrapper may lead back to itself
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif isinstance(inner, types.MethodType):
            inner = inner.__func__
        elif isinstance(inner, types.FunctionType):
            if not hasattr(inner, "__wrapped__"):
                break
            inner = inner.__wrapped__
        elif isinstance(call := type(inner).__call__, types.FunctionType):
            inner = call
        else:
            break
    return inner


def _resolve(annotation: Any, names: dict[str, Any], place: str, subject: str) -> Any:
    if annotation is UNKNOWN or annotation is JsonValue:
        return Any
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing_extensions.get_type_hints(holder, names, names, include_extras=True)["it"]
    except NameError as error:
        raise _unresolved(place, subject, error) from None
    except Exception as error:  # annotations are foreign code: evaluating them may raise anything
        raise RegistrationError(f"the annotation of {subject} of {place} is wrong: {reason_of(error)}") from None


def _unresolved(place: str, subject: str, error: NameError) -> RegistrationError:
    return RegistrationError(
        f"{subject} of {place} is annotated with {error.name or str(error)!r}, which is not defined in its module",
        hint="import it at run time, not under TYPE_CHECKING, and not inside a function",
    )
