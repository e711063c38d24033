"""Proposals without a model: uniformly random, and Sobol's sequence."""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy.stats import qmc

from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Array, Key

MAX_TRIES = 4096
"""Points looked at for one that is not taken, before a space counts as exhausted."""


def without_model(settings: Settings, method: str) -> Proposal:
    """A proposal of which nothing is predicted."""
    return Proposal(settings, math.nan, math.nan, math.nan, method, "none")


class RandomProposer:
    """Every setting equally likely; of a finite space without repetition."""

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        rng = np.random.default_rng(derived_seed(request.seed, "random"))
        table = request.space.table
        if table is not None:
            taken = request.taken
            left = [row for row in table if request.space.key(row) not in taken]
            order = rng.permutation(len(left))[: request.count]
            return [without_model(left[index], "random") for index in order]
        points = rng.random((MAX_TRIES, len(request.space.dimensions)))
        return [without_model(item, "random") for item in _first_free(request, points)]


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
        found = _first_free(request, points)
        table = request.space.table
        if table is not None and len(found) < request.count:
            # Sobol's points meet the last rows of a table late; what is left is taken as it comes.
            known = {request.space.key(item) for item in found} | request.taken
            found += [row for row in table if request.space.key(row) not in known]
        return [without_model(item, "sobol") for item in found[: request.count]]


def sobol_points(count: int, dimensions: int, seed: int) -> Array:
    """The first points of a scrambled Sobol sequence, ``count x dimensions`` in [0, 1)."""
    with warnings.catch_warnings():
        # Balance holds for powers of two; a sequence that is used point by point is not balanced.
        warnings.filterwarnings("ignore", message="The balance properties")
        points = qmc.Sobol(d=dimensions, scramble=True, rng=seed).random(count)
    return np.asarray(points, dtype=np.float64)


def _first_free(request: Request, points: Array) -> list[Settings]:
    """The first settings among points of the unit cube that are neither taken nor repeated."""
    known: set[Key] = set(request.taken)
    found: list[Settings] = []
    for point in points:
        if len(found) == request.count:
            break
        settings = request.space.from_unit(point)
        key = request.space.key(settings)
        if key not in known:
            known.add(key)
            found.append(settings)
    return found
