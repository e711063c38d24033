"""Devices of a table: they do exactly what they are asked and take their nominal times."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from matlab_ros.lab.binding import Value
from matlab_ros.lab.goals import (
    AnalyseGoal,
    AnalyseOutcome,
    AttemptReport,
    DispenseGoal,
    DispenseOutcome,
    DoseReading,
    Goal,
    HeatGoal,
    HeatOutcome,
    MeasureGoal,
    MeasureOutcome,
    Outcome,
    PhaseFraction,
    RawFile,
    SampleOutcome,
    TransferGoal,
    TransferOutcome,
)
from matlab_ros.model.lab_words import SampleFate, Verdict

_NS_PER_S = 1_000_000_000


class Product(Protocol):
    """What a sample became."""

    @property
    def objective(self) -> float:
        """Weight fraction of the target, 0 to 1."""

    @property
    def sigma(self) -> float:
        """Standard uncertainty of it; NaN where it is not known."""


class World(Protocol):
    """What samples become."""

    def outcome(self, settings: Mapping[str, Value]) -> Product:
        """What an experiment of these settings makes."""


class Devices(Protocol):
    """Everything at the other end of a goal."""

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """Begin a goal, or recall it by its attempt id.

        Returns:
            When it ends (ROS time, not before now) and how.
        """

    def cancel(self, attempt_id: str, now_ns: int) -> tuple[int, Outcome] | None:
        """End an attempt early; None: it goes on to the end it has."""


@dataclass(frozen=True)
class Durations:
    """Nominal times of the table's devices, in seconds."""

    dose_s: float = 90.0
    transfer_s: float = 45.0
    cooling_c_per_min: float = 5.0
    measure_s: float = 600.0
    analyse_s: float = 10.0

    def of(self, goal: Goal) -> float:
        """Seconds from a goal's beginning to its end."""
        if isinstance(goal, DispenseGoal):
            return self.dose_s * len(goal.doses) + 60.0 * goal.mix_min
        if isinstance(goal, TransferGoal):
            return self.transfer_s
        if isinstance(goal, HeatGoal):
            fall_c = max(0.0, goal.profile.segments[-1].target_c - goal.profile.unload_below_c)
            return 60.0 * (goal.profile.programmed_min() + fall_c / self.cooling_c_per_min)
        return self.measure_s if isinstance(goal, MeasureGoal) else self.analyse_s


class TableDevices:
    """Devices that do exactly what they are asked and take their nominal times.

    Args:
        world: gives the target's fraction of each sample.
        durations: nominal times.
    """

    def __init__(self, world: World, durations: Durations | None = None) -> None:
        self._world = world
        self._durations = durations or Durations()
        self._settings: dict[str, Mapping[str, Value]] = {}
        self._known: dict[str, tuple[int, Outcome]] = {}

    def learn(self, sample_id: str, settings: Mapping[str, Value]) -> None:
        """Note what a sample is made of, for the world; a table cannot see it in the crucible."""
        self._settings[sample_id] = settings

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """See `Devices.begin`."""
        if goal.attempt_id in self._known:
            end_ns, outcome = self._known[goal.attempt_id]
            return max(end_ns, now_ns), recalled(outcome)
        end_ns = now_ns + round(self._durations.of(goal) * _NS_PER_S)
        outcome = self.outcome(device, goal, now_ns, end_ns)
        self._known[goal.attempt_id] = (end_ns, outcome)
        return end_ns, outcome

    def cancel(self, attempt_id: str, now_ns: int) -> tuple[int, Outcome] | None:
        """See `Devices.cancel`; table devices are quick enough to be waited for."""
        return None

    def outcome(self, device: str, goal: Goal, now_ns: int, end_ns: int) -> Outcome:
        """A perfect outcome of a goal."""
        report = report_of(device, goal, now_ns, end_ns)
        if isinstance(goal, DispenseGoal):
            readings = tuple(
                DoseReading(dose.substance, dose.mass_mg, dose.mass_mg, 0.1, True, end_ns)
                for dose in goal.doses
            )
            return DispenseOutcome(report, readings, goal.mix_min)
        if isinstance(goal, TransferGoal):
            return TransferOutcome(report, goal.target)
        if isinstance(goal, HeatGoal):
            last = goal.profile.segments[-1]
            return HeatOutcome(report, None, goal.profile.highest_c, last.dwell_min)
        if isinstance(goal, MeasureGoal):
            return MeasureOutcome(report, _no_file(goal.sample_id), goal.program)
        assert isinstance(goal, AnalyseGoal)
        product = self._world.outcome(self._settings[goal.sample_id])
        fraction, sigma = product.objective, product.sigma if math.isfinite(product.sigma) else None
        phases = (PhaseFraction(goal.target_phase, "", fraction, sigma),) if fraction > 0 else ()
        return AnalyseOutcome(report, phases, fraction, sigma, verdict=Verdict.CONFIRMED)


def report_of(device: str, goal: Goal, began_ns: int, ended_ns: int) -> AttemptReport:
    """Report of a goal that was done."""
    samples = tuple(SampleOutcome(name, SampleFate.DONE) for name in goal.sample_ids)
    return AttemptReport(0, "", began_ns, ended_ns, samples, device, "table", True)


def recalled(outcome: Outcome) -> Outcome:
    """The same outcome, marked as that of an earlier goal with the same id."""
    return replace(outcome, report=replace(outcome.report, recalled=True))


def _no_file(sample_id: str) -> RawFile:
    """A raw file's reference for a pattern that a table does not have."""
    digest = hashlib.sha256(sample_id.encode()).hexdigest()
    return RawFile(f"table:{sample_id}", digest, 0, "application/octet-stream")
