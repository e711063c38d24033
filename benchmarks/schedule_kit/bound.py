"""A time that no schedule beats: critical path, busiest station with its changes, and the arms.

A station's bound is Jackson's: whatever the order, the samples of any subset cannot all have come
to it before the earliest could, take it one after the other, and the last of them still has its
own way to the end. Furnaces count in batches: samples with equal profiles, as many as fit. Between
two crucibles at one position the arm takes out the one and brings the other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matlab_ros.lab import events as ev
from matlab_ros.lab.floor import Floor
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.model.lab_config import LabConfig, StationKind

_KINDS = {
    "dispense": StationKind.DISPENSER,
    "heat": StationKind.FURNACE,
    "measure": StationKind.DIFFRACTOMETER,
}


@dataclass(frozen=True)
class Visit:
    """A sample's work at a station, or its wait in the rack.

    Attributes:
        kind: of the station; None: it is not carried for it.
        group: what furnaces can do together; empty for other stations.
        head_s: at least this long after the start it begins.
        work_s: it takes.
        tail_s: from its end to the sample's end, at least.
    """

    kind: StationKind | None
    group: str
    head_s: float
    work_s: float
    tail_s: float


@dataclass(frozen=True)
class Bound:
    """What limits a case.

    Attributes:
        makespan_s: no schedule is shorter.
        by: what that comes from.
    """

    makespan_s: float
    by: str


@dataclass
class _Work:
    kind: StationKind | None
    group: str
    seconds: float
    is_aside: bool = False
    """Nothing of this sample waits for it but the end."""


def ways_of(entries: Iterable[JournalEntry], carry_s: float) -> tuple[tuple[Visit, ...], ...]:
    """The way of each sample, from what was done to it in a run; waiting and carrying aside."""
    works: dict[str, list[_Work]] = {}
    open_: dict[str, ev.AttemptIntended] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, ev.AttemptIntended):
            open_[event.attempt_id] = event
        elif isinstance(event, ev.WaitBegun):
            seconds = (event.until_ns - entry.ros_time_ns) / 1e9
            works.setdefault(event.experiment_id, []).append(_Work(StationKind.RACK, "", seconds))
        elif isinstance(event, ev.AttemptEnded):
            began = open_.pop(event.attempt_id)
            goal, report = began.goal, event.outcome.report
            if goal.TAG == "transfer":
                continue
            group = repr(goal.profile) if isinstance(goal, HeatGoal) else ""
            seconds = (report.ended_ns - report.began_ns) / 1e9
            for work in began.works:
                works.setdefault(work.experiment_id, []).append(
                    _Work(_KINDS.get(goal.TAG), group, seconds, goal.TAG == "analyse")
                )
    return tuple(_way(items, carry_s) for items in works.values())


def _way(items: Sequence[_Work], carry_s: float) -> tuple[Visit, ...]:
    """Heads and tails of one sample's works, in their order."""
    heads, present, where = [], 0.0, StationKind.RACK
    for item in items:
        if item.kind is not None and item.kind is not where:
            present += carry_s
            where = item.kind
        heads.append(present)
        present += item.seconds
    home = 0.0 if where is StationKind.RACK else carry_s
    end = present + home
    if items[-1].is_aside:
        # The last analysis goes on while the crucible is carried home.
        end = present - items[-1].seconds + max(items[-1].seconds, home)
    return tuple(
        Visit(item.kind, item.group, head, item.seconds, max(0.0, end - head - item.seconds))
        for item, head in zip(items, heads, strict=True)
    )


