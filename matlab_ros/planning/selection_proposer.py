"""Who proposes: a method's default, what a campaign selects, or a method told one number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.objectives import Objectives
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.plugins import Planner, no_options
from matlab_ros.planning.proposer import Direction, Proposal, Proposer, Request
from matlab_ros.planning.selection import Selection
from matlab_ros.planning.selection_config import OPTIONS, with_options
from matlab_ros.planning.settings import Value
from matlab_ros.planning.space import SearchSpace

BAYESIAN = "bayesian"


def proposer_of(
    planner: Planner, options: Mapping[str, Value], selection: Selection, space: SearchSpace
) -> Proposer:
    """The method that a campaign is planned with.

    Raises:
        PlanningError: what is selected means nothing to the method or in the space.
    """
    if planner.name == BAYESIAN:
        selection = with_options(selection, options)
        options = {name: value for name, value in options.items() if name not in OPTIONS}
    _check_space(selection, space)
    if selection.is_default:
        return planner.proposer(options)
    if planner.name == BAYESIAN:
        # Imported here, because loading torch takes seconds that others need not wait for.
        from matlab_ros.planning.selected import SelectedProposer

        no_options(BAYESIAN, options)
        return SelectedProposer(selection)
    objectives = selection.objectives
    only_objectives = dataclasses.replace(selection, objectives=None, budget=0).is_default
    if objectives is None or not only_objectives:
        raise PlanningError(
            f"The method {planner.name!r} knows no acquisition, model, cost, fidelity or earlier "
            f"campaign to select; expected method {BAYESIAN}, or nothing selected."
        )
    if objectives.is_pareto:
        raise PlanningError(
            f"The method {planner.name!r} ranks by one number and there are "
            f"{len(objectives.goals)} goals; expected combine: desirability, or method {BAYESIAN}."
        )
    return OneNumber(planner.proposer(options), objectives)


class OneNumber:
    """A method that knows one objective, told what experiments are worth as if it were that.

    Experiments that miss a threshold count as such that did not work.

    Args:
        inner: the method.
        objectives: in one number.
    """

    def __init__(self, inner: Proposer, objectives: Objectives) -> None:
        self._inner = inner
        self._objectives = objectives

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        observations = tuple(self._one_number(item) for item in request.observations)
        return self._inner.propose(
            dataclasses.replace(request, observations=observations, direction=Direction.MAXIMIZE)
        )

    def _one_number(self, observation: Observation) -> Observation:
        if observation.status is not ObservationStatus.MEASURED:
            return observation
        merit = self._objectives.merit(observation)
        if not math.isnan(merit) and not self._objectives.is_success(observation):
            return dataclasses.replace(
                observation,
                objective=math.nan,
                sigma=math.nan,
                status=ObservationStatus.INFEASIBLE,
            )
        return dataclasses.replace(observation, objective=merit, sigma=math.nan)


def _check_space(selection: Selection, space: SearchSpace) -> None:
    """Refuse what does not fit the space.

    Raises:
        PlanningError: a fidelity is no parameter, or an earlier campaign has other parameters.
    """
    fidelity = selection.fidelity
    if fidelity is not None:
        dimensions = {item.name: item for item in space.dimensions}
        if fidelity.parameter not in dimensions:
            raise PlanningError(
                f"The fidelity {fidelity.parameter!r} is no parameter; expected one of "
                f"{', '.join(space.names)}."
            )
        dimensions[fidelity.parameter].check(fidelity.target)
    for campaign in selection.earlier:
        for item in campaign.observations:
            try:
                space.check_measured(item.settings)
            except PlanningError as error:
                raise PlanningError(
                    f"Experiment {item.experiment_id!r} of campaign {campaign.name!r} cannot be "
                    f"learned from: {error}"
                ) from error
