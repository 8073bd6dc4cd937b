"""The native format: what it means, and every mistake with its code and place."""

import json

import pytest

from trivium.model.policies import Backoff, Retry
from trivium.testing import calls_counted
from trivium_dag import Flow, load_flow
from trivium_dag.loading import load_bytes
from trivium_dag.native import FLOW_KEYS_LATER, INPUT_KEYS_LATER, STEP_KEYS_LATER

WHOLE = """
trivium: 1
name: data_pipeline
version: 1.2.3
description: Moves customers.
tags: [etl, nightly]
inputs:
  source_db: {type: string}
  target_table: {type: string, default: customers_clean, description: Where to}
  limit: integer
steps:
  - id: extract
    name: Extract
    description: Reads
    uses: extract_customers
    with: {source_db: "${{ inputs.source_db }}", limit: "${{ inputs.limit }}"}
    timeout: 5m
    total_timeout: 1h
    retry: {max_attempts: 3, backoff: exponential, initial: 1s, maximum: 1m, jitter: true}
  - id: transform
    uses: clean_and_transform
    with: {data: "${{ steps.extract.output.raw_data }}"}
  - id: load
    needs: [transform]
    uses: load_to_warehouse
    with: {data: "${{ steps.transform.output }}", table: "${{ inputs.target_table }}"}
outputs:
  loaded: ${{ steps.load.output.loaded_count }}
timeout: PT2H
max_parallel: 4
"""


def flow_with(step: str = "", top: str = "") -> str:
    return f"trivium: 1\nname: f\n{top}\nsteps:\n  - id: a\n    uses: act\n{step}\n"


def test_the_whole_of_the_format_is_read(write):
    flow = load_flow(write(WHOLE))

    assert (flow.name, flow.version, flow.description, flow.tags) == (
        "data_pipeline", "1.2.3", "Moves customers.", ("etl", "nightly"),
    )  # fmt: skip
    assert (flow.timeout, flow.max_parallel) == (7200.0, 4)
    assert flow.inputs == {
        "source_db": {"type": "string"},
        "target_table": {"type": "string", "default": "customers_clean", "description": "Where to"},
        "limit": {"type": "integer"},
    }
    extract, transform, load = flow.steps
    assert (extract.id, extract.uses, extract.name, extract.description) == (
        "extract", "extract_customers", "Extract", "Reads",
    )  # fmt: skip
    assert (extract.timeout, extract.total_timeout) == (300.0, 3600.0)
    assert extract.retry == Retry(max_attempts=3, backoff=Backoff.EXPONENTIAL, initial=1.0, maximum=60.0, jitter=True)
    assert transform.arguments == {"data": "${{ steps.extract.output.raw_data }}"}
    assert transform.retry is None
    assert load.needs == ("transform",)
    assert flow.outputs == {"loaded": "${{ steps.load.output.loaded_count }}"}
    assert flow.actions == {"extract_customers", "clean_and_transform", "load_to_warehouse"}
    assert flow.warnings == ()


def test_the_same_flow_as_json_is_the_same_definition(write, read):
    yaml_flow = load_flow(write(WHOLE))
    json_flow = load_flow(write(json.dumps(read(WHOLE).value, indent=2), "flow.json"))

    assert json_flow == yaml_flow
    assert json_flow.definition == yaml_flow.definition


def test_a_flow_without_a_name_is_called_like_its_file(write):
    assert load_flow(write("trivium: 1\nsteps: [{id: a, uses: b}]", "nightly.yaml")).name == "nightly"


def test_inputs_may_be_a_list_of_names(write):
    flow = load_flow(write(flow_with('    with: {x: "${{ inputs.n }}"}', "inputs: [n, m]")))

    assert flow.inputs == {"n": {}, "m": {}}


def test_needs_may_be_one_name(write):
    flow = load_flow(write(flow_with("  - {id: b, uses: act, needs: a}")))

    assert flow.steps[1].needs == ("a",)


def test_keys_without_a_value_count_as_absent(write):
    flow = load_flow(
        write("trivium: 1\nname:\ninputs:\nsteps: [{id: a, uses: b, with: , needs: , retry: , timeout: }]")
    )

    assert flow.steps[0].arguments == {}


def test_a_version_may_be_a_whole_number(write):
    assert load_flow(write(flow_with(top="version: 7"))).version == "7"


