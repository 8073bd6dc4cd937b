"""What goes into an action and what comes out, checked by its signature."""

import dataclasses
import datetime
import decimal
import enum
import functools
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, NoReturn, NotRequired, Optional
from uuid import UUID

import pydantic
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict, override

from trivium.errors import InvalidInput, InvalidOutput, NotJson, RegistrationError, TooLarge
from trivium.json import MAX_DEPTH, JsonText, JsonValue, dumps
from trivium.schemas import InputSchema, OutputSchema
from trivium.signatures import Signature


class Customer(pydantic.BaseModel):
    name: str
    born: datetime.date | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


class Options(TypedDict):
    deep: bool
    limit: NotRequired[int]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def bind(function: Callable[..., Any], **given: Any) -> dict[str, Any]:
    return InputSchema.of(function).bind(dumps(given))


def refusal(function: Callable[..., Any], **given: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        bind(function, **given)
    return caught.value.details


# --- input: what fits ----------------------------------------------------------------------------


def test_parameters_of_all_kinds_come_from_json() -> None:
    def load(
        customer: Customer,
        point: Point,
        options: Options,
        colour: Colour,
        mode: Literal["fast", "slow"],
        at: datetime.datetime,
        took: datetime.timedelta,
        price: decimal.Decimal,
        id: UUID,
        pair: tuple[int, str],
        unique: set[int],
        maybe: Optional[int],  # noqa: UP045 - as users write it
        either: int | str,
        free: Any,
        plain,
    ) -> None: ...

    bound = bind(
        load,
        customer={"name": "Ana", "born": "1990-02-03"},
        point={"x": 1, "y": 2},
        options={"deep": True},
        colour="red",
        mode="fast",
        at="2026-11-20T05:00:00Z",
        took="PT5M",
        price="9.90",
        id="0198c0de-0000-7000-8000-000000000000",
        pair=[1, "a"],
        unique=[1, 2],
        maybe=None,
        either="x",
        free={"a": [1]},
        plain=3,
    )

    assert bound == {
        "customer": Customer(name="Ana", born=datetime.date(1990, 2, 3)),
        "point": Point(1, 2.0),
        "options": {"deep": True},
        "colour": Colour.RED,
        "mode": "fast",
        "at": datetime.datetime(2026, 11, 20, 5, tzinfo=datetime.UTC),
        "took": datetime.timedelta(minutes=5),
        "price": decimal.Decimal("9.90"),
        "id": UUID("0198c0de-0000-7000-8000-000000000000"),
        "pair": (1, "a"),
        "unique": {1, 2},
        "maybe": None,
        "either": "x",
        "free": {"a": [1]},
        "plain": 3,
    }


def test_int_serves_where_a_float_is_asked() -> None:
    def half(number: float) -> None: ...

    found = bind(half, number=3)["number"]

    assert (found, type(found)) == (3.0, float)


def test_what_is_not_given_is_left_to_python() -> None:
    marker = object()

    def load(a: int, b: object = marker, *, c: int = 5) -> None: ...

    assert bind(load, a=1) == {"a": 1}
    assert bind(load, a=1, c=2) == {"a": 1, "c": 2}


def test_any_word_may_be_a_parameter() -> None:
    def load(self, model_config: int, schema: int, json: str, _private: int, copy: int = 0) -> None: ...

    given = {"self": 1, "model_config": 2, "schema": 3, "json": "4", "_private": 5, "copy": 6}
    assert bind(load, **given) == given


def test_keyword_arguments_take_what_else_there_is() -> None:
    def load(a: int, **more: Any) -> None: ...

    assert bind(load, a=1, b="x") == {"a": 1, "b": "x"}


def test_keyword_arguments_are_checked_by_their_annotation() -> None:
    def load(a: str, **more: int) -> None: ...

    assert bind(load, a="x", b=2) == {"a": "x", "b": 2}
    assert refusal(load, a="x", b="2") == ("b: Input should be a valid integer, not a string",)


def test_without_parameters_nothing_is_given() -> None:
    def tick() -> None: ...

    assert InputSchema.of(tick).bind(JsonText("{}")) == {}
    assert refusal(tick, now=True) == ("now is unknown",)


def test_constraints_of_annotations_hold() -> None:
    def load(count: Annotated[int, pydantic.Field(ge=1)]) -> None: ...

    assert refusal(load, count=0) == ("count: Input should be greater than or equal to 1",)


def test_annotations_may_be_text() -> None:
    def load(customer: "Customer", many: "list[Point]") -> "Mapping[str, Any]":
        return {}

    assert bind(load, customer={"name": "Ana"}, many=[{"x": 1}])["many"] == [Point(1)]


def test_json_values_are_passed_as_they_are() -> None:
    def load(data: JsonValue, more: "dict[str, JsonValue]") -> JsonValue: ...

    assert bind(load, data=[1, {"a": None}], more={"b": 1.5}) == {"data": [1, {"a": None}], "more": {"b": 1.5}}


def test_injected_parameters_are_no_input() -> None:
    def load(context: Callable[..., Any], a: int) -> None: ...

    schema = InputSchema.of(load, skip=["context"])

    assert schema.bind(JsonText('{"a":1}')) == {"a": 1}
    assert list(schema.json_schema()["properties"]) == ["a"]


@pytest.mark.parametrize("schema", [None, {"type": "object"}])
def test_injected_parameters_cannot_be_given(schema: dict[str, Any] | None) -> None:
    def load(context: Any, a: int, **more: Any) -> None: ...

    with pytest.raises(InvalidInput) as caught:
        InputSchema.of(load, skip=["context"], schema=schema).bind(JsonText('{"a":1,"b":2,"context":3}'))
    assert caught.value.details == ("context is unknown",)


def test_deepest_value_passes() -> None:
    def load(data: list[Any]) -> None: ...

    value: list[Any] = []
    for _ in range(MAX_DEPTH - 2):
        value = [value]

    assert bind(load, data=value) == {"data": value}


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcxy"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), values))
def test_values_of_any_shape_arrive_as_they_were(given: dict[str, Any]) -> None:
    def load(**more: Any) -> Any: ...

    assert InputSchema.of(load).bind(dumps(given)) == given
    assert OutputSchema.of(Any).encode(given) == dumps(given)


def demanding(a: int, b: float, c: list[Point] | None = None, x: Customer | None = None, y: Options | None = None): ...


DEMANDING = InputSchema.of(demanding)


@given(values)
def test_any_input_is_bound_or_refused(given: Any) -> None:
    with suppress(InvalidInput):
        bound = DEMANDING.bind(dumps(given))
        assert type(bound["a"]) is int
        assert type(bound["b"]) is float


# --- input: what does not ------------------------------------------------------------------------


def add(num1: float, num2: float = 0.0) -> float:
    return num1 + num2


@pytest.mark.parametrize(
    ("given", "details"),
    [
        ({}, ("num1 is missing",)),
        ({"num1": "1"}, ("num1: Input should be a valid number, not a string",)),
        ({"num1": True}, ("num1: Input should be a valid number, not a boolean",)),
        ({"num1": None}, ("num1: Input should be a valid number, not null",)),
        ({"num1": 1, "num3": 2}, ("num3 is unknown, did you mean 'num2'?",)),
        ({"num1": 1, "zebra": 2}, ("zebra is unknown",)),
        ({"num": []}, ("num1 is missing", "num is unknown, did you mean 'num2'?")),
    ],
)
def test_refusal_has_a_line_for_each_field(given: dict[str, Any], details: tuple[str, ...]) -> None:
    assert refusal(add, **given) == details


@pytest.mark.parametrize("text", ["[]", "null", "3", '"text"'])
def test_input_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"input of 'add' does not fit its schema: .* should be an object"):
        InputSchema.of(add).bind(JsonText(text), what="input of 'add'")


