"""Named moments inside the lab's processes at which one of them is ended, or its disk is full.

The lab's code knows nothing of this. A process whose environment names a folder (`FOLDER`) and
whose path has ``hook/sitecustomize.py`` asks that folder at each moment whether it is to die there.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from enum import Enum
from pathlib import Path

FOLDER = "MATLAB_ROS_CHAOS"
"""Environment variable: where orders are put and their execution is reported."""


class CrashPoint(str, Enum):
    """A moment in the life of a process; the value begins with whom it concerns."""

    BEFORE_INTENT = "manager: before the intent is written"
    AFTER_INTENT = "manager: after the intent, before the goal is sent"
    AFTER_SENDING = "manager: after the goal was sent"
    BEFORE_OUTCOME = "manager: before the outcome is written"
    AFTER_OUTCOME = "manager: after the outcome was written"
    BEFORE_OTHER = "manager: before another event is written"
    AFTER_OTHER = "manager: after another event was written"
    BEFORE_MEMORY = "device: before the goal is noted"
    AFTER_MEMORY = "device: after the goal was noted"
    BEFORE_NOTE = "device: before the step that cannot be taken back is noted"
    AFTER_NOTE = "device: after that note, before the step"
    BEFORE_COMMAND = "device: before a command is on the wire"
    AFTER_COMMAND = "device: after a command was on the wire"
    AFTER_START = "device: after the instrument began"
    BEFORE_END = "device: after the work, before its outcome is remembered"
    AFTER_END = "device: after the outcome was remembered, before the result is sent"
    BEFORE_MOTION = "arm: before a motion is commanded"
    AFTER_MOTION = "arm: after a motion was commanded"
    BEFORE_FILE = "characterisation: before a raw file is kept"
    AFTER_FILE = "characterisation: after a raw file was kept"
    BEFORE_SUGGESTION = "planner: before it suggests"
    AFTER_SUGGESTION = "planner: after it suggested, before the answer is sent"
    BEFORE_REPORT = "planner: before it takes an observation"
    AFTER_REPORT = "planner: after it took an observation, before the answer is sent"

    @property
    def of(self) -> str:
        """Whom it concerns."""
        return self.value.partition(":")[0]


class Order(str, Enum):
    """What happens at a crash point."""

    KILL = "kill"
    FULL_DISK = "full disk"


_MANAGER = tuple(point for point in CrashPoint if point.of == "manager")
_MEMORY = (
    CrashPoint.BEFORE_MEMORY,
    CrashPoint.AFTER_MEMORY,
    CrashPoint.BEFORE_END,
    CrashPoint.AFTER_END,
)
_NOTE = (CrashPoint.BEFORE_NOTE, CrashPoint.AFTER_NOTE)
_WIRE = (CrashPoint.BEFORE_COMMAND, CrashPoint.AFTER_COMMAND, CrashPoint.AFTER_START)
_MOTION = (CrashPoint.BEFORE_MOTION, CrashPoint.AFTER_MOTION)


OFTEN = frozenset({*_MANAGER, *_MOTION, CrashPoint.BEFORE_COMMAND, CrashPoint.AFTER_COMMAND})
"""Points that a node comes by many times in a step."""


def points_of(node: str) -> tuple[CrashPoint, ...]:
    """The crash points that a node's process comes by."""
    if node == "lab_manager":
        return _MANAGER
    if node == "planner":
        return tuple(point for point in CrashPoint if point.of == "planner")
    if node == "arm":
        return (*_MEMORY, *_NOTE, *_MOTION)
    if node == "characterisation":
        files = tuple(point for point in CrashPoint if point.of == "characterisation")
        return (*_MEMORY, *_NOTE, *_WIRE, *files)
    return (*_MEMORY, *_NOTE, *_WIRE)


def place(folder: Path, node: str, number: int, point: CrashPoint, skip: int, order: Order) -> None:
    """Order something at a node's crash point.

    Args:
        folder: of orders.
        node: whose process.
        number: of the order.
        point: where.
        skip: how often the point is passed before.
        order: what happens.
    """
    text = json.dumps({"number": number, "point": point.value, "skip": skip, "order": order.value})
    fresh = folder / f".{node}.{number}"
    fresh.write_text(text, encoding="utf-8")
    fresh.rename(folder / f"{node}.order")


def withdraw(folder: Path, node: str) -> bool:
    """Take an order back; False where it was executed meanwhile."""
    try:
        (folder / f"{node}.order").unlink()
    except FileNotFoundError:
        return False
    return True


def was_executed(folder: Path, number: int) -> bool:
    """Whether an order was executed."""
    return (folder / f"{number}.done").exists()


class Orders:
    """Orders as a process of the lab sees them.

    Args:
        folder: of orders.
        node: this process's node.
    """

    def __init__(self, folder: Path, node: str) -> None:
        self._folder = folder
        self._path = str(folder / f"{node}.order")
        self._number = -1
        self._left = 0

    def due(self, *points: CrashPoint) -> Order | None:
        """What is ordered for this moment, which may have several names; None: go on.

        A process that is to die here dies.
        """
        order = self._taken(points)
        if order is Order.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
            # Another thread may still run for an instant; this one must not go on.
            threading.Event().wait()
        return order

    def _taken(self, points: tuple[CrashPoint, ...]) -> Order | None:
        if not os.path.exists(self._path):
            return None
        try:
            with open(self._path, encoding="utf-8") as file:
                order = json.load(file)
        except (OSError, ValueError):
            return None
        if order["point"] not in [point.value for point in points]:
            return None
        if order["number"] != self._number:
            self._number, self._left = order["number"], order["skip"]
        if self._left > 0:
            self._left -= 1
            return None
        try:
            os.rename(self._path, self._folder / f"{order['number']}.done")
        except OSError:
            return None
        return Order(order["order"])
