"""The schema, step by step. A step that was released is never changed; a new one is added behind it.

A test checks that all steps together make what `trivium_storage_sql.tables` describes.
"""

from __future__ import annotations

from trivium_storage_sql.migrating import Migration

MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        "runs, their journals, inboxes and waits, effects, limits, workers, history, blobs",
        (
            """
            CREATE TABLE blob_refs (
                hash TEXT NOT NULL,
                holder TEXT NOT NULL,
                PRIMARY KEY (hash, holder)
            ) WITHOUT ROWID
            """,
            """
            CREATE INDEX blob_refs_holder ON blob_refs (holder)
            """,
            """
            CREATE TABLE blobs (
                hash TEXT NOT NULL,
                body TEXT NOT NULL,
                PRIMARY KEY (hash)
            )
            """,
            """
            CREATE TABLE definitions (
                id TEXT NOT NULL,
                kind TEXT NOT NULL,
                name TEXT NOT NULL,
                body TEXT NOT NULL,
                needs_id TEXT NOT NULL,
                PRIMARY KEY (id)
            )
            """,
            """
            CREATE TABLE effects (
                scope TEXT NOT NULL,
                "key" TEXT NOT NULL,
                status TEXT NOT NULL,
                run_id TEXT NOT NULL,
                epoch BIGINT NOT NULL,
                step_key TEXT NOT NULL,
                output TEXT,
                changed_at BIGINT NOT NULL,
                PRIMARY KEY (scope, "key")
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE holdings (
                "key" TEXT NOT NULL,
                run_id TEXT NOT NULL,
                "limit" BIGINT NOT NULL,
                rank BIGINT NOT NULL,
                holder TEXT,
                waiting INTEGER NOT NULL,
                PRIMARY KEY ("key", run_id)
            ) WITHOUT ROWID
            """,
            """
            CREATE INDEX holdings_held ON holdings ("key", holder)
            WHERE holder IS NOT NULL
            """,
            """
            CREATE INDEX holdings_offered ON holdings ("key")
            WHERE waiting = 2
            """,
            """
            CREATE INDEX holdings_run ON holdings (run_id)
            """,
            """
            CREATE INDEX holdings_waiting ON holdings ("key", "limit", rank, run_id)
            WHERE waiting = 1
            """,
            """
            CREATE TABLE inbox (
                run_id TEXT NOT NULL,
                seq BIGINT NOT NULL,
                kind TEXT NOT NULL,
                name TEXT NOT NULL,
                payload TEXT NOT NULL,
                cause_run TEXT,
                cause_step TEXT,
                created_at BIGINT NOT NULL,
                PRIMARY KEY (run_id, seq)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE journal (
                run_id TEXT NOT NULL,
                seq BIGINT NOT NULL,
                "key" TEXT NOT NULL,
                kind TEXT NOT NULL,
                name TEXT NOT NULL,
                status TEXT NOT NULL,
                generation BIGINT NOT NULL,
                attempts BIGINT NOT NULL,
                input_hash TEXT,
                output TEXT,
                error TEXT,
                wait_reason TEXT,
                due_at BIGINT,
                child_id TEXT,
                started_at BIGINT,
                finished_at BIGINT,
                PRIMARY KEY (run_id, seq)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE meta (
                name TEXT NOT NULL,
                value TEXT NOT NULL,
                PRIMARY KEY (name)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE needs (
                id TEXT NOT NULL,
                names TEXT NOT NULL,
                PRIMARY KEY (id)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE notes (
                run_id TEXT NOT NULL,
                seq BIGINT NOT NULL,
                at BIGINT NOT NULL,
                text TEXT NOT NULL,
                PRIMARY KEY (run_id, seq)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE runs (
                id TEXT NOT NULL,
                kind TEXT NOT NULL,
                name TEXT NOT NULL,
                target TEXT NOT NULL,
                definition_id TEXT NOT NULL,
                status TEXT NOT NULL,
                inputs TEXT NOT NULL,
                queue TEXT NOT NULL,
                priority BIGINT NOT NULL,
                root_id TEXT NOT NULL,
                epoch BIGINT NOT NULL,
                generation BIGINT NOT NULL,
                wake_seq BIGINT NOT NULL,
                losses BIGINT NOT NULL,
                created_at BIGINT NOT NULL,
                "key" TEXT,
                wait_reason TEXT,
                output TEXT,
                error TEXT,
                owner TEXT,
                parent_id TEXT,
                cause_run TEXT,
                cause_step TEXT,
                labels TEXT,
                timeout BIGINT,
                due_at BIGINT,
                first_claimed_at BIGINT,
                finished_at BIGINT,
                cancel_requested INTEGER NOT NULL,
                needs_id TEXT NOT NULL,
                limits TEXT,
                PRIMARY KEY (id)
            )
            """,
            """
            CREATE INDEX runs_definition ON runs (definition_id)
            """,
            """
            CREATE INDEX runs_due ON runs (due_at)
            WHERE status = 'waiting' AND due_at IS NOT NULL
            """,
            """
            CREATE INDEX runs_ended ON runs (finished_at)
            WHERE finished_at IS NOT NULL AND id = root_id
            """,
            """
            CREATE UNIQUE INDEX runs_key ON runs (target, "key")
            WHERE "key" IS NOT NULL
            """,
            """
            CREATE INDEX runs_owner ON runs (owner)
            WHERE owner IS NOT NULL
            """,
            """
            CREATE INDEX runs_parent ON runs (parent_id)
            WHERE parent_id IS NOT NULL
            """,
            """
            CREATE INDEX runs_queued ON runs (priority DESC, id, needs_id, losses)
            WHERE status = 'queued'
            """,
            """
            CREATE INDEX runs_queued_by_queue ON runs (queue, priority DESC, id, needs_id, losses)
            WHERE status = 'queued'
            """,
            """
            CREATE INDEX runs_queued_by_root ON runs (root_id, priority DESC, id)
            WHERE status = 'queued'
            """,
            """
            CREATE INDEX runs_root ON runs (root_id)
            """,
            """
            CREATE INDEX runs_suspect ON runs (priority DESC, id)
            WHERE status = 'queued' AND losses >= 2
            """,
            """
            CREATE TABLE signal_ids (
                run_id TEXT NOT NULL,
                id TEXT NOT NULL,
                PRIMARY KEY (run_id, id)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE trash (
                run_id TEXT NOT NULL,
                PRIMARY KEY (run_id)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE waits (
                run_id TEXT NOT NULL,
                number BIGINT NOT NULL,
                child_id TEXT NOT NULL,
                PRIMARY KEY (run_id, number, child_id)
            ) WITHOUT ROWID
            """,
            """
            CREATE INDEX waits_child ON waits (child_id)
            """,
            """
            CREATE TABLE workers (
                id TEXT NOT NULL,
                name TEXT NOT NULL,
                host TEXT NOT NULL,
                pid BIGINT NOT NULL,
                queues TEXT,
                concurrency BIGINT NOT NULL,
                started_at BIGINT NOT NULL,
                beat BIGINT NOT NULL,
                beat_at BIGINT NOT NULL,
                PRIMARY KEY (id)
            ) WITHOUT ROWID
            """,
        ),
    ),
)
