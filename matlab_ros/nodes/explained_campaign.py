"""Why a campaign in a journal asked for what it asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from matlab_ros.lab import events as ev
from matlab_ros.lab.experiment_values import Observation, Setting, Suggestion
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.model.errors import LabError
from matlab_ros.monitor.record import BeliefRecord, CurveRecord
from matlab_ros.nodes.campaign_sources import plan_in_lab
from matlab_ros.nodes.table_lab import mapping_of, planned_observation
from matlab_ros.planning import explain
from matlab_ros.planning.campaign import CampaignPlan
from matlab_ros.planning.observation import Observation as PlannedObservation
from matlab_ros.planning.observation import data_sha256
from matlab_ros.planning.settings import Settings


@dataclass(frozen=True)
class Waiting:
    """An experiment that was under way."""

    experiment_id: str
    settings: Settings


@dataclass(frozen=True)
class ExplainedExperiment:
    """Why one experiment was asked for, and what it gave.

    Attributes:
        experiment_id: of the experiment.
        settings: that were asked for.
        method: how they came about: an acquisition, a method, or "by hand".
        model: that was used; empty where none was.
        expected: of the objective, when it was suggested; None without a model.
        acquisition_value: None where none was computed.
        seed: that the suggestion was drawn from; 0 where the journal does not say.
        software: versions that computed it.
        data_sha256: of the observations it rests on, as the planner said.
        plan_sha256: of the planner's settings.
        is_data_known: whether the journal holds exactly these observations.
        observations: that were known.
        pending: under way when it was suggested.
        nearest: the most similar earlier experiments.
        measured: objective; None where there is no value (yet).
        measured_sigma: standard uncertainty of that; None where unknown.
        ended: how the observation reads; empty before there is one.
    """

    experiment_id: str
    settings: Settings
    method: str
    model: str
    expected: explain.Interval | None
    acquisition_value: float | None
    seed: int
    software: str
    data_sha256: str
    plan_sha256: str
    is_data_known: bool
    observations: int
    pending: tuple[Waiting, ...]
    nearest: tuple[explain.Neighbour, ...]
    measured: float | None
    measured_sigma: float | None
    ended: str

    @property
    def is_inside(self) -> bool | None:
        """Whether the measured value was where it was expected; None where one is missing."""
        if self.expected is None or self.measured is None:
            return None
        sigma = math.nan if self.measured_sigma is None else self.measured_sigma
        one = explain.Forecast(self.experiment_id, self.expected, self.measured, sigma)
        return explain.calibration([one], self.expected.level).inside == 1


@dataclass(frozen=True)
class ExplainedModel:
    """What a model makes of the experiments that were known at some time.

    Attributes:
        description: of the model; empty before there are enough values for one.
        observations: it rests on.
        best: id of the best experiment, through which the slices go; empty before there is one.
        importance: of parameters, the most important first.
        slices: along every parameter.
        calibration: of all that was expected and measured until then.
    """

    description: str
    observations: int
    best: str
    importance: tuple[explain.Importance, ...]
    slices: tuple[explain.Slice, ...]
    calibration: explain.Calibration


@dataclass(frozen=True)
class _Made:
    """A suggestion and what was known when it was asked for and when it came."""

    suggestion: Suggestion
    answer: ev.SuggestionsReceived
    at_request: tuple[str, ...]
    at_answer: tuple[str, ...]
    pending: tuple[str, ...]


class CampaignHistory:
    """Takes the entries of a journal in their order.

    Args:
        campaign: its name; None: the last one of the journal.
    """

    def __init__(self, campaign: str | None = None) -> None:
        self._wanted = campaign
        self._start("", None)

    def _start(self, name: str, plan: CampaignPlan | None) -> None:
        """Begin with another campaign."""
        self._name = name
        self._plan = plan
        self._made: dict[str, _Made] = {}
        self._settings: dict[str, tuple[Setting, ...]] = {}
        self._under_way: dict[str, None] = {}
        self._observations: dict[str, Observation] = {}
        self._at_request: tuple[str, ...] = ()
        self._pending: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the campaign."""
        return self._name

    @property
    def plan(self) -> CampaignPlan:
        """Of the campaign.

        Raises:
            LabError: the journal holds none.
        """
        if self._plan is None:
            named = f" {self._wanted!r}" if self._wanted else ""
            raise LabError(f"The journal holds no campaign{named}.")
        return self._plan

    @property
    def experiments(self) -> tuple[str, ...]:
        """Ids of all experiments, in the order in which they came about."""
        return tuple(self._settings)

    def take(self, entry: JournalEntry) -> None:
        """Take the next entry."""
        event = entry.event
        if isinstance(event, ev.CampaignStarted):
            if self._wanted is None or event.plan.name == self._wanted:
                self._start(event.plan.name, plan_in_lab(event.plan))
        elif self._plan is None or entry.campaign != self._name:
            return
        elif isinstance(event, ev.SuggestionsRequested):
            self._at_request = tuple(self._observations)
            self._pending = tuple(self._under_way)
        elif isinstance(event, ev.SuggestionsReceived):
            known = tuple(self._observations)
            for item in event.suggestions:
                self._made[item.experiment_id] = _Made(
                    item, event, self._at_request, known, self._pending
                )
                self._begin(item.experiment_id, item.settings)
        elif isinstance(event, ev.ExperimentSubmitted) and event.plan is None:
            self._begin(event.experiment_id, event.settings)
        elif isinstance(event, ev.ObservationMade) and event.experiment_id in self._settings:
            self._observations[event.experiment_id] = event.observation
            self._under_way.pop(event.experiment_id, None)
        elif isinstance(event, ev.ExperimentEnded):
            self._under_way.pop(event.experiment_id, None)

    def _begin(self, experiment_id: str, settings: tuple[Setting, ...]) -> None:
        self._settings[experiment_id] = settings
        self._under_way[experiment_id] = None

    def experiment(self, experiment_id: str) -> ExplainedExperiment:
        """Why an experiment was asked for.

        Raises:
            LabError: the campaign has no such experiment.
        """
        plan = self.plan
        if experiment_id not in self._settings:
            shown = ", ".join(self.experiments[:3]) or "none yet"
            raise LabError(
                f"Campaign {self._name!r} has no experiment {experiment_id!r}; expected one of "
                f"its {len(self._settings)}, such as {shown}."
            )
        settings = Settings(mapping_of(self._settings[experiment_id]))
        made = self._made.get(experiment_id)
        known, is_known = self._known(made)
        observation = self._observations.get(experiment_id)
        return ExplainedExperiment(
            experiment_id=experiment_id,
            settings=settings,
            method="by hand" if made is None else made.suggestion.method,
            model="" if made is None else made.answer.model,
            expected=None if made is None else _expected(made.suggestion),
            acquisition_value=None if made is None else made.suggestion.acquisition_value,
            seed=0 if made is None else made.answer.seed,
            software="" if made is None else made.answer.software,
            data_sha256="" if made is None else made.answer.data_sha256,
            plan_sha256="" if made is None else made.answer.plan_sha256,
            is_data_known=is_known,
            observations=len(known),
            pending=tuple(
                Waiting(name, Settings(mapping_of(self._settings[name])))
                for name in (() if made is None else made.pending)
            ),
            nearest=explain.neighbours(plan.space, settings, known),
            measured=None if observation is None else observation.objective,
            measured_sigma=None if observation is None else observation.sigma,
            ended="" if observation is None else observation.status.name.lower(),
        )

    def known(self, experiment_id: str) -> tuple[PlannedObservation, ...]:
        """What was known when an experiment was suggested.

        Raises:
            LabError: there is no such experiment.
        """
        self.experiment(experiment_id)
        return self._known(self._made.get(experiment_id))[0]

    def model(self, before: str | None = None) -> ExplainedModel:
        """What a model makes of the campaign.

        Args:
            before: an experiment: only what was known when it was suggested; None: everything.

        Raises:
            LabError: there is no such experiment.
        """
        plan = self.plan
        if before is None:
            known = self._planned(self._observations)
        else:
            known = self.known(before)
        expected = {
            name: interval
            for name, made in self._made.items()
            if (interval := _expected(made.suggestion)) is not None
        }
        beliefs = explain.beliefs_of(plan, known)
        found = explain.calibration(explain.forecasts(expected, known))
        if beliefs is None:
            return ExplainedModel("", len(known), "", (), (), found)
        return ExplainedModel(
            beliefs.model.description,
            len(known),
            explain.best(beliefs).experiment_id,
            explain.importance(beliefs),
            explain.slices(beliefs, points=25),
            found,
        )

    def _planned(self, names: Iterable[str]) -> tuple[PlannedObservation, ...]:
        return tuple(planned_observation(self._observations[name]) for name in names)

    def _known(self, made: _Made | None) -> tuple[tuple[PlannedObservation, ...], bool]:
        """What a suggestion rests on, and whether its hash agrees with that.

        What was observed between question and answer was known only where the planner had to be
        asked anew.
        """
        if made is None:
            return self._planned(self._observations), False
        for names in (made.at_request, made.at_answer):
            known = self._planned(names)
            if data_sha256(known) == made.answer.data_sha256:
                return known, True
        return self._planned(made.at_request), False


