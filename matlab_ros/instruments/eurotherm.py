"""What Eurotherm controllers with a programmer have in common; each model's registers are its own.

Registers 1 to 5 (process value, target, manual output, active output, working set point), 11, 12,
111 and 112 (range and set point limits), 13, 14, 81, 82 (the alarms' thresholds), 536 to 539 (their
types) and 23 (the programmer) are at the same addresses from the 2000 series on. Temperatures are
integers scaled by the controller's decimal places.

Set points and programs are kept in memory with a limited number of writes, so nothing here writes a
value that the controller already holds, and register 2 (target set point) is never written at all.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from matlab_ros.instruments.heat_controller import (
    ControllerRange,
    ControllerStatus,
    ProgramState,
    Reading,
    guard_reading,
)
from matlab_ros.instruments.heat_program import HeatSegment, check_program, out_of_range
from matlab_ros.instruments.modbus import ModbusMaster, ModbusRefusal
from matlab_ros.instruments.transport import Deadline
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits

_PV_BLOCK, _PV_BLOCK_SIZE = 1, 5
TARGET_SETPOINT = 2
_RANGE_LOW = 11
STATUS = 23
SP1 = 24
INSTRUMENT_STATUS = 75
"""Of the 2000 and 3200 series: bits 0 to 3 say that alarms 1 to 4 are on."""
_ALARM_THRESHOLDS = (13, 14, 81, 82)
_ALARM_TYPE = 536
_SP_HIGH_LIMIT = 111
_LOOK_AGAIN_S = 0.05

UNDER_WAY = (ProgramState.RUN, ProgramState.HOLD)


@dataclass(frozen=True)
class Setting:
    """A register that has to have a value before a program may run.

    Attributes:
        address: of the register.
        value: that it has to have; may be negative.
        what: it is, in words.
    """

    address: int
    value: int
    what: str


@dataclass(frozen=True)
class Block:
    """Registers that follow each other.

    Attributes:
        address: of the first.
        words: their values, 0 to 65535.
    """

    address: int
    words: tuple[int, ...]


class EurothermController(ABC):
    """Driver of one furnace's controller: a `HeatController`. None of its methods waits for heat.

    Args:
        modbus: master of the controller's unit.
        limits: what may be asked for; the stricter of these and the controller's own wins.
        rest_c: set point between programs (SP1). Low, so that the heater is off and the furnace
            cools at a program's end.
    """

    model: ClassVar[str]
    longest_dwell_min: ClassVar[float]
    """Of one segment."""
    slowest_ramp_c_per_min: ClassVar[float] = 0.1
    segments: ClassVar[int]
    """How many the controller's program holds, as it counts them itself."""
    decimals_register: ClassVar[int]
    full_scale_high: ClassVar[int]
    """Type of an alarm that compares the process value with its threshold."""
    state_words: ClassVar[Mapping[int, ProgramState]]
    command_words: ClassVar[Mapping[ProgramState, int]]
    obeys_within_s: ClassVar[float] = 0.0
    """How long the programmer may take to show what it was told."""

    def __init__(self, modbus: ModbusMaster, limits: FurnaceLimits, *, rest_c: float = 0.0) -> None:
        self._modbus = modbus
        self._limits = limits
        self._rest_c = rest_c
        self._range: ControllerRange | None = None

    @property
    def name(self) -> str:
        """The controller's wire, for people."""
        return self._modbus.name

    def close(self) -> None:
        """Give the wire back. The controller goes on with what it does."""
        self._modbus.close()

    # What each model says for itself

    @abstractmethod
    def _sensor_is_broken(self) -> bool:
        """Ask whether the controller misses its thermocouple."""

    @abstractmethod
    def _alarm_stands(self, number: int) -> bool:
        """Ask whether one of the controller's alarms, from 1, is on."""

    @abstractmethod
    def _progress(self) -> tuple[int, float, float]:
        """Ask for the segment under way, minutes elapsed and minutes left (NaN: not counted)."""

    @abstractmethod
    def _settings(self, scale: int) -> Sequence[Setting]:
        """What has to be set before a program may run; `scale` is that of temperatures."""

    @abstractmethod
    def _encode(self, program: Sequence[HeatSegment], scale: int) -> Sequence[Block]:
        """The registers of a program; what the controller cannot say exactly is rounded, ramps
        downwards."""

    @abstractmethod
    def _stored(self, program: Sequence[HeatSegment]) -> int:
        """How many of the controller's segments a program needs."""

    @abstractmethod
    def _decode(self, blocks: Sequence[Block], scale: int) -> tuple[HeatSegment, ...]:
        """What the registers of a program say, without what is unused."""

    @abstractmethod
    def _read_blocks(self) -> Sequence[Block]:
        """Read the registers of the program the controller holds."""

    @abstractmethod
    def _ends_cold(self) -> bool:
        """Ask whether the program in the controller ends at the rest set point."""

    # Looking

    def read_range(self) -> ControllerRange:
        """Ask for decimal places and limits; drivers know them from then on.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        (decimals,) = self._modbus.read(self.decimals_register)
        if decimals > 2:
            raise self._protocol_error(
                f"register {self.decimals_register} says {decimals} decimal places"
            )
        scale = 10.0**decimals
        range_low, range_high = self._modbus.read(_RANGE_LOW, 2)
        sp_high, sp_low = self._modbus.read(_SP_HIGH_LIMIT, 2)
        self._range = ControllerRange(
            decimals=decimals,
            low_c=max(signed(range_low), signed(sp_low)) / scale,
            high_c=min(signed(range_high), signed(sp_high)) / scale,
            cut_c=self._cut_c(scale),
        )
        return self._range

    def read(self) -> Reading:
        """Temperatures and heater output now.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        scale = 10.0 ** self._known_range().decimals
        measured, _, _, output, working = self._modbus.read(_PV_BLOCK, _PV_BLOCK_SIZE)
        broken = self._sensor_is_broken()
        alarm = self._limits.cut_alarm
        return Reading(
            measured_c=math.nan if broken else signed(measured) / scale,
            setpoint_c=signed(working) / scale,
            output_percent=signed(output) / 10,
            sensor_break=broken,
            cut=alarm is not None and self._alarm_stands(alarm),
        )

    def read_state(self) -> ProgramState:
        """What the programmer does.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        (value,) = self._modbus.read(STATUS)
        try:
            return self.state_words[value]
        except KeyError:
            raise self._protocol_error(f"register {STATUS} has the value {value}") from None

    def read_status(self) -> ControllerStatus:
        """Everything that changes while a program runs.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        reading = self.read()
        state = self.read_state()
        segment, elapsed_min, left_min = self._progress()
        return ControllerStatus(
            reading=reading,
            state=state,
            segment=segment if state in UNDER_WAY else 0,
            elapsed_min=elapsed_min,
            left_min=left_min,
        )

    def guard(self, reading: Reading) -> None:
        """Say whether a reading is a reason to stop heating.

        Raises:
            DeviceError: HEAT_SENSOR_BREAK or HEAT_OVER_TEMPERATURE; see `guard_reading`.
        """
        guard_reading(reading, self._limits, self.name)

    def lower_cut(self) -> None:
        """Have the controller open the heater no later than the limits say, and see that it was
        taken; where they name an alarm for it. A lower threshold is somebody's, and stays.

        Raises:
            DeviceError: HEAT_CONTROLLER_REFUSED, or no contact.
        """
        number, cut_c = self._limits.cut_alarm, self._limits.cut_c
        if number is None or self._known_range().cut_c <= cut_c:
            return
        scale = 10 ** self._known_range().decimals
        register = _ALARM_THRESHOLDS[number - 1]
        self._settle(Setting(register, math.floor(cut_c * scale), f"alarm {number}'s threshold"))
        self.read_range()

    # Programs

    def check(self, program: Sequence[HeatSegment]) -> None:
        """Refuse a program that this furnace may not or cannot run; talks to nobody it need not.

        Raises:
            DeviceError: HEAT_OUT_OF_RANGE.
        """
        check_program(program, self._limits, max_segments=self.segments, who=self.name)
        known = self._known_range()
        for number, segment in enumerate(program, 1):
            if not known.low_c <= segment.target_c <= known.high_c:
                raise out_of_range(
                    self.name,
                    f"segment {number} goes to {segment.target_c:g} C; the controller is set to "
                    f"{known.low_c:g} to {known.high_c:g} C",
                )
            if not segment.target_c < known.cut_c:
                raise out_of_range(
                    self.name,
                    f"segment {number} goes to {segment.target_c:g} C; the controller's alarm "
                    f"{self._limits.cut_alarm} opens the heater at {known.cut_c:g} C, and is "
                    "raised at its front only",
                )
            if segment.ramp_c_per_min < self.slowest_ramp_c_per_min:
                raise out_of_range(
                    self.name,
                    f"segment {number} ramps with {segment.ramp_c_per_min:g} C/min; the "
                    f"controller's slowest is {self.slowest_ramp_c_per_min:g} C/min",
                )
            if segment.dwell_min > self.longest_dwell_min:
                raise out_of_range(
                    self.name,
                    f"segment {number} dwells {segment.dwell_min:g} min; the controller's longest "
                    f"is {self.longest_dwell_min:g} min",
                )
        if self._stored(program) > self.segments:
            raise out_of_range(
                self.name,
                f"a program that needs {self._stored(program)} of the controller's segments; it "
                f"has {self.segments}",
            )

    def write_program(self, program: Sequence[HeatSegment]) -> tuple[HeatSegment, ...]:
        """Put a program into the controller, without starting it, and read it back.

        At its end the controller resets to the rest set point, so the furnace cools even if
        nobody asks any more.

        Returns:
            The program as the controller holds it, rounded to its resolution.

        Raises:
            DeviceError: HEAT_OUT_OF_RANGE (nothing was written), DEVICE_BUSY (a program runs),
                HEAT_CONTROLLER_REFUSED, or no contact.
        """
        self.read_range()
        self.check(program)
        self._require_idle("reset it first")
        scale = 10 ** self._known_range().decimals
        blocks = self._encode(program, scale)
        carried_out = self._decode(blocks, scale)
        self.check(carried_out)
        self.lower_cut()
        for setting in self._settings(scale):
            self._settle(setting)
        self._require_rest(scale)
        for block in blocks:
            self._put(block)
        return carried_out

    def read_program(self) -> tuple[HeatSegment, ...]:
        """The program the controller holds, without the unused segments at its end.

        Raises:
            DeviceError: no contact.
        """
        scale = 10 ** self._known_range().decimals
        return self._decode(self._read_blocks(), scale)

    def start(self) -> None:
        """Start the program in the controller.

        The start is sent once; when its reply is lost, the programmer's state tells.

        Raises:
            DeviceError: DEVICE_BUSY, HEAT_SENSOR_BREAK, HEAT_CONTROLLER_REFUSED or no contact.
        """
        self._require_idle("wait for its end or reset it")
        self.guard(self.read())
        if not self._ends_cold():
            raise self._refused("would not cool at the program's end; write the program anew")
        if self._limits.cut_alarm is not None and self.read_range().cut_c > self._limits.cut_c:
            raise self._refused("would not cut itself off in time; write the program anew")
        self._command(ProgramState.RUN, once=True)

    def hold(self) -> None:
        """Keep the present set point; `resume` goes on.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (no program runs), or no contact.
        """
        self._require_program()
        self._command(ProgramState.HOLD)

    def resume(self) -> None:
        """Go on with a program on hold.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (no program runs), or no contact.
        """
        self._require_program()
        self._command(ProgramState.RUN)

    def reset(self) -> None:
        """End the program; the set point falls to the rest set point and the furnace cools.

        Raises:
            DeviceError: HEAT_CONTROLLER_REFUSED, or no contact.
        """
        self._command(ProgramState.RESET)

    def _cut_c(self, scale: float) -> float:
        """Ask above which temperature the controller opens the heater by itself."""
        number = self._limits.cut_alarm
        if number is None:
            return math.inf
        (kind,) = self._modbus.read(_ALARM_TYPE + number - 1)
        if kind != self.full_scale_high:
            raise self._refused(
                f"has alarm {number} of type {kind}; expected {self.full_scale_high}, a full scale "
                "high alarm that opens the heater's contactor: set it up, or take cut_alarm out of "
                "the lab's file"
            )
        (threshold,) = self._modbus.read(_ALARM_THRESHOLDS[number - 1])
        return signed(threshold) / scale

    def _require_idle(self, remedy: str) -> None:
        state = self.read_state()
        if state in UNDER_WAY:
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_BUSY,
                    f"{self.name}: the controller is in a program ({state.name}); {remedy}.",
                )
            )

    def _require_program(self) -> None:
        state = self.read_state()
        if state not in UNDER_WAY:
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_NOT_ACTIVE, f"{self.name}: no program runs ({state.name})."
                )
            )

    def _require_rest(self, scale: int) -> None:
        """See that the controller, left alone, aims at the rest set point, whatever selects it."""
        if self.read_state() is not ProgramState.RESET:
            return
        (word,) = self._modbus.read(TARGET_SETPOINT)
        if signed(word) != round(self._rest_c * scale):
            raise self._refused(
                f"aims at {signed(word) / scale:g} C without a program; expected its rest set "
                f"point of {self._rest_c:g} C: select local set point 1 at its front"
            )

    def _command(self, wanted: ProgramState, *, once: bool = False) -> None:
        unanswered: DeviceError | None = None
        try:
            self._modbus.write(STATUS, self.command_words[wanted], once=once)
        except ModbusRefusal as refusal:
            raise self._refused(f"does not go to {wanted.name} ({refusal})") from refusal
        except DeviceError as error:
            unanswered = error
        limit = Deadline(self.obeys_within_s)
        while (state := self.read_state()) is not wanted:
            if limit.over:
                break
            time.sleep(_LOOK_AGAIN_S)
        if state is not wanted:
            if unanswered is not None:
                raise unanswered
            raise self._refused(f"was told {wanted.name} and is in {state.name}")

    def _settle(self, setting: Setting) -> None:
        """Write a setting only where it differs, and see that it was taken."""
        wanted = (setting.value & 0xFFFF,)
        if self._modbus.read(setting.address) == wanted:
            return
        try:
            self._modbus.write(setting.address, wanted[0])
        except ModbusRefusal as refusal:
            raise self._refused(f"does not take its {setting.what} ({refusal})") from refusal
        if self._modbus.read(setting.address) != wanted:
            raise self._refused(f"did not keep its {setting.what} (register {setting.address})")

    def _put(self, block: Block) -> None:
        """Write a piece of the program only where it differs, and see that it was taken."""
        count = len(block.words)
        if self._modbus.read(block.address, count) == block.words:
            return
        try:
            self._modbus.write_block(block.address, block.words)
        except ModbusRefusal as refusal:
            raise self._refused(f"does not take the program ({refusal})") from refusal
        if self._modbus.read(block.address, count) != block.words:
            raise self._refused("holds another program than was written")

    def _known_range(self) -> ControllerRange:
        return self._range if self._range is not None else self.read_range()

    def _refused(self, problem: str) -> DeviceError:
        return DeviceError(
            Fault.of(FaultCode.HEAT_CONTROLLER_REFUSED, f"{self.name}: the controller {problem}.")
        )

    def _protocol_error(self, problem: str) -> DeviceError:
        return DeviceError(Fault.of(FaultCode.PROTOCOL_ERROR, f"{self.name}: {problem}."))


def signed(word: int) -> int:
    """A register as a number from -32768 to 32767."""
    return word - 0x10000 if word & 0x8000 else word
