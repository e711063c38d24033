"""Proposals by a random walk: simulated annealing, and Markov-chain Monte Carlo (Metropolis).

The walk is read from the observations, in the order of their ids: each is accepted or not as the
next place of the walker, by a random number that belongs to its id. So the walker's place follows
from what is known and from the seed, not from the order in which it came to be known, and what
somebody else has measured moves it too. With several experiments in flight, some were proposed from
a place that the walker has left by the time they are known: the walk stays a good search, while the
distribution of a Metropolis chain is exact only one at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from matlab_ros.planning.baselines import SobolProposer
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.space import Array, Key
from matlab_ros.planning.tried import (
    MAX_TRIES,
    Tried,
    first_free,
    near,
    random_free,
    spread_of,
    to_unit,
    tried,
    without_model,
)

JUMP = 0.15
"""Chance for a coordinate to be drawn anew instead of moved: how a choice changes."""

TRIES_PER_WIDTH = 64
"""Steps tried before they become longer, where everything near is taken."""


@dataclass(frozen=True)
class Schedule:
    """How warm a walk is, and how far its steps go, at its n-th experiment.

    Attributes:
        name: of the method.
        temperature: at the start, in standard deviations of the values seen so far.
        step: standard deviation of a step in the unit cube, at the start.
        cooling: factor of both from one experiment to the next.
        least_step: below which a step does not shrink.
    """

    name: str
    temperature: float
    step: float
    cooling: float = 1.0
    least_step: float = 0.02

    def temperature_at(self, number: int) -> float:
        """Temperature at the experiment of this number, from 0."""
        return self.temperature * self.cooling**number

    def step_at(self, number: int) -> float:
        """Length of a step there."""
        return max(self.step * self.cooling**number, self.least_step)


ANNEALING = Schedule("annealing", temperature=0.5, step=0.3, cooling=0.93)
"""Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983); geometric cooling, to a tenth in 32."""

METROPOLIS = Schedule("mcmc", temperature=0.3, step=0.15)
"""Metropolis et al., J. Chem. Phys. 21, 1087 (1953), of the density exp(value / temperature)."""


class WalkProposer:
    """A walker that a schedule makes calmer, or not.

    Args:
        schedule: `ANNEALING`, `METROPOLIS` or one of one's own.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        known = tried(request)
        place = walk(known, self._schedule, request.campaign_seed)
        if place is None:
            return SobolProposer().propose(request)
        rng = np.random.default_rng(derived_seed(request.seed, self._schedule.name))
        start = to_unit(request.space, place.settings)
        steps = _steps(start, self._schedule.step_at(len(known)), rng)
        found = first_free(request, (near(request.space, row) for row in steps), request.count)
        if len(found) < request.count:
            keys: list[Key] = [request.space.key(item) for item in found]
            found += random_free(request, rng, request.count - len(found), keys)
        return [without_model(item, self._schedule.name) for item in found]


def walk(known: Sequence[Tried], schedule: Schedule, seed: int) -> Tried | None:
    """Where a walk that saw these experiments stands, None before the first."""
    place: Tried | None = None
    spread = spread_of(item.value for item in known)
    for number, item in enumerate(known):
        if place is None or item.value >= place.value:
            place = item
            continue
        chance = math.exp((item.value - place.value) / (spread * schedule.temperature_at(number)))
        draw = np.random.default_rng(derived_seed(seed, "accept", item.experiment_id)).random()
        if draw < chance:
            place = item
    return place


def _steps(start: Array, width: float, rng: np.random.Generator) -> Iterator[Array]:
    """Points near a point, at growing distances."""
    for number in range(MAX_TRIES):
        widened = width * 2 ** (number // TRIES_PER_WIDTH)
        moved = _reflected(start + min(widened, 1.0) * rng.standard_normal(len(start)))
        jumps = rng.random(len(start)) < JUMP
        yield np.where(jumps, rng.random(len(start)), moved)


def _reflected(point: Array) -> Array:
    """A point outside of the unit cube folded back into it: a step back is as likely as there."""
    folded = np.mod(point, 2.0)
    return np.asarray(np.where(folded > 1.0, 2.0 - folded, folded), dtype=np.float64)
