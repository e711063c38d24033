"""A campaign: ask for experiments, tell how they ended.

Ten lines to a campaign on a table::

    space = SearchSpace((ContinuousDimension("temperature_c", 600, 900, step=100),))
    campaign = Campaign(CampaignPlan(space, seed=1))
    for number in range(4):
        suggestion = campaign.suggest(1)[0]
        value = table[suggestion.settings.number("temperature_c")]
        campaign.report(
            Observation(f"e{number}", suggestion.settings, ObservationStatus.MEASURED, value)
        )
    print(campaign.best())
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from matlab_ros.chemistry.outcomes import ReactionOutcome, SeenPhase
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import LabError, PlanningError
from matlab_ros.planning.costs import CostModel
from matlab_ros.planning.deadline import NEVER, Deadline
from matlab_ros.planning.furnace_rules import FurnaceRules, InRuns
from matlab_ros.planning.objectives import single_objective
from matlab_ros.planning.observation import (
    Measured,
    Observation,
    ObservationStatus,
    Pending,
    Provenance,
    Suggestion,
    data_sha256,
    observation_fields,
)
from matlab_ros.planning.plugins import planner_named
from matlab_ros.planning.proposer import Direction, Listener, Request
from matlab_ros.planning.selection import EarlierCampaign, Selection
from matlab_ros.planning.selection_config import selection_of
from matlab_ros.planning.selection_proposer import proposer_of
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace
from matlab_ros.planning.space_config import furnace_of, space_of
from matlab_ros.planning.synthesis import Synthesis, synthesis_of

_logger = logging.getLogger(__name__)


class Method(str, Enum):
    """Our own methods of proposing experiments; `matlab_ros.planning.plugins` has all."""

    BAYESIAN = "bayesian"
    RANDOM = "random"
    SOBOL = "sobol"
    GRID = "grid"
    NELDER_MEAD = "nelder-mead"
    ANNEALING = "annealing"
    MCMC = "mcmc"
    GENETIC = "genetic"


@dataclass(frozen=True)
class CampaignPlan:
    """What the suggestions of a campaign follow from, beside its observations.

    Attributes:
        space: to choose from.
        direction: of the objective.
        method: who proposes: one of ours, or the name of an outside planner or plug-in.
        initial_experiments: space-filling ones before a model is used.
        seed: everything random follows from it.
        options: of the method; ours have none.
        synthesis: what is made of what; None where the campaign does not say.
        selection: objectives, acquisition, model, costs; nothing selected is the method's default.
        furnace: samples that share a run; None: each experiment stands alone.

    Raises:
        PlanningError: no initial experiment, or a furnace that does not fit the space.
    """

    space: SearchSpace
    direction: Direction = Direction.MAXIMIZE
    method: str = Method.BAYESIAN.value
    initial_experiments: int = 6
    seed: int = 0
    options: Settings = field(default_factory=lambda: Settings({}))
    synthesis: Synthesis | None = None
    selection: Selection = field(default_factory=Selection)
    furnace: FurnaceRules | None = None

    def __post_init__(self) -> None:
        if self.furnace is not None:
            self.furnace.check(self.space)
        object.__setattr__(self, "method", getattr(self.method, "value", self.method))
        if self.initial_experiments < 1:
            raise PlanningError(
                f"The planner has {self.initial_experiments} initial experiments; "
                "expected at least 1."
            )

    @cached_property
    def sha256(self) -> str:
        """Hash of all settings: equal plans have the same in every process."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def plan_of(
    config: CampaignConfig,
    costs: CostModel | None = None,
    learned_from: tuple[EarlierCampaign, ...] = (),
) -> CampaignPlan:
    """The plan of a campaign's file.

    Args:
        config: the file.
        costs: of its experiments, where it speaks of costs.
        learned_from: the campaigns that it wants to learn from.

    Raises:
        PlanningError: its parameters contradict themselves, or costs or campaigns are missing.
    """
    return CampaignPlan(
        space_of(config),
        Direction(config.direction),
        config.planner.method,
        config.planner.initial_experiments,
        config.seed,
        Settings(config.planner.options),
        synthesis_of(config),
        selection=selection_of(config, costs, learned_from),
        furnace=furnace_of(config),
    )


