"""Where an acquisition is largest: whole tables, or a pool refined by L-BFGS-B on the box."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from matlab_ros.planning.acquisition import Acquisition
from matlab_ros.planning.baselines import sobol_points
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Array, Key, SearchSpace

POOL = 1024
"""Points of the pool, shared equally among the combinations of choices."""

MIN_POOL_PER_COMBINATION = 16
MAX_COMBINATIONS = 128
"""Of choices; of more, a random part is looked at."""

LOCAL_SPREAD = (0.02, 0.1)
"""Distances, in the unit cube, at which the pool looks around the best observed point."""

LOCAL_POINTS = 32
RESTARTS = 4
"""Points of the pool that are refined, in different combinations of choices where possible."""

MAX_REFINEMENTS = 20

LOOKED_AT_AGAIN = 32
"""Candidates of a table that are looked at together while a batch is chosen."""


@dataclass(frozen=True)
class Candidates:
    """Settings to choose from, in random order, and their features ``n x width``."""

    settings: tuple[Settings, ...]
    features: Array


class Bounds:
    """What each candidate is worth at most, from when it was looked at last.

    Whatever is chosen and pending only takes from what another experiment can improve, so a value
    seen before is a bound, and only candidates whose bounds are above the best value need to be
    looked at again (lazy greedy maximisation; Minoux, Optimization Techniques, 234, 1978).

    Args:
        count: of candidates.
    """

    def __init__(self, count: int) -> None:
        self._bounds = np.full(count, np.inf)

    def best(
        self, acquisition: Acquisition, candidates: Candidates, free: Sequence[int]
    ) -> tuple[int, float]:
        """The candidate of the highest value among `free`, and its value."""
        order = np.array(free)[np.argsort(-self._bounds[free], kind="stable")]
        fresh = np.full(len(self._bounds), -np.inf)
        at = 0
        while at < len(order) and self._bounds[order[at]] > fresh.max():
            # Those without a bound must be looked at anyway, all at once.
            unknown = int(np.isinf(self._bounds[order[at:]]).sum())
            piece = order[at : at + max(unknown, LOOKED_AT_AGAIN)]
            points = torch.as_tensor(candidates.features[piece])
            fresh[piece] = self._bounds[piece] = acquisition.of_many(points).numpy()
            at += len(piece)
        top = int(np.argmax(fresh))
        return top, float(fresh[top])


def table_candidates(space: SearchSpace, rng: np.random.Generator) -> Candidates | None:
    """All of a finite space, None where it is too large.

    The order is random: the first of several equal values is taken, and a table's own order may
    carry knowledge that the planner is not supposed to have.
    """
    if space.table is None:
        return None
    settings = tuple(space.table[index] for index in rng.permutation(len(space.table)))
    return Candidates(settings, space.features(settings))


def pool_candidates(space: SearchSpace, best: Settings, rng: np.random.Generator) -> Candidates:
    """Points all over a space and near the best known one."""
    combinations = _combinations(space, rng)
    per_combination = max(POOL // len(combinations), MIN_POOL_PER_COMBINATION)
    seed = int(rng.integers(2**31))
    numeric = len(space.numeric)
    points = sobol_points(per_combination * len(combinations), max(numeric, 1), seed)[:, :numeric]
    rows = list(zip(itertools.cycle(combinations), points, strict=False))
    own = tuple(best.choice(item.name) for item in space.categorical)
    center = np.array([item.to_unit(best[item.name]) for item in space.numeric])
    for spread in LOCAL_SPREAD:
        near = center + spread * rng.standard_normal((LOCAL_POINTS, numeric))
        rows += [(own, point) for point in np.clip(near, 0.0, 1.0)]
    order = rng.permutation(len(rows))
    settings = tuple(_settings(space, *rows[index]) for index in order)
    return Candidates(settings, space.features(settings))


def maximise(
    space: SearchSpace,
    acquisition: Acquisition,
    candidates: Candidates,
    taken: frozenset[Key],
    refine: bool,
    bounds: Bounds | None = None,
) -> tuple[Settings, float] | None:
    """The most valuable settings that are not taken, and their value.

    Args:
        space: to choose from.
        acquisition: to be made large.
        candidates: to start from.
        taken: never returned.
        refine: follow the gradient from the best candidates; for spaces that are not a table.
        bounds: of a greedy choice of several from the same candidates, not with `refine`.

    Returns:
        None where every candidate is taken.
    """
    free = [n for n, item in enumerate(candidates.settings) if space.key(item) not in taken]
    if not free:
        return None
    if bounds is not None and not refine:
        top, value = bounds.best(acquisition, candidates, free)
        return candidates.settings[top], value
    values = acquisition.of_many(torch.as_tensor(candidates.features[free])).numpy()
    ranked = [candidates.settings[free[n]] for n in np.argsort(-values, kind="stable")]
    best = ranked[0], float(values.max())
    if not refine or not space.numeric:
        return best
    starts = _different(space, ranked)
    refined = [item for item in _refine(space, acquisition, starts) if space.key(item) not in taken]
    if refined:
        # Rounding to steps may cost more than the refinement gained: what counts is the value
        # of what can be done.
        after = acquisition.of_many(torch.as_tensor(space.features(refined))).numpy()
        top = int(np.argmax(after))
        if after[top] > best[1]:
            best = refined[top], float(after[top])
    return best


def _refine(
    space: SearchSpace, acquisition: Acquisition, starts: Sequence[Settings]
) -> list[Settings]:
    """Follow the gradient of all starts together, their choices fixed."""
    choices = [tuple(item.choice(each.name) for each in space.categorical) for item in starts]
    fixed = torch.as_tensor(np.stack([space.category_features(item) for item in choices]))
    numeric = len(space.numeric)
    first = np.clip(space.features(starts)[:, :numeric], 0.0, 1.0)

    def assemble(flat: Array) -> tuple[Tensor, Tensor]:
        point = torch.as_tensor(flat.reshape(first.shape)).requires_grad_(True)
        return point, torch.cat([point, fixed], dim=-1)

    def loss(flat: Array) -> tuple[float, Array]:
        point, features = assemble(flat)
        # The starts do not touch each other, so the sum's optimum is that of every one.
        total = -acquisition(features).sum()
        (gradient,) = torch.autograd.grad(total, point)
        if not (math.isfinite(total.item()) and bool(torch.isfinite(gradient).all())):
            return math.inf, np.zeros(flat.shape)
        return total.item(), gradient.numpy().ravel().astype(np.float64)

    result = minimize(
        loss,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * first.size,
        options={"maxiter": MAX_REFINEMENTS},
    )
    ends = np.clip(np.asarray(result.x, dtype=np.float64), 0.0, 1.0).reshape(first.shape)
    return [
        _settings(space, choice, point)
        for choice, point in zip(choices, ends, strict=True)
        if bool(np.isfinite(point).all())
    ]


def _different(space: SearchSpace, ranked: Sequence[Settings]) -> list[Settings]:
    """The best few starts: first the best of different combinations of choices, then the next."""
    starts: list[Settings] = []
    seen: set[tuple[str, ...]] = set()
    for settings in ranked:
        combination = tuple(settings.choice(item.name) for item in space.categorical)
        if combination not in seen:
            seen.add(combination)
            starts.append(settings)
        if len(starts) == RESTARTS:
            return starts
    rest = (settings for settings in ranked if settings not in starts)
    return starts + list(itertools.islice(rest, RESTARTS - len(starts)))


def _combinations(space: SearchSpace, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """All combinations of choices, or a random part of very many; one empty one without any."""
    count = math.prod(item.count() for item in space.categorical)
    if count <= MAX_COMBINATIONS:
        return list(itertools.product(*(item.choices for item in space.categorical)))
    chosen = rng.random((MAX_COMBINATIONS, len(space.categorical)))
    drawn = (
        tuple(item.from_unit(float(u)) for item, u in zip(space.categorical, row, strict=True))
        for row in chosen
    )
    return list(dict.fromkeys(drawn))


def _settings(space: SearchSpace, choices: Sequence[str], point: Array) -> Settings:
    """Settings of choices and coordinates of the numbers."""
    numbers = {
        item.name: item.from_unit(float(u)) for item, u in zip(space.numeric, point, strict=True)
    }
    names = (item.name for item in space.categorical)
    return Settings({**numbers, **dict(zip(names, choices, strict=True))})
