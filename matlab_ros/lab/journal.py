"""The journal: an append-only table of events, in SQLite or PostgreSQL, or in memory.

One writer. `append` returns when the events are on disk; the lab's engine sends no goal before
that. The state is what replaying gives; nothing is ever changed or deleted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import SQLAlchemyError

from matlab_ros.lab.codec import CodecError, decode, from_json, to_json
from matlab_ros.lab.events import EVENT_TYPES, AttemptEnded, Event
from matlab_ros.lab.goals import AnalyseOutcome, MeasureOutcome, RawFile
from matlab_ros.lab.journal_database import (
    WritingSession,
    engine_of,
    file_of,
    last_sequence,
    reason,
    shown,
    url_of,
)
from matlab_ros.lab.journal_format import present
from matlab_ros.lab.journal_tables import EVENTS, RAW_FILES
from matlab_ros.lab.journal_tables import JournalError as JournalError
from matlab_ros.lab.upgrades import UpgradeError, upgraded

_LOG = logging.getLogger(__name__)

PATIENCE_S = 20.0
"""Steady seconds for which a database server that is away is waited for."""
_PAGE = 2000


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


class JournalReader:
    """A journal in a database, for looking at it; whoever writes it goes on.

    Args:
        url: SQLAlchemy's, such as ``sqlite:////data/lab.sqlite`` or ``postgresql://host/lab``.

    Raises:
        JournalError: it cannot be opened, or newer software wrote it.
    """

    def __init__(self, url: str | URL) -> None:
        known = url_of(url)
        file = file_of(known)
        if file is not None and not file.is_file():
            raise JournalError(f"There is no journal {file}.")
        self._engine = engine_of(known)
        try:
            with self._engine.connect() as connection:
                stamp = present(connection)
        except SQLAlchemyError as error:
            raise JournalError(
                f"The journal {shown(known)} cannot be opened ({reason(error)})."
            ) from error
        if stamp is None:
            raise JournalError(f"{shown(known)} holds no journal.")

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """See `Journal.read`."""
        return _entries(self._engine, after)

    def raw_files(self) -> tuple[RawFile, ...]:
        """Every raw file the journal speaks of, in the order of their first mention."""
        return _known_files(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


class SqlJournal:
    """A journal in a database, opened for writing: nobody else writes it until it is closed.

    Tables of older software become those of today; of a SQLite file a copy is kept as it was.

    Args:
        url: SQLAlchemy's, such as ``sqlite:////data/lab.sqlite`` or ``postgresql://host/lab``.
        wall_clock: gives the time of day noted beside each event.
        patience_s: steady seconds for which a server that is away is waited for.
        on_trouble: told what is waited for, in a sentence.

    Raises:
        JournalError: the database cannot be opened, is held by another writer (its sentence says
            by whom), or was written by newer software.
    """

    def __init__(
        self,
        url: str | URL,
        wall_clock: Callable[[], datetime] = _utc_now,
        patience_s: float = PATIENCE_S,
        on_trouble: Callable[[str], None] = _LOG.warning,
    ) -> None:
        self._wall_clock = wall_clock
        self._session = WritingSession(url_of(url), wall_clock, patience_s, on_trouble)
        with self._session.engine.connect() as connection:
            self._next = last_sequence(connection) + 1

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
        rows = [_row(entry) for entry in entries]

        def write(connection: sa.Connection) -> None:
            connection.execute(EVENTS.insert(), rows)
            for entry in entries:
                for raw in _raw_files(entry.event):
                    _note_raw_file(connection, raw, entry.sequence)

        try:
            self._session.commit(write, lambda connection: _stands(connection, rows))
        except SQLAlchemyError as error:
            raise JournalError(
                f"The journal cannot be written ({reason(error)}); nothing was started. "
                "Check the disk's space and the database server, then start the lab manager again."
            ) from error
        self._next += len(entries)
        return entries

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """See `Journal.read`."""
        return _entries(self._session.engine, after)

    def raw_files(self) -> tuple[RawFile, ...]:
        """Every raw file the journal speaks of, in the order of their first mention."""
        return _known_files(self._session.engine)

    def close(self) -> None:
        """Let go of the database; another may write from now on."""
        self._session.close()


def _entries(engine: Engine, after: int) -> Iterator[JournalEntry]:
    """Entries above a sequence number; page by page, so that a long history costs no memory."""
    last = after
    while True:
        query = (
            sa.select(EVENTS)
            .where(EVENTS.c.sequence > last)
            .order_by(EVENTS.c.sequence)
            .limit(_PAGE)
        )
        try:
            with engine.connect() as connection:
                rows = connection.execute(query).all()
        except SQLAlchemyError as error:
            raise JournalError(f"The journal cannot be read ({reason(error)}).") from error
        for row in rows:
            event = read_event(row.kind, row.version, row.body)
            yield JournalEntry(row.sequence, row.campaign, row.ros_time_ns, row.wall_time, event)
        if len(rows) < _PAGE:
            return
        last = rows[-1].sequence


def _known_files(engine: Engine) -> tuple[RawFile, ...]:
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(RAW_FILES).order_by(RAW_FILES.c.sequence, RAW_FILES.c.sha256)
        ).all()
    return tuple(RawFile(row.uri, row.sha256, row.size_bytes, row.media_type) for row in rows)


def _stands(connection: sa.Connection, rows: Sequence[dict[str, object]]) -> bool:
    """Whether exactly these rows are the journal's end.

    Raises:
        JournalError: others are.
    """
    query = sa.select(EVENTS).where(EVENTS.c.sequence >= rows[0]["sequence"])
    found = [dict(row._mapping) for row in connection.execute(query.order_by(EVENTS.c.sequence))]
    if found and found != list(rows):
        raise JournalError(
            f"The journal goes on from event {rows[0]['sequence']} with what this lab manager did "
            "not write; look who else has its URL."
        )
    return bool(found)


def read_event(kind: str, version: int, body: str) -> Event:
    """The event that stands in a journal's row, whatever version of the software wrote it.

    Raises:
        JournalError: this software does not know its kind or version, or the body is damaged.
    """
    known = EVENT_TYPES.get(kind)
    if known is None or version > known.VERSION:
        raise JournalError(
            f"The journal holds an event {kind!r} in version {version}, which this software does "
            "not know; use the software that wrote it, or a newer one."
        )
    try:
        if version == known.VERSION:
            return from_json(known, body)
        event: Event = decode(known, upgraded(kind, version, known.VERSION, json.loads(body)))
    except (CodecError, ValueError) as error:
        raise JournalError(f"An event {kind!r} of the journal is damaged: {error}") from error
    except UpgradeError as error:
        raise JournalError(str(error)) from error
    return event


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
        sa.select(RAW_FILES.c.sha256).where(RAW_FILES.c.sha256 == raw.sha256)
    ).first()
    if known is None:
        connection.execute(
            RAW_FILES.insert().values(
                sha256=raw.sha256,
                uri=raw.uri,
                size_bytes=raw.size_bytes,
                media_type=raw.media_type,
                sequence=sequence,
            )
        )
