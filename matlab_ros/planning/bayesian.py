"""The default: Sobol points first, then what a process and a forest together hold most of."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from gpytorch.utils.warnings import NumericalWarning

from matlab_ros.planning.acquisition import Acquisition, noisy_expected_improvement
from matlab_ros.planning.baselines import SobolProposer
from matlab_ros.planning.choosing import choose_for
from matlab_ros.planning.classifier import Classifier, fit_classifier
from matlab_ros.planning.confidence import ConfidenceBound, confidence_bound
from matlab_ros.planning.ensemble import fit_ensemble
from matlab_ros.planning.furnace_rules import InRuns
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.proposer import Proposal, Proposer, Request, derived_seed
from matlab_ros.planning.space import SearchSpace


class BayesianProposer:
    """Gaussian process and random forest by evidence; knows what is pending; greedy over a batch.

    Attributes:
        knows_furnaces: proposals for a furnace share a run as the rules say.
    """

    knows_furnaces = True

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
            Pending(f"initial-{index}", item.settings, unfired=True)
            for index, item in enumerate(first)
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
        proposer: Proposer = SobolProposer()
        if request.furnace is not None:
            proposer = InRuns(proposer, request.furnace)
        return proposer.propose(dataclasses.replace(request, count=count))


def _by_model(request: Request, measured: Sequence[Observation], seed: int) -> list[Proposal]:
    space = request.space
    ensemble = fit_ensemble(
        space,
        space.features(item.settings for item in measured),
        np.array([item.objective for item in measured]),
        np.array([item.sigma for item in measured]),
        request.direction.sign,
        derived_seed(seed, "fit"),
    )
    feasibility = _feasibility(space, request.observations)
    pending = torch.as_tensor(space.features(item.settings for item in request.pending))
    acquisition: ConfidenceBound | Acquisition
    if request.furnace is None:
        acquisition, method = confidence_bound(ensemble, feasibility, pending), "ensemble UCB"
    else:
        # The crucibles of a run are chosen jointly, by what they gain together, which a bound of
        # one experiment does not say.
        acquisition, method = (
            noisy_expected_improvement(
                ensemble.surrogate, feasibility, pending, derived_seed(seed, "draws")
            ),
            "qLogNEI",
        )
    sign = request.direction.sign
    best = max(measured, key=lambda item: sign * item.objective)
    rng = np.random.default_rng(derived_seed(seed, "candidates"))
    found = choose_for(request, acquisition, (best.settings,), rng)
    if not found:
        return []
    means, sigmas = ensemble.predict(space.features(settings for settings, _ in found))
    return [
        Proposal(settings, float(mean), float(sigma), value, method, ensemble.description)
        for (settings, value), mean, sigma in zip(found, means, sigmas, strict=True)
    ]


def _feasibility(space: SearchSpace, observations: Sequence[Observation]) -> Classifier | None:
    """A classifier of what works and what does not, None while everything works."""
    known = [
        item
        for item in observations
        if item.has_value or item.status is ObservationStatus.INFEASIBLE
    ]
    works = np.array([float(item.has_value) for item in known])
    if works.all():
        return None
    return fit_classifier(space, space.features(item.settings for item in known), works)
