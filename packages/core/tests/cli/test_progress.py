"""What a watcher tells: news only, once, whoever brings it."""

from typing import Any

import pytest

from trivium.cli.progress import MOST_LINES, SHOWN, Lines, Silent, Tally, Watcher
from trivium.clock import SECOND, Micros
from trivium.ids import DefinitionId, RunId
from trivium.json import NULL
from trivium.model.events import RunClaimed, RunParked, StepEnded, StepRetrying, StepStarted
from trivium.model.failure import Failure
from trivium.model.journal import Entry, EntryKind
from trivium.model.runs import Run
from trivium.model.states import RunStatus, StepStatus, WaitReason

NOON = Micros(1_790_000_000 * SECOND)
RUN: dict[str, Any] = {"run_id": RunId("r"), "root_id": RunId("r"), "at": NOON}


def started(key: str, attempt: int = 1) -> StepStarted:
    return StepStarted(**RUN, key=key, name="act", attempt=attempt)


def ended(key: str, status: StepStatus = StepStatus.COMPLETED, error: Failure | None = None, at: int = 0) -> StepEnded:
    return StepEnded(
        **RUN,
        key=key,
        name="act",
        kind=EntryKind.STEP,
        status=status,
        attempts=1,
        error=error,
        started_at=NOON,
        finished_at=Micros(NOON + 1_500_000 + at),
    )


def entry(key: str) -> Entry:
    return Entry(
        seq=0,
        key=key,
        kind=EntryKind.STEP,
        name="act",
        status=StepStatus.COMPLETED,
        generation=0,
        attempts=1,
        started_at=NOON,
        finished_at=Micros(NOON + 1_500_000),
    )


def run() -> Run:
    return Run(
        id=RunId("r"),
        kind="flow",
        name="f",
        target="flow:f",
        definition_id=DefinitionId("d"),
        status=RunStatus.RUNNING,
        inputs=NULL,
        queue="default",
        priority=0,
        root_id=RunId("r"),
        epoch=1,
        generation=0,
        wake_seq=0,
        losses=0,
        created_at=NOON,
    )


def said(watcher: Watcher, capsys: pytest.CaptureFixture[str], *events: Any) -> list[str]:
    for event in events:
        watcher(event)
    return capsys.readouterr().err.splitlines()


def test_each_end_is_one_line(capsys: pytest.CaptureFixture[str]):
    broken = Failure(code="TRV-4010", message="no\nway")

    lines = said(Lines(), capsys, started("a"), ended("a"), started("b"), ended("b", StepStatus.FAILED, broken))

    assert lines == ["  completed  a  1.5 s", "  failed     b  1.5 s, no"]


def test_an_event_that_comes_twice_is_told_once(capsys: pytest.CaptureFixture[str]):
    parked = RunParked(**RUN, reason=WaitReason.SIGNAL, due_at=None)

    lines = said(Lines(), capsys, ended("a"), ended("a"), parked, parked)

    assert lines == ["  completed  a  1.5 s", "  waiting    signal"]


def test_a_lap_that_ends_later_is_news(capsys: pytest.CaptureFixture[str]):
    assert len(said(Lines(), capsys, ended("a"), ended("a", at=1))) == 2


def test_a_retry_says_why_and_when(capsys: pytest.CaptureFixture[str]):
    retrying = StepRetrying(
        **RUN,
        key="a",
        name="act",
        attempt=1,
        error=Failure(code="TRV-4010", message="try later"),
        due_at=Micros(NOON + 2 * SECOND),
    )

    assert said(Lines(), capsys, retrying) == ["  retrying   a  attempt 1 failed: try later; again in 2.0 s"]


def test_what_was_known_before_is_no_news(capsys: pytest.CaptureFixture[str]):
    watcher = Lines()
    watcher.know(run(), [entry("old")])

    watcher.catch_up(run(), [entry("old"), entry("new")])

    assert capsys.readouterr().err.splitlines() == ["  completed  new  1.5 s"]


def test_a_resumed_run_says_how_much_it_has(capsys: pytest.CaptureFixture[str]):
    claimed = RunClaimed(**RUN, kind="flow", name="f", epoch=2, replayed=1200)
    fresh = RunClaimed(**RUN, kind="flow", name="f", epoch=1, replayed=0)

    assert said(Lines(), capsys, fresh, claimed, claimed) == ["  goes on behind 1,200 recorded steps"]


def test_a_very_long_run_is_told_by_its_failures(capsys: pytest.CaptureFixture[str]):
    events = [ended(str(number)) for number in range(MOST_LINES + 10)]
    broken = ended("bad", StepStatus.FAILED, Failure(code="TRV-4010", message="no"))

    lines = said(Lines(), capsys, *events, broken)

    assert len(lines) == MOST_LINES + 2
    assert lines[-1] == "  failed     bad  1.5 s, no"


def test_a_line_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]):
    (line,) = said(Lines(), capsys, ended("a\x1b[31m\nb"))

    assert line == "  completed  a\N{REPLACEMENT CHARACTER}[31m b  1.5 s"


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]):
    assert said(Silent(), capsys, started("a"), ended("a")) == []


def test_a_tally_keeps_what_is_under_way_and_counts_the_rest():
    tally = Tally()

    for event in (started("a"), started("b"), started("c"), ended("a"), ended("b", StepStatus.FAILED)):
        tally.take(event, 0.0)

    assert tally.counts() == "1 completed, 1 failed, 1 under way"
    assert [key for _, key in tally.under_way] == ["c"]


def test_a_tally_of_a_long_run_stays_small():
    tally = Tally()

    for number in range(1000):
        tally.take(started(str(number)), 0.0)
        tally.take(ended(str(number)), 0.0)

    assert len(tally.recent) == SHOWN
    assert tally.under_way == {}
