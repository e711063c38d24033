"""Proposals by a genetic algorithm: parents from the best, crossed and mutated, one at a time.

A steady-state algorithm (Whitley, ICGA 1989): there are no generations to wait for, so any number
of children may be in flight. The population is whatever was observed, by whomever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from matlab_ros.planning.baselines import SobolProposer
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.space import Array
from matlab_ros.planning.tried import (
    MAX_TRIES,
    first_free,
    near,
    random_free,
    to_unit,
    tried,
    without_model,
)

POPULATION = 20
"""The best so many may have children."""

TOURNAMENT = 2
"""Drawn from the population for each parent, of whom the best becomes it."""

MUTATION_WIDTH = 0.1
"""Standard deviation of a mutation in the unit cube."""

REDRAWN = 0.05
"""Chance for a coordinate to be drawn anew."""


class GeneticProposer:
    """Sobol points first, then children of the best."""

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        known = tried(request)
        begun = len(known) + len(request.pending)
        if len(known) < 2 or begun < request.initial_experiments:
            return SobolProposer().propose(request)
        # Of equal values the later one stays: it brings something new.
        ranked = sorted(range(len(known)), key=lambda n: (-known[n].value, -n))[:POPULATION]
        parents = [to_unit(request.space, known[n].settings) for n in ranked]
        rng = np.random.default_rng(derived_seed(request.seed, "genetic"))
        children = (near(request.space, row) for row in _children(parents, rng))
        found = first_free(request, children, request.count)
        if len(found) < request.count:
            keys = [request.space.key(item) for item in found]
            found += random_free(request, rng, request.count - len(found), keys)
        return [without_model(item, "genetic") for item in found]


def _children(parents: Sequence[Array], rng: np.random.Generator) -> Iterator[Array]:
    """Children of parents, which stand in the order of their fitness; `MAX_TRIES` of them."""
    width = len(parents[0])
    for _ in range(MAX_TRIES):
        one, other = (
            parents[int(rng.integers(len(parents), size=TOURNAMENT).min())] for _ in range(2)
        )
        child = np.where(rng.random(width) < 0.5, one, other)
        mutated = rng.random(width) < 1 / width
        child = child + mutated * MUTATION_WIDTH * rng.standard_normal(width)
        redrawn = rng.random(width) < REDRAWN
        yield np.where(redrawn, rng.random(width), np.clip(child, 0.0, 1.0))
