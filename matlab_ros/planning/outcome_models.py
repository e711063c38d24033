"""A model for each outcome that matters, by what a campaign asks for and what there is to know."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from matlab_ros.planning.models import Surrogate, fit_surrogate
from matlab_ros.planning.multi_fidelity import fidelity_covariance
from matlab_ros.planning.multi_task import MAX_EARLIER, fit_multi_task
from matlab_ros.planning.objectives import Goal, Objectives, outcome
from matlab_ros.planning.observation import Observation
from matlab_ros.planning.proposer import derived_seed
from matlab_ros.planning.saas import MANY, saas_covariance
from matlab_ros.planning.selection import EarlierCampaign, ModelName, Selection
from matlab_ros.planning.space import Array, SearchSpace


def fit_outcomes(
    space: SearchSpace,
    selection: Selection,
    objectives: Objectives,
    observations: Sequence[Observation],
    seed: int,
) -> dict[str, Surrogate]:
    """A fitted model for each outcome of the objectives; its description says which and why.

    Args:
        space: to model.
        selection: which model is asked for.
        objectives: whose outcomes matter.
        observations: of the present campaign; every outcome is in one of them at least.
        seed: of the fits.
    """
    chosen, why = choose_model(selection, space)
    # The one thing that is wanted is what the model says, so it can be improved without detours.
    only = objectives.items[0] if len(objectives.items) == 1 else None
    is_negated = only is not None and only.goal is Goal.MINIMIZE and not only.has_threshold
    sign = -1.0 if is_negated else 1.0
    found = {}
    for name in objectives.names:
        own = derived_seed(seed, name)
        features, values, sigmas = _data(space, observations, name)
        earlier = [_earlier(space, item, name) for item in selection.earlier]
        earlier = [item for item in earlier if len(item[1])]
        if chosen is ModelName.MULTI_TASK and earlier:
            tasks = [(features, values, sigmas), *earlier]
            model = fit_multi_task(
                space,
                [item[0] for item in tasks],
                [item[1] for item in tasks],
                [item[2] for item in tasks],
                sign,
                own,
            )
        else:
            model = _fit(space, selection, chosen, (features, values, sigmas), sign, own)
        found[name] = dataclasses.replace(model, description=f"{model.description} ({why})")
    return found


def _fit(
    space: SearchSpace,
    selection: Selection,
    chosen: ModelName,
    data: tuple[Array, Array, Array],
    sign: float,
    seed: int,
) -> Surrogate:
    """A model of the present campaign alone."""
    if chosen is ModelName.SAAS:
        model = fit_surrogate(space, *data, sign, seed, saas_covariance(space.width, seed))
        return dataclasses.replace(
            model, description="Gaussian process, sparse axis-aligned (SAAS)"
        )
    if selection.fidelity is None:
        return fit_surrogate(space, *data, sign, seed)
    kernel = fidelity_covariance(space, selection.fidelity.parameter)
    model = fit_surrogate(space, *data, sign, seed, kernel)
    return dataclasses.replace(
        model,
        description=f"Gaussian process, Matern-5/2 ARD, fidelity {selection.fidelity.parameter}",
    )


def choose_model(selection: Selection, space: SearchSpace) -> tuple[ModelName, str]:
    """Which model, and why, for people."""
    if selection.model is not ModelName.AUTO:
        return selection.model, "asked for"
    if selection.earlier:
        sources = ", ".join(
            f"{item.name}{' (simulated)' if item.simulated else ''}" for item in selection.earlier
        )
        return ModelName.MULTI_TASK, f"learns from {sources}"
    if len(space.numeric) >= MANY:
        return ModelName.SAAS, f"{len(space.numeric)} numbers"
    return ModelName.GP, "the default"


def _data(
    space: SearchSpace, observations: Sequence[Observation], name: str
) -> tuple[Array, Array, Array]:
    """Features, values and uncertainties of an outcome wherever it was measured."""
    known = [(item, found) for item in observations if (found := outcome(item, name)) is not None]
    return (
        space.features(item.settings for item, _ in known),
        np.array([found.value for _, found in known]),
        np.array([found.sigma if found.sigma >= 0 else math.nan for _, found in known]),
    )


def _earlier(
    space: SearchSpace, campaign: EarlierCampaign, name: str
) -> tuple[Array, Array, Array]:
    return _data(space, campaign.observations[-MAX_EARLIER:], name)
