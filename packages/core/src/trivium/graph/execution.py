"""The picture of a run: its records laid over its definition, with the runs that it started below the steps that
started them.

Pure functions of records. Where a run has no definition with a graph (an agent), the order of its journal makes one: a
step comes after those that had ended when it began.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from trivium.clock import Micros, iso
from trivium.graph.captions import duration
from trivium.ids import RunId
from trivium.model.journal import Entry, EntryKind
from trivium.model.picture import Edge, Node, Picture
from trivium.model.runs import Run
from trivium.model.states import StepStatus

_PART = re.compile(r"(?P<base>.*?)(?P<part>\[\d+\]|#\d+)+", re.DOTALL)

_WORST_FIRST = (
    StepStatus.FAILED,
    StepStatus.CANCELLED,
    StepStatus.RUNNING,
    StepStatus.WAITING,
    StepStatus.PENDING,
    StepStatus.COMPENSATED,
    StepStatus.COMPLETED,
    StepStatus.SKIPPED,
)
"""Of several parts of one box, the first of these that occurs is the box's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A run as it was read from a store, with its definition's picture, if it has one."""

    run: Run
    entries: Sequence[Entry]
    definition: Picture | None = None


def picture_of_run(top: Recorded, below: Sequence[Recorded] = ()) -> Picture:
    """One picture of a run and of those runs `below` it that were read with it."""
    by_id = {one.run.id: one for one in (top, *below)}
    drawn = {run_id: _drawn(one, by_id) for run_id, one in by_id.items()}
    nodes: list[Node] = []
    edges: list[Edge] = []
    hung: set[RunId] = {top.run.id}
    for run_id, (own_nodes, own_edges, children) in drawn.items():
        prefix = "" if run_id == top.run.id else f"{run_id}/"
        nodes += [replace(node, id=prefix + node.id) for node in own_nodes]
        edges += [replace(edge, source=prefix + edge.source, target=prefix + edge.target) for edge in own_edges]
        for child_id, node_id in children.items():
            hung.add(child_id)
            edges += _causes(prefix + node_id, child_id, drawn[child_id])
    known = {node.id for node in nodes}
    for run_id, one in by_id.items():
        if run_id not in hung:  # started by a step's own context: no journal names it
            head = _head(one.run)
            nodes.append(head)
            edges += _causes(head.id, run_id, drawn[run_id])
            starter = _starter(one.run, top.run.id)
            if starter in known:
                edges.append(Edge(source=starter, target=head.id, cause=True))
    title = top.run.target or top.run.name
    return Picture(title=title, subtitle=_subtitle(top.run), nodes=tuple(nodes), edges=tuple(edges))


def current(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The entry that counts for each key, in the order of the journal: that of the last generation."""
    found: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: (entry.generation, entry.seq)):
        found[entry.key] = entry
    return dict(sorted(found.items(), key=lambda item: item[1].seq))


# --- one run -------------------------------------------------------------------------------------


_Drawn: TypeAlias = tuple[list[Node], list[Edge], dict[RunId, str]]


def _drawn(one: Recorded, by_id: Mapping[RunId, Recorded]) -> _Drawn:
    """Its boxes and arrows, and the box of each child run that is to be drawn below it."""
    entries = current(one.entries)
    children: dict[RunId, str] = {}
    if one.definition is None or not one.definition.nodes:
        nodes = [_node(entry, by_id) for entry in entries.values()]
        edges = [Edge(source=before, target=after) for before, after in succession(list(entries.values()))]
        homes = {key: key for key in entries}
    else:
        homes = _homes(entries, {node.id for node in one.definition.nodes})
        parts: dict[str, list[Entry]] = {}
        for key, entry in entries.items():
            parts.setdefault(homes.get(key, key), []).append(entry)
        nodes = [_filled(node, parts.pop(node.id, ()), by_id) for node in one.definition.nodes]
        edges = list(one.definition.edges)
        # What is left are verbs that the definition's graph does not show.
        nodes += [_node(entry, by_id) for rest in parts.values() for entry in rest]
    for key, entry in entries.items():
        if entry.child_id is not None and entry.child_id in by_id:
            children[entry.child_id] = homes.get(key, key)
    return nodes, edges, children


def _homes(entries: Mapping[str, Entry], ids: set[str]) -> dict[str, str]:
    """Which box of the definition an entry belongs to: `review[3]` and `apply#2` to `review` and `apply`."""
    homes: dict[str, str] = {}
    for key in entries:
        found = _PART.fullmatch(key)
        home = key if key in ids or found is None else found["base"]
        if home in ids:
            homes[key] = home
    return homes


def _node(entry: Entry, by_id: Mapping[RunId, Recorded]) -> Node:
    """The box of one journal entry; a child run's entry shows the child as it is."""
    child = by_id.get(entry.child_id) if entry.child_id is not None else None
    if child is not None:
        run = child.run
        return Node(
            id=entry.key,
            label=entry.key,
            detail=_why(run) or run.target,
            status=run.status,
            attempts=entry.attempts,
            started_at=run.first_claimed_at or entry.started_at,
            finished_at=run.finished_at,
        )
    name = "" if entry.name == entry.key else entry.name
    verb = "" if entry.kind in (EntryKind.STEP, EntryKind.CHILD) else entry.kind
    return Node(
        id=entry.key,
        label=entry.key,
        detail=_reason(entry) or " ".join(dict.fromkeys(part for part in (verb, name) if part)),
        status=entry.status,
        attempts=entry.attempts,
        started_at=entry.started_at,
        finished_at=entry.finished_at,
    )


