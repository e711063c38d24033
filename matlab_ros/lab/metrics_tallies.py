"""What is counted of a campaign while its entries come: the parts of `matlab_ros.lab.metrics`."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field

from matlab_ros.lab.goals import HeatProfile
from matlab_ros.lab.metrics_values import Times
from matlab_ros.model.lab_words import Resolution

_GO_ON = (Resolution.RETRY, Resolution.SKIP, Resolution.ASSUME_DONE)


class Durations:
    """Durations in seconds, kept in order, so that a quantile costs nothing."""

    def __init__(self) -> None:
        self._sorted: list[float] = []
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        insort(self._sorted, seconds)
        self._total += seconds

    def times(self) -> Times:
        """Of all that were counted."""
        count = len(self._sorted)
        if not count:
            return Times(0, 0.0, 0.0, 0.0)
        middle = count // 2
        median = self._sorted[middle]
        if count % 2 == 0:
            median = 0.5 * (median + self._sorted[middle - 1])
        p95 = self._sorted[math.ceil(0.95 * count) - 1]
        return Times(count, self._total, median, p95)


@dataclass
class StepTally:
    """One kind of step."""

    working: Durations = field(default_factory=Durations)
    waiting: Durations = field(default_factory=Durations)
    attempts: int = 0
    failures: int = 0


@dataclass
class ProfileTally:
    """Firings with one temperature profile: those that could have been one."""

    runs: int = 0
    samples: int = 0
    busy_s: float = 0.0


@dataclass
class DeviceTally:
    """One device."""

    busy_s: float = 0.0
    busy_until_ns: int = 0
    """What it did before is in `busy_s`."""
    attempts: int = 0
    samples: int = 0
    most_samples: int = 0
    failures: int = 0
    goings: int = 0
    gone_ns: int | None = None
    down_s: float = 0.0
    stay_s: float = 0.0
    """Working time, counted for every sample in it."""
    kinds: set[str] = field(default_factory=set)
    profiles: dict[HeatProfile, ProfileTally] = field(default_factory=dict)
    """Of its firings."""


@dataclass
class FaultTally:
    """One fault."""

    code: str
    resolution: Resolution = Resolution.OPEN
    by_person: bool = False
    came_again: bool = False
    """The step failed again before it was ever done: what was decided did not help."""

    @property
    def is_recovered(self) -> bool:
        """Whether the experiment went on with the step done, passed over or under way."""
        return not self.came_again and self.resolution in _GO_ON

    @property
    def is_open(self) -> bool:
        """Whether nobody decided."""
        return self.resolution is Resolution.OPEN


@dataclass
class MaterialTally:
    """One powder."""

    doses: int = 0
    requested_mg: float = 0.0
    dispensed_mg: float = 0.0
    wasted_mg: float = 0.0
    unmeasured: int = 0


@dataclass
class ExperimentTally:
    """One experiment that was begun and has not ended."""

    started_ns: int
    free_ns: int
    """Since when nothing is done to its sample."""
    waited_s: float = 0.0
    """For the step that comes next."""
    dispensed: list[tuple[str, float]] = field(default_factory=list)
    measured: bool = False


@dataclass
class ReplicatesTally:
    """Results of equal settings: Welford's running variance."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self.count += 1
        off = value - self.mean
        self.mean += off / self.count
        self.squares += off * (value - self.mean)
