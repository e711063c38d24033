"""The heart of an emulated furnace controller: programmer, control loop, thermocouple, furnace.

What its registers are called is each model's own; see `EmulatedController`.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S
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
    Refused,
)
from matlab_ros.virtual.physical_log import Tell, say_nothing

_NOISE_BLOCK = 512
_FADE_C = 200.0
CONTROL_LOOP: Mapping[int, int] = {6: 200, 8: 360, 9: 60}
"""Proportional band, integral and derivative time as they leave the factory."""
_THRESHOLDS = (13, 14, 81, 82)
_ALARM_TYPES = range(536, 540)
_ACKNOWLEDGE = 274
_NO_ALARM_C = 100.0
"""Of alarms that nobody set yet: this far above the highest set point."""


class Programmer(Enum):
    """What the programmer does."""

    RESET = "reset"
    RUN = "running"
    HOLD = "held"
    END = "end"


class ProgramFate(Enum):
    """What becomes of a program."""

    NORMAL = "normal"
    OVER_AT_ONCE = "over at once"
    """It is at its end as soon as it began, without any heat."""
    STALLS = "stalls"
    """Its clock stands in the middle: it never ends."""


@dataclass(frozen=True)
class Leg:
    """A straight piece of a program's set point.

    Attributes:
        number: of the segment it belongs to, from 1.
        target_c: set point at its end; None: as before.
        ramp_c_per_s: at which it goes there; 0 is a step.
        dwell_s: how long it stays there.
        ramp_s: how long it takes there instead, where that is given.
    """

    number: int
    target_c: float | None
    ramp_c_per_s: float
    dwell_s: float
    ramp_s: float = 0.0


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


class EmulatedController(ABC):
    """A controller and its furnace, in virtual time. Registers are whole numbers of 16 bits.

    Fault switches, set by tests at any time: `sensor_break`; `heater_share` (below 1 a heating
    element is broken); `heater_stuck` (its switch is welded); `refuse_writes` (the keys are
    locked); `next_program` (what becomes of the program that is started next). `eeprom_writes`
    counts the writes of each register that wears out.

    Alarm 1 is set up as a full scale high alarm that opens the heater's contactor and latches: the
    heater stays off until it is colder and somebody acknowledges (register 274).

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
        self._words = dict(self._factory_words(unit, decimals, round(max_setpoint_c * self._scale)))
        never = round((max_setpoint_c + _NO_ALARM_C) * self._scale)
        self._words |= dict.fromkeys(_THRESHOLDS, never) | dict.fromkeys(_ALARM_TYPES, 0)
        self._words |= {_ALARM_TYPES[0]: self.full_scale_high, _ACKNOWLEDGE: 0}
        self._cut_off = False
        self._state = Programmer.RESET
        self._program = _Program((0.0,), (0.0,), (1,))
        self._anchor_t = 0.0
        self._anchor_s = 0.0
        build = build if build is not None else FurnaceBuild()
        self._ambient_c = build.ambient_c
        self._chamber = HeatedChamber(
            build,
            tuning if tuning is not None else Tuning(),
            self._heating_setpoint,
            self._is_cut_off,
        )

    # What each model says for itself

    full_scale_high: ClassVar[int]
    """Type of such an alarm."""

    @abstractmethod
    def _factory_words(self, unit: int, decimals: int, high: int) -> dict[int, int]:
        """Registers that keep what is written to them; `high` is the highest set point, scaled."""

    @abstractmethod
    def _legs(self) -> Sequence[Leg]:
        """The program in the registers."""

    @abstractmethod
    def _resets(self) -> bool:
        """Whether the programmer resets at the program's end."""

    @abstractmethod
    def _setpoint_after_program(self) -> float:
        """What counts while the programmer is at a program's end, degrees Celsius."""

    @abstractmethod
    def _selected_setpoint(self) -> float:
        """What counts without a program, degrees Celsius."""

    @abstractmethod
    def _live(self, address: int) -> int | None:
        """A register that follows from what the controller does; None where it is none of these."""

    @abstractmethod
    def _command(self, address: int) -> bool:
        """Whether a register commands the programmer."""

    @abstractmethod
    def _obey(self, value: int) -> None:
        """Do what was written to such a register; raises Refused."""

    @abstractmethod
    def _check(self, address: int, value: int) -> None:
        """Raise Refused where a register does not take a value."""

    @abstractmethod
    def _wears_out(self, address: int) -> bool:
        """Whether a register's memory has a limited number of writes."""

    # The device in virtual time

    def advance_to(self, t: float) -> None:
        """Heat, cool and run the program up to virtual second `t`."""
        with self._lock:
            if t <= self._now:
                return
            self._chamber.advance_to(t + MOMENT_TOLERANCE_S)
            self._now = t
            if (
                self._state is Programmer.RUN
                and self._program_s(t) >= self._program.end_s - MOMENT_TOLERANCE_S
            ):
                self._end_program()

    def next_moment(self) -> float | None:
        """The next corner of the program, or when the furnace has cooled below `cold_c`."""
        with self._lock:
            if self._state is Programmer.RUN:
                corner = self._program.next_corner(self._program_s(self._now))
                if corner is not None and corner > self._stalls_at_s:
                    return None
                if corner is None:
                    return self._now
                return self._anchor_t + corner - self._anchor_s
            warm = self._working_setpoint(self._now) > self._ambient_c
            if warm or self._state is Programmer.HOLD:
                return None
            if self._chamber.output > 0:
                return (self._now // STEP_S + 1) * STEP_S
            return self._chamber.cools_below_at(self._cold_c)

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
    def heater_stuck(self) -> bool:
        """Whether its switch is welded: it heats whatever the controller wants."""
        return self._chamber.heater_stuck

    @heater_stuck.setter
    def heater_stuck(self, stuck: bool) -> None:
        with self._lock:
            self._chamber.heater_stuck = stuck

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

    @property
    def _under_way(self) -> bool:
        return self._state in (Programmer.RUN, Programmer.HOLD)

    def _program_s(self, t: float) -> float:
        running = t - self._anchor_t if self._state is Programmer.RUN else 0.0
        return min(self._anchor_s + running, self._stalls_at_s)

    def _left_s(self) -> float:
        """Of the program under way; 0 where none is."""
        return self._program.end_s - self._program_s(self._now) if self._under_way else 0.0

    def _segment(self) -> int:
        """Number of the segment under way; 0 where none is."""
        return self._program.segment_at(self._program_s(self._now)) if self._under_way else 0

    def _working_setpoint(self, t: float) -> float:
        if self._under_way:
            program_s = self._program_s(t)
            if self._state is Programmer.HOLD or program_s < self._program.end_s:
                return self._program.setpoint_at(program_s)
            return self._selected_setpoint() if self._resets() else self._setpoint_after_program()
        if self._state is Programmer.END:
            return self._setpoint_after_program()
        return self._selected_setpoint()

    def _heating_setpoint(self, t: float) -> float | None:
        """What the control loop follows; None where it rests until somebody commands."""
        if self.sensor_break:
            return None
        setpoint = self._working_setpoint(t)
        resting = not self._under_way and setpoint <= self._ambient_c
        return None if resting else setpoint

    def _is_cut_off(self, chamber_c: float) -> bool:
        """Alarm 1: whether it holds the heater's contactor open."""
        threshold_c = self._temperature_in(_THRESHOLDS[0])
        if self._words[_ALARM_TYPES[0]] == self.full_scale_high and chamber_c > threshold_c:
            self._cut_off = True
        return self._cut_off

    def _alarms(self) -> int:
        """Bits 0 to 3 of the status word: which alarms are on."""
        return int(self._cut_off)

    def _start(self) -> None:
        temperature = self._chamber.temperature_at(self._now)
        times, setpoints, segments = [0.0], [temperature], [1]
        for leg in self._legs():
            target_c = setpoints[-1] if leg.target_c is None else leg.target_c
            way_c = abs(target_c - setpoints[-1])
            ramp_s = way_c / leg.ramp_c_per_s if leg.ramp_c_per_s else leg.ramp_s
            segments[-1] = leg.number
            for duration_s in (ramp_s, leg.dwell_s):
                if duration_s > 0:
                    times.append(times[-1] + duration_s)
                    setpoints.append(target_c)
                    segments.append(leg.number)
        self._program = _Program(tuple(times), tuple(setpoints), tuple(segments))
        self._anchor_t, self._anchor_s = self._now, 0.0
        self._state = Programmer.RUN
        fate, self.next_program = self.next_program, ProgramFate.NORMAL
        stalls = fate is ProgramFate.STALLS
        self._stalls_at_s = self._program.end_s / 2 if stalls else math.inf
        self._tell(self._now, "program begun", times_s=list(times), setpoints_c=list(setpoints))
        if self._program.end_s == 0 or fate is ProgramFate.OVER_AT_ONCE:
            self._end_program()

    def _end_program(self) -> None:
        self._tell(self._now, "program over")
        self._anchor_s = self._program.end_s
        if self._resets():
            self._anchor_s = 0.0
            self._state = Programmer.RESET
        else:
            self._state = Programmer.END

    def _go(self, wanted: Programmer) -> None:
        """Command the programmer; what makes no sense now changes nothing."""
        program_s = self._program_s(self._now)
        before = self._state
        if wanted is Programmer.RESET:
            self._state, self._anchor_s = Programmer.RESET, 0.0
        elif wanted is Programmer.RUN and not self._under_way:
            self._start()
        elif wanted is Programmer.RUN and self._state is Programmer.HOLD:
            self._state, self._anchor_t = Programmer.RUN, self._now
        elif wanted is Programmer.HOLD and self._state is Programmer.RUN:
            self._state, self._anchor_s = Programmer.HOLD, program_s
        if self._state is not before and self._state is not Programmer.END:
            self._tell(self._now, "programmer", state=self._state.value)

    def restart(self) -> None:
        """The power was gone for a moment: the programmer resets, and the memory keeps."""
        with self._lock:
            self._go(Programmer.RESET)

    # Registers

    def _read(self, address: int) -> int:
        if address == 1:
            if self.sensor_break:
                return 0x7FFF
            return self._temperature_word(self._measured_c())
        if address == 4:
            return round(self._chamber.demand * 1000)
        if address == 5:
            return self._temperature_word(self._working_setpoint(self._now))
        live = self._live(address)
        if live is not None:
            return live & 0xFFFF
        try:
            return self._words[address]
        except KeyError:
            raise Refused(ILLEGAL_ADDRESS) from None

    def _write(self, address: int, values: Sequence[int]) -> None:
        if self.refuse_writes or any(address + k in _ALARM_TYPES for k in range(len(values))):
            # What an alarm is for is said at the front, in configuration mode.
            raise Refused(ILLEGAL_VALUE)
        for offset, value in enumerate(values):
            if not self._command(address + offset):
                self._check(address + offset, value)
        for offset, value in enumerate(values):
            register = address + offset
            if self._command(register):
                self._obey(value)
                continue
            if register == _ACKNOWLEDGE:
                hot = self._chamber.temperature_at(self._now) > self._temperature_in(_THRESHOLDS[0])
                self._cut_off = self._cut_off and hot
                continue
            self._words[register] = value
            if self._wears_out(register):
                self.eeprom_writes[register] += 1

    def _check_temperature(self, value: int) -> None:
        """Raise Refused for a set point outside the controller's limits (111 and 112)."""
        if not self._words[112] <= signed(value) <= self._words[111]:
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
        return signed(self._words[address]) / self._scale

    def _temperature_word(self, temperature_c: float) -> int:
        return min(max(round(temperature_c * self._scale), -0x8000), 0x7FFF) & 0xFFFF


def signed(word: int) -> int:
    """A register as a number from -32768 to 32767."""
    return word - 0x10000 if word & 0x8000 else word