def _filled(node: Node, parts: Sequence[Entry], by_id: Mapping[RunId, Recorded]) -> Node:
    """A box of the definition with what became of it."""
    if not parts:
        return replace(node, status=StepStatus.PENDING)
    if len(parts) == 1:
        drawn = _node(parts[0], by_id)
        return replace(
            drawn,
            id=node.id,
            label=node.label,
            detail=drawn.detail if _reason(parts[0]) else node.detail or drawn.detail,
        )
    statuses = [entry.status for entry in parts]
    done = sum(status.terminal for status in statuses)
    started = [entry.started_at for entry in parts if entry.started_at is not None]
    finished = [entry.finished_at for entry in parts if entry.finished_at is not None]
    worst = next(status for status in _WORST_FIRST if status in statuses)
    troubled = next((entry for entry in parts if entry.status is worst and _reason(entry)), None)
    return replace(
        node,
        status=worst,
        detail=(f"{troubled.key}: {_reason(troubled)}" if troubled else "")
        or (f"{done} of {len(parts)}" if done < len(parts) else f"{len(parts)} times"),
        attempts=0,
        started_at=min(started, default=None),
        finished_at=max(finished) if finished and done == len(parts) else None,
    )


def succession(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Who came after whom, by the times in the journal: each entry after the last ones that had ended when it began.

    Where many ended together and many began together, all pairs would be a square: then each only follows the last to
    end.
    """
    timed = sorted(
        (entry for entry in entries if entry.started_at is not None), key=lambda entry: (entry.started_at, entry.seq)
    )
    ended = sorted(
        (entry for entry in timed if entry.finished_at is not None), key=lambda entry: (entry.finished_at, entry.seq)
    )
    budget = 4 * len(timed) + 100
    found: list[tuple[str, str]] = []
    behind = 0
    latest_start = Micros(-1)
    for entry in timed:
        begin = entry.started_at or Micros(0)
        while behind < len(ended) and (ended[behind].finished_at or 0) <= begin:
            other_start = ended[behind].started_at or Micros(0)
            if (other_start, ended[behind].seq) >= (begin, entry.seq):
                break  # one that took no time, at this very moment: it comes after this one
            latest_start = max(latest_start, other_start)
            behind += 1
        frontier: list[str] = []
        for other in reversed(ended[:behind]):
            if (other.finished_at or 0) <= latest_start and frontier:
                break
            frontier.append(other.key)
            if len(frontier) > budget:
                break
        if len(frontier) > budget:
            frontier = frontier[:1]
        budget -= len(frontier)
        found += [(other, entry.key) for other in reversed(frontier)]
    return found


# --- words ---------------------------------------------------------------------------------------


def _causes(starter: str, run_id: RunId, drawn: _Drawn) -> list[Edge]:
    """From what started a run to those of its boxes that nothing else leads to."""
    nodes, edges, _ = drawn
    reached = {edge.target for edge in edges if edge.source != edge.target}
    return [Edge(source=starter, target=f"{run_id}/{node.id}", cause=True) for node in nodes if node.id not in reached]


def _head(run: Run) -> Node:
    """The box of a run itself."""
    return Node(
        id=f"run:{run.id}",
        label=run.target or run.name,
        detail=_why(run) or f"run {run.id}",
        status=run.status,
        started_at=run.first_claimed_at,
        finished_at=run.finished_at,
    )


def _starter(run: Run, top: RunId) -> str:
    """The id of the box that started a run."""
    if run.cause is None or run.cause.step_key is None:
        return ""
    return run.cause.step_key if run.cause.run_id == top else f"{run.cause.run_id}/{run.cause.step_key}"


def _subtitle(run: Run) -> str:
    parts = [f"run {run.id}", str(run.status)]
    if run.wait_reason is not None:
        parts[-1] += f" ({run.wait_reason})"
    if run.first_claimed_at is not None:
        if run.finished_at is not None:
            parts.append(duration(Micros(run.finished_at - run.first_claimed_at)))
        parts.append(
            f"since {iso(run.first_claimed_at)[:19]}Z"
            if run.finished_at is None
            else iso(run.first_claimed_at)[:19] + "Z"
        )
    return " · ".join(parts)


def _reason(entry: Entry) -> str:
    """Why an entry failed, or what it waits for."""
    if entry.error is not None:
        return _first_line(entry.error.message)
    if entry.wait_reason is not None and not entry.status.terminal:
        until = f" until {iso(entry.due_at)[:19]}Z" if entry.due_at is not None else ""
        return f"waits: {entry.wait_reason}{until}"
    return ""


def _why(run: Run) -> str:
    if run.error is not None:
        return _first_line(run.error.message)
    return f"waits: {run.wait_reason}" if run.wait_reason is not None and not run.status.terminal else ""


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
