"""Samples that share a furnace run: shared parameters chosen once, the others for each crucible.

A run costs the same whether it holds one crucible or all that it has room for. So several ways to
place the wanted samples are worked out (all in new runs, or some in runs that wait with free
slots), each as good as it can be, and the one is taken that promises most for its price. In a run
the shared parameters and those of each crucible are chosen together: a box of all of them has far
fewer dimensions than separate experiments, and whatever stands in it can be fired together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from matlab_ros.planning.cells import Array, Cells
from matlab_ros.planning.deadline import NEVER, Deadline
from matlab_ros.planning.furnace_rules import FurnaceRules, OpenRun, open_runs
from matlab_ros.planning.joint_refine import JointRefiner
from matlab_ros.planning.observation import Pending
from matlab_ros.planning.optimise import Acquisition, Pool, pool_candidates, pool_of
from matlab_ros.planning.refine import Refiner
from matlab_ros.planning.settings import Settings, Value
from matlab_ros.planning.space import Key, SearchSpace

SHARED_TRIED = 12
"""Values of the shared parameters that runs are filled with, before the best are refined."""

OWN_TRIED = 96
"""Values of the other parameters that are looked at for each crucible."""

JOINTLY = 16
"""Samples of a run that are refined together; of more, one after the other."""

REFINED = 4
"""Filled runs that are refined."""

MAX_PLANS = 8
MAX_OPEN_RUNS = 4
"""Runs with free slots, those with most of them, that are thought of."""


@dataclass(frozen=True)
class _Run:
    """Samples of one run: rows of numbers and cells, and the log worth of each given the others
    before it."""

    numbers: Array
    cells: Cells
    worth: tuple[float, ...]
    shared: Mapping[str, Value] | None

    @property
    def total(self) -> float:
        return _log_sum(self.worth)


def choose_runs(
    space: SearchSpace,
    rules: FurnaceRules,
    acquisition: Acquisition,
    count: int,
    *,
    taken: frozenset[Key],
    pending: Sequence[Pending],
    near: Sequence[Settings],
    rng: np.random.Generator,
    deadline: Deadline = NEVER,
) -> list[tuple[Settings, float]]:
    """The most valuable experiments that fill furnace runs.

    Args:
        space: to choose from.
        rules: what a run shares, holds and costs.
        acquisition: logarithm of an improvement; with a method ``joint`` that gives the worth of
            several points together, ``n x q x width`` -> ``n``, shared parameters are refined by
            its gradient.
        count: how many are wanted.
        taken: never chosen.
        pending: under way, and known to the acquisition.
        near: good experiments that the pool looks around.
        rng: of the pool.
        deadline: when the search gives what it has.

    Returns:
        Settings and their worth; those of one run have exactly equal shared parameters.
    """
    search = _RunSearch(space, rules, acquisition, taken, pending, near, rng, deadline)
    best: list[_Run] = []
    best_rate = -math.inf
    for plan in _plans(count, rules, open_runs(space, rules, pending)):
        runs = search.filled(plan)
        if not runs:
            continue
        samples = sum(len(run.cells) for run in runs)
        new = sum(run.shared is None for run in runs)
        worth = _log_sum([run.total for run in runs])
        # As many as were wanted come before a better rate.
        rate = worth - math.log(new * rules.run_price + samples) + 1e6 * (samples - count)
        if rate > best_rate:
            best, best_rate = runs, rate
        if deadline.is_over:
            break
    return [item for run in best for item in search.settings(run)]


def _plans(
    count: int, rules: FurnaceRules, waiting: Sequence[OpenRun]
) -> Iterator[tuple[tuple[OpenRun | None, int], ...]]:
    """Ways to place samples: runs to join or to begin (None), and how many go into each."""
    seen = set()
    waiting = sorted(waiting, key=lambda item: (-item.free, item.identifiers))[:MAX_OPEN_RUNS]
    joined: list[tuple[OpenRun, ...]] = [(), *((item,) for item in waiting)]
    joined += list(itertools.combinations(waiting, 2))
    number = 0
    for runs in joined:
        left, plan = count, []
        for run in runs:
            if left:
                plan.append((run, min(run.free, left)))
                left -= plan[-1][1]
        fewest = math.ceil(left / rules.slots)
        more = {fewest, fewest + 1} if left > fewest else {fewest}
        for new in sorted(more):
            sizes = [left // new + (index < left % new) for index in range(new)] if new else []
            whole = (*plan, *((None, size) for size in sizes))
            name = tuple((run.identifiers if run else (), size) for run, size in whole)
            if name not in seen and whole:
                seen.add(name)
                yield whole
                number += 1
                if number == MAX_PLANS:
                    return


class _RunSearch:
    """Fills runs one after the other, each given the ones before it."""

    def __init__(
        self,
        space: SearchSpace,
        rules: FurnaceRules,
        acquisition: Acquisition,
        taken: frozenset[Key],
        pending: Sequence[Pending],
        near: Sequence[Settings],
        rng: np.random.Generator,
        deadline: Deadline,
    ) -> None:
        self._space, self._region = space, space.region
        self._rules = rules
        self._acquisition = acquisition
        self._taken = taken
        self._pending = torch.as_tensor(space.features(item.settings for item in pending))
        self._rng = rng
        self._deadline = deadline
        self._rows_of: dict[Settings, list[int]] = {}
        """Of a table, by shared parameters."""
        self._pool = self._first_pool(near)
        shared = set(rules.shared)
        self._own = np.array([name not in shared for name in self._region.names], dtype=bool)
        self._own_choices = np.array([item.name not in shared for item in space.categorical])
        self._refiner = Refiner(self._region, acquisition, deadline, rng)
        self._joint = JointRefiner(self._region, acquisition, deadline, ~self._own)
        self._known: dict[tuple[object, ...], _Run | None] = {}

    def _first_pool(self, near: Sequence[Settings]) -> Pool:
        if self._space.table is None:
            return pool_candidates(self._space, near, self._rng)
        rows = self._rng.permutation(len(self._space.table))
        settings = [self._space.table[index] for index in rows]
        for row, item in enumerate(settings):
            shared = Settings({x: item[x] for x in self._rules.shared if x in item})
            self._rows_of.setdefault(shared, []).append(row)
        return pool_of(self._region, [self._region.arrays(settings)])

    def filled(self, plan: Sequence[tuple[OpenRun | None, int]]) -> list[_Run]:
        """Runs of a plan, the earlier ones counted as under way for the later ones."""
        runs: list[_Run] = []
        for number, (waiting, size) in enumerate(plan):
            name = tuple((run.identifiers if run else (), n) for run, n in plan[: number + 1])
            if name not in self._known:
                # What was worked out for the beginning of another plan holds for this one too.
                self._known[name] = self._fill(runs, waiting, size)
            found = self._known[name]
            if found is None:
                return []
            runs.append(found)
        return runs

    def settings(self, run: _Run) -> list[tuple[Settings, float]]:
        """Settings of a run and their worth."""
        rows = self._region.settings(run.numbers, run.cells)
        first = {name: rows[0][name] for name in self._rules.shared if name in rows[0]}
        # Equal to the last bit, or the lab would not fire them together.
        shared = first if run.shared is None else run.shared
        return [
            (Settings({**row, **shared}), worth) for row, worth in zip(rows, run.worth, strict=True)
        ]

    # --- one run ----------------------------------------------------------------------------------

    def _fill(self, before: Sequence[_Run], waiting: OpenRun | None, size: int) -> _Run | None:
        features = [self._region.features(run.numbers, run.cells) for run in before]
        under_way = torch.cat([self._pending, *(torch.as_tensor(item) for item in features)])
        taken = self._taken | {
            self._space.key(settings) for run in before for settings, _ in self.settings(run)
        }
        self._acquisition.add_pending(under_way)
        found: list[_Run] = []
        for number, (row, shared) in enumerate(self._shared(waiting)):
            if number and self._deadline.is_over:
                break
            run = self._greedy(row, shared, size, under_way, taken)
            if run is not None:
                found.append(run)
        found.sort(key=lambda run: (-len(run.cells), -run.total))
        if found and not self._deadline.is_over:
            whole = [run for run in found if len(run.cells) == len(found[0].cells)][:REFINED]
            found = [self._refined(whole, under_way, taken, waiting), *whole]
            found.sort(key=lambda run: (-len(run.cells), -run.total))
        return found[0] if found else None

    def _shared(self, waiting: OpenRun | None) -> list[tuple[int, Mapping[str, Value] | None]]:
        """Rows of the pool whose shared parameters are tried; one where they are given."""
        if waiting is not None:
            return [(-1, waiting.shared)]
        values = self._acquisition.of_many(torch.as_tensor(self._pool.features)).numpy()
        ranked = [int(row) for row in np.argsort(-values, kind="stable")]
        found: list[int] = []
        seen: set[bytes] = set()
        for row in (*ranked[: 8 * SHARED_TRIED], *ranked[:: max(1, len(ranked) // SHARED_TRIED)]):
            name = (
                self._pool.numbers[row, ~self._own].round(6).tobytes()
                + self._pool.cells.choices[row, ~self._own_choices].tobytes()
            )
            limit = SHARED_TRIED // 2 if len(found) < SHARED_TRIED // 2 else SHARED_TRIED
            if name not in seen and len(found) < limit:
                seen.add(name)
                found.append(row)
        return [(row, None) for row in found]

    def _greedy(
        self,
        row: int,
        shared: Mapping[str, Value] | None,
        size: int,
        under_way: torch.Tensor,
        taken: frozenset[Key],
    ) -> _Run | None:
        """A run with given shared parameters, each crucible the best of a few given the others."""
        numbers, cells = self._with_shared(row, shared)
        keys: list[Key] = []
        if len(cells):
            keys = [self._space.key(item) for item in self._region.settings(numbers, cells)]
        features = torch.as_tensor(self._region.features(numbers, cells))
        free = np.array([key not in taken for key in keys], dtype=bool)
        chosen: list[int] = []
        worth: list[float] = []
        while len(chosen) < size and free.any():
            here = torch.cat([under_way, features[chosen]])
            self._acquisition.add_pending(here)
            rows = np.flatnonzero(free)
            values = self._acquisition.of_many(features[rows]).numpy()
            best = int(rows[np.argmax(values)])
            chosen.append(best)
            worth.append(float(values.max()))
            free &= np.array([key != keys[best] for key in keys], dtype=bool)
        self._acquisition.add_pending(under_way)
        if not chosen:
            return None
        return _Run(numbers[chosen], cells.take(chosen), tuple(worth), shared)

    def _with_shared(self, row: int, shared: Mapping[str, Value] | None) -> tuple[Array, Cells]:
        """Rows of the pool with the shared parameters of one of them, or with given ones."""
        region, pool = self._region, self._pool
        if shared is None:
            source = region.settings(pool.numbers[[row]], pool.cells.take([row]))[0]
            shared = {name: source[name] for name in self._rules.shared if name in source}
        if self._space.table is not None:
            own = pool.take(self._rows_of.get(Settings(shared), []))
            return own.numbers, own.cells
        rows = self._rng.permutation(len(pool.cells))[:OWN_TRIED]
        settings = region.settings(pool.numbers[rows], pool.cells.take(rows))
        changed = [self._changed(item, shared) for item in settings]
        numbers, cells = region.arrays([item for item in changed if item is not None])
        if not len(cells):
            return numbers, cells
        free = np.tile(self._own, (len(cells), 1))
        numbers, good = region.brought_in(region.encode(numbers, cells), cells, free)
        return numbers[good], cells.take(good)

    def _changed(self, item: Settings, shared: Mapping[str, Value]) -> Settings | None:
        """Settings with other shared parameters; None where a parameter then has no value."""
        values = {name: value for name, value in item.items() if name not in self._rules.shared}
        values.update(shared)
        existing = self._space.existing(values)
        if any(name not in values for name in existing):
            return None
        return Settings({name: values[name] for name in existing})

    def _refined(
        self,
        runs: Sequence[_Run],
        under_way: torch.Tensor,
        taken: frozenset[Key],
        waiting: OpenRun | None,
    ) -> _Run:
        """The best that gradients make of filled runs of equal size."""
        best = runs[0]
        if self._space.table is not None:
            return best
        self._acquisition.add_pending(under_way)
        if self._joint.is_possible and len(best.cells) <= JOINTLY:
            parts = [(run.numbers, run.cells) for run in runs]
            ends = self._joint.from_starts(parts, waiting is not None)
        else:
            ends = [self._one_by_one(run, under_way) for run in runs[:2]]
        for numbers, cells in ends:
            run = self._valued(numbers, cells, under_way, taken, best.shared)
            if run is not None and run.total > best.total:
                best = run
        return best

    def _one_by_one(self, run: _Run, under_way: torch.Tensor) -> tuple[Array, Cells]:
        """Each crucible's own parameters refined given the others of the run."""
        numbers = run.numbers.copy()
        free = self._own[None, :]
        for row in range(len(run.cells)):
            others = [other for other in range(len(run.cells)) if other != row]
            features = self._region.features(numbers[others], run.cells.take(others))
            self._acquisition.add_pending(torch.cat([under_way, torch.as_tensor(features)]))
            cell = run.cells.take([row])
            ends, good = self._refiner.from_starts(numbers[[row]], cell, free)
            if good[0]:
                numbers[row] = ends[0]
        self._acquisition.add_pending(under_way)
        return numbers, run.cells

    def _valued(
        self,
        numbers: Array,
        cells: Cells,
        under_way: torch.Tensor,
        taken: frozenset[Key],
        shared: Mapping[str, Value] | None,
    ) -> _Run | None:
        """A run with its worth; None where a sample is taken, repeated or not allowed."""
        run = _Run(numbers, cells, (0.0,) * len(cells), shared)
        settings = [item for item, _ in self.settings(run)]
        keys = {self._space.key(item) for item in settings}
        if len(keys) < len(settings) or keys & taken:
            return None
        if not all(self._space.contains(item) for item in settings):
            return None
        features = torch.as_tensor(self._region.features(numbers, cells))
        worth = []
        for row in range(len(cells)):
            self._acquisition.add_pending(torch.cat([under_way, features[:row]]))
            worth.append(float(self._acquisition.of_many(features[[row]])[0]))
        self._acquisition.add_pending(under_way)
        return replace(run, worth=tuple(worth))


def _log_sum(values: Sequence[float]) -> float:
    """Logarithm of the sum of exponentials."""
    return float(np.logaddexp.reduce(np.asarray(values))) if len(values) else -math.inf
