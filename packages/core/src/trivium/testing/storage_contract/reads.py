"""Contract: lists of runs, pruning, and reads while others write."""

from __future__ import annotations

import threading

import pytest

from trivium.clock import Micros
from trivium.ids import RunId
from trivium.model.commit import Batch, End, RunUnit, StartUnit
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.runs import Definition
from trivium.model.states import RunStatus
from trivium.storage.port import Pruned, RunFilter
from trivium.testing.faults import pause_at, raise_at
from trivium.testing.storage_contract.bench import COMPLETED, FAILED, Bench, entry, new_run, text

PATIENCE = 30.0


def listed(bench: Bench, wanted: RunFilter) -> list[RunId]:
    return [run.id for run in bench.storage.runs(wanted)]


class Lists:
    def test_runs_are_listed_newest_first(self, bench: Bench) -> None:
        ids = bench.starts(3)

        assert listed(bench, RunFilter()) == ids[::-1]

    def test_a_list_has_pages(self, bench: Bench) -> None:
        ids = bench.starts(5)

        first = listed(bench, RunFilter(limit=2))
        second = listed(bench, RunFilter(limit=2, before=first[-1]))

        assert (first, second) == ([ids[4], ids[3]], [ids[2], ids[1]])

    def test_a_listed_run_is_the_whole_record(self, bench: Bench) -> None:
        run_id = bench.start(new_run(key="k", labels={"a": "b"}, inputs=text("x" * 100_000)))

        assert list(bench.storage.runs(RunFilter())) == [bench.run(run_id)]

    def test_runs_are_chosen_by_status(self, bench: Bench) -> None:
        done = bench.running()
        bench.end(done)
        queued = bench.start()

        assert listed(bench, RunFilter(statuses=frozenset({RunStatus.COMPLETED}))) == [done.id]
        assert listed(bench, RunFilter(statuses=frozenset({RunStatus.QUEUED, RunStatus.FAILED}))) == [queued]
        assert listed(bench, RunFilter(statuses=frozenset())) == []

    def test_runs_are_chosen_by_kind_name_target_and_key(self, bench: Bench) -> None:
        flow = bench.start(new_run(definition=Definition.of("flow", "a", {}), target="flow:a", key="1"))
        bench.start(new_run(definition=Definition.of("flow", "b", {}), target="flow:b", key="1"))
        bench.start(new_run(definition=Definition.of("agent", "a", {}), target="agent:a", key="2"))

        assert listed(bench, RunFilter(kind="flow", name="a")) == [flow]
        assert listed(bench, RunFilter(target="flow:a")) == [flow]
        assert listed(bench, RunFilter(key="1", name="a")) == [flow]
        assert listed(bench, RunFilter(kind="flow", key="2")) == []

    def test_runs_are_chosen_by_family(self, bench: Bench) -> None:
        root = bench.running()
        (child,) = bench.spawn(root, new_run(parent=root))
        (grandchild,) = bench.spawn(bench.claim_one(), new_run(parent=bench.run(child)))
        bench.start()

        assert listed(bench, RunFilter(parent_id=root.id)) == [child]
        assert listed(bench, RunFilter(root_id=root.id)) == [grandchild, child, root.id]

    def test_runs_are_chosen_by_the_beginning_of_their_id(self, bench: Bench) -> None:
        wanted, other = RunId("abc%_1"), RunId("abcdef2")
        bench.start(new_run(run_id=wanted))
        bench.start(new_run(run_id=other))

        assert listed(bench, RunFilter(id_prefix="abc%")) == [wanted]
        assert listed(bench, RunFilter(id_prefix="abc")) == [other, wanted]
        assert listed(bench, RunFilter(id_prefix="")) == [other, wanted]

    def test_runs_are_chosen_by_labels(self, bench: Bench) -> None:
        both = bench.start(new_run(labels={"team": "a", "env": "prod"}))
        one = bench.start(new_run(labels={"team": "a"}))
        bench.start()

        assert listed(bench, RunFilter(labels={"team": "a"})) == [one, both]
        assert listed(bench, RunFilter(labels={"env": "prod", "team": "a"})) == [both]
        assert listed(bench, RunFilter(labels={"team": "b"})) == []

    @pytest.mark.parametrize("name", ['say "hi"', "a.b", "a[0]", "$", "#", "", "it's", "back\\slash", "\u00fc", "a\nb"])
    def test_a_label_may_have_any_name(self, bench: Bench, name: str) -> None:
        run_id = bench.start(new_run(labels={name: "x", "other": "y"}))
        bench.start(new_run(labels={"other": "x"}))
        bench.start()

        assert listed(bench, RunFilter(labels={name: "x"})) == [run_id]
        assert listed(bench, RunFilter(labels={name: "y"})) == []