def lower_bound(ways: Sequence[Sequence[Visit]], lab: LabConfig, carry_s: float) -> Bound:
    """The largest of all bounds."""
    floor = Floor(lab)
    arms = len(floor.arms)
    bounds = [
        Bound(max(item.head_s + item.work_s + item.tail_s for item in way), "one sample's way")
        for way in ways
    ]
    carries = sum(_carries(way) for way in ways)
    bounds.append(Bound(carries * carry_s / arms, "arm"))
    for kind in (StationKind.DISPENSER, StationKind.FURNACE, StationKind.DIFFRACTOMETER):
        visits = [item for way in ways for item in way if item.kind is kind]
        positions = len(floor.places_of(kind))
        stations = len({place.station for place in floor.places_of(kind)})
        for head_s, tail_s in {(item.head_s, item.tail_s) for item in visits}:
            some = [item for item in visits if item.head_s >= head_s and item.tail_s >= tail_s]
            if kind is StationKind.FURNACE:
                busy = _furnace_s(some, stations, positions // stations, carry_s, arms)
            else:
                change_s = 2 * carry_s if arms == 1 else carry_s
                gaps = max(0, len(some) - positions)
                busy = (sum(item.work_s for item in some) + gaps * change_s) / positions
            bounds.append(Bound(head_s + busy + tail_s, kind.value))
    bounds.append(_filling(ways, floor, carry_s, arms))
    return max(bounds, key=lambda item: item.makespan_s)


def _furnace_s(
    visits: Sequence[Visit], furnaces: int, slots: int, carry_s: float, arms: int
) -> float:
    """Time that each furnace is taken at least: batches, and the carrying in and out between."""
    counts = Counter((item.group, item.work_s) for item in visits)
    batches = sum(math.ceil(count / slots) for count in counts.values())
    if batches <= furnaces:
        return max(item.work_s for item in visits)
    work = sum(math.ceil(count / slots) * seconds for (_, seconds), count in counts.items())
    between = max(0, len(visits) - furnaces * slots) * 2 * carry_s / arms
    return (work + between) / furnaces


def _filling(ways: Sequence[Sequence[Visit]], floor: Floor, carry_s: float, arms: int) -> Bound:
    """Furnaces that first have to be filled by the dispensers.

    Each furnace stands idle until its first batch has been dispensed, or wastes what its first
    batch leaves empty; the best compromise over all sizes of the first batches is what is lost at
    least. The rest is counted as if every run were full.
    """
    visits = [[item for item in way if item.kind is StationKind.FURNACE] for way in ways]
    doses = [item for way in ways for item in way if item.kind is StationKind.DISPENSER]
    if any(len(items) != 1 for items in visits) or len(doses) != len(ways):
        return Bound(0.0, "filling of furnaces")
    heats = [items[0] for items in visits]
    places = floor.places_of(StationKind.FURNACE)
    furnaces = len({place.station for place in places})
    slots = len(places) // furnaces
    dispensers = len(floor.places_of(StationKind.DISPENSER))
    change_s = 2 * carry_s if arms == 1 else carry_s
    step_s = (min(item.work_s for item in doses) + change_s) / dispensers
    head_s = min(item.head_s for item in heats)
    shortest_s = min(item.work_s for item in heats)
    lost = {0: 0.0}
    for _ in range(furnaces):
        following: dict[int, float] = {}
        for count, seconds in lost.items():
            # A furnace that is never used has lost everything; it cannot be less than this.
            for size in range(1, slots + 1):
                total = count + size
                start_s = max(0, total - dispensers) * step_s
                loss = seconds + start_s + shortest_s * (1 - size / slots)
                following[total] = min(following.get(total, math.inf), loss)
        lost = following
    work = sum(item.work_s for item in heats) / slots
    if work / furnaces < shortest_s:
        return Bound(0.0, "filling of furnaces")
    busy_s = (work + min(lost.values())) / furnaces
    return Bound(head_s + busy_s + min(item.tail_s for item in heats), "filling of furnaces")


def _carries(way: Sequence[Visit]) -> int:
    kinds = [StationKind.RACK, *(item.kind for item in way if item.kind is not None)]
    kinds.append(StationKind.RACK)
    return sum(one is not other for one, other in pairwise(kinds))
