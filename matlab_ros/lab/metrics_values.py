"""What self-driving labs are judged by, as values; `docs/metrics.md` defines each of them.

The words are those of Volk and Abolhasani, "Performance metrics to unleash the power of
self-driving labs in chemistry and materials science", Nature Communications 15, 1378 (2024).
Demonstrated means: seen in this campaign. Theoretical means: what follows from what was seen for a
lab that is never short of anything else. Times are ROS time, None is "cannot be known yet".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Autonomy(IntEnum):
    """Degree of autonomy; the numbers are those of the interface LabMetrics."""

    PIECEWISE = 0
    """A person carries what was measured to the planner, and its suggestions to the lab."""
    SEMI_CLOSED_LOOP = 1
    """Planner and lab talk to each other, and a person had to step in."""
    CLOSED_LOOP = 2
    """From the first experiment to the last without a person."""


@dataclass(frozen=True)
class Times:
    """Durations of one kind, in seconds; all 0 where there is none."""

    count: int
    total_s: float
    median_s: float
    p95_s: float
    """19 of 20 are not longer (nearest rank)."""


@dataclass(frozen=True)
class StepMetrics:
    """One kind of step."""

    kind: str
    """Word of its goal: "dispense", "transfer", "heat", ..."""
    attempts: int
    failures: int
    working: Times
    """From its beginning to its end at the device, of the attempts that succeeded."""
    waiting: Times
    """Of a sample, from the end of what was done to it before to this step's beginning, without
    the carrying in between."""


@dataclass(frozen=True)
class StationMetrics:
    """One device."""

    device: str
    busy_s: float
    utilisation: float
    """Share of the campaign's time in which it worked, 0 to 1."""
    attempts: int
    failures: int
    samples_per_attempt: float
    down_s: float
    """Time in which it was gone."""
    mtbf_s: float | None
    """Mean time between failures: working time for each failed attempt and each going away; None
    where nothing failed."""


@dataclass(frozen=True)
class PoolMetrics:
    """Equal devices, as the bottleneck analysis sees them."""

    name: str
    devices: tuple[str, ...]
    utilisation: float
    demand_s: float
    """Working time of one device for each finished sample, in runs as full as their profiles
    allow."""
    limit_per_day: float | None
    """Samples a day that it could do if it never stood still; None where it did nothing."""
    gain_if_twice_as_fast: float
    """Share by which the lab's bound on throughput rises then."""


@dataclass(frozen=True)
class FaultMetrics:
    """Faults of one code."""

    code: str
    count: int
    recovered_alone: int
    """Retried or passed over by policy, or the device came back by itself."""
    recovered_by_person: int
    came_again: int
    """The step failed once more: what was decided did not help."""
    given_up: int
    """The sample or experiment ended by it."""
    open: int


@dataclass(frozen=True)
class MaterialMetrics:
    """One powder."""

    substance: str
    doses: int
    requested_mg: float
    dispensed_mg: float
    """Read from the balance."""
    wasted_mg: float
    """Of that: in samples that ended without a result."""
    unmeasured: int
    """Doses without a reading; they are in no sum but the requested."""


@dataclass(frozen=True)
class LabMetrics:
    """A campaign, judged."""

    campaign: str
    simulated: bool
    span_s: float
    """Since the campaign began; to its end where it has ended."""
    wall_s: float | None
    """The same by the wall's clock."""

    autonomy: Autonomy
    experiments_by_planner: int
    experiments_by_person: int
    operator_acts: int
    """Everything an operator did after the campaign's beginning."""

    unassisted_lifetime_s: float
    """Demonstrated: the longest time between two operator's acts."""
    assisted_lifetime_s: float
    """Demonstrated: the campaign's time, whoever helped."""
    unassisted_now_s: float
    """Since the last operator's act."""
    theoretical_unassisted_lifetime_s: float | None
    """Until the first supply runs out at the pace that was seen."""
    first_supply_to_end: str
    manager_restarts: int

    samples_ended: int
    samples_succeeded: int
    throughput_per_day: float
    """Demonstrated: samples with a result."""
    wall_throughput_per_day: float | None
    theoretical_throughput_per_day: float | None
    """Bound by the busiest station with the present mix of work, in runs as full as their profiles
    allow and with enough samples under way."""
    bottleneck: str
    in_flight_mean: float
    in_flight_allowed: int
    gain_if_twice_in_flight: float

    attempts: int
    attempts_failed: int
    faults: tuple[FaultMetrics, ...]
    recovery_rate: float | None
    """Share of the decided faults that the lab recovered from without a person."""
    mtbf_s: float | None
    """Campaign's time for each fault."""
    mttr_s: float | None
    """Mean time from a device's going to its coming back."""

    stations: tuple[StationMetrics, ...]
    pools: tuple[PoolMetrics, ...]
    steps: tuple[StepMetrics, ...]
    materials: tuple[MaterialMetrics, ...]

    precision: float | None
    """Pooled standard deviation of the objective over replicates of equal settings."""
    precision_freedom: int
    """Its degrees of freedom."""
    reported_sigma: float | None
    """Mean standard uncertainty that the analysis gave."""

    parameters_continuous: int
    parameters_categorical: int
    settings_accessible: int | None
    """Different settings within reach; None: a parameter has no smallest step."""
    settings_tried: int

    best_objective: float | None
    experiments_to_best: int
    experiments_to_95_percent: int
    """Measured experiments until the objective was within 5% of the best; 0 where there is none."""
    mean_objective_without_model: float | None
    """Of the experiments chosen without a model: what chance gives."""
