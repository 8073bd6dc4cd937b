"""The picture of a run: records in, boxes and arrows out."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trivium.clock import SECOND, Micros
from trivium.graph.execution import Recorded, current, picture_of_run, succession
from trivium.ids import DefinitionId, RunId
from trivium.json import NULL
from trivium.model.failure import Failure
from trivium.model.journal import Entry, EntryKind
from trivium.model.picture import Edge, Node, Picture
from trivium.model.runs import Cause, Run
from trivium.model.states import RunStatus, StepStatus, WaitReason

NOON = 1_790_000_000 * SECOND


def run(id: str = "r1", status: RunStatus = RunStatus.RUNNING, **fields: Any) -> Run:
    return Run(
        id=RunId(id),
        kind="flow",
        name="demo",
        target=fields.pop("target", "flow:demo"),
        definition_id=DefinitionId("d"),
        status=status,
        inputs=NULL,
        queue="default",
        priority=0,
        root_id=RunId("r1"),
        epoch=1,
        generation=0,
        wake_seq=0,
        losses=0,
        created_at=Micros(NOON),
        **fields,
    )


def entry(
    seq: int, key: str, begin: float | None = 0.0, end: float | None = None, status: str = "", **fields: Any
) -> Entry:
    return Entry(
        seq=seq,
        key=key,
        kind=fields.pop("kind", EntryKind.STEP),
        name=fields.pop("name", "act"),
        status=StepStatus(status or ("completed" if end is not None else "running")),
        generation=fields.pop("generation", 0),
        attempts=fields.pop("attempts", 1),
        started_at=None if begin is None else Micros(NOON + int(begin * SECOND)),
        finished_at=None if end is None else Micros(NOON + int(end * SECOND)),
        **fields,
    )


FLOW = Picture(
    title="flow:demo",
    nodes=(Node(id="a", label="a", detail="fetch"), Node(id="review", label="review", detail="check")),
    edges=(Edge(source="a", target="review"),),
)


def box(picture: Picture, id: str) -> Node:
    (found,) = [node for node in picture.nodes if node.id == id]
    return found


def arrows(picture: Picture) -> set[tuple[str, str, bool]]:
    return {(edge.source, edge.target, edge.cause) for edge in picture.edges}


def test_a_definition_is_filled_with_what_became_of_its_steps():
    record = Recorded(run=run(), entries=[entry(0, "a", 0, 2, attempts=3)], definition=FLOW)

    picture = picture_of_run(record)

    assert box(picture, "a") == Node(
        id="a",
        label="a",
        detail="fetch",
        status="completed",
        attempts=3,
        started_at=Micros(NOON),
        finished_at=Micros(NOON + 2 * SECOND),
    )
    assert box(picture, "review").status == "pending"
    assert picture.edges == FLOW.edges


def test_the_title_says_what_ran_and_how_it_stands():
    ended = run(
        status=RunStatus.COMPLETED, first_claimed_at=Micros(NOON), finished_at=Micros(NOON + 3 * SECOND + SECOND // 2)
    )
    waiting = run(status=RunStatus.WAITING, wait_reason=WaitReason.SIGNAL)

    assert picture_of_run(Recorded(run=ended, entries=[])).title == "flow:demo"
    assert (
        picture_of_run(Recorded(run=ended, entries=[])).subtitle == "run r1 · completed · 3.5 s · 2026-09-21T14:13:20Z"
    )
    assert picture_of_run(Recorded(run=waiting, entries=[])).subtitle == "run r1 · waiting (signal)"


def test_a_failed_step_says_why_and_a_waiting_one_what_for():
    failed = entry(0, "a", 0, 1, "failed", error=Failure(code="TRV-4010", message="no route to host\nmore"))
    waiting = entry(1, "review", 1, None, "waiting", wait_reason=WaitReason.RETRY, due_at=Micros(NOON + 60 * SECOND))

    picture = picture_of_run(Recorded(run=run(), entries=[failed, waiting], definition=FLOW))

    assert box(picture, "a").detail == "no route to host"
    assert box(picture, "review").detail == "waits: retry until 2026-09-21T14:14:20Z"


def test_items_of_a_step_are_one_box_with_the_worst_state():
    parts = [entry(index, f"review[{index}]", index, index + 1) for index in range(3)]
    parts.append(entry(3, "review[3]", 3, 4, "failed", error=Failure(code="TRV-4010", message="bad item")))

    review = box(picture_of_run(Recorded(run=run(), entries=parts, definition=FLOW)), "review")

    assert (review.status, review.detail) == ("failed", "review[3]: bad item")
    assert (review.started_at, review.finished_at) == (NOON, NOON + 4 * SECOND)


def test_items_under_way_are_counted():
    parts = [entry(0, "review[0]", 0, 1), entry(1, "review[1]", 0), entry(2, "review[2]", 0)]

    review = box(picture_of_run(Recorded(run=run(), entries=parts, definition=FLOW)), "review")

    assert (review.status, review.detail, review.finished_at) == ("running", "1 of 3", None)


def test_laps_are_one_box():
    laps = [entry(0, "review", 0, 1), entry(1, "review#2", 1, 2), entry(2, "review#3", 2, 3)]

    review = box(picture_of_run(Recorded(run=run(), entries=laps, definition=FLOW)), "review")

    assert (review.status, review.detail) == ("completed", "3 times")


def test_a_verb_that_the_definition_does_not_show_gets_a_box_of_its_own():
    extra = entry(0, "sleep#1", 0, 1, kind=EntryKind.SLEEP, name="sleep")

    picture = picture_of_run(Recorded(run=run(), entries=[extra], definition=FLOW))

    assert box(picture, "sleep#1").detail == "sleep"


def test_without_a_definition_the_journal_gives_the_order():
    entries = [entry(0, "a", 0, 1), entry(1, "b", 1, 3), entry(2, "c", 1, 2), entry(3, "d", 3, 4), entry(4, "e", 4)]

    picture = picture_of_run(Recorded(run=run(), entries=entries))

    assert arrows(picture) == {
        ("a", "b", False),
        ("a", "c", False),
        ("b", "d", False),
        ("c", "d", False),
        ("d", "e", False),
    }


def test_only_the_last_generation_of_a_key_counts():
    entries = [entry(0, "a", 0, 1, "failed"), entry(1, "a", 5, 6, generation=1), entry(2, "b", 6, 7, generation=1)]

    assert [(one.key, one.status) for one in current(entries).values()] == [("a", "completed"), ("b", "completed")]


def test_a_child_run_hangs_below_the_step_that_started_it():
    parent = Recorded(
        run=run(), entries=[entry(0, "child:x", 0, None, kind=EntryKind.CHILD, child_id=RunId("r2"), name="x")]
    )
    child = Recorded(
        run=run("r2", RunStatus.FAILED, target="agent:x", error=Failure(code="TRV-4010", message="sorry")),
        entries=[entry(0, "one", 0, 1), entry(1, "two", 1, 2)],
    )

    picture = picture_of_run(parent, [child])

    assert (box(picture, "child:x").status, box(picture, "child:x").detail) == ("failed", "sorry")
    assert arrows(picture) == {("child:x", "r2/one", True), ("r2/one", "r2/two", False)}


def test_a_child_that_was_not_read_is_the_box_of_its_entry():
    parent = Recorded(run=run(), entries=[entry(0, "child:x", 0, 1, kind=EntryKind.CHILD, child_id=RunId("r2"))])

    picture = picture_of_run(parent)

    assert [node.id for node in picture.nodes] == ["child:x"]


def test_a_run_that_a_step_started_by_itself_gets_a_box_and_its_cause():
    parent = Recorded(run=run(), entries=[entry(0, "a", 0, 1)])
    child = Recorded(
        run=run("r2", RunStatus.QUEUED, target="flow:other", cause=Cause(RunId("r1"), "a")),
        entries=[entry(0, "one", 0, 1)],
    )

    picture = picture_of_run(parent, [child])

    assert box(picture, "run:r2").label == "flow:other"
    assert arrows(picture) == {("a", "run:r2", True), ("run:r2", "r2/one", True)}


times = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4) | st.none()), max_size=9)


@given(times)
def test_succession_leads_forward_in_time_and_forgets_nobody(spans):
    entries = [
        entry(seq, f"k{seq}", begin, None if length is None else begin + length)
        for seq, (begin, length) in enumerate(spans)
    ]
    by_key = {one.key: one for one in entries}

    pairs = succession(entries)

    begins = {one.key: one.started_at or 0 for one in entries}
    assert all((by_key[before].finished_at or NOON * 2) <= begins[after] for before, after in pairs)
    followed = {after for _, after in pairs}
    first_end = min((one.finished_at for one in entries if one.finished_at is not None), default=NOON * 2)
    late = {one.key for one in entries if begins[one.key] > first_end}
    assert late <= followed


@given(times)
def test_succession_has_no_circle(spans):
    entries = [
        entry(seq, f"k{seq}", begin, None if length is None else begin + length)
        for seq, (begin, length) in enumerate(spans)
    ]
    place = {one.key: (one.started_at, one.seq) for one in entries}

    assert all(place[before] < place[after] for before, after in succession(entries))


def test_many_after_many_do_not_make_a_square():
    first = [entry(seq, f"a{seq}", 0, 1) for seq in range(500)]
    then = [
        replace(one, seq=one.seq + 500, key=f"b{one.seq}", started_at=Micros(NOON + 2 * SECOND), finished_at=None)
        for one in first
    ]

    assert len(succession([*first, *then])) < 10_000
