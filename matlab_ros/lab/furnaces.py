"""What furnaces do next: who is carried to which, which starts, and which is to be emptied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from matlab_ros.lab.feed_queue import FeedQueue
from matlab_ros.lab.floor import Floor, Place
from matlab_ros.lab.goals import HeatGoal, TransferGoal
from matlab_ros.lab.heat_groups import HeatGroups
from matlab_ros.lab.heat_plan import Arrival, Batch, Furnace, Group, Outlook, plan_heat
from matlab_ros.lab.run_queue import RunQueue
from matlab_ros.lab.state import AttemptRun, ExperimentRun, LabState
from matlab_ros.lab.wants import Want, WantKind, destination
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.lab_words import PositionState, StepAction
from matlab_ros.model.recipe import Recipe

HORIZON = 96
"""Samples that are planned ahead for; later ones change nothing that is decided now."""

LEAST_PATIENCE_NS = 30 * 60 * 1_000_000_000
"""A crucible in a furnace waits at least this long for others that are expected."""

_NS_PER_MIN = 60_000_000_000

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
        now_ns: int,
    ) -> FurnaceOrders:
        """What is to be done now.

        Args:
            state: of the lab.
            wants: by experiment.
            waiting: in the rack for a furnace.
            others: in the rack for other stations, by destination.
            now_ns: ROS time.
        """
        orders = FurnaceOrders()
        running = self._running(state)
        loads = self.idle(state, wants)
        ready = self._ready(state, wants, waiting)
        orders.hungry = any(not load.held for load in loads)
        if not loads or not (ready or any(load.members or load.coming for load in loads)):
            return orders
        expected = list(self._under_way(state, now_ns))
        totals = Counter(item.group for item in expected)
        expected.extend(islice(self._queued(state, others, orders.hungry, now_ns), HORIZON))
        for group in {item.group for item in expected} | set(ready):
            totals[group] += ready.get(group, 0)
            totals[group] += sum(queue.count(group) for queue in others.values())
        batches = self._plan(state, loads, running, ready, expected, totals, now_ns)
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
            step = self._recipe(state).step(work.serves)
            if step.action is StepAction.HEAT:
                group = self._groups.of(state, run, step)
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
        group = self._groups.of(state, want.run, want.step)
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

    def _recipe(self, state: LabState) -> Recipe:
        assert state.campaign is not None
        return state.campaign.plan.recipe

    # --- what will be -------------------------------------------------------------------------

    def _ready(
        self, state: LabState, wants: dict[str, Want], waiting: dict[Group, RunQueue]
    ) -> dict[Group, int]:
        """Number of crucibles of each group that an arm could bring to a furnace now."""
        ready = {group: len(queue) for group, queue in waiting.items() if queue}
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
                group = self._groups.of(state, want.run, want.step)
                ready[group] = ready.get(group, 0) + 1
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

    def _under_way(self, state: LabState, now_ns: int) -> Iterator[Arrival]:
        """Samples that come to a furnace after what is done to them now."""
        for attempt in state.attempts.values():
            end_ns = max(now_ns, self._end_of(state, attempt))
            for work in attempt.works:
                run = state.experiments[work.experiment_id]
                yield from self._arrival(state, run, work.step_id, end_ns)

    def _queued(
        self, state: LabState, others: dict[str, FeedQueue], hungry: bool, now_ns: int
    ) -> Iterator[Arrival]:
        """Samples in the rack that come to a furnace after something else."""
        free: dict[str, int] = {}
        for attempt in state.attempts.values():
            kind = self._destination_of(attempt)
            end_ns = max(now_ns, self._end_of(state, attempt))
            free[kind] = max(free.get(kind, now_ns), end_ns)
        carry_ns = self._carry_ns(state)
        for word, queue in others.items():
            places = self._floor.places_named(word)
            usable = [place for place in places if self._is_usable(place.device)]
            if not usable:
                continue
            moment_ns = free.get(word, now_ns)
            for name in islice(queue.in_order(hungry), HORIZON):
                run = state.experiments[name]
                spent = self._spent(state, run, "")
                moment_ns += (spent + 2 * carry_ns) // len(usable)
                yield from self._arrival(state, run, "", moment_ns - spent)

    def _destination_of(self, attempt: AttemptRun) -> str:
        goal = attempt.goal
        name = goal.target if isinstance(goal, TransferGoal) else getattr(goal, "position", "")
        place = self._floor.places.get(name)
        return "" if place is None or place.kind is None else place.kind.value

    def _arrival(
        self, state: LabState, run: ExperimentRun, skip: str, from_ns: int
    ) -> Iterable[Arrival]:
        found = self._groups.upcoming(state, run)
        if found is None or found[0].id == skip:
            return ()
        if run.move.attempt_id in state.attempts and self._serves(state, run) == found[0].id:
            return ()
        return (Arrival(from_ns + self._spent(state, run, skip), found[1]),)

    def _serves(self, state: LabState, run: ExperimentRun) -> str:
        return state.attempts[run.move.attempt_id].works[0].serves

    def _spent(self, state: LabState, run: ExperimentRun, skip: str) -> int:
        """What the steps before an experiment's next heat step take, without waiting."""
        total = 0
        for step in self._recipe(state).steps:
            if step.action is StepAction.HEAT and not run.tasks[step.id].state.is_final:
                break
            if run.tasks[step.id].state.is_final or step.id == skip or not destination(step):
                continue
            places = self._floor.places_named(destination(step))
            device = places[0].device if places else ""
            if device:
                total += state.durations.of(step.action.value, device)
        return total

    def _end_of(self, state: LabState, attempt: AttemptRun) -> int:
        goal = attempt.goal
        if isinstance(goal, HeatGoal):
            spent = state.durations.of_heat(attempt.device, goal.profile)
        else:
            spent = state.durations.of(goal.TAG, attempt.device)
        return attempt.intended_ns + spent

    def _carry_ns(self, state: LabState) -> int:
        return max((state.durations.of("transfer", arm) for arm in self._floor.arms), default=0)

    def _plan(
        self,
        state: LabState,
        loads: list[Load],
        running: dict[str, AttemptRun],
        ready: dict[Group, int],
        expected: list[Arrival],
        totals: Counter[Group],
        now_ns: int,
    ) -> tuple[Batch, ...]:
        carry_ns = self._carry_ns(state)
        furnaces = [
            Furnace(
                load.station,
                max(load.slots, 1),
                now_ns + load.strangers * carry_ns,
                load.group if load.held else None,
                load.held,
            )
            for load in loads
        ]
        devices = {load.station: load.device for load in loads}
        for station, places in self._stations.items():
            device = places[0].device
            attempt = running.get(device)
            if attempt is not None and self._is_usable(device):
                end_ns = max(now_ns, self._end_of(state, attempt))
                count = len(attempt.works)
                furnaces.append(Furnace(station, len(places), end_ns + count * carry_ns))
                devices[station] = device
        arrivals = [Arrival(now_ns, group) for group, count in ready.items() for _ in range(count)]
        arrivals += sorted(expected, key=lambda item: item.ready_ns)
        arrivals = arrivals[:HORIZON]
        near = Counter(item.group for item in arrivals)
        groups = {item.group for item in arrivals}
        groups.update(load.group for load in loads if load.group is not None)
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
            self._follow_ns(state),
            {group: round(self._groups.rest_min(group) * _NS_PER_MIN) for group in groups},
            {group: totals[group] - count for group, count in near.items()},
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

    def _follow_ns(self, state: LabState) -> int:
        """What a sample takes of the diffractometers after it was heated."""
        if not self._recipe(state).steps_of(StepAction.MEASURE):
            return 0
        devices = self._floor.devices_for(StepAction.MEASURE)
        longest = max((state.durations.of("measure", device.name) for device in devices), default=0)
        return (longest + 2 * self._carry_ns(state)) // max(1, len(devices))

    # --- what to do ---------------------------------------------------------------------------

    def _decide(
        self,
        state: LabState,
        load: Load,
        batch: Batch | None,
        ready: dict[Group, int],
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
                size = min(size, load.held + ready.get(load.group, 0))
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
