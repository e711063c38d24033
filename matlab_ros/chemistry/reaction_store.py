"""The store of what mixtures became: one SQLite file that outlives campaigns.

It holds facts only, never conclusions: contradicting outcomes stand beside each other, and what is
concluded from them may become better without touching the file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from matlab_ros.chemistry.outcomes import ReactionOutcome, SeenPhase
from matlab_ros.model.errors import DataError

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x4D525843
"""Marks the file as ours (SQLite's application_id)."""
_BUSY_S = 10.0
_TABLE = """
CREATE TABLE IF NOT EXISTS outcomes (
    key TEXT PRIMARY KEY,
    campaign TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    date TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    temperature_c REAL NOT NULL,
    precursors TEXT NOT NULL,
    phases TEXT NOT NULL
)
"""


class ReactionStore:
    """Outcomes in a file; several processes may use it at once.

    Args:
        path: of the file, made when the first outcome is added.

    Raises:
        DataError: the file is something else, or newer than this program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists():
            with self._open() as connection:
                self._check(connection)

    def add(self, outcomes: Iterable[ReactionOutcome]) -> int:
        """Keep outcomes; one that is there already changes nothing.

        Returns:
            How many were new.

        Raises:
            DataError: the file cannot be written.
        """
        rows = [
            (
                item.key,
                item.campaign,
                item.experiment_id,
                item.date,
                int(item.simulated),
                item.temperature_c,
                json.dumps(item.precursors),
                json.dumps([[phase.formula, phase.weight_fraction] for phase in item.phases]),
            )
            for item in outcomes
        ]
        if not rows:
            return 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as connection:
            self._check(connection)
            with connection:
                before = connection.total_changes
                connection.executemany(
                    "INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
                )
                return connection.total_changes - before

    def outcomes(self, simulated: bool | None = None) -> tuple[ReactionOutcome, ...]:
        """Everything that is kept, in the order of its keys.

        Args:
            simulated: only what comes from emulated instruments, or only what does not; None: all.

        Raises:
            DataError: the file cannot be read.
        """
        if not self.path.exists():
            return ()
        with self._open() as connection:
            rows = connection.execute(
                "SELECT campaign, experiment_id, date, precursors, temperature_c, phases, simulated"
                " FROM outcomes WHERE ?1 IS NULL OR simulated = ?1 ORDER BY key",
                (None if simulated is None else int(simulated),),
            ).fetchall()
        return tuple(_outcome(row) for row in rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise DataError(
                self.path,
                f"cannot be used as a store of reactions: {error}",
                "name another file, or free this one",
            ) from error

    def _check(self, connection: sqlite3.Connection) -> None:
        """Make the table in a new file; refuse a foreign or newer one."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if owner != _APPLICATION_ID and tables:
            raise DataError(self.path, "is no store of reactions", "name another file")
        if version > SCHEMA_VERSION:
            raise DataError(
                self.path,
                f"was written by a newer program (schema {version}, known: {SCHEMA_VERSION})",
                "update matlab_ros, or name another file",
            )
        if not tables:
            with connection:
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _outcome(row: tuple[str, str, str, str, float, str, int]) -> ReactionOutcome:
    campaign, experiment_id, date, precursors, temperature_c, phases, simulated = row
    return ReactionOutcome(
        campaign,
        experiment_id,
        date,
        tuple(json.loads(precursors)),
        temperature_c,
        tuple(SeenPhase(formula, share) for formula, share in json.loads(phases)),
        bool(simulated),
    )
