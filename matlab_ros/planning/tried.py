"""What the methods without a model see of a campaign: points of the unit cube and their values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from matlab_ros.planning.observation import ObservationStatus
from matlab_ros.planning.proposer import Proposal, Request
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Array, Key, SearchSpace

PIECES = (16, 64, 256, 1024, 2736)
"""Settings drawn at once where random ones are wanted: mostly the first piece is enough."""

MAX_TRIES = sum(PIECES)
"""Points looked at for one that is not taken, before a space counts as exhausted."""

MIDDLE = 0.5
"""Coordinate of a parameter that does not exist with the choices that were made."""

FAILED = -math.inf
"""Value of what did not work: worse than anything that did."""


@dataclass(frozen=True)
class Tried:
    """An experiment that taught something.

    Attributes:
        experiment_id: of the observation.
        settings: as asked for, because that is where the next step starts from.
        value: larger is better; `FAILED` where the chemistry did not work.
    """

    experiment_id: str
    settings: Settings
    value: float


def tried(request: Request) -> list[Tried]:
    """What was learned, by experiment id; abandoned and unreadable results taught nothing."""
    found = []
    for item in request.observations:
        settings = item.requested or item.settings
        if item.has_value:
            found.append(
                Tried(item.experiment_id, settings, request.direction.sign * item.objective)
            )
        elif item.status is ObservationStatus.INFEASIBLE:
            found.append(Tried(item.experiment_id, settings, FAILED))
    return found


def to_unit(space: SearchSpace, settings: Settings) -> Array:
    """The point of the unit cube where settings stand, one coordinate per dimension.

    What was measured outside is held inside, and what does not exist with these choices is in the
    middle.
    """
    known = (
        item.to_unit(settings[item.name]) if item.name in settings else MIDDLE
        for item in space.dimensions
    )
    return np.asarray(np.clip(np.array(list(known)), 0.0, 1.0), dtype=np.float64)


def near(space: SearchSpace, point: Array) -> Settings | None:
    """Settings that obey everything, at or near a point of the unit cube; None without any."""
    values = {
        item.name: item.from_unit(float(u))
        for item, u in zip(space.dimensions, np.clip(point, 0.0, 1.0), strict=True)
    }
    return space.repair({name: values[name] for name in space.existing(values)})


def spread_of(values: Iterable[float]) -> float:
    """Standard deviation of the finite ones among values; 1 where they do not differ."""
    finite = [value for value in values if math.isfinite(value)]
    spread = float(np.std(finite)) if finite else 0.0
    return spread if spread > 0 and math.isfinite(spread) else 1.0


def without_model(settings: Settings, method: str) -> Proposal:
    """A proposal of which nothing is predicted."""
    return Proposal(settings, math.nan, math.nan, math.nan, method, "none")


def first_free(
    request: Request,
    candidates: Iterable[Settings | None],
    count: int,
    taken: Iterable[Key] = (),
) -> list[Settings]:
    """The first settings among candidates that are neither taken nor repeated.

    Args:
        request: whose space and experiments are meant.
        candidates: looked at in their order, until there are enough; None is none.
        count: how many are wanted.
        taken: further settings to leave out.
    """
    known: set[Key] = {*request.taken, *taken}
    found: list[Settings] = []
    if count < 1:
        return found
    for settings in candidates:
        if settings is None:
            continue
        key = request.space.key(settings)
        if key not in known:
            known.add(key)
            found.append(settings)
            if len(found) == count:
                break
    return found


def random_free(
    request: Request, rng: np.random.Generator, count: int, taken: Iterable[Key] = ()
) -> list[Settings]:
    """Random settings that are neither taken nor repeated; of a finite space what is left."""
    taken = {*request.taken, *taken}
    table = request.space.table
    if table is not None:
        left = [row for row in table if request.space.key(row) not in taken]
        return [left[index] for index in rng.permutation(len(left))[:count]]
    pieces = (request.space.sample(size, rng) for size in PIECES)
    return first_free(request, itertools.chain.from_iterable(pieces), count, taken)
