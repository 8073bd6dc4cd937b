"""Flows on the real engine, over the in-memory storage."""

from pathlib import Path

import anyio
import pytest

from trivium.app import Trivium
from trivium.errors import DefinitionError, RunFailed
from trivium.json import loads
from trivium.model.context import StepContext
from trivium.model.states import RunStatus, StepStatus
from trivium_dag import load_flow

CASES = Path(__file__).parent / "cases"


def add_numbers(num1: float, num2: float) -> float:
    return num1 + num2


async def square_number(input: float) -> float:
    return input * input


def triple_number_and_add_string(input: float) -> dict[str, object]:
    return {"tripled_result": input * 3, "test_string": "example_string"}


def app_with(*actions) -> Trivium:
    return Trivium("memory:", actions=actions)


async def test_the_first_dagger_example_runs():
    async with app_with(add_numbers, square_number, triple_number_and_add_string) as app:
        run = await app.start(CASES / "pipeline.yaml", {"num1": 10, "num2": 20})
        outputs = await run.result()
        journal = (await run.snapshot()).entries

    assert outputs == {
        "node1": {"sum": 30},
        "node2": {"squared_result": 900},
        "node3": {"tripled_result": 2700, "test_string": "example_string"},
    }
    assert {entry.key: loads(entry.output or "") for entry in journal} == outputs


async def test_the_branches_of_the_parallel_dagger_example_are_under_way_at_once():
    both = {"node2a": anyio.Event(), "node2b": anyio.Event()}

    async def meet(me: str, other: str) -> None:
        both[me].set()
        await both[other].wait()

    async def square_number(input: float) -> float:
        await meet("node2a", "node2b")
        return input * input

    async def triple_number_and_add_string(input: float) -> dict[str, object]:
        await meet("node2b", "node2a")
        return {"tripled_result": input * 3, "test_string": "example_string"}

    async with app_with(add_numbers, square_number, triple_number_and_add_string) as app:
        run = await app.start(CASES / "pipeline_parallel.yaml", {"num1": 10, "num2": 20})
        outputs = await run.result()
        journal = (await run.snapshot()).entries

    assert outputs == {
        "node1": {"sum": 30},
        "node2a": {"squared_result": 900},
        "node2b": {"tripled_result": 90, "test_string": "example_string"},
        "node3": {"sum": 990},
    }
    assert [(entry.key, entry.attempts) for entry in journal] == [
        ("node1", 1), ("node2a", 1), ("node2b", 1), ("node3", 1),
    ]  # fmt: skip


async def test_the_sequential_dagger_example_runs_in_order():
    messages = []

    async def print_message(input: str | None = None) -> str:
        messages.append(input)
        return f"message {len(messages)}"

    async with app_with(print_message) as app:
        run = await app.start(CASES / "sequential.yaml")
        outputs = await run.result()

    assert messages == [None, "message 1", "message 2"]
    assert outputs == {name: {"output": f"message {n}"} for n, name in enumerate(["node1", "node2", "node3"], start=1)}


async def test_a_dagger_node_is_tried_as_often_as_it_says():
    tries = []

    async def square_number(input: float) -> float:
        raise ValueError("never again")

    async def add_numbers(num1: float, num2: float) -> float:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return num1 + num2

    async with app_with(add_numbers, square_number, triple_number_and_add_string) as app:
        run = await app.start(CASES / "pipeline.yaml", {"num1": 1, "num2": 2})
        with pytest.raises(RunFailed, match="step 'node2' failed: never again"):
            await run.result()
        journal = (await run.snapshot()).entries

    assert [(entry.key, entry.status, entry.attempts) for entry in journal] == [
        ("node1", StepStatus.COMPLETED, 3),
        ("node2", StepStatus.FAILED, 1),  # onfailure: false
    ]


NATIVE = """
trivium: 1
name: native
inputs:
  who: string
  times: {type: integer, default: 2}
steps:
  - id: greet
    uses: greet
    with: {text: "Hello ${{ inputs.who }}, run ${{ run.id }}", times: "${{ inputs.times }}"}
  - id: count
    uses: count
    with: {texts: "${{ steps.greet.output.texts }}", last: "${{ steps.greet.output.texts[1] }}"}
  - id: report
    needs: [count]
    uses: report
outputs:
  count: ${{ steps.count.output }}
  report: ${{ steps.report.output }}
  text: ${{ steps.count.output }} of ${{ inputs.times }}
"""


