"""Eurotherm 3216P temperature controller with its programmer, over Modbus RTU.

Registers: Eurotherm 3200 series engineering manual HA028651, Modbus address list. Temperatures
are integers scaled by the decimal places of register 525, ramp rates always by 10. Dwells count
minutes while the dwell units (321) are hours:minutes. The programmer lives in the controller: once
started, it finishes its program without this computer.

Set points are kept in EEPROM with a limited number of writes, so nothing here writes a value that
the controller already holds, and register 2 (target set point) is never written at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from matlab_ros.instruments.heat_program import HeatSegment, check_program, out_of_range
from matlab_ros.instruments.modbus import ModbusMaster, ModbusRefusal
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits

MAX_SEGMENTS = 8
MAX_DWELL_MIN = 99 * 60 + 59
MIN_RAMP_C_PER_MIN = 0.1
OVERSHOOT_MARGIN_C = 25.0
"""How far above the highest allowed set point a reading may be before heating is stopped."""

_PV_BLOCK, _PV_BLOCK_SIZE = 1, 5  # PV, target SP, manual output, active output, working SP
_RANGE_LOW = 11
_SP_SELECT = 15
_STATUS = 23
_SP1 = 24
_SP_HIGH_LIMIT = 111
_SENSOR_BREAK = 258
_LOOP_MODE = 273
_REMOTE_SP_SELECT = 276
_DWELL_UNITS = 321
_ELAPSED = 325
_END_TYPE = 328
_SEGMENT = 330
_DECIMALS = 525
_RAMP_UNITS = 531
_PROGRAM = 1280

_END_TYPE_RESET = 3
_DWELL_IN_MINUTES = 0
_RAMP_PER_MINUTE = 0


class ProgramState(IntEnum):
    """What the programmer does; the values of register 23."""

    RESET = 0
    RUN = 1
    HOLD = 2
    END = 3


@dataclass(frozen=True)
class Reading:
    """What the controller measures and wants at one moment.

    Attributes:
        measured_c: process value; NaN where the sensor is broken.
        setpoint_c: working set point.
        output_percent: of the heater's power.
        sensor_break: whether the controller misses its thermocouple.
    """

    measured_c: float
    setpoint_c: float
    output_percent: float
    sensor_break: bool


@dataclass(frozen=True)
class ControllerStatus:
    """A reading together with the programmer's state.

    Attributes:
        reading: temperatures and output.
        state: of the programmer.
        segment: under way, 1 to 8; 0 when none is.
        elapsed_min: of the program by the controller's own clock.
    """

    reading: Reading
    state: ProgramState
    segment: int
    elapsed_min: float


@dataclass(frozen=True)
class ControllerRange:
    """What the controller itself allows.

    Attributes:
        decimals: decimal places of its temperatures.
        low_c: lowest set point.
        high_c: highest set point.
    """

    decimals: int
    low_c: float
    high_c: float


class Eurotherm3216:
    """Driver of one furnace's controller. Methods are short exchanges; none waits for heat.

    Args:
        modbus: master of the controller's unit.
        limits: what may be asked for; the stricter of these and the controller's own wins.
        rest_c: set point between programs (SP1). Low, so that the heater is off and the furnace
            cools at a program's end.
    """

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

    def read_range(self) -> ControllerRange:
        """Ask for decimal places and limits; drivers know them from then on.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        (decimals,) = self._modbus.read(_DECIMALS)
        if decimals > 2:
            raise self._protocol_error(f"register {_DECIMALS} says {decimals} decimal places")
        scale = 10.0**decimals
        range_low, range_high = self._modbus.read(_RANGE_LOW, 2)
        sp_high, sp_low = self._modbus.read(_SP_HIGH_LIMIT, 2)
        self._range = ControllerRange(
            decimals=decimals,
            low_c=max(_signed(range_low), _signed(sp_low)) / scale,
            high_c=min(_signed(range_high), _signed(sp_high)) / scale,
        )
        return self._range

    def read(self) -> Reading:
        """Temperatures and heater output now.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        scale = 10.0 ** self._known_range().decimals
        measured, _, _, output, working = self._modbus.read(_PV_BLOCK, _PV_BLOCK_SIZE)
        (sensor_break,) = self._modbus.read(_SENSOR_BREAK)
        return Reading(
            measured_c=math.nan if sensor_break else _signed(measured) / scale,
            setpoint_c=_signed(working) / scale,
            output_percent=_signed(output) / 10,
            sensor_break=bool(sensor_break),
        )

    def read_state(self) -> ProgramState:
        """What the programmer does.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        (value,) = self._modbus.read(_STATUS)
        try:
            return ProgramState(value)
        except ValueError:
            raise self._protocol_error(f"register {_STATUS} has the value {value}") from None

    def read_status(self) -> ControllerStatus:
        """Everything that changes while a program runs.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        reading = self.read()
        state = self.read_state()
        (elapsed,) = self._modbus.read(_ELAPSED)
        (segment,) = self._modbus.read(_SEGMENT)
        return ControllerStatus(
            reading=reading, state=state, segment=segment, elapsed_min=float(elapsed)
        )

    def guard(self, reading: Reading) -> None:
        """Say whether a reading is a reason to stop heating.

        Raises:
            DeviceError: HEAT_SENSOR_BREAK, or HEAT_OVER_TEMPERATURE above the highest temperature
                a program may ask for, with a margin for the controller's overshoot.
        """
        if reading.sensor_break:
            raise DeviceError(
                Fault.of(
                    FaultCode.HEAT_SENSOR_BREAK,
                    f"{self.name}: the controller reports a broken thermocouple.",
                    sample_compromised=True,
                )
            )
        limit_c = self._limits.max_temperature_c + OVERSHOOT_MARGIN_C
        if reading.measured_c > limit_c:
            raise DeviceError(
                Fault.of(
                    FaultCode.HEAT_OVER_TEMPERATURE,
                    f"{self.name}: {reading.measured_c:g} C measured, above the limit of "
                    f"{limit_c:g} C.",
                    sample_compromised=True,
                )
            )

    def check(self, program: Sequence[HeatSegment]) -> None:
        """Refuse a program that this furnace may not or cannot run; talks to nobody it need not.

        Raises:
            DeviceError: HEAT_OUT_OF_RANGE.
        """
        check_program(program, self._limits, max_segments=MAX_SEGMENTS, who=self.name)
        known = self._known_range()
        for number, segment in enumerate(program, 1):
            if not known.low_c <= segment.target_c <= known.high_c:
                raise out_of_range(
                    self.name,
                    f"segment {number} goes to {segment.target_c:g} C; the controller is set to "
                    f"{known.low_c:g} to {known.high_c:g} C",
                )
            if segment.ramp_c_per_min < MIN_RAMP_C_PER_MIN:
                raise out_of_range(
                    self.name,
                    f"segment {number} ramps with {segment.ramp_c_per_min:g} C/min; the "
                    f"controller's slowest is {MIN_RAMP_C_PER_MIN:g} C/min",
                )
            if segment.dwell_min > MAX_DWELL_MIN:
                raise out_of_range(
                    self.name,
                    f"segment {number} dwells {segment.dwell_min:g} min; the controller's longest "
                    f"is {MAX_DWELL_MIN} min",
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
        state = self.read_state()
        if state in (ProgramState.RUN, ProgramState.HOLD):
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_BUSY,
                    f"{self.name}: the controller is in a program ({state.name}); reset it first.",
                )
            )
        scale = 10 ** self._known_range().decimals
        self._settle(_DWELL_UNITS, _DWELL_IN_MINUTES, "dwell units")
        self._settle(_RAMP_UNITS, _RAMP_PER_MINUTE, "ramp units")
        self._settle(_END_TYPE, _END_TYPE_RESET, "end type")
        self._settle(_SP1, round(self._rest_c * scale), "rest set point")
        self._settle(_SP_SELECT, 0, "set point select")
        self._settle(_REMOTE_SP_SELECT, 0, "remote set point select")
        self._settle(_LOOP_MODE, 0, "automatic mode")
        words = _encode(program, scale)
        carried_out = _decode(words, scale)[: len(program)]
        self.check(carried_out)
        if self._modbus.read(_PROGRAM, len(words)) != words:
            try:
                self._modbus.write_block(_PROGRAM, words)
            except ModbusRefusal as refusal:
                raise self._refused(f"does not take the program ({refusal})") from refusal
            held = self._modbus.read(_PROGRAM, len(words))
            if held != words:
                raise self._refused("holds another program than was written")
        return carried_out

    def read_program(self) -> tuple[HeatSegment, ...]:
        """The program the controller holds, without the unused segments at its end.

        Raises:
            DeviceError: no contact.
        """
        scale = 10 ** self._known_range().decimals
        held = _decode(self._modbus.read(_PROGRAM, 3 * MAX_SEGMENTS), scale)
        used = [n for n, segment in enumerate(held, 1) if segment.ramp_c_per_min > 0]
        return held[: max(used, default=0)]

    def start(self) -> None:
        """Start the program in the controller.

        The start is sent once; when its reply is lost, the programmer's state tells.

        Raises:
            DeviceError: DEVICE_BUSY, HEAT_SENSOR_BREAK, HEAT_CONTROLLER_REFUSED or no contact.
        """
        state = self.read_state()
        if state in (ProgramState.RUN, ProgramState.HOLD):
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_BUSY, f"{self.name}: a program is under way ({state.name})."
                )
            )
        self.guard(self.read())
        (end_type,) = self._modbus.read(_END_TYPE)
        if end_type != _END_TYPE_RESET:
            raise self._refused("would not cool at the program's end; write the program anew")
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

    def _require_program(self) -> None:
        state = self.read_state()
        if state not in (ProgramState.RUN, ProgramState.HOLD):
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_NOT_ACTIVE, f"{self.name}: no program runs ({state.name})."
                )
            )

    def _command(self, wanted: ProgramState, *, once: bool = False) -> None:
        unanswered: DeviceError | None = None
        try:
            self._modbus.write(_STATUS, int(wanted), once=once)
        except ModbusRefusal as refusal:
            raise self._refused(f"does not go to {wanted.name} ({refusal})") from refusal
        except DeviceError as error:
            unanswered = error
        state = self.read_state()
        if state is not wanted:
            if unanswered is not None:
                raise unanswered
            raise self._refused(f"was told {wanted.name} and is in {state.name}")

    def _settle(self, address: int, value: int, what: str) -> None:
        """Write a setting only where it differs, and see that it was taken."""
        wanted = value & 0xFFFF
        if self._modbus.read(address) == (wanted,):
            return
        try:
            self._modbus.write(address, wanted)
        except ModbusRefusal as refusal:
            raise self._refused(f"does not take its {what} ({refusal})") from refusal
        if self._modbus.read(address) != (wanted,):
            raise self._refused(f"did not keep its {what} (register {address})")

    def _known_range(self) -> ControllerRange:
        return self._range if self._range is not None else self.read_range()

    def _refused(self, problem: str) -> DeviceError:
        return DeviceError(
            Fault.of(FaultCode.HEAT_CONTROLLER_REFUSED, f"{self.name}: the controller {problem}.")
        )

    def _protocol_error(self, problem: str) -> DeviceError:
        return DeviceError(Fault.of(FaultCode.PROTOCOL_ERROR, f"{self.name}: {problem}."))


def _encode(program: Sequence[HeatSegment], scale: int) -> tuple[int, ...]:
    """All 24 program registers: dwell, set point, ramp of each segment; unused ones are zero, that
    is a step without dwell down to 0 degrees just before the end. Ramps are rounded down."""
    words: list[int] = []
    for segment in program:
        words += (
            round(segment.dwell_min),
            round(segment.target_c * scale) & 0xFFFF,
            math.floor(segment.ramp_c_per_min * 10 + 1e-6),
        )
    return tuple(words + [0] * (3 * MAX_SEGMENTS - len(words)))


def _decode(words: Sequence[int], scale: int) -> tuple[HeatSegment, ...]:
    return tuple(
        HeatSegment(
            target_c=_signed(words[k + 1]) / scale,
            ramp_c_per_min=words[k + 2] / 10,
            dwell_min=float(words[k]),
        )
        for k in range(0, len(words), 3)
    )


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word
