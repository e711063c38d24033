"""An emulated Eurotherm EPC3016: its registers over Modbus TCP.

Source: the address list of the EPC3000 series and A-Lab's published driver. Assumed: numbers are
scaled integers; the time format (1173) is 0 for milliseconds, 1 seconds, 2 minutes, 3 hours; an
input that does not measure has a PV status other than 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matlab_ros.virtual.instruments.eurotherm_segments import SegmentedController
from matlab_ros.virtual.instruments.furnace_controller import CONTROL_LOOP
from matlab_ros.virtual.instruments.modbus_slave import (
    ILLEGAL_VALUE,
    ModbusTcpSession,
    Refused,
    Registers,
)

_TIME_FORMAT = 1173
_END_TYPE, _RESETS, _TRACKS = 8334, 1, 2
_ALARM_1_OUTPUT, _ALARM_STEP = 2125, 24
_PROGRAMMER_INPUT = 10578
_RATE_RESOLUTION = 10580
_BAD = 7
_FORMAT_S = {0: 0.001, 1: 1.0, 2: 60.0, 3: 3600.0}


class Epc3016(SegmentedController):
    """The controller in a network; `session` goes into a `StreamServer`. See `EmulatedController`
    for its arguments.

    Fault switch: `unwired` (the programmer's input is not wired to the loop, so that it has no
    decimal place).
    """

    segments = 25
    full_scale_high = 1
    read_only = frozenset({121, 1027, 1922, 8335, 10580, 10589})
    volatile = frozenset({3})

    def __init__(self, *arguments: Any, unit: int = 1, **options: Any) -> None:
        super().__init__(*arguments, unit=unit, **options)
        self.unwired = False
        self._unit = unit
        self._registers = Registers(self._locked_read, self._locked_write)

    def session(self) -> ModbusTcpSession:
        """A connection to it."""
        return ModbusTcpSession(self._unit, self._registers)

    def _locked_read(self, address: int) -> int:
        with self._lock:
            return self._read(address)

    def _locked_write(self, address: int, values: Sequence[int]) -> None:
        with self._lock:
            self._write(address, values)

    def _factory_words(self, unit: int, decimals: int, high: int) -> dict[int, int]:
        zeros = (3, 11, 15, 24, 25, 27, 35, 39, 112, 273, 276, 516, 518, 520, 8333, _END_TYPE)
        return {
            **dict.fromkeys(zeros, 0),
            **CONTROL_LOOP,
            12: high,
            22: 1,
            111: high,
            121: 1280,
            1027: 1,
            _TIME_FORMAT: 1,
            1922: decimals,
            _RATE_RESOLUTION: 1,
            10589: self.segments,
            **self._program_words(),
        }

    def _rate_scale(self) -> int:
        return int(10 ** self._words[_RATE_RESOLUTION])

    def _duration_s(self, word: int) -> float:
        return word * _FORMAT_S[self._words[_TIME_FORMAT]]

    def _resets(self) -> bool:
        return self._words[_END_TYPE] == _RESETS

    def _live(self, address: int) -> int | None:
        if address == 58:
            left = self._left_s() / _FORMAT_S[self._words[_TIME_FORMAT]]
            return min(round(left), 0x7FFF)
        if address in range(_ALARM_1_OUTPUT, _ALARM_1_OUTPUT + 4 * _ALARM_STEP, _ALARM_STEP):
            return self._alarms() >> (address - _ALARM_1_OUTPUT) // _ALARM_STEP & 1
        if address == 1931:
            return int(self.sensor_break)
        if address == 1932:
            return _BAD if self.sensor_break else 0
        if address == _PROGRAMMER_INPUT:
            scale = 1 if self.unwired else self._scale
            return 0x7FFF if self.sensor_break else round(self._measured_c() * scale)
        if address == 8335:
            return len(self._legs())
        return super()._live(address)

    def _check(self, address: int, value: int) -> None:
        super()._check(address, value)
        limit = {_TIME_FORMAT: 3, _END_TYPE: _TRACKS}.get(address)
        if limit is not None and value > limit:
            raise Refused(ILLEGAL_VALUE)
