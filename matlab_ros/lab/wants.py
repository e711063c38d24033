"""What one sample's crucible waits for: to be acted on, carried, brought home, or looked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from matlab_ros.lab.floor import Floor, Place
from matlab_ros.lab.state import ContainerRun, ExperimentRun, LabState, TaskRun
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.lab_words import ExperimentState, StepAction, TaskState
from matlab_ros.model.recipe import Step

_BUSY = (TaskState.RUNNING, TaskState.AWAITING_RESOLUTION)


class WantKind(Enum):
    """What a crucible waits for."""

    ACT = auto()
    """The device of the station where it stands."""
    CARRY = auto()
    """To be carried to where its next step happens."""
    HOME = auto()
    """To be carried home: nothing is left to be done to it."""
    ASIDE = auto()
    """Nothing; it may be put aside if others want its place."""
    SEARCH = auto()
    """To be found."""


@dataclass(frozen=True)
class Want:
    """What a crucible waits for."""

    kind: WantKind
    run: ExperimentRun
    step: Step | None = None
    """Of ACT and CARRY."""
    since_ns: int = 0

    @property
    def excluded(self) -> tuple[str, ...]:
        """Devices at which the step failed."""
        return () if self.step is None else self.run.tasks[self.step.id].excluded


def destination(step: Step) -> str:
    """Where a step's crucible must stand: a kind of station, a station or a position; empty:
    anywhere."""
    return step.place or ("" if step.station is None else step.station.value)


def places_of(floor: Floor, container: ContainerRun, step: Step) -> tuple[Place, ...]:
    """Positions where a step can happen; of a rack a crucible's own place there.

    What can happen anywhere but in a gripper happens at home, if the crucible has to go somewhere.
    """
    word = destination(step)
    if word in ("", StationKind.RACK.value):
        return (floor.places[container.home],)
    return floor.places_named(word)


def stands_right(floor: Floor, container: ContainerRun, step: Step) -> bool:
    """Whether a crucible stands where a step happens."""
    place = floor.places.get(container.position)
    if place is None or place.is_gripper:
        return False
    return not destination(step) or place in places_of(floor, container, step)


def next_step(run: ExperimentRun) -> Step | None:
    """The step that the crucible itself is wanted for next, if it is free for it."""
    if run.abort is not None or is_held(run):
        return None
    for step in run.recipe.steps:
        if run.tasks[step.id].state is TaskState.READY and step.uses_crucible:
            return step
    return None


def is_held(run: ExperimentRun) -> bool:
    """Whether the crucible is in use, or a failure with it is not decided."""
    if run.move.state in _BUSY:
        return True
    return any(run.tasks[step.id].state in _BUSY for step in run.recipe.steps if step.uses_crucible)


def places_to_search(container: ContainerRun) -> tuple[str, ...]:
    """Where to look for a lost container; its home harms nobody, since only it stands there."""
    return tuple(name for name in container.suspects if name != container.home)


def want_of(floor: Floor, state: LabState, run: ExperimentRun, now_ns: int) -> Want | None:
    """What an experiment's crucible waits for now, if anything.

    Args:
        floor: the lab's fixed facts.
        state: of the lab.
        run: that has not ended.
        now_ns: ROS time, for tasks that are to wait.
    """
    if run.state is not ExperimentState.RUNNING or state.is_paused():
        return None
    container = state.container_of(run)
    if run.move.state in _BUSY or run.move.not_before_ns > now_ns:
        return None
    if not container.position:
        return Want(WantKind.SEARCH, run) if places_to_search(container) else None
    is_home = container.position == container.home
    if run.abort is not None or run.steps_done:
        if is_home or is_held(run):
            return None
        # A pause means that nothing is done to a sample: it may be carried out of others' way.
        kind = WantKind.ASIDE if state.is_paused(run) else WantKind.HOME
        return Want(kind, run, since_ns=state.time_ns)
    step = None if state.is_paused(run) else next_step(run)
    if step is None:
        is_free = not is_held(run) or state.is_asking(run)
        is_idle = not any(task.state is TaskState.RUNNING for task in _crucible_tasks(run))
        return Want(WantKind.ASIDE, run) if is_free and is_idle and not is_home else None
    task = run.tasks[step.id]
    if task.not_before_ns > now_ns:
        return None
    kind = WantKind.ACT if stands_right(floor, container, step) else WantKind.CARRY
    return Want(kind, run, step, task.ready_ns)


def _crucible_tasks(run: ExperimentRun) -> list[TaskRun]:
    """Tasks that have the crucible to themselves."""
    return [run.tasks[step.id] for step in run.recipe.steps if step.uses_crucible]


def analysis_steps(state: LabState, run: ExperimentRun, now_ns: int) -> tuple[Step, ...]:
    """Steps of an experiment that could begin and need no crucible."""
    if run.state is not ExperimentState.RUNNING or state.is_paused(run):
        return ()
    return tuple(
        step
        for step in run.recipe.steps_of(StepAction.ANALYSE)
        if run.tasks[step.id].state is TaskState.READY
        and run.tasks[step.id].not_before_ns <= now_ns
    )


def may_come_again(run: ExperimentRun) -> bool:
    """Whether a sample has been fired, and whether it is fired again is not decided."""
    heats = run.recipe.steps_of(StepAction.HEAT)
    return (
        run.abort is None
        and not all(loop.ended for loop in run.loops.values())
        and all(run.tasks[step.id].state.is_final for step in heats)
    )
