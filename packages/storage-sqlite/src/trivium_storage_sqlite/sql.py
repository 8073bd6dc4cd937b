"""Every statement as text. Made by `python -m trivium_storage_sql.compiling sqlite`; change it there.

The comment above a statement names its parameters in their order.
"""

from __future__ import annotations

from typing import Final

SCHEMA_READ: Final = "SELECT meta.value FROM meta WHERE meta.name = 'schema'"

# value
SCHEMA_WRITE: Final = "UPDATE meta SET value=? WHERE meta.name = 'schema'"

# run_id
FENCE: Final = (
    "SELECT runs.id, runs.status, runs.epoch, runs.generation, runs.wake_seq, runs.losses, runs.owner, "
    "runs.parent_id, runs.root_id, runs.wait_reason, runs.due_at, runs.cancel_requested, runs.first_claimed_at, "
    "runs.limits FROM runs WHERE runs.id = ?"
)

# run_ids
FENCES: Final = (
    "SELECT json_group_array(json_array(runs.id, runs.status, runs.epoch, runs.generation, runs.wake_seq, "
    "runs.losses, runs.owner, runs.parent_id, runs.root_id, runs.wait_reason, runs.due_at, "
    "runs.cancel_requested, runs.first_claimed_at, runs.limits)) AS json_group_array_1 FROM runs WHERE runs.id "
    "IN (SELECT anon_1.value FROM json_each(?) AS anon_1)"
)

# run_id
BELOW: Final = (
    "WITH RECURSIVE below(id) AS (SELECT runs.id AS id FROM runs WHERE runs.parent_id = ? UNION SELECT runs.id "
    "AS id FROM runs, below WHERE runs.parent_id = below.id) SELECT below.id FROM below ORDER BY below.id"
)

# wake, run_id
RUN_WAKE: Final = "UPDATE runs SET wake_seq=? WHERE runs.id = ?"

# new_status, reason, wake, lost, new_owner, due, cancel, run_id
RUN_STATE: Final = (
    "UPDATE runs SET status=?, wait_reason=?, wake_seq=?, losses=?, owner=?, due_at=?, cancel_requested=? WHERE "
    "runs.id = ?"
)

# new_status, new_epoch, wake, lost, cancel, result, failure, now, run_id
RUN_END: Final = (
    "UPDATE runs SET status=?, epoch=?, wake_seq=?, losses=?, cancel_requested=?, output=?, error=?, "
    "finished_at=?, wait_reason=NULL, owner=NULL, due_at=NULL WHERE runs.id = ?"
)

# run_id
RUN_RETRY: Final = (
    "UPDATE runs SET status='queued', epoch=(runs.epoch + 1), generation=(runs.generation + 1), losses=0, "
    "cancel_requested=0, output=NULL, error=NULL, first_claimed_at=NULL, finished_at=NULL WHERE runs.id = ?"
)

