"""References: what parses, what does not and why, and what they give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.json import JsonValue
from trivium_dag.references import (
    BadReference,
    Reference,
    Root,
    Scope,
    Template,
    UnresolvedReference,
    compile_input,
    compile_value,
    parse,
    parse_path,
    steps_in,
    to_output,
)

SCOPE = Scope(
    inputs={"x": 1, "name": "Ana", "deep": {"a b": [1, {"c": None}]}, "none": None},
    outputs={"a": {"b": [{"c": 7}], "list": [1, 2]}, "a-b": "dash", "t": True, "f": 1.5},
    run_id="run-1",
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${{ inputs.x }}", 1),
        ("${{inputs.x}}", 1),
        ("${{ inputs }}", SCOPE.inputs),
        ("${{ inputs['deep']['a b'][1].c }}", None),
        ('${{ inputs.deep["a b"][0] }}', 1),
        ("${{ steps.a.output }}", SCOPE.outputs["a"]),
        ("${{ steps.a.output.b[0].c }}", 7),
        ("${{ steps['a-b'].output }}", "dash"),
        ('${{ steps["a-b"].output }}', "dash"),
        ('${{ steps["a"]["output"]["b"][0]["c"] }}', 7),
        ("${{ run.id }}", "run-1"),
        ("${{ steps.t.output }}", True),
    ],
)
def test_a_reference_alone_keeps_its_type(text, value):
    found = compile_value(text)(SCOPE)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Hello ${{ inputs.name }}!", "Hello Ana!"),
        ("${{ inputs.x }}${{ inputs.name }}", "1Ana"),
        (" ${{ inputs.x }}", " 1"),
        ("${{ inputs.x }}\n", "1\n"),
        ("v=${{ steps.a.output.list }}", "v=[1,2]"),
        ("v=${{ steps.a.output.b }}", 'v=[{"c":7}]'),
        ("v=${{ inputs.none }}", "v=null"),
        ("v=${{ steps.t.output }}", "v=true"),
        ("v=${{ steps.f.output }}", "v=1.5"),
        ("$ {{ x }} $${ }} {{ y }}", "$ {{ x }} $${ }} {{ y }}"),
        ("$${{ inputs.x }}", "$1"),
    ],
)
def test_a_reference_in_text_is_written_as_text(text, value):
    assert compile_value(text)(SCOPE) == value


def test_references_are_found_anywhere_in_a_value():
    value: JsonValue = {"a": ["${{ inputs.x }}", {"b": "n=${{ inputs.x }}"}], "c": 1, "d": [], "${{ inputs.x }}": 1}

    assert compile_value(value)(SCOPE) == {"a": [1, {"b": "n=1"}], "c": 1, "d": [], "${{ inputs.x }}": 1}


def test_arguments_are_a_new_object_every_time():
    fixed, moving = compile_input({"n": 1}), compile_input({"n": [1], "x": "${{ inputs.x }}"})

    fixed(SCOPE)["n"] = 2
    moving(SCOPE)["n"] = 2

    assert fixed(SCOPE) == {"n": 1}
    assert moving(SCOPE) == {"n": [1], "x": 1}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("${{ }}", "TRV-1125", "empty"),
        ("${{ inputs.x", "TRV-1125", "not closed"),
        ("${{ inputs['x }}", "TRV-1125", "not closed"),
        ("${{ inputs.x + 1 }}", "TRV-1126", "more than a path"),
        ("${{ size(steps.a.output) }}", "TRV-1126", "more than a path"),
        ("${{ !inputs.x }}", "TRV-1126", "more than a path"),
        ("${{ 'text' }}", "TRV-1126", "more than a path"),
        ("${{ 1 }}", "TRV-1126", "more than a path"),
        ("${{ true }}", "TRV-1126", "more than a path"),
        ("${{ steps.a-b.output }}", "TRV-1126", "more than a path"),
        ("${{ steps.a.output[-1] }}", "TRV-1126", "more than a path"),
        ("${{ steps.a.output[inputs.x] }}", "TRV-1126", "more than a path"),
        ("${{ input.x }}", "TRV-1125", "did you mean 'inputs'"),
        ("${{ env.HOME }}", "TRV-1125", "begins with none of"),
        ("${{ item }}", "TRV-1113", "not supported by this version"),
        ("${{ steps }}", "TRV-1125", "names no step"),
        ("${{ steps[0] }}", "TRV-1125", "names no step"),
        ("${{ steps.a }}", "TRV-1125", "steps.a.output"),
        ("${{ steps.a.outputs.x }}", "TRV-1125", "did you mean 'output'"),
        ("${{ steps.a.status }}", "TRV-1125", "only its output"),
        ("${{ inputs[0] }}", "TRV-1125", "names, not numbers"),
        ("${{ run.name }}", "TRV-1125", "only run.id"),
        ("${{ run }}", "TRV-1125", "only run.id"),
    ],
)
def test_what_is_no_reference_says_why(text, code, words):
    with pytest.raises(BadReference, match=words.replace(".", r"\.")) as raised:
        parse(f"text {text}")

    assert raised.value.code == code


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${{ steps.a.output.x }}", "the output of 'a' has no 'x'"),
        ("${{ steps.a.output.lisd }}", "did you mean 'list'?"),
        ("${{ steps.a.output.list[2] }}", "the output of 'a'.list is a list of 2"),
        ("${{ steps.a.output.list.x }}", "is a list of 2"),
        ("${{ steps.a.output.b[0].c.d }}", "the output of 'a'.b[0].c is 7"),
        ("${{ inputs.none.x }}", "inputs.none is null"),
        ("${{ steps.t.output[0] }}", "is true"),
        ("${{ inputs.name[0] }}", 'is "Ana"'),
    ],
)
def test_a_reference_that_leads_to_nothing_says_how_far_it_came(text, words):
    with pytest.raises(UnresolvedReference) as raised:
        compile_value(text)(SCOPE)

    assert raised.value.code == "TRV-4101"
    assert words in str(raised.value)
    assert text in str(raised.value)


def test_braces_within_quotes_do_not_close():
    assert parse("${{ steps['}}'].output }}") == Reference(Root.STEPS, "}}", (), "steps['}}'].output")


def test_a_template_knows_its_parts():
    parsed = parse("a ${{ inputs.x }} b")

    assert isinstance(parsed, Template)
    assert parsed.parts == ("a ", Reference(Root.INPUTS, "x", (), "inputs.x"), " b")


def test_steps_in_a_value_are_found():
    value = {"a": ["${{ steps.x.output }} ${{ steps['y-z'].output.q }}"], "b": "${{ inputs.i }}"}

    assert list(steps_in(value)) == ["x", "y-z"]


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: not set(text) & set("\"'\\"))


@given(NAMES, st.lists(NAMES, max_size=3))
def test_a_spelled_reference_parses_to_what_it_spells(step, path):
    found = parse(to_output(step, *path))

    assert isinstance(found, Reference)
    assert (found.name, found.path) == (step, tuple(path))


def reference_or_reason(text: str) -> Reference | str:
    try:
        return parse_path(text)
    except BadReference as error:
        return str(error)


@given(st.text(max_size=60))
def test_any_path_parses_or_says_why(text):
    assert reference_or_reason(text)
