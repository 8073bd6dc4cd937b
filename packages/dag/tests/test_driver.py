"""The driver: what is its own, what it launches, when it ends. The engine's part is played by a scripted context."""

from pathlib import Path

import pytest

from trivium.errors import DefinitionError, InvalidInput, NotFound, StepFailed
from trivium.json import dumps, loads
from trivium.model.policies import Retry
from trivium.model.runs import Definition
from trivium.model.states import RunStatus
from trivium_dag import Flow, FlowDriver, Step, UnresolvedReference, load_flow

CASES = Path(__file__).parent / "cases"

DIAMOND = """
trivium: 1
name: diamond
inputs: {x: number}
timeout: 1h
steps:
  - {id: a, uses: double, with: {n: "${{ inputs.x }}"}}
  - {id: b, uses: double, with: {n: "${{ steps.a.output }}"}, timeout: 5s, retry: {max_attempts: 3}}
  - {id: c, uses: double, with: {n: "${{ steps.a.output }}"}, total_timeout: 1m}
  - {id: d, uses: total, with: {ns: ["${{ steps.b.output }}", "${{ steps.c.output }}"]}}
outputs: {total: "${{ steps.d.output }}"}
"""

ACTIONS = {"double": lambda n: n * 2, "total": lambda ns: sum(ns)}


def test_what_is_not_a_flow_is_left_to_others(everything):
    driver = FlowDriver()

    for target in (3, "agent:x", "pipeline", "pipeline.py", Path("module.py"), "", None, object(), "a.yaml/b"):
        assert driver.prepare(target, {}, everything) is None
    assert driver.lint(Path("module.py"), everything) is None


@pytest.mark.parametrize("as_target", [str, Path, load_flow])
def test_a_path_and_a_loaded_flow_are_the_same_target(write, everything, as_target):
    path = write(DIAMOND)

    prepared = FlowDriver().prepare(as_target(path), {"x": 1}, everything)

    assert prepared is not None
    assert prepared.target == "flow:diamond"
    assert prepared.inputs == {"x": 1}
    assert prepared.timeout == 3600 * 1_000_000
    assert prepared.definition == load_flow(path).definition


def test_a_flow_by_name_is_not_found_yet(everything):
    with pytest.raises(NotFound) as raised:
        FlowDriver().prepare("flow:nightly", {}, everything)

    assert "file" in str(raised.value)


def test_a_file_that_is_not_there_is_not_found(everything):
    with pytest.raises(NotFound):
        FlowDriver().prepare("no/such.yaml", {}, everything)


def test_a_file_that_changed_is_read_again(write, everything):
    driver = FlowDriver()
    before = driver.prepare(write(DIAMOND), {"x": 1}, everything)

    after = driver.prepare(write(DIAMOND.replace("diamond", "ruby")), {"x": 1}, everything)

    assert before is not None
    assert after is not None
    assert (before.target, after.target) == ("flow:diamond", "flow:ruby")


def test_inputs_that_do_not_fit_are_refused(write, everything):
    with pytest.raises(InvalidInput, match="x must be number"):
        FlowDriver().prepare(write(DIAMOND), {"x": "1"}, everything)


def test_unknown_actions_are_told_with_their_places(write, registered):
    path = write(DIAMOND)

    with pytest.raises(DefinitionError) as raised:
        FlowDriver().prepare(path, {"x": 1}, registered("doubel", "total"))

    (problem,) = raised.value.problems
    assert (problem.code, problem.file, problem.line) == ("TRV-1124", str(path), 7)
    assert "did you mean 'doubel'?" in problem.message


def test_unknown_actions_of_a_loaded_flow_are_told_too(write, registered):
    with pytest.raises(DefinitionError, match=r"-m FILE\.py"):
        FlowDriver().prepare(load_flow(write(DIAMOND)), {"x": 1}, registered())


def test_lint_tells_everything_and_raises_nothing(write, registered):
    driver, names = FlowDriver(), registered("total")

    assert [one.code for one in driver.lint(write(DIAMOND), names) or ()] == ["TRV-1124"]
    assert [one.code for one in driver.lint(write("a: [", "b.yaml"), names) or ()] == ["TRV-1101"]
    assert [one.code for one in driver.lint(write("a: 1", "c.yaml"), names) or ()] == ["TRV-1110"]
    assert driver.lint(write(DIAMOND.replace("double", "total"), "d.yaml"), names) == ()


async def test_a_flow_gives_its_outputs(write, everything, scripted):
    driver = FlowDriver()
    context = scripted(driver.prepare(write(DIAMOND), {"x": 5}, everything), ACTIONS)

    outputs = await driver.drive(context)

    assert outputs == {"total": 40}
    assert context.calls == [("a", {"n": 5}), ("b", {"n": 10}), ("c", {"n": 10}), ("d", {"ns": [20, 20]})]
    assert context.waves == [["a"], ["b", "c"], ["c"], ["d"]]


async def test_the_last_outcome_and_the_end_are_proposed_together(write, everything, scripted):
    driver = FlowDriver()
    context = scripted(driver.prepare(write(DIAMOND), {"x": 5}, everything), ACTIONS)

    await driver.drive(context)

    assert context.proposed is not None
    assert context.proposed.status is RunStatus.COMPLETED
    assert context.proposed.output == dumps({"total": 40})


