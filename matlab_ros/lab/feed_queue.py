"""Who is prepared next for the furnaces: longest way first, and small runs while ovens are idle.

Two things make a set of samples end late. One is what is begun last and takes long; so the longest
way that is left goes first (the LPT rule: Graham, "Bounds on multiprocessing timing anomalies",
SIAM Journal on Applied Mathematics 17, 1969, 416-429). The other is furnaces that wait for their
first load, because a full one takes hours to weigh. Of a group that does not fill its last run one
run is not full anyway; fired first, it costs no run more and its furnace starts hours earlier. So
while furnaces wait, those come first that make up such a run.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from itertools import chain, islice

from matlab_ros.lab.heat_values import Group
from matlab_ros.lab.run_queue import RunQueue

_SIGHT = 64
"""Groups among which a small last run is looked for; with more of them one is found anyway."""

Kin = tuple[int, int, Group, int]


@dataclass(frozen=True)
class Feed:
    """What decides when a sample is prepared.

    Attributes:
        stretch: of time in which it began to wait; the earlier goes first, whatever else.
        group: whom it is heated with; empty: it comes to no furnace any more.
        way_ns: what is left of its way, from the furnace on.
        room: of the largest furnace for its group.
        ordinal: among equals; unique with the name.
    """

    stretch: int
    group: Group
    way_ns: int
    room: int
    ordinal: int

    @property
    def kin(self) -> Kin:
        """Equal for those who come one after the other; the lowest has the longest way."""
        return self.stretch, -self.way_ns, self.group, self.room


class FeedQueue:
    """Samples that wait for a station on their way to a furnace."""

    def __init__(self) -> None:
        self._order: list[Kin] = []
        self._kins: dict[Kin, RunQueue] = {}
        self._where: dict[str, Kin] = {}
        self._counts: dict[Group, int] = {}

    def __len__(self) -> int:
        return len(self._where)

    def add(self, name: str, feed: Feed) -> None:
        """Put an experiment into the queue; it is not in."""
        kin = feed.kin
        self._where[name] = kin
        self._counts[feed.group] = self._counts.get(feed.group, 0) + 1
        if kin not in self._kins:
            insort(self._order, kin)
            self._kins[kin] = RunQueue()
        self._kins[kin].add(name, (feed.ordinal,))

    def discard(self, name: str) -> None:
        """Take an experiment out, if it is in."""
        kin = self._where.pop(name, None)
        if kin is None:
            return
        group = kin[2]
        self._counts[group] -= 1
        if not self._counts[group]:
            del self._counts[group]
        self._kins[kin].discard(name)
        if not self._kins[kin]:
            del self._kins[kin]
            del self._order[bisect_left(self._order, kin)]

    def count(self, group: Group) -> int:
        """How many of a group wait."""
        return self._counts.get(group, 0)

    def first(self, hungry: bool = False) -> tuple[str, ...]:
        """The next; nothing where nobody waits.

        Args:
            hungry: whether furnaces stand idle and nobody is ready for them.
        """
        return tuple(islice(self.in_order(hungry), 1))

    def in_order(self, hungry: bool = False) -> Iterator[str]:
        """All, as they come if nobody is added and furnaces stay as hungry as they are."""
        if not hungry:
            return chain.from_iterable(self._kins[kin] for kin in self._order)
        return self._hungry_order()

    def _hungry_order(self) -> Iterator[str]:
        seen = self._order[:_SIGHT]
        left = {kin: len(self._kins[kin]) for kin in seen}
        names = {kin: iter(self._kins[kin]) for kin in seen}
        heap = [_rank(kin, count) for kin, count in left.items()]
        heapify(heap)
        while heap:
            kin = heap[0][-1]
            yield next(names[kin])
            left[kin] -= 1
            if left[kin]:
                heapreplace(heap, _rank(kin, left[kin]))
            else:
                heappop(heap)
        for kin in self._order[_SIGHT:]:
            yield from self._kins[kin]


def _rank(kin: Kin, count: int) -> tuple[int, bool, int, Kin]:
    """Those first who make up the run that is not full, the smallest such run before the others."""
    stretch, _, _, room = kin
    short = count % room
    return stretch, short == 0, short, kin
