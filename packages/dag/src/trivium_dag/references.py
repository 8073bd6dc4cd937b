"""References: `${{ steps.a.output.b[0].c }}` and its kin, parsed once, checked at load, resolved in each run.

This version knows plain paths, from `inputs`, `steps.ID.output` and `run.id`. A reference alone in a text keeps the
type of what it leads to; among other text it is written as text. Which steps and inputs exist, `analysis` checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from trivium.errors import TriviumError
from trivium.json import JsonValue, dumps
from trivium_dag.problems import BAD_REFERENCE, EXPRESSION, NOT_SUPPORTED, Path, did_you_mean


class Root(StrEnum):
    """Where a path begins."""

    INPUTS = "inputs"
    STEPS = "steps"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Reference:
    """One path. `name` is the input's or the step's, `path` goes on from there: behind `output`, for a step."""

    root: Root
    name: str | None
    path: tuple[str | int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """Text with references in it."""

    parts: tuple[str | Reference, ...]


class BadReference(Exception):
    """What stands between `${{` and `}}` is no reference. `code` is the problem's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnresolvedReference(TriviumError):
    """A reference leads to nothing in what the steps of this run gave."""

    code = "TRV-4101"

    def __init__(self, reference: str, why: str) -> None:
        self.reference, self.why = reference, why
        super().__init__(
            f"${{{{ {reference} }}}} leads to nothing: {why}", hint="look at what that step gave: trivium runs show RUN"
        )


@dataclass(slots=True)
class Scope:
    """What references see of a run."""

    inputs: Mapping[str, JsonValue]
    outputs: Mapping[str, JsonValue]
    """Of the steps that have completed, by id."""
    run_id: str


Resolver: TypeAlias = Callable[[Scope], JsonValue]

# --- parsing -------------------------------------------------------------------------------------

_OPEN: Final = "${{"
_STOP: Final = re.compile(r"""["']|\}\}""")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART: Final = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]{1,9})\]|\["([^"\\]*)"\]|\['([^'\\]*)'\]""")
_LATER: Final = frozenset({"item", "index", "output", "lap", "failed", "always", "loop"})


def parse(text: str) -> str | Reference | Template:
    """The text itself where it has no reference; the reference where it is one; a template where it has some.

    :raises BadReference: there is one that cannot be
    """
    start = text.find(_OPEN)
    if start < 0:
        return text
    parts: list[str | Reference] = []
    at = 0
    while start >= 0:
        end = _end_of(text, start + len(_OPEN))
        if start > at:
            parts.append(text[at:start])
        parts.append(parse_path(text[start + len(_OPEN) : end].strip()))
        at = end + 2
        start = text.find(_OPEN, at)
    if at < len(text):
        parts.append(text[at:])
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return parts[0]
    return Template(tuple(parts))


def _end_of(text: str, at: int) -> int:
    """Where the `}}` of an expression stands; quoted ones are passed over."""
    while found := _STOP.search(text, at):
        if found[0] == "}}":
            return found.start()
        closing = text.find(found[0], found.end())
        if closing < 0:
            break
        at = closing + 1
    raise BadReference(BAD_REFERENCE, "a ${{ is not closed by }}")


def parse_path(text: str) -> Reference:
    """The reference that `text`, what stands within the braces, is.

    :raises BadReference: it is none
    """
    start = _NAME.match(text)
    if start is None:
        if not text:
            raise BadReference(BAD_REFERENCE, "an empty ${{ }}")
        raise BadReference(EXPRESSION, _beyond(text))
    path: list[str | int] = []
    at = start.end()
    while part := _PART.match(text, at):
        name, index, double, single = part.groups()
        path.append(int(index) if index is not None else next(x for x in (name, double, single) if x is not None))
        at = part.end()
    if at < len(text) or start[0] in ("true", "false", "null"):
        raise BadReference(EXPRESSION, _beyond(text))
    return _rooted(start[0], path, text)


def _beyond(text: str) -> str:
    return f"{text!r:.60} is more than a path like steps.ID.output.key; expressions are not supported by this version"


def _rooted(root: str, path: list[str | int], text: str) -> Reference:
    match root:
        case "inputs":
            if not path:
                return Reference(Root.INPUTS, None, (), text)
            if isinstance(path[0], str):
                return Reference(Root.INPUTS, path[0], tuple(path[1:]), text)
            raise BadReference(BAD_REFERENCE, f"{text!r:.60}: inputs have names, not numbers")
        case "steps":
            if not path or not isinstance(path[0], str):
                raise BadReference(BAD_REFERENCE, f"{text!r:.60} names no step; write steps.ID.output")
            if len(path) == 1 or path[1] != "output":
                near = did_you_mean(str(path[1]), ["output"]) if len(path) > 1 else ""
                raise BadReference(
                    BAD_REFERENCE,
                    f"{text!r:.60}: of a step, only its output can be had: {_spelled(path[0])}.output{near}",
                )
            return Reference(Root.STEPS, path[0], tuple(path[2:]), text)
        case "run":
            if path != ["id"]:
                raise BadReference(BAD_REFERENCE, f"{text!r:.60}: of the run, only run.id can be had")
            return Reference(Root.RUN, "id", (), text)
        case _ if root in _LATER:
            raise BadReference(NOT_SUPPORTED, f"{root!r} is not supported by this version")
        case _:
            near = did_you_mean(root, list(Root))
            raise BadReference(BAD_REFERENCE, f"{text!r:.60} begins with none of inputs, steps and run{near}")


