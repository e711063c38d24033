"""What becomes of furnaces and samples if each group is cut into batches of given sizes.

Samples that are expected to be fired again come back as long after a run as that takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import takewhile
from operator import itemgetter

from matlab_ros.lab.heat_values import Arrival, Batch, Cut, Furnace, Group, Outlook, Visit

_NEVER = 2**63
_NS_PER_MIN = 60_000_000_000

Due = tuple[int, int, Group, tuple[Visit, ...]]
"""When a sample is ready, a number that orders equals, its group, and what follows."""


class Case:
    """What all plans of one moment have in common."""

    def __init__(
        self, furnaces: Sequence[Furnace], arrivals: Sequence[Arrival], outlook: Outlook
    ) -> None:
        self.furnaces = furnaces
        self.outlook = outlook
        self.coming: dict[Group, int] = {}
        """Runs of samples that no furnace holds yet for them."""
        self.due: list[Due] = []
        """Samples on their way, in the order of their arrival."""
        for furnace in furnaces:
            if furnace.group is not None:
                self.coming.setdefault(furnace.group, 0)
            for later in furnace.later:
                self._count(self.fitting(later))
        for arrival in sorted(arrivals, key=lambda item: item.ready_ns):
            if outlook.fits[arrival.group]:
                later = self.fitting(arrival.later)
                self.due.append((arrival.ready_ns, len(self.due), arrival.group, later))
                self.coming[arrival.group] = self.coming.get(arrival.group, 0) + 1
                self._count(later)
        self.counts = dict(self.coming)
        """All runs of samples."""
        for furnace in furnaces:
            if furnace.group is not None:
                self.counts[furnace.group] += furnace.held
        self.room = {group: _room(furnaces, group, outlook) for group in self.counts}
        self.is_again = any(item.later for item in arrivals) or any(
            any(item.later) for item in furnaces
        )
        """Whether samples are to be fired more than once."""
        self._stations: dict[tuple[Group, int], tuple[str, ...]] = {}

    def able(self, group: Group, count: int) -> tuple[str, ...]:
        """Stations that can heat a group; if there are some, those with room for so many."""
        stations = self._stations.get((group, count))
        if stations is None:
            fitting = self.outlook.fits[group]
            able = [item for item in self.furnaces if item.station in fitting]
            roomy = [item for item in able if item.slots >= count] or able
            stations = self._stations[group, count] = tuple(item.station for item in roomy)
        return stations

    def fitting(self, later: tuple[Visit, ...]) -> tuple[Visit, ...]:
        """The visits before the first that no furnace can do."""
        fits = self.outlook.fits
        return tuple(takewhile(lambda visit: bool(fits[visit.group]), later))

    def _count(self, later: tuple[Visit, ...]) -> None:
        for visit in later:
            self.coming[visit.group] = self.coming.get(visit.group, 0) + 1


def _room(furnaces: Sequence[Furnace], group: Group, outlook: Outlook) -> int:
    return max((item.slots for item in furnaces if item.station in outlook.fits[group]), default=1)


class Play:
    """What happens if each group's samples are cut into such batches."""

    def __init__(self, case: Case, cuts: Mapping[Group, Cut]) -> None:
        self._runs: list[tuple[int, int, str, Group, int]] = []
        """Starts, ends, stations, groups and sizes."""
        self._case = case
        self._cuts = cuts
        self._outlook = outlook = case.outlook
        self._free = {furnace.station: furnace.free_ns for furnace in case.furnaces}
        self._due = list(case.due)
        self._number = len(self._due)
        self._coming = dict(case.coming)
        self._ready: dict[Group, list[tuple[Visit, ...]]] = {group: [] for group in case.counts}
        self._size = {group: cut.first for group, cut in cuts.items()}
        self._open: dict[Group, list[_Open]] = {}
        self._filled: list[tuple[int, int, Group, list[tuple[Visit, ...]]]] = []
        """Loads that wait for a furnace, in the order in which they are to have one."""
        self._able = {group: case.able(group, cuts[group].others) for group in case.counts}
        for furnace in case.furnaces:
            if furnace.group is not None:
                self._open_up(furnace, furnace.group)
        self._now_ns = outlook.now_ns
        while self._due or self._filled or self._open or any(self._ready.values()):
            self._go_on()

    def batches(self) -> tuple[Batch, ...]:
        """In the order of their starts."""
        runs = sorted(self._runs, key=itemgetter(0))
        return tuple(
            Batch(station, group, size, start_ns, end_ns)
            for start_ns, end_ns, station, group, size in runs
        )

    def score(self) -> tuple[int, int]:
        """When the last sample is done, in whole minutes, and the sum of all ends.

        Samples go through the station that follows one after the other. A sample counts as done
        when it came back from all runs that it may still need.
        """
        end = total = last = 0
        outlook = self._outlook
        for _, end_ns, _, group, size in sorted(self._runs, key=itemgetter(1)):
            begin = max(end, end_ns)
            end = begin + size * outlook.follow_ns
            total += size * begin + outlook.follow_ns * size * (size + 1) // 2
            last = max(last, end + outlook.rest_ns.get(group, 0))
        return last // _NS_PER_MIN, total

    def _open_up(self, furnace: Furnace, group: Group) -> None:
        size = min(max(self._size[group], furnace.held), furnace.slots)
        self._size[group] = self._cuts[group].others
        laters = [self._case.fitting(later) for later in furnace.later]
        laters += [()] * (furnace.held - len(laters))
        if furnace.held >= size or not self._coming[group]:
            self._run(furnace.station, group, laters, self._outlook.now_ns)
        else:
            self._open.setdefault(group, []).append(_Open(furnace.station, size, laters))
            self._free[furnace.station] = _NEVER

    def _go_on(self) -> None:
        """To the next moment at which there is a new load, or a furnace for one that waits."""
        due, ready, coming, size = self._due, self._ready, self._coming, self._size
        until_ns = self._next_free() if self._filled else _NEVER
        if not due and until_ns == _NEVER:
            self._close()
            return
        count = len(self._filled)
        while due and due[0][0] <= until_ns:
            moment_ns, _, group, later = heappop(due)
            self._now_ns = max(self._now_ns, moment_ns)
            ready[group].append(later)
            coming[group] -= 1
            if not coming[group] or len(ready[group]) >= size[group] or group in self._open:
                self._fill(group)
                if len(self._filled) > count:
                    # Those who come at the same moment count too, but nobody after them.
                    until_ns = self._now_ns
        if until_ns < _NEVER:
            self._now_ns = max(self._now_ns, until_ns)
        self._start()

    def _next_free(self) -> int:
        later = (moment for moment in self._free.values() if moment > self._now_ns)
        return min(later, default=_NEVER)

    def _start(self) -> None:
        """Load what can be loaded now."""
        filled, free, now_ns = self._filled, self._free.values(), self._now_ns
        if not filled or min(free) > now_ns:
            return
        filled.sort(key=itemgetter(0, 1))
        left = []
        for place, (_, _, group, chunk) in enumerate(filled):
            if not self._load(group, chunk):
                left.append(filled[place])
            elif min(free) > now_ns:
                left.extend(filled[place + 1 :])
                break
        self._filled = left

    def _close(self) -> None:
        """Nobody is on the way any more: those who wait for others start without them."""
        for group, waiting in self._open.items():
            for item in waiting:
                self._run(item.station, group, item.laters, self._now_ns)
        self._open.clear()
        for group in self._ready:
            self._cut(group, is_last=True)
        self._start()

    def _fill(self, group: Group) -> None:
        """Put those who are ready into furnaces that wait for them, and into loads."""
        ready, is_last = self._ready[group], not self._coming[group]
        waiting = self._open.pop(group, [])
        while waiting and (ready or is_last):
            missing = waiting[0].size - len(waiting[0].laters)
            waiting[0].laters.extend(ready[:missing])
            del ready[:missing]
            if len(waiting[0].laters) < waiting[0].size and not is_last:
                break
            self._run(waiting[0].station, group, waiting[0].laters, self._now_ns)
            del waiting[0]
        if waiting:
            self._open[group] = waiting
        self._cut(group, is_last)

    def _cut(self, group: Group, is_last: bool) -> None:
        """Put those who are ready into loads; the last of them also into one that is not full."""
        ready = self._ready[group]
        while len(ready) >= self._size[group] or (ready and is_last):
            chunk = ready[: self._size[group]]
            del ready[: self._size[group]]
            self._size[group] = self._cuts[group].others
            # Where loads follow from others, what most depends on goes first, else who comes first.
            order = -self._worth(group, chunk), self._now_ns
            first, then = order if self._case.is_again else order[::-1]
            self._filled.append((first, then, group, chunk))

    def _worth(self, group: Group, chunk: list[tuple[Visit, ...]]) -> int:
        """How much furnace time waits for it, by all that is known or else at most."""
        outlook = self._outlook
        way_ns = outlook.duration_ns[group] * len(chunk)
        if self._case.is_again:
            later = (visit.group for visits in chunk for visit in visits)
            way_ns += sum(map(outlook.duration_ns.__getitem__, later))
        else:
            way_ns += outlook.rest_ns.get(group, 0) * len(chunk)
        return way_ns // self._case.room[group]

    def _load(self, group: Group, chunk: list[tuple[Visit, ...]]) -> bool:
        """Into the furnace that has been free for longest, if one is free."""
        free = self._free
        station = min(self._able[group], key=free.__getitem__)
        if free[station] > self._now_ns:
            return False
        carry_ns = self._outlook.carry_ns
        start_ns = max(free[station] + len(chunk) * carry_ns, self._now_ns + carry_ns)
        self._run(station, group, chunk, start_ns)
        return True

    def _run(
        self, station: str, group: Group, chunk: list[tuple[Visit, ...]], start_ns: int
    ) -> None:
        outlook = self._outlook
        end_ns = start_ns + outlook.duration_ns[group]
        self._runs.append((start_ns, end_ns, station, group, len(chunk)))
        self._free[station] = end_ns + len(chunk) * outlook.carry_ns
        for place, later in enumerate(chunk):
            if later:
                self._number += 1
                ready_ns = end_ns + later[0].gap_ns + place * outlook.follow_ns
                heappush(self._due, (ready_ns, self._number, later[0].group, later[1:]))


@dataclass
class _Open:
    """A furnace that waits for more of those it holds."""

    station: str
    size: int
    laters: list[tuple[Visit, ...]]
