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
from dataclasses import dataclass, field
from typing import Any

Group = tuple[Any, ...]
"""What makes samples heatable together: comparable, equal for equal profiles of one step."""

_NS_PER_MIN = 60_000_000_000
_VARIED = 6
"""Groups, the largest, whose batches are also cut in other ways than those of the others."""


@dataclass(frozen=True)
class Furnace:
    """A furnace as it will be.

    Attributes:
        station: its name.
        slots: positions that can be used.
        free_ns: when it can be loaded.
        group: of the crucibles that wait in it, or are on their way to it.
        held: number of those.
    """

    station: str
    slots: int
    free_ns: int
    group: Group | None = None
    held: int = 0


@dataclass(frozen=True)
class Arrival:
    """A sample that is or will be ready for a furnace."""

    ready_ns: int
    group: Group


@dataclass(frozen=True)
class Batch:
    """A furnace run to come."""

    station: str
    group: Group
    size: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Outlook:
    """What a plan needs to know beside furnaces and arrivals.

    Attributes:
        now_ns: ROS time.
        duration_ns: of each group's run with its cooling.
        fits: stations whose furnaces can heat each group.
        carry_ns: for one crucible into or out of a furnace.
        follow_ns: what each sample then takes of the station that follows, which serves one sample
            at a time.
        rest_ns: of each group: furnace runs that follow this one, at most; 0 where it is missing.
        more: samples of each group that come after the arrivals; none where it is missing.
    """

    now_ns: int
    duration_ns: Mapping[Group, int]
    fits: Mapping[Group, frozenset[str]]
    carry_ns: int
    follow_ns: int
    rest_ns: Mapping[Group, int] = field(default_factory=dict)
    more: Mapping[Group, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Cut:
    """Sizes of a group's batches."""

    first: int
    others: int


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
    queues = _queues(furnaces, arrivals, outlook)
    ways = {group: _ways(len(ready), furnaces, group, outlook) for group, ready in queues.items()}
    search = _Search(furnaces, queues, outlook)
    for number in range(max(map(len, ways.values()), default=0)):
        search.look_at({group: cuts[number] for group, cuts in ways.items()})
    varied = sorted(
        (group for group in queues if len(queues[group]) > 1),
        key=lambda group: (-len(queues[group]), group),
    )
    for group in varied[:_VARIED]:
        for cut in ways[group]:
            search.look_at({**search.cuts, group: cut})
    return search.batches


class _Search:
    """The best of the plans that were looked at."""

    def __init__(
        self,
        furnaces: Sequence[Furnace],
        queues: Mapping[Group, Sequence[int]],
        outlook: Outlook,
    ) -> None:
        self.cuts: Mapping[Group, _Cut] = {}
        self.batches: tuple[Batch, ...] = ()
        self._furnaces = furnaces
        self._queues = queues
        self._outlook = outlook
        self._score: tuple[int, int] | None = None
        self._tried: set[tuple[_Cut, ...]] = set()

    def look_at(self, cuts: Mapping[Group, _Cut]) -> None:
        """Play a plan through, and keep it where it ends before the others."""
        key = tuple(cuts[group] for group in self._queues)
        if key in self._tried:
            return
        self._tried.add(key)
        batches = _play(self._furnaces, self._queues, cuts, self._outlook)
        score = _score(batches, self._outlook)
        if self._score is None or score < self._score:
            self._score, self.batches, self.cuts = score, batches, cuts


def _ways(
    count: int, furnaces: Sequence[Furnace], group: Group, outlook: Outlook
) -> tuple[_Cut, ...]:
    """Ways to cut a group's samples into batches."""
    room = _room(furnaces, group, outlook)
    cuts = [_Cut(size, size) for size in (cut(count, room, len(furnaces)) for cut in _CUTS)]
    # The run that cannot be full first, so that its furnace need not wait for a full load.
    cuts.append(_Cut((count + outlook.more.get(group, 0)) % room or room, room))
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


def _queues(
    furnaces: Sequence[Furnace], arrivals: Sequence[Arrival], outlook: Outlook
) -> dict[Group, list[int]]:
    """Moments at which the samples of each group are ready, those in open furnaces first."""
    queues: dict[Group, list[int]] = {}
    for furnace in furnaces:
        if furnace.group is not None:
            queues.setdefault(furnace.group, []).extend([outlook.now_ns] * furnace.held)
    for arrival in arrivals:
        if outlook.fits[arrival.group]:
            queues.setdefault(arrival.group, []).append(arrival.ready_ns)
    for ready in queues.values():
        ready.sort()
    return queues


def _room(furnaces: Sequence[Furnace], group: Group, outlook: Outlook) -> int:
    return max((item.slots for item in furnaces if item.station in outlook.fits[group]), default=1)


def _play(
    furnaces: Sequence[Furnace],
    queues: Mapping[Group, Sequence[int]],
    cuts: Mapping[Group, _Cut],
    outlook: Outlook,
) -> tuple[Batch, ...]:
    """What happens if each group's samples are cut into such batches."""
    free = {furnace.station: furnace.free_ns for furnace in furnaces}
    batches: list[Batch] = []
    taken = dict.fromkeys(queues, 0)
    for furnace in furnaces:
        group = furnace.group
        if group is None:
            continue
        first = taken[group]
        size = cuts[group].others if first else cuts[group].first
        count = min(max(size, furnace.held), furnace.slots, len(queues[group]) - first)
        taken[group] = first + count
        filled = queues[group][first + count - 1]
        batches.append(_run(furnace.station, group, count, max(filled, outlook.now_ns), outlook))
        free[furnace.station] = batches[-1].end_ns + count * outlook.carry_ns
    waiting: list[tuple[int, int, Group, int]] = []
    for group, ready in queues.items():
        way_ns = outlook.duration_ns[group] + outlook.rest_ns.get(group, 0)
        first = taken[group]
        while first < len(ready):
            size = cuts[group].others if first else cuts[group].first
            chunk = ready[first : first + size]
            worth = -way_ns * len(chunk) // _room(furnaces, group, outlook)
            waiting.append((chunk[-1], worth, group, len(chunk)))
            first += size
    able = {group: _able(furnaces, group, cuts[group].others, outlook) for group in queues}
    for filled, _, group, count in sorted(waiting):
        station = min(able[group], key=lambda name: max(free[name], filled))
        start = max(free[station] + count * outlook.carry_ns, filled + outlook.carry_ns)
        batches.append(_run(station, group, count, start, outlook))
        free[station] = batches[-1].end_ns + count * outlook.carry_ns
    return tuple(sorted(batches, key=lambda item: item.start_ns))


def _able(
    furnaces: Sequence[Furnace], group: Group, count: int, outlook: Outlook
) -> tuple[str, ...]:
    """Stations that can heat a group; if there are some, those with room for so many."""
    able = [item for item in furnaces if item.station in outlook.fits[group]]
    roomy = [item for item in able if item.slots >= count] or able
    return tuple(item.station for item in roomy)


def _run(station: str, group: Group, count: int, start_ns: int, outlook: Outlook) -> Batch:
    return Batch(station, group, count, start_ns, start_ns + outlook.duration_ns[group])


def _score(batches: Sequence[Batch], outlook: Outlook) -> tuple[int, int]:
    """When the last sample is done, in whole minutes, and the sum of all ends."""
    end = total = last = 0
    for batch in sorted(batches, key=lambda item: item.end_ns):
        for _ in range(batch.size):
            end = max(end, batch.end_ns) + outlook.follow_ns
            total += end
            last = max(last, end + outlook.rest_ns.get(batch.group, 0))
    return last // _NS_PER_MIN, total
