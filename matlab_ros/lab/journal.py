"""The journal: an append-only table of events, in SQLite or PostgreSQL, or in memory.

One writer. `append` returns when the events are on disk; the lab's engine sends no goal before
that. The state is what replaying gives; nothing is ever changed or deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from matlab_ros.lab.codec import CodecError, from_json, to_json
from matlab_ros.lab.events import EVENT_TYPES, AttemptEnded, Event
from matlab_ros.lab.goals import AnalyseOutcome, MeasureOutcome, RawFile
from matlab_ros.model.errors import LabError

FORMAT = 1
"""Of the tables; a journal with a higher number was written by newer software."""


class JournalError(LabError):
    """The journal cannot be read or written."""


@dataclass(frozen=True)
class JournalEntry:
    """One event with its place in history."""

    sequence: int
    """From 1, without gaps."""
    campaign: str
    ros_time_ns: int
    wall_time: str
    """ISO 8601, UTC; for people, decides nothing."""
    event: Event


class Journal(Protocol):
    """Where events are kept."""

    def append(
        self, campaign: str, ros_time_ns: int, events: Sequence[Event]
    ) -> tuple[JournalEntry, ...]:
        """Write events, all or none, and return them with their sequence numbers.

        Raises:
            JournalError: nothing was written.
        """

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """Entries with a sequence number above `after`, in order.

        Raises:
            JournalError: an entry cannot be understood.
        """


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class MemoryJournal:
    """A journal that lasts as long as its process: for simulations and tests.

    Args:
        written: keep the events' JSON instead of the events, so that reading gives new values.
    """

    def __init__(self, written: bool = True) -> None:
        self._entries: list[tuple[str, int, Event | tuple[str, int, str]]] = []
        self._written = written

    def append(
        self, campaign: str, ros_time_ns: int, events: Sequence[Event]
    ) -> tuple[JournalEntry, ...]:
        """See `Journal.append`."""
        first = len(self._entries) + 1
        for event in events:
            kept = (event.TAG, event.VERSION, to_json(event)) if self._written else event
            self._entries.append((campaign, ros_time_ns, kept))
        return tuple(
            JournalEntry(first + index, campaign, ros_time_ns, "", event)
            for index, event in enumerate(events)
        )

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """See `Journal.read`."""
        for sequence, (campaign, time_ns, kept) in enumerate(self._entries[after:], after + 1):
            event = kept if isinstance(kept, Event) else read_event(*kept)
            yield JournalEntry(sequence, campaign, time_ns, "", event)

    def lines(self) -> tuple[str, ...]:
        """Every entry as one line of text, without wall-clock times."""
        return tuple(
            f"{entry.sequence} {entry.ros_time_ns} {entry.event.TAG} {to_json(entry.event)}"
            for entry in self.read()
        )


_METADATA = sa.MetaData()
_EVENTS = sa.Table(
    "events",
    _METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("campaign", sa.String, nullable=False, index=True),
    sa.Column("ros_time_ns", sa.BigInteger, nullable=False),
    sa.Column("wall_time", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
_RAW_FILES = sa.Table(
    "raw_files",
    _METADATA,
    sa.Column("sha256", sa.String, primary_key=True),
    sa.Column("uri", sa.String, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.String, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)
_FORMAT = sa.Table("journal_format", _METADATA, sa.Column("format", sa.Integer, primary_key=True))


class SqlJournal:
    """A journal in a database.

    Args:
        url: SQLAlchemy's, such as ``sqlite:////data/lab.db`` or ``postgresql+psycopg://host/lab``.
        wall_clock: gives the time of day noted beside each event.

    Raises:
        JournalError: the database cannot be opened, or newer software wrote it.
    """

    def __init__(self, url: str | URL, wall_clock: Callable[[], datetime] = _utc_now) -> None:
        self._wall_clock = wall_clock
        try:
            self._engine = _open(make_url(url))
            with self._engine.begin() as connection:
                _METADATA.create_all(connection)
                found = connection.execute(sa.select(sa.func.max(_FORMAT.c.format))).scalar()
                if found is None:
                    connection.execute(_FORMAT.insert().values(format=FORMAT))
                last = connection.execute(sa.select(sa.func.max(_EVENTS.c.sequence))).scalar()
        except (SQLAlchemyError, OSError) as error:
            raise JournalError(
                f"The journal {url} cannot be opened ({_reason(error)}); "
                "check the parameter journal_url and the rights on its directory."
            ) from error
        if found is not None and found > FORMAT:
            raise JournalError(
                f"The journal {url} has format {found} and this software reads up to {FORMAT}; "
                "update the software or choose another journal."
            )
        self._next = (last or 0) + 1

    def append(
        self, campaign: str, ros_time_ns: int, events: Sequence[Event]
    ) -> tuple[JournalEntry, ...]:
        """See `Journal.append`."""
        if not events:
            return ()
        wall_time = self._wall_clock().isoformat()
        entries = tuple(
            JournalEntry(self._next + index, campaign, ros_time_ns, wall_time, event)
            for index, event in enumerate(events)
        )
        try:
            with self._engine.begin() as connection:
                connection.execute(_EVENTS.insert(), [_row(entry) for entry in entries])
                for entry in entries:
                    for raw in _raw_files(entry.event):
                        _note_raw_file(connection, raw, entry.sequence)
        except SQLAlchemyError as error:
            raise JournalError(
                f"The journal cannot be written ({_reason(error)}); nothing was started. "
                "Check the disk's space and the database server, then start the lab manager again."
            ) from error
        self._next += len(entries)
        return entries

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """See `Journal.read`."""
        query = sa.select(_EVENTS).where(_EVENTS.c.sequence > after).order_by(_EVENTS.c.sequence)
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
        except SQLAlchemyError as error:
            raise JournalError(f"The journal cannot be read ({_reason(error)}).") from error
        for row in rows:
            event = read_event(row.kind, row.version, row.body)
            yield JournalEntry(row.sequence, row.campaign, row.ros_time_ns, row.wall_time, event)

    def raw_files(self) -> tuple[RawFile, ...]:
        """Every raw file the journal speaks of, in the order of their first mention."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(_RAW_FILES).order_by(_RAW_FILES.c.sequence, _RAW_FILES.c.sha256)
            ).all()
        return tuple(RawFile(row.uri, row.sha256, row.size_bytes, row.media_type) for row in rows)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def read_event(kind: str, version: int, body: str) -> Event:
    """The event that stands in a journal's row.

    Raises:
        JournalError: this software does not know its kind or version, or the body is damaged.
    """
    known = EVENT_TYPES.get(kind)
    if known is None or version != known.VERSION:
        raise JournalError(
            f"The journal holds an event {kind!r} in version {version}, which this software does "
            "not know; use the software that wrote it, or a newer one."
        )
    try:
        return from_json(known, body)
    except CodecError as error:
        raise JournalError(f"An event {kind!r} of the journal is damaged: {error}") from error


