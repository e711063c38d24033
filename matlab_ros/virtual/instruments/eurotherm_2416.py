"""An emulated Eurotherm 2416: its registers over Modbus RTU.

Source: Eurotherm 2000 series communications handbook HA026230 and A-Lab's published driver.
Assumed: ramp rates and durations have one decimal place whatever the temperatures have; with comms
resolution "integer" (12550 = 1) temperatures have none.
"""

from __future__ import annotations

from typing import Any

from matlab_ros.virtual.instruments.device import Send
from matlab_ros.virtual.instruments.eurotherm_segments import (
    END,
    FIRST,
    STRIDE,
    SegmentedController,
)
from matlab_ros.virtual.instruments.modbus_slave import ILLEGAL_VALUE, ModbusSlave, Refused

_END_TYPE, _RESETS = 3, 1
_MOST = 9999


class Eurotherm2416(SegmentedController):
    """The controller at the end of a serial line. See `EmulatedController` for its arguments."""

    segments = 16
    read_only = frozenset({107, 122, 525, 12550})
    volatile = frozenset({3})

    def __init__(self, *arguments: Any, unit: int = 1, **options: Any) -> None:
        super().__init__(*arguments, unit=unit, **options)
        self._slave = ModbusSlave(unit, self._read, self._write)

    def connect(self, send: Send) -> None:
        """A Modbus slave never speaks first."""

    def receive(self, data: bytes) -> bytes:
        """Answer Modbus requests as of the present moment."""
        with self._lock:
            return self._slave.receive(data)

    def _factory_words(self, unit: int, decimals: int, high: int) -> dict[int, int]:
        zeros = (3, 11, 15, 24, 25, 27, 35, 39, 112, 199, 273, 276, 516, 518, 520, 12550)
        return {
            **dict.fromkeys(zeros, 0),
            6: 200,
            8: 360,
            9: 60,
            12: high,
            22: 1,
            107: 0x0480,
            111: high,
            122: 0x2416,
            131: unit,
            525: decimals,
            **self._program_words(),
        }

    def _rate_scale(self) -> int:
        return 10

    def _duration_s(self, word: int) -> float:
        return word / 10 * self._duration_unit_s()

    def _resets(self) -> bool:
        for index in range(self.segments):
            start = FIRST + STRIDE * index
            if self._words[start] == END:
                return self._words[start + _END_TYPE] == _RESETS
        return False

    def _live(self, address: int) -> int | None:
        if address == 58:
            return min(round(self._left_s() / 6), 0x7FFF)
        if address == 75:
            return 0x20 if self.sensor_break else 0
        if address == 258:
            return int(self.sensor_break)
        return super()._live(address)

    def _check_program(self, address: int, value: int) -> None:
        super()._check_program(address, value)
        if address >= FIRST and (address - FIRST) % STRIDE == 2 and value > _MOST:
            raise Refused(ILLEGAL_VALUE)
