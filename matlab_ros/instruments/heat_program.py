"""Temperature programs: ramp and dwell segments, and whether a furnace may run them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits


@dataclass(frozen=True)
class HeatSegment:
    """One piece of a temperature program: go to a temperature, then stay.

    Attributes:
        target_c: set point at the end of the ramp, degrees Celsius.
        ramp_c_per_min: rate of the ramp, up or down, more than 0.
        dwell_min: time at the target, 0 or more.
    """

    target_c: float
    ramp_c_per_min: float
    dwell_min: float


def check_program(
    program: Sequence[HeatSegment], limits: FurnaceLimits, *, max_segments: int, who: str
) -> None:
    """Refuse a program outside the limits.

    Raises:
        DeviceError: HEAT_OUT_OF_RANGE, with the first segment that is wrong and why.
    """
    if not 1 <= len(program) <= max_segments:
        raise out_of_range(
            who, f"a program of {len(program)} segments; it takes 1 to {max_segments}"
        )
    for number, segment in enumerate(program, 1):
        if not limits.min_temperature_c <= segment.target_c <= limits.max_temperature_c:
            raise out_of_range(
                who,
                f"segment {number} goes to {segment.target_c:g} C; allowed are "
                f"{limits.min_temperature_c:g} to {limits.max_temperature_c:g} C",
            )
        if not 0 < segment.ramp_c_per_min <= limits.max_ramp_c_per_min:
            raise out_of_range(
                who,
                f"segment {number} ramps with {segment.ramp_c_per_min:g} C/min; allowed is more "
                f"than 0 and at most {limits.max_ramp_c_per_min:g} C/min",
            )
        if not 0 <= segment.dwell_min < math.inf:
            raise out_of_range(
                who, f"segment {number} dwells {segment.dwell_min:g} min; expected 0 or more"
            )


def program_duration_min(program: Sequence[HeatSegment], start_c: float) -> float:
    """Minutes the set point takes from `start_c` through the whole program."""
    total, temperature = 0.0, start_c
    for segment in program:
        total += abs(segment.target_c - temperature) / segment.ramp_c_per_min + segment.dwell_min
        temperature = segment.target_c
    return total


def out_of_range(who: str, problem: str) -> DeviceError:
    """The refusal of a program."""
    return DeviceError(Fault.of(FaultCode.HEAT_OUT_OF_RANGE, f"{who}: {problem}."))
