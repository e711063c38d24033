"""What emulated controllers with typed segments share: program 1 from register 8328 on.

Segment n stands at 8336 + 8 (n - 1): type (0 end, 1 ramp at a rate, 2 ramp in a time, 3 dwell, 4
step), target, rate or duration, and more. Register 23 says 1 reset, 2 run, 4 hold, 16 complete.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from matlab_ros.virtual.instruments.furnace_controller import (
    EmulatedController,
    Leg,
    Programmer,
    signed,
)
from matlab_ros.virtual.instruments.modbus_slave import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    Refused,
)

END, RAMP_RATE, RAMP_TIME, DWELL, STEP = range(5)
_STATUS = 23
_SP1, _SP2 = 24, 25
HEADER = 8328
FIRST, STRIDE = 8336, 8
_STATES = {
    1: Programmer.RESET,
    2: Programmer.RUN,
    4: Programmer.HOLD,
    16: Programmer.END,
}
_UNIT_S = {0: 1.0, 1: 60.0, 2: 3600.0}


class SegmentedController(EmulatedController):
    """A controller whose program is a list of typed segments with an end."""

    segments: int
    read_only: frozenset[int]
    volatile: frozenset[int]

    @abstractmethod
    def _rate_scale(self) -> int:
        """What ramp rates are multiplied with on the wire."""

    @abstractmethod
    def _duration_s(self, word: int) -> float:
        """Seconds of a duration on the wire."""

    def _program_words(self) -> dict[int, int]:
        """Header and segments of program 1, as they leave the factory."""
        words = dict.fromkeys(range(HEADER, HEADER + 5), 0) | {HEADER + 4: 1}
        for index in range(self.segments):
            start = FIRST + STRIDE * index
            words |= dict.fromkeys(range(start, start + 6), 0)
        return words

    def _legs(self) -> Sequence[Leg]:
        rate_unit_s = _UNIT_S[self._words[HEADER + 2]]
        legs: list[Leg] = []
        for index in range(self.segments):
            start = FIRST + STRIDE * index
            kind, target, amount = (self._words[start + k] for k in range(3))
            if kind == END:
                break
            target_c = signed(target) / self._scale
            number = index + 1
            if kind == RAMP_RATE:
                rate = amount / self._rate_scale() / rate_unit_s
                legs.append(Leg(number, target_c, rate, 0.0))
            elif kind == RAMP_TIME:
                legs.append(Leg(number, target_c, 0.0, 0.0, ramp_s=self._duration_s(amount)))
            elif kind == DWELL:
                legs.append(Leg(number, None, 0.0, self._duration_s(amount)))
            else:
                legs.append(Leg(number, target_c, 0.0, 0.0))
        return legs

    def _duration_unit_s(self) -> float:
        """Of the program's dwells."""
        return _UNIT_S[self._words[HEADER + 3]]

    def _setpoint_after_program(self) -> float:
        return self._program.setpoints_c[-1]

    def _selected_setpoint(self) -> float:
        return self._temperature_in(_SP2 if self._words[15] else _SP1)

    def _live(self, address: int) -> int | None:
        if address == 2:
            return self._temperature_word(self._selected_setpoint())
        if address == _STATUS:
            return next(word for word, state in _STATES.items() if state is self._state)
        if address == 56:
            return self._segment()
        if address == 163:
            return self._temperature_word(self._working_setpoint(self._now))
        return super()._live(address)  # type: ignore[safe-super]

    def _command(self, address: int) -> bool:
        return address == _STATUS

    def _obey(self, value: int) -> None:
        wanted = _STATES.get(value)
        if wanted is None or wanted is Programmer.END:
            raise Refused(ILLEGAL_VALUE)
        self._go(wanted)

    def _wears_out(self, address: int) -> bool:
        return address not in self.volatile

    def _check(self, address: int, value: int) -> None:
        if address == 2:
            # A write to the target is one to the set point that is selected.
            self._check_temperature(value)
            return
        if address not in self._words or address in self.read_only:
            raise Refused(ILLEGAL_ADDRESS)
        if address in (_SP1, _SP2):
            self._check_temperature(value)
        if HEADER <= address < FIRST + STRIDE * self.segments:
            if self._under_way:
                raise Refused(ILLEGAL_VALUE)
            self._check_program(address, value)
        allowed = {15: 1, 22: 20, 273: 1, 276: 1}.get(address)
        if allowed is not None and value > allowed:
            raise Refused(ILLEGAL_VALUE)

    def _check_program(self, address: int, value: int) -> None:
        if address < FIRST:
            limit = {0: 3, 2: 2, 3: 2, 4: 999}.get(address - HEADER)
            if limit is not None and value > limit:
                raise Refused(ILLEGAL_VALUE)
            return
        kind = (address - FIRST) % STRIDE
        if kind == 0 and value > STEP:
            raise Refused(ILLEGAL_VALUE)
        if kind == 1:
            self._check_temperature(value)
