"""Bayesian optimisation that begins with what a chemist knows and learns which phases react.

The surrogate's prior mean says what physics says of any synthesis: hotter is faster, a larger
driving force is better, a carbonate that cannot lose its gas is worse, and known reactions that end
before the target do so again. How much each of these matters is learnt. Its covariance knows the
powders that sets have in common, what is left of them once they have lost their gas, and the
phases that known reactions then turn these into before the target forms: sets that become the same
phases are alike, whatever they were mixed from.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from matlab_ros.chemistry.driving_forces import DrivingForces
from matlab_ros.chemistry.phase_balance import weight_fractions
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.averaged_process import Part, Prediction, ProcessPrior, predict
from matlab_ros.planning.chemistry_policy import ChemistryProposer
from matlab_ros.planning.chemistry_view import ChemistryView, default_forces, view_of
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.proposer import Direction, Proposal, Request, derived_seed
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Array, Key
from matlab_ros.planning.synthesis import TEMPERATURE, USUAL_TEMPERATURE_C, temperature_of
from matlab_ros.planning.tried import random_free

PURE = 0.97
"""Weight fraction that a diffractogram can hardly tell from a pure product. An experiment is worth
as much as the chance that it gives this (probability of improvement over a goal, Kushner, J. Basic
Eng. 86, 97, 1964), so that a campaign which goes on after its first pure product finds others."""

RANKED = 2
"""Experiments that learned chemistry alone ranks first, before the surrogate is asked. It needs no
initial design, as its prior says something everywhere; but of several experiments that nothing is
known of, it likes the strangest."""

POOL = 1024
"""Random settings looked at where a space is no table."""
NEAR_BEST = 256
"""Settings looked at in the neighbourhood of the best ones."""
NEAR_STEP = 0.08
"""Standard deviation of these, in the unit cube."""
BEST = 4

# The prior, in weight fraction of the target. None of these numbers was fitted to a system.
MEAN, MEAN_SIGMA = 0.3, 0.15
SLOPES = (
    (0.30, 0.20),  # from the coldest to the hottest of the search space
    (0.05, 0.10),  # one standard deviation of driving force among the sets
    (-0.20, 0.10),  # a powder that cannot lose its gas
    (-0.10, 0.10),  # known reactions end before it
)
NUMBERS_LENGTH, NUMBERS_AMPLITUDE = 0.6, 0.15
CHOICES_LENGTH, CHOICES_AMPLITUDE = 1.2, 0.15
PHASES_LENGTH, DEGASSED_AMPLITUDE = 0.6, 0.15
LEARNT_AMPLITUDE = 0.05
"""Of what reactions that were seen elsewhere say; a prediction is trusted less than a weighed-in
powder until the data say otherwise."""


class ChemistryBayesianProposer:
    """Learned chemistry as prior mean and features of a Gaussian process, and the chance of purity.

    Args:
        forces: energies; those of the package where None.
    """

    def __init__(self, forces: DrivingForces | None = None) -> None:
        self._forces = forces

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`.

        Raises:
            PlanningError: the campaign minimises, or tells nothing of its chemistry.
        """
        if request.direction is not Direction.MAXIMIZE:
            raise PlanningError(
                "The planner expects more of the target to be better; maximise, "
                "or choose another planner."
            )
        forces = self._forces or default_forces()
        known = _Known.of(request)
        begun = len(known.settings) + len(known.pending)
        ranked = min(max(RANKED - begun, 0), request.count)
        first = []
        if ranked:
            first = ChemistryProposer(forces).propose(dataclasses.replace(request, count=ranked))
        if len(first) < ranked or ranked == request.count:
            return first
        under_way = tuple(
            Pending(f"ranked-{index}", item.settings) for index, item in enumerate(first)
        )
        request = dataclasses.replace(
            request, pending=request.pending + under_way, count=request.count - ranked
        )
        known = _Known.of(request)
        view = view_of(request, forces)
        description = (
            f"Gaussian process on learned chemistry, {len(view.book.pairs)} reactions known"
        )
        rng = np.random.default_rng(derived_seed(request.seed, "candidates"))
        seed = derived_seed(request.campaign_seed, "hyperparameters")
        proposals: list[Proposal] = []
        taken: set[Key] = set()
        while len(proposals) < request.count:
            candidates = _candidates(request, known, rng, taken)
            if not candidates:
                break
            beliefs = _beliefs(request, view, known, candidates, seed)
            worth = log_ndtr((beliefs.mean - PURE) / beliefs.sigma)
            # Equal worth, as of sets that are predicted to become the same, is decided by chance.
            index = int(np.argmax(worth + 1e-6 * rng.random(len(worth))))
            settings = candidates[index]
            mean, sigma = float(beliefs.mean[index]), float(beliefs.sigma[index])
            proposals.append(
                Proposal(settings, mean, sigma, float(worth[index]), "logPI", description)
            )
            taken.add(request.space.key(settings))
            # Until it is measured it counts as giving what is expected of it.
            known = known.and_(settings, mean)
        return first + proposals


@dataclass(frozen=True)
class _Known:
    """Settings and values that the process is conditioned on; NaN: sigma unknown, value believed
    but not measured."""

    settings: tuple[Settings, ...]
    values: tuple[float, ...]
    sigmas: tuple[float, ...]
    pending: tuple[Settings, ...] = ()

    @classmethod
    def of(cls, request: Request) -> _Known:
        """What is measured; what did not work gave none of the target."""
        rows = [(item.settings, *found) for item in request.observations if (found := _value(item))]
        settings, values, sigmas = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(settings, values, sigmas, tuple(item.settings for item in request.pending))

    def and_(self, settings: Settings, value: float) -> _Known:
        """The same and one more."""
        return _Known(
            (*self.settings, settings),
            (*self.values, value),
            (*self.sigmas, math.nan),
            self.pending,
        )


