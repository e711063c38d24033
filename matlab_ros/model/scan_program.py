"""A measurement that a diffractometer can make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScanProgram:
    """A measurement program as it was set up at the diffractometer.

    Attributes:
        name: by which the diffractometer knows it.
        first_deg, last_deg: of the scan, 2 theta.
        duration_s: how long it takes.
    """

    name: str
    first_deg: float
    last_deg: float
    duration_s: float

    @property
    def seconds_per_degree(self) -> float:
        """How long it looks at each angle, up to a factor of the instrument."""
        return self.duration_s / (self.last_deg - self.first_deg)