def test_path_leads_into_the_value() -> None:
    def load(points: list[Point]) -> None: ...

    details = refusal(load, points=[{"x": 1}, {"x": "2"}])

    assert details == ("points[1].x: Input should be a valid integer, not a string",)


def test_refused_values_are_not_repeated() -> None:
    def load(count: int, password: int) -> None: ...

    assert "hunter2" not in " ".join(refusal(load, count=1, password="hunter2"))


def test_long_list_of_complaints_is_cut() -> None:
    def load(numbers: list[int]) -> None: ...

    details = refusal(load, numbers=["x"] * 100)

    assert len(details) == 21
    assert details[-1] == "and 80 more"


def test_validator_that_breaks_is_a_refusal() -> None:
    def explode(value: Any) -> Any:
        raise RuntimeError("a bug in the validator")

    def load(a: Annotated[int, pydantic.BeforeValidator(explode)]) -> None: ...

    assert refusal(load, a=1) == ("checking it raised RuntimeError: a bug in the validator",)


# --- signatures that cannot be -------------------------------------------------------------------


def positional(a: int, /, b: int) -> None: ...


def starred(*numbers: int) -> None: ...


def unpacked(**options: typing_extensions.Unpack[Options]) -> None: ...


def forward(a: int, b: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the mistake itself


def backward(a: int) -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821 - the mistake itself


def broken(a: "1 +") -> None: ...  # type: ignore[valid-type]  # noqa: F722 - the mistake itself


def arbitrary(a: int, b: subprocess.Popen) -> None: ...


def fielded(a: int = pydantic.Field(gt=1)) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (positional, r"parameter 'a' of .*positional .*positional-only.* \(drop the `/`\)"),
        (starred, r"starred .*takes \*numbers"),
        (unpacked, r"parameter 'options' of .*unpacked"),
        (forward, r"parameter 'b' of .*forward .*'Nowhere', which is not defined"),
        (backward, r"the return type of .*backward .*'Nowhere', which is not defined"),
        (broken, r"the annotation of parameter 'a' of .*broken .*wrong"),
        (arbitrary, r"the annotation of parameter 'b' of .*arbitrary .*cannot be checked"),
        (fielded, r"default of parameter 'a' of .*fielded .*Annotated"),
        (dict.update, r"has no signature|takes \*|positional-only"),
    ],
)
def test_signature_that_inputs_cannot_fit_is_refused_with_its_place(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        InputSchema.of(function)


def test_place_is_file_and_line() -> None:
    with pytest.raises(RegistrationError, match=r"test_schemas\.py:\d+\)"):
        InputSchema.of(starred)


class Tool:
    def __call__(self, a: int) -> int:
        return a

    def method(self, b: int) -> int:
        return b


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return wrapper


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (Tool(), ["a"]),
        (Tool().method, ["b"]),
        (functools.partial(add, 1.0), ["num2"]),
        (functools.partial(add, num2=1.0), ["num1", "num2"]),
        (lambda x, y=1: None, ["x", "y"]),
        (wrapped(add), ["num1", "num2"]),
        (wrapped(wrapped(add)), ["num1", "num2"]),
    ],
    ids=["instance", "method", "partial", "partial keyword", "lambda", "wrapper", "wrapper of a wrapper"],
)
def test_every_callable_has_parameters(function: Callable[..., Any], names: list[str]) -> None:
    assert [one.name for one in Signature.of(function).parameters] == names


