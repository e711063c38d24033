"""A journal has one writer, keeps its tables up to date, and outlives its database's absences."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from matlab_ros.lab import journal_database, journal_format
from matlab_ros.lab.events import ManagerRestarted, Paused
from matlab_ros.lab.journal import JournalError, JournalReader, SqlJournal
from matlab_ros.lab.journal_database import engine_of, url_of
from matlab_ros.lab.journal_tables import METADATA
from matlab_ros.model.lab_words import Scope

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data"
DEADLINE_S = 60.0


@pytest.fixture
def short_patience(monkeypatch) -> None:
    """A lock that is held is waited for a moment only."""
    monkeypatch.setattr(journal_database, "_LOCK_PATIENCE_S", 0.2)


# --- one writer -------------------------------------------------------------------------------

HOLDER = """
import sys
from matlab_ros.lab.events import ManagerRestarted
from matlab_ros.lab.journal import SqlJournal
journal = SqlJournal(sys.argv[1])
journal.append("c", 1, [ManagerRestarted()])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(journal_url) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the journal."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, journal_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait(DEADLINE_S)


def test_a_second_lab_manager_is_refused_and_told_who_writes(journal_url, holder, short_patience):
    with pytest.raises(JournalError, match=f"held by process {holder.pid} on .*one lab manager"):
        SqlJournal(journal_url)
    reader = JournalReader(journal_url)
    assert [entry.event for entry in reader.read()] == [ManagerRestarted()]
    reader.close()


