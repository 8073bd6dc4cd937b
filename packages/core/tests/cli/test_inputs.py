"""Inputs from the words of a command line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.cli.inputs import collect_inputs, json_or_text
from trivium.errors import NotFound, UsageError
from trivium.json import dumps
from trivium.model.drivers import CommandLineText


def test_nothing_given_is_nothing():
    assert collect_inputs(None, None) is None
    assert collect_inputs([], None) is None


def test_a_value_is_handed_on_as_it_was_typed():
    found = collect_inputs(["n=007", "url=http://x/?a=b", "empty="], None)

    assert found == {"n": "007", "url": "http://x/?a=b", "empty": ""}
    assert found is not None
    assert all(isinstance(value, CommandLineText) for value in found.values())


def test_a_file_is_json_and_single_values_win(tmp_path: Path):
    file = tmp_path / "inputs.json"
    file.write_text('{"a": [1, 2], "b": "x"}')

    found = collect_inputs(["b=y"], str(file))

    assert found == {"a": [1, 2], "b": "y"}


@pytest.mark.parametrize("pair", ["a", "=1", " =1", ""])
def test_a_pair_that_is_none_is_refused(pair: str):
    with pytest.raises(UsageError, match="is not KEY=VALUE"):
        collect_inputs([pair], None)


def test_a_key_that_comes_twice_is_refused():
    with pytest.raises(UsageError, match="gives 'a' twice"):
        collect_inputs(["a=1", "a=2"], None)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"[1]", "holds a list"),
        (b"null", "holds null"),
        (b"3", "holds a number"),
        (b"{", "is not JSON"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_file_that_holds_no_object_is_refused(tmp_path: Path, data: bytes, error: str):
    file = tmp_path / "inputs.json"
    file.write_bytes(data)

    with pytest.raises(UsageError, match=error):
        collect_inputs(None, str(file))


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path):
    with pytest.raises(NotFound):
        collect_inputs(None, str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", 1),
        ("true", True),
        ("null", None),
        ('{"a": [1]}', {"a": [1]}),
        ('"x"', "x"),
        ("paid", "paid"),
        ("", ""),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("{", "{"),
        ("99999999999999999999", "99999999999999999999"),
    ],
)
def test_a_payload_is_json_if_it_can_be_else_text(word: str, value: object):
    assert json_or_text(word) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_is_typed_becomes_json(text: str):
    assert dumps(json_or_text(text))
