"""The shape of a recipe: which steps come before which, and what a loop repeats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

Needs = tuple[tuple[str, tuple[str, ...]], ...]
"""Each step's id with the ids of the steps it needs, in the file's order."""

Repeats = tuple[tuple[str, str, int], ...]
"""Of each loop: its last step, its first, and how often it is done at most."""


@dataclass(frozen=True)
class Loop:
    """Steps that are done again as long as the last of them says so.

    Attributes:
        last: id of the step that has the ``repeat``; names the loop.
        first: id of the step from which it is done again.
        body: all steps from the first to the last, in their order.
        at_most: how often the body is done, the first time included.
    """

    last: str
    first: str
    body: tuple[str, ...]
    at_most: int


@dataclass(frozen=True)
class Graph:
    """What follows from the steps' needs.

    Attributes:
        order: step ids such that each comes after what it needs; among free ones the file's order.
            Steps in or behind a circle are left out.
        before: all steps that must have ended before each step.
        loops: by their last steps.
        around: names of the loops that hold each step, the innermost first.
    """

    order: tuple[str, ...]
    before: Mapping[str, frozenset[str]]
    loops: Mapping[str, Loop]
    around: Mapping[str, tuple[str, ...]]

    def rounds(self, step_id: str) -> int:
        """How many values ``round`` can have in a step; 1 outside of loops."""
        names = self.around[step_id]
        return self.loops[names[0]].at_most if names else 1

    def times(self, step_id: str) -> int:
        """How often a step is done at most, by all loops around it."""
        return math.prod(self.loops[name].at_most for name in self.around[step_id])


@lru_cache(maxsize=256)
def graph_of(needs: Needs, repeats: Repeats = ()) -> Graph:
    """The graph of steps whose needs name known steps."""
    order = _order(needs)
    wanted = dict(needs)
    before: dict[str, frozenset[str]] = {name: frozenset() for name in wanted}
    for name in order:
        before[name] = frozenset(wanted[name]).union(*(before[item] for item in wanted[name]))
    loops = {}
    for last, first, at_most in repeats:
        body = tuple(
            name
            for name in order
            if name in (first, last) or (first in before[name] and name in before[last])
        )
        loops[last] = Loop(last, first, body, at_most)
    around = {
        name: tuple(
            loop.last
            for loop in sorted(loops.values(), key=lambda item: len(item.body))
            if name in loop.body
        )
        for name in wanted
    }
    return Graph(order, before, loops, around)


def _order(needs: Needs) -> tuple[str, ...]:
    done: dict[str, None] = {}
    while True:
        free = next(
            (
                name
                for name, wanted in needs
                if name not in done and all(item in done for item in wanted)
            ),
            None,
        )
        if free is None:
            return tuple(done)
        done[free] = None