# id, kind, name, target, definition_id, status, inputs, queue, priority, root_id, epoch, generation, wake_seq,
# losses, created_at, key, wait_reason, output, error, owner, parent_id, cause_run, cause_step, labels, timeout,
# due_at, first_claimed_at, finished_at, cancel_requested, needs_id, limits
RUN_INSERT: Final = (
    "INSERT INTO runs (id, kind, name, target, definition_id, status, inputs, queue, priority, root_id, epoch, "
    'generation, wake_seq, losses, created_at, "key", wait_reason, output, error, owner, parent_id, cause_run, '
    "cause_step, labels, timeout, due_at, first_claimed_at, finished_at, cancel_requested, needs_id, limits) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

# target, key
RUN_BY_KEY: Final = 'SELECT runs.id, runs.inputs FROM runs WHERE runs.target = ? AND runs."key" = ?'

# queue
TOP_PRIORITY: Final = (
    "SELECT runs.priority FROM runs WHERE runs.status = 'queued' AND runs.queue = ? ORDER BY runs.priority DESC "
    "LIMIT 1 OFFSET 0"
)

# run_id
START_OF: Final = 'SELECT runs.target, runs."key", runs.inputs FROM runs WHERE runs.id = ?'

# run_id
PLACE_OF: Final = "SELECT runs.queue, runs.priority FROM runs WHERE runs.id = ?"

# run_id
END_OF: Final = "SELECT runs.priority, runs.error FROM runs WHERE runs.id = ?"

# definition_id
DEFINITION_KNOWN: Final = "SELECT 1 FROM definitions WHERE definitions.id = ?"

# id, kind, name, body, needs_id
DEFINITION_ADD: Final = "INSERT OR IGNORE INTO definitions (id, kind, name, body, needs_id) VALUES (?, ?, ?, ?, ?)"

# id, names
NEEDS_ADD: Final = "INSERT OR IGNORE INTO needs (id, names) VALUES (?, ?)"

# run_id, seq, key, kind, name, status, generation, attempts, input_hash, output, error, wait_reason, due_at,
# child_id, started_at, finished_at
ENTRY_PUT: Final = (
    'INSERT OR REPLACE INTO journal (run_id, seq, "key", kind, name, status, generation, attempts, input_hash, '
    "output, error, wait_reason, due_at, child_id, started_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, "
    "?, ?, ?, ?, ?, ?, ?)"
)

# run_id, seq, kind, name, payload, cause_run, cause_step, created_at
ITEM_ADD: Final = (
    "INSERT INTO inbox (run_id, seq, kind, name, payload, cause_run, cause_step, created_at) VALUES (?, ?, ?, ?, "
    "?, ?, ?, ?)"
)

# run_id, seq
ITEM_TAKE: Final = "DELETE FROM inbox WHERE inbox.run_id = ? AND inbox.seq = ?"

# run_id
INBOX_CLEAR: Final = "DELETE FROM inbox WHERE inbox.run_id = ?"

# run_id
INBOX_CLEAR_BUT_SIGNALS: Final = "DELETE FROM inbox WHERE inbox.run_id = ? AND inbox.kind IN ('cancel', 'child_end')"

# run_id, signal_id
SIGNAL_ID_KNOWN: Final = "SELECT 1 FROM signal_ids WHERE signal_ids.run_id = ? AND signal_ids.id = ?"

# run_id, id
SIGNAL_ID_ADD: Final = "INSERT INTO signal_ids (run_id, id) VALUES (?, ?)"

# run_id, at, text, same_run_id
NOTE_ADD: Final = (
    "INSERT INTO notes (run_id, seq, at, text) SELECT ? AS anon_1, coalesce(max(notes.seq), 0) + 1 AS anon_2, ? "
    "AS anon_3, ? AS anon_4 FROM notes WHERE notes.run_id = ?"
)

# scope, key, status, run_id, epoch, step_key, output, changed_at
EFFECT_PUT: Final = (
    'INSERT OR REPLACE INTO effects (scope, "key", status, run_id, epoch, step_key, output, changed_at) VALUES '
    "(?, ?, ?, ?, ?, ?, ?, ?)"
)

# scope, key
EFFECT_DELETE: Final = 'DELETE FROM effects WHERE effects.scope = ? AND effects."key" = ?'

# hash, body
BLOB_ADD: Final = "INSERT OR IGNORE INTO blobs (hash, body) VALUES (?, ?)"

# hash, holder
BLOB_REF_ADD: Final = "INSERT OR IGNORE INTO blob_refs (hash, holder) VALUES (?, ?)"

# children
UNENDED: Final = (
    "SELECT json_group_array(json_array(runs.id, runs.parent_id)) AS json_group_array_1 FROM runs WHERE runs.id "
    "IN (SELECT anon_1.value FROM json_each(?) AS anon_1) AND (runs.status NOT IN ('cancelled', 'completed', "
    "'failed'))"
)

# run_id, number, child_id
WAIT_ADD: Final = "INSERT INTO waits (run_id, number, child_id) VALUES (?, ?, ?)"

# children
WAITS_FOR: Final = (
    "SELECT json_group_array(json_array(touched.run_id, touched.number)) AS json_group_array_1 FROM (SELECT "
    "DISTINCT waits.run_id AS run_id, waits.number AS number FROM waits WHERE waits.child_id IN (SELECT "
    "anon_1.value FROM json_each(?) AS anon_1)) AS touched"
)

# children
WAITS_OVER: Final = "DELETE FROM waits WHERE waits.child_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1)"

# run_id, number
WAITS_LEFT: Final = "SELECT 1 FROM waits WHERE waits.run_id = ? AND waits.number = ? LIMIT 1 OFFSET 0"

# run_ids
WAITS_DROP: Final = "DELETE FROM waits WHERE waits.run_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1)"

# key, run_id, limit, rank, holder, waiting
HOLDING_ADD: Final = 'INSERT INTO holdings ("key", run_id, "limit", rank, holder, waiting) VALUES (?, ?, ?, ?, ?, ?)'

# run_id
HOLDINGS_OF: Final = (
    'SELECT holdings."key", holdings."limit", holdings.holder, holdings.waiting FROM holdings WHERE holdings.run_id = ?'
)

# key
HELD: Final = (
    'SELECT count(DISTINCT holdings.holder) AS count_1 FROM holdings WHERE holdings."key" = ? AND '
    "holdings.holder IS NOT NULL"
)

# parent_id, key
HELD_ABOVE: Final = (
    "WITH RECURSIVE up(id, parent_id, distance) AS (SELECT runs.id AS id, runs.parent_id AS parent_id, 0 AS "
    "distance FROM runs WHERE runs.id = ? UNION ALL SELECT runs.id AS id, runs.parent_id AS parent_id, "
    "up.distance + 1 AS anon_1 FROM runs, up WHERE runs.id = up.parent_id) SELECT holdings.holder FROM up JOIN "
    'holdings ON holdings.run_id = up.id AND holdings."key" = ? WHERE holdings.holder IS NOT NULL ORDER BY '
    "up.distance LIMIT 1 OFFSET 0"
)

# new_holder, key, run_id
HOLDING_TAKE: Final = 'UPDATE holdings SET holder=?, waiting=0 WHERE holdings."key" = ? AND holdings.run_id = ?'

# wait, run_id
HOLDINGS_WAIT: Final = "UPDATE holdings SET waiting=? WHERE holdings.run_id = ?"

# key, old_holder
HOLDING_UNSHARE: Final = 'UPDATE holdings SET holder=NULL WHERE holdings."key" = ? AND holdings.holder = ?'

# run_id
HOLDINGS_DROP: Final = "DELETE FROM holdings WHERE holdings.run_id = ?"

OFFERED: Final = (
    'SELECT holdings."key", runs.id, runs.parent_id, runs.needs_id, runs.queue, runs.root_id, runs.losses FROM '
    'holdings JOIN runs ON runs.id = holdings.run_id WHERE holdings.waiting = 2 ORDER BY holdings."key"'
)

# key, serves
SLOT_CANDIDATES: Final = (
    'SELECT holdings."limit", runs.id, runs.parent_id, runs.needs_id, runs.queue, runs.root_id, runs.losses FROM '
    'holdings JOIN runs ON runs.id = holdings.run_id WHERE holdings.waiting = 1 AND holdings."key" = ? AND '
    "runs.needs_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1) ORDER BY holdings.rank, holdings.run_id"
)

# run_id, key
SLOT_WAITERS_BELOW: Final = (
    "WITH RECURSIVE below(id) AS (SELECT runs.id AS id FROM runs WHERE runs.parent_id = ? UNION SELECT runs.id "
    "AS id FROM runs, below WHERE runs.parent_id = below.id) SELECT holdings.run_id FROM below JOIN holdings ON "
    'holdings.run_id = below.id AND holdings."key" = ? WHERE holdings.waiting = 1 ORDER BY holdings.run_id'
)

# key, held
NEXT_LIMIT: Final = (
    'SELECT holdings."limit" FROM holdings WHERE holdings.waiting = 1 AND holdings."key" = ? AND '
    'holdings."limit" > ? ORDER BY holdings."limit" LIMIT 1 OFFSET 0'
)

# key, same
SLOT_WAITERS: Final = (
    'SELECT holdings.rank, holdings.run_id FROM holdings WHERE holdings.waiting = 1 AND holdings."key" = ? AND '
    'holdings."limit" = ? ORDER BY holdings.rank, holdings.run_id'
)

NEXT_DUE: Final = (
    "SELECT runs.due_at FROM runs WHERE runs.status = 'waiting' AND runs.due_at IS NOT NULL ORDER BY runs.due_at "
    "LIMIT 1 OFFSET 0"
)

# now
WAKE_DUE: Final = (
    "UPDATE runs SET status='queued', wait_reason=NULL, due_at=NULL WHERE runs.status = 'waiting' AND "
    "runs.due_at IS NOT NULL AND runs.due_at <= ? RETURNING id"
)

# serves, many
CANDIDATES: Final = (
    "SELECT runs.id, runs.kind, runs.name, runs.target, runs.definition_id, runs.status, runs.inputs, "
    "runs.queue, runs.priority, runs.root_id, runs.epoch, runs.generation, runs.wake_seq, runs.losses, "
    'runs.created_at, runs."key", runs.wait_reason, runs.output, runs.error, runs.owner, runs.parent_id, '
    "runs.cause_run, runs.cause_step, runs.labels, runs.timeout, runs.due_at, runs.first_claimed_at, "
    "runs.finished_at, runs.cancel_requested, runs.needs_id, runs.limits FROM runs WHERE runs.status = 'queued' "
    "AND runs.losses < 2 AND runs.needs_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1) ORDER BY "
    "runs.priority DESC, runs.id LIMIT ? OFFSET 0"
)

# serves, queue, many
CANDIDATES_OF_QUEUE: Final = (
    "SELECT runs.id, runs.kind, runs.name, runs.target, runs.definition_id, runs.status, runs.inputs, "
    "runs.queue, runs.priority, runs.root_id, runs.epoch, runs.generation, runs.wake_seq, runs.losses, "
    'runs.created_at, runs."key", runs.wait_reason, runs.output, runs.error, runs.owner, runs.parent_id, '
    "runs.cause_run, runs.cause_step, runs.labels, runs.timeout, runs.due_at, runs.first_claimed_at, "
    "runs.finished_at, runs.cancel_requested, runs.needs_id, runs.limits FROM runs WHERE runs.status = 'queued' "
    "AND runs.losses < 2 AND runs.needs_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1) AND runs.queue = "
    "? ORDER BY runs.priority DESC, runs.id LIMIT ? OFFSET 0"
)

# roots, serves, queues, many, same_many
CANDIDATES_OF_ROOTS: Final = (
    "SELECT runs.id, runs.kind, runs.name, runs.target, runs.definition_id, runs.status, runs.inputs, "
    "runs.queue, runs.priority, runs.root_id, runs.epoch, runs.generation, runs.wake_seq, runs.losses, "
    'runs.created_at, runs."key", runs.wait_reason, runs.output, runs.error, runs.owner, runs.parent_id, '
    "runs.cause_run, runs.cause_step, runs.labels, runs.timeout, runs.due_at, runs.first_claimed_at, "
    "runs.finished_at, runs.cancel_requested, runs.needs_id, runs.limits FROM json_each(?) AS anon_1 JOIN runs "
    "ON runs.id IN (SELECT first.id FROM runs AS first WHERE first.root_id = anon_1.value AND first.status = "
    "'queued' AND first.losses < 2 AND first.needs_id IN (SELECT anon_2.value FROM json_each(?) AS anon_2) AND "
    "first.queue IN (SELECT anon_3.value FROM json_each(?) AS anon_3) ORDER BY first.priority DESC, first.id "
    "LIMIT ? OFFSET 0) ORDER BY runs.priority DESC, runs.id LIMIT ? OFFSET 0"
)

# roots, serves, many, same_many
CANDIDATES_OF_ROOTS_IN_ANY_QUEUE: Final = (
    "SELECT runs.id, runs.kind, runs.name, runs.target, runs.definition_id, runs.status, runs.inputs, "
    "runs.queue, runs.priority, runs.root_id, runs.epoch, runs.generation, runs.wake_seq, runs.losses, "
    'runs.created_at, runs."key", runs.wait_reason, runs.output, runs.error, runs.owner, runs.parent_id, '
    "runs.cause_run, runs.cause_step, runs.labels, runs.timeout, runs.due_at, runs.first_claimed_at, "
    "runs.finished_at, runs.cancel_requested, runs.needs_id, runs.limits FROM json_each(?) AS anon_1 JOIN runs "
    "ON runs.id IN (SELECT first.id FROM runs AS first WHERE first.root_id = anon_1.value AND first.status = "
    "'queued' AND first.losses < 2 AND first.needs_id IN (SELECT anon_2.value FROM json_each(?) AS anon_2) ORDER "
    "BY first.priority DESC, first.id LIMIT ? OFFSET 0) ORDER BY runs.priority DESC, runs.id LIMIT ? OFFSET 0"
)

# serves
SUSPECTS: Final = (
    "SELECT runs.id, runs.kind, runs.name, runs.target, runs.definition_id, runs.status, runs.inputs, "
    "runs.queue, runs.priority, runs.root_id, runs.epoch, runs.generation, runs.wake_seq, runs.losses, "
    'runs.created_at, runs."key", runs.wait_reason, runs.output, runs.error, runs.owner, runs.parent_id, '
    "runs.cause_run, runs.cause_step, runs.labels, runs.timeout, runs.due_at, runs.first_claimed_at, "
    "runs.finished_at, runs.cancel_requested, runs.needs_id, runs.limits FROM runs WHERE runs.status = 'queued' "
    "AND runs.losses >= 2 AND runs.needs_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1) ORDER BY "
    "runs.priority DESC, runs.id"
)

# worker_id, now, run_id
RUN_CLAIM: Final = (
    "UPDATE runs SET status='running', owner=?, epoch=(runs.epoch + 1), wait_reason=NULL, due_at=NULL, "
    "first_claimed_at=coalesce(runs.first_claimed_at, ?) WHERE runs.id = ?"
)

# run_id
RUN_NO_SLOT: Final = "UPDATE runs SET status='waiting', wait_reason='slot' WHERE runs.id = ?"

# run_id
RUN_SLOT_FREE: Final = "UPDATE runs SET status='queued', wait_reason=NULL WHERE runs.id = ?"

# run_id, current
ENTRIES_THAT_COUNT: Final = (
    'SELECT journal.seq, journal."key", journal.kind, journal.name, journal.status, journal.generation, '
    "journal.attempts, journal.input_hash, journal.output, journal.error, journal.wait_reason, journal.due_at, "
    "journal.child_id, journal.started_at, journal.finished_at FROM journal WHERE journal.run_id = ? AND "
    "(journal.generation = ? OR journal.status = 'completed' OR journal.child_id IS NOT NULL) ORDER BY "
    "journal.seq"
)

# id, name, host, pid, queues, concurrency, started_at, beat, beat_at
WORKER_ADD: Final = (
    "INSERT INTO workers (id, name, host, pid, queues, concurrency, started_at, beat, beat_at) VALUES (?, ?, ?, "
    "?, ?, ?, ?, ?, ?)"
)

# now, worker_id
WORKER_BEAT: Final = "UPDATE workers SET beat=(workers.beat + 1), beat_at=? WHERE workers.id = ?"

# worker_id
WORKER_READ_BEAT: Final = "SELECT workers.beat FROM workers WHERE workers.id = ?"

# worker_id
WORKER_OF: Final = "SELECT workers.beat, workers.name FROM workers WHERE workers.id = ?"

# worker_id
WORKER_DELETE: Final = "DELETE FROM workers WHERE workers.id = ?"

WORKERS: Final = (
    "SELECT workers.id, workers.name, workers.host, workers.pid, workers.queues, workers.concurrency, "
    "workers.started_at, workers.beat, workers.beat_at, (SELECT count(*) AS count_1 FROM runs WHERE runs.owner = "
    "workers.id) AS owned FROM workers ORDER BY workers.started_at, workers.id"
)

# worker_id
RUNS_HAND_BACK: Final = "UPDATE runs SET status='queued', owner=NULL WHERE runs.owner = ? RETURNING id"

# worker_id
RUNS_TAKE_AWAY: Final = (
    "UPDATE runs SET status='queued', owner=NULL, epoch=(runs.epoch + 1), losses=(runs.losses + 1) WHERE "
    "runs.owner = ? RETURNING id, losses"
)

# hash
BLOB_READ: Final = "SELECT blobs.body FROM blobs WHERE blobs.hash = ?"

# run_id
RUN_READ: Final = (
    "SELECT runs.id, runs.kind, runs.name, runs.target, runs.definition_id, runs.status, runs.inputs, "
    "runs.queue, runs.priority, runs.root_id, runs.epoch, runs.generation, runs.wake_seq, runs.losses, "
    'runs.created_at, runs."key", runs.wait_reason, runs.output, runs.error, runs.owner, runs.parent_id, '
    "runs.cause_run, runs.cause_step, runs.labels, runs.timeout, runs.due_at, runs.first_claimed_at, "
    "runs.finished_at, runs.cancel_requested, runs.needs_id, runs.limits FROM runs WHERE runs.id = ?"
)

RUNS_WHERE: Final = (
    "SELECT runs.id, runs.kind, runs.name, runs.target, runs.definition_id, runs.status, runs.inputs, "
    "runs.queue, runs.priority, runs.root_id, runs.epoch, runs.generation, runs.wake_seq, runs.losses, "
    'runs.created_at, runs."key", runs.wait_reason, runs.output, runs.error, runs.owner, runs.parent_id, '
    "runs.cause_run, runs.cause_step, runs.labels, runs.timeout, runs.due_at, runs.first_claimed_at, "
    "runs.finished_at, runs.cancel_requested, runs.needs_id, runs.limits FROM runs"
)

# run_ids
STATUSES: Final = (
    "SELECT runs.id, runs.status FROM runs WHERE runs.id IN (SELECT anon_1.value FROM json_each(?) AS anon_1)"
)

# run_id, after, many
ENTRIES: Final = (
    'SELECT journal.seq, journal."key", journal.kind, journal.name, journal.status, journal.generation, '
    "journal.attempts, journal.input_hash, journal.output, journal.error, journal.wait_reason, journal.due_at, "
    "journal.child_id, journal.started_at, journal.finished_at FROM journal WHERE journal.run_id = ? AND "
    "journal.seq > ? ORDER BY journal.seq LIMIT ? OFFSET 0"
)

# run_id
WAKE_SEQ: Final = "SELECT runs.wake_seq FROM runs WHERE runs.id = ?"

# run_id
INBOX: Final = (
    "SELECT inbox.run_id, inbox.seq, inbox.kind, inbox.name, inbox.payload, inbox.cause_run, inbox.cause_step, "
    "inbox.created_at FROM inbox WHERE inbox.run_id = ? ORDER BY inbox.seq"
)

# worker_id
OWNED: Final = "SELECT runs.id, runs.epoch, runs.wake_seq FROM runs WHERE runs.owner = ?"

# definition_id
DEFINITION: Final = (
    "SELECT definitions.id, definitions.kind, definitions.name, definitions.body, definitions.needs_id, "
    "needs.names FROM definitions JOIN needs ON needs.id = definitions.needs_id WHERE definitions.id = ?"
)

NEEDS: Final = "SELECT needs.id, needs.names FROM needs"

# scope, key
EFFECT: Final = (
    'SELECT effects.scope, effects."key", effects.status, effects.run_id, effects.epoch, effects.step_key, '
    'effects.output, effects.changed_at FROM effects WHERE effects.scope = ? AND effects."key" = ?'
)

# run_id
NOTES: Final = "SELECT notes.seq, notes.at, notes.text FROM notes WHERE notes.run_id = ? ORDER BY notes.seq"

# before, many
OLD_ROOTS: Final = (
    "SELECT runs.id FROM runs WHERE runs.finished_at IS NOT NULL AND runs.id = runs.root_id AND runs.finished_at "
    "< ? AND NOT (EXISTS (SELECT * FROM runs AS tree WHERE tree.root_id = runs.id AND (tree.status NOT IN "
    "('cancelled', 'completed', 'failed')))) ORDER BY runs.finished_at LIMIT ? OFFSET 0"
)

# roots
COUNT_RUNS: Final = (
    "SELECT count(*) AS count_1 FROM runs WHERE runs.root_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1)"
)

# roots
COUNT_ENTRIES: Final = (
    "SELECT count(*) AS count_1 FROM journal WHERE journal.run_id IN (SELECT runs.id FROM runs WHERE "
    "runs.root_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1))"
)

# roots, roots, roots, roots, roots, roots, roots, roots
COUNT_BLOBS: Final = (
    "SELECT count(DISTINCT blob_refs.hash) AS count_1 FROM blob_refs WHERE (blob_refs.holder IN (SELECT runs.id "
    "FROM runs WHERE runs.root_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1)) OR blob_refs.holder IN "
    "(SELECT 'effect:' || runs.id AS anon_2 FROM runs WHERE runs.root_id IN (SELECT anon_1.value FROM "
    "json_each(?) AS anon_1)) OR blob_refs.holder IN (SELECT 'definition:' || definitions.id AS anon_3 FROM "
    "definitions WHERE definitions.id IN (SELECT runs.definition_id FROM runs WHERE runs.root_id IN (SELECT "
    "anon_1.value FROM json_each(?) AS anon_1)) AND NOT (EXISTS (SELECT * FROM runs AS remaining WHERE "
    "remaining.definition_id = definitions.id AND (remaining.root_id NOT IN (SELECT anon_1.value FROM "
    "json_each(?) AS anon_1)))))) AND NOT (EXISTS (SELECT * FROM blob_refs AS stays WHERE stays.hash = "
    "blob_refs.hash AND NOT (stays.holder IN (SELECT runs.id FROM runs WHERE runs.root_id IN (SELECT "
    "anon_1.value FROM json_each(?) AS anon_1)) OR stays.holder IN (SELECT 'effect:' || runs.id AS anon_4 FROM "
    "runs WHERE runs.root_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1)) OR stays.holder IN (SELECT "
    "'definition:' || definitions.id AS anon_5 FROM definitions WHERE definitions.id IN (SELECT "
    "runs.definition_id FROM runs WHERE runs.root_id IN (SELECT anon_1.value FROM json_each(?) AS anon_1)) AND "
    "NOT (EXISTS (SELECT * FROM runs AS remaining WHERE remaining.definition_id = definitions.id AND "
    "(remaining.root_id NOT IN (SELECT anon_1.value FROM json_each(?) AS anon_1))))))))"
)

# run_id
TRASH_ADD: Final = "INSERT OR IGNORE INTO trash (run_id) VALUES (?)"

# root_id
IS_DOOMED: Final = "SELECT 1 FROM trash WHERE trash.run_id = ?"

# root, same_root, many
SOME_OF_TREE: Final = (
    "SELECT runs.id, runs.definition_id FROM runs WHERE runs.root_id = ? AND runs.id != ? LIMIT ? OFFSET 0"
)

# run_id
RUN_DELETE: Final = "DELETE FROM runs WHERE runs.id = ?"

# run_id
RUN_DELETE_LAST: Final = "DELETE FROM runs WHERE runs.id = ? RETURNING definition_id"

# many
TRASH: Final = (
    "SELECT trash.run_id FROM trash WHERE NOT (EXISTS (SELECT * FROM runs WHERE runs.id = trash.run_id)) LIMIT ? "
    "OFFSET 0"
)

# run_id
TRASH_TAKE: Final = "DELETE FROM trash WHERE trash.run_id = ?"

# run_id, run_id, many
ENTRIES_DELETE: Final = (
    "DELETE FROM journal WHERE journal.run_id = ? AND journal.seq < coalesce((SELECT journal.seq FROM journal "
    "WHERE journal.run_id = ? ORDER BY journal.seq LIMIT 1 OFFSET ?), 9223372036854775807)"
)

# run_id
SIGNAL_IDS_DELETE: Final = "DELETE FROM signal_ids WHERE signal_ids.run_id = ?"

# run_id
NOTES_DELETE: Final = "DELETE FROM notes WHERE notes.run_id = ?"

# scope
EFFECTS_DELETE: Final = "DELETE FROM effects WHERE effects.scope = ?"

# holder
BLOB_REFS_DELETE: Final = "DELETE FROM blob_refs WHERE blob_refs.holder = ? RETURNING hash"

# hash
BLOB_DELETE: Final = (
    "DELETE FROM blobs WHERE blobs.hash = ? AND NOT (EXISTS (SELECT * FROM blob_refs WHERE blob_refs.hash = "
    "blobs.hash))"
)

# definition_id
DEFINITION_DELETE: Final = (
    "DELETE FROM definitions WHERE definitions.id = ? AND NOT (EXISTS (SELECT * FROM runs WHERE "
    "runs.definition_id = definitions.id))"
)

NEEDS_DELETE: Final = "DELETE FROM needs WHERE (needs.id NOT IN (SELECT definitions.needs_id FROM definitions))"

RUN_FILTERS: Final = {
    "statuses": "runs.status IN (SELECT anon_1.value FROM json_each(?) AS anon_1)",
    "kind": "runs.kind = ?",
    "name": "runs.name = ?",
    "parent_id": "runs.parent_id = ?",
    "root_id": "runs.root_id = ?",
    "key": 'runs."key" = ?',
    "target": "runs.target = ?",
    "id_prefix": "runs.id >= ? AND runs.id < ?",
    "label": ('EXISTS (SELECT * FROM json_each(runs.labels) AS anon_1 WHERE anon_1."key" = ? AND anon_1.value = ?)'),
    "before": "runs.id < ?",
}