def history_of(entries: Iterable[JournalEntry], campaign: str | None = None) -> CampaignHistory:
    """The history of a campaign.

    Raises:
        LabError: the journal holds no such campaign.
    """
    history = CampaignHistory(campaign)
    for entry in entries:
        history.take(entry)
    history.plan  # noqa: B018  (raises where there is none)
    return history


def belief_record(history: CampaignHistory) -> BeliefRecord | None:
    """What the planner makes of a campaign, for its report; None where there is no model of it."""
    objectives = history.plan.selection.objectives
    if objectives is not None and len(objectives.items) > 1:
        # A model of one number says little of several objectives.
        return None
    found = history.model()
    if not found.description:
        return None
    return BeliefRecord(
        found.description,
        found.observations,
        found.calibration.level,
        tuple((item.name, item.total) for item in found.importance),
        tuple(_curve(item) for item in found.slices),
        found.calibration.count,
        found.calibration.inside,
    )


def _curve(item: explain.Slice) -> CurveRecord:
    """Of the values that the search space contains."""
    allowed = [index for index, is_allowed in enumerate(item.allowed) if is_allowed]
    intervals = [item.intervals[index] for index in allowed]
    return CurveRecord(
        item.name,
        tuple(item.values[index] for index in allowed),
        tuple(one.mean for one in intervals),
        tuple(one.low for one in intervals),
        tuple(one.high for one in intervals),
    )


def _expected(suggestion: Suggestion) -> explain.Interval | None:
    mean, sigma = suggestion.predicted_mean, suggestion.predicted_sigma
    return None if mean is None or sigma is None else explain.Interval(mean, sigma)
