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

import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.baselines import RandomProposer, SobolProposer
from matlab_ros.planning.observation import (
    Observation,
    ObservationStatus,
    Pending,
    Provenance,
    Suggestion,
    data_sha256,
    observation_fields,
)
from matlab_ros.planning.proposer import Direction, Proposer, Request
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace, space_of

_logger = logging.getLogger(__name__)

_PACKAGES = {
    "bayesian": ("matlab_ros", "numpy", "scipy", "torch", "gpytorch", "botorch"),
    "random": ("matlab_ros", "numpy"),
    "sobol": ("matlab_ros", "numpy", "scipy"),
}


class Method(str, Enum):
    """Who proposes the experiments."""

    BAYESIAN = "bayesian"
    RANDOM = "random"
    SOBOL = "sobol"


@dataclass(frozen=True)
class CampaignPlan:
    """What the suggestions of a campaign follow from, beside its observations.

    Attributes:
        space: to choose from.
        direction: of the objective.
        method: who proposes.
        initial_experiments: space-filling ones before a model is used.
        seed: everything random follows from it.

    Raises:
        PlanningError: no initial experiment.
    """

    space: SearchSpace
    direction: Direction = Direction.MAXIMIZE
    method: Method = Method.BAYESIAN
    initial_experiments: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        if self.initial_experiments < 1:
            raise PlanningError(
                f"The planner has {self.initial_experiments} initial experiments; "
                "expected at least 1."
            )


def plan_of(config: CampaignConfig) -> CampaignPlan:
    """The plan of a campaign's file.

    Raises:
        PlanningError: its parameters contradict themselves.
    """
    return CampaignPlan(
        space_of(config),
        Direction(config.direction),
        Method(config.planner.method),
        config.planner.initial_experiments,
        config.seed,
    )


class Campaign:
    """Observations of one campaign, and suggestions that follow from nothing but them.

    Suggestions depend on the plan, the set of observations and the set of pending experiments:
    not on the order of reports, on what was suggested before, or on restarts.
    """

    def __init__(self, plan: CampaignPlan, observations: Iterable[Observation] = ()) -> None:
        self.plan = plan
        self._proposer = _proposer(plan.method)
        self._observations: dict[str, Observation] = {}
        for observation in observations:
            self.report(observation)

    @property
    def observations(self) -> tuple[Observation, ...]:
        """All of them, sorted by experiment id."""
        return tuple(self._observations[key] for key in sorted(self._observations))

    def suggest(self, count: int = 1, pending: Sequence[Pending] = ()) -> list[Suggestion]:
        """Experiments to do next.

        Args:
            count: how many are wanted.
            pending: in flight; never suggested again. Those already reported are left out.

        Returns:
            `count` suggestions, or fewer where a finite space has nothing left.

        Raises:
            PlanningError: a pending experiment does not fit the space, or an id is twice.
        """
        if count < 1:
            raise PlanningError(f"{count} suggestions are asked for; expected at least 1.")
        request = Request(
            self.plan.space,
            self.plan.direction,
            self.observations,
            self._in_flight(pending),
            count,
            self.plan.initial_experiments,
            self.plan.seed,
        )
        proposals = self._proposer.propose(request)
        data = data_sha256(request.observations)
        software = software_versions(self.plan.method)
        return [
            Suggestion(
                item.settings,
                item.predicted_mean,
                item.predicted_sigma,
                item.acquisition_value,
                item.method,
                Provenance(item.model, len(request.observations), data, request.seed, software),
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

    def best(self) -> Observation | None:
        """The observation with the best value, None before the first."""
        measured = [item for item in self.observations if item.has_value]
        sign = self.plan.direction.sign
        return max(measured, key=lambda item: sign * item.objective, default=None)

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


def software_versions(method: Method) -> str:
    """Versions of the packages that a method computes with, as ``name version`` and commas."""
    found = []
    for package in _PACKAGES[method.value]:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


def _proposer(method: Method) -> Proposer:
    if method is Method.RANDOM:
        return RandomProposer()
    if method is Method.SOBOL:
        return SobolProposer()
    # Imported here, because loading torch takes seconds that the other methods need not wait for.
    from matlab_ros.planning.bayesian import BayesianProposer

    return BayesianProposer()


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
    )


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
