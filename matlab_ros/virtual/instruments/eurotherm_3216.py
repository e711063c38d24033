"""An emulated Eurotherm 3216P: its registers over Modbus RTU.

Source: Eurotherm 3200 series manual HA028651, Modbus address list, and A-Lab's published register
file. Where the manual leaves the wire open, this is what is assumed: dwells and elapsed time count
minutes with dwell units 0 (hours:minutes) and seconds with 1; a ramp of 0 is a step; a program that
ends with type "reset" is in state 0 afterwards, one that dwells or goes to SP2 in state 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from matlab_ros.virtual.instruments.eurotherm_serial import SerialController
from matlab_ros.virtual.instruments.furnace_controller import (
    CONTROL_LOOP,
    Leg,
    Programmer,
    signed,
)
from matlab_ros.virtual.instruments.modbus_slave import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    Refused,
)

END_DWELL, END_SP2, END_RESET = 1, 2, 3

_STATUS = 23
_SP1, _SP2 = 24, 25
_PROGRAM, _SEGMENTS = 1280, 8
_PROGRAM_END = _PROGRAM + 3 * _SEGMENTS
_VOLATILE = {3, 26}
_STATES = (Programmer.RESET, Programmer.RUN, Programmer.HOLD, Programmer.END)


class Eurotherm3216(SerialController):
    """See `SerialController`."""

    full_scale_high = 1

    def _factory_words(self, unit: int, decimals: int, high: int) -> dict[int, int]:
        zeros = (3, 7, 11, 15, _SP1, _SP2, 26, 27, 35, 39, 112, 199, 273, 276, 321, 327, 333, 531)
        return {
            **dict.fromkeys(zeros, 0),
            **CONTROL_LOOP,
            12: high,
            107: 0x0100,
            111: high,
            122: 0x3216,
            131: unit,
            328: END_DWELL,
            329: 1,
            525: decimals,
            **dict.fromkeys(range(_PROGRAM, _PROGRAM_END), 0),
        }

    def _legs(self) -> Sequence[Leg]:
        unit_s = 60.0 if self._words[321] == 0 else 1.0
        per_minute = {0: 1.0, 1: 1 / 60, 2: 60.0}[self._words[531]]
        legs = []
        for k in range(_SEGMENTS):
            dwell, target, ramp = (self._words[_PROGRAM + 3 * k + j] for j in range(3))
            target_c = signed(target) / self._scale
            legs.append(Leg(k + 1, target_c, ramp / 10 * per_minute / 60, dwell * unit_s))
        return legs

    def _resets(self) -> bool:
        return self._words[328] == END_RESET

    def _setpoint_after_program(self) -> float:
        end_type = self._words[328]
        if end_type == END_DWELL:
            return self._program.setpoints_c[-1]
        if end_type == END_SP2:
            return self._temperature_in(_SP2)
        return self._selected_setpoint()

    def _selected_setpoint(self) -> float:
        if self._words[276]:
            return self._temperature_in(26)
        return self._temperature_in(_SP2 if self._words[15] else _SP1)

    def _live(self, address: int) -> int | None:
        if address == 2:
            return self._temperature_word(self._selected_setpoint())
        if address == _STATUS:
            return _STATES.index(self._state)
        if address == 325:
            unit_s = 60.0 if self._words[321] == 0 else 1.0
            return min(int(self._program_s(self._now) / unit_s), 0xFFFF)
        if address in (330, 332):
            return self._segment()
        return super()._live(address)

    def _command(self, address: int) -> bool:
        return address == _STATUS

    def _obey(self, value: int) -> None:
        if value >= len(_STATES) - 1:
            raise Refused(ILLEGAL_VALUE)
        self._go(_STATES[value])

    def _wears_out(self, address: int) -> bool:
        return address not in _VOLATILE

    def _check(self, address: int, value: int) -> None:
        if address == 2:
            # A write to the target is one to the set point that is selected.
            self._check_temperature(value)
            return
        if address not in self._words or address in (107, 122, 525):
            raise Refused(ILLEGAL_ADDRESS)
        if _PROGRAM <= address < _PROGRAM_END:
            if self._under_way:
                raise Refused(ILLEGAL_VALUE)
            kind = (address - _PROGRAM) % 3
            if kind == 0 and value > 99 * 60 + 59:
                raise Refused(ILLEGAL_VALUE)
            if kind == 1:
                self._check_temperature(value)
            if kind == 2 and value > 30000:
                raise Refused(ILLEGAL_VALUE)
        allowed = {15: 1, 276: 1, 273: 1, 321: 1, 328: 3, 531: 2}.get(address)
        if allowed is not None and value > allowed:
            raise Refused(ILLEGAL_VALUE)
        if address in (_SP1, _SP2, 26):
            self._check_temperature(value)
