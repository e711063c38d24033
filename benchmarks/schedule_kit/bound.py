"""A time that no schedule beats: critical path, busiest station with its changes, and the arms.

A station's bound is Jackson's: whatever the order, the samples of any subset cannot all have come
to it before the earliest could, take it one after the other, and the last of them still has its
own way to the end. Furnaces count in batches: samples with equal profiles, as many as fit. Between
two crucibles at one position the arm takes out the one and brings the other.

Which of equal samples need more than others is settled like lots that are drawn in the order in
which the samples are first fired (`GradedDevices`). To whoever does not know it beforehand that is
the same as lots drawn with the samples; but it holds for all schedules alike who comes when: the
i-th of its kind is not in a furnace before i of them were weighed, nor before so many runs as that
takes could have begun.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
    """The way of each sample, from what was done to it in a run; waiting and carrying aside.

    Returns:
        In the order in which they were first fired.
    """
    works: dict[str, list[_Work]] = {}
    fired: dict[str, None] = {}
    open_: dict[str, ev.AttemptIntended] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, ev.AttemptIntended):
            open_[event.attempt_id] = event
            if isinstance(event.goal, HeatGoal):
                fired.update(dict.fromkeys(work.experiment_id for work in event.works))
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
    names = dict.fromkeys((*fired, *works))
    return tuple(_way(works[name], carry_s) for name in names)


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
    """The largest of all bounds.

    Args:
        ways: of all samples, those of one kind in the order in which they are first fired.
        lab: where.
        carry_s: what one transfer takes.
    """
    floor = Floor(lab)
    arms = len(floor.arms)
    ways = _one_after_the_other(ways, floor, carry_s)
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


def _one_after_the_other(
    ways: Sequence[Sequence[Visit]], floor: Floor, carry_s: float
) -> list[Sequence[Visit]]:
    """The ways, those behind others of their kind begun as late as that makes them at least.

    A kind is samples with equal visits up to their first firing, which comes after one dose. Let
    D positions weigh, and F furnaces of r positions fire. When the i-th of a kind is first fired,

    - i of them were weighed: ceil(i / D) at one position, one after the other;
    - the runs with the first i are q >= ceil(i / r). Of the first q at most F are under way, this
      one with them, so q - F have ended, and ceil((q - F) / F) of those in one furnace.
    """
    places = floor.places_of(StationKind.FURNACE)
    furnaces = len({place.station for place in places})
    slots = len(places) // furnaces
    weighing = len(floor.places_of(StationKind.DISPENSER))
    change_s = 2 * carry_s if len(floor.arms) == 1 else carry_s
    counts: Counter[tuple[Visit, ...]] = Counter()
    found: list[Sequence[Visit]] = []
    for way in ways:
        kinds = [item.kind for item in way[:2]]
        if kinds != _ONCE[:2]:
            found.append(way)
            continue
        dose, firing = way[:2]
        kind = tuple(replace(item, tail_s=0.0) for item in way[:2])
        counts[kind] += 1
        doses = math.ceil(counts[kind] / weighing) - 1
        runs = math.ceil(math.ceil(counts[kind] / slots) / furnaces) - 1
        late_s = max(doses * (dose.work_s + change_s), runs * (firing.work_s + carry_s))
        later = (replace(item, head_s=item.head_s + late_s) for item in way[1:])
        found.append((dose, *later))
    return found


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
    runs = sorted(
        (
            seconds
            for (_, seconds), count in counts.items()
            for _ in range(math.ceil(count / slots))
        ),
        reverse=True,
    )
    # Of the k F + 1 longest runs one furnace has k + 1, with a crucible carried in between.
    stacked = (
        sum(runs[number * furnaces - number : number * furnaces + 1]) + number * carry_s
        for number in range(1, (batches - 1) // furnaces + 1)
    )
    return max((work + between) / furnaces, *stacked)


def _filling(ways: Sequence[Sequence[Visit]], floor: Floor, carry_s: float, arms: int) -> Bound:
    """Furnaces that are first filled by the dispensers and at last emptied to the diffractometers.

    Only for samples with one dose, one furnace run and one pattern behind it. Let F furnaces of r
    positions fire n samples, in a window from the earliest moment at which any sample can be in a
    furnace to the latest at which any can leave one. Each furnace's window is what it runs, what
    it stands open while crucibles of its other runs are carried, and what it loses before its
    first run and behind its last one.

    - First runs, in the order of their starts, with b_1 ... b_F samples: before the k-th starts,
      b_1 + ... + b_k doses were made, one after the other. Last runs in reverse, with patterns.
    - Runs: at least ceil(n_g / r) of each profile g leave S positions empty. First and last runs
      leave U = 2 F r - sum(b) - sum(l) empty; where U > S there are ceil((U - S) / r) runs more,
      none shorter than the shortest. That needs each furnace to have two runs or more. If j of
      them have one or none, the other F - j have all the work but j of the longest runs. Not all
      can have one or none, since nothing is said where there are not more runs than furnaces.
    - All carrying but into the first runs and out of the last: 2 n - sum(b) - sum(l) times.

    The least of the sum over all sizes and j, divided by the furnaces, is in no schedule undercut.
    """
    name = "filling and emptying furnaces"
    heats, doses, patterns = (
        [item for way in ways for item in way if item.kind is kind]
        for kind in (StationKind.FURNACE, StationKind.DISPENSER, StationKind.DIFFRACTOMETER)
    )
    if any(_stations(way) != _ONCE for way in ways):
        return Bound(0.0, name)
    places = floor.places_of(StationKind.FURNACE)
    furnaces = len({place.station for place in places})
    slots = len(places) // furnaces
    change_s = 2 * carry_s if arms == 1 else carry_s
    counts = Counter((item.group, item.work_s) for item in heats)
    runs = {key: math.ceil(count / slots) for key, count in counts.items()}
    if sum(runs.values()) <= furnaces:
        return Bound(0.0, name)
    work_s = sum(seconds * runs[group, seconds] for group, seconds in runs)
    empty = slots * sum(runs.values()) - len(heats)
    shortest_s, longest_s = min(item.work_s for item in heats), max(item.work_s for item in heats)
    windows = []
    for single in range(furnaces):
        used = furnaces - single
        fill = _losses(used, slots, doses, len(floor.places_of(StationKind.DISPENSER)), change_s)
        stations = len(floor.places_of(StationKind.DIFFRACTOMETER))
        drain = _losses(used, slots, patterns, stations, change_s)
        least = min(
            fill_s
            + drain_s
            + shortest_s * max(0, math.ceil((2 * used * slots - first - last - empty) / slots))
            + max(0, 2 * (len(heats) - single * slots) - first - last) * carry_s / arms
            for first, fill_s in fill.items()
            for last, drain_s in drain.items()
        )
        windows.append((max(0.0, work_s - single * longest_s) + least) / used)
    head_s, tail_s = min(item.head_s for item in heats), min(item.tail_s for item in heats)
    return Bound(head_s + min(windows) + tail_s, name)


_ONCE = [StationKind.DISPENSER, StationKind.FURNACE, StationKind.DIFFRACTOMETER]


def _stations(way: Sequence[Visit]) -> list[StationKind]:
    return [item.kind for item in way if item.kind is not None]


def _losses(
    furnaces: int, slots: int, visits: Sequence[Visit], stations: int, change_s: float
) -> dict[int, float]:
    """What furnaces lose together, by the number of samples in their first (or last) runs."""
    step_s = (min(item.work_s for item in visits) + change_s) / stations
    lost = {0: 0.0}
    for _ in range(furnaces):
        following: dict[int, float] = {}
        for count, seconds in lost.items():
            for total in range(count + 1, count + slots + 1):
                loss_s = seconds + max(0, total - stations) * step_s
                following[total] = min(following.get(total, math.inf), loss_s)
        lost = following
    return lost


def _carries(way: Sequence[Visit]) -> int:
    kinds = [StationKind.RACK, *(item.kind for item in way if item.kind is not None)]
    kinds.append(StationKind.RACK)
    return sum(one is not other for one, other in pairwise(kinds))