class Pruning:
    def test_old_finished_runs_go_with_everything(self, bench: Bench) -> None:
        definition = Definition.of("test", "rare", {}, frozenset())
        run_id = bench.start(new_run(key="k", definition=definition))
        run = bench.claim_one(bench.request(serves=[definition]))
        own = EffectChange(scope=run_id, key="e", status=EffectStatus.INTENDED, step_key="s")
        bench.one(RunUnit(run_id=run_id, epoch=1, entries=[entry(0), entry(1)], effects=(own,), notes=("n",)))
        bench.end(run)
        bench.clock.advance(10)

        pruned = bench.storage.prune(before=bench.clock.now())

        assert (pruned.runs, pruned.entries) == (1, 2)
        assert bench.storage.run(run_id) is None
        assert list(bench.storage.entries(run_id)) == []
        assert list(bench.storage.notes(run_id)) == []
        assert bench.storage.effect(run_id, "e") is None
        assert bench.storage.definition(definition.id) is None
        assert not bench.started(new_run(key="k")).existed

    def test_a_dry_run_counts_and_leaves_everything(self, bench: Bench) -> None:
        run = bench.running()
        bench.write(run, entry(0))
        bench.end(run)
        bench.clock.advance(1)

        pruned = bench.storage.prune(before=bench.clock.now(), dry_run=True)

        assert (pruned.runs, pruned.entries) == (1, 1)
        assert bench.status(run.id) is RunStatus.COMPLETED
        assert len(bench.storage.entries(run.id)) == 1

    def test_what_ended_later_stays(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run)

        pruned = bench.storage.prune(before=bench.clock.now())

        assert pruned == Pruned(runs=0, entries=0, blobs=0)
        assert bench.status(run.id) is RunStatus.COMPLETED

    @pytest.mark.parametrize("end", [COMPLETED, FAILED], ids=lambda end: str(end.status))
    def test_a_tree_goes_whole(self, bench: Bench, end: End) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        child = bench.claim_one()
        bench.end(child)
        bench.end(root, end)
        bench.clock.advance(1)

        assert bench.storage.prune(before=bench.clock.now()).runs == 2
        assert bench.storage.statuses([root.id, child.id]) == {}

    def test_a_tree_in_which_a_run_is_left_stays_whole(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root), new_run(parent=root))
        done, going = [claimed.run for claimed in bench.claim()]
        bench.end(done)
        bench.end(root)
        bench.clock.advance(1)

        assert bench.storage.prune(before=bench.clock.now()).runs == 0
        assert set(bench.storage.statuses([root.id, done.id, going.id])) == {root.id, done.id, going.id}

    def test_ended_children_of_a_run_that_goes_on_stay(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        child = bench.claim_one()
        bench.end(child)
        bench.clock.advance(1)

        assert bench.storage.prune(before=bench.clock.now()).runs == 0

    def test_effects_of_a_shared_scope_and_used_definitions_stay(self, bench: Bench) -> None:
        run = bench.running()
        shared = EffectChange(scope="orders", key="e", status=EffectStatus.INTENDED, step_key="s")
        bench.effect(run, shared)
        bench.end(run)
        other = bench.start()
        bench.clock.advance(1)

        bench.storage.prune(before=bench.clock.now())

        assert bench.storage.effect("orders", "e") is not None
        assert bench.storage.definition(run.definition_id) is not None
        assert bench.claim_ids() == [other]

    def test_needs_go_with_the_last_definition_that_has_them(self, bench: Bench) -> None:
        rare = [Definition.of("test", name, {}, frozenset({"action:rare"})) for name in ("gone", "kept")]
        gone, kept = [
            bench.claim_one(bench.request(serves=[each], roots=frozenset({bench.start(new_run(definition=each))})))
            for each in rare
        ]
        bench.end(gone)
        bench.clock.advance(1)
        bench.storage.prune(before=bench.clock.now())
        assert list(bench.storage.needs()) == [rare[0].needs_id]

        bench.end(kept)
        bench.clock.advance(1)
        bench.storage.prune(before=bench.clock.now())
        assert bench.storage.needs() == {}

        again = bench.start(new_run(definition=rare[0]))
        assert list(bench.storage.needs()) == [rare[0].needs_id]
        assert bench.claim_ids(bench.request(serves=rare)) == [again]

    def test_pruning_an_empty_store_is_nothing(self, bench: Bench) -> None:
        assert bench.storage.prune(before=Micros(2**60)) == Pruned(runs=0, entries=0, blobs=0)


class ReadsDuringWrites:
    def test_a_reader_sees_all_of_a_batch_or_none(self, bench: Bench) -> None:
        bench.starts(2)
        one, two = [claimed.run for claimed in bench.claim()]
        ids = [one.id, two.id]
        units = [RunUnit(run_id=run.id, epoch=1, then=COMPLETED) for run in (one, two)]
        writer = threading.Thread(target=bench.storage.commit, args=(Batch(units),))
        seen: list[set[RunStatus]] = []
        reader = threading.Thread(target=lambda: seen.append(set(bench.storage.statuses(ids).values())))

        with pause_at("storage.commit.inside") as pause:
            writer.start()
            pause.wait_reached()
            reader.start()  # it may wait for the writer, or see what was before
        writer.join(PATIENCE)
        reader.join(PATIENCE)

        assert seen in ([{RunStatus.RUNNING}], [{RunStatus.COMPLETED}])
        assert set(bench.storage.statuses(ids).values()) == {RunStatus.COMPLETED}

    def test_a_commit_that_fails_inside_leaves_nothing(self, bench: Bench) -> None:
        run = bench.running()
        new = new_run()
        bell = bench.storage.doorbell(bench.me)

        with raise_at("storage.commit.inside", KeyError("disk")), pytest.raises(KeyError, match="disk"):
            bench.commit(RunUnit(run_id=run.id, epoch=1, entries=(entry(0),), then=COMPLETED), StartUnit(new))

        assert bench.run(run.id) == run
        assert list(bench.storage.entries(run.id)) == []
        assert bench.storage.run(new.id) is None
        assert not bell.wait(0)
        bench.end(run)  # and the storage goes on
        bell.close()

    def test_many_threads_write_one_store(self, bench: Bench) -> None:
        workers = [bench.worker() for _ in range(4)]
        bench.commit(*(StartUnit(new_run()) for _ in range(200)))
        claimed: dict[str, list[RunId]] = {worker: [] for worker in workers}

        def work(worker: str) -> None:
            while runs := bench.claim(bench.request(type(bench.me)(worker), limit=7)):
                claimed[worker] += [each.run.id for each in runs]
                bench.commit(*(RunUnit(run_id=each.run.id, epoch=1, then=COMPLETED) for each in runs))

        threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        everything = [run_id for runs in claimed.values() for run_id in runs]
        assert len(everything) == len(set(everything)) == 200
        assert set(bench.storage.statuses(everything).values()) == {RunStatus.COMPLETED}
