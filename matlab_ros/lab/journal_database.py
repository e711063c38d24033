"""The journal's database: opened by its URL, held by one writer, and waited for when it is away."""

from __future__ import annotations

import logging
import os
import platform
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from matlab_ros import __version__
from matlab_ros.lab import journal_format
from matlab_ros.lab.journal_tables import EVENTS, WRITERS, JournalError

_LOG = logging.getLogger(__name__)

_LOCK_PATIENCE_S = 5.0
"""For which a lock is waited for: a server takes a moment to notice that its last holder died."""
_LOCK_PAUSE_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0

_LOCK_WORD = "matlab_ros journal"
_SERVER_SETTINGS = {
    "connect_timeout": 5,
    "application_name": _LOCK_WORD,
    # Either end notices within half a minute that the other's machine is gone.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


def url_of(text: str | URL) -> URL:
    """A journal's URL with the driver that it is opened with.

    Raises:
        JournalError: it is none.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise JournalError(
            f"{text!r} is no URL of a journal; expected one such as sqlite:////data/lab.sqlite or "
            "postgresql://user@host/lab."
        ) from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return url


def without_password(text: str) -> str:
    """A journal's URL as it may be written down; a server's password comes from ~/.pgpass.

    Raises:
        JournalError: it is none.
    """
    return url_of(text)._replace(password=None).render_as_string(hide_password=False)


def file_of(url: URL) -> Path | None:
    """The file of a SQLite journal; None where there is none."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(url.database)


def engine_of(url: URL) -> Engine:
    """A database engine whose commits are on disk when they return.

    Raises:
        JournalError: the database's driver is not installed.
    """
    try:
        if url.get_backend_name() == "postgresql":
            engine = sa.create_engine(
                url,
                connect_args={k: v for k, v in _SERVER_SETTINGS.items() if k not in url.query},
                pool_pre_ping=True,
            )
            sa.event.listen(engine, "connect", _configure_postgresql)
            return engine
        engine = sa.create_engine(url)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise JournalError(
            f"The journal {shown(url)} needs a database driver that is not installed ({error}); "
            "for PostgreSQL: pip install 'matlab_ros[postgresql]'."
        ) from error
    if url.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _: Any) -> None:
    # Python's own handling of transactions commits before it changes tables.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL, not NORMAL: after a power failure an intent must not be missing whose goal was sent.
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _configure_postgresql(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] == "off":
            cursor.execute("SET synchronous_commit = on")
    connection.commit()


def shown(url: URL) -> str:
    """The URL as it may stand in a message."""
    return url.render_as_string(hide_password=True)


