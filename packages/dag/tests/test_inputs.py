"""Inputs against their declarations."""

from collections.abc import Mapping, Sequence

import pytest

from trivium.errors import InvalidInput
from trivium.json import JsonValue
from trivium.model.drivers import CommandLineText
from trivium_dag.inputs import Schema, check_inputs


def wrong(declared: Mapping[str, Schema], given: JsonValue) -> Sequence[str]:
    with pytest.raises(InvalidInput) as raised:
        check_inputs("f", declared, given)
    return raised.value.details


def test_defaults_are_filled_in_and_the_order_is_the_declarations():
    declared: dict[str, Schema] = {
        "a": {"type": "integer"},
        "b": {"default": [1]},
        "c": {"required": False},
        "d": {"default": None},
    }

    found = check_inputs("f", declared, {"d": 2, "a": 1})

    assert list(found.items()) == [("a", 1), ("b", [1]), ("c", None), ("d", 2)]


def test_no_inputs_are_none_or_empty():
    assert check_inputs("f", {}, None) == check_inputs("f", {}, {}) == {}


@pytest.mark.parametrize(
    ("kind", "fits", "does_not"),
    [
        ("string", ["", "x"], [1, None, ["x"]]),
        ("integer", [0, -5], [1.0, True, "1"]),
        ("number", [1, 1.5], [True, "1", None]),
        ("boolean", [True, False], [0, 1, "true"]),
        ("array", [[], [1]], ["x", {}, None]),
        ("object", [{}, {"a": 1}], [[], "x"]),
        ("null", [None], [0, "", False]),
        (["string", "null"], ["x", None], [1]),
    ],
)
def test_types_are_strict(kind, fits, does_not):
    for value in fits:
        assert check_inputs("f", {"x": {"type": kind}}, {"x": value}) == {"x": value}
    for value in does_not:
        assert len(wrong({"x": {"type": kind}}, {"x": value})) == 1


def test_an_integer_serves_where_a_number_is_asked_and_stays_one():
    found = check_inputs("f", {"x": {"type": "number"}}, {"x": 3})

    assert type(found["x"]) is int


def test_everything_wrong_is_told_at_once():
    declared: dict[str, Schema] = {
        "source": {"type": "string", "description": "where the data is"},
        "n": {"type": "integer", "minimum": 1, "maximum": 9},
        "mode": {"enum": ["fast", "safe"]},
        "list": {"type": "array", "items": {"type": "number"}, "maxItems": 2},
        "text": {"type": "string", "minLength": 2},
    }

    details = wrong(declared, {"n": 10, "mode": "quick", "list": [1, "x", None], "text": "a", "sources": 1, "zzz": 2})

    assert details == (
        "source is missing (where the data is)",
        "n must be at most 9, not 10",
        'mode must be one of "fast", "safe", not "quick"',
        "list must have at most 2 items, not 3",
        'list[1] must be number, not string "x"',
        "list[2] must be number, not null null",
        "text must have at least 2 characters, not 1",
        "sources is not an input of this flow; did you mean 'source'?",
        "zzz is not an input of this flow (it has 'list', 'mode', 'n', 'source', 'text')",
    )


def test_one_is_not_true():
    assert wrong({"x": {"enum": [1]}}, {"x": True})


def test_an_optional_input_may_be_null():
    declared: dict[str, Schema] = {"x": {"type": "string", "required": False}}

    assert check_inputs("f", declared, {"x": None}) == {"x": None}


@pytest.mark.parametrize("given", [[], "x", 3, True])
def test_inputs_that_are_no_object_are_refused(given):
    (detail,) = wrong({}, given)

    assert "must be an object" in detail


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "string"}, "2026", "2026"),
        ({"type": "string"}, "true", "true"),
        ({"type": "integer"}, "7", 7),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "true", True),
        ({"type": "array"}, "[1, 2]", [1, 2]),
        ({"type": "object"}, '{"a": "b"}', {"a": "b"}),
        ({"type": ["string", "integer"]}, "7", 7),
        ({"type": ["string", "integer"]}, "7.5", "7.5"),
        ({"type": ["string", "null"]}, "null", None),
        ({}, "7", 7),
        ({}, "seven", "seven"),
        ({}, '"7"', "7"),
        ({}, "NaN", "NaN"),
        ({}, "[" * 10_000, "[" * 10_000),
    ],
)
def test_what_was_typed_is_read_by_its_declaration(schema, typed, value):
    found = check_inputs("f", {"x": schema}, {"x": CommandLineText(typed)})

    assert found == {"x": value}
    assert type(found["x"]) is type(value)


def test_what_was_typed_and_does_not_fit_is_told():
    assert wrong({"x": {"type": "integer"}}, {"x": CommandLineText("seven")}) == (
        'x must be integer, not string "seven"',
    )
