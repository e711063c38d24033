"""Furnace doors of the A-Lab: motors behind an Arduino that takes lines of text, TCP port 8888.

Commands ``Open A``, ``Close A`` and ``Status``, as in A-Lab's published firmware (alab_control,
door_controller); replies have no end of their own, so each is known by its whole form. One motor
runs at a time. A door that does not reach its switch in time is closed again and the controller
goes to ERROR, out of which only a restart leads.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

MAX_REPLY_BYTES = 512
_TRIES = 2
_DOOR = re.compile(r"Furnace ([A-Z]): (Open|Closed|Unknown);")
_STATUS = re.compile(
    r"State: (STOP|RUNNING|ERROR); ((?:Furnace [A-Z]: (?:Open|Closed|Unknown); ?)+)"
)


class DoorPosition(Enum):
    """Where a door is; the words of the firmware."""

    OPEN = "Open"
    CLOSED = "Closed"
    UNKNOWN = "Unknown"


class DoorMotion(Enum):
    """What the controller does; the words of the firmware."""

    STANDING = "STOP"
    MOVING = "RUNNING"
    FAILED = "ERROR"


@dataclass(frozen=True)
class DoorStatus:
    """What the controller says.

    Attributes:
        motion: what it does.
        doors: where each door is. While one moves, it is where it was before.
    """

    motion: DoorMotion
    doors: Mapping[str, DoorPosition]

    def is_closed(self, name: str) -> bool:
        """Whether a door is known to be closed, and stands."""
        return self.motion is DoorMotion.STANDING and self.doors.get(name) is DoorPosition.CLOSED

    def is_open(self, name: str) -> bool:
        """Whether a door is known to be open, and stands."""
        return self.motion is DoorMotion.STANDING and self.doors.get(name) is DoorPosition.OPEN


def allow(_name: str) -> None:
    """Every door may be opened at any time."""


class DoorController:
    """Driver of the doors. Moves are begun here and seen to end by `read_status`.

    Args:
        transport: a TCP transport to it; every message opens and closes it.
        names: letters of its doors.
        may_open: asked with a door's name before it is opened; raises a DeviceError where it must
            stay closed (the furnace is hot, the arm is in the way). It decides last.
        deadline_s: steady seconds for one message and its reply.
    """

    def __init__(
        self,
        transport: Transport,
        names: Sequence[str],
        *,
        may_open: Callable[[str], None] = allow,
        deadline_s: float = 2.0,
    ) -> None:
        self._transport = transport
        self._names = tuple(names)
        self._may_open = may_open
        self._deadline_s = deadline_s
        self._lock = threading.RLock()
        transport.close()

    @property
    def name(self) -> str:
        """Its address, for people."""
        return f"doors at {self._transport.name}"

    def close(self) -> None:
        """Give the wire back. A door under way goes on."""
        with self._lock:
            self._transport.close()

    def read_status(self) -> DoorStatus:
        """Where the doors are.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        failure: DeviceError | None = None
        for _ in range(_TRIES):
            try:
                return self._status(self._query("Status"))
            except DeviceError as error:
                failure = error
        assert failure is not None
        raise failure

    def open_door(self, name: str) -> None:
        """Begin to open a door; does nothing where it is open. Sent once: `read_status` tells.

        Raises:
            DeviceError: INVALID_GOAL (no such door), what `may_open` raises, DEVICE_BUSY (a door
                moves), DEVICE_NOT_ACTIVE (the controller failed), or no contact.
        """
        self._move("Open", "Opening", name, DoorPosition.OPEN)

    def close_door(self, name: str) -> None:
        """Begin to close a door; does nothing where it is closed. Sent once: `read_status` tells.

        Raises:
            DeviceError: see `open_door`.
        """
        self._move("Close", "Closing", name, DoorPosition.CLOSED)

    def _move(self, order: str, doing: str, name: str, wanted: DoorPosition) -> None:
        if name not in self._names:
            raise self._error(
                FaultCode.INVALID_GOAL, f"have no door {name!r}; there are {', '.join(self._names)}"
            )
        with self._lock:
            status = self.read_status()
            if status.motion is DoorMotion.FAILED:
                raise self._error(
                    FaultCode.DEVICE_NOT_ACTIVE,
                    "are in error: a door did not reach its switch; look at it, then restart them",
                )
            if status.motion is DoorMotion.MOVING:
                raise self._error(FaultCode.DEVICE_BUSY, "are moving")
            if status.doors[name] is wanted:
                return
            if wanted is DoorPosition.OPEN:
                self._may_open(name)
            try:
                reply = self._query(f"{order} {name}")
            except DeviceError:
                after = self.read_status()
                if after.motion is not DoorMotion.MOVING and after.doors[name] is not wanted:
                    raise
                return
        if reply != f"{doing} furnace {name}...":
            raise self._error(FaultCode.PROTOCOL_ERROR, f"answered {reply!r} to {order} {name}")

    def _query(self, command: str) -> str:
        with self._lock:
            try:
                self._transport.open()
                self._transport.write(f"{command}\n".encode("ascii"))
                return self._reply(command)
            finally:
                self._transport.close()

    def _reply(self, command: str) -> str:
        deadline = Deadline(self._deadline_s)
        heard = b""
        while True:
            heard += self._transport.read(deadline.remaining_s)
            text = heard.decode("ascii", "replace").strip()
            if self._is_whole(text):
                return text
            if self._transport.ended or deadline.over or len(heard) > MAX_REPLY_BYTES:
                raise self._error(
                    FaultCode.PROTOCOL_ERROR if heard else FaultCode.DEVICE_UNREACHABLE,
                    f"gave no whole reply to {command} within {self._deadline_s:g} s"
                    + (f", only {text[:80]!r}" if heard else ""),
                )

    def _is_whole(self, text: str) -> bool:
        if re.fullmatch(r"(Opening|Closing) furnace [A-Z]\.\.\.|Wrong command", text):
            return True
        return parse_status(text, self._names) is not None

    def _status(self, text: str) -> DoorStatus:
        status = parse_status(text, self._names)
        if status is None:
            raise self._error(FaultCode.PROTOCOL_ERROR, f"answered {text[:80]!r} to Status")
        return status

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name} {problem}."))


def parse_status(text: str, names: Sequence[str]) -> DoorStatus | None:
    """The answer to ``Status``; None where it is not whole, or not about exactly these doors."""
    found = _STATUS.fullmatch(text)
    if found is None:
        return None
    doors = _DOOR.findall(found[2])
    if sorted(name for name, _ in doors) != sorted(names):
        return None
    return DoorStatus(
        DoorMotion(found[1]), {name: DoorPosition(position) for name, position in doors}
    )
