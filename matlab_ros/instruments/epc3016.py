"""Eurotherm EPC3016 temperature controller with its programmer, over Modbus TCP.

Registers: the address list of the EPC3000 series, and A-Lab's published driver (alab_control,
furnace_epc_3016). Numbers are scaled integers: temperatures by the input's resolution (1922), ramp
rates by the programmer's (10580), times by the comms time format (1173, minutes here). The
programmer scales its set points by its own input (10578), which has to be wired to the loop: that
is checked, because an unwired one would heat to ten times what was asked for, or a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matlab_ros.instruments.eurotherm import SP1, Setting, signed
from matlab_ros.instruments.eurotherm_segments import (
    END,
    END_TYPE_RESET,
    SEGMENT_NUMBER,
    SegmentedController,
)

_MEASURED = 1
_SP_SELECT = 15
_TIME_LEFT = 58
_LOOP_MODE = 273
_TIME_FORMAT, _MINUTES = 1173, 2
_SENSOR_BREAK = 1931
_ALARM_OUTPUT, _ALARM_STEP = 2125, 24
_PROGRAM_END_TYPE = 8334
_PROGRAMMER_INPUT = 10578
_RATE_RESOLUTION = 10580
_MOST_MINUTES = 0x7FFF
_WIRED_WITHIN_C = 5.0


class Epc3016(SegmentedController):
    """Driver of an EPC3016 with 25 segments. See `EurothermController`."""

    model = "Eurotherm EPC3016"
    longest_dwell_min = _MOST_MINUTES
    segments = 25
    decimals_register = 1922
    full_scale_high = 1
    _rate_decimals: int | None = None

    def _sensor_is_broken(self) -> bool:
        sensor_break, status = self._modbus.read(_SENSOR_BREAK, 2)
        return bool(sensor_break or status)

    def _alarm_stands(self, number: int) -> bool:
        return self._modbus.read(_ALARM_OUTPUT + _ALARM_STEP * (number - 1)) != (0,)

    def _progress(self) -> tuple[int, float, float]:
        (segment,) = self._modbus.read(SEGMENT_NUMBER)
        (left,) = self._modbus.read(_TIME_LEFT)
        return segment, math.nan, float(left)

    def _settings(self, scale: int) -> Sequence[Setting]:
        self._require_wired_programmer(scale)
        return (
            Setting(_TIME_FORMAT, _MINUTES, "time format"),
            *super()._settings(scale),
            Setting(_PROGRAM_END_TYPE, END_TYPE_RESET, "program end type"),
            Setting(SP1, round(self._rest_c * scale), "rest set point"),
            Setting(_SP_SELECT, 0, "set point select"),
            Setting(_LOOP_MODE, 0, "automatic mode"),
        )

    def _rate_scale(self) -> int:
        if self._rate_decimals is None:
            (decimals,) = self._modbus.read(_RATE_RESOLUTION)
            if not 1 <= decimals <= 3:
                raise self._refused(
                    f"has ramp rates with {decimals} decimal places (register {_RATE_RESOLUTION}); "
                    "expected 1 to 3"
                )
            self._rate_decimals = decimals
        return int(10**self._rate_decimals)

    def _dwell_scale(self) -> tuple[int, int]:
        return 1, _MOST_MINUTES

    def _end_words(self) -> tuple[int, ...]:
        return (END, 0, 0)

    def _ends_cold(self) -> bool:
        return (
            self._modbus.read(_PROGRAM_END_TYPE) == (END_TYPE_RESET,)
            and self._end_address() is not None
        )

    def _require_wired_programmer(self, scale: int) -> None:
        (word,) = self._modbus.read(_PROGRAMMER_INPUT)
        (measured,) = self._modbus.read(_MEASURED)
        if abs(signed(word) - signed(measured)) > _WIRED_WITHIN_C * scale:
            raise self._refused(
                f"measures {signed(measured) / scale:g} C, and its programmer is told "
                f"{signed(word) / scale:g} C in the same scale; wire the programmer's PV input to "
                "the loop's"
            )