def _open(url: URL) -> Engine:
    """A database engine whose commits are on disk when they return."""
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url)
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL, not NORMAL: after a power failure an intent must not be missing whose goal was sent.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return engine


def _row(entry: JournalEntry) -> dict[str, object]:
    return {
        "sequence": entry.sequence,
        "campaign": entry.campaign,
        "ros_time_ns": entry.ros_time_ns,
        "wall_time": entry.wall_time,
        "kind": entry.event.TAG,
        "version": entry.event.VERSION,
        "body": to_json(entry.event),
    }


def _raw_files(event: Event) -> Iterable[RawFile]:
    """Raw files an event speaks of for the first time."""
    if isinstance(event, AttemptEnded):
        outcome = event.outcome
        if isinstance(outcome, MeasureOutcome) and outcome.pattern is not None:
            yield outcome.pattern
        if isinstance(outcome, AnalyseOutcome) and outcome.fit is not None:
            yield outcome.fit


def _note_raw_file(connection: sa.Connection, raw: RawFile, sequence: int) -> None:
    known = connection.execute(
        sa.select(_RAW_FILES.c.sha256).where(_RAW_FILES.c.sha256 == raw.sha256)
    ).first()
    if known is None:
        connection.execute(
            _RAW_FILES.insert().values(
                sha256=raw.sha256,
                uri=raw.uri,
                size_bytes=raw.size_bytes,
                media_type=raw.media_type,
                sequence=sequence,
            )
        )


def _reason(error: Exception) -> str:
    """The database's own words, on one line."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())
