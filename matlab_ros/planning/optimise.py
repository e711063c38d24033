"""Where an acquisition is largest: whole tables, or a scored pool refined by gradients in a box.

Mixtures are mapped to a box, so L-BFGS-B needs no constraint for them; of other constraints it pays
for violations, and what it ends at is then moved to where they hold exactly. Choices, and which
components a mixture has, change by local moves. Several points are chosen greedily, each given the
ones before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from matlab_ros.planning.cells import Array, Cells
from matlab_ros.planning.constraints import TOLERANCE
from matlab_ros.planning.deadline import NEVER, Deadline
from matlab_ros.planning.refine import Refiner
from matlab_ros.planning.region import Region
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Key, SearchSpace

Rows = npt.NDArray[np.int64]

POOL = 1024
"""Points of the pool, spread over all cells."""

MIN_POOL_PER_CELL = 16
MAX_POOL = 2048

LOCAL_SPREAD = (0.02, 0.1)
"""Distances, in the unit cube, at which the pool looks around the best observed point."""

LOCAL_POINTS = 32

PIECE = 512
"""Points of a pool that are looked at between two looks at the clock."""

RESTARTS = 8
"""Points of the pool that are refined, half of them in different cells where possible."""

MOVES = 3
"""Rounds of local moves; each is followed by a refinement where it found something."""

LOOKED_AT_AGAIN = 32
"""Candidates of a table that are looked at together while a batch is chosen."""

POOL_LOOKED_AT_AGAIN = 256
"""Points of a pool likewise; the others were worth less before, and are worth no more now."""


class Acquisition(Protocol):
    """The worth of one more experiment, given all that is observed and pending."""

    def __call__(self, points: Tensor) -> Tensor:
        """Worth of each of the points, ``n x width`` -> ``n``; a gradient is used if it has one."""
        ...

    def of_many(self, points: Tensor) -> Tensor:
        """The same without gradients, for any number of points."""
        ...

    def add_pending(self, points: Tensor) -> None:
        """Count points, ``m x width``, as being under way: all of them, replacing earlier ones."""
        ...


@dataclass(frozen=True)
class Candidates:
    """Settings to choose from, in random order, and their features ``n x width``."""

    settings: tuple[Settings, ...]
    features: Array


@dataclass(frozen=True)
class Pool:
    """Points to start from: numbers and cells of a space's region, and features ``n x width``."""

    numbers: Array
    cells: Cells
    features: Array

    def take(self, rows: Sequence[int] | Rows) -> Pool:
        """Some of them."""
        index = np.asarray(rows, dtype=int)
        return Pool(self.numbers[index], self.cells.take(index), self.features[index])


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


def choose(
    space: SearchSpace,
    acquisition: Acquisition,
    count: int,
    *,
    taken: frozenset[Key],
    pending: Sequence[Settings],
    near: Sequence[Settings],
    rng: np.random.Generator,
    deadline: Deadline = NEVER,
) -> list[tuple[Settings, float]]:
    """The most valuable experiments one after the other, each given the ones before it.

    Args:
        space: to choose from.
        acquisition: to be made large; what is pending is added to it.
        count: how many are wanted.
        taken: never chosen.
        pending: under way, and known to the acquisition.
        near: good experiments that the pool looks around.
        rng: of the pool.
        deadline: when the search gives what it has: the first points of the pool at least are
            always looked at, so there is an answer for each that is wanted.

    Returns:
        Settings and their worth, fewer than `count` where a finite space has nothing left.
    """
    under_way = list(pending)
    found: list[tuple[Settings, float]] = []
    table = table_candidates(space, rng)
    bounds = None if table is None else Bounds(len(table.settings))
    search = None if table is not None else PoolSearch(space, acquisition, near, rng, deadline)
    while len(found) < count:
        if search is not None:
            best = search.best(taken)
        else:
            assert table is not None
            best = maximise(space, acquisition, table, taken, False, bounds)
        if best is None:
            break
        found.append(best)
        taken |= {space.key(best[0])}
        under_way.append(best[0])
        if len(found) < count:
            acquisition.add_pending(torch.as_tensor(space.features(under_way)))
    return found


