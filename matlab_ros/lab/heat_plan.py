"""Which samples fire together, where and when: looking ahead over the next furnace runs.

A furnace is a batch machine: to wait for one more crucible costs those inside time, not to wait
costs a furnace's place. What is better depends on who comes when and on when other furnaces are
free, so a few ways of cutting the arrivals into batches are played through to their ends, and the
one that ends first is taken. It is only a plan for this moment: with the next event it is made
anew, from the same facts the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Group = tuple[Any, ...]
"""What makes samples heatable together: comparable, equal for equal profiles of one step."""

_NS_PER_MIN = 60_000_000_000


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
    """

    now_ns: int
    duration_ns: Mapping[Group, int]
    fits: Mapping[Group, frozenset[str]]
    carry_ns: int
    follow_ns: int


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
    best: tuple[tuple[int, int], tuple[Batch, ...]] | None = None
    tried = set()
    for cut in _CUTS:
        sizes = {
            group: cut(len(ready), _room(furnaces, group, outlook), len(furnaces))
            for group, ready in queues.items()
        }
        key = tuple(sizes.values())
        if key in tried:
            continue
        tried.add(key)
        batches = _play(furnaces, queues, sizes, outlook)
        score = _score(batches, outlook)
        if best is None or score < best[0]:
            best = (score, batches)
    return best[1] if best is not None else ()


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
    sizes: Mapping[Group, int],
    outlook: Outlook,
) -> tuple[Batch, ...]:
    """What happens if each group's samples are cut into batches of a size."""
    free = {furnace.station: furnace.free_ns for furnace in furnaces}
    batches: list[Batch] = []
    taken = dict.fromkeys(queues, 0)
    for furnace in furnaces:
        group = furnace.group
        if group is None:
            continue
        first = taken[group]
        count = min(max(sizes[group], furnace.held), furnace.slots, len(queues[group]) - first)
        taken[group] = first + count
        filled = queues[group][first + count - 1]
        batches.append(_run(furnace.station, group, count, max(filled, outlook.now_ns), outlook))
        free[furnace.station] = batches[-1].end_ns + count * outlook.carry_ns
    waiting: list[tuple[int, int, Group, int]] = []
    for group, ready in queues.items():
        for first in range(taken[group], len(ready), sizes[group]):
            chunk = ready[first : first + sizes[group]]
            waiting.append((chunk[-1], -outlook.duration_ns[group], group, len(chunk)))
    able = {
        (group, sizes[group]): _able(furnaces, group, sizes[group], outlook) for group in queues
    }
    for filled, _, group, count in sorted(waiting):
        station = min(able[group, sizes[group]], key=lambda name: max(free[name], filled))
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
    end = total = 0
    for batch in sorted(batches, key=lambda item: item.end_ns):
        for _ in range(batch.size):
            end = max(end, batch.end_ns) + outlook.follow_ns
            total += end
    return end // _NS_PER_MIN, total
