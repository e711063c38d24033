"""Who is prepared next for the furnaces: longest way first, and small batches while ovens stand idle.

Two things make a set of samples end late. One is what is begun last and takes long; so the longest
way that is left goes first (the LPT rule: Graham, "Bounds on multiprocessing timing anomalies",
SIAM Journal on Applied Mathematics 17, 1969, 416-429). The other is furnaces that wait for their
first load, because a full one takes hours to weigh. Of a group that does not fill its last run one
run is not full anyway; fired first, it costs no run more and its furnace starts hours earlier. So
while furnaces wait, those come first that make up such a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matlab_ros.lab.heat_plan import Group
from matlab_ros.lab.run_queue import RunQueue


@dataclass(frozen=True)
class Feed:
    """What decides when a sample is prepared.

    Attributes:
        stretch: of time in which it began to wait; the earlier goes first, whatever else.
        group: whom it is heated with; empty: it comes to no furnace any more.
        way_ns: what is left of its way, from the furnace on.
        room: of the largest furnace for its group.
        ordinal: among equals.
    """

    stretch: int
    group: Group
    way_ns: int
    room: int
    ordinal: int

    @property
    def kin(self) -> tuple[int, int, Group, int]:
        """Equal for those who come one after the other; the lowest has the longest way."""
        return self.stretch, -self.way_ns, self.group, self.room


class FeedQueue:
    """Samples that wait for a station on their way to a furnace."""

    def __init__(self) -> None:
        self._kins: dict[tuple[int, int, Group, int], RunQueue] = {}
        self._where: dict[str, tuple[int, int, Group, int]] = {}

    def __len__(self) -> int:
        return len(self._where)

    def add(self, name: str, feed: Feed) -> None:
        """Put an experiment into the queue; it is not in."""
        self._where[name] = feed.kin
        self._kins.setdefault(feed.kin, RunQueue()).add(name, (feed.ordinal,))

    def discard(self, name: str) -> None:
        """Take an experiment out, if it is in."""
        kin = self._where.pop(name, None)
        if kin is not None:
            self._kins[kin].discard(name)
            if not self._kins[kin]:
                del self._kins[kin]

    def first(self, hungry: bool = False) -> tuple[str, ...]:
        """The next; nothing where nobody waits.

        Args:
            hungry: whether furnaces stand idle and nobody is ready for them.
        """
        return tuple(name for name, _ in zip(self.in_order(hungry), range(1), strict=False))

    def in_order(self, hungry: bool = False) -> Iterator[str]:
        """All, as they come if nobody is added, and furnaces stay as idle as they are."""
        left = {kin: len(self._kins[kin]) for kin in sorted(self._kins)}
        names = {kin: iter(self._kins[kin]) for kin in left}
        while left:
            kin = min(left, key=lambda item: _rank(item, left[item], hungry))
            yield next(names[kin])
            left[kin] -= 1
            if not left[kin]:
                del left[kin]


def _rank(kin: tuple[int, int, Group, int], count: int, hungry: bool) -> tuple[object, ...]:
    stretch, longest, group, room = kin
    short = count % room if hungry else 0
    return stretch, short == 0, short, longest, group