def _value(item: Observation) -> tuple[float, float] | None:
    if item.has_value:
        return item.objective, item.sigma
    return (0.0, math.nan) if item.status is ObservationStatus.INFEASIBLE else None


def _candidates(
    request: Request,
    known: _Known,
    rng: np.random.Generator,
    taken: set[Key],
) -> list[Settings]:
    space = request.space
    if space.table is not None:
        everything = request.taken | taken
        return [row for row in space.table if space.key(row) not in everything]
    found = random_free(request, rng, POOL, taken)
    order = sorted(range(len(known.values)), key=lambda i: -known.values[i])[:BEST]
    for index in itertools.islice(itertools.cycle(order), NEAR_BEST if order else 0):
        settings = known.settings[index]
        values = dict(settings)
        for dimension in space.numeric:
            if dimension.name in values:
                u = dimension.to_unit(values[dimension.name]) + NEAR_STEP * rng.standard_normal()
                values[dimension.name] = dimension.from_unit(u)
        near = space.repair(values)
        if near is not None and space.key(near) not in request.taken | taken:
            found.append(near)
    return found


def _beliefs(
    request: Request,
    view: ChemistryView,
    known: _Known,
    candidates: Sequence[Settings],
    seed: int,
) -> Prediction:
    """Beliefs about candidates, with what is pending counted as giving what is expected of it."""
    if known.pending:
        n = len(known.pending)
        rows = [*known.pending, *candidates]
        bare = _Known(known.settings, known.values, known.sigmas)
        guess = _beliefs(request, view, bare, known.pending, seed)
        known = _Known(
            (*known.pending, *known.settings),
            (*guess.mean.tolist(), *known.values),
            (*[math.nan] * n, *known.sigmas),
        )
        return _beliefs(request, view, known, rows[n:], seed)
    rows = [*known.settings, *candidates]
    n = len(known.settings)
    physical, features, prior = _features(request, view, rows)
    return predict(
        prior,
        (physical[:n], physical[n:]),
        (features[:n], features[n:]),
        np.array(known.values),
        np.array(known.sigmas),
        seed,
    )


def _features(
    request: Request, view: ChemistryView, rows: Sequence[Settings]
) -> tuple[Array, Array, ProcessPrior]:
    """Physical features ``n x 4``, features of the smooth parts ``n x width``, and the prior."""
    space = request.space
    temperature = next((item for item in space.numeric if item.name == TEMPERATURE), None)
    hottest_c = USUAL_TEMPERATURE_C if temperature is None else temperature.high
    scale = _driving_force_scale(view, hottest_c)
    physical = np.zeros((len(rows), len(SLOPES)))
    degassed: list[dict[str, float]] = []
    learnt: list[dict[str, float]] = []
    for i, settings in enumerate(rows):
        temperature_c = temperature_of(settings)
        prospect = view.at(view.synthesis.precursors(settings), temperature_c)
        if temperature is not None and TEMPERATURE in settings:
            physical[i, 0] = temperature.to_unit(temperature_c) - 0.5
        # Where it is hottest, as sets are ranked: a peroxide that survives in a cold furnace is no
        # better for it.
        fresh = view.at(prospect.precursors, hottest_c).fresh
        if fresh is not None:
            physical[i, 1] = (scale[0] - fresh) / scale[1]
        physical[i, 2] = len(prospect.held)
        physical[i, 3] = prospect.is_dead_end
        degassed.append(weight_fractions(prospect.degassed))
        learnt.append(
            {} if prospect.path is None else weight_fractions(prospect.path.before_target)
        )
    blocks = [space.features(rows), _columns(degassed), _columns(learnt)]
    features = np.hstack(blocks)
    numbers = tuple(range(len(space.numeric)))
    parts = []
    if numbers:
        parts.append(Part((numbers,), (NUMBERS_LENGTH,), NUMBERS_AMPLITUDE))
    choices = [
        (tuple(range(block.start, block.stop)), CHOICES_LENGTH, CHOICES_AMPLITUDE)
        for block in space.blocks
    ]
    start = blocks[0].shape[1]
    for block, amplitude in zip(blocks[1:], (DEGASSED_AMPLITUDE, LEARNT_AMPLITUDE), strict=True):
        stop = start + block.shape[1]
        choices.append((tuple(range(start, stop)), PHASES_LENGTH, amplitude))
        start = stop
    for columns, length, amplitude in choices:
        if len(columns) > 1:
            # What a choice does, it does a little differently at other numbers.
            groups = (columns, numbers) if numbers else (columns,)
            lengths = (length, NUMBERS_LENGTH) if numbers else (length,)
            parts.append(Part(groups, lengths, amplitude))
    slopes, sigmas = zip(*SLOPES, strict=True)
    return physical, features, ProcessPrior(MEAN, MEAN_SIGMA, slopes, sigmas, tuple(parts))


def _columns(shares: Sequence[Mapping[str, float]]) -> Array:
    """Weight fractions as a matrix, one column for each phase that occurs."""
    names = sorted(set().union(*shares)) if shares else []
    rows = [[share.get(name, 0.0) for name in names] for share in shares]
    return np.array(rows, dtype=np.float64).reshape(len(shares), len(names))


def _driving_force_scale(view: ChemistryView, hottest_c: float) -> tuple[float, float]:
    """Mean and standard deviation of the sets' driving forces where it is hottest."""
    found = [
        fresh
        for _, precursors in view.synthesis.sets
        if (fresh := view.at(precursors, hottest_c).fresh) is not None
    ]
    if len(found) < 2 or float(np.std(found)) < 1e-9:
        return (found[0] if found else 0.0), 1.0
    return float(np.mean(found)), float(np.std(found))
