"""An emulated DH Robotics MCE-4G rail: a carriage that takes its time.

Registers as in A-Lab's published driver. Assumed, because it is not documented: bit 15 of the
status word is always set, bit 8 is set while the carriage moves, bit 6 once it knows its zero.
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

_POSITION, _SPEED, _CONTROL, _ALARM, _STATUS = 0x1600, 0x1602, 0x1605, 0x160F, 0x1611
_ALIVE, _MOVING, _HOMED = 1 << 15, 1 << 8, 1 << 6
_IDLE, _MOVE, _HOME, _CLEAR = 0x20, 0x21, 0x22, 0x30
ALARM_BLOCKED = 7
_HOMING_MM_PER_S = 50.0
_STOP_S = 0.2
"""Time to start and to come to rest, whatever the distance."""


class DhRail:
    """The rail in virtual time.

    Args:
        travel_mm: length of the way.
        blocked: whether something holds the carriage (a dosing head locked to the unit); a move
            then ends at once in an alarm. Called with the device locked.
        start_mm: where the carriage stands when the power comes; it has to be homed.
        unit: Modbus address.
    """

    def __init__(
        self,
        *,
        travel_mm: float,
        blocked: Callable[[], bool] = lambda: False,
        start_mm: float = 0.0,
        unit: int = 1,
    ) -> None:
        self._travel_mm = travel_mm
        self._blocked = blocked
        self._lock = threading.RLock()
        self._now = 0.0
        self._from_mm = self._to_mm = start_mm
        self._began = self._ends = 0.0
        self._homed = False
        self._homing = False
        self._alarm = 0
        self._words = {_POSITION: 0, 0x1601: 0, _SPEED: 1000, 0x1603: 1000, 0x1604: 1000}
        self._control = _IDLE
        self._slave = ModbusSlave(unit, self._read, self._write)

    def advance_to(self, t: float) -> None:
        """Move up to virtual second `t`."""
        with self._lock:
            self._now = max(self._now, t)
            if self._homing and not self._moving:
                self._homing = False
                self._homed = True

    def next_moment(self) -> float | None:
        """When the carriage arrives."""
        with self._lock:
            return self._ends if self._moving else None

    def connect(self, send: Send) -> None:
        """A Modbus slave never speaks first."""

    def receive(self, data: bytes) -> bytes:
        """Answer Modbus requests as of the present moment."""
        with self._lock:
            return self._slave.receive(data)

    @property
    def position_mm(self) -> float:
        """Where the carriage is now."""
        with self._lock:
            if not self._moving:
                return self._to_mm
            share = (self._now - self._began) / (self._ends - self._began)
            return self._from_mm + share * (self._to_mm - self._from_mm)

    def slot_at_unit(
        self, *, pitch_mm: float, slots: int, first_mm: float = 0.0, tolerance_mm: float = 0.2
    ) -> int | None:
        """Which of a magazine's slots, counted from 1, stands before the dosing unit, if any."""
        with self._lock:
            if self._moving:
                return None
            slot = round((self._to_mm - first_mm) / pitch_mm) + 1
            off_mm = abs(first_mm + (slot - 1) * pitch_mm - self._to_mm)
            return slot if 1 <= slot <= slots and off_mm <= tolerance_mm else None

    def block(self) -> None:
        """Fault switch: the carriage meets something, stops where it is, and raises its alarm."""
        with self._lock:
            here = self.position_mm
            self._from_mm = self._to_mm = here
            self._ends = self._now
            self._homing = False
            self._alarm = ALARM_BLOCKED

    def unblock(self) -> None:
        """Somebody removed what was in the way, and cleared the alarm at the rail."""
        with self._lock:
            self._alarm = 0

    @property
    def _moving(self) -> bool:
        return self._now < self._ends - MOMENT_TOLERANCE_S

    def _travel(self, target_mm: float, speed_mm_per_s: float) -> None:
        if self._blocked():
            self._alarm = ALARM_BLOCKED
            return
        self._from_mm, self._to_mm = self.position_mm, target_mm
        distance_mm = abs(self._to_mm - self._from_mm)
        self._began = self._now
        self._ends = self._now + _STOP_S + distance_mm / speed_mm_per_s

    def _read(self, address: int) -> int:
        if address == _CONTROL:
            return self._control
        if address == _ALARM:
            return self._alarm
        if address == _STATUS:
            homed = _HOMED if self._homed and not self._homing else 0
            return _ALIVE | homed | (_MOVING if self._moving else 0)
        try:
            return self._words[address]
        except KeyError:
            raise Refused(ILLEGAL_ADDRESS) from None

    def _write(self, address: int, values: Sequence[int]) -> None:
        for offset, value in enumerate(values):
            if address + offset == _CONTROL:
                self._command(value)
            elif address + offset not in self._words:
                raise Refused(ILLEGAL_ADDRESS)
            elif address + offset == _POSITION and value > self._travel_mm * 100:
                raise Refused(ILLEGAL_VALUE)
            else:
                self._words[address + offset] = value

    def _command(self, word: int) -> None:
        if word not in (_IDLE, _MOVE, _HOME, _CLEAR):
            raise Refused(ILLEGAL_VALUE)
        self._control = word
        if word == _CLEAR:
            self._alarm = 0
        if word in (_MOVE, _HOME) and (self._alarm or self._moving):
            raise Refused(DEVICE_FAILURE)
        if word == _HOME:
            self._homed, self._homing = False, True
            self._words[_POSITION] = 0
            self._travel(0.0, _HOMING_MM_PER_S)
            self._homing = self._homing and not self._alarm
        elif word == _MOVE:
            if not self._homed:
                raise Refused(DEVICE_FAILURE)
            self._travel(self._words[_POSITION] / 100, max(self._words[_SPEED], 1) / 10)
