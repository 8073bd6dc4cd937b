"""One canonical JSON: the same text from every encoder, and a path to whatever has none."""

import enum
import json
import math
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import override

from trivium.errors import NotJson, TooLarge
from trivium.json import MAX_DEPTH, ORJSON, STDLIB, Codec, JsonText, digest, dumps, loads, parse

ORJSON_HERE = ORJSON or STDLIB
"""Where orjson is not installed the comparison is an empty one; the tools of a checkout install it."""

texts = st.text(st.characters(codec="utf-8"), max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | texts
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=20
)
anything = st.recursive(
    scalars | st.text(st.characters(categories=None), max_size=5) | st.integers() | st.floats() | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(categories=None), max_size=3) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(st.integers(), max_size=2)
    ),
    max_leaves=10,
)


@pytest.fixture(params=[STDLIB, ORJSON_HERE], ids=["stdlib", "orjson"])
def codec(request: pytest.FixtureRequest) -> Codec:
    found: Codec = request.param
    return found


# --- one text ------------------------------------------------------------------------------------


@given(values)
@example({"\U0001f600": 1, "\uffff": 2, "z": 3, "é": 4})  # by code point, not by UTF-16 unit
@example([1e16, 1e-5, -1e-4, 9999999999999998.0, 1e22, 5e-324, -0.0, 1.7976931348623157e308])
@example(['\x00\x1f\x7f\x80\u2028\u2029"\\/\b\f\n\r\t<>&'])
@example([2**63 - 1, -(2**63), 2**53 + 1])
def test_text_is_the_same_with_and_without_orjson(value: Any) -> None:
    assert dumps(value, codec=ORJSON_HERE) == dumps(value, codec=STDLIB)


@given(values)
def test_value_comes_back_from_its_text(value: Any) -> None:
    text = dumps(value)

    assert loads(text, codec=STDLIB) == loads(text, codec=ORJSON_HERE) == value
    assert dumps(loads(text)) == text


@given(values)
def test_text_is_plain_json_to_others(value: Any) -> None:
    assert json.loads(dumps(value)) == value


@given(anything)
def test_encoders_refuse_the_same_values_for_the_same_reason(value: Any) -> None:
    def outcome(codec: Codec) -> str:
        try:
            return dumps(value, codec=codec)
        except NotJson as error:
            return str(error)

    assert outcome(STDLIB) == outcome(ORJSON_HERE)


def test_keys_are_sorted_and_nothing_is_padded(codec: Codec) -> None:
    assert dumps({"b": [1, 2], "a": {"d": None, "c": True}}, codec=codec) == '{"a":{"c":true,"d":null},"b":[1,2]}'


def test_order_of_insertion_does_not_matter(codec: Codec) -> None:
    one, other = {"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1}

    assert digest(dumps(one, codec=codec)) == digest(dumps(other, codec=codec))


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shouting(str):
    __slots__ = ()

    @override
    def __str__(self) -> str:
        return "SHOUTED"


class Counting(int):
    @override
    def __repr__(self) -> str:
        return "many"


class Share(float):
    @override
    def __repr__(self) -> str:
        return "some"


class Hiding(dict[str, Any]):
    @override
    def items(self) -> Any:
        return []


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Colour.RED, '"red"'),
        ({Colour.RED: Colour.RED}, '{"red":"red"}'),
        (Level.HIGH, "3"),
        ([Shouting("quiet")], '["quiet"]'),
        ([Counting(7)], "[7]"),
        ([Share(0.5)], "[0.5]"),
        (Hiding(a=1), '{"a":1}'),
        (defaultdict(list, {"b": [1], "a": []}), '{"a":[],"b":[1]}'),
        (OrderedDict(b=1, a=2), '{"a":2,"b":1}'),
        ((1, (2, [3])), "[1,[2,[3]]]"),
        ([Point(1, 2)], "[[1,2]]"),
        ([True, False, None], "[true,false,null]"),
    ],
    ids=repr,
)
def test_tuples_and_subclasses_are_what_they_hold(value: object, text: str, codec: Codec) -> None:
    assert dumps(value, codec=codec) == text


