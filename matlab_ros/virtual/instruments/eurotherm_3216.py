"""An emulated Eurotherm 3216P: registers, programmer, control loop, and the furnace it heats.

Source: Eurotherm 3200 series manual HA028651, Modbus address list, and A-Lab's published register
file. Where the manual leaves the wire open, this is what is assumed: dwells and elapsed time count
minutes with dwell units 0 (hours:minutes) and seconds with 1; a ramp of 0 is a step; a program that
ends with type "reset" is in state 0 afterwards, one that dwells or goes to SP2 in state 3.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S, Send
from matlab_ros.virtual.instruments.furnace_model import (
    STEP_S,
    FloatArray,
    FurnaceBuild,
    HeatedChamber,
    Tuning,
)
from matlab_ros.virtual.instruments.modbus_slave import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusSlave,
    Refused,
)
from matlab_ros.virtual.physical_log import Tell, say_nothing

RESET, RUN, HOLD, END = 0, 1, 2, 3
END_DWELL, END_SP2, END_RESET = 1, 2, 3

_STATUS = 23
_SP1, _SP2 = 24, 25
_PROGRAM, _SEGMENTS = 1280, 8
_PROGRAM_END = _PROGRAM + 3 * _SEGMENTS
_VOLATILE = {_STATUS, 3, 26}
_NOISE_BLOCK = 512
_FADE_C = 200.0


class ProgramFate(Enum):
    """What becomes of a program."""

    NORMAL = "normal"
    OVER_AT_ONCE = "over at once"
    """It is at its end as soon as it began, without any heat."""
    STALLS = "stalls"
    """Its clock stands in the middle: it never ends."""


@dataclass(frozen=True)
class _Program:
    """A program as it was when it started: the set point over program time.

    Attributes:
        times_s: corners of the set point, from 0 to the program's end.
        setpoints_c: at the corners.
        segments: number of the segment pair that begins at each corner, 1 to 8.
    """

    times_s: tuple[float, ...]
    setpoints_c: tuple[float, ...]
    segments: tuple[int, ...]

    @property
    def end_s(self) -> float:
        return self.times_s[-1]

    def setpoint_at(self, program_s: float) -> float:
        after = bisect_right(self.times_s, program_s)
        if after in (0, len(self.times_s)):
            return self.setpoints_c[max(after - 1, 0)]
        since, until = self.times_s[after - 1], self.times_s[after]
        low, high = self.setpoints_c[after - 1], self.setpoints_c[after]
        return low + (high - low) / (until - since) * (program_s - since)

    def segment_at(self, program_s: float) -> int:
        return self.segments[bisect_right(self.times_s, program_s) - 1]

    def next_corner(self, program_s: float) -> float | None:
        after = bisect_right(self.times_s, program_s + MOMENT_TOLERANCE_S)
        return self.times_s[after] if after < len(self.times_s) else None


class Eurotherm3216:
    """The controller and its furnace, in virtual time.

    Fault switches, set by tests at any time: `sensor_break`; `heater_share` (below 1 a heating
    element is broken); `refuse_writes` (the keys are locked); `next_program` (what becomes of the
    program that is started next). `eeprom_writes` counts the writes of
    each register that wears out.

    Args:
        rng: source of the thermocouple's noise.
        unit: Modbus address.
        decimals: decimal places of temperatures on the wire.
        max_setpoint_c: highest set point the controller takes.
        offset_c: what the crucible is hotter than the thermocouple says, once hot: the error of a
            badly placed or worn thermocouple. Fades out towards room temperature.
        noise_c: standard deviation of a reading.
        cold_c: falling below it after a program is a moment worth waiting for.
        build: of the furnace.
        tuning: of the control loop.
        tell: is told what the programmer does.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        unit: int = 1,
        decimals: int = 1,
        max_setpoint_c: float = 1400.0,
        offset_c: float = 0.0,
        noise_c: float = 0.3,
        cold_c: float = 100.0,
        build: FurnaceBuild | None = None,
        tuning: Tuning | None = None,
        tell: Tell = say_nothing,
    ) -> None:
        self.offset_c = offset_c
        self.next_program = ProgramFate.NORMAL
        self._tell = tell
        self._stalls_at_s = math.inf
        self.sensor_break = False
        self.refuse_writes = False
        self.eeprom_writes: Counter[int] = Counter()
        self._lock = threading.RLock()
        self._now = 0.0
        self._scale: int = 10**decimals
        self._noise_c = noise_c
        self._noise_seed = int(rng.integers(2**62))
        self._noise: dict[int, FloatArray] = {}
        self._cold_c = cold_c
        high = round(max_setpoint_c * self._scale)
        self._words: dict[int, int] = {
            2: 0,
            3: 0,
            6: 200,
            7: 0,
            8: 360,
            9: 60,
            11: 0,
            12: high,
            13: high,
            14: high,
            15: 0,
            _SP1: 0,
            _SP2: 0,
            26: 0,
            27: 0,
            35: 0,
            39: 0,
            107: 0x0100,
            111: high,
            112: 0,
            122: 0x3216,
            131: unit,
            199: 0,
            273: 0,
            276: 0,
            321: 0,
            327: 0,
            328: END_DWELL,
            329: 1,
            333: 0,
            525: decimals,
            531: 0,
            **dict.fromkeys(range(_PROGRAM, _PROGRAM_END), 0),
        }
        self._state = RESET
        self._program = _Program((0.0,), (0.0,), (1,))
        self._anchor_t = 0.0
        self._anchor_s = 0.0
        build = build if build is not None else FurnaceBuild()
        self._ambient_c = build.ambient_c
        self._chamber = HeatedChamber(
            build,
            tuning if tuning is not None else Tuning(),
            self._heating_setpoint,
        )
        self._slave = ModbusSlave(unit, self._read, self._write)

    # The device in virtual time

    def advance_to(self, t: float) -> None:
        """Heat, cool and run the program up to virtual second `t`."""
        with self._lock:
            if t <= self._now:
                return
            self._chamber.advance_to(t + MOMENT_TOLERANCE_S)
            self._now = t
            if (
                self._state == RUN
                and self._program_s(t) >= self._program.end_s - MOMENT_TOLERANCE_S
            ):
                self._end_program()

    def next_moment(self) -> float | None:
        """The next corner of the program, or when the furnace has cooled below `cold_c`."""
        with self._lock:
            if self._state == RUN:
                corner = self._program.next_corner(self._program_s(self._now))
                if corner is not None and corner > self._stalls_at_s:
                    return None
                if corner is None:
                    return self._now
                return self._anchor_t + corner - self._anchor_s
            if self._state == HOLD or self._working_setpoint(self._now) > self._ambient_c:
                return None
            if self._chamber.output > 0:
                return (self._now // STEP_S + 1) * STEP_S
            return self._chamber.cools_below_at(self._cold_c)

    def connect(self, send: Send) -> None:
        """A Modbus slave never speaks first."""

    def receive(self, data: bytes) -> bytes:
        """Answer Modbus requests as of the present moment."""
        with self._lock:
            return self._slave.receive(data)

    # What the virtual world sees

    @property
    def crucible_c(self) -> float:
        """The real temperature of what stands in the furnace, now."""
        with self._lock:
            return float(self._real(np.array([self._chamber.temperature_at(self._now)]))[0])

    def true_trace(self, t0: float, t1: float) -> tuple[FloatArray, FloatArray]:
        """The real temperature of what stood in the furnace.

        Args:
            t0: virtual second of the beginning.
            t1: virtual second of the end, not later than the present.

        Returns:
            Virtual seconds and degrees Celsius, arrays of the same length; both ends are included.
        """
        with self._lock:
            times, chamber = self._chamber.trace(t0, t1)
            return times, self._real(chamber)

    @property
    def is_heating(self) -> bool:
        """Whether current flows through the heater."""
        with self._lock:
            return self._chamber.output > 0

    @property
    def heater_share(self) -> float:
        """Share of the heater's power that is left."""
        return self._chamber.heater_share

    @heater_share.setter
    def heater_share(self, share: float) -> None:
        with self._lock:
            self._chamber.heater_share = share

    def _real(self, chamber_c: FloatArray) -> FloatArray:
        warm = np.clip((chamber_c - self._ambient_c) / _FADE_C, 0.0, 1.0)
        return np.asarray(chamber_c + self.offset_c * warm)

    # The programmer

    def _program_s(self, t: float) -> float:
        running = t - self._anchor_t if self._state == RUN else 0.0
        return min(self._anchor_s + running, self._stalls_at_s)

    def _working_setpoint(self, t: float) -> float:
        if self._state in (RUN, HOLD):
            program_s = self._program_s(t)
            if self._state == HOLD or program_s < self._program.end_s:
                return self._program.setpoint_at(program_s)
            return self._setpoint_after_program()
        if self._state == END:
            return self._setpoint_after_program()
        return self._selected_setpoint()

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

    def _heating_setpoint(self, t: float) -> float | None:
        """What the control loop follows; None where it rests until somebody commands."""
        if self.sensor_break:
            return None
        setpoint = self._working_setpoint(t)
        resting = self._state in (RESET, END) and setpoint <= self._ambient_c
        return None if resting else setpoint

    def _start(self) -> None:
        temperature = self._chamber.temperature_at(self._now)
        unit_s = 60.0 if self._words[321] == 0 else 1.0
        per_minute = {0: 1.0, 1: 1 / 60, 2: 60.0}[self._words[531]]
        times, setpoints, segments = [0.0], [temperature], [1]
        for k in range(_SEGMENTS):
            dwell, target, ramp = (self._words[_PROGRAM + 3 * k + j] for j in range(3))
            target_c = _signed(target) / self._scale
            ramp_c_per_s = ramp / 10 * per_minute / 60
            ramp_s = abs(target_c - setpoints[-1]) / ramp_c_per_s if ramp else 0.0
            segments[-1] = k + 1
            for duration_s in (ramp_s, dwell * unit_s):
                if duration_s > 0:
                    times.append(times[-1] + duration_s)
                    setpoints.append(target_c)
                    segments.append(k + 1)
        self._program = _Program(tuple(times), tuple(setpoints), tuple(segments))
        self._anchor_t, self._anchor_s = self._now, 0.0
        self._state = RUN
        fate, self.next_program = self.next_program, ProgramFate.NORMAL
        stalls = fate is ProgramFate.STALLS
        self._stalls_at_s = self._program.end_s / 2 if stalls else math.inf
        self._tell(self._now, "program begun", times_s=list(times), setpoints_c=list(setpoints))
        if self._program.end_s == 0 or fate is ProgramFate.OVER_AT_ONCE:
            self._end_program()

    def _end_program(self) -> None:
        self._tell(self._now, "program over")
        self._anchor_s = self._program.end_s
        if self._words[328] == END_RESET:
            self._anchor_s = 0.0
            self._state = RESET
        else:
            self._state = END

    def _go(self, wanted: int) -> None:
        """Write of register 23."""
        program_s = self._program_s(self._now)
        before = self._state
        self._change(wanted, program_s)
        if self._state != before and self._state != END:
            word = {RESET: "reset", RUN: "running", HOLD: "held"}[self._state]
            self._tell(self._now, "programmer", state=word)

    def _change(self, wanted: int, program_s: float) -> None:
        if wanted == RESET:
            self._state, self._anchor_s = RESET, 0.0
        elif wanted == RUN and self._state in (RESET, END):
            self._start()
        elif wanted == RUN and self._state == HOLD:
            self._state, self._anchor_t = RUN, self._now
        elif wanted == HOLD and self._state == RUN:
            self._state, self._anchor_s = HOLD, program_s

    # Registers

    def _read(self, address: int) -> int:
        if address == 1:
            if self.sensor_break:
                return 0x7FFF
            return self._temperature_word(self._measured_c())
        if address == 4:
            return round(self._chamber.output * 1000)
        if address == 5:
            return self._temperature_word(self._working_setpoint(self._now))
        if address == _STATUS:
            return self._state
        if address == 75:
            return 0x20 if self.sensor_break else 0
        if address == 258:
            return int(self.sensor_break)
        if address == 325:
            unit_s = 60.0 if self._words[321] == 0 else 1.0
            return min(int(self._program_s(self._now) / unit_s), 0xFFFF)
        if address in (330, 332):
            if self._state not in (RUN, HOLD):
                return 0
            return self._program.segment_at(self._program_s(self._now))
        try:
            return self._words[address]
        except KeyError:
            raise Refused(ILLEGAL_ADDRESS) from None

    def _write(self, address: int, values: Sequence[int]) -> None:
        for offset, value in enumerate(values):
            self._check_write(address + offset, value)
        for offset, value in enumerate(values):
            register = address + offset
            if register == _STATUS:
                self._go(value)
                continue
            self._words[register] = value
            if register not in _VOLATILE:
                self.eeprom_writes[register] += 1

    def _check_write(self, address: int, value: int) -> None:
        if self.refuse_writes:
            raise Refused(ILLEGAL_VALUE)
        if address == _STATUS:
            if value not in (RESET, RUN, HOLD):
                raise Refused(ILLEGAL_VALUE)
            return
        if address not in self._words or address in (107, 122, 525):
            raise Refused(ILLEGAL_ADDRESS)
        if _PROGRAM <= address < _PROGRAM_END:
            if self._state in (RUN, HOLD):
                raise Refused(ILLEGAL_VALUE)
            kind = (address - _PROGRAM) % 3
            if kind == 0 and value > 99 * 60 + 59:
                raise Refused(ILLEGAL_VALUE)
            if kind == 1 and not self._words[112] <= _signed(value) <= self._words[111]:
                raise Refused(ILLEGAL_VALUE)
            if kind == 2 and value > 30000:
                raise Refused(ILLEGAL_VALUE)
        allowed = {15: 1, 276: 1, 273: 1, 321: 1, 328: 3, 531: 2}.get(address)
        if allowed is not None and value > allowed:
            raise Refused(ILLEGAL_VALUE)
        if address in (2, _SP1, _SP2, 26) and not (
            self._words[112] <= _signed(value) <= self._words[111]
        ):
            raise Refused(ILLEGAL_VALUE)

    def _measured_c(self) -> float:
        """The reading: constant within one step of the controller, whoever asks how often."""
        index = int(self._now // STEP_S)
        block, within = divmod(index, _NOISE_BLOCK)
        if block not in self._noise:
            self._noise = {
                block: np.random.default_rng([self._noise_seed, block]).normal(size=_NOISE_BLOCK)
            }
        noise = float(self._noise[block][within]) * self._noise_c
        return self._chamber.temperature_at(self._now) + noise

    def _temperature_in(self, address: int) -> float:
        return _signed(self._words[address]) / self._scale

    def _temperature_word(self, temperature_c: float) -> int:
        return min(max(round(temperature_c * self._scale), -0x8000), 0x7FFF) & 0xFFFF


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word