def test_a_killed_writer_leaves_no_lock(journal_url, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait(DEADLINE_S)
    journal = SqlJournal(journal_url)
    assert journal.append("c", 2, [ManagerRestarted()])[0].sequence == 2
    journal.close()


def test_a_closed_journal_is_free_for_the_next(journal_url, short_patience):
    for count in range(3):
        journal = SqlJournal(journal_url)
        assert len(list(journal.read())) == count
        journal.append("c", count, [ManagerRestarted()])
        journal.close()


def test_two_labs_may_share_a_database_in_schemas_of_their_own(new_database):
    url = new_database()
    engine = engine_of(url_of(url))
    with engine.begin() as connection:
        connection.execute(sa.text("create schema north"))
        connection.execute(sa.text("create schema south"))
    engine.dispose()
    journals = [SqlJournal(f"{url}&options=-csearch_path={name}") for name in ("north", "south")]
    for count, journal in enumerate(journals, 1):
        for _ in range(count):
            journal.append(f"lab {count}", 1, [ManagerRestarted()])
    assert [len(list(journal.read())) for journal in journals] == [1, 2]
    for journal in journals:
        journal.close()


# --- format -----------------------------------------------------------------------------------


@pytest.fixture
def old_url(journal_url, tmp_path) -> str:
    """A journal of format 1, as its software left it; on a server copied from the same file."""
    file = tmp_path / "old.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript((DATA / "journal_1.sql").read_text())
    connection.close()
    if journal_url.startswith("sqlite"):
        return f"sqlite:///{file}"
    source, target = sa.create_engine(f"sqlite:///{file}"), sa.create_engine(journal_url)
    tables = sa.MetaData()
    tables.reflect(source)
    tables.create_all(target)
    with source.connect() as reading, target.begin() as writing:
        for table in tables.sorted_tables:
            rows = [dict(row._mapping) for row in reading.execute(sa.select(table))]
            if rows:
                writing.execute(table.insert(), rows)
    source.dispose()
    target.dispose()
    return journal_url


def bodies(url: str) -> list[tuple[object, ...]]:
    """Every row of the events' table."""
    engine = sa.create_engine(url_of(url))
    with engine.connect() as connection:
        rows = [
            tuple(row) for row in connection.execute(sa.text("select * from events order by 1"))
        ]
    engine.dispose()
    return rows


def test_an_old_journal_becomes_one_of_today_and_keeps_every_byte(old_url):
    before = bodies(old_url)
    assert before
    journal = SqlJournal(old_url)
    assert journal.append("second", 1, [ManagerRestarted()])[0].sequence == len(before) + 1
    journal.close()
    assert bodies(old_url)[:-1] == before
    engine = sa.create_engine(url_of(old_url))
    with engine.connect() as connection:
        assert journal_format.present(connection) == journal_format.NEWEST
        newest = connection.execute(sa.text("select max(format) from journal_format")).scalar()
    engine.dispose()
    assert newest == int(journal_format.NEWEST), "software of format 1 must refuse it"


def test_a_file_of_an_old_journal_is_kept_as_it_was(tmp_path):
    file = tmp_path / "journal.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript((DATA / "journal_1.sql").read_text())
        before = list(connection.iterdump())
    connection.close()
    SqlJournal(f"sqlite:///{file}").close()
    with sqlite3.connect(f"{file}.format-1") as connection:
        assert list(connection.iterdump()) == before
    connection.close()


def test_an_upgrade_that_fails_leaves_everything_as_it_was(old_url):
    engine = sa.create_engine(url_of(old_url))
    with engine.begin() as connection:
        connection.execute(sa.text("create table writers (in_the_way integer)"))
    before = bodies(old_url)
    with pytest.raises(JournalError, match=r"cannot be opened.*writers"):
        SqlJournal(old_url)
    with engine.connect() as connection:
        assert journal_format.present(connection) == "0001"
        assert not sa.inspect(connection).has_table("alembic_version")
    with engine.begin() as connection:
        connection.execute(sa.text("drop table writers"))
    engine.dispose()
    assert bodies(old_url) == before
    SqlJournal(old_url).close()


def test_an_old_journal_can_be_looked_at_without_being_changed(old_url):
    before = bodies(old_url)
    reader = JournalReader(old_url)
    assert len(list(reader.read())) == len(before)
    assert len(list(reader.read(after=len(before) - 1))) == 1
    assert reader.raw_files()
    reader.close()
    engine = sa.create_engine(url_of(old_url))
    with engine.connect() as connection:
        assert journal_format.present(connection) == "0001"
    engine.dispose()


def test_the_migrations_lead_to_the_tables_that_the_journal_uses(journal_url):
    SqlJournal(journal_url).close()
    engine = sa.create_engine(url_of(journal_url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_the_newest_format_is_the_last_migration():
    folder = Path(journal_format.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == journal_format.NEWEST


def test_a_foreign_table_is_not_taken_for_a_journal(journal_url, tmp_path):
    (tmp_path / "new").mkdir(exist_ok=True)
    engine = sa.create_engine(url_of(journal_url))
    with engine.begin() as connection:
        connection.execute(sa.text("create table events (dancing integer)"))
    engine.dispose()
    with pytest.raises(JournalError, match="none of a journal"):
        SqlJournal(journal_url)


def test_what_cannot_be_opened_is_said_in_a_sentence(tmp_path):
    with pytest.raises(JournalError, match="no URL"):
        SqlJournal("journal")
    with pytest.raises(JournalError, match="driver that is not installed"):
        SqlJournal("postgresql+nonsense://host/lab")
    with pytest.raises(JournalError, match="no journal"):
        JournalReader(f"sqlite:///{tmp_path}/missing.sqlite")
    (tmp_path / "text").write_text("no database at all " * 100)
    with pytest.raises(JournalError, match=r"cannot be opened.*not a database"):
        SqlJournal(f"sqlite:///{tmp_path}/text")
    pytest.importorskip("psycopg")
    with pytest.raises(JournalError, match=r"cannot be opened.*socket"):
        SqlJournal(f"postgresql://lab:secret@/lab?host={tmp_path}")
    with pytest.raises(JournalError) as caught:
        SqlJournal(f"postgresql://lab:secret@/lab?host={tmp_path}")
    assert "secret" not in str(caught.value)


# --- a server that goes away ------------------------------------------------------------------


class Line:
    """A server's socket with somebody on the line who can cut it.

    Attributes:
        mode: what happens to a COMMIT: "pass", "lose question" (it never arrives), "lose answer"
            (it is carried out and its client never hears so), "hang" (nothing passes any more).
        lingers: whether a lost answer leaves the server's end open.
    """

    def __init__(self, server: Path) -> None:
        self._server = server / ".s.PGSQL.5432"
        self.folder = Path(tempfile.mkdtemp(prefix="line-", dir="/tmp"))
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.folder / ".s.PGSQL.5432"))
        self._socket.listen()
        self.mode = "pass"
        self.cuts = 0
        self.lingers = False
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._server))
            except OSError:
                client.close()
                continue
            loses = threading.Event()
            for source, target, is_question in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._carry, args=(source, target, is_question, loses), daemon=True
                ).start()

    def _carry(
        self,
        source: socket.socket,
        target: socket.socket,
        is_question: bool,
        loses: threading.Event,
    ) -> None:
        try:
            while data := source.recv(65536):
                if self.mode == "hang":
                    continue
                if is_question and b"COMMIT" in data and self.mode != "pass":
                    self.cuts += 1
                    if self.mode == "lose question":
                        self.mode = "pass"
                        break
                    self.mode = "pass"
                    loses.set()
                if not is_question and loses.is_set():
                    break
                target.sendall(data)
        except OSError:
            pass
        if self.lingers and loses.is_set():
            # The server's end stays open: nobody told it that the client is gone.
            self._kept.append(source if is_question else target)
            self._kept.append(target if is_question else source)
            self._shut(target if not is_question else source)
            return
        for end in (source, target):
            self._shut(end)

    @staticmethod
    def _shut(end: socket.socket) -> None:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            end.close()

    def close(self) -> None:
        """Take no more calls."""
        self._socket.close()
        for end in self._kept:
            end.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def line(own_postgres) -> Iterator[Line]:
    """A line to our own server."""
    made = Line(own_postgres.folder)
    yield made
    made.close()


