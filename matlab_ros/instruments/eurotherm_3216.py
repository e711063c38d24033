"""Eurotherm 3216P temperature controller with its programmer, over Modbus RTU.

Registers: Eurotherm 3200 series engineering manual HA028651, Modbus address list. Ramp rates are
always scaled by 10. Dwells count minutes while the dwell units (321) are hours:minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from matlab_ros.instruments.eurotherm import (
    INSTRUMENT_STATUS,
    SP1,
    Block,
    EurothermController,
    Setting,
    signed,
)
from matlab_ros.instruments.heat_controller import ProgramState
from matlab_ros.instruments.heat_program import HeatSegment

_SP_SELECT = 15
_SENSOR_BREAK = 258
_LOOP_MODE = 273
_REMOTE_SP_SELECT = 276
_DWELL_UNITS = 321
_ELAPSED = 325
_END_TYPE = 328
_SEGMENT = 330
_RAMP_UNITS = 531
_PROGRAM, _SEGMENTS = 1280, 8

_END_TYPE_RESET = 3
_DWELL_IN_MINUTES = 0
_RAMP_PER_MINUTE = 0


class Eurotherm3216(EurothermController):
    """Driver of a 3216P: eight pairs of ramp and dwell. See `EurothermController`."""

    model = "Eurotherm 3216P"
    longest_dwell_min = 99 * 60 + 59
    segments = _SEGMENTS
    decimals_register = 525
    full_scale_high = 1
    state_words: ClassVar = dict(enumerate(ProgramState))
    command_words: ClassVar = {state: word for word, state in enumerate(ProgramState)}

    def _sensor_is_broken(self) -> bool:
        return self._modbus.read(_SENSOR_BREAK) != (0,)

    def _alarm_stands(self, number: int) -> bool:
        (status,) = self._modbus.read(INSTRUMENT_STATUS)
        return bool(status >> (number - 1) & 1)

    def _progress(self) -> tuple[int, float, float]:
        (elapsed,) = self._modbus.read(_ELAPSED)
        (segment,) = self._modbus.read(_SEGMENT)
        return segment, float(elapsed), math.nan

    def _settings(self, scale: int) -> Sequence[Setting]:
        return (
            Setting(_DWELL_UNITS, _DWELL_IN_MINUTES, "dwell units"),
            Setting(_RAMP_UNITS, _RAMP_PER_MINUTE, "ramp units"),
            Setting(_END_TYPE, _END_TYPE_RESET, "end type"),
            Setting(SP1, round(self._rest_c * scale), "rest set point"),
            Setting(_SP_SELECT, 0, "set point select"),
            Setting(_REMOTE_SP_SELECT, 0, "remote set point select"),
            Setting(_LOOP_MODE, 0, "automatic mode"),
        )

    def _stored(self, program: Sequence[HeatSegment]) -> int:
        return len(program)

    def _encode(self, program: Sequence[HeatSegment], scale: int) -> Sequence[Block]:
        """All 24 program registers: dwell, set point, ramp of each segment; unused ones are zero,
        that is a step without dwell down to 0 degrees just before the end."""
        words: list[int] = []
        for segment in program:
            words += (
                round(segment.dwell_min),
                round(segment.target_c * scale) & 0xFFFF,
                math.floor(segment.ramp_c_per_min * 10 + 1e-6),
            )
        return (Block(_PROGRAM, tuple(words + [0] * (3 * _SEGMENTS - len(words)))),)

    def _read_blocks(self) -> Sequence[Block]:
        return (Block(_PROGRAM, self._modbus.read(_PROGRAM, 3 * _SEGMENTS)),)

    def _decode(self, blocks: Sequence[Block], scale: int) -> tuple[HeatSegment, ...]:
        words = blocks[0].words
        held = tuple(
            HeatSegment(
                target_c=signed(words[k + 1]) / scale,
                ramp_c_per_min=words[k + 2] / 10,
                dwell_min=float(words[k]),
            )
            for k in range(0, len(words), 3)
        )
        used = [n for n, segment in enumerate(held, 1) if segment.ramp_c_per_min > 0]
        return held[: max(used, default=0)]

    def _ends_cold(self) -> bool:
        return self._modbus.read(_END_TYPE) == (_END_TYPE_RESET,)