# --- output --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (Any, {"a": [1]}, '{"a":[1]}'),
        (object, "x", '"x"'),
        (NoReturn, None, "null"),
        (JsonValue, [1], "[1]"),
        (None, None, "null"),
        (dict, {"b": 1, "a": 2}, '{"a":2,"b":1}'),
        (dict[str, Any], {"a": 1}, '{"a":1}'),
        (list, (1, 2), "[1,2]"),
        (int, 3, "3"),
        (float, 3, "3.0"),
        (str, "x", '"x"'),
        (bool, True, "true"),
        (int | None, None, "null"),
        (dict[str, int], {"b": 1, "a": 2}, '{"a":2,"b":1}'),
        (dict[int, str], {1: "x"}, '{"1":"x"}'),
        (Customer, Customer(name="Ana", born=datetime.date(1990, 2, 3)), '{"born":"1990-02-03","name":"Ana"}'),
        (list[Point], [Point(1)], '[{"x":1,"y":0.0}]'),
        (Options, {"deep": True}, '{"deep":true}'),
        (Colour, Colour.RED, '"red"'),
        (datetime.datetime, datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), '"2026-01-02T00:00:00Z"'),
        (tuple[int, str], (1, "a"), '[1,"a"]'),
        (set[int], {1}, "[1]"),
    ],
)
def test_output_becomes_canonical_json(annotation: Any, value: object, text: str) -> None:
    assert OutputSchema.of(annotation).encode(value) == text


