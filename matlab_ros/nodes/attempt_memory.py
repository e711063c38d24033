"""What a device remembers on disk about the attempts it was given, across its own restarts."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from matlab_ros.model.errors import LabError

KEPT = 2000
"""Attempts remembered at most; more than a lab manager can have outstanding by far."""


class MemoryLost(LabError):
    """The memory cannot be written: a device that goes on would forget what it did."""


class Known(Enum):
    """What the memory says about an attempt id."""

    NEW = "new"
    BEGUN = "begun"
    """Begun by an earlier process that did not live to write the outcome."""
    ENDED = "ended"
    CONFLICT = "conflict"
    """The id was used with another goal."""


@dataclass(frozen=True)
class Recollection:
    """One attempt as remembered.

    Attributes:
        known: what is known.
        status: terminal action status (action_msgs/GoalStatus), 0 unless ENDED.
        result: serialised result message, empty unless ENDED.
        began_ns: ROS time at which the work began, 0 for a new one.
        note: what the device wrote down last about how far it was.
    """

    known: Known
    status: int = 0
    result: bytes = b""
    began_ns: int = 0
    note: str = ""


class AttemptMemory:
    """A small SQLite file of attempts, which outlives its process.

    Notes, and whatever was written before them, outlive a failure of the power too. An outcome may
    be lost then: its attempt counts as begun, and is looked into.

    Args:
        path: the file; its folder is made. ``None`` keeps the memory in RAM (tests).
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(str(path or ":memory:"), check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS attempts (number INTEGER PRIMARY KEY AUTOINCREMENT,"
            " id TEXT UNIQUE NOT NULL, goal_sha256 TEXT NOT NULL, began_ns INTEGER NOT NULL,"
            " status INTEGER NOT NULL DEFAULT 0, result BLOB NOT NULL DEFAULT x'',"
            " note TEXT NOT NULL DEFAULT '')"
        )
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS readings (number INTEGER PRIMARY KEY AUTOINCREMENT,"
            " id TEXT NOT NULL, stamp_ns INTEGER NOT NULL, content TEXT NOT NULL)"
        )
        self._database.commit()

    def begin(self, attempt_id: str, goal_sha256: str, now_ns: int) -> Recollection:
        """Note that work on an attempt begins, unless it is known already.

        Returns:
            What was known before; NEW means that it is noted now and the work may begin.

        Raises:
            MemoryLost: it was not written.
        """
        with self._lock, self._written():
            row = self._database.execute(
                "SELECT goal_sha256, began_ns, status, result, note FROM attempts WHERE id = ?",
                (attempt_id,),
            ).fetchone()
            if row is None:
                self._database.execute(
                    "INSERT INTO attempts (id, goal_sha256, began_ns) VALUES (?, ?, ?)",
                    (attempt_id, goal_sha256, now_ns),
                )
                self._database.execute(
                    "DELETE FROM attempts WHERE number <= "
                    "(SELECT MAX(number) FROM attempts) - ? AND status != 0",
                    (KEPT,),
                )
                return Recollection(Known.NEW)
        known_sha256, began_ns, status, result, note = row
        if known_sha256 != goal_sha256:
            return Recollection(Known.CONFLICT, began_ns=began_ns)
        known = Known.ENDED if status else Known.BEGUN
        return Recollection(known, status, result, began_ns, note)

    def note(self, attempt_id: str, text: str) -> None:
        """Write down how far an attempt is, before the step that cannot be taken back.

        Raises:
            MemoryLost: it was not written.
        """
        with self._lock:
            self._database.execute("PRAGMA synchronous=FULL")
            try:
                with self._written():
                    self._database.execute(
                        "UPDATE attempts SET note = ? WHERE id = ?", (text, attempt_id)
                    )
            finally:
                self._database.execute("PRAGMA synchronous=NORMAL")

    def end(self, attempt_id: str, status: int, result: bytes) -> None:
        """Write an attempt's outcome; the first outcome written stays.

        Raises:
            MemoryLost: it was not written.
        """
        with self._lock, self._written():
            self._database.execute(
                "UPDATE attempts SET status = ?, result = ? WHERE id = ? AND status = 0",
                (status, result, attempt_id),
            )
            self._database.execute("DELETE FROM readings WHERE id = ?", (attempt_id,))

    def add_reading(self, attempt_id: str, stamp_ns: int, values: Sequence[float]) -> None:
        """Keep what an instrument said during an attempt, until the attempt ends.

        Args:
            attempt_id: of the attempt.
            stamp_ns: ROS time of the reading.
            values: of the reading; NaN where there is none.

        Raises:
            MemoryLost: it was not written.
        """
        with self._lock, self._written():
            self._database.execute(
                "INSERT INTO readings (id, stamp_ns, content) VALUES (?, ?, ?)",
                (attempt_id, stamp_ns, " ".join(repr(value) for value in values)),
            )

    def readings(self, attempt_id: str) -> tuple[tuple[int, tuple[float, ...]], ...]:
        """ROS times and values of an attempt's readings, in the order in which they were kept."""
        with self._lock:
            rows = self._database.execute(
                "SELECT stamp_ns, content FROM readings WHERE id = ? ORDER BY number",
                (attempt_id,),
            ).fetchall()
        return tuple(
            (stamp_ns, tuple(float(word) for word in content.split())) for stamp_ns, content in rows
        )

    def recent(self, count: int) -> tuple[str, ...]:
        """Ids of the attempts that were noted last, the latest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id FROM attempts ORDER BY number DESC LIMIT ?", (count,)
            ).fetchall()
        return tuple(row[0] for row in rows)

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """A transaction: all or nothing."""
        try:
            with self._database:
                yield
        except sqlite3.Error as error:
            raise MemoryLost(
                f"What the device did cannot be written down ({error}); check the space on the "
                "disk of its parameter state_dir."
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
