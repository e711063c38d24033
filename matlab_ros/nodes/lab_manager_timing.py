"""How long the lab manager takes from hearing of something to sending the goals that follow.

The journal's times are of simulated time, or of a day's clock that may be set; what a lab loses
between two steps is measured here, on the steady clock, beside the journal.
"""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class GoalTiming:
    """One goal on its way out.

    Attributes:
        attempt_id: of the goal.
        action: its kind.
        cause: what the engine was told (the input's name) when it decided for the goal.
        heard_ns: steady time at which this process heard of that cause.
        decided_ns: steady time at which the intent was in the journal.
        sent_ns: steady time at which the goal was handed to the wire.
    """

    attempt_id: str
    action: str
    cause: str
    heard_ns: int
    decided_ns: int
    sent_ns: int


class TimingLog:
    """Writes the timings of goals to a CSV file.

    Args:
        path: of the file, which is continued; None keeps no log.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", newline="", buffering=1)
        self._rows = csv.writer(self._file)
        if self._file.tell() == 0:
            self._rows.writerow([field.name for field in fields(GoalTiming)])

    def note(self, timing: GoalTiming) -> None:
        """Write a line."""
        if self._file is not None:
            self._rows.writerow(astuple(timing))


def read_timings(path: Path) -> tuple[GoalTiming, ...]:
    """The timings that a log holds; a line that its writer did not live to end is left out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("sent_ns")]
    return tuple(
        GoalTiming(
            row["attempt_id"],
            row["action"],
            row["cause"],
            int(row["heard_ns"]),
            int(row["decided_ns"]),
            int(row["sent_ns"]),
        )
        for row in rows
    )
