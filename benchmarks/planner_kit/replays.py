"""One replay of a pool by one planner, and a file that remembers the replays that were run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from planner_kit.pools import Pool


class Planner(Protocol):
    """Chooses rows of a pool; told of everything that was tried, start included."""

    def tell(self, row: int, value: float) -> None:
        """What a row gave."""

    def ask(self, left: list[int]) -> int:
        """One of the rows that are left, which are shown in random order."""


@dataclass(frozen=True)
class Replay:
    """What is remembered of one replay.

    Attributes:
        pool: name of the pool.
        planner: name of the planner, its version included.
        seed: of the start, of the order of the pool and of the planner.
        found_at: numbers of the experiments, from 1, that were among the top 5 %.
        experiments: how many were made.
        seconds: processor seconds per suggestion.
        intervals: predictions that came with an interval.
        inside: how many of these held what was measured.
    """

    pool: str
    planner: str
    seed: int
    found_at: list[int]
    experiments: int
    seconds: float
    intervals: int = 0
    inside: int = 0


def replay(
    pool: Pool, name: str, make: Callable[[Pool, int], Planner], seed: int, share: float = 0.8
) -> Replay:
    """Run a planner from two random recipes until a share of the top 5 % is found.

    Everything random of the protocol follows from the seed, so all planners see the same starts
    and the same order of the pool.
    """
    order = [int(row) for row in np.random.default_rng(seed).permutation(pool.size)]
    planner = make(pool, seed)
    top = pool.top
    wanted = math.ceil(share * len(top))
    found_at: list[int] = []
    left = list(order)
    done = 0
    began = time.process_time()
    while len(found_at) < wanted:
        row = order[done] if done < 2 else planner.ask(list(left))
        left.remove(row)
        done += 1
        planner.tell(row, float(pool.values[row]))
        if row in top:
            found_at.append(done)
    seconds = (time.process_time() - began) / max(done - 2, 1)
    return Replay(pool.name, name, seed, found_at, done, round(seconds, 5))


class Memory:
    """Replays in a file, one line of JSON each, so that a second run only makes what is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str, int], Replay] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                item = Replay(**json.loads(line))
                self._known[item.pool, item.planner, item.seed] = item

    def find(self, pool: str, planner: str, seed: int) -> Replay | None:
        """A replay that was run before."""
        return self._known.get((pool, planner, seed))

    @property
    def planners(self) -> list[str]:
        """Names of all planners that were ever run."""
        return sorted({planner for _, planner, _ in self._known})

    def runs(self, pool: str, planner: str) -> list[Replay]:
        """All replays of a pool by a planner, by seed."""
        found = [item for item in self._known.values() if item.pool == pool]
        return sorted((item for item in found if item.planner == planner), key=lambda i: i.seed)

    def add(self, item: Replay) -> None:
        """Remember one; written at once, so that an interrupted run loses nothing."""
        self._known[item.pool, item.planner, item.seed] = item
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(item)) + "\n")
