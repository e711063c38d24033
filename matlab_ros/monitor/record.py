"""Everything the report of a campaign shows, as values: filled from the journal and its files.

Times are seconds of ROS time since the campaign's start. None stands where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from matlab_ros.lab.metrics_values import LabMetrics
from matlab_ros.model.lab_words import ExperimentState, Resolution, Verdict

Value = float | str


@dataclass(frozen=True)
class ParameterRecord:
    """One dimension of the search space.

    Attributes:
        name: as in the settings.
        choices: of a categorical parameter, in their order; empty for a number.
        low: lower bound of a number.
        high: upper bound of a number.
        log: searched on a logarithmic scale.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False


@dataclass(frozen=True)
class DoseRecord:
    """A powder, as requested and as weighed."""

    substance: str
    requested_mg: float
    measured_mg: float | None
    uncertainty_mg: float | None = None
    within_tolerance: bool = True
    calibrated: bool | None = None
    """By a balance with a valid calibration; None where nobody said."""


@dataclass(frozen=True)
class HeatingRecord:
    """A firing, as requested and as measured.

    Attributes:
        requested_max_c: highest set point of the profile.
        measured_max_c: highest temperature the controller reported.
        requested_dwell_min: time at the highest set point.
        measured_dwell_min: time near it, as measured.
        elapsed_s: seconds since the firing began, rising.
        measured_c: temperature at these moments; None where the sensor failed.
        setpoint_c: working set point at these moments.
    """

    requested_max_c: float | None = None
    measured_max_c: float | None = None
    requested_dwell_min: float | None = None
    measured_dwell_min: float | None = None
    elapsed_s: tuple[float, ...] = ()
    measured_c: tuple[float | None, ...] = ()
    setpoint_c: tuple[float | None, ...] = ()
    calibrated: bool | None = None
    """By a thermocouple with a valid calibration; None where nobody said."""


@dataclass(frozen=True)
class PatternRecord:
    """A diffraction pattern and its fit, point by point.

    Attributes:
        two_theta_deg: rising.
        counts: measured.
        calculated: by the fit; empty without one.
        background: of the fit; empty without one.
    """

    two_theta_deg: tuple[float, ...]
    counts: tuple[float, ...]
    calculated: tuple[float, ...] = ()
    background: tuple[float, ...] = ()


@dataclass(frozen=True)
class PhaseRecord:
    """A crystalline phase that was found, its fraction of the crystalline part by weight."""

    phase: str
    formula: str
    weight_fraction: float
    sigma: float | None = None
    cell_shift: float | None = None


@dataclass(frozen=True)
class BalanceRecord:
    """One element's share of the atoms that stay: weighed in, and found in the phases."""

    element: str
    dispensed: float
    found: float
    holds: bool


@dataclass(frozen=True)
class AnalysisRecord:
    """What a pattern was found to be.

    Attributes:
        phases: by falling fraction.
        verdict: how far it is to be trusted.
        remarks: reasons for the verdict, a sentence each.
        rwp_percent: weighted profile residual.
        rexp_percent: what counting noise alone would give.
        unexplained_fraction: share of the peaks' intensity that no phase explains.
        goodness_of_fit: the first over the second of these.
        possible: second tier: structures that explain something, and too little to be identified.
        balance: elements found against those weighed in.
    """

    phases: tuple[PhaseRecord, ...]
    verdict: Verdict = Verdict.UNKNOWN
    remarks: tuple[str, ...] = ()
    rwp_percent: float | None = None
    rexp_percent: float | None = None
    unexplained_fraction: float | None = None
    goodness_of_fit: float | None = None
    possible: tuple[str, ...] = ()
    balance: tuple[BalanceRecord, ...] = ()


@dataclass(frozen=True)
class SuggestionRecord:
    """What the planner expected of an experiment when it suggested it."""

    method: str
    predicted_mean: float | None = None
    predicted_sigma: float | None = None


@dataclass(frozen=True)
class RoundRecord:
    """One round of a recipe's loop: what was fired in it, and what came of it.

    Attributes:
        requested_max_c, measured_max_c: of the last firing in the round.
        measured_dwell_min: of that firing.
        target_fraction: by the last analysis in the round.
    """

    requested_max_c: float | None = None
    measured_max_c: float | None = None
    measured_dwell_min: float | None = None
    target_fraction: float | None = None