def table_candidates(space: SearchSpace, rng: np.random.Generator) -> Candidates | None:
    """All of a finite space, None where it is too large.

    The order is random: the first of several equal values is taken, and a table's own order may
    carry knowledge that the planner is not supposed to have.
    """
    if space.table is None:
        return None
    settings = tuple(space.table[index] for index in rng.permutation(len(space.table)))
    return Candidates(settings, space.features(settings))


def pool_candidates(
    space: SearchSpace, best: Settings | Sequence[Settings], rng: np.random.Generator
) -> Pool:
    """Points all over a space and near good ones; all obey every constraint."""
    region = space.region
    cells = 1 if region.cells is None else len(region.cells)
    count = min(max(POOL, MIN_POOL_PER_CELL * cells), MAX_POOL)
    parts = [region.sample(count, rng)]
    good = [best] if isinstance(best, Settings) else list(best)
    if good:
        numbers, own = region.arrays(good)
        rows = np.repeat(np.arange(len(good)), LOCAL_POINTS)
        for spread in LOCAL_SPREAD:
            parts.append(region.near(numbers[rows], own.take(rows), spread, rng))
    return pool_of(region, parts, rng)


def pool_of(
    region: Region, parts: Sequence[tuple[Array, Cells]], rng: np.random.Generator | None = None
) -> Pool:
    """One pool of several parts, in random order where there is a generator for it."""
    numbers = np.concatenate([part for part, _ in parts])
    cells = Cells.of([own for _, own in parts])
    pool = Pool(numbers, cells, region.features(numbers, cells))
    return pool if rng is None else pool.take(rng.permutation(len(cells)))


