"""Emulated furnace doors: motors behind an Arduino, one running at a time.

Source: A-Lab's published firmware (door_controller).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S

OPEN_S, GIVE_UP_S, CLOSE_S = 25.0, 26.5, 29.0


class FurnaceDoors:
    """The doors in virtual time. `answer` goes into a `LoopbackServer`.

    Fault switch: `stuck` (letters of doors that never reach their switch: they are closed again
    and the controller fails, until `restart`).

    Args:
        names: letters of the doors.
        on_moved: told a door's letter and whether it is open, when it stands. Called with the
            device locked.
    """

    def __init__(
        self,
        names: Sequence[str] = ("A", "B"),
        *,
        on_moved: Callable[[str, bool], None] = lambda name, is_open: None,
    ) -> None:
        self.stuck: set[str] = set()
        self._on_moved = on_moved
        self._lock = threading.RLock()
        self._now = 0.0
        self._doors = dict.fromkeys(names, "Closed")
        self._motion = "STOP"
        self._job: tuple[float, str, str] | None = None
        """When it ends, the door, and its position then."""

    def advance_to(self, t: float) -> None:
        """Move up to virtual second `t`."""
        with self._lock:
            while self._job is not None and self._job[0] <= t + MOMENT_TOLERANCE_S:
                self._now = max(self._now, self._job[0])
                self._end_job(*self._job[1:])
            self._now = max(self._now, t)

    def next_moment(self) -> float | None:
        """When the door under way stands."""
        with self._lock:
            return self._job[0] if self._job is not None else None

    def restart(self) -> None:
        """Somebody looked at the door, closed it, and switched the controller off and on."""
        with self._lock:
            self._motion, self._job = "STOP", None
            self._doors = dict.fromkeys(self._doors, "Closed")

    def is_open(self, name: str) -> bool:
        """Whether a door is not closed, or not known to be."""
        with self._lock:
            moving = self._job is not None and self._job[1] == name
            return moving or self._doors[name] != "Closed"

    def answer(self, heard: bytes) -> bytes | None:
        """The reply to a message; None while the message is not complete."""
        line, newline, _ = heard.partition(b"\n")
        if not newline:
            return None
        with self._lock:
            return self._reply(line.decode("latin-1").strip()).encode("ascii")

    def _reply(self, command: str) -> str:
        order, _, name = command.partition(" ")
        if command == "Status":
            return self._status()
        if order not in ("Open", "Close") or name not in self._doors:
            return "Wrong command"
        if self._motion != "STOP":
            return self._status()
        before = "Closed" if order == "Open" else "Open"
        if self._doors[name] != before:
            return self._status()
        self._motion = "RUNNING"
        if order == "Close":
            self._job = (self._now + CLOSE_S, name, "Closed")
            return f"Closing furnace {name}..."
        jammed = name in self.stuck
        ends = self._now + (GIVE_UP_S if jammed else OPEN_S)
        self._job = (ends, name, "jammed" if jammed else "Open")
        return f"Opening furnace {name}..."

    def _status(self) -> str:
        doors = " ".join(f"Furnace {name}: {where};" for name, where in self._doors.items())
        return f"State: {self._motion}; {doors}"

    def _end_job(self, name: str, where: str) -> None:
        self._job = None
        if where == "jammed":
            self._motion = "ERROR"
            self._doors[name] = "Open"
            self._job = (self._now + CLOSE_S, name, "Unknown")
            return
        self._doors[name] = where
        if self._motion == "RUNNING":
            self._motion = "STOP"
        self._on_moved(name, where != "Closed")
