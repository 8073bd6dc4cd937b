"""The Dagger dialect: its own files as they are, and what it makes of others."""

from pathlib import Path

import pytest

from trivium.model.policies import Backoff, Retry
from trivium_dag import FlowDriver, load_flow

CASES = Path(__file__).parent / "cases"


def node(**more: str) -> str:
    keys = {"id": "n", "action": "act"} | more
    return "name: f\nnodes:\n  - " + "\n    ".join(f"{key}: {value}" for key, value in keys.items())


async def test_the_first_example_gives_its_results(everything, scripted, dagger_actions):
    driver = FlowDriver()
    context = scripted(driver.prepare(CASES / "pipeline.yaml", {"num1": 10, "num2": 20}, everything), dagger_actions)

    outputs = await driver.drive(context)

    assert outputs == {
        "node1": {"sum": 30},
        "node2": {"squared_result": 900},
        "node3": {"tripled_result": 2700, "test_string": "example_string"},
    }
    assert context.recorded["node1"] == {"sum": 30}
    assert context.recorded == outputs


async def test_the_parallel_example_gives_its_results(everything, scripted, dagger_actions):
    driver = FlowDriver()
    prepared = driver.prepare(CASES / "pipeline_parallel.yaml", {"num1": 10, "num2": 20}, everything)
    context = scripted(prepared, dagger_actions)

    outputs = await driver.drive(context)

    assert outputs == {
        "node1": {"sum": 30},
        "node2a": {"squared_result": 900},
        "node2b": {"tripled_result": 90, "test_string": "example_string"},
        "node3": {"sum": 990},
    }
    assert context.waves == [["node1"], ["node2a", "node2b"], ["node2b"], ["node3"]]
    assert len(context.calls) == 4


async def test_the_sequential_example_runs_in_order_with_one_attempt_each(everything, scripted, dagger_actions):
    driver = FlowDriver()
    context = scripted(driver.prepare(CASES / "sequential.yaml", {}, everything), dagger_actions)

    outputs = await driver.drive(context)

    assert context.calls == [("node1", {}), ("node2", {"input": "start."}), ("node3", {"input": "start.."})]
    assert outputs == {"node1": {"output": "start."}, "node2": {"output": "start.."}, "node3": {"output": "start..."}}
    assert {retry.max_attempts for retry in context.retries.values()} == {1}


def test_policies_come_from_the_file():
    node1, node2, node3 = load_flow(CASES / "pipeline.yaml").steps

    assert (node1.timeout, node2.timeout) == (3600.0, 1800.0)
    assert node1.retry == Retry(max_attempts=3, backoff=Backoff.FIXED, initial=0.0, jitter=False)
    assert node2.retry is not None
    assert node2.retry.max_attempts == 1  # onfailure: false
    assert node3.outputs == ("tripled_result", "test_string")


def test_inputs_that_are_referred_to_are_those_of_the_flow():
    flow = load_flow(CASES / "pipeline.yaml")

    assert flow.inputs == {"num1": {}, "num2": {}}
    assert (flow.name, flow.version, flow.tags) == ("infolder", "0.0.1", ("infolder", "physics"))


def test_failure_functions_are_warnings():
    flow = load_flow(CASES / "pipeline.yaml")

    assert [(one.code, one.line, one.warning) for one in flow.warnings] == [
        ("TRV-1131", 23, True), ("TRV-1131", 39, True), ("TRV-1131", 57, True),
    ]  # fmt: skip
    assert load_flow(CASES / "sequential.yaml").warnings == ()


def test_keys_without_meaning_here_are_warnings(write):
    flow = load_flow(write(node(priority="3") + "\nowner: me"))

    assert [(one.code, one.line) for one in flow.warnings] == [("TRV-1132", 5), ("TRV-1132", 6)]


def test_a_node_without_outputs_has_one_called_output(write):
    text = node() + "\n  - {id: m, action: act, inputs: [{name: x, reference: n.output}]}"

    flow = load_flow(write(text))

    assert flow.steps[0].outputs == ("output",)
    assert flow.steps[1].arguments == {"x": "${{ steps.n.output.output }}"}


def test_a_node_without_try_count_keeps_the_policy_of_its_action(write):
    assert load_flow(write(node())).steps[0].retry is None


def test_names_that_are_no_identifiers_are_reached(write):
    text = """
nodes:
  - {id: load-1.a, action: act, outputs: [{name: row count}]}
  - {id: b, action: act, inputs: [{name: x, reference: load-1.a.row count}]}
"""

    flow = load_flow(write(text))

    assert flow.steps[1].arguments == {"x": '${{ steps["load-1.a"].output["row count"] }}'}
    assert flow.outputs == {"load-1.a": '${{ steps["load-1.a"].output }}', "b": "${{ steps.b.output }}"}


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("nodes: []", "TRV-1114", 1, 1),
        ("nodes: [1]", "TRV-1115", 1, 9),
        ("nodes: [{action: a}]", "TRV-1114", 1, 9),
        ("nodes: [{id: a}]", "TRV-1114", 1, 9),
        ("nodes: [{id: 'a\"b', action: a}]", "TRV-1116", 1, 14),
        ("nodes: [{id: a, action: a}, {id: a, action: a}]", "TRV-1120", 1, 34),
        ("nodes: [{id: a, action: a, dependencies: [b]}]", "TRV-1121", 1, 43),
        ("nodes: [{id: a, action: a, dependencies: [a]}]", "TRV-1123", 1, 14),
        ("nodes: [{id: a, action: a, timeout: x}]", "TRV-1117", 1, 37),
        ("nodes: [{id: a, action: a, try_count: 0}]", "TRV-1115", 1, 39),
        ("nodes: [{id: a, action: a, onfailure: 1}]", "TRV-1115", 1, 39),
        ("nodes: [{id: a, action: a, inputs: [{name: x}]}]", "TRV-1114", 1, 37),
        ("nodes: [{id: a, action: a, inputs: [{reference: inputs.x}]}]", "TRV-1114", 1, 37),
        ("nodes: [{id: a, action: a, inputs: [{name: x, reference: nothing}]}]", "TRV-1125", 1, 58),
        ("nodes: [{id: a, action: a, inputs: [{name: x, reference: b.out}]}]", "TRV-1121", 1, 58),
        ("nodes: [{id: a, action: a, inputs: [3]}]", "TRV-1115", 1, 37),
        (
            "nodes: [{id: a, action: a, outputs: [{name: sum}]},\n"
            " {id: b, action: a, inputs: [{name: x, reference: a.sun}]}]",
            "TRV-1130", 2, 51,
        ),
        (
            "nodes: [{id: a, action: a, inputs: [{name: x, reference: inputs.x},\n"
            " {name: x, reference: inputs.y}]}]",
            "TRV-1120", 2, 9,
        ),
    ],
)  # fmt: skip
def test_each_mistake_has_its_code_and_place(problems_of, text, code, line, column):
    (problem,) = problems_of(text)

    assert (problem.code, problem.line, problem.column) == (code, line, column)
