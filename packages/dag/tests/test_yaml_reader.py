"""The strict reader: what YAML and JSON mean to a flow, and where everything stands."""

import json

import pytest

from trivium.errors import DefinitionError, NotFound, UsageError
from trivium_dag.yaml_reader import Limits, plain_scalar, read_bytes, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"),
        ("true", True), ("True", True), ("FALSE", False), ("tRUE", "tRUE"),
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nil", "nil"),
        ("010", 10), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"), ("-7", -7), ("+7", 7), ("1_000", "1_000"),
        ("12:30", "12:30"), ("12:30:45", "12:30:45"), ("2026-12-24", "2026-12-24"), ("1.2.3", "1.2.3"),
        ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("-1e3", -1000.0), ("1e-2", 0.01), (".", "."), ("-", "-"), ("1e", "1e"),
        ("=", "="), ("5m", "5m"), ("9223372036854775807", 2**63 - 1),
    ],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(text, value):
    found = plain_scalar(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".nan", ".inf", "-.Inf", "9223372036854775808", "9" * 5000, "1e999", "0x" + "f" * 17])
def test_numbers_that_json_does_not_have_are_problems(read, text):
    with pytest.raises(DefinitionError) as raised:
        read(f"a: [1,\n    {text}]")

    (problem,) = raised.value.problems
    assert (problem.code, problem.line, problem.column) == ("TRV-1106", 2, 5)


def test_quoted_scalars_are_text(read):
    assert read("""['1', "true", '~', |-\n  null\n]""".replace("|-\n  null\n", "'null'")).value == [
        "1",
        "true",
        "~",
        "null",
    ]


def test_block_scalars_are_text(read):
    assert read("a: |\n  12\n  13\nb: >-\n  x\n  y\n").value == {"a": "12\n13\n", "b": "x y"}


def test_every_duplicate_key_is_told_with_both_places(read):
    with pytest.raises(DefinitionError) as raised:
        read("a: 1\nb: {c: 1, c: 2}\na: 3\n")

    assert [(one.code, one.line, one.column) for one in raised.value.problems] == [
        ("TRV-1102", 2, 11),
        ("TRV-1102", 3, 1),
    ]
    assert "first in line 1" in raised.value.problems[1].message


@pytest.mark.parametrize("key", ["1", "true", "~", "1.5", "[a]", "{a: b}", "? [a]\n"])
def test_keys_that_are_not_text_are_problems(read, key):
    with pytest.raises(DefinitionError) as raised:
        read(f"{key}: x\n")

    assert raised.value.problems[0].code == "TRV-1103"


def test_quoted_numbers_are_keys(read):
    assert read("'1': x\n\"true\": y\n").value == {"1": "x", "true": "y"}


def test_an_alias_repeats_its_anchor(read):
    assert read("a: &x {n: 1}\nb: [*x, *x]\n").value == {"a": {"n": 1}, "b": [{"n": 1}, {"n": 1}]}


def test_places_count_from_one_and_lead_into_containers(read):
    problems = read("a:\n  - x\n  - {b: ü, c: 1}\n").problems()

    problems.error("C", "value", ("a", 1, "c"))
    problems.error("C", "key", ("a", 1, "c"), key=True)
    problems.error("C", "not there", ("a", 1, "zzz", "y"))

    assert [(one.message, one.line, one.column) for one in problems.in_order()] == [
        ("not there", 3, 5),
        ("key", 3, 12),
        ("value", 3, 15),
    ]


def test_json_is_read_by_json_rules(read):
    value = {"tabs": [1, 2.5e3, -0.0, None, True], "ä": '\U0001f600 \\ud83d \\ / " \u2028', "on": "on", "": {}}

    for text in (json.dumps(value), json.dumps(value, indent="\t"), json.dumps(value, ensure_ascii=False)):
        assert read(text, "flow.json").value == value


@pytest.mark.parametrize("text", ["{a: 1}", '{"a": 1} # x', "a: 1", '{"a": 01}', "{'a': 1}", '{"a": 1,}', ""])
def test_what_is_only_yaml_is_no_json(read, text):
    with pytest.raises(DefinitionError) as raised:
        read(text, "flow.json")

    assert raised.value.problems[0].code == "TRV-1101"
    assert raised.value.problems[0].line == 1


def test_json_duplicates_are_problems_too(read):
    with pytest.raises(DefinitionError) as raised:
        read('{"a": 1,\n "a": 2}', "flow.json")

    assert [(one.code, one.line, one.column) for one in raised.value.problems] == [("TRV-1102", 2, 2)]


def test_a_tab_is_named(read):
    with pytest.raises(DefinitionError) as raised:
        read("a:\n\tb: 1\n")

    assert "a tab" in str(raised.value)


def test_a_reference_in_braces_without_quotes_gets_the_cure(read):
    with pytest.raises(DefinitionError) as raised:
        read("with: {x: ${{ inputs.x }}}\n")

    assert 'stands in quotes: "${{ ... }}"' in str(raised.value)


def test_a_byte_order_mark_is_passed_over(read):
    assert read(b"\xef\xbb\xbfa: 1").value == {"a": 1}


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(size=10), "a: 1234567890"),
        (Limits(depth=2), "[[[1]]]"),
        (Limits(nodes=5), "[1, 2, 3, 4, 5]"),
        (Limits(aliases=2), "[&a 1, *a, *a, *a]"),
        (Limits(expanded=5), "[&a [1, 2], *a, *a]"),
        (Limits(scalar=3), "[abcd]"),
    ],
)
def test_each_limit_is_a_problem(limits, text):
    with pytest.raises(DefinitionError) as raised:
        read_document(text.encode(), "flow.yaml", limits=limits)

    assert [one.code for one in raised.value.problems] == ["TRV-1105"]


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        read_bytes(tmp_path / "no.yaml")


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_readable_file_is_a_usage_error(tmp_path, name):
    with pytest.raises(UsageError):
        read_bytes(tmp_path / name)
