"""What could begin now: from what the samples want to requests for the allocator.

Nobody scans all samples for a decision: after an event only the experiments it concerned are looked
at again, and stand in queues by what they wait for. Of each queue only the first is asked for,
since what it cannot have nobody behind it could have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from matlab_ros.lab.allocator import Alternative, Request, stretch
from matlab_ros.lab.feed_queue import Feed, FeedQueue
from matlab_ros.lab.floor import ACTING_KIND, Floor, Place
from matlab_ros.lab.furnaces import FurnaceOrders, Furnaces
from matlab_ros.lab.heat_groups import HeatGroups
from matlab_ros.lab.heat_values import Group
from matlab_ros.lab.resources import Resources, analysis_of
from matlab_ros.lab.run_queue import RunQueue
from matlab_ros.lab.state import ContainerRun, ExperimentRun, LabState
from matlab_ros.lab.wants import (
    Want,
    WantKind,
    analysis_steps,
    destination,
    may_come_again,
    places_of,
    places_to_search,
    want_of,
)
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.lab_words import ExperimentState, PositionState, StepAction
from matlab_ros.model.recipe import Step

_NS_PER_MIN = 60_000_000_000


@dataclass(frozen=True)
class Act:
    """Let a device carry out a step for one experiment, or a furnace for several."""

    device: str
    works: tuple[tuple[str, str], ...]
    """Experiment and step of each."""


@dataclass(frozen=True)
class Move:
    """Let an arm carry an experiment's crucible."""

    device: str
    experiment_id: str
    target: str
    serves: str
    """Step that wants it; empty: out of the way."""
    looks_at: str = ""
    """Where a lost crucible may stand; empty: it is known where it stands."""


Task = Act | Move


class Priority:
    """Order of what competes for devices and arms; the higher goes first."""

    ANALYSE = 12
    ACT = 11
    GRIPPER = 10
    """An arm that holds something can do nothing else."""
    CLEAR = 8
    """A station that others wait for is held up by one that is done there."""
    FEED = 7
    EMPTY_FURNACE = 5
    LOAD_FURNACE = 4
    SEARCH = 3
    HOMEWARD = 2
    """Those who are done; they only take up room."""


