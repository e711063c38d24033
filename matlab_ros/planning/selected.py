"""Proposals by what a campaign asks for: its objectives, acquisition, model, costs, fidelity."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from gpytorch.utils.warnings import NumericalWarning
from torch import Tensor

from matlab_ros.planning.acquisitions_improvement import (
    Core,
    hypervolume_improvement,
    improvement,
    noisy_improvement,
)
from matlab_ros.planning.acquisitions_sampling import Thompson, UpperConfidence
from matlab_ros.planning.baselines import SobolProposer
from matlab_ros.planning.choosing import choose_for
from matlab_ros.planning.classifier import Classifier, fit_classifier
from matlab_ros.planning.cost_surface import CostSurface
from matlab_ros.planning.costs import CostModel, cooling_exponent
from matlab_ros.planning.furnace_rules import InRuns
from matlab_ros.planning.knowledge_gradient import KnowledgeGradient
from matlab_ros.planning.learning import IntegratedVariance, PhaseBoundary, Uncertainty
from matlab_ros.planning.models import Surrogate
from matlab_ros.planning.objectives import Objectives, outcome, single_objective
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.optimise import choose
from matlab_ros.planning.outcome_models import fit_outcomes
from matlab_ros.planning.proposer import Proposal, Proposer, Request, derived_seed
from matlab_ros.planning.selection import AcquisitionName, Selection
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.utility import Utility
from matlab_ros.planning.worth import Worth

GRID = 256
"""Settings all over the space that integrals and paths are taken over."""

_LABELS = {
    AcquisitionName.LOGEI: "LogEI",
    AcquisitionName.QLOGNEI: "qLogNEI",
    AcquisitionName.QLOGNEHVI: "qLogNEHVI",
    AcquisitionName.UCB: "UCB",
    AcquisitionName.THOMPSON: "Thompson",
    AcquisitionName.KNOWLEDGE_GRADIENT: "KG",
    AcquisitionName.UNCERTAINTY: "uncertainty",
    AcquisitionName.INTEGRATED_VARIANCE: "integrated variance",
    AcquisitionName.PHASE_BOUNDARY: "phase boundary",
}
"""As suggestions say it."""


class SelectedProposer:
    """Models and acquisition as they are asked for; knows what is pending; greedy over a batch.

    Args:
        selection: what is asked for.

    Attributes:
        knows_furnaces: proposals for a furnace share a run as the rules say.
    """

    knows_furnaces = True

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        objectives = self._selection.objectives or single_objective(request.direction)
        learned = [
            item
            for item in request.observations
            if item.status is ObservationStatus.INFEASIBLE
            or any(outcome(item, name) is not None for name in objectives.names)
        ]
        initial = request.count
        if all(_measured(learned, name) for name in objectives.names):
            begun = len(learned) + len(request.pending)
            initial = min(max(request.initial_experiments - begun, 0), request.count)
        first = []
        if initial:
            first = _space_filling(request).propose(dataclasses.replace(request, count=initial))
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
            return first + _Round(self._selection, objectives, rest, learned, request.seed).chosen()


def _space_filling(request: Request) -> Proposer:
    """Who proposes before there is a model."""
    if request.furnace is None:
        return SobolProposer()
    return InRuns(SobolProposer(), request.furnace)


class _Round:
    """One request answered by models."""

    def __init__(
        self,
        selection: Selection,
        objectives: Objectives,
        request: Request,
        learned: Sequence[Observation],
        seed: int,
    ) -> None:
        self._selection = selection
        self._objectives = objectives
        self._request = request
        self._space = request.space
        self._learned = learned
        self._seed = seed
        self._rng = np.random.default_rng(derived_seed(seed, "candidates"))
        self._surrogates = fit_outcomes(
            self._space, selection, objectives, learned, derived_seed(seed, "fit")
        )
        self._utility = Utility(objectives, self._surrogates)
        self._name = _acquisition_name(selection, objectives)

    def chosen(self) -> list[Proposal]:
        """The proposals."""
        request, space = self._request, self._space
        pending = [item.settings for item in request.pending]
        worth = self._worth()
        worth.add_pending(self._features(pending))
        best = self._best()
        if request.furnace is not None:
            near = () if best is None else (best,)
            runs = choose_for(request, worth, near, self._rng)
            return [self._proposal(settings, value) for settings, value in runs]
        # Of a new draw for every suggestion, what a candidate was worth before is no bound.
        at_once = 1 if self._name is AcquisitionName.THOMPSON else request.count
        taken = request.taken
        found: list[tuple[Settings, float]] = []
        while len(found) < request.count:
            more = choose(
                space,
                worth,
                min(at_once, request.count - len(found)),
                taken=taken,
                pending=pending,
                near=() if best is None else (best,),
                rng=self._rng,
                deadline=request.deadline,
            )
            if not more:
                break
            found += more
            chosen = [settings for settings, _ in more]
            taken |= {space.key(settings) for settings in chosen}
            pending += chosen
            if len(found) < request.count:
                worth.add_pending(self._features(pending))
        return [self._proposal(settings, value) for settings, value in found]

    def _worth(self) -> Worth:
        costs = _costs(self._selection)
        grid = self._grid()
        surface = None
        if costs is not None:
            surface = CostSurface(costs, grid, self._space.features(grid))
        return Worth(
            self._core(self._features(grid)),
            self._feasibility(),
            surface,
            cooling_exponent(
                len(self._learned), self._request.initial_experiments, self._selection.budget
            ),
        )

    def _core(self, grid: Tensor) -> Core:
        """The acquisition by its name."""
        utility, name = self._utility, self._name
        seed = derived_seed(self._seed, "draws")
        baseline = self._features([item.settings for item in self._measured()])
        if name is AcquisitionName.QLOGNEHVI:
            return hypervolume_improvement(utility, baseline, seed)
        if name is AcquisitionName.QLOGNEI:
            return noisy_improvement(utility, baseline, seed)
        if name is AcquisitionName.LOGEI:
            return improvement(utility, baseline, seed)
        if name is AcquisitionName.UNCERTAINTY:
            return Uncertainty(utility.surrogates)
        if name is AcquisitionName.INTEGRATED_VARIANCE:
            return IntegratedVariance(utility.surrogates, grid)
        if name is AcquisitionName.PHASE_BOUNDARY:
            return PhaseBoundary(self._formation())
        if name is AcquisitionName.UCB:
            incumbent = utility.incumbent(baseline)
            return UpperConfidence(utility, incumbent, self._selection.kappa, seed)
        if name is AcquisitionName.THOMPSON:
            return Thompson(utility, utility.incumbent(baseline), grid, seed)
        fidelity = self._selection.fidelity
        anchors = torch.cat([grid, baseline])
        if fidelity is not None:
            settings = [*self._grid(), *(item.settings for item in self._measured())]
            anchors = self._features([fidelity.at_target(item) for item in settings])
        return KnowledgeGradient(utility, anchors, is_choice=fidelity is None)

    def _grid(self) -> list[Settings]:
        """Settings all over the space, the same throughout a campaign."""
        space = self._space
        table = space.table
        seed = derived_seed(self._request.campaign_seed, "grid")
        if table is not None:
            order = np.random.default_rng(seed).permutation(len(table))[:GRID]
            return [table[index] for index in order]
        return list(space.sample(GRID, np.random.default_rng(seed)))

    def _measured(self) -> list[Observation]:
        """Experiments of which every outcome that matters is known; else of which any is."""
        names = self._objectives.names
        known = [
            item for item in self._learned if all(outcome(item, name) is not None for name in names)
        ]
        return known or _measured(self._learned, names[0])

    def _formation(self) -> Classifier:
        """Where the first objective's threshold is met."""
        goal = self._objectives.goals[0]
        known = [item for item in self._learned if outcome(item, goal.name) is not None]
        values = [found.value for item in known if (found := outcome(item, goal.name))]
        failed = [item for item in self._learned if item not in known]
        met = np.array([float(goal.slack(value) >= 0.0) for value in values])
        return fit_classifier(
            self._space,
            self._space.features(item.settings for item in (*known, *failed)),
            np.concatenate([met, np.zeros(len(failed))]),
        )

    def _feasibility(self) -> Classifier | None:
        """What works and what does not, None while everything works or where that is the point."""
        works = np.array(
            [float(item.status is not ObservationStatus.INFEASIBLE) for item in self._learned]
        )
        if works.all() or self._name is AcquisitionName.PHASE_BOUNDARY:
            return None
        features = self._space.features(item.settings for item in self._learned)
        return fit_classifier(self._space, features, works)

    def _best(self) -> Settings | None:
        """Where the pool looks closely: the best experiment, brought back to what may be asked."""
        best = self._objectives.best(self._learned)
        return self._space.repair((best or self._measured()[-1]).settings)

    def _proposal(self, settings: Settings, value: float) -> Proposal:
        goal = self._objectives.goals[0]
        surrogate = self._surrogates[goal.name]
        mean, sigma = surrogate.predict(self._space.features([settings]))
        return Proposal(
            settings,
            float(mean[0]),
            float(sigma[0]),
            value,
            _LABELS[self._name],
            self._description(surrogate),
        )

    def _description(self, surrogate: Surrogate) -> str:
        parts = [surrogate.description]
        if len(self._surrogates) > 1:
            parts.append(f"for each of {', '.join(self._surrogates)}")
        if self._selection.costs is not None or self._selection.fidelity is not None:
            parts.append("worth per cost")
        return ", ".join(parts)

    def _features(self, settings: Sequence[Settings]) -> Tensor:
        return torch.as_tensor(self._space.features(settings), dtype=torch.float64)


def _acquisition_name(selection: Selection, objectives: Objectives) -> AcquisitionName:
    """The acquisition that is meant."""
    if selection.acquisition is not AcquisitionName.AUTO:
        return selection.acquisition
    if selection.fidelity is not None:
        return AcquisitionName.KNOWLEDGE_GRADIENT
    return AcquisitionName.QLOGNEHVI if objectives.is_pareto else AcquisitionName.QLOGNEI


def _costs(selection: Selection) -> CostModel | None:
    if selection.fidelity is not None and selection.fidelity.costs:
        return selection.fidelity
    return selection.costs


def _measured(observations: Sequence[Observation], name: str) -> list[Observation]:
    return [item for item in observations if outcome(item, name) is not None]
