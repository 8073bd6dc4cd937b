"""The Dagger dialect: a file with `nodes` that name an `action`, to the same `Flow`.

A node's output is an object of its declared outputs. `failure` names a function that is not called, which is a warning;
keys that mean nothing here (`author`, `signature`) are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trivium.json import JsonValue
from trivium.model.policies import Backoff, Retry
from trivium_dag import problems as codes
from trivium_dag.analysis import Link, Sketch
from trivium_dag.definition import Flow, Step
from trivium_dag.fields import MAX_NAME, Fields
from trivium_dag.inputs import type_of
from trivium_dag.problems import Path, Problems, listed
from trivium_dag.references import to_output

FLOW_KEYS: Final = frozenset({"name", "description", "author", "version", "signature", "tags", "nodes"})
NODE_KEYS: Final = frozenset(
    {
        "id", "dependencies", "inputs", "outputs", "action", "failure", "onfailure", "description", "timeout",
        "try_count",
    }
)  # fmt: skip
DEFAULT_OUTPUT: Final = "output"
"""The name of what a node returns that declares no output."""


def is_dagger(top: Mapping[str, JsonValue]) -> bool:
    """By its shape: nodes of other dialects have a `kind` or a `function` in place of an `action`."""
    nodes = top.get("nodes")
    if "edges" in top or not isinstance(nodes, Sequence) or isinstance(nodes, str):
        return False
    found = [node for node in nodes if isinstance(node, Mapping)]
    return not any("kind" in node or "function" in node for node in found) or any("action" in node for node in found)


def read_dagger(top: Mapping[str, JsonValue], default_name: str, problems: Problems) -> tuple[Flow, Sketch]:
    """The flow, and the sketch of its graph; good for nothing if `problems` has errors then."""
    fields = Fields(problems, top, (), "the flow")
    _warn_of_keys(fields, FLOW_KEYS)
    entries = fields.sequence("nodes")
    if not entries:
        fields.missing("nodes", ": a flow has at least one")
    sketch = Sketch()
    outputs_of = _declared_outputs(entries)
    steps = []
    for index, entry in enumerate(entries):
        path: Path = ("nodes", index)
        if isinstance(entry, Mapping):
            node = Fields(problems, entry, path, f"node {index + 1}")
            steps.append(_read_node(node, index, sketch, outputs_of))
        else:
            problems.error(codes.WRONG_VALUE, f"a node must be a mapping, not {type_of(entry)}", path)
            sketch.steps.append(("", path))
        if problems.full:
            break
    version = top.get("version")
    flow = Flow(
        name=fields.name("name") or default_name,
        steps=tuple(steps),
        inputs={name: {} for name, _ in sketch.inputs},
        outputs={step.id: to_output(step.id) for step in steps if step.id},
        version=str(version) if isinstance(version, (int, float)) else fields.text("version"),
        description=fields.text("description"),
        tags=tuple(name for name, _ in fields.names("tags")),
    )
    return flow, sketch


def _declared_outputs(entries: Sequence[JsonValue]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            outputs = entry.get("outputs")
            items = outputs if isinstance(outputs, Sequence) and not isinstance(outputs, str) else ()
            names = [str(item["name"]) for item in items if isinstance(item, Mapping) and "name" in item]
            found.setdefault(str(entry["id"]), names or [DEFAULT_OUTPUT])
    return found


def _read_node(fields: Fields, index: int, sketch: Sketch, outputs_of: Mapping[str, Sequence[str]]) -> Step:
    problems, value, path = fields.problems, fields.value, fields.path
    name = _checked_name(fields, "id")
    if name:
        fields.what = f"node {name!r}"
    sketch.steps.append((name, (*path, "id") if "id" in value else path))
    _warn_of_keys(fields, NODE_KEYS)
    action = fields.name("action")
    if action:
        sketch.actions.append((action, (*path, "action")))
    elif value.get("action") is None:
        fields.missing("action")
    needs = []
    for need, place in fields.names("dependencies"):
        needs.append(need)
        sketch.links.append(Link(index, need, place))
    arguments: dict[str, JsonValue] = {}
    for entry in _named(fields, "inputs"):
        argument = entry.text("name")
        if argument in arguments:
            problems.error(codes.DUPLICATE_ID, f"a second input is called {argument!r:.60}", (*entry.path, "name"))
        arguments[argument] = _read_reference(entry, index, sketch, outputs_of)
    outputs = [entry.text("name") for entry in _named(fields, "outputs")]
    _warn_of_failure(fields)
    return Step(
        id=name,
        uses=action,
        arguments=arguments,
        needs=tuple(dict.fromkeys(needs)),
        retry=_read_retry(fields),
        timeout=fields.duration("timeout"),
        description=fields.text("description"),
        outputs=tuple(dict.fromkeys(outputs)) or (DEFAULT_OUTPUT,),
    )


def _named(fields: Fields, key: str) -> list[Fields]:
    """The entries of a list of mappings with a `name`; a bare name stands for one."""
    found = []
    for index, item in enumerate(fields.sequence(key)):
        path = (*fields.path, key, index)
        what = f"entry {index + 1} of {key!r} of {fields.what}"
        if isinstance(item, str):
            item = {"name": item}
        if not isinstance(item, Mapping):
            message = f"{what} must be a mapping with a 'name', not {type_of(item)}"
            fields.problems.error(codes.WRONG_VALUE, message, path)
            continue
        entry = Fields(fields.problems, item, path, what)
        if _checked_name(entry, "name"):
            found.append(entry)
    return found


def _checked_name(fields: Fields, key: str) -> str:
    """A name that a reference can spell."""
    text = fields.name(key)
    if not text:
        if fields.value.get(key) in (None, ""):
            fields.missing(key)
        return ""
    if any(character in "\"'\\{}" for character in text):
        message = f"{text!r:.60} cannot be a name: quotes, backslashes and braces cannot stand in it"
        fields.problems.error(codes.BAD_ID, message, (*fields.path, key))
        return ""
    return text


def _read_reference(entry: Fields, index: int, sketch: Sketch, outputs_of: Mapping[str, Sequence[str]]) -> JsonValue:
    """The template of `inputs.x` or `node.output`."""
    text = entry.text("reference").strip()
    place = (*entry.path, "reference")
    if not text:
        if entry.value.get("reference") in (None, ""):
            entry.missing("reference")
        return None
    owner, dot, inner = text.rpartition(".")
    if owner == "inputs" and inner.isidentifier() and len(inner) <= MAX_NAME:
        sketch.inputs.append((inner, place))
        return f"${{{{ inputs.{inner} }}}}" if inner.isascii() else f'${{{{ inputs["{inner}"] }}}}'
    if not dot or not owner or not inner:
        message = f"{text!r:.60} is no reference; write inputs.NAME or NODE.OUTPUT"
        entry.problems.error(codes.BAD_REFERENCE, message, place)
        return None
    if owner not in outputs_of:
        sketch.links.append(Link(index, owner, place))  # reported with all that lead nowhere
        return None
    if inner not in outputs_of[owner]:
        near = entry.problems.did_you_mean(inner, outputs_of[owner])
        message = f"node {owner!r:.60} has no output {inner!r:.60} (it has {listed(outputs_of[owner])}){near}"
        entry.problems.error(codes.UNKNOWN_OUTPUT, message, place)
        return None
    sketch.links.append(Link(index, owner, place))
    return to_output(owner, inner)


def _read_retry(fields: Fields) -> Retry | None:
    """A node without `try_count` keeps the policy of its action. The dialect has no delays, so there are none."""
    on_failure = fields.value.get("onfailure")
    if on_failure is not None and not isinstance(on_failure, bool):
        fields.wrong("onfailure", "true or false")
    count = fields.count("try_count")
    if on_failure is False:
        count = 1
    return None if count is None else Retry(max_attempts=count, backoff=Backoff.FIXED, initial=0.0, jitter=False)


def _warn_of_failure(fields: Fields) -> None:
    name = fields.text("failure")
    if name:
        message = (
            f"the failure function {name!r:.60} of {fields.what} is not called; the step's error tells what failed"
        )
        fields.problems.warning(codes.FAILURE_FUNCTION, message, (*fields.path, "failure"))


def _warn_of_keys(fields: Fields, known: frozenset[str]) -> None:
    """A foreign file may say more than we know of its format: it loads, and says so."""
    for key in fields.value:
        if key not in known:
            near = fields.problems.did_you_mean(key, known)
            message = f"{fields.what} has a key {key!r:.60} that means nothing here{near}"
            fields.problems.warning(codes.IGNORED_KEY, message, (*fields.path, key), key=True)
