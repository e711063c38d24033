"""Proposals by the simplex of Nelder and Mead (Computer Journal 7, 308, 1965).

The search is run again from its start at every request, on what is known: it looks up the value
of each point it wants, and where one is unknown that is the next experiment. So it needs no memory.
While that experiment is in flight, the other points that this simplex may want next are proposed
(expansion, contractions, shrinking; Lee and Wiswall, Computational Economics 30, 171, 2007), and
after these the simplexes that start elsewhere. A simplex that has become too small to matter gives
way to one that starts elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from matlab_ros.planning.baselines import sobol_points
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.space import Array, Key
from matlab_ros.planning.tried import (
    FAILED,
    first_free,
    near,
    random_free,
    to_unit,
    tried,
    without_model,
)

METHOD = "nelder-mead"

EDGE = 0.3
"""Length of a new simplex's edges in the unit cube."""

LEAST_EDGE = 0.005
"""Largest extent, along any coordinate, of a simplex that gives way to another."""

MAX_STARTS = 32
"""Simplexes that are looked at for one request."""

MAX_MOVES = 200
"""Moves of one simplex: on a coarse grid it may turn in circles."""

SAME = 0.01
"""Extent within which an experiment that came without what was asked for answers a point."""

Look = Callable[[Array], float | None]
"""Value at a point of the unit cube, larger is better; None where it is not known."""


@dataclass(frozen=True)
class Simplex:
    """Points with their values, the best first.

    Attributes:
        points: ``(d + 1) x d``.
        values: of the points.
    """

    points: Array
    values: tuple[float, ...]

    @property
    def extent(self) -> float:
        """Its largest extent along any coordinate."""
        return float(np.max(self.points.max(axis=0) - self.points.min(axis=0)))


class NelderMeadProposer:
    """Reflects, expands, contracts and shrinks; restarts where it has converged."""

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        wanted = (near(request.space, row) for row in self._wanted(request))
        found = first_free(request, wanted, request.count)
        if len(found) < request.count:
            rng = np.random.default_rng(derived_seed(request.seed, METHOD))
            keys = [request.space.key(item) for item in found]
            found += random_free(request, rng, request.count - len(found), keys)
        return [without_model(item, METHOD) for item in found]

    def _wanted(self, request: Request) -> Iterator[Array]:
        """Points in the order in which their values are wanted."""
        look = _memory(request)
        width = len(request.space.dimensions)
        seed = derived_seed(request.campaign_seed, METHOD)
        for start in sobol_points(MAX_STARTS, width, seed):
            yield from wanted_of(_corners(start), lambda point: _placed(request, point), look)


def wanted_of(corners: Array, place: Callable[[Array], Array], look: Look) -> Iterator[Array]:
    """The points whose values a simplex wants next; none where it has converged.

    Args:
        corners: of the first simplex, ``(d + 1) x d``.
        place: moves a point to where an experiment can be done.
        look: gives values.
    """
    points = np.array([place(corner) for corner in corners])
    values = [look(point) for point in points]
    if any(value is None for value in values):
        yield from (point for point in points if look(point) is None)
        return
    simplex = _sorted(points, [value for value in values if value is not None])
    for _ in range(MAX_MOVES):
        if simplex.extent < LEAST_EDGE:
            return
        moved = Moves.of(simplex, place).apply(simplex, look)
        if not isinstance(moved, Simplex):
            yield from (point for point in moved if look(point) is None)
            return
        simplex = moved


@dataclass(frozen=True)
class Moves:
    """The points that a simplex may want, all known beforehand."""

    reflected: Array
    expanded: Array
    outside: Array
    inside: Array
    shrunk: Array

    @classmethod
    def of(cls, simplex: Simplex, place: Callable[[Array], Array]) -> Moves:
        """Moves with the usual factors 1, 2, 1/2, 1/2."""
        best, worst = simplex.points[0], simplex.points[-1]
        center = simplex.points[:-1].mean(axis=0)
        away = center - worst
        return cls(
            place(center + away),
            place(center + 2 * away),
            place(center + away / 2),
            place(center - away / 2),
            np.array([place((best + point) / 2) for point in simplex.points[1:]]),
        )

    def apply(self, simplex: Simplex, look: Look) -> Simplex | tuple[Array, ...]:
        """The next simplex, or where that takes an unknown value the points to be known for it:
        first those that are missing now, then those that may be missing after them."""
        values = simplex.values
        reflected = look(self.reflected)
        if reflected is None:
            return self.reflected, self.expanded, self.outside, self.inside, *self.shrunk
        if reflected > values[0]:
            expanded = look(self.expanded)
            if expanded is None:
                return (self.expanded,)
            if expanded > reflected:
                return _replaced(simplex, self.expanded, expanded)
            return _replaced(simplex, self.reflected, reflected)
        if reflected > values[-2]:
            return _replaced(simplex, self.reflected, reflected)
        point = self.outside if reflected > values[-1] else self.inside
        contracted = look(point)
        if contracted is None:
            return point, *self.shrunk
        if contracted > max(reflected, values[-1]):
            return _replaced(simplex, point, contracted)
        shrunk = [look(point) for point in self.shrunk]
        known = [value for value in shrunk if value is not None]
        if len(known) < len(shrunk):
            return tuple(self.shrunk)
        return _sorted(np.vstack([simplex.points[:1], self.shrunk]), [values[0], *known])


def _sorted(points: Array, values: list[float]) -> Simplex:
    order = np.argsort(-np.array(values), kind="stable")
    return Simplex(points[order], tuple(values[index] for index in order))


def _replaced(simplex: Simplex, point: Array, value: float) -> Simplex:
    """A simplex with another point instead of its worst."""
    return _sorted(np.vstack([simplex.points[:-1], point]), [*simplex.values[:-1], value])


def _corners(start: Array) -> Array:
    """A right-angled simplex at a point, its edges turned inwards."""
    edges = np.where(start > 0.5, -EDGE, EDGE)
    return np.vstack([start, start + np.diag(edges)])


def _placed(request: Request, point: Array) -> Array:
    """Where an experiment near a point can be done; the point itself where none can."""
    settings = near(request.space, point)
    return np.clip(point, 0.0, 1.0) if settings is None else to_unit(request.space, settings)


def _memory(request: Request) -> Look:
    """What is known of points: exactly where it is, or nearly where nobody said what was asked."""
    space = request.space
    values: dict[Key, list[float]] = {}
    for known in tried(request):
        values.setdefault(space.key(known.settings), []).append(known.value)
    for item in request.observations:
        # A point that was abandoned is not tried again; the simplex goes on without it.
        values.setdefault(space.key(item.requested or item.settings), [FAILED])
    unsaid = [item.settings for item in request.observations if item.requested is None]
    places = np.array([to_unit(space, item) for item in unsaid])
    waiting = {space.key(item.settings) for item in request.pending}

    def look(point: Array) -> float | None:
        settings = near(space, point)
        if settings is None:
            return FAILED
        key = space.key(settings)
        if key in values:
            return float(np.mean(values[key]))
        if key in waiting or not len(places):
            return None
        distances = np.abs(places - point).max(axis=1)
        nearest = int(np.argmin(distances))
        if distances[nearest] > SAME:
            return None
        return float(np.mean(values[space.key(unsaid[nearest])]))

    return look
