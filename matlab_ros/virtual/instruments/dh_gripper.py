"""An emulated DH Robotics electric gripper: fingers that take their time and stop at things.

Registers as in the makers' manuals and A-Lab's published driver. Assumed: a target before
initialisation is refused; a stroke at full speed takes 0.7 s, initialisation 3 s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S, Send
from matlab_ros.virtual.instruments.modbus_slave import (
    DEVICE_FAILURE,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusSlave,
    Refused,
)

_INIT, _FORCE, _TARGET, _SPEED = 0x0100, 0x0101, 0x0103, 0x0104
_INIT_STATE, _GRIP_STATE, _POSITION = 0x0200, 0x0201, 0x0202
_LIMITS = {_FORCE: (20, 100), _TARGET: (0, 1000), _SPEED: (1, 100)}
NOT_INITIALISED, INITIALISED, INITIALISING = 0, 1, 2
MOVING, ARRIVED, GRASPED, DROPPED = 0, 1, 2, 3
INIT_S, STROKE_S = 3.0, 0.7


class DhGripper:
    """The gripper in virtual time.

    Args:
        between: thousandths of the stroke at which something stands between the fingers; None
            where nothing does. Called with the device locked.
        unit: Modbus address.
    """

    def __init__(
        self, between: Callable[[], float | None] = lambda: None, *, unit: int = 1
    ) -> None:
        self._between = between
        self._lock = threading.RLock()
        self._now = 0.0
        self._words = {_INIT: 0, _FORCE: 30, 0x0102: 0, _TARGET: 1000, _SPEED: 50}
        self._init = NOT_INITIALISED
        self._grip = ARRIVED
        self._from = self._to = 500.0
        self._began = self._ends = 0.0
        self._meets = False
        self._slave = ModbusSlave(unit, self._read, self._write)

    def connect(self, send: Send) -> None:
        """A Modbus slave never speaks first."""

    def receive(self, data: bytes) -> bytes:
        """Answer Modbus requests as of the present moment."""
        with self._lock:
            return self._slave.receive(data)

    def advance_to(self, t: float) -> None:
        """Move up to virtual second `t`."""
        with self._lock:
            self._now = max(self._now, t)
            if self._now < self._ends - MOMENT_TOLERANCE_S:
                return
            if self._init == INITIALISING:
                self._init = INITIALISED
                self._from = self._to = 1000.0
                self._grip = ARRIVED
            elif self._grip == MOVING:
                self._grip = GRASPED if self._meets else ARRIVED

    def next_moment(self) -> float | None:
        """When the fingers arrive."""
        with self._lock:
            busy = self._init == INITIALISING or self._grip == MOVING
            return self._ends if busy else None

    def lose(self) -> None:
        """Fault switch: what is held slips out."""
        with self._lock:
            if self._grip == GRASPED:
                self._grip = DROPPED

    @property
    def position(self) -> float:
        """Of the fingers, thousandths of the stroke."""
        with self._lock:
            if self._now >= self._ends or self._ends <= self._began:
                return self._to
            share = (self._now - self._began) / (self._ends - self._began)
            return self._from + share * (self._to - self._from)

    def _read(self, address: int) -> int:
        if address == _INIT_STATE:
            return self._init
        if address == _GRIP_STATE:
            return self._grip
        if address == _POSITION:
            return round(self.position)
        try:
            return self._words[address]
        except KeyError:
            raise Refused(ILLEGAL_ADDRESS) from None

    def _write(self, address: int, values: Sequence[int]) -> None:
        for offset, value in enumerate(values):
            self._put(address + offset, value)

    def _put(self, address: int, value: int) -> None:
        if address not in self._words:
            raise Refused(ILLEGAL_ADDRESS)
        if address == _INIT:
            if value not in (1, 0xA5):
                raise Refused(ILLEGAL_VALUE)
            self._init, self._grip = INITIALISING, MOVING
            self._began, self._ends = self._now, self._now + INIT_S
            return
        low, high = _LIMITS.get(address, (0, 0xFFFF))
        if not low <= value <= high:
            raise Refused(ILLEGAL_VALUE)
        if address == _TARGET:
            if self._init != INITIALISED:
                raise Refused(DEVICE_FAILURE)
            self._move(float(value))
        self._words[address] = value

    def _move(self, target: float) -> None:
        here, obstacle = self.position, self._between()
        self._meets = obstacle is not None and target < obstacle <= here + 1e-9
        self._from, self._to = here, obstacle if self._meets and obstacle is not None else target
        way = abs(self._to - self._from) / 1000
        self._began = self._now
        self._ends = self._now + way * STROKE_S * 100 / self._words[_SPEED]
        self._grip = MOVING
        if way == 0:
            self._grip = GRASPED if self._meets else ARRIVED
