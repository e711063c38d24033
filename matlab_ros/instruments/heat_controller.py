"""What every furnace controller offers to those who heat with it, whatever its make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from matlab_ros.instruments.heat_program import HeatSegment
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits


class ProgramState(Enum):
    """What the programmer does."""

    RESET = "reset"
    RUN = "run"
    """It goes on, or waits for the furnace to follow (holdback)."""
    HOLD = "hold"
    END = "end"


@dataclass(frozen=True)
class Reading:
    """What the controller measures and wants at one moment.

    Attributes:
        measured_c: process value; NaN where the sensor is broken.
        setpoint_c: working set point.
        output_percent: of the heater's power.
        sensor_break: whether the controller misses its thermocouple.
        cut: whether the controller's own over-temperature alarm has opened the heater.
    """

    measured_c: float
    setpoint_c: float
    output_percent: float
    sensor_break: bool
    cut: bool = False


@dataclass(frozen=True)
class ControllerStatus:
    """A reading together with the programmer's state.

    Attributes:
        reading: temperatures and output.
        state: of the programmer.
        segment: under way, by the controller's own count from 1; 0 when none is.
        elapsed_min: of the program by the controller's own clock; NaN where it does not count it.
        left_min: of the program by the controller's own clock; NaN where it does not count it.
    """

    reading: Reading
    state: ProgramState
    segment: int
    elapsed_min: float
    left_min: float


@dataclass(frozen=True)
class ControllerRange:
    """What the controller itself allows.

    Attributes:
        decimals: decimal places of its temperatures.
        low_c: lowest set point.
        high_c: highest set point.
        cut_c: above which its own alarm opens the heater; infinite where no alarm does.
    """

    decimals: int
    low_c: float
    high_c: float
    cut_c: float = math.inf


class HeatController(Protocol):
    """A furnace's controller with a programmer of its own: it finishes a program alone, and the
    furnace cools afterwards. Methods are short exchanges; none waits for heat. Errors are
    DeviceErrors; what each may be is said at the driver's method."""

    @property
    def name(self) -> str:
        """The controller's wire, for people."""

    def close(self) -> None:
        """Give the wire back. The controller goes on with what it does."""

    def read_range(self) -> ControllerRange:
        """Decimal places and limits of the controller itself."""

    def read(self) -> Reading:
        """Temperatures and heater output now."""

    def read_state(self) -> ProgramState:
        """What the programmer does."""

    def read_status(self) -> ControllerStatus:
        """Everything that changes while a program runs."""

    def guard(self, reading: Reading) -> None:
        """Raise where a reading is a reason to stop heating; see `guard_reading`."""

    def lower_cut(self) -> None:
        """Have the controller itself open the heater no later than the limits say, where it can."""

    def check(self, program: Sequence[HeatSegment]) -> None:
        """Refuse a program that this furnace may not or cannot run."""

    def write_program(self, program: Sequence[HeatSegment]) -> tuple[HeatSegment, ...]:
        """Put a program into the controller without starting it; returns it as it is held."""

    def read_program(self) -> tuple[HeatSegment, ...]:
        """The program the controller holds."""

    def start(self) -> None:
        """Start the program in the controller."""

    def hold(self) -> None:
        """Keep the present set point; `resume` goes on."""

    def resume(self) -> None:
        """Go on with a program on hold."""

    def reset(self) -> None:
        """End the program; the furnace cools."""


def guard_reading(reading: Reading, limits: FurnaceLimits, who: str) -> None:
    """Say whether a reading is a reason to stop heating.

    Raises:
        DeviceError: HEAT_SENSOR_BREAK, or HEAT_OVER_TEMPERATURE above the highest temperature a
            program may ask for, with a margin for the controller's overshoot, and where the
            controller's own alarm has opened the heater.
    """
    if reading.sensor_break:
        raise DeviceError(
            Fault.of(
                FaultCode.HEAT_SENSOR_BREAK,
                f"{who}: the controller reports a broken thermocouple.",
                sample_compromised=True,
            )
        )
    if reading.cut:
        raise DeviceError(
            Fault.of(
                FaultCode.HEAT_OVER_TEMPERATURE,
                f"{who}: the controller's over-temperature alarm has opened the heater; find out "
                "why, then acknowledge it at the controller's front.",
                sample_compromised=True,
            )
        )
    limit_c = limits.cut_c
    if not reading.measured_c <= limit_c:
        raise DeviceError(
            Fault.of(
                FaultCode.HEAT_OVER_TEMPERATURE,
                f"{who}: {reading.measured_c:g} C measured, above the limit of {limit_c:g} C.",
                sample_compromised=True,
            )
        )
