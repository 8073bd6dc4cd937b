"""The native format: a file with `trivium: 1` and `steps`, to a `Flow`.

All problems are noted, none is raised. Keys that the format has and this version does not carry out are refused by
themselves, so that nobody takes them for misspelt, and no flow runs without what it says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from trivium.errors import ConfigError
from trivium.json import JsonValue
from trivium.model.policies import Backoff, Retry
from trivium_dag import problems as codes
from trivium_dag.analysis import Link, Sketch, check_inputs
from trivium_dag.definition import FORMAT, Flow, Step
from trivium_dag.fields import MAX_NAME, Fields
from trivium_dag.inputs import OTHER_NAMES, TYPES, type_of, violations
from trivium_dag.problems import Path, Problems

FLOW_KEYS: Final = (
    "trivium", "name", "version", "description", "tags", "inputs", "steps", "outputs", "timeout", "max_parallel",
)  # fmt: skip
FLOW_KEYS_LATER: Final = ("on_failure", "finally", "concurrency", "budget", "triggers")
STEP_KEYS: Final = (
    "id", "uses", "with", "needs", "retry", "timeout", "total_timeout", "name", "description",
)  # fmt: skip
STEP_KEYS_LATER: Final = (
    "if", "agent", "flow", "publish", "sleep", "sleep_until", "wait_for", "approve", "for_each", "max_parallel",
    "repeat", "compensate", "cache", "idempotency_key", "queue", "executor", "on_failure", "on_reject", "on_timeout",
    "priority",
)  # fmt: skip
FORMS_LATER: Final = ("agent", "flow", "publish", "sleep", "sleep_until", "wait_for", "approve")
"""What may stand in place of `uses`."""
RETRY_KEYS: Final = ("max_attempts", "backoff", "initial", "maximum", "jitter", "on", "never")
INPUT_KEYS: Final = (
    "type", "default", "required", "description", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "items", "title", "examples",
)  # fmt: skip
INPUT_KEYS_LATER: Final = (
    "secret", "format", "pattern", "properties", "additionalProperties", "const", "anyOf", "oneOf", "allOf", "not",
    "$ref", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "prefixItems",
    "patternProperties", "schema",
)  # fmt: skip

_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_native(top: Mapping[str, JsonValue]) -> bool:
    """By its shape."""
    return "trivium" in top or "steps" in top


def read_native(top: Mapping[str, JsonValue], default_name: str, problems: Problems) -> tuple[Flow, Sketch]:
    """The flow, and the sketch of its graph; good for nothing if `problems` has errors then."""
    fields = Fields(problems, top, (), "the flow")
    _check_format(fields)
    fields.check_keys(FLOW_KEYS, FLOW_KEYS_LATER)
    sketch = Sketch()
    declarations = _declarations(fields)
    inputs = {
        name: schema
        for name, declared, path in declarations
        if (schema := _read_input(name, declared, path, problems)) is not None
    }
    steps = []
    entries = fields.sequence("steps")
    if not entries and isinstance(top.get("steps"), (list, type(None))):
        fields.missing("steps", ": a flow has at least one")
    for index, entry in enumerate(entries):
        path: Path = ("steps", index)
        if isinstance(entry, Mapping):
            steps.append(_read_step(Fields(problems, entry, path, f"step {index + 1}"), index, sketch))
        else:
            problems.error(codes.WRONG_VALUE, f"a step must be a mapping, not {type_of(entry)}", path)
            sketch.steps.append(("", path))
        if problems.full:
            break
    outputs = fields.mapping("outputs") if top.get("outputs") is not None else None
    if outputs is not None:
        _check_literals(outputs, ("outputs",), problems)
        sketch.add_references(outputs, ("outputs",), None, problems)
    check_inputs(sketch, [name for name, _, _ in declarations], problems)
    flow = Flow(
        name=fields.name("name") or default_name,
        steps=tuple(steps),
        inputs=inputs,
        outputs=outputs,
        version=fields.version("version"),
        description=fields.text("description"),
        tags=tuple(name for name, _ in fields.names("tags")),
        timeout=fields.duration("timeout"),
        max_parallel=fields.count("max_parallel"),
    )
    return flow, sketch


def _check_format(fields: Fields) -> None:
    version = fields.value.get("trivium")
    if version is None:
        message = f"the file does not say its format; write `trivium: {FORMAT}` at its top"
        fields.problems.error(codes.FORMAT_VERSION, message)
    elif type(version) is not int or version != FORMAT:
        message = f"`trivium: {version!s:.20}` is a format that this release does not know; it knows {FORMAT}"
        fields.problems.error(codes.FORMAT_VERSION, message, ("trivium",))


# --- inputs --------------------------------------------------------------------------------------


def _declarations(fields: Fields) -> Sequence[tuple[str, JsonValue, Path]]:
    """Name, declaration and place of each input: of `{name: {...}}`, `{name: type}`, or of a list of names."""
    value = fields.value.get("inputs")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(name, None, path) for name, path in fields.names("inputs")]
    return [(name, declared, ("inputs", name)) for name, declared in fields.mapping("inputs").items()]


def _read_input(name: str, declared: JsonValue, path: Path, problems: Problems) -> dict[str, JsonValue] | None:
    """The schema of an input; None where it cannot be used."""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        problems.error(codes.BAD_ID, f"{name!r:.60} cannot be the name of an input", path, key=True)
        return None
    if isinstance(declared, str):
        declared = {"type": declared}
    before = problems.errors
    schema = _read_schema({} if declared is None else declared, path, f"input {name!r}", problems)
    if problems.errors == before and schema.get("default") is not None:
        for line in violations(schema["default"], schema, "the default"):
            problems.error(codes.BAD_DEFAULT, f"input {name!r}: {line}", (*path, "default"))
    return schema


def _read_schema(declared: JsonValue, path: Path, what: str, problems: Problems) -> dict[str, JsonValue]:
    if not isinstance(declared, Mapping):
        message = f"{what} must be a type or a mapping with a `type`, not {type_of(declared)}"
        problems.error(codes.WRONG_VALUE, message, path)
        return {}
    fields = Fields(problems, declared, path, what)
    fields.check_keys(INPUT_KEYS, INPUT_KEYS_LATER)
    for word, place in fields.names("type"):
        if word not in TYPES:
            near = f"; did you mean {OTHER_NAMES[word.lower()]!r}?" if word.lower() in OTHER_NAMES else ""
            near = near or problems.did_you_mean(word, TYPES)
            known = "" if near else f"; types are {', '.join(TYPES)}"
            problems.error(codes.WRONG_VALUE, f"{what} has an unknown type {word!r:.40}{known}{near}", place)
    if "required" in declared and not isinstance(declared["required"], bool):
        fields.wrong("required", "true or false")
    if "enum" in declared and not fields.sequence("enum"):
        problems.error(codes.WRONG_VALUE, f"'enum' of {what} must have at least one value", (*path, "enum"))
    for key in ("minimum", "maximum"):
        if key in declared and not TYPES["number"](declared[key]):
            fields.wrong(key, "a number")
    for key in ("minLength", "maxLength", "minItems", "maxItems"):
        if key in declared and not TYPES["integer"](declared[key]):
            fields.wrong(key, "a whole number")
    fields.text("description")
    schema = {key: value for key, value in declared.items() if value is not None or key == "default"}
    if "items" in schema:
        schema["items"] = _read_schema(schema["items"], (*path, "items"), f"the items of {what}", problems)
    _check_literals(schema.get("default"), (*path, "default"), problems)
    return schema


# --- steps ---------------------------------------------------------------------------------------


def _read_step(fields: Fields, index: int, sketch: Sketch) -> Step:
    problems, value, path = fields.problems, fields.value, fields.path
    name = _read_id(fields)
    if name:
        fields.what = f"step {name!r}"
    sketch.steps.append((name, (*path, "id") if "id" in value else path))
    fields.check_keys(STEP_KEYS, STEP_KEYS_LATER)
    uses = fields.name("uses")
    if uses:
        sketch.actions.append((uses, (*path, "uses")))
    elif value.get("uses") is None and not any(form in value for form in FORMS_LATER):
        fields.missing("uses", ": it names the action to call")
    arguments = fields.mapping("with")
    _check_literals(arguments, (*path, "with"), problems)
    sketch.add_references(arguments, (*path, "with"), index, problems)
    needs = []
    for need, place in fields.names("needs"):
        needs.append(need)
        sketch.links.append(Link(index, need, place))
    return Step(
        id=name,
        uses=uses,
        arguments=arguments,
        needs=tuple(dict.fromkeys(needs)),
        retry=_read_retry(fields),
        timeout=fields.duration("timeout"),
        total_timeout=fields.duration("total_timeout"),
        name=fields.text("name"),
        description=fields.text("description"),
    )


def _read_id(fields: Fields) -> str:
    value = fields.value.get("id")
    if value is None:
        fields.missing("id")
        return ""
    if isinstance(value, str) and _ID.fullmatch(value) and len(value) <= MAX_NAME:
        return value
    message = f"{value!r:.60} cannot be an id: letters, digits and _ can, not a digit first, at most {MAX_NAME}"
    fields.problems.error(codes.BAD_ID, message, (*fields.path, "id"))
    return value if isinstance(value, str) and len(value) <= MAX_NAME else ""  # so that what refers to it is not wrong


def _read_retry(step: Fields) -> Retry | None:
    value = step.mapping("retry")
    if not value:
        return None
    fields = Fields(step.problems, value, (*step.path, "retry"), f"'retry' of {step.what}")
    fields.check_keys(RETRY_KEYS)
    before = step.problems.errors
    backoff = fields.text("backoff") or Backoff.EXPONENTIAL
    if backoff not in set(Backoff):
        near = step.problems.did_you_mean(backoff, list(Backoff))
        message = f"backoff {backoff!r:.40} is none of {', '.join(Backoff)}{near}"
        step.problems.error(codes.WRONG_VALUE, message, (*fields.path, "backoff"))
    jitter = value.get("jitter")
    if jitter is not None and not isinstance(jitter, bool):
        fields.wrong("jitter", "true or false")
    attempts = fields.count("max_attempts")
    on, never = (tuple(name for name, _ in fields.names(key)) for key in ("on", "never"))
    initial = value.get("initial")
    first = 1.0 if initial is None else 0.0 if initial == 0 and initial is not False else fields.duration("initial")
    maximum = fields.duration("maximum")
    if step.problems.errors > before or first is None:
        return None
    if attempts is None:
        fields.missing("max_attempts")
        return None
    try:
        return Retry(
            max_attempts=attempts,
            backoff=backoff,
            initial=first,
            maximum=maximum,
            jitter=jitter is not False,
            on=on,
            never=never,
        )
    except ConfigError as error:  # what is wrong with it as a whole
        step.problems.error(codes.WRONG_VALUE, f"{step.what}: {error}", fields.path)
        return None


def _check_literals(value: JsonValue, path: Path, problems: Problems) -> None:
    """Refuse what will be a reference to a secret: as plain text, its name would be passed for the secret itself."""
    if isinstance(value, str):
        if value.startswith("@env:"):
            problems.error(codes.NOT_SUPPORTED, "@env: references are not supported by this version", path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_literals(item, (*path, key), problems)
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            _check_literals(item, (*path, index), problems)