@dataclass(frozen=True)
class ExperimentRecord:
    """One experiment.

    Attributes:
        experiment_id: unique.
        state: how far it came.
        settings: as suggested.
        objective: weight fraction of the target, 0 to 1; None where it was not measured.
        sigma: its standard uncertainty.
        carried_out: settings as measured; those without a measurement as suggested.
        suggestion: what the planner expected.
        doses: in the order of their weighing.
        heating: of the last firing.
        pattern: of the last measurement.
        analysis: of that pattern.
        began_s: when its first attempt began.
        ended_s: when its last attempt ended.
        message: why it failed, one sentence; empty where it did not.
        rounds: of the recipe's loops, in the order of their beginnings; one where there is no loop.
        files: SHA-256 of the raw files, by "pattern" (the last measured) and "fit" (of it).
    """

    experiment_id: str
    state: ExperimentState
    settings: Mapping[str, Value]
    objective: float | None = None
    sigma: float | None = None
    carried_out: Mapping[str, Value] = field(default_factory=dict)
    suggestion: SuggestionRecord | None = None
    doses: tuple[DoseRecord, ...] = ()
    heating: HeatingRecord | None = None
    pattern: PatternRecord | None = None
    analysis: AnalysisRecord | None = None
    began_s: float | None = None
    ended_s: float | None = None
    message: str = ""
    rounds: tuple[RoundRecord, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt on one station, a bar of the chart of stations.

    Attributes:
        attempt_id: unique.
        station: row of the chart: a device's name.
        action: "dispense", "transfer", "heat", "measure" or "analyse".
        experiments: ids of those it served; several samples share a firing.
        began_s: ROS time.
        ended_s: ROS time; None while it is under way.
        error: empty on success, else the fault's name.
    """

    attempt_id: str
    station: str
    action: str
    experiments: tuple[str, ...]
    began_s: float
    ended_s: float | None
    error: str = ""


@dataclass(frozen=True)
class FaultRecord:
    """Something that went wrong and what was decided about it."""

    raised_s: float
    device: str
    code: str
    message: str
    experiments: tuple[str, ...] = ()
    resolution: Resolution = Resolution.OPEN
    resolved_by: str = ""


@dataclass(frozen=True)
class CurveRecord:
    """What the planner's model expects along one parameter, the others as in the best recipe.

    Attributes:
        name: of the parameter.
        at: where it was looked at: numbers rising, or choices.
        mean: of the objective there.
        low: lower ends of the intervals.
        high: upper ends.
    """

    name: str
    at: tuple[Value, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class BeliefRecord:
    """What the planner made of a campaign.

    Attributes:
        model: in words.
        observations: it rests on.
        level: of all intervals, such as 0.95.
        importance: share of the objective's variation that a parameter accounts for, with its
            interactions; the most important first.
        curves: along each parameter.
        forecasts: results that had been forecast.
        inside: of them, inside the interval.
    """

    model: str
    observations: int
    level: float
    importance: tuple[tuple[str, float], ...]
    curves: tuple[CurveRecord, ...]
    forecasts: int
    inside: int


@dataclass(frozen=True)
class CampaignRecord:
    """A campaign, finished or not.

    Attributes:
        name: of the campaign.
        target_formula: what it tries to make.
        target_phase: name of its structure; the objective is its measured weight fraction.
        maximize: whether large objectives are wanted.
        simulated: whether the instruments were emulators.
        seed: everything random follows from it.
        budget: experiments that may be done.
        parameters: of the search space.
        experiments: in the order of their suggestion.
        attempts: of all devices.
        faults: in the order of their time.
        stations: rows of the chart, from the top; those of the attempts where empty.
        duration_s: ROS time since the start.
        wall_s: seconds on the wall's clock; None where unknown.
        recipe: name of the recipe.
        recipe_sha256: of its canonical text.
        versions: of the software, by name.
        facts: anything else worth writing down (data hash, planner, lab), by name.
        metrics: the figures it is judged by; None where they were not counted.
        beliefs: what the planner made of it; None where there was too little for a model.
    """

    name: str
    target_formula: str
    target_phase: str
    maximize: bool
    simulated: bool
    seed: int
    budget: int
    parameters: tuple[ParameterRecord, ...]
    experiments: tuple[ExperimentRecord, ...]
    attempts: tuple[AttemptRecord, ...] = ()
    faults: tuple[FaultRecord, ...] = ()
    stations: tuple[str, ...] = ()
    duration_s: float = 0.0
    wall_s: float | None = None
    recipe: str = ""
    recipe_sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    metrics: LabMetrics | None = None
    beliefs: BeliefRecord | None = None

    def measured(self) -> tuple[ExperimentRecord, ...]:
        """The experiments that have an objective."""
        return tuple(item for item in self.experiments if item.objective is not None)

    def best(self) -> ExperimentRecord | None:
        """The experiment with the best objective, the first of equals; None before there is one."""
        sign = 1.0 if self.maximize else -1.0
        best: ExperimentRecord | None = None
        for item in self.measured():
            if best is None or sign * _value(item) > sign * _value(best):
                best = item
        return best


def _value(experiment: ExperimentRecord) -> float:
    return experiment.objective if experiment.objective is not None else float("nan")
