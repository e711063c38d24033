"""Which samples fire together, where and when: looking ahead over the next furnace runs.

A furnace is a batch machine: to wait for one more crucible costs those inside time, not to wait
costs a furnace's place. What is better depends on who comes when and on when other furnaces are
free, so a few ways of cutting the arrivals into batches are played through to their ends, first
the same way for all groups, then another for each large group, and the plan that ends first is
taken. It is only a plan for this moment: with the next event it is made anew, from the same facts
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matlab_ros.lab.heat_play import Case, Play
from matlab_ros.lab.heat_values import Arrival, Batch, Cut, Furnace, Group, Outlook

_VARIED = 6
"""Groups, the largest, whose batches are also cut in other ways than those of the others."""


def plan_heat(
    furnaces: Sequence[Furnace], arrivals: Sequence[Arrival], outlook: Outlook
) -> tuple[Batch, ...]:
    """The batches to come, in the order of their starts.

    Args:
        furnaces: all that can be used.
        arrivals: samples that no furnace holds yet.
        outlook: durations.

    Returns:
        The `size` of an open furnace's first batch counts what it holds. Samples that fit no
        furnace are left out.
    """
    case = Case(furnaces, arrivals, outlook)
    ways = {group: _ways(case, group) for group in case.counts}
    search = _Search(case)
    for number in range(max(map(len, ways.values()), default=0)):
        # Those that have only one way go that way.
        search.look_at({group: cuts[min(number, len(cuts) - 1)] for group, cuts in ways.items()})
    varied = sorted(
        (group for group, count in case.counts.items() if count > 1),
        key=lambda group: (-case.counts[group], group),
    )
    for group in varied[:_VARIED]:
        for cut in ways[group]:
            search.look_at({**search.cuts, group: cut})
    return search.batches()


class _Search:
    """The best of the plans that were looked at."""

    def __init__(self, case: Case) -> None:
        self.cuts: Mapping[Group, Cut] = {}
        self._case = case
        self._best: Play | None = None
        self._score = (0, 0)
        self._tried: set[tuple[Cut, ...]] = set()

    def look_at(self, cuts: Mapping[Group, Cut]) -> None:
        """Play a plan through, and keep it where it ends before the others."""
        key = tuple(cuts[group] for group in self._case.counts)
        if key in self._tried:
            return
        self._tried.add(key)
        play = Play(self._case, cuts)
        score = play.score()
        if self._best is None or score < self._score:
            self._score, self._best, self.cuts = score, play, cuts

    def batches(self) -> tuple[Batch, ...]:
        """Of that plan."""
        return () if self._best is None else self._best.batches()


def _ways(case: Case, group: Group) -> tuple[Cut, ...]:
    """Ways to cut a group's samples into batches."""
    room, count = case.room[group], case.counts[group]
    if group in case.outlook.together:
        return (Cut(room, room),)
    cuts = [Cut(size, size) for size in (cut(count, room, len(case.furnaces)) for cut in _CUTS)]
    # The run that cannot be full first, so that its furnace need not wait for a full load.
    cuts.append(Cut((count + case.outlook.more.get(group, 0)) % room or room, room))
    return tuple(cuts)


def _full(count: int, room: int, furnaces: int) -> int:
    return room


def _even(count: int, room: int, furnaces: int) -> int:
    return -(-count // -(-count // room))


def _spread(count: int, room: int, furnaces: int) -> int:
    return min(room, -(-count // furnaces))


def _half(count: int, room: int, furnaces: int) -> int:
    return max(1, room // 2)


def _quarter(count: int, room: int, furnaces: int) -> int:
    return max(1, room // 4)


def _single(count: int, room: int, furnaces: int) -> int:
    return 1


_CUTS: tuple[Callable[[int, int, int], int], ...] = (
    _full,
    _even,
    _spread,
    _half,
    _quarter,
    _single,
)
"""Ways to choose the batches' size from a group's count, the largest furnace's room for it and the
number of furnaces; where two end at the same time the earlier is taken: it uses fewer runs."""