class Scheduler:
    """Lists what could begin.

    Args:
        floor: the lab's fixed facts.
        is_usable: whether a device takes goals at this moment.
    """

    def __init__(self, floor: Floor, is_usable: Callable[[str], bool]) -> None:
        self._floor = floor
        self._is_usable = is_usable
        self._groups = HeatGroups()
        self._furnaces = Furnaces(floor, is_usable, self._groups)
        self._orders = FurnaceOrders()
        self._stale: dict[str, None] = {}
        self._wants: dict[str, Want] = {}
        self._at_rest: dict[str, FeedQueue] = {}
        """In the rack, by destination."""
        self._heats: dict[Group, RunQueue] = {}
        """In the rack, waiting for a furnace."""
        self._lost: dict[str, None] = {}
        self._fired: dict[str, None] = {}
        """Who may be fired again, and nobody is busy with."""
        self._analyses = RunQueue()
        self._queues: dict[str, RunQueue | FeedQueue] = {}
        """In which queue of the rack an experiment stands."""

    def touch(self, experiment_id: str) -> None:
        """Have an experiment looked at again before the next decision."""
        self._stale[experiment_id] = None

    def resources(self, state: LabState) -> Resources:
        """What is taken at this moment."""
        return Resources(state, self._is_usable)

    def wakeups(self, state: LabState, now_ns: int) -> list[int]:
        """Moments at which something could begin without any event, after `requests`."""
        return [moment for moment in self._orders.waits_until if moment > now_ns]

    def requests(self, state: LabState, now_ns: int) -> list[Request[Task]]:
        """What could begin if its resources are free.

        Args:
            state: of the lab.
            now_ns: ROS time, for tasks that wait before they are tried again.
        """
        stale, self._stale = self._stale, {}
        for name in stale:
            self._look_at(state, name, now_ns)
        if state.is_paused():
            return []
        free = self.resources(state)
        self._orders = self._furnaces.orders(
            state, self._wants, self._heats, self._at_rest, self._fired, now_ns
        )
        found = [*self._acts(state), *self._analysis_requests(state, now_ns)]
        if any(free.is_free(arm) for arm in self._floor.arms):
            found.extend(self._moves(state, free))
        return found

    # --- who waits for what -------------------------------------------------------------------

    def _look_at(self, state: LabState, name: str, now_ns: int) -> None:
        """Sort an experiment in anew."""
        self._wants.pop(name, None)
        self._lost.pop(name, None)
        self._fired.pop(name, None)
        self._analyses.discard(name)
        queue = self._queues.pop(name, None)
        if queue is not None:
            queue.discard(name)
        run = state.experiments.get(name)
        if run is None or run.state.is_final:
            self._groups.forget(name)
            return
        if run.state is not ExperimentState.RUNNING:
            return
        steps = analysis_steps(state, run, now_ns)
        if steps:
            since_ns = run.tasks[steps[0].id].ready_ns
            self._analyses.add(name, (since_ns, run.ordinal))
        if may_come_again(run) and not any(
            work.experiment_id == name
            for attempt in state.attempts.values()
            for work in attempt.works
        ):
            self._fired[name] = None
        want = want_of(self._floor, state, run, now_ns)
        if want is None:
            return
        self._wants[name] = want
        if want.kind is WantKind.SEARCH:
            self._lost[name] = None
        place = self._floor.places.get(state.container_of(run).position)
        if place is not None and place.kind is StationKind.RACK and want.kind is WantKind.CARRY:
            self._queue(state, want)

    def _queue(self, state: LabState, want: Want) -> None:
        assert want.step is not None
        run = want.run
        name = run.experiment_id
        if want.step.action is StepAction.HEAT:
            group = self._groups.of(run, want.step)
            heats = self._heats.setdefault(group, RunQueue())
            heats.add(name, (want.since_ns, run.ordinal))
            self._queues[name] = heats
        else:
            queue = self._at_rest.setdefault(destination(want.step), FeedQueue())
            queue.add(name, self._feed(state, want))
            self._queues[name] = queue

    def _feed(self, state: LabState, want: Want) -> Feed:
        """What decides when a sample in the rack is prepared."""
        began, run = stretch(want.since_ns), want.run
        upcoming = self._groups.upcoming(run)
        if upcoming is None:
            return Feed(began, (), 0, 1, run.ordinal)
        group = upcoming[1]
        minutes = self._groups.profile(group).programmed_min() + self._groups.rest_min(group)
        way_ns = round(minutes * _NS_PER_MIN)
        # How many of a group come again nobody knows: then no run of it is sure not to be full.
        room = 1 if self._groups.rest_min(group) else self._furnaces.room(group)
        return Feed(began, group, way_ns, room, run.ordinal)

    # --- devices ------------------------------------------------------------------------------

    def _acts(self, state: LabState) -> Iterator[Request[Task]]:
        """Steps at the stations where crucibles stand."""
        for load in self._orders.starts:
            runs = sorted(load.members, key=lambda run: run.ordinal)
            step = self._wants[runs[0].experiment_id].step
            assert step is not None
            task = Act(load.device, tuple(self._work(run) for run in runs))
            yield self._request(Priority.ACT, runs[0], step, (Alternative((load.device,), task),))
        for place, want in self._standing(state):
            step = want.step
            if (
                want.kind is WantKind.ACT
                and step is not None
                and step.action in ACTING_KIND
                and step.action is not StepAction.HEAT
                and not self._is_excluded(want, place.device)
            ):
                task = Act(place.device, ((want.run.experiment_id, step.id),))
                ways = (Alternative[Task]((place.device,), task),)
                yield self._request(Priority.ACT, want.run, step, ways)

    def _work(self, run: ExperimentRun) -> tuple[str, str]:
        step = self._wants[run.experiment_id].step
        assert step is not None
        return run.experiment_id, step.id

    def _analysis_requests(self, state: LabState, now_ns: int) -> Iterator[Request[Task]]:
        """Steps that need no crucible."""
        for name in self._analyses.first():
            run = state.experiments[name]
            step = analysis_steps(state, run, now_ns)[0]
            devices = self._floor.devices_for(StepAction.ANALYSE)
            excluded = self._excluded(run, step, tuple(device.name for device in devices))
            ways = tuple(
                Alternative[Task](
                    (analysis_of(device.name, device.overlaps_analysis),),
                    Act(device.name, ((name, step.id),)),
                )
                for device in devices
                if device.name not in excluded
            )
            yield self._request(Priority.ANALYSE, run, step, ways)

    def _request(
        self,
        priority: int,
        run: ExperimentRun,
        step: Step | None,
        ways: tuple[Alternative[Task], ...],
        since_ns: int = 0,
    ) -> Request[Task]:
        if step is None:
            return Request(priority, run.ordinal, ways, since_ns=since_ns)
        ready_ns = run.tasks[step.id].ready_ns
        if step.deadline_min is None:
            return Request(priority, run.ordinal, ways, since_ns=ready_ns)
        deadline_ns = ready_ns + round(step.deadline_min * _NS_PER_MIN)
        return Request(priority, run.ordinal, ways, deadline_ns, ready_ns)

    # --- arms ---------------------------------------------------------------------------------

    def _moves(self, state: LabState, free: Resources) -> Iterator[Request[Task]]:
        yield from self._from_grippers(state, free)
        yield from self._searches(state)
        wanted = self._wanted(state, free)
        for place, want in self._standing(state):
            yield from self._from_station(state, free, place, want, wanted)
        for word, queue in self._at_rest.items():
            for name in queue.first(self._orders.hungry):
                want = self._wants[name]
                yield from self._carry(state, want, self._targets(state, free, want), Priority.FEED)
                if word == StationKind.RACK.value:
                    break
        for group in self._orders.loadable:
            heats = self._heats.get(group, RunQueue())
            for name in heats.first():
                want = self._wants[name]
                targets = self._targets(state, free, want)
                yield from self._carry(state, want, targets, Priority.LOAD_FURNACE)

    def _standing(self, state: LabState) -> Iterator[tuple[Place, Want]]:
        """Crucibles at stations that want something."""
        for place in self._floor.station_places:
            container = state.occupant(place.name)
            run = state.experiment_in(container) if container is not None else None
            want = self._wants.get(run.experiment_id) if run is not None else None
            if want is not None and not state.positions[place.name].blocked:
                yield place, want

    def _from_grippers(self, state: LabState, free: Resources) -> Iterator[Request[Task]]:
        """What arms hold goes on to where it was wanted, or home."""
        for gripper in self._floor.grippers.values():
            container = state.occupant(gripper)
            run = state.experiment_in(container) if container is not None else None
            want = self._wants.get(run.experiment_id) if run is not None else None
            if want is None or state.positions[gripper].blocked:
                continue
            targets = self._targets(state, free, want) if want.kind is WantKind.CARRY else ()
            if targets:
                yield from self._carry(state, want, targets, Priority.GRIPPER)
            else:
                yield from self._homeward(state, want.run, Priority.GRIPPER)

    def _searches(self, state: LabState) -> Iterator[Request[Task]]:
        """Look for lost crucibles where they may be."""
        for name in self._lost:
            run = state.experiments[name]
            container = state.container_of(run)
            here = places_to_search(container)[0]
            place = self._floor.places[here]
            ways = []
            shunned = self._shunned(run.move.excluded)
            for arm, gripper in self._floor.grippers.items():
                if arm in shunned and place.device != arm:
                    continue
                move = Move(arm, name, container.home, "", here)
                if place.is_gripper and place.device == arm:
                    ways.append(Alternative[Task]((arm,), move))
                elif not place.is_gripper and state.attempt_on(place.device) is None:
                    ways.append(Alternative[Task]((arm, gripper), move))
            yield Request(
                Priority.GRIPPER if place.is_gripper else Priority.SEARCH, run.ordinal, tuple(ways)
            )

    def _wanted(self, state: LabState, free: Resources) -> set[str]:
        """Stations that somebody waits for who cannot have them."""
        found = set(self._orders.wanted)
        hungry, queues = self._orders.hungry, self._at_rest.values()
        waiting = [self._wants[name] for queue in queues for name in queue.first(hungry)]
        waiting.extend(want for _, want in self._standing(state) if want.kind is WantKind.CARRY)
        for want in waiting:
            assert want.step is not None
            if want.step.action is StepAction.HEAT or self._targets(state, free, want):
                continue
            places = places_of(self._floor, state.container_of(want.run), want.step)
            found.update(place.station for place in places)
        return found

    def _from_station(
        self, state: LabState, free: Resources, place: Place, want: Want, wanted: set[str]
    ) -> Iterator[Request[Task]]:
        """Carry a crucible on from where it stands, or out of others' way."""
        is_wanted = place.station in wanted
        is_furnace = place.kind is StationKind.FURNACE
        if is_furnace and state.attempt_on(place.device) is not None:
            return
        clear = Priority.EMPTY_FURNACE if is_furnace else Priority.CLEAR
        if want.kind is WantKind.HOME:
            yield from self._homeward(state, want.run, clear if is_wanted else Priority.HOMEWARD)
            return
        if want.kind is WantKind.CARRY or self._is_misplaced(state, place, want):
            targets = self._targets(state, free, want)
            if targets:
                is_load = self._floor.places[targets[0]].kind is StationKind.FURNACE
                usual = Priority.LOAD_FURNACE if is_load else Priority.FEED
                yield from self._carry(
                    state, want, targets, max(usual, clear) if is_wanted else usual
                )
            elif is_wanted:
                yield from self._homeward(state, want.run, clear)
        elif want.kind is WantKind.ASIDE and is_wanted:
            yield from self._homeward(state, want.run, clear)

    def _is_misplaced(self, state: LabState, place: Place, want: Want) -> bool:
        """Whether a crucible stands at a device that is not to do its step."""
        if want.kind is not WantKind.ACT or want.step is None:
            return False
        if want.step.action is StepAction.HEAT:
            group = self._groups.of(want.run, want.step)
            if not self._floor.can_heat(place.device, self._groups.profile(group)):
                return True
        return self._is_excluded(want, place.device)

    def _targets(self, state: LabState, free: Resources, want: Want) -> tuple[str, ...]:
        """Free positions where a crucible's step could happen, the best first."""
        assert want.step is not None
        places: Sequence[Place]
        if want.step.action is StepAction.HEAT:
            group = self._groups.of(want.run, want.step)
            places = [
                place
                for station in self._orders.loadable.get(group, ())
                for place in self._floor.places_at(station)
            ]
        else:
            places = places_of(self._floor, state.container_of(want.run), want.step)
        return tuple(
            place.name
            for place in places
            if (not place.device or self._is_usable(place.device))
            and not self._is_excluded(want, place.device)
            and free.is_free(place.name)
        )

    def _is_excluded(self, want: Want, device: str) -> bool:
        """Whether a step failed at a device, and there is another that could do it."""
        if not want.excluded or want.step is None or device not in want.excluded:
            return False
        places = places_of(self._floor, _no_container(self._floor), want.step)
        return device in self._excluded(
            want.run, want.step, tuple(place.device for place in places)
        )

    def _excluded(
        self, run: ExperimentRun, step: Step, devices: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Devices at which a step failed; none where there is no other."""
        tried = run.tasks[step.id].excluded
        others = [item for item in devices if item not in tried and self._is_usable(item)]
        return tried if others else ()

    def _carry(
        self, state: LabState, want: Want, targets: tuple[str, ...], priority: int
    ) -> Iterator[Request[Task]]:
        assert want.step is not None
        ways = tuple(
            Alternative[Task]((*hands, target), Move(arm, name, target, want.step.id))
            for target in targets
            for name in (want.run.experiment_id,)
            for arm, hands in self._hands(state.container_of(want.run), want.run.move.excluded)
        )
        if ways:
            yield self._request(priority, want.run, want.step, ways)

    def _homeward(
        self, state: LabState, run: ExperimentRun, priority: int
    ) -> Iterator[Request[Task]]:
        container = state.container_of(run)
        if state.position_state(container.home) is PositionState.BLOCKED:
            return
        ways = tuple(
            # Its home needs no asking: nothing else ever stands there.
            Alternative[Task](hands, Move(arm, run.experiment_id, container.home, ""))
            for arm, hands in self._hands(container, run.move.excluded)
        )
        if container.position != container.home and ways:
            yield self._request(priority, run, None, ways, container.since_ns)

    def _hands(
        self, container: ContainerRun, excluded: tuple[str, ...] = ()
    ) -> list[tuple[str, tuple[str, ...]]]:
        """Arms that can take a container, with what that needs of them.

        Args:
            container: that stands somewhere.
            excluded: arms that failed at it; left out while there is another.
        """
        place = self._floor.places[container.position]
        if place.is_gripper:
            # What an arm holds no other can take.
            return [(place.device, (place.device,))]
        return [
            (arm, (arm, gripper))
            for arm, gripper in self._floor.grippers.items()
            if arm not in self._shunned(excluded)
        ]

    def _shunned(self, excluded: tuple[str, ...]) -> tuple[str, ...]:
        """Of the arms that failed at a transfer those that are not to try it again now."""
        if not excluded:
            return ()
        others = [arm for arm in self._floor.arms if arm not in excluded and self._is_usable(arm)]
        return excluded if others else ()


def _no_container(floor: Floor) -> ContainerRun:
    """Stands for any container where only stations matter."""
    name, home = next(iter(floor.homes.items()))
    return ContainerRun(name, home, home)
