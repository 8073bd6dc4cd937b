"""Actions by name: the decorator that marks functions, and the registry that finds them in modules.

A marked function stays what it was; the mark holds what was declared. An `Action` is the function with everything
that is needed to call it as a step: worked out once, when it is registered. How it is called is the executors' matter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Literal, TypeVar, overload

from trivium.errors import ConfigError, NotFound, RegistrationError
from trivium.loading import load_module
from trivium.model.context import StepContext
from trivium.model.policies import NO_RETRY, Delivery, Duration, Overlap, Retry, seconds
from trivium.schemas import InputSchema, OutputSchema
from trivium.signatures import Signature, place_of, underlying
from trivium.suggestions import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])

INLINE = "inline"
THREAD = "thread"
MAX_NAME = 200

_MARK = "__trivium_action__"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """What was declared about an action; absent parts are worked out when it is registered."""

    name: str | None = None
    description: str | None = None
    retry: Retry = NO_RETRY
    timeout: float | None = None
    """Seconds, of one attempt."""
    total_timeout: float | None = None
    """Seconds, of the step: all attempts with the delays between them."""
    executor: str | None = None
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    overlap: Overlap = Overlap.FORBID
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None


NO_SPEC = ActionSpec()


@overload
def action(function: F, /) -> F: ...
@overload
def action(
    *,
    name: str | None = None,
    description: str | None = None,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    executor: str | None = None,
    delivery: Delivery | Literal["at_least_once", "at_most_once"] = Delivery.AT_LEAST_ONCE,
    overlap: Overlap | Literal["forbid", "allow"] = Overlap.FORBID,
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
) -> Callable[[F], F]: ...
def action(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    executor: str | None = None,
    delivery: Delivery | str = Delivery.AT_LEAST_ONCE,
    overlap: Overlap | str = Overlap.FORBID,
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
) -> Any:
    """Mark a function as an action, as `@action` or `@action(...)`. The function itself is returned, unchanged.

    :param name: what flows call it; the function's name if absent
    :param description: for people and agents; the docstring's first paragraph if absent
    :param timeout: of one attempt; `total_timeout` is that of all attempts and the delays between them
    :param executor: `inline` (on the event loop), `thread`, or one that a plugin brings; absent: inline for `async
    def`,
        thread for `def`
    :param overlap: whether a retry may begin while the thread of an attempt that timed out still runs
    :param input_schema: JSON Schema in place of the type hints; so `output_schema`

    :raises ConfigError: a duration or a word that cannot be used
    :raises RegistrationError: it is no function, or carries a mark already
    """
    if retry is not None and not isinstance(retry, Retry):
        raise ConfigError(f"retry is a {type(retry).__name__}", hint="give Retry(max_attempts=...)")
    spec = ActionSpec(
        name=None if name is None else _checked_name(name),
        description=description,
        retry=retry or NO_RETRY,
        timeout=_checked_timeout("timeout", timeout),
        total_timeout=_checked_timeout("total_timeout", total_timeout),
        executor=executor,
        delivery=_word(Delivery, "delivery", delivery),
        overlap=_word(Overlap, "overlap", overlap),
        input_schema=input_schema,
        output_schema=output_schema,
    )

    def mark(function: F) -> F:
        if isinstance(function, type) or not callable(function):
            raise RegistrationError(f"@action is on {function!r:.80}", hint="put it on a function")
        if _MARK in getattr(function, "__dict__", {}) and not hasattr(function, "__wrapped__"):
            raise RegistrationError(f"{place_of(function)} carries @action twice", hint="keep one of them")
        try:
            setattr(function, _MARK, spec)
        except AttributeError:  # bound methods, builtins
            raise RegistrationError(
                f"{place_of(function)} cannot carry a mark", hint="register it: registry.register(function, name=...)"
            ) from None
        return function

    return mark if function is None else mark(function)


def spec_of(function: object) -> ActionSpec | None:
    """What `@action` noted on a function; None for everything else."""
    found = inspect.getattr_static(function, _MARK, None)  # static: modules hold objects that answer to any name
    return found if isinstance(found, ActionSpec) and not isinstance(function, type) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Action:
    """A callable that can be a step. Made by `of`; equal to itself alone, whatever its function says of equality."""

    name: str
    function: Callable[..., Any]
    is_async: bool
    executor: str
    retry: Retry
    timeout: float | None
    total_timeout: float | None
    delivery: Delivery
    overlap: Overlap
    description: str
    module: str
    place: str
    """Where it is written, for messages."""
    context_parameter: str | None
    """The parameter that gets the `StepContext`."""
    input: InputSchema = field(repr=False)
    output: OutputSchema = field(repr=False)

    @classmethod
    def of(cls, function: Callable[..., Any], *, name: str | None = None, spec: ActionSpec | None = None) -> Action:
        """Work out everything about a callable. `name` overrules the mark's; `spec` stands in for a mark.

        :raises RegistrationError: it cannot be an action, and why
        :raises MissingPackage: it has a JSON Schema, and the `jsonschema` extra is not installed
        """
        if isinstance(function, type) or not callable(function):
            raise RegistrationError(f"{function!r:.80} cannot be an action", hint="register a function")
        place = place_of(function)
        spec = spec or spec_of(function) or NO_SPEC
        inner = underlying(function)
        if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
            raise RegistrationError(
                f"{place} is a generator", hint="return a list, or write to a file and return its path"
            )
        is_async = any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))
        executor = spec.executor or (INLINE if is_async else THREAD)
        if is_async and executor == THREAD:
            raise RegistrationError(f"{place} is async and asks for a thread", hint="drop executor=, or write `def`")
        signature = Signature.of(function, known={"StepContext": StepContext})
        context = [one.name for one in signature.parameters if one.annotation in (StepContext, StepContext | None)]
        if len(context) > 1:
            raise RegistrationError(f"{place} asks for the StepContext twice: {', '.join(context)}", hint="ask once")
        return cls(
            name=_checked_name(name or spec.name or _own_name(function, place)),
            function=function,
            is_async=is_async,
            executor=executor,
            retry=spec.retry,
            timeout=spec.timeout,
            total_timeout=spec.total_timeout,
            delivery=spec.delivery,
            overlap=spec.overlap,
            description=_first_paragraph(inner) if spec.description is None else spec.description,
            module=str(getattr(inner, "__module__", "")),
            place=place,
            context_parameter=context[0] if context else None,
            input=InputSchema.of(signature, skip=context, schema=spec.input_schema),
            output=OutputSchema.of(signature.returns, place=place, schema=spec.output_schema),
        )


class Registry:
    """What is known by name. Filled before a worker starts; reading is safe from all threads."""

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}

    def register(self, target: Callable[..., Any] | Action, *, name: str | None = None) -> Action:
        """Add a callable, marked or not, or an action. Registering the same function again changes nothing.

        :raises RegistrationError: it cannot be an action, or another function has the name
        """
        new = target if isinstance(target, Action) else Action.of(target, name=name)
        old = self._actions.setdefault(new.name, new)
        if old is not new and not _is_same(old.function, new.function):
            raise RegistrationError(
                f"two actions are called {new.name!r}: {old.place} and {new.place}",
                hint="give one of them another name: @action(name=...)",
            )
        return old

    def action(self, wanted: str | Callable[..., Any]) -> Action:
        """The action of that name, or of that function.

        :raises NotFound:
        """
        if isinstance(wanted, str):
            found = self._actions.get(wanted)
            if found is not None:
                return found
            near = did_you_mean(wanted, self._actions)
            raise NotFound("action", wanted, hint=f"{near + ' ' if near else ''}load its module with -m MODULE")
        spec = spec_of(wanted)
        name = spec.name if spec is not None and spec.name is not None else getattr(wanted, "__name__", "")
        found = self._actions.get(name)
        if found is not None and _is_same(found.function, wanted):
            return found
        for found in self._actions.values():
            if _is_same(found.function, wanted):
                return found
        raise NotFound("action", place_of(wanted), hint="register it, or load its module with -m MODULE")

    def has_action(self, name: str) -> bool:
        """Whether an action has that name."""
        return name in self._actions

    def action_names(self) -> Sequence[str]:
        """All names, sorted."""
        return sorted(self._actions)

    def discover(self, module: ModuleType) -> Sequence[Action]:
        """Register every marked function that the module defines or imports, in the order of the module."""
        return [self.register(found) for found in list(vars(module).values()) if spec_of(found) is not None]

    def load(self, reference: str | Path, *, folder: Path | None = None) -> ModuleType:
        """Import a module (`package.module` or `path/to/file.py`, relative to `folder`) and register what is marked in
        it.

        :raises NotFound: there is no such module or file
        :raises ConfigError: importing it failed: why, and where
        """
        module = load_module(reference, folder=folder)
        self.discover(module)
        return module


def _is_same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    if one is other:
        return True
    if inspect.ismethod(one) or inspect.ismethod(other):
        return inspect.ismethod(one) and inspect.ismethod(other) and one == other
    first, second = getattr(one, "__code__", None), getattr(other, "__code__", None)
    if first is None or second is None:
        return False
    # A file that was imported under two module names makes two functions of one text. Those made inside a function are
    # different each time, for all that they have the same text.
    return "<" not in first.co_qualname and _written_at(first) == _written_at(second)


def _written_at(code: CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _own_name(function: Callable[..., Any], place: str) -> str:
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise RegistrationError(f"{place} has no name of its own", hint="give one: name=...")
    return name


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name or len(name) > MAX_NAME or not name.isprintable() or " " in name:
        raise RegistrationError(
            f"{name!r:.80} cannot be an action's name", hint=f"use at most {MAX_NAME} printable characters, no spaces"
        )
    return str(name)


def _checked_timeout(what: str, given: Duration | None) -> float | None:
    if given is None:
        return None
    found = seconds(given, what=what)
    if found == 0.0:
        raise ConfigError(f"{what} is 0", hint="leave it out for no limit")
    return found


W = TypeVar("W", Delivery, Overlap)


def _word(words: type[W], what: str, given: str) -> W:
    try:
        return words(given)
    except ValueError:
        raise ConfigError(f"{what} is {given!r:.80}", hint="give one of " + ", ".join(words)) from None


def _first_paragraph(function: object) -> str:
    paragraph = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())
