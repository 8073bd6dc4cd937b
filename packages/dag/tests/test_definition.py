"""The definition that runs are pinned to."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import DefinitionError
from trivium.json import dumps, loads
from trivium.model.policies import Retry
from trivium_dag import Flow, Step, load_flow

CASES = Path(__file__).parent / "cases"

NAMES = st.text(alphabet="abcxyz_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
RETRIES = st.none() | st.builds(
    Retry,
    max_attempts=st.integers(1, 5),
    backoff=st.sampled_from(["fixed", "linear", "exponential"]),
    initial=st.floats(0, 50),
    maximum=st.floats(50, 100),
    jitter=st.booleans(),
    on=st.lists(NAMES, max_size=2).map(tuple),
)
STEPS = st.builds(
    Step,
    id=NAMES,
    uses=NAMES,
    arguments=st.dictionaries(NAMES, VALUES, max_size=3),
    needs=st.lists(NAMES, max_size=2).map(tuple),
    retry=RETRIES,
    timeout=st.none() | st.floats(0.1, 100),
    total_timeout=st.none() | st.floats(0.1, 100),
    name=st.just("") | NAMES,
    description=st.just("") | NAMES,
    outputs=st.lists(NAMES, max_size=2).map(tuple),
)
FLOWS = st.builds(
    Flow,
    name=NAMES,
    steps=st.lists(STEPS, min_size=1, max_size=3).map(tuple),
    inputs=st.dictionaries(NAMES, st.just({}) | st.just({"type": "string", "default": None}), max_size=2),
    outputs=st.none() | st.dictionaries(NAMES, VALUES, max_size=2),
    version=st.just("") | NAMES,
    description=st.just("") | NAMES,
    tags=st.lists(NAMES, max_size=2).map(tuple),
    timeout=st.none() | st.floats(0.1, 100),
    max_parallel=st.none() | st.integers(1, 9),
)


@given(FLOWS)
def test_a_flow_survives_being_stored(flow):
    again = Flow.from_json(loads(dumps(flow.to_json())))

    assert again == flow
    assert again.definition == flow.definition


def test_the_definition_names_what_a_worker_must_have():
    flow = load_flow(CASES / "pipeline.yaml")

    assert flow.definition.kind == "flow"
    assert flow.definition.name == "infolder"
    assert flow.definition.needs == {
        "driver:flow", "action:add_numbers", "action:square_number", "action:triple_number_and_add_string",
    }  # fmt: skip


def test_layout_comments_and_order_of_keys_do_not_change_the_definition(write):
    one = load_flow(write("trivium: 1\nname: f\nsteps:\n  - id: a\n    uses: b\n    timeout: 60s\n"))
    other = load_flow(write("# x\nsteps: [{timeout: 1m, uses: b, id: a}]\nname: f\ntrivium: 1\ntags: []\n", "g.yaml"))

    assert one.definition == other.definition


def test_another_step_is_another_definition(write):
    one = load_flow(write("trivium: 1\nname: f\nsteps: [{id: a, uses: b}]"))
    other = load_flow(write("trivium: 1\nname: f\nsteps: [{id: a, uses: c}]"))

    assert one.definition.id != other.definition.id


def test_a_body_of_another_release_is_refused():
    with pytest.raises(DefinitionError):
        Flow.from_json({"trivium": 2, "name": "x", "steps": []})


def test_declared_outputs_of_none_are_not_the_default(write):
    none = load_flow(write("trivium: 1\nname: f\noutputs: {}\nsteps: [{id: a, uses: b}]"))

    assert Flow.from_json(none.to_json()).outputs == {}
