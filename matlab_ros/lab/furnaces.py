"""What furnaces do next: who is carried to which, which starts, and which is to be emptied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

from matlab_ros.lab.feed_queue import FeedQueue
from matlab_ros.lab.floor import Floor, Place
from matlab_ros.lab.forecast import HORIZON, Forecast
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.heat_groups import HeatGroups
from matlab_ros.lab.heat_plan import plan_heat
from matlab_ros.lab.heat_values import Arrival, Batch, Furnace, Group, Outlook
from matlab_ros.lab.run_queue import RunQueue
from matlab_ros.lab.state import AttemptRun, ExperimentRun, LabState
from matlab_ros.lab.wants import Want, WantKind
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.lab_words import PositionState, StepAction

_NS_PER_MIN = 60_000_000_000

LEAST_PATIENCE_NS = 30 * 60 * 1_000_000_000
"""A crucible in a furnace waits at least this long for others that are expected."""

PATIENCE_SHARE = 0.5
"""Of a run's duration: longer than that no crucible waits in a furnace for others to come."""


@dataclass
class Load:
    """What a furnace that is not running holds."""

    station: str
    device: str
    slots: int
    members: list[ExperimentRun] = field(default_factory=list)
    """Whose crucibles wait in it for the same run."""
    coming: int = 0
    """Crucibles on their way to it."""
    strangers: int = 0
    """Crucibles that are to leave it first, or stay for good."""
    group: Group | None = None

    @property
    def held(self) -> int:
        """Crucibles that the next run will have for sure."""
        return len(self.members) + self.coming


@dataclass
class FurnaceOrders:
    """What is to be done with furnaces at this moment."""

    starts: list[Load] = field(default_factory=list)
    loadable: dict[Group, list[str]] = field(default_factory=dict)
    """Furnaces that a group's crucibles may be carried to, the best first."""
    wanted: set[str] = field(default_factory=set)
    """Furnaces that are to be emptied, because others need them."""
    waits_until: list[int] = field(default_factory=list)
    """When the patience of crucibles in a furnace ends."""
    hungry: bool = False
    """Whether a furnace stands empty and nobody is ready for one."""


