"""The pure state of a run: order, limits, the end, and a cost that stays linear."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.json import JsonValue
from trivium.testing import calls_counted
from trivium_dag import Flow, Step, UnresolvedReference
from trivium_dag.plan import compile_flow, shape_for
from trivium_dag.state import Progress


@st.composite
def graphs(draw):
    """Flows without cycles, of needs and of references, in an order of steps that is not that of the graph."""
    count = draw(st.integers(1, 12))
    order = draw(st.permutations(range(count)))
    steps = []
    for number in range(count):
        before = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else []
        needs = tuple(f"s{one}" for one in before if one % 2)
        arguments = {f"a{one}": f"${{{{ steps.s{one}.output }}}}" for one in before if not one % 2}
        steps.append(Step(id=f"s{number}", uses="act", needs=needs, arguments=arguments))
    limit = draw(st.none() | st.integers(1, 4))
    return Flow(name="f", steps=tuple(steps[number] for number in order), max_parallel=limit)


def waits_of(flow):
    return {step.id: {*step.needs, *(f"s{key[1:]}" for key in step.arguments)} for step in flow.steps}


def start(flow, inputs=None):
    return Progress(compile_flow(flow), inputs or {}, "run-1")


@given(graphs(), st.randoms(use_true_random=False))
def test_every_step_begins_once_after_what_it_waits_for_and_within_the_limit(flow, chance: random.Random):
    progress, waits = start(flow), waits_of(flow)
    begun: list[str] = []
    running: list[str] = []
    ended: list[str] = []
    while not progress.done:
        for step in progress.take():
            assert waits[step.id] <= set(ended)
            begun.append(step.id)
            running.append(step.id)
        assert len(running) <= (flow.max_parallel or len(flow.steps))
        ready = {name for name in waits if name not in begun and waits[name] <= set(ended)}
        assert not ready or len(running) == flow.max_parallel
        name = running.pop(chance.randrange(len(running)))
        progress.complete(name, name)
        ended.append(name)

    assert sorted(begun) == sorted(waits)


@given(graphs())
def test_only_the_last_completion_would_finish(flow):
    progress = start(flow)
    running = []
    told = []
    while not progress.done:
        running += [step.id for step in progress.take()]
        told += [len(running) == 1 and progress.would_finish(running[0])]
        progress.complete(running.pop(0), None)

    assert told == [False] * (len(told) - 1) + [True]


@given(graphs())
def test_the_outputs_told_before_the_end_are_those_after_it(flow):
    progress = start(flow)
    foretold = []
    while not progress.done:
        for step in progress.take():
            if progress.would_finish(step.id):
                foretold.append(progress.outputs_with(step.id, step.id))
            progress.complete(step.id, step.id)

    assert foretold == [progress.outputs()]


def test_steps_that_are_ready_begin_in_the_order_of_the_file():
    names = ["z", "b", "m", "a"]
    progress = start(Flow(name="f", steps=tuple(Step(id=name, uses="act") for name in names)))

    assert [step.id for step in progress.take()] == names
    assert progress.take() == []


def test_the_order_of_the_file_holds_under_a_limit():
    steps = (
        Step(id="late", uses="act", needs=("x",)),
        Step(id="x", uses="act"),
        Step(id="y", uses="act"),
        Step(id="z", uses="act"),
    )
    progress = start(Flow(name="f", steps=steps, max_parallel=2))

    first = [step.id for step in progress.take()]
    progress.complete("x", None)
    second = [step.id for step in progress.take()]

    assert (first, second) == (["x", "y"], ["late"])


def test_arguments_come_from_inputs_outputs_and_the_run():
    arguments: dict[str, JsonValue] = {
        "x": "${{ inputs.x }}",
        "y": "${{ steps.a.output.n }}",
        "run": "${{ run.id }}",
        "z": [1],
    }
    flow = Flow(name="f", steps=(Step(id="a", uses="act"), Step(id="b", uses="act", arguments=arguments)))
    progress = start(flow, {"x": None})
    progress.take()
    progress.complete("a", {"n": 5})

    (b,) = progress.take()

    assert progress.arguments(b) == {"x": None, "y": 5, "run": "run-1", "z": [1]}


def test_the_outputs_are_those_of_the_leaves_unless_declared():
    steps = (
        Step(id="a", uses="act"),
        Step(id="b", uses="act", needs=("a",)),
        Step(id="c", uses="act", arguments={"x": "${{ steps.a.output }}"}),
    )
    leaves = start(Flow(name="f", steps=steps))
    declared = start(Flow(name="f", steps=steps, outputs={"sum": "${{ steps.a.output }}", "fixed": [1]}))
    for progress in (leaves, declared):
        while not progress.done:
            for step in progress.take():
                progress.complete(step.id, f"of {step.id}")

    assert leaves.outputs() == {"b": "of b", "c": "of c"}
    assert declared.outputs() == {"sum": "of a", "fixed": [1]}


def test_an_output_that_is_not_there_is_told():
    flow = Flow(name="f", steps=(Step(id="a", uses="act"),), outputs={"x": "${{ steps.a.output.x }}"})
    progress = start(flow)
    progress.take()

    with pytest.raises(UnresolvedReference):
        progress.outputs_with("a", {"y": 1})


def test_what_came_before_is_near_and_far_but_nothing_beside():
    steps = (
        Step(id="c", uses="act", needs=("b",)),
        Step(id="b", uses="act", arguments={"x": "${{ steps.a.output }}"}),
        Step(id="a", uses="act"),
        Step(id="other", uses="act"),
    )
    progress = start(Flow(name="f", steps=steps))
    outputs = {"a": [1], "b": [2], "other": [3]}
    progress.take()
    for name, output in outputs.items():
        progress.complete(name, output)
        progress.take()

    found = progress.before("c")
    found["a"].append("changed")

    assert list(progress.before("c").items()) == [("b", [2]), ("a", [1])]


@pytest.mark.parametrize(
    ("names", "value", "shaped"),
    [
        (("sum",), 30, {"sum": 30}),
        (("sum",), None, {"sum": None}),
        (("sum",), {"sum": 30}, {"sum": 30}),
        (("sum",), {"sum": 30, "carry": 1}, {"sum": 30, "carry": 1}),
        (("sum",), {"total": 30}, {"sum": {"total": 30}}),
        (("sum",), {}, {"sum": {}}),
        (("a", "b"), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (("a", "b"), {"b": 2}, {"b": 2}),
        (("a", "b"), [1, 2], {"a": [1, 2]}),
    ],
)
def test_a_result_gets_its_declared_names_once(names, value, shaped):
    shape = shape_for(names)

    assert shape(value) == shaped
    assert shape(shape(value)) == shaped


def calls_to_walk(count: int, *, chain: bool) -> int:
    steps = [Step(id="s0", uses="act")]
    for number in range(1, count):
        before = f"s{number - 1}" if chain else "s0"
        steps.append(Step(id=f"s{number}", uses="act", arguments={"x": f"${{{{ steps.{before}.output }}}}"}))
    progress = start(Flow(name="f", steps=tuple(steps)))
    with calls_counted() as calls:
        while not progress.done:
            for step in progress.take():
                progress.arguments(step)
                progress.complete(step.id, 1)
    return calls.count


@pytest.mark.parametrize("chain", [True, False], ids=["chain", "fan-out"])
def test_four_times_the_steps_take_about_four_times_the_work(chain):
    assert calls_to_walk(4_000, chain=chain) < 4.5 * calls_to_walk(1_000, chain=chain)
