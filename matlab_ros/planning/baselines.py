"""Proposals without a model or memory: uniformly random, Sobol's sequence, and a grid."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator

import numpy as np
from scipy.stats import qmc

from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Array, SearchSpace
from matlab_ros.planning.tried import MAX_TRIES, first_free, random_free, without_model

MAX_LEVELS = 9
"""Values of a dimension up to which a grid takes all of them at once."""

MAX_GRID = 100_000
"""Points of a grid looked at before the rest is drawn at random."""


class RandomProposer:
    """Every setting equally likely; of a finite space without repetition."""

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        rng = np.random.default_rng(derived_seed(request.seed, "random"))
        found = random_free(request, rng, request.count)
        return [without_model(item, "random") for item in found]


class SobolProposer:
    """Owen-scrambled Sobol points (Owen, J. Complexity 14, 466, 1998), seeded by the campaign.

    The sequence is entered at the number of experiments that there are, so that reports and
    restarts do not change it.
    """

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        start = len(request.observations) + len(request.pending)
        seed = derived_seed(request.campaign_seed, "sobol")
        points = sobol_points(start + MAX_TRIES, len(request.space.dimensions), seed)[start:]
        space = request.space
        found = first_free(
            request, (space.repair(space.from_unit(row)) for row in points), request.count
        )
        if space.table is not None:
            # Sobol's points meet the last rows of a table late; what is left is taken as it comes.
            known = {space.key(item) for item in found} | request.taken
            found += [row for row in space.table if space.key(row) not in known]
        return [without_model(item, "sobol") for item in found[: request.count]]


class GridProposer:
    """A full-factorial grid from coarse to fine: three levels of every number, then five, nine ...

    Choices and short lists of numbers stand in it with all their values from the start. A finer
    grid contains the coarser one, of which nothing is repeated. The last parameter moves first.
    """

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        points = itertools.islice(grid_points(request.space), MAX_GRID)
        found = first_free(request, (_on_grid(request.space, row) for row in points), request.count)
        if len(found) < request.count:
            rng = np.random.default_rng(derived_seed(request.seed, "grid"))
            known = [request.space.key(item) for item in found]
            found += random_free(request, rng, request.count - len(found), known)
        return [without_model(item, "grid") for item in found]


def _on_grid(space: SearchSpace, point: Array) -> Settings | None:
    """Settings at a point of a grid, None where they do not obey everything."""
    settings = space.from_unit(point)
    return settings if space.contains(settings) else None


def grid_points(space: SearchSpace) -> Iterator[Array]:
    """Points of the unit cube in the order of `GridProposer`, without end where a number has none.

    Points of a coarser grid come again in a finer one.
    """
    for fineness in itertools.count(1):
        levels = []
        is_complete = True
        for dimension in space.dimensions:
            count = dimension.count()
            if count is not None and count <= max(MAX_LEVELS, 2**fineness + 1):
                levels.append([dimension.to_unit(value) for value in dimension.values()])
            else:
                levels.append([n / 2**fineness for n in range(2**fineness + 1)])
                is_complete = False
        yield from (np.array(point) for point in itertools.product(*levels))
        if is_complete or math.prod(len(item) for item in levels) > MAX_GRID:
            return


def sobol_points(count: int, dimensions: int, seed: int) -> Array:
    """The first points of a scrambled Sobol sequence, ``count x dimensions`` in [0, 1)."""
    with warnings.catch_warnings():
        # Balance holds for powers of two; a sequence that is used point by point is not balanced.
        warnings.filterwarnings("ignore", message="The balance properties")
        points = qmc.Sobol(d=dimensions, scramble=True, rng=seed).random(count)
    return np.asarray(points, dtype=np.float64)
