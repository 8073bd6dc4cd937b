"""The connections to one file: one that writes, in turns with all other processes, and some that read.

A write goes through the turnstile, then `BEGIN IMMEDIATE`; whatever happens inside, the turn is given back with the
transaction ended. Readers never wait for it (WAL), and never write.

Nothing here opens the database or its side files but SQLite: closing any other descriptor of them would drop the locks
that SQLite holds for the whole process.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from typing_extensions import override

from trivium.errors import StoreBusy, StoreUnreachable, StoreUnsupported
from trivium.faults import reach
from trivium_storage_sql.migrating import SCHEMA_ENTRY, Migration, missing
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.checkpoints import Checkpoints
from trivium_storage_sqlite.failures import is_busy, refused_data, store_error
from trivium_storage_sqlite.forks import Forked, abandon, register
from trivium_storage_sqlite.location import Location, check_place
from trivium_storage_sqlite.migrations import MIGRATIONS
from trivium_storage_sqlite.turnstile import PATIENCE, Turnstile

_T = TypeVar("_T")

LOWEST_SQLITE: Final = (3, 35, 0)
"""RETURNING came with it."""
STATEMENTS: Final = 256
"""Prepared statements that a connection keeps: more than there are."""
IDLE_READERS: Final = 8


class Database(Forked):
    """Opened and closed by the storage. After a fork the child opens connections of its own at its first use."""

    def __init__(
        self, location: Location, *, patience: float = PATIENCE, migrations: tuple[Migration, ...] = MIGRATIONS
    ) -> None:
        self.location = location
        self.turnstile = Turnstile(location.folder, patience)
        self._patience = patience
        self._migrations = migrations
        self._checkpoints = Checkpoints(location.path)
        self._writer: sqlite3.Connection | None = None
        self._readers: deque[sqlite3.Connection] = deque()
        self._open = False
        register(self)

    # --- opening and closing ---------------------------------------------------------------------

    def open(self) -> None:
        """Check the place and the versions, create or migrate the schema where it is needed."""
        check_sqlite(sqlite3.sqlite_version_info)
        check_place(self.location)
        try:
            self.location.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreUnreachable(
                f"cannot make {self.location.folder}: {error.strerror}",
                hint=f"the folder {self.location.path.parent} must be writable",
            ) from error
        try:
            self.turnstile.open()
            make_private(self.location)
            self._writer = self._connect_writer()
            found = self._schema(self._writer)
            if missing(self.location.url, found, self._migrations):
                self._migrate(self._writer)
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from error
        except BaseException:
            self.close()
            raise
        self._settle(self._writer)
        self._open = True

    def close(self) -> None:
        """Close all connections; the last process to do so leaves a file without a log beside it."""
        self._open = False
        while self._readers:
            self._readers.pop().close()
        self._checkpoints.close()
        writer, self._writer = self._writer, None
        if writer is not None:
            # SQLite copies the log back when the last connection closes, which is a checkpoint: in turn, like all.
            try:
                self.turnstile.take(patience=min(0.5, self._patience))
            except StoreBusy:
                writer.close()
            else:
                try:
                    writer.close()
                finally:
                    self.turnstile.give_back()
        self.turnstile.close()

    @override
    def after_fork_in_child(self) -> None:
        abandon((self._writer, tuple(self._readers)))
        self._writer = None
        self._readers = deque()
        self._checkpoints.close()
        self._checkpoints = Checkpoints(self.location.path)

    def _connect(self, **pragmas: str | int) -> sqlite3.Connection:
        """A connection that waits for locks as long as all of us do."""
        connection = sqlite3.connect(
            self.location.path,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time, but not always the same
            cached_statements=STATEMENTS,
        )
        try:
            for name, value in {"wal_autocheckpoint": 0, **pragmas}.items():
                connection.execute(f"PRAGMA {name} = {value}")
        except BaseException:  # the first look at the file: it may be damaged, or no database at all
            connection.close()
            raise
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        return self._connect(synchronous=self.location.synchronous, temp_store="MEMORY", cache_size=-8000)

    def _settle(self, connection: sqlite3.Connection) -> None:
        """From now on SQLite does not wait by itself: a checkpoint must not, and `_begin` has a deadline of its own."""
        connection.execute("PRAGMA busy_timeout = 0")

    # --- the schema ------------------------------------------------------------------------------

    def _schema(self, connection: sqlite3.Connection) -> int:
        """The schema's version; 0 where the file is new."""
        # Twice: another process may create everything, in one transaction, between the two looks.
        for _ in range(2):
            try:
                row = connection.execute(sql.SCHEMA_READ).fetchone()
            except sqlite3.OperationalError as error:
                if "no such" not in str(error):  # a lock, a disk; else the table or its columns are not there
                    raise
                if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                    return 0
            else:
                if row is not None and str(row[0]).isdigit():
                    return int(row[0])
        raise self._foreign()

    def _foreign(self) -> StoreUnsupported:
        return StoreUnsupported(
            f"{self.location.path} is a database of another program", hint="name a file of its own for the store"
        )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        self.turnstile.take()
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise StoreUnsupported(
                    f"{self.location.path} cannot have a write-ahead log (SQLite uses {mode!r})",
                    hint="put the file on a local disk",
                )
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Read again: another process may have done it while this one waited for its turn.
                found = self._schema(connection)
                for step in missing(self.location.url, found, self._migrations):
                    for statement in step.statements:
                        connection.execute(statement)
                    if step.number == 1:
                        connection.execute(SCHEMA_ENTRY)
                    connection.execute(sql.SCHEMA_WRITE, (str(step.number),))
                    reach("sqlite.migrated")
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        finally:
            self.turnstile.give_back()

    # --- writing ---------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """This storage's turn and a transaction; committed on leaving, rolled back on an error.

        :raises StoreBusy: the turn did not come in time
        :raises StoreError: nothing was applied
        """
        if not self._open:
            raise StoreUnreachable(f"{self.location.path} is closed")
        turnstile = self.turnstile
        turnstile.take()
        try:
            reach("sqlite.locked")
            connection = self._writer or self._reopened()
            self.begin(connection)
            try:
                reach("sqlite.begin")
                yield connection
                reach("sqlite.before_commit")
                connection.execute("COMMIT")
            except BaseException:
                roll_back(connection)
                raise
            reach("sqlite.after_commit")
            self._checkpoints.after_commit(connection)
        except sqlite3.Error as error:
            raise self._error(error) from error
        finally:
            turnstile.give_back()

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin to write; only another program than ours can be in the way, and it gets a while to finish."""
        deadline = 0.0
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                now = time.monotonic()
                deadline = deadline or now + self._patience
                if now >= deadline:
                    raise
                time.sleep(0.005)

    def _reopened(self) -> sqlite3.Connection:
        self._writer = connection = self._connect_writer()
        self._settle(connection)
        return connection

    # --- reading ---------------------------------------------------------------------------------

    def read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        """What `query` finds in one committed state."""
        if not self._open:
            raise StoreUnreachable(f"{self.location.path} is closed")
        try:
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = self._connect_reader()
            try:
                connection.execute("BEGIN")
                try:
                    found = query(connection)
                finally:
                    if connection.in_transaction:
                        connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise self._error(error) from error
        except (UnicodeEncodeError, OverflowError) as error:  # a value to look for that nothing in the store can equal
            raise refused_data(error) from error
        if len(self._readers) < IDLE_READERS and self._open:
            self._readers.append(connection)
        else:
            connection.close()
        return found

    def _connect_reader(self) -> sqlite3.Connection:
        # It may wait: the first connection after a crash reads the log again, and others wait for it.
        return self._connect(query_only=1)

    def _error(self, error: sqlite3.Error) -> Exception:
        if is_busy(error):
            return StoreBusy(
                f"{self.location.path} is locked by another program, which did not let go within {self._patience:g} s",
                hint="see who has it open: fuser, or lsof",
            )
        return store_error(self.location.path, error)


def roll_back(connection: sqlite3.Connection) -> None:
    """End the transaction, if SQLite has not done so itself (as it does when the disk is full)."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def make_private(location: Location) -> None:
    """Make an empty file that its owner alone may read, where there is none; SQLite gives the log the same mode.

    It is made elsewhere and linked: no descriptor of the database itself is ever closed here, and of two processes one
    makes it. What hinders this hinders SQLite too, which says so, but for a file system without links: such have no
    modes either.
    """
    if location.path.exists():
        return
    with suppress(OSError):
        made = location.folder / f"new-{os.urandom(8).hex()}"
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            os.link(made, location.path)
        finally:
            os.unlink(made)


def check_sqlite(version: tuple[int, int, int]) -> None:
    """Refuse a SQLite that is too old.

    :raises StoreUnsupported:
    """
    if version < LOWEST_SQLITE:
        needed, found = (".".join(map(str, each)) for each in (LOWEST_SQLITE, version))
        raise StoreUnsupported(
            f"this Python is linked with SQLite {found}, the store needs {needed}", hint="use a newer Python"
        )