class Furnaces:
    """Decides about furnaces from a look ahead.

    Args:
        floor: the lab's fixed facts.
        is_usable: whether a device takes goals.
        groups: of heat steps.
    """

    def __init__(self, floor: Floor, is_usable: Callable[[str], bool], groups: HeatGroups) -> None:
        self._floor = floor
        self._is_usable = is_usable
        self._groups = groups
        self._stations: dict[str, tuple[Place, ...]] = {}
        for place in floor.places_of(StationKind.FURNACE):
            self._stations[place.station] = floor.places_at(place.station)

    def orders(
        self,
        state: LabState,
        wants: dict[str, Want],
        waiting: dict[Group, RunQueue],
        others: dict[str, FeedQueue],
        fired: Collection[str],
        now_ns: int,
    ) -> FurnaceOrders:
        """What is to be done now.

        Args:
            state: of the lab.
            wants: by experiment.
            waiting: in the rack for a furnace.
            others: in the rack for other stations, by destination.
            fired: those that may be fired again, and that nobody is busy with.
            now_ns: ROS time.
        """
        orders = FurnaceOrders()
        running = self._running(state)
        loads = self.idle(state, wants)
        ready = self._ready(state, wants, waiting)
        orders.hungry = any(not load.held for load in loads)
        if not loads or not (ready or any(load.members or load.coming for load in loads)):
            return orders
        forecast = Forecast(state, self._floor, self._groups, now_ns)
        expected = [*forecast.under_way(), *forecast.again(fired)]
        totals = Counter(item.group for item in expected)
        expected.extend(
            islice(forecast.queued(others, fired, orders.hungry, self._is_usable), HORIZON)
        )
        for group in {item.group for item in expected} | set(ready):
            totals[group] += len(ready.get(group, ()))
            totals[group] += sum(queue.count(group) for queue in others.values())
        batches = self._plan(state, loads, running, ready, expected, totals, forecast)
        if forecast.waits_until_ns:
            orders.waits_until.append(forecast.waits_until_ns)
        first: dict[str, Batch] = {}
        for batch in batches:
            first.setdefault(batch.station, batch)
        for load in loads:
            self._decide(state, load, first.get(load.station), ready, now_ns, orders)
        return orders

    # --- what is ------------------------------------------------------------------------------

    def _running(self, state: LabState) -> dict[str, AttemptRun]:
        return {
            attempt.device: attempt
            for attempt in state.attempts.values()
            if isinstance(attempt.goal, HeatGoal)
        }

    def idle(self, state: LabState, wants: dict[str, Want]) -> list[Load]:
        """Usable furnaces that are not running, with what they hold."""
        running = self._running(state)
        return [
            self._load(state, wants, station, places)
            for station, places in self._stations.items()
            if places[0].device not in running and self._is_usable(places[0].device)
        ]

    def _load(
        self, state: LabState, wants: dict[str, Want], station: str, places: tuple[Place, ...]
    ) -> Load:
        load = Load(station, places[0].device, 0)
        for place in places:
            is_sure = state.position_state(place.name) not in (
                PositionState.BLOCKED,
                PositionState.UNKNOWN,
            )
            load.slots += is_sure
            container = state.occupant(place.name)
            carried = state.reserved_by(place.name)
            if carried:
                self._add_coming(state, load, state.attempts[carried])
            if container is None:
                continue
            run = state.experiment_in(container)
            want = wants.get(run.experiment_id) if run is not None and is_sure else None
            group = self._group(state, want, load.device)
            if run is not None and group is not None and load.group in (None, group):
                load.members.append(run)
                load.group = group
            else:
                load.strangers += 1
        return load

    def _add_coming(self, state: LabState, load: Load, attempt: AttemptRun) -> None:
        load.coming += 1
        work = attempt.works[0]
        run = state.experiments[work.experiment_id]
        if work.serves and run.abort is None:
            step = run.recipe.step(work.serves)
            if step.action is StepAction.HEAT:
                group = self._groups.of(run, step)
                if load.group in (None, group):
                    load.group = group
                    return
        load.coming -= 1
        load.strangers += 1

    def _group(self, state: LabState, want: Want | None, device: str) -> Group | None:
        """Group of a crucible that stands in a furnace and waits for it."""
        if want is None or want.kind is not WantKind.ACT or want.step is None:
            return None
        if want.step.action is not StepAction.HEAT:
            return None
        group = self._groups.of(want.run, want.step)
        if self._is_excluded(want, device, group):
            return None
        return group if self._floor.can_heat(device, self._groups.profile(group)) else None

    def _is_excluded(self, want: Want, device: str, group: Group) -> bool:
        """Whether a heating failed at a furnace, and there is another that could do it."""
        if device not in want.excluded:
            return False
        profile = self._groups.profile(group)
        return any(
            other not in want.excluded
            and self._is_usable(other)
            and self._floor.can_heat(other, profile)
            for other in (places[0].device for places in self._stations.values())
        )

    # --- what will be -------------------------------------------------------------------------

    def _ready(
        self, state: LabState, wants: dict[str, Want], waiting: dict[Group, RunQueue]
    ) -> dict[Group, list[ExperimentRun]]:
        """Whose crucibles, of each group, an arm could bring to a furnace now."""
        ready = {
            group: [state.experiments[name] for name in islice(queue, HORIZON)]
            for group, queue in waiting.items()
            if queue
        }
        places = (*self._floor.station_places, *self._gripper_places())
        for place in places:
            container = state.occupant(place.name)
            run = state.experiment_in(container) if container is not None else None
            want = wants.get(run.experiment_id) if run is not None else None
            if (
                want is not None
                and (want.kind is WantKind.CARRY or self._is_misplaced(state, want, place))
                and want.step is not None
                and want.step.action is StepAction.HEAT
            ):
                group = self._groups.of(want.run, want.step)
                ready.setdefault(group, []).append(want.run)
        return ready

    def _is_misplaced(self, state: LabState, want: Want, place: Place) -> bool:
        """Whether a crucible stands in a furnace that is not to heat it."""
        return (
            place.kind is StationKind.FURNACE
            and want.kind is WantKind.ACT
            and self._group(state, want, place.device) is None
        )

    def _gripper_places(self) -> Iterator[Place]:
        return (self._floor.places[name] for name in self._floor.grippers.values())

    def _plan(
        self,
        state: LabState,
        loads: list[Load],
        running: dict[str, AttemptRun],
        ready: dict[Group, list[ExperimentRun]],
        expected: list[Arrival],
        totals: Counter[Group],
        forecast: Forecast,
    ) -> tuple[Batch, ...]:
        carry_ns, now_ns = forecast.carry_ns, forecast.now_ns
        furnaces = [
            Furnace(
                load.station,
                max(load.slots, 1),
                now_ns + load.strangers * carry_ns,
                load.group if load.held else None,
                load.held,
                tuple(forecast.later(run) for run in load.members),
            )
            for load in loads
        ]
        devices = {load.station: load.device for load in loads}
        for station, places in self._stations.items():
            device = places[0].device
            attempt = running.get(device)
            if attempt is not None and self._is_usable(device):
                free_ns = forecast.end_of(attempt) + len(attempt.works) * carry_ns
                furnaces.append(Furnace(station, len(places), free_ns))
                devices[station] = device
        arrivals = [
            Arrival(now_ns, group, forecast.later(run))
            for group, runs in ready.items()
            for run in runs
        ]
        arrivals += sorted(expected, key=lambda item: item.ready_ns)
        arrivals = arrivals[:HORIZON]
        near = Counter(item.group for item in arrivals)
        groups = {item.group for item in arrivals}
        groups.update(load.group for load in loads if load.group is not None)
        groups.update(visit.group for item in arrivals for visit in item.later)
        groups.update(visit.group for item in furnaces for later in item.later for visit in later)
        device = next(iter(devices.values()))
        outlook = Outlook(
            now_ns,
            {
                group: state.durations.of_heat(device, self._groups.profile(group))
                for group in sorted(groups)
            },
            {
                group: frozenset(
                    station
                    for station, name in devices.items()
                    if self._floor.can_heat(name, self._groups.profile(group))
                )
                for group in groups
            },
            carry_ns,
            forecast.follow_ns,
            {group: totals[group] - count for group, count in near.items()},
            {group: round(self._groups.rest_min(group) * _NS_PER_MIN) for group in groups},
            self._groups.together(groups),
        )
        return plan_heat(furnaces, arrivals, outlook)

    def room(self, group: Group) -> int:
        """Positions of the largest furnace that can heat a group; 1 where there is none."""
        profile = self._groups.profile(group)
        return max(
            (
                len(places)
                for places in self._stations.values()
                if self._floor.can_heat(places[0].device, profile)
            ),
            default=1,
        )

    # --- what to do ---------------------------------------------------------------------------

    def _decide(
        self,
        state: LabState,
        load: Load,
        batch: Batch | None,
        ready: dict[Group, list[ExperimentRun]],
        now_ns: int,
        orders: FurnaceOrders,
    ) -> None:
        if load.strangers:
            if batch is not None or load.held:
                orders.wanted.add(load.station)
            return
        if not load.held:
            if batch is not None and ready.get(batch.group):
                orders.loadable.setdefault(batch.group, []).append(load.station)
            return
        assert load.group is not None
        room = load.slots - load.held
        size = batch.size if batch is not None and batch.group == load.group else load.held
        if load.members:
            since_ns = min(state.container_of(run).since_ns for run in load.members)
            device_ns = state.durations.of_heat(load.device, self._groups.profile(load.group))
            patience_ns = max(LEAST_PATIENCE_NS, round(PATIENCE_SHARE * device_ns))
            if now_ns >= since_ns + patience_ns:
                # Only for those who could be on their way already.
                size = min(size, load.held + len(ready.get(load.group, ())))
            else:
                orders.waits_until.append(since_ns + patience_ns)
        if not any(self._is_usable(arm) for arm in self._floor.arms):
            size = load.held
        if room > 0 and size > load.held:
            if ready.get(load.group):
                # First: to fill what is open is better than to open another.
                orders.loadable.setdefault(load.group, []).insert(0, load.station)
        elif load.members and not load.coming:
            orders.starts.append(load)