async def test_no_end_is_proposed_over_outcomes_that_are_not_durable_yet(everything, scripted):
    driver = FlowDriver()
    flow = Flow(
        name="f",
        steps=(Step(id="a", uses="double", arguments={"n": 1}), Step(id="b", uses="double", arguments={"n": 2})),
    )
    context = scripted(driver.prepare(flow, {}, everything), ACTIONS, batch=2)

    outputs = await driver.drive(context)

    assert outputs == {"a": 2, "b": 4}
    assert context.proposed is None


async def test_steps_go_by_their_own_options(write, everything, scripted):
    driver = FlowDriver()
    context = scripted(driver.prepare(write(DIAMOND), {"x": 5}, everything), ACTIONS)

    await driver.drive(context)

    assert context.retries == {"a": None, "b": Retry(max_attempts=3), "c": None, "d": None}
    assert context.timeouts == {"a": (None, None), "b": (5.0, None), "c": (None, 60.0), "d": (None, None)}


async def test_no_more_steps_are_under_way_than_max_parallel(everything, scripted):
    driver = FlowDriver()
    steps = tuple(Step(id=f"s{n}", uses="double", arguments={"n": n}) for n in range(10))
    context = scripted(driver.prepare(Flow(name="f", steps=steps, max_parallel=3), {}, everything), ACTIONS)

    await driver.drive(context)

    assert context.most_at_once == 3
    assert context.launched == [f"s{n}" for n in range(10)]


async def test_the_first_failure_ends_the_run(write, everything, scripted):
    driver = FlowDriver()
    actions = {**ACTIONS, "double": lambda n: n * 2 if n < 10 else 1 / 0}
    context = scripted(driver.prepare(write(DIAMOND), {"x": 5}, everything), actions)

    with pytest.raises(StepFailed) as raised:
        await driver.drive(context)

    assert raised.value.key == "b"
    assert raised.value.failure_code == "TRV-4010"
    assert "division by zero" in str(raised.value)
    assert "d" not in context.launched
    assert context.proposed is None


async def test_a_reference_that_leads_to_nothing_fails_the_step_that_has_it(write, everything, scripted):
    driver = FlowDriver()
    path = write(DIAMOND.replace('steps.a.output }}"}, total', 'steps.a.output.n }}"}, total'))
    context = scripted(driver.prepare(path, {"x": 5}, everything), ACTIONS)

    with pytest.raises(StepFailed) as raised:
        await driver.drive(context)

    assert (raised.value.key, raised.value.failure_code) == ("c", "TRV-4101")
    assert "the output of 'a' is 10" in str(raised.value)


async def test_outputs_that_lead_to_nothing_fail_the_run(write, everything, scripted):
    driver = FlowDriver()
    path = write(DIAMOND.replace("${{ steps.d.output }}", "${{ steps.d.output.sum }}"))
    context = scripted(driver.prepare(path, {"x": 5}, everything), ACTIONS)

    with pytest.raises(UnresolvedReference):
        await driver.drive(context)

    assert context.proposed is not None
    assert context.proposed.status is RunStatus.FAILED
    assert context.proposed.error is not None
    assert context.proposed.error.code == "TRV-4101"


async def test_a_definition_is_compiled_once(write, everything, scripted):
    driver = FlowDriver()
    prepared = driver.prepare(write(DIAMOND), {"x": 5}, everything)
    await driver.drive(scripted(prepared, ACTIONS))
    second = scripted(prepared, ACTIONS)
    second.body = None

    assert await driver.drive(second) == {"total": 40}


async def test_a_step_sees_what_the_steps_before_it_gave(write, everything, scripted):
    driver = FlowDriver()
    context = scripted(driver.prepare(write(DIAMOND), {"x": 5}, everything), ACTIONS)

    await driver.drive(context)

    assert context.before("d") == {"a": 10, "b": 20, "c": 20}
    assert context.before("b") == {"a": 10}


def test_the_picture_shows_steps_actions_and_who_waits_for_whom(write):
    picture = FlowDriver().picture(load_flow(write(DIAMOND)).definition)

    assert picture is not None
    assert picture.title == "diamond"
    assert [(node.id, node.label, node.detail) for node in picture.nodes] == [
        ("a", "a", "double"), ("b", "b", "double"), ("c", "c", "double"), ("d", "d", "total"),
    ]  # fmt: skip
    assert [(edge.source, edge.target) for edge in picture.edges] == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def test_a_file_can_be_sketched_where_its_actions_and_inputs_are_not(write, registered):
    driver = FlowDriver()
    path = write(DIAMOND)

    assert driver.sketch(str(path), registered()) == driver.picture(load_flow(path).definition)
    assert driver.sketch("pipeline", registered()) is None
    with pytest.raises(DefinitionError):
        driver.sketch(write("trivium: 1", "b.yaml"), registered())


def test_definitions_of_other_kinds_have_no_picture_here():
    assert FlowDriver().picture(Definition.of("task", "x", {})) is None


def test_stored_definitions_are_read_back(write):
    flow = load_flow(write(DIAMOND))

    assert Flow.from_json(loads(flow.definition.body)) == flow
