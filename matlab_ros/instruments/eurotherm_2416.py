"""Eurotherm 2416 temperature controller with its programmer, over Modbus RTU.

Registers: Eurotherm 2000 series communications handbook HA026230, and A-Lab's published driver
(alab_control, furnace_2416). Ramp rates and dwells have one decimal place in the program's units.
The comms resolution (12550) has to be "full": "integer" cuts every decimal place off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matlab_ros.instruments.eurotherm import INSTRUMENT_STATUS, SP1, Setting
from matlab_ros.instruments.eurotherm_segments import (
    END,
    END_TYPE_RESET,
    SEGMENT_NUMBER,
    SegmentedController,
)
from matlab_ros.instruments.heat_controller import ControllerRange

_SP_SELECT = 15
_SENSOR_BREAK = 258
_LOOP_MODE = 273
_REMOTE_SELECT = 276
_RESOLUTION, _FULL = 12550, 0
_END_TYPE_OFFSET = 3
_TENTHS = 10
_MOST = 9999


class Eurotherm2416(SegmentedController):
    """Driver of a 2416 with 16 segments. See `EurothermController`."""

    model = "Eurotherm 2416"
    longest_dwell_min = 5 * _MOST / _TENTHS
    """Five segments; see `_pieces`."""
    segments = 16
    decimals_register = 525
    full_scale_high = 2

    def read_range(self) -> ControllerRange:
        """See `EurothermController.read_range`.

        Raises:
            DeviceError: HEAT_CONTROLLER_REFUSED where its numbers have no decimal places.
        """
        (resolution,) = self._modbus.read(_RESOLUTION)
        if resolution != _FULL:
            raise self._refused(
                f"cuts decimal places off (register {_RESOLUTION} is {resolution}); set its comms "
                "resolution to full"
            )
        return super().read_range()

    def _sensor_is_broken(self) -> bool:
        return self._modbus.read(_SENSOR_BREAK) != (0,)

    def _alarm_stands(self, number: int) -> bool:
        (status,) = self._modbus.read(INSTRUMENT_STATUS)
        return bool(status >> (number - 1) & 1)

    def _progress(self) -> tuple[int, float, float]:
        (segment,) = self._modbus.read(SEGMENT_NUMBER)
        return segment, math.nan, math.nan

    def _settings(self, scale: int) -> Sequence[Setting]:
        return (
            *super()._settings(scale),
            Setting(SP1, round(self._rest_c * scale), "rest set point"),
            Setting(_SP_SELECT, 0, "set point select"),
            Setting(_REMOTE_SELECT, 0, "remote select"),
            Setting(_LOOP_MODE, 0, "automatic mode"),
        )

    def _rate_scale(self) -> int:
        return _TENTHS

    def _dwell_scale(self) -> tuple[int, int]:
        return _TENTHS, _MOST

    def _end_words(self) -> tuple[int, ...]:
        return (END, 0, 0, END_TYPE_RESET)

    def _ends_cold(self) -> bool:
        end = self._end_address()
        return end is not None and self._modbus.read(end + _END_TYPE_OFFSET) == (END_TYPE_RESET,)
