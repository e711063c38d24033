"""Ax (https://ax.dev, MIT) as a planner, where it is installed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from botorch.utils.sampling import manual_seed

from matlab_ros.planning.dimensions import CategoricalDimension, Dimension
from matlab_ros.planning.plugins import no_options
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.settings import Settings, Value
from matlab_ros.planning.space import Array, SearchSpace
from matlab_ros.planning.tried import FAILED, first_free, near, to_unit, tried, without_model

OBJECTIVE = "objective"
TRIES = 3
"""Times that Ax is asked for more where some of its trials are known already."""


class AxProposer:
    """Ax's own generation strategy: Sobol points, then modular BoTorch.

    Ax is asked for coordinates and choices; what it proposes is brought to the nearest settings
    that obey everything, or to the nearest row of a table that is left.
    """

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        seed = derived_seed(request.seed, "ax")
        with manual_seed(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = self._client(request, seed)
            found: list[Settings] = []
            for _ in range(TRIES):
                trials = client.get_next_trials(max_trials=request.count - len(found))
                for arm in trials.values():
                    known = [request.space.key(item) for item in found]
                    rows = _nearest(request.space, _point(request.space, arm))
                    found += first_free(request, rows, 1, known)
                if len(found) == request.count or request.space.table is not None:
                    break
        return [without_model(item, "Ax") for item in found]

    def _client(self, request: Request, seed: int) -> Client:
        """A client that knows everything that the request knows."""
        client = Client(random_seed=seed)
        client.configure_experiment([_parameter(item) for item in request.space.dimensions])
        client.configure_optimization(OBJECTIVE)
        client.configure_generation_strategy(
            initialization_budget=request.initial_experiments,
            initialization_random_seed=derived_seed(request.campaign_seed, "ax"),
            initialize_with_center=False,
            allow_exceeding_initialization_budget=True,
        )
        for item in tried(request):
            index = client.attach_trial(_arm(request.space, item.settings))
            if item.value == FAILED:
                client.mark_trial_failed(index, "the chemistry did not work")
            else:
                client.complete_trial(index, {OBJECTIVE: item.value})
        for waiting in request.pending:
            client.attach_trial(_arm(request.space, waiting.settings))
        return client


def ax(options: Mapping[str, Value]) -> AxProposer:
    """Ax's default; there are no options."""
    no_options("ax", options)
    # It tells of every trial.
    logging.getLogger("ax").setLevel(logging.ERROR)
    return AxProposer()


def _parameter(dimension: Dimension) -> Any:
    if isinstance(dimension, CategoricalDimension):
        return ChoiceParameterConfig(
            name=dimension.name, values=list(dimension.choices), parameter_type="str"
        )
    return RangeParameterConfig(name=dimension.name, bounds=(0.0, 1.0), parameter_type="float")


def _arm(space: SearchSpace, settings: Settings) -> dict[str, Any]:
    """Settings as Ax's parameterisation."""
    point = to_unit(space, settings)
    return {
        item.name: settings.get(item.name, item.choices[0])
        if isinstance(item, CategoricalDimension)
        else float(u)
        for item, u in zip(space.dimensions, point, strict=True)
    }


def _point(space: SearchSpace, arm: Mapping[str, Any]) -> Array:
    """The point of the unit cube that Ax proposes."""
    coordinates = [
        item.to_unit(arm[item.name])
        if isinstance(item, CategoricalDimension)
        else float(arm[item.name])
        for item in space.dimensions
    ]
    return np.array(coordinates)


def _nearest(space: SearchSpace, point: Array) -> Iterator[Settings | None]:
    """Settings near a point: the rows of a table, the nearest first, or the one that is nearest."""
    if space.table is None:
        yield near(space, point)
        return
    rows = np.array([to_unit(space, row) for row in space.table])
    for index in np.argsort(((rows - point) ** 2).sum(axis=1), kind="stable"):
        yield space.table[index]