def maximise(
    space: SearchSpace,
    acquisition: Acquisition,
    candidates: Candidates | Pool,
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
        refine: follow the gradient from the best of a pool.
        bounds: of a greedy choice of several from the same table.

    Returns:
        None where every candidate is taken.
    """
    if isinstance(candidates, Pool):
        search = PoolSearch(space, acquisition, (), np.random.default_rng(0), NEVER, candidates)
        return search.best(taken, refine)
    free = [n for n, item in enumerate(candidates.settings) if space.key(item) not in taken]
    if not free:
        return None
    top, value = (bounds or Bounds(len(candidates.settings))).best(acquisition, candidates, free)
    return candidates.settings[top], value


class PoolSearch:
    """Looks for the best points of a space that is no table, one after the other.

    Args:
        space: to choose from.
        acquisition: to be made large.
        near: good experiments that the pool looks around.
        rng: of the pool.
        deadline: see `choose`.
        pool: to start from; None: one is drawn.
    """

    def __init__(
        self,
        space: SearchSpace,
        acquisition: Acquisition,
        near: Sequence[Settings],
        rng: np.random.Generator,
        deadline: Deadline = NEVER,
        pool: Pool | None = None,
    ) -> None:
        self._space = space
        self._region = space.region
        self._acquisition = acquisition
        self._deadline = deadline
        self._rng = rng
        self._pool = pool_candidates(space, near, rng) if pool is None else pool
        self._values = np.full(len(self._pool.cells), np.nan)

    def best(self, taken: frozenset[Key], refine: bool = True) -> tuple[Settings, float] | None:
        """The best settings that are not taken, and their worth; None where all were taken."""
        ranked = self._ranked()
        free = self._free(self._pool, ranked, taken, RESTARTS)
        if not free:
            return None
        found = self._pool.take(free)
        values = self._values[free]
        if refine and not self._deadline.is_over:
            found, values = self._refined(found, values, ranked)
            free = self._free(found, np.argsort(-values, kind="stable"), taken, 1)
        else:
            free = [0]
        row = free[0]
        settings = self._region.settings(found.numbers[[row]], found.cells.take([row]))[0]
        return settings, float(values[row])

    def _ranked(self) -> Rows:
        """Rows of the pool from the best to the worst, as far as they were looked at."""
        if np.isnan(self._values).all():
            rows = np.arange(len(self._values))
        else:
            rows = np.argsort(-self._values, kind="stable")[:POOL_LOOKED_AT_AGAIN]
            self._values = np.full(len(self._values), -np.inf)
        for at in range(0, len(rows), PIECE):
            piece = rows[at : at + PIECE]
            points = torch.as_tensor(self._pool.features[piece])
            self._values[piece] = self._acquisition.of_many(points).numpy()
            if self._deadline.is_over:
                break
        known = np.where(np.isnan(self._values), -np.inf, self._values)
        self._values = known
        return np.argsort(-known, kind="stable")

    def _free(self, pool: Pool, order: Rows, taken: frozenset[Key], count: int) -> list[int]:
        """The first rows whose settings are not taken and obey everything, but for rounding."""
        found: list[int] = []
        for row in order:
            index = int(row)
            settings = self._region.settings(pool.numbers[[index]], pool.cells.take([index]))[0]
            if self._space.key(settings) not in taken and self._space.contains(settings):
                found.append(index)
                if len(found) == count:
                    break
        return found

    def _refined(self, first: Pool, values: Array, ranked: Rows) -> tuple[Pool, Array]:
        """What refinement and local moves make of the best points, and the points themselves."""
        refiner = Refiner(self._region, self._acquisition, self._deadline, self._rng)
        starts = self._pool.take(self._starts(ranked))
        pool, known = first, values
        for _ in range(MOVES):
            ends, good = refiner.from_starts(starts.numbers, starts.cells)
            fresh = pool_of(self._region, [(ends[good], starts.cells.take(good))])
            pool, known = _joined(pool, known, fresh, self._values_of(fresh))
            if self._deadline.is_over:
                break
            top = pool.take([int(np.argmax(known))])
            moves = refiner.moves(top.numbers, top.cells)
            if not len(moves[1]):
                break
            moved = pool_of(self._region, [moves])
            after = self._values_of(moved)
            improved = np.argsort(-after, kind="stable")[:2]
            pool, known = _joined(pool, known, moved, after)
            if after[improved[0]] <= float(known[: -len(after)].max()):
                break
            starts = moved.take(improved)
        return pool, known

    def _values_of(self, pool: Pool) -> Array:
        if not len(pool.cells):
            return np.zeros(0)
        values = self._acquisition.of_many(torch.as_tensor(pool.features)).numpy()
        bad = self._region.worst(pool.numbers, pool.cells) > TOLERANCE
        return np.where(bad | ~np.isfinite(values), -np.inf, values)

    def _starts(self, ranked: Rows) -> list[int]:
        """Rows to refine: the best of different cells, then the best of all."""
        starts: list[int] = []
        seen: set[bytes] = set()
        rows = [int(row) for row in ranked if np.isfinite(self._values[row])]
        for row in rows:
            cell = self._pool.cells
            name = cell.choices[row].tobytes() + cell.highs[row].tobytes()
            if name not in seen:
                seen.add(name)
                starts.append(row)
            if len(starts) == RESTARTS // 2:
                break
        for row in rows:
            if len(starts) >= RESTARTS:
                break
            if row not in starts:
                starts.append(row)
        return starts


def _joined(pool: Pool, values: Array, more: Pool, others: Array) -> tuple[Pool, Array]:
    both = replace(
        pool,
        numbers=np.concatenate([pool.numbers, more.numbers]),
        cells=Cells.of([pool.cells, more.cells]),
        features=np.concatenate([pool.features, more.features]),
    )
    return both, np.concatenate([values, others])
