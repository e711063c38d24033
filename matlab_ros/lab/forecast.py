"""Who will come to the furnaces and when: from what is under way, queued, and likely to come again.

Whether a sample goes round its loop once more is known when it was looked at. Until then it is
assumed, of so many of them as earlier rounds suggest (`matlab_ros.lab.repeats`), always of the
same ones. Plans that leave these out let furnaces start with the few who happen to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from matlab_ros.lab.allocator import AGING_NS
from matlab_ros.lab.binding import minutes_of, values_of
from matlab_ros.lab.feed_queue import FeedQueue
from matlab_ros.lab.floor import Floor
from matlab_ros.lab.goals import HeatGoal, TransferGoal
from matlab_ros.lab.heat_groups import HeatGroups
from matlab_ros.lab.heat_values import Arrival, Visit
from matlab_ros.lab.state import AttemptRun, ExperimentRun, LabState, TaskRun
from matlab_ros.lab.wants import destination
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe import PASSING, Step

HORIZON = 96
"""Samples that are planned ahead for; later ones change nothing that is decided now."""

_TIMED = (*PASSING, StepAction.MIX, StepAction.GRIND)
"""Steps that say themselves how long they take."""

_NS_PER_MIN = 60_000_000_000
_GOLDEN = 0.6180339887498949
"""Multiples of it, without their whole parts, spread evenly over [0, 1) wherever one stops (Weyl;
Knuth, The Art of Computer Programming 3, 6.4)."""


class Forecast:
    """What is expected at one moment.

    Args:
        state: of the lab.
        floor: its fixed facts.
        groups: of heat steps.
        now_ns: ROS time.
    """

    def __init__(self, state: LabState, floor: Floor, groups: HeatGroups, now_ns: int) -> None:
        self._state = state
        self._floor = floor
        self._groups = groups
        self.now_ns = now_ns
        self.waits_until_ns = 0
        """When one of those whom `again` gave is not expected any more; 0: there are none."""
        self._spent: dict[tuple[str, str], int] = {}
        self.carry_ns = max((state.durations.of("transfer", arm) for arm in floor.arms), default=0)
        self.follow_ns = self._follow_ns()

    def end_of(self, attempt: AttemptRun) -> int:
        """When an attempt under way is expected to end; not before now."""
        goal, durations = attempt.goal, self._state.durations
        if isinstance(goal, HeatGoal):
            spent = durations.of_heat(attempt.device, goal.profile)
        else:
            spent = durations.of(goal.TAG, attempt.device)
        return max(self.now_ns, attempt.intended_ns + spent)

    def under_way(self) -> Iterator[Arrival]:
        """Samples that come to a furnace after what is done to them now."""
        for attempt in self._state.attempts.values():
            end_ns = self.end_of(attempt)
            for place, work in enumerate(attempt.works):
                run = self._state.experiments[work.experiment_id]
                if attempt.attempt_id == run.move.attempt_id and self._is_for_heat(run, attempt):
                    continue
                if not isinstance(attempt.goal, HeatGoal):
                    place = 0
                yield from self._arrival(run, work.step_id, end_ns + place * self.follow_ns)

    def queued(
        self,
        others: Mapping[str, FeedQueue],
        fired: Container[str],
        is_hungry: bool,
        is_usable: Callable[[str], bool],
    ) -> Iterator[Arrival]:
        """Samples in the rack that come to a furnace after something else."""
        free: dict[str, int] = {}
        for attempt in self._state.attempts.values():
            kind = self._destination_of(attempt)
            free[kind] = max(free.get(kind, self.now_ns), self.end_of(attempt))
        for word, queue in others.items():
            places = self._floor.places_named(word)
            usable = sum(is_usable(place.device) for place in places if place.device)
            if not usable:
                continue
            moment_ns = free.get(word, self.now_ns)
            for name in islice(queue.in_order(is_hungry), HORIZON):
                if name in fired:
                    continue
                for found in self._arrival(self._state.experiments[name], "", 0):
                    moment_ns += (found.ready_ns + 2 * self.carry_ns) // usable
                    yield replace(found, ready_ns=max(moment_ns, found.ready_ns + self.now_ns))

    def again(self, fired: Iterable[str]) -> Iterator[Arrival]:
        """Samples that were fired and are likely to be fired again.

        Nobody waits for those that stood still for `AGING_NS`: their device may be gone.

        Args:
            fired: experiments, those that nobody is busy with.
        """
        for place, name in enumerate(islice(fired, HORIZON)):
            run = self._state.experiments[name]
            moved_ns = self._state.container_of(run).since_ns
            until_ns = max(moved_ns, *map(_latest, run.tasks.values())) + AGING_NS
            if self.now_ns < until_ns and not self._state.is_paused(run):
                self.waits_until_ns = min(self.waits_until_ns or until_ns, until_ns)
                yield from self._arrival(run, "", self.now_ns + place * self.follow_ns)

    def later(self, run: ExperimentRun) -> tuple[Visit, ...]:
        """Furnace runs that are expected after the one that a sample waits for."""
        return self._visits(run, "")[1:]

    def _arrival(self, run: ExperimentRun, skip: str, from_ns: int) -> Iterator[Arrival]:
        visits = self._visits(run, skip)
        if visits:
            yield Arrival(from_ns + visits[0].gap_ns, visits[0].group, visits[1:])

    def _is_for_heat(self, run: ExperimentRun, attempt: AttemptRun) -> bool:
        serves = attempt.works[0].serves
        return bool(serves) and run.recipe.step(serves).action is StepAction.HEAT

    def _visits(self, run: ExperimentRun, skip: str) -> tuple[Visit, ...]:
        """Furnace runs that are left to a sample, as far as that can be said.

        Args:
            run: of the sample.
            skip: the step that is being done.
        """
        if run.abort is not None:
            return ()
        steps, graph = run.recipe.steps, run.recipe.graph
        rounds = {name: loop.round for name, loop in run.loops.items()}
        redone: set[str] = set()
        drawn = run.ordinal * _GOLDEN % 1.0
        visits: list[Visit] = []
        gap_ns = index = 0
        while index < len(steps):
            step = steps[index]
            index += 1
            if step.id in redone or not (run.tasks[step.id].state.is_final or step.id == skip):
                if step.action is StepAction.HEAT:
                    names = graph.around[step.id]
                    group = self._groups.at_round(run, step, rounds[names[0]] if names else 0)
                    visits.append(Visit(gap_ns, group))
                    gap_ns = 0
                else:
                    gap_ns += self._takes(run, step)
            if step.id not in graph.loops or run.loops[step.id].ended:
                continue
            loop, round_ = graph.loops[step.id], rounds[step.id]
            if round_ + 1 >= loop.at_most:
                continue
            chance = self._state.repeats.chance(run.recipe.name, step.id, round_)
            if drawn >= chance:
                drawn = (drawn - chance) / (1.0 - chance)
                continue
            drawn /= chance
            rounds[step.id] = round_ + 1
            redone.update(loop.body)
            index = min(number for number, item in enumerate(steps) if item.id in loop.body)
        return tuple(visits)

    def _takes(self, run: ExperimentRun, step: Step) -> int:
        """Of a step that is no furnace run, without waiting."""
        key = (run.plan.name, step.id)
        spent = self._spent.get(key)
        if spent is None:
            spent = self._spent[key] = self._work_out(run, step)
        return spent

    def _work_out(self, run: ExperimentRun, step: Step) -> int:
        if step.action in _TIMED:
            values = values_of(run.plan, run.suggestion.settings)
            return round(minutes_of(step, values, run.tasks[step.id].round) * _NS_PER_MIN)
        if not destination(step):
            return 0
        places = self._floor.places_named(destination(step))
        device = places[0].device if places else ""
        return self._state.durations.of(step.action.value, device) if device else 0

    def _destination_of(self, attempt: AttemptRun) -> str:
        goal = attempt.goal
        name = goal.target if isinstance(goal, TransferGoal) else getattr(goal, "position", "")
        place = self._floor.places.get(name)
        return "" if place is None or place.kind is None else place.kind.value

    def _follow_ns(self) -> int:
        """What a sample takes of the diffractometers after it was heated."""
        if not any(recipe.steps_of(StepAction.MEASURE) for recipe in self._state.recipes()):
            return 0
        devices = self._floor.devices_for(StepAction.MEASURE)
        durations = self._state.durations
        longest = max((durations.of("measure", device.name) for device in devices), default=0)
        return (longest + 2 * self.carry_ns) // max(1, len(devices))


def _latest(task: TaskRun) -> int:
    """When something became possible with a step, or will."""
    return max(task.ready_ns, task.until_ns)
