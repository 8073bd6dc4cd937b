"""The tables, once for all SQL storages. `docs/storage.md` explains them; the migrations of each storage create them.

Times are microseconds UTC, JSON is canonical text, ids are text, states are the words of `trivium.model.states`. There
are no foreign keys: what refers to what is kept by the commit, which already reads every row it touches, and a
database that checked it again would do so on the hottest path.

A column that is marked `blob_rule` holds text, or, where the text has more than 64 KB, `@sha256:HEX`, and the text
stands in `blobs` (see `trivium_storage_sql.blobs`).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, and_, literal_column

from trivium.model.runs import SUSPECT_LOSSES

BLOB_RULE = "blob_rule"

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("definition_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("inputs", Text, nullable=False, comment=BLOB_RULE),
    Column("queue", Text, nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("root_id", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("wake_seq", BigInteger, nullable=False),
    Column("losses", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("key", Text),
    Column("wait_reason", Text),
    Column("output", Text, comment=BLOB_RULE),
    Column("error", Text),
    Column("owner", Text),
    Column("parent_id", Text),
    Column("cause_run", Text),
    Column("cause_step", Text),
    Column("labels", Text),
    Column("timeout", BigInteger),
    Column("due_at", BigInteger),
    Column("first_claimed_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("cancel_requested", Integer, nullable=False),
    Column("needs_id", Text, nullable=False),
    Column("limits", Text, comment="[[key, limit], ...] as it was started with; who holds what stands in `holdings`"),
)

_queued = runs.c.status == literal_column("'queued'")
_suspect = and_(_queued, runs.c.losses >= literal_column(str(SUSPECT_LOSSES)))
_due = and_(runs.c.status == literal_column("'waiting'"), runs.c.due_at.is_not(None))
_ended_root = and_(runs.c.finished_at.is_not(None), runs.c.id == runs.c.root_id)


def _index(name: str, *columns: object, where: object = None, unique: bool = False) -> None:
    Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)  # type: ignore[arg-type]  # columns and clauses


# The claim's: `needs_id` and `losses` stand in them so that a run which the claimer does not serve costs no look at
# its row.
_index("runs_queued", runs.c.priority.desc(), runs.c.id, runs.c.needs_id, runs.c.losses, where=_queued)
_index(
    "runs_queued_by_queue",
    runs.c.queue,
    runs.c.priority.desc(),
    runs.c.id,
    runs.c.needs_id,
    runs.c.losses,
    where=_queued,
)
_index("runs_queued_by_root", runs.c.root_id, runs.c.priority.desc(), runs.c.id, where=_queued)
_index("runs_suspect", runs.c.priority.desc(), runs.c.id, where=_suspect)
_index("runs_due", runs.c.due_at, where=_due)
_index("runs_owner", runs.c.owner, where=runs.c.owner.is_not(None))
_index("runs_key", runs.c.target, runs.c.key, where=runs.c.key.is_not(None), unique=True)
_index("runs_parent", runs.c.parent_id, where=runs.c.parent_id.is_not(None))
_index("runs_root", runs.c.root_id)
_index("runs_definition", runs.c.definition_id)
_index("runs_ended", runs.c.finished_at, where=_ended_root)

journal = Table(
    "journal",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("input_hash", Text),
    Column("output", Text, comment=BLOB_RULE),
    Column("error", Text),
    Column("wait_reason", Text),
    Column("due_at", BigInteger),
    Column("child_id", Text),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    sqlite_with_rowid=False,
)

inbox = Table(
    "inbox",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, comment="the run's wake_seq as the item raised it"),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("payload", Text, nullable=False, comment=BLOB_RULE),
    Column("cause_run", Text),
    Column("cause_step", Text),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

signal_ids = Table(
    "signal_ids",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

waits = Table(
    "waits",
    metadata,
    Column("run_id", Text, primary_key=True, comment="a parked run"),
    Column("number", BigInteger, primary_key=True, comment="of one of its groups"),
    Column("child_id", Text, primary_key=True, comment="a child that has not ended"),
    sqlite_with_rowid=False,
)
_index("waits_child", waits.c.child_id)

definitions = Table(
    "definitions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False, comment=BLOB_RULE),
    Column("needs_id", Text, nullable=False),
)

needs = Table(
    "needs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("names", Text, nullable=False, comment="a JSON array"),
    sqlite_with_rowid=False,
)

holdings = Table(
    "holdings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("limit", BigInteger, nullable=False),
    Column("rank", BigInteger, nullable=False, comment="minus the run's priority"),
    Column(
        "holder", Text, comment="null: not claimed yet; else the run itself, or the ancestor whose holding it shares"
    ),
    Column("waiting", Integer, nullable=False, comment="1: the run waits for a slot; 2: there is one, it is queued"),
    sqlite_with_rowid=False,
)
_index("holdings_run", holdings.c.run_id)
_index("holdings_held", holdings.c.key, holdings.c.holder, where=holdings.c.holder.is_not(None))
_index(
    "holdings_waiting",
    holdings.c.key,
    holdings.c.limit,
    holdings.c.rank,
    holdings.c.run_id,
    where=holdings.c.waiting == literal_column("1"),
)

_index("holdings_offered", holdings.c.key, where=holdings.c.waiting == literal_column(str(SUSPECT_LOSSES)))

effects = Table(
    "effects",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("step_key", Text, nullable=False),
    Column("output", Text, comment=BLOB_RULE),
    Column("changed_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("queues", Text, comment="a JSON array; null: every queue"),
    Column("concurrency", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("beat_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

notes = Table(
    "notes",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

blobs = Table(
    "blobs",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

blob_refs = Table(
    "blob_refs",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("holder", Text, primary_key=True, comment="a run's id, `definition:ID` or `effect:SCOPE`"),
    sqlite_with_rowid=False,
)
_index("blob_refs_holder", blob_refs.c.holder)

trash = Table(
    "trash",
    metadata,
    Column(
        "run_id",
        Text,
        primary_key=True,
        comment="of a run that is pruned, with rows left in other tables; of a root: its tree is doomed",
    ),
    sqlite_with_rowid=False,
)
