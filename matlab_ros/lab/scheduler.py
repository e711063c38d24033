"""What could begin now: from the state to requests for the allocator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matlab_ros.lab.allocator import Alternative, Request
from matlab_ros.lab.binding import profile_of, values_of
from matlab_ros.lab.floor import Floor, Place
from matlab_ros.lab.goals import HeatProfile
from matlab_ros.lab.state import ContainerRun, ExperimentRun, LabState, TaskRun
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.lab_words import PositionState, StepAction, TaskState
from matlab_ros.model.recipe import HeatArguments, Step


@dataclass(frozen=True)
class Act:
    """Let a device carry out a step for one experiment, or a furnace for several."""

    device: str
    step_id: str
    experiment_ids: tuple[str, ...]


@dataclass(frozen=True)
class Move:
    """Let an arm carry an experiment's crucible."""

    device: str
    experiment_id: str
    target: str
    serves: str
    """Step that wants it; empty: out of the way."""


Task = Act | Move

_HOMEWARD = 1_000
"""Priority of crucibles whose experiment is over: they only take up room."""
_OUT_OF_THE_WAY = -1


class Scheduler:
    """Lists what could begin.

    Args:
        floor: the lab's fixed facts.
        is_usable: whether a device takes goals at this moment.
    """

    def __init__(self, floor: Floor, is_usable: Callable[[str], bool]) -> None:
        self._floor = floor
        self._is_usable = is_usable
        self._profiles: dict[tuple[str, str], HeatProfile] = {}

    def is_free(self, state: LabState, resource: str) -> bool:
        """Whether a device or a position can be taken now."""
        if resource in self._floor.places:
            return state.position_state(resource) is PositionState.EMPTY
        return self._is_usable(resource) and state.attempt_on(resource) is None

    def profile(self, state: LabState, run: ExperimentRun, step: Step) -> HeatProfile:
        """Temperature profile of one experiment's heat step."""
        key = (run.experiment_id, step.id)
        if key not in self._profiles:
            assert state.campaign is not None
            assert isinstance(step.arguments, HeatArguments)
            values = values_of(state.campaign.plan, run.suggestion.settings)
            self._profiles[key] = profile_of(step.arguments, values)
        return self._profiles[key]

    def next_step(self, state: LabState, run: ExperimentRun) -> Step | None:
        """The step that the crucible itself is wanted for next, if it is free for it."""
        if state.campaign is None or run.abort is not None or self._is_engaged(state, run):
            return None
        for step in state.campaign.plan.recipe.steps:
            if step.station is not None and run.tasks[step.id].state is TaskState.READY:
                return step
        return None

    def stands_right(self, container: ContainerRun, step: Step) -> bool:
        """Whether a crucible stands where a step happens; a rack means its own place there."""
        if step.station is StationKind.RACK:
            return container.position == container.home
        place = self._floor.places.get(container.position)
        return place is not None and place.kind is step.station

    def requests(self, state: LabState, now_ns: int) -> tuple[Request[Task], ...]:
        """Everything that could begin if its resources are free.

        Args:
            state: of the lab.
            now_ns: ROS time, for tasks that wait before they are tried again.
        """
        if state.is_paused():
            return ()
        found: list[Request[Task]] = []
        wanted: list[StationKind] = []
        stranded: list[ExperimentRun] = []
        for run in state.active():
            if state.is_paused(run):
                continue
            found.extend(self._analyses(state, run, now_ns))
            container = state.container_of(run)
            if not container.position or self._is_engaged(state, run):
                continue
            if run.abort is not None or run.steps_done:
                found.extend(self._homeward(run, container, now_ns, _HOMEWARD))
                continue
            step = self.next_step(state, run)
            if step is None or not _is_due(run.tasks[step.id], now_ns):
                continue
            if self.stands_right(container, step) and self._furnace_fits(state, run, step):
                acts = self._acts(state, run, step, now_ns)
                found.extend(acts)
                if step.action is StepAction.HEAT and not acts:
                    wanted.append(StationKind.FURNACE)
                continue
            if not _is_due(run.move, now_ns):
                continue
            targets = self._targets(state, run, step)
            if targets:
                found.append(self._carry(run, step, targets))
            else:
                assert step.station is not None
                wanted.append(step.station)
                stranded.append(run)
        for run in stranded:
            container = state.container_of(run)
            here = self._floor.places[container.position]
            if here.kind in wanted:
                found.extend(self._homeward(run, container, now_ns, _OUT_OF_THE_WAY))
        return tuple(found)

    # --- one experiment -----------------------------------------------------------------------

    def _is_engaged(self, state: LabState, run: ExperimentRun) -> bool:
        """Whether the crucible is in use, or a failure with it is not decided."""
        busy = (TaskState.RUNNING, TaskState.AWAITING_RESOLUTION)
        if run.move.state in busy:
            return True
        assert state.campaign is not None
        return any(
            run.tasks[step.id].state in busy
            for step in state.campaign.plan.recipe.steps
            if step.station is not None
        )

    def _analyses(self, state: LabState, run: ExperimentRun, now_ns: int) -> list[Request[Task]]:
        """Steps that need no crucible."""
        assert state.campaign is not None
        found: list[Request[Task]] = []
        for step in state.campaign.plan.recipe.steps_of(StepAction.ANALYSE):
            task = run.tasks[step.id]
            if task.state is TaskState.READY and _is_due(task, now_ns):
                devices = self._floor.devices_for(StepAction.ANALYSE)
                found.append(
                    Request(
                        _progress(run),
                        run.ordinal,
                        tuple(
                            Alternative(
                                (device.name,), Act(device.name, step.id, (run.experiment_id,))
                            )
                            for device in devices
                        ),
                    )
                )
        return found

    def _homeward(
        self, run: ExperimentRun, container: ContainerRun, now_ns: int, priority: int
    ) -> list[Request[Task]]:
        if container.position == container.home or not _is_due(run.move, now_ns):
            return []
        return [
            Request(
                priority,
                run.ordinal,
                tuple(
                    Alternative(
                        (arm, container.home), Move(arm, run.experiment_id, container.home, "")
                    )
                    for arm in self._floor.arms
                ),
            )
        ]

    def _carry(self, run: ExperimentRun, step: Step, targets: Sequence[str]) -> Request[Task]:
        return Request(
            _progress(run),
            run.ordinal,
            tuple(
                Alternative((arm, target), Move(arm, run.experiment_id, target, step.id))
                for target in targets
                for arm in self._floor.arms
            ),
        )

    def _acts(
        self, state: LabState, run: ExperimentRun, step: Step, now_ns: int
    ) -> list[Request[Task]]:
        """The step itself, at the station where the crucible stands."""
        place = self._floor.places[state.container_of(run).position]
        if step.action is StepAction.HEAT:
            batch = self._batch(state, run, step, place, now_ns)
        elif step.action in (StepAction.DISPENSE, StepAction.MEASURE):
            batch = (run.experiment_id,)
        else:
            batch = ()
        if not batch:
            return []
        task = Act(place.device, step.id, batch)
        return [Request(_progress(run), run.ordinal, (Alternative((place.device,), task),))]

    def _targets(self, state: LabState, run: ExperimentRun, step: Step) -> tuple[str, ...]:
        """Free positions where the step could happen, the best first."""
        assert step.station is not None
        if step.station is StationKind.RACK:
            return (state.container_of(run).home,)
        places = [
            place
            for place in self._floor.places_of(step.station)
            if self._is_usable(place.device) and self.is_free(state, place.name)
        ]
        if step.action is not StepAction.HEAT:
            return tuple(place.name for place in places)
        profile = self.profile(state, run, step)
        joined: list[str] = []
        empty: list[str] = []
        for place in places:
            if not self._floor.can_heat(place.device, profile):
                continue
            if state.attempt_on(place.device) is not None:
                continue
            neighbours = self._neighbours(state, place)
            if all(self._heats_alike(state, other, profile) for other in neighbours):
                (joined if neighbours else empty).append(place.name)
        return tuple(joined + empty)

    # --- furnaces -----------------------------------------------------------------------------

    def _neighbours(self, state: LabState, place: Place) -> list[ExperimentRun | None]:
        """Experiments whose crucibles stand in, or are on their way to, a station.

        None stands for a crucible that belongs to no experiment in flight.
        """
        owners: dict[str, ExperimentRun] = {}
        for run in state.active():
            owners[state.samples[run.sample_id].container_id] = run
        found: list[ExperimentRun | None] = []
        for other in self._floor.places_at(place.station):
            container = state.occupant(other.name)
            if container is not None:
                found.append(owners.get(container.container_id))
            carried = state.reserved_by(other.name)
            if carried:
                found.append(state.experiments[state.attempts[carried].works[0].experiment_id])
        return found

    def _heats_alike(
        self, state: LabState, run: ExperimentRun | None, profile: HeatProfile
    ) -> bool:
        """Whether an experiment waits for, or is carried to, a run with this profile."""
        if run is None or run.abort is not None:
            return False
        assert state.campaign is not None
        carried = run.move.state is TaskState.RUNNING
        step = self._step_served(state, run) if carried else self.next_step(state, run)
        return (
            step is not None
            and step.action is StepAction.HEAT
            and self.profile(state, run, step) == profile
        )

    def _step_served(self, state: LabState, run: ExperimentRun) -> Step | None:
        """The step that the transfer under way is made for."""
        assert state.campaign is not None
        attempt = state.attempts[run.move.attempt_id]
        serves = attempt.works[0].serves
        return state.campaign.plan.recipe.step(serves) if serves else None

    def _furnace_fits(self, state: LabState, run: ExperimentRun, step: Step) -> bool:
        """Whether the furnace where a crucible stands can carry out its profile."""
        if step.action is not StepAction.HEAT:
            return True
        place = self._floor.places[state.container_of(run).position]
        return self._floor.can_heat(place.device, self.profile(state, run, step))

    def _batch(
        self, state: LabState, run: ExperimentRun, step: Step, place: Place, now_ns: int
    ) -> tuple[str, ...]:
        """Experiments that a furnace would heat together if it began now; empty: not yet.

        It waits for crucibles under way to it, and for those that are ready for the same profile
        while it has room; it never heats a crucible that is not of the batch.
        """
        profile = self.profile(state, run, step)
        neighbours = self._neighbours(state, place)
        batch: list[ExperimentRun] = []
        for other in neighbours:
            if other is None or not self._heats_alike(state, other, profile):
                return ()
            if other.move.state is TaskState.RUNNING or state.is_paused(other):
                return ()
            other_step = self.next_step(state, other)
            if other_step is None or not _is_due(other.tasks[other_step.id], now_ns):
                return ()
            if other_step.id != step.id:
                return ()
            batch.append(other)
        batch.sort(key=lambda item: item.ordinal)
        if batch[0] is not run:
            return ()
        room = any(
            self.is_free(state, other.name) for other in self._floor.places_at(place.station)
        )
        if room and self._is_joined_soon(state, place, profile, batch, now_ns):
            return ()
        return tuple(item.experiment_id for item in batch)

    def _is_joined_soon(
        self,
        state: LabState,
        place: Place,
        profile: HeatProfile,
        batch: Sequence[ExperimentRun],
        now_ns: int,
    ) -> bool:
        """Whether another crucible is ready to be carried to this furnace for the same profile."""
        if not any(self._is_usable(arm) for arm in self._floor.arms):
            return False
        members = [run.experiment_id for run in batch]
        for run in state.active():
            if (
                run.experiment_id in members
                or state.is_paused(run)
                or not state.container_of(run).position
            ):
                continue
            step = self.next_step(state, run)
            if (
                step is not None
                and self._heats_alike(state, run, profile)
                and not self.stands_right(state.container_of(run), step)
                and _is_due(run.tasks[step.id], now_ns)
                and _is_due(run.move, now_ns)
            ):
                return True
        return False


def _is_due(task: TaskRun, now_ns: int) -> bool:
    return task.not_before_ns <= now_ns


def _progress(run: ExperimentRun) -> int:
    """Priority of an experiment: the further it is, the sooner it is served."""
    return sum(task.state.satisfies for task in run.steps)
