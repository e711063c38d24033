"""From a journal and the raw files it names to the record that a report shows."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

from matlab_ros.lab import events as ev
from matlab_ros.lab.experiment_values import CampaignPlan, Setting, Suggestion
from matlab_ros.lab.goals import (
    AnalyseOutcome,
    DispenseOutcome,
    HeatGoal,
    HeatOutcome,
    MeasureOutcome,
    Outcome,
    RawFile,
)
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.lab.metrics import CampaignMetrics
from matlab_ros.model.campaign_config import CategoricalParameter, IntegerParameter, Parameter
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.model.lab_words import ExperimentState, Resolution
from matlab_ros.monitor.record import (
    AnalysisRecord,
    AttemptRecord,
    BalanceRecord,
    CampaignRecord,
    DoseRecord,
    ExperimentRecord,
    FaultRecord,
    HeatingRecord,
    ParameterRecord,
    PatternRecord,
    PhaseRecord,
    RoundRecord,
    SuggestionRecord,
    Value,
)

_LOG = logging.getLogger(__name__)


@dataclass
class _Experiment:
    """One experiment while the journal is read."""

    suggestion: Suggestion
    state: ExperimentState = ExperimentState.PLANNED
    objective: float | None = None
    sigma: float | None = None
    carried_out: dict[str, Value] = field(default_factory=dict)
    doses: tuple[DoseRecord, ...] = ()
    heating: HeatingRecord | None = None
    analysis: AnalyseOutcome | None = None
    began_s: float | None = None
    ended_s: float | None = None
    message: str = ""
    rounds: list[RoundRecord] = field(default_factory=lambda: [RoundRecord()])
    files: dict[str, str] = field(default_factory=dict)


@dataclass
class _Attempt:
    """One attempt while the journal is read."""

    intended: ev.AttemptIntended
    began_s: float
    ended_s: float | None = None
    error: str = ""


class CampaignReader:
    """Takes the entries of one campaign in their order.

    Args:
        started: the entry it began with.
        plan: the campaign.
    """

    def __init__(self, started: JournalEntry, plan: CampaignPlan) -> None:
        self._plan = plan
        self._start_ns = started.ros_time_ns
        self._wall_start = started.wall_time
        self._wall_last = started.wall_time
        self._last_ns = started.ros_time_ns
        self._experiments: dict[str, _Experiment] = {}
        self._guests: dict[str, str] = {}
        """Recipes of what ran beside the campaign."""
        self._attempts: dict[str, _Attempt] = {}
        self._faults: dict[str, FaultRecord] = {}
        self._gone: dict[str, str] = {}
        self._software = ""

    def take(self, entry: JournalEntry) -> None:
        """Take the next entry."""
        self._last_ns, self._wall_last = entry.ros_time_ns, entry.wall_time
        event, now_s = entry.event, self._seconds(entry.ros_time_ns)
        named = getattr(event, "experiment_id", "")
        if isinstance(event, ev.ExperimentSubmitted) and event.plan is not None:
            self._guests[named] = event.plan.recipe.name
            return
        run = self._experiments.get(named)
        if isinstance(event, ev.SuggestionsReceived):
            self._software = event.software or self._software
            for suggestion in event.suggestions:
                self._experiments[suggestion.experiment_id] = _Experiment(suggestion)
        elif isinstance(event, ev.ExperimentSubmitted):
            suggestion = Suggestion(event.experiment_id, event.settings, method="by hand")
            self._experiments[event.experiment_id] = _Experiment(suggestion)
        elif isinstance(event, ev.ExperimentStarted) and run is not None:
            run.state, run.began_s = ExperimentState.RUNNING, now_s
        elif isinstance(event, ev.AttemptIntended):
            self._attempts[event.attempt_id] = _Attempt(event, now_s)
        elif isinstance(event, ev.AttemptEnded):
            self._end_attempt(event, now_s)
        elif isinstance(event, ev.ObservationMade) and run is not None:
            run.objective, run.sigma = event.observation.objective, event.observation.sigma
            run.carried_out = _values(event.observation.settings)
        elif isinstance(event, ev.LoopRepeated) and run is not None:
            run.rounds.append(RoundRecord())
        elif isinstance(event, ev.ExperimentAborted) and run is not None:
            run.message = event.message
        elif isinstance(event, ev.ExperimentEnded) and run is not None:
            run.state, run.ended_s = event.state, now_s
        elif isinstance(event, (ev.FaultRaised, ev.DeadlineMissed, ev.DeviceGone)):
            self._faults[event.fault_id] = FaultRecord(
                now_s,
                event.device,
                event.fault.code.name,
                event.fault.message,
                (named,) if named else (),
            )
            if isinstance(event, ev.DeviceGone):
                self._gone[event.device] = event.fault_id
        elif isinstance(event, ev.DeviceBack):
            if event.device in self._gone:
                self._resolve(self._gone.pop(event.device), Resolution.RETRY, event.device)
        elif isinstance(event, ev.FaultResolved):
            self._resolve(event.fault_id, event.resolution, event.resolved_by)

    def _resolve(self, fault_id: str, resolution: Resolution, by: str) -> None:
        raised = self._faults.get(fault_id)
        if raised is None:
            # Of an earlier campaign.
            return
        self._faults[fault_id] = FaultRecord(
            raised.raised_s,
            raised.device,
            raised.code,
            raised.message,
            raised.experiments,
            resolution,
            by,
        )

    def _end_attempt(self, event: ev.AttemptEnded, now_s: float) -> None:
        report = event.outcome.report
        attempt = self._attempts.get(event.attempt_id)
        if attempt is None:
            # A guest's, begun before the campaign was.
            return
        attempt.began_s = max(attempt.began_s, self._seconds(report.began_ns))
        attempt.ended_s = max(attempt.began_s, self._seconds(report.ended_ns) or now_s)
        if not report.succeeded:
            attempt.error = _code_name(report.code)
        for work in attempt.intended.works:
            run = self._experiments.get(work.experiment_id)
            if run is not None:
                self._note(run, attempt.intended, event.outcome)

    @staticmethod
    def _note(run: _Experiment, intended: ev.AttemptIntended, outcome: Outcome) -> None:
        if isinstance(outcome, DispenseOutcome):
            if not outcome.doses:
                # It was mixed or ground only; what was weighed in stays as it was.
                return
            run.doses = tuple(
                DoseRecord(
                    item.substance,
                    item.requested_mg,
                    item.measured_mg,
                    item.uncertainty_mg,
                    item.within_tolerance,
                    None if item.calibration is None else item.calibration.valid,
                )
                for item in outcome.doses
            )
        elif isinstance(outcome, HeatOutcome) and isinstance(intended.goal, HeatGoal):
            run.heating = _heating(intended.goal, outcome)
            run.rounds[-1] = replace(
                run.rounds[-1],
                requested_max_c=run.heating.requested_max_c,
                measured_max_c=outcome.max_measured_c,
                measured_dwell_min=outcome.dwell_min,
            )
        elif isinstance(outcome, MeasureOutcome):
            if outcome.pattern is not None:
                run.files["pattern"] = outcome.pattern.sha256
        elif isinstance(outcome, AnalyseOutcome):
            run.analysis = outcome
            if outcome.fit is not None:
                run.files["fit"] = outcome.fit.sha256
            run.rounds[-1] = replace(run.rounds[-1], target_fraction=outcome.target_fraction)

    def experiment(self, name: str) -> ExperimentRecord | None:
        """What is known of one experiment so far; None of one that the campaign does not have."""
        run = self._experiments.get(name)
        return None if run is None else _experiment(name, run)

    def parameters(self) -> tuple[ParameterRecord, ...]:
        """The dimensions of the search space."""
        return tuple(_parameter(item) for item in self._plan.config.parameters)

    def chart(self, most: int) -> CampaignRecord:
        """The last attempts alone, at most so many, with nothing of the experiments."""
        return dataclasses.replace(self._frame(), attempts=self._bars(most))

    def record(self) -> CampaignRecord:
        """Everything taken so far."""
        return dataclasses.replace(
            self._frame(),
            experiments=tuple(
                _experiment(name, run) for name, run in sorted(self._experiments.items())
            ),
            attempts=self._bars(len(self._attempts)),
        )

    def _bars(self, most: int) -> tuple[AttemptRecord, ...]:
        skipped = max(len(self._attempts) - most, 0)
        return tuple(
            AttemptRecord(
                name,
                item.intended.device,
                item.intended.goal.TAG,
                tuple(dict.fromkeys(work.experiment_id for work in item.intended.works)),
                item.began_s,
                item.ended_s,
                item.error,
            )
            for name, item in itertools.islice(self._attempts.items(), skipped, None)
        )

    def _frame(self) -> CampaignRecord:
        """What holds for the campaign as a whole."""
        plan, config = self._plan, self._plan.config
        return CampaignRecord(
            name=plan.name,
            target_formula=config.target.formula,
            target_phase=config.target.phase,
            maximize=config.direction == "maximize",
            simulated=plan.simulated,
            seed=config.seed,
            budget=config.budget.experiments,
            parameters=self.parameters(),
            experiments=(),
            faults=tuple(self._faults.values()),
            duration_s=self._seconds(self._last_ns),
            wall_s=_wall_seconds(self._wall_start, self._wall_last),
            recipe=plan.recipe.name,
            recipe_sha256=plan.recipe.sha256,
            versions=_versions(self._software),
            facts={
                "lab": config.lab,
                "planner": config.planner.method,
                "elements": ", ".join(plan.elements),
                **self._beside(),
            },
        )

    def _beside(self) -> dict[str, str]:
        """What ran beside the campaign, where something did."""
        names = ", ".join(f"{name} ({recipe})" for name, recipe in self._guests.items())
        return {"beside the campaign": names} if names else {}

    def _seconds(self, nanoseconds: int) -> float:
        return max(0, nanoseconds - self._start_ns) * 1e-9


def record_of(
    entries: Iterable[JournalEntry],
    campaign: str | None = None,
    find_lab: Callable[[str], LabConfig | None] = lambda _: None,
) -> CampaignRecord:
    """The record of a campaign.

    Args:
        entries: of the journal, from its beginning.
        campaign: its name; None: the last one.
        find_lab: gives the configuration of a lab by its name, where that is known.

    Raises:
        LabError: the journal holds no such campaign.
    """
    reader: CampaignReader | None = None
    counted = CampaignMetrics(campaign)
    for entry in entries:
        event = entry.event
        counted.take(entry)
        if isinstance(event, ev.CampaignStarted):
            if campaign is None or event.plan.name == campaign:
                reader = CampaignReader(entry, event.plan)
        elif reader is not None and (campaign is None or entry.campaign == campaign):
            reader.take(entry)
    if reader is None:
        raise LabError(f"The journal holds no campaign{f' {campaign!r}' if campaign else ''}.")
    lab = None if counted.plan is None else find_lab(counted.plan.config.lab)
    return dataclasses.replace(reader.record(), metrics=counted.metrics(lab))


def _experiment(name: str, run: _Experiment) -> ExperimentRecord:
    found = run.analysis
    return ExperimentRecord(
        experiment_id=name,
        state=run.state,
        settings=_values(run.suggestion.settings),
        objective=run.objective,
        sigma=run.sigma,
        carried_out=run.carried_out,
        suggestion=SuggestionRecord(
            run.suggestion.method, run.suggestion.predicted_mean, run.suggestion.predicted_sigma
        ),
        doses=run.doses,
        heating=run.heating,
        pattern=None if found is None else _pattern(found.fit),
        analysis=None if found is None else _analysis(found),
        began_s=run.began_s,
        ended_s=run.ended_s,
        message=run.message,
        rounds=tuple(run.rounds),
        files=dict(run.files),
    )


def _analysis(outcome: AnalyseOutcome) -> AnalysisRecord:
    return AnalysisRecord(
        phases=tuple(
            PhaseRecord(item.phase, item.formula, item.weight_fraction, item.sigma, item.cell_shift)
            for item in outcome.phases
        ),
        verdict=outcome.verdict,
        remarks=outcome.remarks,
        rwp_percent=outcome.quality.rwp_percent,
        rexp_percent=outcome.quality.rexp_percent,
        unexplained_fraction=outcome.quality.unexplained_fraction,
        goodness_of_fit=outcome.quality.goodness_of_fit,
        possible=tuple(item.phase for item in outcome.possible),
        balance=tuple(
            BalanceRecord(item.element, item.dispensed, item.found, item.holds)
            for item in outcome.balance
        ),
    )


def _heating(goal: HeatGoal, outcome: HeatOutcome) -> HeatingRecord:
    highest = goal.profile.highest_c
    trace = outcome.trace
    return HeatingRecord(
        requested_max_c=highest,
        measured_max_c=outcome.max_measured_c,
        requested_dwell_min=math.fsum(
            segment.dwell_min for segment in goal.profile.segments if segment.target_c == highest
        ),
        measured_dwell_min=outcome.dwell_min,
        elapsed_s=() if trace is None else trace.elapsed_s,
        measured_c=() if trace is None else trace.measured_c,
        setpoint_c=() if trace is None else trace.setpoint_c,
        calibrated=None if outcome.calibration is None else outcome.calibration.valid,
    )


def _pattern(file: RawFile | None) -> PatternRecord | None:
    """The table of a fit; None, with a word in the log, where its file is gone."""
    if file is None or urlparse(file.uri).scheme != "file":
        return None
    path = Path(unquote(urlparse(file.uri).path))
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = [[float(cell) for cell in row] for row in list(csv.reader(lines))[1:]]
    except (OSError, ValueError) as error:
        _LOG.warning("the fit %s is left out of the report: %s", path, error)
        return None
    angles, counts, calculated, background = zip(*rows, strict=True)
    return PatternRecord(angles, counts, calculated, background)


def _parameter(parameter: Parameter) -> ParameterRecord:
    if isinstance(parameter, CategoricalParameter):
        return ParameterRecord(parameter.name, choices=parameter.choices)
    log = not isinstance(parameter, IntegerParameter) and parameter.scale == "log"
    return ParameterRecord(
        parameter.name, low=float(parameter.low), high=float(parameter.high), log=log
    )


def _values(settings: Iterable[Setting]) -> dict[str, Value]:
    return {item.name: item.choice if item.value is None else item.value for item in settings}


def _versions(software: str) -> dict[str, str]:
    """``name version, name version`` as a mapping."""
    found = {}
    for item in software.split(", "):
        name, _, version = item.partition(" ")
        if version:
            found[name] = version
    return found


def _code_name(code: int) -> str:
    try:
        return FaultCode(code).name
    except ValueError:
        return str(code)


def _wall_seconds(start: str, end: str) -> float | None:
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except ValueError:
        return None