class Campaign:
    """Observations of one campaign, and suggestions that follow from nothing but them.

    Suggestions depend on the plan, the set of observations and the set of pending experiments:
    not on the order of reports, on what was suggested before, or on restarts.

    Args:
        plan: what is wanted, and who proposes.
        observations: that there are already.
        earlier: what mixtures became in other campaigns, for methods that know chemistry.

    Raises:
        PlanningError: the method is unknown or not installed, its options mean nothing to it, or
            an observation does not fit.
    """

    def __init__(
        self,
        plan: CampaignPlan,
        observations: Iterable[Observation] = (),
        earlier: Iterable[ReactionOutcome] = (),
    ) -> None:
        self.plan = plan
        self._earlier = tuple(sorted(earlier, key=lambda item: item.key))
        self._planner = planner_named(plan.method)
        self._proposer = proposer_of(self._planner, plan.options, plan.selection, plan.space)
        if plan.furnace is not None and not getattr(self._proposer, "knows_furnaces", False):
            self._proposer = InRuns(self._proposer, plan.furnace)
        self._observations: dict[str, Observation] = {}
        for observation in observations:
            self.report(observation)

    @property
    def observations(self) -> tuple[Observation, ...]:
        """All of them, sorted by experiment id."""
        return tuple(self._observations[key] for key in sorted(self._observations))

    def suggest(
        self, count: int = 1, pending: Sequence[Pending] = (), deadline: Deadline = NEVER
    ) -> list[Suggestion]:
        """Experiments to do next.

        Args:
            count: how many are wanted.
            pending: in flight; never suggested again. Those already reported are left out.
            deadline: when the method gives the best that it has.

        Returns:
            `count` suggestions, or fewer where a finite space has nothing left.

        Raises:
            PlanningError: a pending experiment does not fit the space, or an id is twice.
        """
        return self.answer(self.request(count, pending, deadline))

    def request(
        self, count: int = 1, pending: Sequence[Pending] = (), deadline: Deadline = NEVER
    ) -> Request:
        """Everything that the answer of `suggest` follows from, as it is now.

        Raises:
            PlanningError: see `suggest`.
        """
        if count < 1:
            raise PlanningError(f"{count} suggestions are asked for; expected at least 1.")
        return Request(
            self.plan.space,
            self.plan.direction,
            self.observations,
            self._in_flight(pending),
            count,
            self.plan.initial_experiments,
            self.plan.seed,
            self.plan.synthesis,
            self._earlier,
            deadline,
            self.plan.furnace,
        )

    def answer(self, request: Request) -> list[Suggestion]:
        """Think about a request. Nothing of the campaign is read or changed meanwhile, so another
        thread may report to it.

        Raises:
            PlanningError: the method cannot plan.
        """
        proposals = self._proposer.propose(request)
        data = data_sha256(request.observations)
        software = self._planner.software()
        return [
            Suggestion(
                item.settings,
                item.predicted_mean,
                item.predicted_sigma,
                item.acquisition_value,
                item.method,
                Provenance(
                    item.model,
                    len(request.observations),
                    data,
                    request.seed,
                    software,
                    self.plan.sha256,
                ),
            )
            for item in proposals
        ]

    def report(self, observation: Observation) -> None:
        """Add how an experiment ended. Telling the same again changes nothing.

        Raises:
            PlanningError: it does not fit the space, contradicts an earlier report of the same
                experiment, or mixes simulated and real data; nothing was changed.
        """
        identifier = observation.experiment_id
        known = self._observations.get(identifier)
        if known is not None:
            if known.canonical() != observation.canonical():
                raise PlanningError(
                    f"Experiment {identifier!r} was reported before with other values; "
                    "expected the same report, or another experiment id."
                )
            return
        self.plan.space.check_measured(observation.settings)
        if observation.requested is not None:
            self.plan.space.check_measured(observation.requested)
        other = next(iter(self._observations.values()), None)
        if other is not None and other.simulated != observation.simulated:
            words = {True: "simulated", False: "real"}
            raise PlanningError(
                f"Experiment {identifier!r} is {words[observation.simulated]} while the campaign's "
                f"data are {words[other.simulated]}; expected data of one kind."
            )
        if observation.status is ObservationStatus.MEASURED and not observation.has_value:
            _logger.warning(
                "experiment %s has the objective %s: kept, but no model learns from it",
                identifier,
                observation.objective,
            )
        self._observations[identifier] = observation
        if isinstance(self._proposer, Listener):
            try:
                self._proposer.reported(self.request())
            except LabError as error:
                # The observation counts all the same.
                _logger.warning("%s was not told: %s", self.plan.method, error)

    def best(self) -> Observation | None:
        """The observation with the best value, None before the first.

        Of objectives that were selected: the largest merit, of those that keep the thresholds
        where there are any, and of thorough ones where experiments differ in fidelity.
        """
        selection = self.plan.selection
        fidelity = selection.fidelity
        if fidelity is not None or selection.objectives is not None:
            objectives = selection.objectives or single_objective(self.plan.direction)
            return objectives.best(
                item
                for item in self.observations
                if fidelity is None or fidelity.is_target(item.requested or item.settings)
            )
        measured = [item for item in self.observations if item.has_value]
        sign = self.plan.direction.sign
        return max(measured, key=lambda item: sign * item.objective, default=None)

    def pareto_front(self) -> tuple[Observation, ...]:
        """Experiments that keep all thresholds and that no other beats in every objective."""
        objectives = self.plan.selection.objectives or single_objective(self.plan.direction)
        return objectives.pareto_front(self.observations)

    def to_json(self) -> str:
        """All observations as text; with the same plan, `from_json` goes on where this is."""
        fields = [observation_fields(item) for item in self.observations]
        return json.dumps({"version": 1, "observations": fields}, indent=1)

    @classmethod
    def from_json(cls, plan: CampaignPlan, text: str) -> Campaign:
        """A campaign from what `to_json` gave.

        Raises:
            PlanningError: the text is something else.
        """
        try:
            data = json.loads(text)
            if data["version"] != 1:
                raise ValueError
            observations = [_observation(item) for item in data["observations"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanningError(
                "The text holds no observations; expected what Campaign.to_json wrote."
            ) from error
        return cls(plan, observations)

    def _in_flight(self, pending: Sequence[Pending]) -> tuple[Pending, ...]:
        identifiers = [item.experiment_id for item in pending]
        twice = sorted({item for item in identifiers if identifiers.count(item) > 1})
        if twice:
            raise PlanningError(f"Experiment {twice[0]!r} is pending twice; expected unique ids.")
        for item in pending:
            self.plan.space.check_measured(item.settings)
        left = (item for item in pending if item.experiment_id not in self._observations)
        return tuple(sorted(left, key=lambda item: item.experiment_id))


def _observation(fields: dict[str, Any]) -> Observation:
    requested = fields["requested"]
    return Observation(
        fields["experiment_id"],
        Settings(fields["settings"]),
        ObservationStatus(fields["status"]),
        _number(fields["objective"]),
        _number(fields["sigma"]),
        None if requested is None else Settings(requested),
        bool(fields["simulated"]),
        {
            name: Measured(_number(value), _number(sigma))
            for name, (value, sigma) in fields.get("outcomes", {}).items()
        },
        tuple(SeenPhase(formula, share) for formula, share in fields.get("phases", ())),
    )


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
