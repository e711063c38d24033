"""What a device remembers on disk about the attempts it was given, across its own restarts."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

KEPT = 2000
"""Attempts remembered at most; more than a lab manager can have outstanding by far."""


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
    """A small SQLite file of attempts; every change is on disk when the method returns.

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
        self._database.commit()

    def begin(self, attempt_id: str, goal_sha256: str, now_ns: int) -> Recollection:
        """Note that work on an attempt begins, unless it is known already.

        Returns:
            What was known before; NEW means that it is noted now and the work may begin.
        """
        with self._lock, self._database:
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
        """Write down how far an attempt is, before the step that cannot be taken back."""
        with self._lock, self._database:
            self._database.execute("UPDATE attempts SET note = ? WHERE id = ?", (text, attempt_id))

    def end(self, attempt_id: str, status: int, result: bytes) -> None:
        """Write an attempt's outcome; the first outcome written stays."""
        with self._lock, self._database:
            self._database.execute(
                "UPDATE attempts SET status = ?, result = ? WHERE id = ? AND status = 0",
                (status, result, attempt_id),
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