def _spelled(step: str) -> str:
    return f"steps.{step}" if _NAME.fullmatch(step) else f'steps["{step}"]'


def to_output(step: str, *path: str) -> str:
    """The reference, braces included, to a step's output or to what `path` leads to in it. The names may have anything
    but quotes and backslashes."""
    inner = "".join(f".{part}" if _NAME.fullmatch(part) else f'["{part}"]' for part in path)
    return f"${{{{ {_spelled(step)}.output{inner} }}}}"


def texts(value: JsonValue, path: Path = ()) -> Iterator[tuple[str, Path]]:
    """Every text in `value` that has a `${{`, with its place."""
    if isinstance(value, str):
        if _OPEN in value:
            yield value, path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from texts(item, (*path, index))


def steps_in(value: JsonValue) -> Iterator[str]:
    """The steps that `value`, which was checked, refers to."""
    for text, _ in texts(value):
        for reference in references(parse(text)):
            if reference.root is Root.STEPS and reference.name is not None:
                yield reference.name


def references(parsed: str | Reference | Template) -> Sequence[Reference]:
    """Those in what `parse` returned."""
    if isinstance(parsed, Reference):
        return (parsed,)
    if isinstance(parsed, Template):
        return [part for part in parsed.parts if isinstance(part, Reference)]
    return ()


# --- resolving -----------------------------------------------------------------------------------


def compile_value(value: JsonValue) -> Resolver:
    """A function that gives `value` with every reference resolved. What it gives shares containers with the outputs
    that it refers to: it is to be encoded, not to be changed.

    :raises BadReference: from a text that was not checked
    """
    if isinstance(value, str):
        parsed = parse(value)
        if isinstance(parsed, Reference):
            return _compile_reference(parsed)
        if isinstance(parsed, Template):
            return _compile_template(parsed)
        return lambda scope: parsed
    if isinstance(value, Mapping):
        items = [(key, compile_value(item)) for key, item in value.items()]
        return lambda scope: {key: resolve(scope) for key, resolve in items}
    if isinstance(value, Sequence):
        parts = [compile_value(item) for item in value]
        return lambda scope: [resolve(scope) for resolve in parts]
    return lambda scope: value


def compile_input(arguments: Mapping[str, JsonValue]) -> Callable[[Scope], dict[str, JsonValue]]:
    """As `compile_value`, for a step's arguments. Those of most steps are few and without nesting, so this is made to
    cost little for them: each argument that is no reference is copied, not called."""
    if not arguments:
        return _no_arguments
    fixed = {key: item for key, item in arguments.items() if _is_fixed(item)}
    if len(fixed) == len(arguments):
        return lambda scope: dict(fixed)
    moving = [(key, compile_value(item)) for key, item in arguments.items() if key not in fixed]

    def resolve(scope: Scope) -> dict[str, JsonValue]:
        found = dict(fixed)
        for key, resolver in moving:
            found[key] = resolver(scope)
        return found

    return resolve


def _no_arguments(scope: Scope) -> dict[str, JsonValue]:
    return {}


def _is_fixed(value: JsonValue) -> bool:
    return _OPEN not in value if isinstance(value, str) else not isinstance(value, (Mapping, Sequence))


def _compile_template(template: Template) -> Resolver:
    parts = [part if isinstance(part, str) else _compile_reference(part) for part in template.parts]
    return lambda scope: "".join(part if isinstance(part, str) else as_text(part(scope)) for part in parts)


def as_text(value: JsonValue) -> str:
    """How a value is written among other text: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else dumps(value)


def _compile_reference(reference: Reference) -> Resolver:
    name, path, text = reference.name, reference.path, reference.text
    if reference.root is Root.RUN:
        return lambda scope: scope.run_id
    of_inputs = reference.root is Root.INPUTS

    def resolve(scope: Scope) -> JsonValue:
        value: JsonValue
        if name is None:
            value = scope.inputs
        else:
            known = scope.inputs if of_inputs else scope.outputs
            if name not in known:
                raise UnresolvedReference(text, f"there is no {'input' if of_inputs else 'output of step'} {name!r}")
            value = known[name]
        for depth, part in enumerate(path):
            value = _descend(value, part, reference, depth)
        return value

    return resolve


def _descend(value: JsonValue, part: str | int, reference: Reference, depth: int) -> JsonValue:
    if isinstance(value, Mapping):
        if isinstance(part, str) and part in value:
            return value[part]
        why = f"has no {part!r}{did_you_mean(str(part), list(value))}"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if isinstance(part, int) and part < len(value):
            return value[part]
        why = f"is a list of {len(value)}"
    else:
        why = f"is {dumps(value):.60}"
    so_far = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in reference.path[:depth])
    begin = f"inputs.{reference.name}" if reference.root is Root.INPUTS else f"the output of {reference.name!r}"
    raise UnresolvedReference(reference.text, f"{begin}{so_far} {why}")
