"""A run has one owner: what an older one commits changes nothing."""

from trivium.json import NULL
from trivium.model.commit import Applied, NewSignal, Park, RunUnit, Stale
from trivium.model.events import RunReleased
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.testing.faults import pause_at


def note(seq: int) -> Entry:
    """The entry of a step that has completed."""
    return Entry(
        seq=seq,
        key=f"step{seq}",
        kind=EntryKind.STEP,
        name="work",
        status=StepStatus.COMPLETED,
        generation=0,
        output=NULL,
    )


def test_a_zombie_commits_nothing_after_a_takeover(seat, scripts, hand):
    def work() -> str:
        return "of the zombie"

    @scripts()
    async def one_step(context):
        return await context.step("one", work)

    seat = seat(work)
    with pause_at("engine.before_commit", 2) as outcome:
        run_id = seat.start(one_step)
        outcome.wait_reached()
        taken = hand.take_over(run_id, seat.worker_id)
        hand.finish(taken, "of the new owner")
        outcome.resume()
        seat.seen.wait(RunReleased, run_id)

    run = hand.run(run_id)
    assert (run.status, run.output, run.epoch) == (RunStatus.COMPLETED, '"of the new owner"', taken.epoch)
    assert hand.entries(run_id) == {}


def test_a_zombie_drops_its_run_and_journals_nothing_more(seat, scripts, hand):
    called: list[str] = []

    def first() -> None:
        called.append("first")

    def second() -> None:
        called.append("second")

    @scripts()
    async def two_steps(context):
        await context.step("one", first)
        await context.step("two", second)

    seat = seat(first, second)
    with pause_at("engine.before_commit", 2) as outcome:
        run_id = seat.start(two_steps)
        outcome.wait_reached()
        taken = hand.take_over(run_id, seat.worker_id)
        outcome.resume()
        seat.seen.wait(RunReleased, run_id)
        seat.settle()

    assert called == ["first"]
    assert hand.entries(run_id) == {}
    assert hand.run(run_id).owner == taken.owner
    assert run_id not in seat.app.engine.worker.driven


def test_what_an_owner_committed_before_it_was_buried_stands(seat, scripts, hand, gate):
    def first() -> str:
        return "kept"

    def second() -> None:
        gate.pass_through()

    @scripts()
    async def two_steps(context):
        await context.step("one", first)
        await context.step("two", second)

    seat = seat(first, second)
    run_id = seat.start(two_steps)
    gate.wait_reached()
    taken = hand.take_over(run_id, seat.worker_id)

    assert hand.entries(run_id)["one"].output == '"kept"'
    assert (taken.epoch, taken.losses) == (3, 1)


def test_an_outcome_committed_while_the_owner_is_being_buried_stands(seat, scripts, hand):
    """The burier has seen the beat; the outcome is committed; then it buries: only the heart moves a beat."""

    def first() -> str:
        return "kept"

    @scripts()
    async def one_step(context):
        await context.step("one", first)
        await context.wait("never")

    seat = seat(first)
    (seen,) = [each for each in hand.storage.workers() if each.id == seat.worker_id]
    with pause_at("engine.after_commit", 2) as outcome:
        run_id = seat.start(one_step)
        outcome.wait_reached()
        buried = hand.storage.bury(seen.id, seen.beat)
        outcome.resume()

    assert buried == 1
    assert hand.entries(run_id)["one"].output == '"kept"'
    assert hand.status(run_id) is RunStatus.QUEUED


def test_a_stale_unit_does_not_disturb_its_batch(hand, scripts):
    target = scripts()(nothing)
    lost, kept = hand.start(target), hand.start(target)
    mortal = hand.worker("mortal")
    (old,) = hand.claim(mortal, limit=1)
    hand.bury(mortal)
    runs = {run.id: run for run in hand.claim()}

    stale, applied = hand.commit(
        RunUnit(run_id=old.id, epoch=old.epoch, entries=[note(0)]),
        RunUnit(run_id=kept, epoch=runs[kept].epoch, entries=[note(0)]),
    ).results

    assert old.id == lost
    assert isinstance(stale, Stale)
    assert isinstance(applied, Applied)
    assert hand.entries(lost) == {}
    assert list(hand.entries(kept)) == ["step0"]


def test_a_stale_unit_starts_and_signals_nothing(hand, scripts):
    target = scripts()(nothing)
    lost, other = hand.start(target), hand.start(target)
    mortal = hand.worker("mortal")
    (old,) = hand.claim(mortal, limit=1)
    hand.bury(mortal)
    child = hand.new(target, parent_id=lost, root_id=lost)

    result = hand.one(
        RunUnit(
            run_id=old.id,
            epoch=old.epoch,
            entries=[note(0)],
            starts=[child],
            signals=[NewSignal(other, "go")],
            notes=["no"],
        )
    )

    assert isinstance(result, Stale)
    assert hand.storage.run(child.id) is None
    assert hand.storage.inbox(other) == (0, [])
    assert [note.text for note in hand.storage.notes(lost) if note.text == "no"] == []


def test_a_unit_behind_the_park_of_its_run_is_stale(hand, scripts):
    hand.start(scripts()(nothing))
    (run,) = hand.claim()
    park = RunUnit(run_id=run.id, epoch=run.epoch, expect_wake=0, then=Park(WaitReason.SIGNAL))

    parked, late = hand.commit(park, RunUnit(run_id=run.id, epoch=run.epoch, entries=[note(0)])).results

    assert isinstance(parked, Applied)
    assert isinstance(late, Stale)
    assert hand.status(run.id) is RunStatus.WAITING
    assert hand.entries(run.id) == {}


async def nothing(context):
    return None
