"""The measurement programs that somebody once set up at the diffractometer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlab_ros.model.errors import LabError
from matlab_ros.model.scan_program import ScanProgram

FINEST_STEP_DEG = 0.010864
HURRIED_S_PER_DEG = 3.0
"""Below it four channels of the detector are summed up."""
COARSE_STEP_DEG = 4 * FINEST_STEP_DEG
DETECTOR_DEG = 2.434
"""How much of the circle the strip detector sees at a time."""
OVERHEAD_S = 25.0
"""Of a scan, to get to its start and past its end. Both follow from the two programs whose files
are known."""


class UnknownProgram(LabError):
    """The diffractometer has no measurement program of that name."""


@dataclass(frozen=True)
class AerisProgram:
    """A measurement program and what its files look like.

    Attributes:
        first_deg, last_deg: of the scan, 2 theta.
        points: how many angles it has, equally spaced.
        counting_time_s: for which the strip detector sees each angle.
        duration_s: how long the scan takes.
    """

    first_deg: float
    last_deg: float
    points: int
    counting_time_s: float
    duration_s: float

    @property
    def step_deg(self) -> float:
        """Between two angles."""
        return (self.last_deg - self.first_deg) / (self.points - 1)

    @property
    def two_theta_deg(self) -> NDArray[np.float64]:
        """The angles, shape (points,)."""
        return np.linspace(self.first_deg, self.last_deg, self.points)


def scan_over(
    first_deg: float, last_deg: float, duration_s: float, step_deg: float | None = None
) -> AerisProgram:
    """The program of a range of angles and a time.

    Args:
        first_deg, last_deg: of the scan, 2 theta.
        duration_s: of the whole scan, the way to its start included.
        step_deg: between two angles, to which the detector's channels are summed up; by default
            as fine as programs of such a time are.

    Raises:
        ValueError: the range is no larger than a step, or the time too short to count anything.
    """
    if step_deg is None:
        hurried = duration_s < HURRIED_S_PER_DEG * (last_deg - first_deg)
        step_deg = 4 * FINEST_STEP_DEG if hurried else FINEST_STEP_DEG
    points = round((last_deg - first_deg) / step_deg) + 1
    if points < 2 or duration_s <= OVERHEAD_S:
        raise ValueError(f"no scan from {first_deg:g} to {last_deg:g} degrees in {duration_s:g} s")
    seen_s = (duration_s - OVERHEAD_S) * DETECTOR_DEG / (last_deg - first_deg)
    counting_time_s = seen_s * step_deg / FINEST_STEP_DEG
    return AerisProgram(first_deg, last_deg, points, counting_time_s, duration_s)


PROGRAMS: Mapping[str, AerisProgram] = {
    "10-100_2-minutes": AerisProgram(10.02173288, 99.99585608, 2071, 10.965, 127.0),
    "10-100_8-minutes": AerisProgram(10.00943322, 99.99442286, 8282, 12.495, 487.0),
    "10-100_1-minute": scan_over(10.0, 100.0, 60.0, COARSE_STEP_DEG),
    "10-100_30-minutes": scan_over(10.0, 100.0, 1800.0),
    "10-40_5-minutes": scan_over(10.0, 40.0, 300.0),
    "10-40_20-minutes": scan_over(10.0, 40.0, 1200.0),
    "35-65_20-minutes": scan_over(35.0, 65.0, 1200.0),
    "60-100_20-minutes": scan_over(60.0, 100.0, 1200.0),
}
"""By name; angles and times of the first two are those of the A-Lab's Aeris's files."""


def programs_of(listed: Iterable[ScanProgram]) -> Mapping[str, AerisProgram]:
    """The two known programs and those that a laboratory lists, by name.

    Raises:
        ValueError: a range or time in which nothing can be measured.
    """
    more = {
        scan.name: scan_over(scan.first_deg, scan.last_deg, scan.duration_s)
        for scan in listed
        if scan.name not in PROGRAMS
    }
    return {**PROGRAMS, **more}


def scan_program(name: str, programs: Mapping[str, AerisProgram] = PROGRAMS) -> AerisProgram:
    """The measurement program of that name.

    Raises:
        UnknownProgram: there is none.
    """
    try:
        return programs[name]
    except KeyError:
        raise UnknownProgram(
            f"the diffractometer has no program {name!r}; expected one of {', '.join(programs)}."
        ) from None