def test_loaded_containers_are_fresh() -> None:
    text = dumps({"a": []})

    assert loads(text) is not loads(text)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (math.nan, "output", "nan is not a JSON number"),
        ({"a": [0, math.inf]}, "output.a[1]", "inf is not a JSON number"),
        ([[-math.inf]], "output[0][0]", "-inf is not a JSON number"),
        ({"n": 2**63}, "output.n", "an integer beyond 64 bits"),
        ([-(2**63) - 1], "output[0]", "an integer beyond 64 bits"),
        ({"a": {"b": "\ud800"}}, "output.a.b", "a string with a lone surrogate"),
        ({"a": {"\udfff": 1}}, "output.a", "a string with a lone surrogate"),
        ({"a": {1: "x"}}, "output.a", "a key of type int, 1"),
        ({None: 1}, "output", "a key of type NoneType, None"),
        ([b"bytes"], "output[0]", "it is of type bytes"),
        ({"a": {1, 2}}, "output.a", "it is of type set"),
        ({"a": object}, "output.a", "it is of type type"),  # no instance: its address would be in the test's name
        ([1, 2j], "output[1]", "it is of type complex"),
        ((1, OrderedDict(a=math.nan)), "output[1].a", "nan is not a JSON number"),
    ],
    ids=repr,
)
def test_refusal_names_the_path_and_the_reason(value: object, path: str, reason: str, codec: Codec) -> None:
    with pytest.raises(NotJson) as caught:
        dumps(value, what="output", codec=codec)

    assert (caught.value.path, caught.value.reason) == (path, reason)


Wrap = Callable[[object], object]


def nested(depth: int, wrap: Wrap) -> object:
    value: object = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [lambda value: [value], lambda value: (value,), lambda value: {"a": value}, lambda value: Hiding(a=value)],
    ids=["list", "tuple", "dict", "subclass"],
)
def test_depth_has_a_limit_that_is_reached(wrap: Wrap, codec: Codec) -> None:
    assert loads(dumps(nested(MAX_DEPTH, wrap), codec=codec), codec=codec)
    with pytest.raises(NotJson, match=f"nested deeper than {MAX_DEPTH} levels"):
        dumps(nested(MAX_DEPTH + 1, wrap), codec=codec)


def test_hostile_depth_is_refused_not_fallen_into(codec: Codec) -> None:
    with pytest.raises(NotJson, match="nested deeper"):
        dumps(nested(100_000, lambda value: [value]), codec=codec)


def test_value_that_contains_itself_is_refused(codec: Codec) -> None:
    value: dict[str, Any] = {}
    value["self"] = [value]

    with pytest.raises(NotJson, match="nested deeper"):
        dumps(value, codec=codec)


class Silent:
    @override
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_key_that_cannot_be_shown_is_refused_all_the_same() -> None:
    with pytest.raises(NotJson, match="which cannot be shown"):
        dumps({Silent(): 1})


@given(values)
def test_text_of_others_is_read_as_what_it_says(value: Any) -> None:
    assert parse(json.dumps(value, indent=1)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "input is not JSON: Expecting value"),
        ("{'a': 1}", "input is not JSON: Expecting property name"),
        ("[1,]", "input is not JSON: "),
        ("[1] 2", "input is not JSON: Extra data"),
        ('{"a": [NaN]}', "input is not JSON: NaN is not a JSON number"),
        ("-Infinity", "input is not JSON: -Infinity is not a JSON number"),
        ('{"a": 1e999}', r"input\.a is not JSON: inf is not a JSON number"),
        (f"[{2**64}]", r"input\[0\] is not JSON: an integer beyond 64 bits"),
        (r'{"a": "\ud800"}', r"input\.a is not JSON: a string with a lone surrogate"),
        ('{"a": 1, "b": {"c": 1, "d": 2, "c": 3}}', "input is not JSON: the key 'c' stands twice"),
        ("[" * 201 + "]" * 201, r"input(\[0\])+\S*\.\.\.\S* is not JSON: nested deeper than 200 levels"),
        ("[" * 100_000, "input is not JSON: nested deeper than 200 levels"),
        ("9" * 5000, "input is not JSON: "),
    ],
)
def test_text_that_is_no_json_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(NotJson, match=message):
        parse(text, what="input")


@pytest.mark.parametrize(("value", "size"), [("a" * 8, 10), ("é" * 4, 10), ([1, 2, 3, 4], 9)], ids=repr)
def test_limit_counts_bytes(value: object, size: int, codec: Codec) -> None:
    assert dumps(value, limit=size, codec=codec)
    with pytest.raises(TooLarge) as caught:
        dumps(value, what="output", limit=size - 1, codec=codec)
    assert (caught.value.size, caught.value.limit) == (size, size - 1)


def test_digest_is_that_of_the_utf8_text() -> None:
    assert digest(JsonText('"é"')) == "f2886017e9c7abacf804b54d64787dce2b611c9544ba21f3affdd126a6e50086"