@pytest.mark.parametrize(
    ("retry", "found"),
    [
        ("{max_attempts: 3}", Retry(max_attempts=3)),
        (
            "{max_attempts: 2, backoff: fixed, initial: 0, jitter: false}",
            Retry(max_attempts=2, backoff="fixed", initial=0, jitter=False),
        ),
        (
            "{max_attempts: 5, on: [timeout, ValueError], never: KeyError}",
            Retry(max_attempts=5, on=("timeout", "ValueError"), never=("KeyError",)),
        ),
        (
            "{max_attempts: 5, backoff: linear, initial: 2.5, maximum: 1h30m}",
            Retry(max_attempts=5, backoff="linear", initial=2.5, maximum=5400),
        ),
    ],
)
def test_retry_is_read(write, retry, found):
    assert load_flow(write(flow_with(f"    retry: {retry}"))).steps[0].retry == found


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("steps: [{id: a, uses: b}]", "TRV-1111", 1, 1),
        ("trivium: 2\nsteps: [{id: a, uses: b}]", "TRV-1111", 1, 10),
        ("trivium: true\nsteps: [{id: a, uses: b}]", "TRV-1111", 1, 10),
        ("trivium: 1\nname: f", "TRV-1114", 1, 1),
        ("trivium: 1\nsteps: []", "TRV-1114", 1, 1),
        ("trivium: 1\nsteps: {a: {uses: b}}", "TRV-1115", 2, 8),
        ("trivium: 1\nsteps: a", "TRV-1115", 2, 8),
        ("trivium: 1\nsteps: [a]", "TRV-1115", 2, 9),
        ("trivium: 1\nname: [x]\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 7),
        ("trivium: 1\nname: ' x'\nsteps: [{id: a, uses: b}]", "TRV-1116", 2, 7),
        ("trivium: 1\nversion: 1.10\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 10),
        ("trivium: 1\ntags: [1]\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 8),
        ("trivium: 1\nmax_parallel: 0\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 15),
        ("trivium: 1\ntimeout: soon\nsteps: [{id: a, uses: b}]", "TRV-1117", 2, 10),
        ("trivium: 1\ntimeout: 0s\nsteps: [{id: a, uses: b}]", "TRV-1117", 2, 10),
        ("trivium: 1\nstpes: []\nsteps: [{id: a, uses: b}]", "TRV-1112", 2, 1),
        ("trivium: 1\nsteps: [{uses: b}]", "TRV-1114", 2, 9),
        ("trivium: 1\nsteps: [{id: a}]", "TRV-1114", 2, 9),
        ("trivium: 1\nsteps: [{id: a-b, uses: b}]", "TRV-1116", 2, 14),
        ("trivium: 1\nsteps: [{id: 1, uses: b}]", "TRV-1116", 2, 14),
        ("trivium: 1\nsteps: [{id: a, uses: b, with: [1]}]", "TRV-1115", 2, 32),
        ("trivium: 1\nsteps: [{id: a, uses: b, needs: [1]}]", "TRV-1115", 2, 34),
        ("trivium: 1\nsteps: [{id: a, uses: b, user: c}]", "TRV-1112", 2, 26),
        ("trivium: 1\nsteps: [{id: a, uses: b, retry: 3}]", "TRV-1115", 2, 33),
        ("trivium: 1\nsteps: [{id: a, uses: b, retry: {initial: 1s}}]", "TRV-1114", 2, 33),
        ("trivium: 1\nsteps: [{id: a, uses: b, retry: {max_attempts: 2, backof: x}}]", "TRV-1112", 2, 51),
        ("trivium: 1\nsteps: [{id: a, uses: b, retry: {max_attempts: 2, backoff: x}}]", "TRV-1115", 2, 60),
        ("trivium: 1\nsteps: [{id: a, uses: b, retry: {max_attempts: 2, initial: x}}]", "TRV-1117", 2, 60),
        ("trivium: 1\nsteps: [{id: a, uses: b, retry: {max_attempts: 2, initial: 9, maximum: 1}}]", "TRV-1115", 2, 33),
        ("trivium: 1\nsteps: [{id: a, uses: b, retry: {max_attempts: 2, on: [schema]}}]", "TRV-1115", 2, 33),
        ("trivium: 1\nsteps: [{id: a, uses: b}, {id: a, uses: b}]", "TRV-1120", 2, 32),
        ("trivium: 1\nsteps: [{id: a, uses: b, needs: c}]", "TRV-1121", 2, 33),
        ("trivium: 1\nsteps: [{id: a, uses: b, with: {x: ['${{ steps.c.output }}']}}]", "TRV-1121", 2, 37),
        ("trivium: 1\nsteps: [{id: a, uses: b}]\noutputs: {x: '${{ steps.c.output }}'}", "TRV-1121", 3, 14),
        ("trivium: 1\nsteps: [{id: a, uses: b}]\noutputs: [a]", "TRV-1115", 3, 10),
        ("trivium: 1\nsteps: [{id: a, uses: b, with: {x: '${{ inputs.c }}'}}]", "TRV-1122", 2, 36),
        ("trivium: 1\nsteps: [{id: a, uses: b, needs: a}]", "TRV-1123", 2, 14),
        ("trivium: 1\nsteps: [{id: a, uses: b, with: {x: '${{ steps.a.output }}'}}]", "TRV-1123", 2, 14),
        ("trivium: 1\nsteps: [{id: a, uses: b, with: {x: '${{ a + 1 }}'}}]", "TRV-1126", 2, 36),
        ("trivium: 1\nsteps: [{id: a, uses: b, with: {x: '@env:TOKEN'}}]", "TRV-1113", 2, 36),
        ("trivium: 1\ninputs: {x: {type: str}}\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 20),
        ("trivium: 1\ninputs: {x: str}\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 13),
        ("trivium: 1\ninputs: {x: 1}\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 13),
        ("trivium: 1\ninputs: {x: {typ: string}}\nsteps: [{id: a, uses: b}]", "TRV-1112", 2, 14),
        ("trivium: 1\ninputs: {x: {enum: []}}\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 20),
        ("trivium: 1\ninputs: {x: {required: 1}}\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 24),
        ("trivium: 1\ninputs: {x: {minLength: a}}\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 25),
        ("trivium: 1\ninputs: {x: {type: integer, default: a}}\nsteps: [{id: a, uses: b}]", "TRV-1127", 2, 38),
        ("trivium: 1\ninputs: {x: {items: {type: int}}}\nsteps: [{id: a, uses: b}]", "TRV-1115", 2, 28),
        ("trivium: 1\ninputs: {'': string}\nsteps: [{id: a, uses: b}]", "TRV-1116", 2, 10),
        ("a: 1", "TRV-1110", 1, 1),
        ("- trivium: 1", "TRV-1110", 1, 1),
        ("text", "TRV-1110", 1, 1),
        ("nodes: [{id: a, kind: x}]", "TRV-1113", 1, 1),
        ("nodes: [{id: a, function: x}]\nedges: []\nstart_node: a", "TRV-1113", 1, 1),
    ],
)  # fmt: skip
def test_each_mistake_has_its_code_and_place(problems_of, text, code, line, column):
    (problem,) = problems_of(text)

    assert (problem.code, problem.line, problem.column) == (code, line, column)


@pytest.mark.parametrize("key", STEP_KEYS_LATER)
def test_a_key_of_a_later_version_is_not_taken_for_a_misspelt_one(problems_of, key):
    (problem,) = problems_of(flow_with(f"    {key}: x"))

    assert problem.code == "TRV-1113"
    assert problem.message == f"{key!r} of step 'a' is not supported by this version"


@pytest.mark.parametrize("key", FLOW_KEYS_LATER)
def test_so_is_one_of_the_flow(problems_of, key):
    (problem,) = problems_of(flow_with(top=f"{key}: x"))

    assert (problem.code, problem.line) == ("TRV-1113", 3)


@pytest.mark.parametrize("key", INPUT_KEYS_LATER)
def test_so_is_one_of_an_input(problems_of, key):
    (problem,) = problems_of(flow_with(top=f"inputs: {{x: {{{key}: 1}}}}"))

    assert problem.code == "TRV-1113"


def test_a_step_of_a_later_form_needs_no_uses(problems_of):
    (problem,) = problems_of("trivium: 1\nsteps: [{id: nap, sleep: 4s}]")

    assert problem.code == "TRV-1113"


def test_all_problems_of_a_file_are_told_at_once_in_their_order(problems_of):
    problems = problems_of("trivium: 1\nnmae: x\nsteps:\n- {id: a, use: x}\n- {id: b, uses: x, needs: c}\ntimeout: x\n")

    assert [(one.line, one.code) for one in problems] == [
        (2, "TRV-1112"), (4, "TRV-1114"), (4, "TRV-1112"), (5, "TRV-1121"), (6, "TRV-1117"),
    ]  # fmt: skip
    assert "did you mean 'name'?" in problems[0].message


def test_a_cycle_names_the_steps_on_it(problems_of):
    text = "trivium: 1\nsteps:\n" + "".join(
        f"- {{id: {name}, uses: x, needs: [{need}]}}\n"
        for name, need in [("a", ""), ("b", "'a', d"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "g"), ("g", "f")]
    )

    problems = problems_of(text)

    assert [(one.code, one.line, one.message) for one in problems] == [
        ("TRV-1123", 4, "these steps wait for each other: b -> d -> c -> b"),
        ("TRV-1123", 8, "these steps wait for each other: f -> g -> f"),
    ]


def test_problems_without_end_are_cut(problems_of):
    problems = problems_of("trivium: 1\n" + "".join(f"k{n}: 1\n" for n in range(500)) + "steps: [{id: a, uses: b}]")

    assert len(problems) == 101
    assert problems[-1].code == "TRV-1199"


def test_a_reference_in_outputs_makes_no_dependency(write):
    flow = load_flow(write(flow_with("outputs: {x: '${{ steps.a.output }}'}")))

    assert flow.steps[0].needs == ()
    assert isinstance(flow, Flow)


def calls_to_load(count: int) -> int:
    lines = ["  - {id: s0, uses: act}"]
    for n in range(1, count):
        lines += [f"  - id: s{n}", "    uses: act", f"    with: {{n: {n}, x: '${{{{ steps.s{n - 1}.output }}}}'}}"]
    data = "\n".join(["trivium: 1", "name: f", "steps:", *lines]).encode()

    with calls_counted() as calls:
        loaded = load_bytes(data, "flow.yaml")

    assert len(loaded.flow.steps) == count
    return calls.count


def test_four_times_the_steps_take_about_four_times_the_work_to_load():
    calls_to_load(2)  # imports what is imported late

    assert calls_to_load(1_000) < 5 * calls_to_load(250)