async def test_a_native_flow_runs(write):
    def greet(text: str, times: int) -> dict[str, list[str]]:
        return {"texts": [text] * times}

    async def count(texts: list[str], last: str) -> int:
        assert texts[1] == last
        texts.clear()  # what an action does with its input is its own affair
        return 2

    def report(context: StepContext) -> list[str]:
        outputs = dict(context.outputs)
        return [f"{name}={len(str(outputs[name]))}" for name in outputs]

    async with app_with(greet, count, report) as app:
        run = await app.start(write(NATIVE), {"who": "Ana"})
        outputs = await run.result()

    greeting = str({"texts": [f"Hello Ana, run {run.id}"] * 2})
    assert outputs == {"count": 2, "report": [f"greet={len(greeting)}", "count=1"], "text": "2 of 2"}


async def test_a_failure_stops_what_runs_beside_it(write):
    began, stopped = anyio.Event(), anyio.Event()

    async def hang() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    async def fail() -> None:
        await began.wait()
        raise RuntimeError("out of luck")

    async def never() -> None:
        raise AssertionError("a step after a failed one was called")

    text = """
trivium: 1
name: f
steps:
  - {id: a, uses: hang}
  - {id: b, uses: fail}
  - {id: c, uses: never, needs: [a, b]}
"""
    async with app_with(hang, fail, never) as app:
        run = await app.start(write(text))
        with pytest.raises(RunFailed, match="step 'b' failed: out of luck"):
            await run.result()
        await stopped.wait()
        snapshot = await run.snapshot()

    assert snapshot.run.status is RunStatus.FAILED
    assert "c" not in {entry.key for entry in snapshot.entries}


async def test_a_reference_that_leads_to_nothing_fails_the_run_with_the_reason(write):
    async def act() -> dict[str, int]:
        return {"rows": 1}

    text = """
trivium: 1
name: f
steps:
  - {id: a, uses: act}
  - {id: b, uses: act, with: {x: "${{ steps.a.output.row }}"}}
"""
    async with app_with(act) as app:
        run = await app.start(write(text))
        with pytest.raises(RunFailed, match="did you mean 'rows'") as raised:
            await run.result()

    assert raised.value.failure_code == "TRV-4101"


async def test_no_more_steps_run_at_once_than_max_parallel(write):
    under_way, most = set(), []

    async def act(n: int) -> None:
        under_way.add(n)
        most.append(len(under_way))
        await anyio.lowlevel.checkpoint()
        under_way.discard(n)

    steps = "\n".join(f"  - {{id: s{n}, uses: act, with: {{n: {n}}}}}" for n in range(20))
    async with app_with(act) as app:
        run = await app.start(write(f"trivium: 1\nname: f\nmax_parallel: 3\nsteps:\n{steps}"))
        await run.result()

    assert len(most) == 20
    assert max(most) == 3


async def test_a_flow_whose_actions_are_unknown_does_not_start(write):
    async with app_with() as app:
        with pytest.raises(DefinitionError, match="TRV-1124"):
            await app.start(write(NATIVE), {"who": "Ana"})

        assert await app.runs() == []


async def test_a_loaded_flow_can_be_started_again_and_again(write):
    async def act(n: int) -> int:
        return n + 1

    text = "trivium: 1\nname: f\ninputs: [n]\nsteps: [{id: a, uses: act, with: {n: '${{ inputs.n }}'}}]"
    flow = load_flow(write(text))
    async with app_with(act) as app:
        runs = [await app.start(flow, {"n": n}) for n in range(5)]
        outputs = [await run.result() for run in runs]

    assert outputs == [{"a": n + 1} for n in range(5)]


@pytest.mark.parametrize("chain", [True, False], ids=["chain", "fan-out"])
async def test_a_flow_of_a_thousand_steps_runs(write, chain):
    async def act(before: int = 0) -> int:
        return before + 1

    lines = ["  - {id: s0, uses: act}"]
    for n in range(1, 1000):
        before = f"s{n - 1}" if chain else "s0"
        lines.append(f"  - {{id: s{n}, uses: act, with: {{before: '${{{{ steps.{before}.output }}}}'}}}}")
    text = "\n".join(["trivium: 1", "name: f", "steps:", *lines, "outputs: {last: '${{ steps.s999.output }}'}"])
    async with app_with(act) as app:
        run = await app.start(write(text))

        assert await run.result() == {"last": 1000 if chain else 2}


async def test_a_retried_flow_goes_on_where_it_failed(write):
    calls: list[str] = []

    async def first() -> int:
        calls.append("first")
        return 7

    async def second(n: int) -> int:
        calls.append("second")
        if calls.count("second") == 1:
            raise RuntimeError("not yet")
        return n + 1

    text = """
trivium: 1
name: f
steps:
  - {id: a, uses: first}
  - {id: b, uses: second, with: {n: "${{ steps.a.output }}"}}
"""
    async with app_with(first, second) as app:
        run = await app.start(write(text))
        with pytest.raises(RunFailed):
            await run.result()
        await run.retry()
        outputs = await run.result()

    assert outputs == {"b": 8}
    assert calls == ["first", "second", "second"]
