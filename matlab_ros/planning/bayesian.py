"""Bayesian optimisation: Sobol points first, then what the surrogate expects to improve most."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from gpytorch.utils.warnings import NumericalWarning

from matlab_ros.planning.acquisition import noisy_expected_improvement
from matlab_ros.planning.baselines import SobolProposer
from matlab_ros.planning.models import Surrogate, fit_surrogate
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.optimise import Bounds, maximise, pool_candidates, table_candidates
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace


class BayesianProposer:
    """Gaussian process and qLogNEI; knows what is pending; greedy over the batch."""

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        measured = [item for item in request.observations if item.has_value]
        informative = [
            item
            for item in request.observations
            if item.has_value or item.status is ObservationStatus.INFEASIBLE
        ]
        begun = len(informative) + len(request.pending)
        initial = request.count
        if measured:
            initial = min(max(request.initial_experiments - begun, 0), request.count)
        first = self._initial(request, initial)
        if len(first) < initial or initial == request.count:
            return first
        # The space-filling ones of this very request count as pending for the rest of it.
        under_way = request.pending + tuple(
            Pending(f"initial-{index}", item.settings) for index, item in enumerate(first)
        )
        rest = dataclasses.replace(request, pending=under_way, count=request.count - initial)
        with warnings.catch_warnings():
            # A candidate close to a measured point makes their joint covariance singular; the
            # jitter that is added then is what we want, and nobody can do anything about it.
            warnings.simplefilter("ignore", NumericalWarning)
            return first + _by_model(rest, measured, request.seed)

    def _initial(self, request: Request, count: int) -> list[Proposal]:
        if count == 0:
            return []
        return SobolProposer().propose(dataclasses.replace(request, count=count))


def _by_model(request: Request, measured: Sequence[Observation], seed: int) -> list[Proposal]:
    space = request.space
    surrogate = fit_surrogate(
        space,
        space.features(item.settings for item in measured),
        np.array([item.objective for item in measured]),
        np.array([item.sigma for item in measured]),
        request.direction.sign,
        derived_seed(seed, "fit"),
    )
    pending = [item.settings for item in request.pending]
    acquisition = noisy_expected_improvement(
        surrogate,
        _feasibility(space, request.observations, derived_seed(seed, "feasibility")),
        torch.as_tensor(space.features(pending)),
        derived_seed(seed, "draws"),
    )
    rng = np.random.default_rng(derived_seed(seed, "candidates"))
    table = table_candidates(space, rng)
    bounds = None if table is None else Bounds(len(table.settings))
    sign = request.direction.sign
    best = max(measured, key=lambda item: sign * item.objective)
    taken = request.taken
    proposals: list[Proposal] = []
    while len(proposals) < request.count:
        candidates = table or pool_candidates(space, _inside(space, best), rng)
        found = maximise(space, acquisition, candidates, taken, table is None, bounds)
        if found is None:
            break
        settings, value = found
        proposals.append(_proposal(space, surrogate, settings, value))
        taken |= {space.key(settings)}
        pending.append(settings)
        if len(proposals) < request.count:
            acquisition.add_pending(torch.as_tensor(space.features(pending)))
    return proposals


def _proposal(
    space: SearchSpace, surrogate: Surrogate, settings: Settings, value: float
) -> Proposal:
    mean, sigma = surrogate.predict(space.features([settings]))
    return Proposal(
        settings, float(mean[0]), float(sigma[0]), value, "qLogNEI", surrogate.description
    )


def _feasibility(
    space: SearchSpace, observations: Sequence[Observation], seed: int
) -> Surrogate | None:
    """A process of what works (1) and what does not (0), None while everything works.

    Regression on the labels: rough as a classifier, exact enough to lead away from where
    experiments failed, and never certain where nothing was tried.
    """
    known = [
        item
        for item in observations
        if item.has_value or item.status is ObservationStatus.INFEASIBLE
    ]
    labels = np.array([float(item.has_value) for item in known])
    if labels.all():
        return None
    unknown = np.full(len(known), math.nan)
    features = space.features(item.settings for item in known)
    return fit_surrogate(space, features, labels, unknown, 1.0, seed)


def _inside(space: SearchSpace, observation: Observation) -> Settings:
    """An observation's settings with measured values brought back to what can be asked for."""
    settings = observation.settings
    numbers = {item.name: item.rounded(settings.number(item.name)) for item in space.numeric}
    choices = {item.name: settings.choice(item.name) for item in space.categorical}
    return Settings({**numbers, **choices})
