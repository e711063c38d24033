"""An emulated Eurotherm 2416: its registers over Modbus RTU.

Source: Eurotherm 2000 series communications handbook HA026230 and A-Lab's published driver.
Assumed: ramp rates and durations have one decimal place whatever the temperatures have; with comms
resolution "integer" (12550 = 1) temperatures have none.
"""

from __future__ import annotations

from matlab_ros.virtual.instruments.eurotherm_segments import (
    END,
    FIRST,
    STRIDE,
    SegmentedController,
)
from matlab_ros.virtual.instruments.eurotherm_serial import SerialController
from matlab_ros.virtual.instruments.furnace_controller import CONTROL_LOOP
from matlab_ros.virtual.instruments.modbus_slave import ILLEGAL_VALUE, Refused

_END_TYPE, _RESETS = 3, 1
_MOST = 9999


class Eurotherm2416(SegmentedController, SerialController):
    """See `SerialController`."""

    segments = 16
    full_scale_high = 2
    read_only = frozenset({107, 122, 525, 12550})
    volatile = frozenset({3})

    def _factory_words(self, unit: int, decimals: int, high: int) -> dict[int, int]:
        zeros = (3, 11, 15, 24, 25, 27, 35, 39, 112, 199, 273, 276, 516, 518, 520, 12550)
        return {
            **dict.fromkeys(zeros, 0),
            **CONTROL_LOOP,
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
        return super()._live(address)

    def _check_program(self, address: int, value: int) -> None:
        super()._check_program(address, value)
        if address >= FIRST and (address - FIRST) % STRIDE == 2 and value > _MOST:
            raise Refused(ILLEGAL_VALUE)