@pytest.fixture
def line_url(line, own_postgres) -> str:
    """A new database at the end of that line."""
    name = f"line_{os.urandom(8).hex()}"
    engine = sa.create_engine(own_postgres.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    engine.dispose()
    return f"postgresql://lab@/{name}?host={line.folder}"


@pytest.mark.parametrize("mode", ["lose question", "lose answer", "lose answer and linger"])
def test_a_commit_whose_acknowledgement_was_lost_is_not_written_twice(line, line_url, mode):
    told: list[str] = []
    journal = SqlJournal(line_url, patience_s=30.0, on_trouble=told.append)
    journal.append("c", 1, [ManagerRestarted()])
    line.mode = mode.removesuffix(" and linger")
    line.lingers = line.mode != mode
    entries = journal.append("c", 2, [Paused(Scope.LAB, ""), ManagerRestarted()])
    assert line.cuts == 1
    assert told
    if line.lingers:
        assert any("the lost connection has the lock" in sentence for sentence in told)
    assert [entry.sequence for entry in entries] == [2, 3]
    assert journal.append("c", 3, [ManagerRestarted()])[0].sequence == 4
    assert [entry.ros_time_ns for entry in journal.read()] == [1, 2, 2, 3]
    journal.close()


def test_a_server_that_was_restarted_is_waited_for(own_postgres, new_database):
    told = threading.Event()
    journal = SqlJournal(new_database(), patience_s=60.0, on_trouble=lambda _: told.set())
    journal.append("c", 1, [ManagerRestarted()])
    own_postgres.stop()

    def bring_back() -> None:
        assert told.wait(DEADLINE_S)
        own_postgres.start()

    helper = threading.Thread(target=bring_back)
    helper.start()
    journal.append("c", 2, [ManagerRestarted()])
    helper.join(DEADLINE_S)
    assert [entry.ros_time_ns for entry in journal.read()] == [1, 2]
    journal.close()


def test_a_server_that_stays_away_ends_the_waiting(own_postgres, new_database):
    url = new_database()
    journal = SqlJournal(url, patience_s=0.3)
    journal.append("c", 1, [ManagerRestarted()])
    own_postgres.stop()
    try:
        with pytest.raises(JournalError, match=r"away for 0.3 s.*devices go on"):
            journal.append("c", 2, [ManagerRestarted()])
    finally:
        own_postgres.start()
    journal.close()
    again = SqlJournal(url)
    assert [entry.ros_time_ns for entry in again.read()] == [1]
    again.close()


def test_a_server_that_answers_nothing_is_not_waited_for_for_ever(line, line_url):
    journal = SqlJournal(line_url, patience_s=0.5)
    line.mode = "hang"
    with pytest.raises(JournalError, match="away for"):
        journal.append("c", 1, [ManagerRestarted()])
    line.mode = "pass"
    journal.close()


def test_who_lost_the_connection_gives_way_to_another_writer(line, line_url, own_postgres):
    journal = SqlJournal(line_url, patience_s=30.0)
    journal.append("c", 1, [ManagerRestarted()])
    direct = line_url.replace(str(line.folder), str(own_postgres.folder))
    engine = sa.create_engine(url_of(direct))
    with engine.begin() as connection:
        # The server's view of a network that broke down between it and the lab manager.
        connection.execute(
            sa.text(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and "
                "database = (select oid from pg_database where datname = current_database())"
            )
        )
    engine.dispose()
    other = SqlJournal(direct)
    other.append("c", 2, [ManagerRestarted()])
    with pytest.raises(JournalError, match=f"process {os.getpid()} .* opened it"):
        journal.append("c", 3, [ManagerRestarted()])
    assert [entry.ros_time_ns for entry in other.read()] == [1, 2]
    other.close()
    journal.close()