def reason(error: Exception) -> str:
    """The database's own words, on one line."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())


class WritingSession:
    """The one connection through which a journal is written, and the lock that keeps others out.

    A PostgreSQL server's lock belongs to the connection: who loses the one loses the other. So a
    session that comes back takes the lock again, and goes on only if nobody wrote in between.

    Args:
        url: from `url_of`.
        wall_clock: gives the time of day at which the journal was opened.
        patience_s: steady seconds for which a server that is away is waited for.
        on_trouble: told what is waited for, in a sentence.

    Raises:
        JournalError: the database cannot be opened, is held by another writer, or was written by
            newer software.
    """

    def __init__(
        self,
        url: URL,
        wall_clock: Callable[[], datetime],
        patience_s: float,
        on_trouble: Callable[[str], None],
    ) -> None:
        self.url = url
        self.engine = engine_of(url)
        self._wall_clock = wall_clock
        self._patience_s = patience_s
        self._on_trouble = on_trouble
        self._is_server = url.get_backend_name() == "postgresql"
        self._pause = threading.Event()
        self._file_lock: sqlite3.Connection | None = None
        self._connection: sa.Connection | None = None
        self._backend = 0
        self._number = 0
        try:
            self._open()
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            self.close()
            raise JournalError(
                f"The journal {shown(url)} cannot be opened ({reason(error)}); "
                "check the parameter journal_url, the server, and the rights on its directory."
            ) from error
        except JournalError:
            self.close()
            raise

    # --- opening ------------------------------------------------------------------------------

    def _open(self) -> None:
        file = file_of(self.url)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = self.engine.connect()
        self._lock(file)
        with self._connection.begin():
            stamp = journal_format.present(self._connection)
        if stamp != journal_format.NEWEST:
            if stamp is not None and file is not None:
                copy = journal_format.keep_copy(file, stamp)
                _LOG.warning("The journal's tables change; as they were they are in %s.", copy)
            with self._connection.begin():
                journal_format.upgrade(self._connection, stamp)
        with self._connection.begin():
            self._sign(self._connection)

    def _lock(self, file: Path | None) -> None:
        assert self._connection is not None
        until = time.monotonic() + _LOCK_PATIENCE_S
        while not (self._lock_file(file) if not self._is_server else self._lock_server()):
            if time.monotonic() > until:
                raise JournalError(
                    f"The journal {shown(self.url)} is held by {self._holder()}; one lab manager "
                    "writes a journal. End that one, or choose another journal by the parameter "
                    "journal_url."
                )
            self._pause.wait(_LOCK_PAUSE_S)

    def _lock_file(self, file: Path | None) -> bool:
        """Lock a file beside the journal, so that the journal itself stays readable for others."""
        if file is None:
            return True
        if self._file_lock is None:
            self._file_lock = sqlite3.connect(
                file.with_name(f"{file.name}.lock"),
                timeout=0.0,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._file_lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return False
        return True

    def _lock_server(self) -> bool:
        """Take the lock of this database's present schema."""
        assert self._connection is not None
        with self._connection.begin():
            taken, self._backend = self._connection.execute(
                sa.text(
                    "SELECT pg_try_advisory_lock(hashtext(:word), hashtext(current_schema())), "
                    "pg_backend_pid()"
                ),
                {"word": _LOCK_WORD},
            ).one()
        return bool(taken)

    def _holder(self) -> str:
        """Who opened the journal last."""
        assert self._connection is not None
        with suppress(SQLAlchemyError), self._connection.begin():
            if sa.inspect(self._connection).has_table(WRITERS.name):
                query = sa.select(WRITERS).order_by(WRITERS.c.number.desc()).limit(1)
                row = self._connection.execute(query).first()
                if row is not None:
                    return (
                        f"process {row.process_id} on {row.host}, since {row.wall_time} "
                        f"(software {row.software})"
                    )
        return "another process"

    def _sign(self, connection: sa.Connection) -> None:
        """Note who writes from now on."""
        last = connection.execute(sa.select(sa.func.max(WRITERS.c.number))).scalar()
        self._number = (last or 0) + 1
        connection.execute(
            WRITERS.insert().values(
                number=self._number,
                wall_time=self._wall_clock().isoformat(),
                host=platform.node(),
                process_id=os.getpid(),
                software=__version__,
                first_sequence=last_sequence(connection) + 1,
            )
        )

    # --- writing ------------------------------------------------------------------------------

    @property
    def connection(self) -> sa.Connection | None:
        """The one that writes; None while it is lost."""
        return self._connection

    def commit(
        self,
        write: Callable[[sa.Connection], None],
        stands: Callable[[sa.Connection], bool],
    ) -> None:
        """Write in one transaction, once, however often the connection is lost.

        Args:
            write: does it.
            stands: looks whether it was done, where a commit's acknowledgement may have been lost.

        Raises:
            JournalError: the server stayed away for longer than it is waited for, or another
                writer came in between.
            SQLAlchemyError: the database refused.
        """
        until: float | None = None
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                is_new = self._connection is None
                connection = self._connection or self._come_back()
                with self._bounded(connection), connection.begin():
                    if not (is_new and stands(connection)):
                        write(connection)
            except (OperationalError, InterfaceError) as error:
                self._drop()
                if not self._is_server:
                    raise
                now = time.monotonic()
                until = now + self._patience_s if until is None else until
                if now >= until:
                    raise JournalError(
                        f"The journal {shown(self.url)} was away for {self._patience_s:g} s "
                        f"({reason(error)}); nothing is begun any more, devices go on with what "
                        "they have. Bring the database server back, then start the lab manager."
                    ) from error
                self._on_trouble(
                    f"The journal's connection is lost ({reason(error)}); nothing is begun until "
                    f"it is back, for {until - now:.1f} s more."
                )
                self._pause.wait(min(pause_s, until - now))
                pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
            else:
                return

    def _come_back(self) -> sa.Connection:
        """A new connection with the lock, where nobody else had it in between."""
        lost_backend = self._backend
        self._connection = connection = self.engine.connect()
        with self._bounded(connection):
            is_locked = self._lock_server()
            with connection.begin():
                last = connection.execute(sa.select(sa.func.max(WRITERS.c.number))).scalar()
            if last != self._number:
                raise JournalError(
                    f"While the connection to the journal was lost, {self._holder()} opened it; "
                    "this lab manager stops, the other one goes on."
                )
            if not is_locked:
                # Ours of before the loss: its server has not noticed yet that nobody is there.
                self._backend = lost_backend
                with connection.begin():
                    connection.execute(
                        sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": lost_backend}
                    )
                raise OperationalError("lock", None, Exception("the lost connection has the lock"))
        return connection

    @contextmanager
    def _bounded(self, connection: sa.Connection) -> Iterator[None]:
        """Cut a server's line that answers nothing for as long as servers are waited for."""
        if not self._is_server:
            yield
            return
        driver: Any = connection.connection.driver_connection
        timer = threading.Timer(self._patience_s, _cut, (driver.fileno(),))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _drop(self) -> None:
        """Let go of a connection that failed."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(SQLAlchemyError):
            connection.invalidate()
        with suppress(SQLAlchemyError):
            connection.close()

    def close(self) -> None:
        """Let go of the database and its lock."""
        if self._connection is not None:
            if self._is_server:
                # A pooled connection would keep the lock.
                self._drop()
            else:
                self._connection.close()
                self._connection = None
        if self._file_lock is not None:
            self._file_lock.close()
            self._file_lock = None
        self.engine.dispose()


def last_sequence(connection: sa.Connection) -> int:
    """Number of the last event; 0 where there is none."""
    return connection.execute(sa.select(sa.func.max(EVENTS.c.sequence))).scalar() or 0


def _cut(descriptor: int) -> None:
    """Shut down a socket that another thread waits for; that one is told that it was closed."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as line:
        line.shutdown(socket.SHUT_RDWR)