@pytest.mark.parametrize(
    ("annotation", "value", "detail"),
    [
        (None, 5, "output: should be None, not a int"),
        (dict, None, "output: should be an object, not a NoneType"),
        (dict[str, Any], [1], "output: should be an object, not a list"),
        (list, {"a": 1}, "output: should be an array, not a dict"),
        (int, "3", "output: Input should be a valid integer, not a string"),
        (int, True, "output: Input should be a valid integer, not a boolean"),
        (int, None, "output: Input should be a valid integer, not null"),
        (list[int], [1, "2"], "[1]: Input should be a valid integer, not a string"),
        (Options, {"limit": 1}, "deep is missing"),
    ],
)
def test_output_that_does_not_fit_is_refused(annotation: Any, value: object, detail: str) -> None:
    with pytest.raises(InvalidOutput) as caught:
        OutputSchema.of(annotation).encode(value)

    assert caught.value.details == (detail,)
    assert caught.value.kind == "schema"


@pytest.mark.parametrize("annotation", [Any, dict, dict[str, float], list[Any], Any | None])
def test_output_that_is_not_json_is_refused_with_its_path(annotation: Any) -> None:
    value = [math.nan] if annotation in (list[Any], Any | None) else {"a": math.nan}

    with pytest.raises(NotJson, match=r"output of 'f'(\.a|\[0\]) is not JSON: nan"):
        OutputSchema.of(annotation).encode(value, what="output of 'f'")


def test_output_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        OutputSchema.of(str).encode("x" * (64 * 1024 * 1024))


class Exploding(pydantic.BaseModel):
    a: int

    @pydantic.field_serializer("a")
    def serialise(self, value: int) -> int:
        raise RuntimeError("a bug in the serializer")


class Mute(Exception):
    @override
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Mumbling(pydantic.BaseModel):
    a: Any

    @pydantic.model_serializer
    def serialise(self) -> Any:
        raise Mute


def changed_behind_its_back() -> Customer:
    found = Customer(name="Ana")
    found.__dict__["name"] = 5
    return found


def containing_itself() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["me"] = found
    return found


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Exploding, Exploding(a=1)),
        (Mumbling, Mumbling(a=1)),
        (Customer, changed_behind_its_back()),
        (dict[str, dict[str, Any]], containing_itself()),
        (Mumbling, Mumbling(a=containing_itself())),
    ],
    ids=["raises", "raises without words", "changed", "recurses", "recurses in a model"],
)
def test_output_whose_serialisation_fails_is_refused_with_the_reason(annotation: Any, value: object) -> None:
    with pytest.raises((InvalidOutput, NotJson), match="output"):
        OutputSchema.of(annotation).encode(value)


def test_return_type_without_a_schema_is_refused_with_its_place() -> None:
    with pytest.raises(RegistrationError, match=r"the return type of shop\.load cannot be checked"):
        OutputSchema.of(subprocess.Popen, place="shop.load")


# --- JSON Schema: shown --------------------------------------------------------------------------


def test_input_is_shown_as_json_schema() -> None:
    def load(a: int, b: list[str] | None = None, c: object = object()) -> None: ...

    shown = InputSchema.of(load).json_schema()

    assert shown["type"] == "object"
    assert shown["required"] == ["a"]
    assert shown["additionalProperties"] is False
    assert shown["properties"]["a"]["type"] == "integer"
    assert shown["properties"]["b"]["default"] is None
    assert "default" not in shown["properties"]["c"]


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        (Any, {}),
        (dict, {"type": "object"}),
        (list, {"type": "array"}),
        (None, {"type": "null"}),
        (int, {"type": "integer"}),
    ],
)
def test_output_is_shown_as_json_schema(annotation: Any, shown: dict[str, Any]) -> None:
    assert OutputSchema.of(annotation).json_schema() == shown


# --- JSON Schema: given --------------------------------------------------------------------------

NUMBERS = {
    "type": "object",
    "properties": {"num1": {"$ref": "#/$defs/small"}, "num2": {"type": "number"}},
    "$defs": {"small": {"type": "number", "maximum": 10}},
}


def test_given_schema_stands_in_the_place_of_the_hints() -> None:
    schema = InputSchema.of(add, schema=NUMBERS)

    assert schema.bind(JsonText('{"num1":3}')) == {"num1": 3}
    assert schema.json_schema() == NUMBERS
    with pytest.raises(InvalidInput) as caught:
        schema.bind(JsonText('{"num1":30,"num2":"x"}'))
    assert sorted(caught.value.details) == [
        "num1: 30 is greater than the maximum of 10",
        "num2: 'x' is not of type 'number'",
    ]


def test_given_schema_does_not_excuse_from_the_signature() -> None:
    schema = InputSchema.of(add, schema={"type": "object"})

    with pytest.raises(InvalidInput) as caught:
        schema.bind(JsonText('{"num3":3}'))
    assert caught.value.details == ("num1 is missing", "num3 is unknown, did you mean 'num2'?")


def test_input_for_a_given_schema_is_an_object() -> None:
    with pytest.raises(InvalidInput, match="should be an object, not an array"):
        InputSchema.of(add, schema={}).bind(JsonText("[]"))


def test_given_schema_checks_the_output() -> None:
    schema = OutputSchema.of(schema={"type": "array", "items": {"type": "integer"}})

    assert schema.encode((1, 2)) == "[1,2]"
    with pytest.raises(InvalidOutput) as caught:
        schema.encode([1, "x"])
    assert caught.value.details == ("[1]: 'x' is not of type 'integer'",)


@pytest.mark.parametrize(
    "reference", ["http://localhost:9/schema.json", "file:///etc/hostname", "other.json", "#/$defs/no"]
)
def test_given_schema_fetches_nothing(reference: str) -> None:
    schema = OutputSchema.of(schema={"$ref": reference})

    with pytest.raises(InvalidOutput, match="its JSON Schema cannot be used: "):
        schema.encode(1)


def test_given_schema_that_is_none_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"output_schema of shop\.load is no JSON Schema: .* at "):
        OutputSchema.of(place="shop.load", schema={"type": "strnig"})


def test_given_schema_cannot_be_changed_afterwards() -> None:
    given: dict[str, Any] = {"type": "integer"}
    schema = OutputSchema.of(schema=given)

    given["type"] = "string"
    schema.json_schema()["type"] = "string"

    assert schema.encode(1) == "1"
    assert schema.json_schema() == {"type": "integer"}


def test_given_schema_without_the_package_names_the_extra() -> None:
    script = """
import sys
sys.modules["jsonschema"] = None  # as if it were not installed
from trivium.errors import MissingPackage
from trivium.schemas import OutputSchema
try:
    OutputSchema.of(schema={})
except MissingPackage as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)

    assert 'pip install "trivium[jsonschema]"' in ended.stdout
