"""What happens to an experiment's steps without a device: branches, loops, waits, standing."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab.binding import minutes_of, values_of
from matlab_ros.lab.conditions import decide
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.results import is_discarded, pattern_for
from matlab_ros.lab.state import ExperimentRun
from matlab_ros.lab.wants import next_step, stands_right
from matlab_ros.model.lab_words import ExperimentState, StepAction, TaskState
from matlab_ros.model.recipe import PASSING

_NS_PER_MIN = 60_000_000_000
_STANDING = (StepAction.TRANSFER, StepAction.STORE, StepAction.DISCARD)
"""Steps that are done when the crucible stands in the right place."""


class StepDesk:
    """Decides what follows in each experiment as its steps end.

    Rules, of which `docs/recipes.md` tells authors of recipes:

    * A step whose condition does not hold is skipped; steps that need it go on.
    * A loop is decided when its last step has ended, done or skipped; what comes behind it waits
      for that.
    * An analysis without a pattern of this round is skipped.
    * After a sample was discarded, everything that needs its crucible is skipped and loops end.
    * Time goes on while something is paused, and nothing is settled: a wait that is over by then
      ends with the pause.

    Args:
        ledger: of the lab.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._state = ledger.state

    def settle(self, run: ExperimentRun) -> None:
        """Let everything happen to an experiment that needs no device."""
        while (
            run.state is ExperimentState.RUNNING
            and run.abort is None
            and not self._state.is_paused(run)
            and self._settle_next(run)
        ):
            pass

    def _settle_next(self, run: ExperimentRun) -> bool:
        """Let one thing happen to an experiment; whether there was one."""
        return self._end_loop(run) or self._end_wait(run) or self._branch(run) or self._pass(run)

    def _end_loop(self, run: ExperimentRun) -> bool:
        if not run.loops:
            return False
        graph = run.recipe.graph
        for name, loop in run.loops.items():
            if loop.ended or not run.tasks[name].state.satisfies:
                continue
            shape = graph.loops[name]
            repeat = run.recipe.step(name).repeat
            assert repeat is not None, "a loop's last step has a repeat"
            is_over, reason = False, ""
            if repeat.until is not None:
                is_over, reason = decide(self._state, run, name, repeat.until)
            if not is_over and is_discarded(run.recipe, run):
                is_over, reason = True, "the sample was discarded"
            elif not is_over and loop.round + 1 >= shape.at_most:
                is_over = True
                reason = f"{reason}, and it was done {shape.at_most} times".removeprefix(", and ")
            if is_over:
                self._ledger.emit(ev.LoopEnded(run.experiment_id, name, loop.round, reason))
            else:
                self._ledger.emit(
                    ev.LoopRepeated(run.experiment_id, name, loop.round + 1, shape.body, reason)
                )
            return True
        return False

    def _end_wait(self, run: ExperimentRun) -> bool:
        for task in run.tasks.values():
            if 0 < task.until_ns <= self._ledger.now_ns:
                self._settled(run, task.step_id, TaskState.SUCCEEDED)
                return True
        return False

    def _branch(self, run: ExperimentRun) -> bool:
        """Decide about a step that has a condition, or that has become senseless."""
        recipe = run.recipe
        is_gone = is_discarded(recipe, run)
        for step in recipe.steps:
            task = run.tasks[step.id]
            if task.state is TaskState.PENDING:
                if step.when is None or not run.have_ended(step.needs):
                    continue
                holds, reason = decide(self._state, run, step.id, step.when)
                if holds:
                    self._ledger.emit(ev.BranchTaken(run.experiment_id, step.id, reason))
                else:
                    self._settled(run, step.id, TaskState.SKIPPED, reason)
                return True
            if task.state is not TaskState.READY:
                continue
            if step.uses_crucible and is_gone:
                self._settled(run, step.id, TaskState.SKIPPED, "the sample was discarded")
                return True
            if step.action is StepAction.ANALYSE and pattern_for(recipe, run, step.id) is None:
                self._settled(run, step.id, TaskState.SKIPPED, "there is no pattern to analyse")
                return True
        return False

    def _pass(self, run: ExperimentRun) -> bool:
        """End a step that consists in standing somewhere; begin one that consists in waiting."""
        step = next_step(run)
        if step is None or step.action not in (*_STANDING, *PASSING):
            return False
        if not stands_right(self._ledger.floor, self._state.container_of(run), step):
            return False
        if step.action in _STANDING:
            self._settled(run, step.id, TaskState.SUCCEEDED)
            return True
        values = values_of(run.plan, run.suggestion.settings)
        minutes = minutes_of(step, values, run.tasks[step.id].round)
        if minutes == 0:
            self._settled(run, step.id, TaskState.SUCCEEDED)
            return True
        until_ns = self._ledger.now_ns + max(1, round(minutes * _NS_PER_MIN))
        self._ledger.emit(ev.WaitBegun(run.experiment_id, step.id, until_ns))
        return True

    def _settled(
        self, run: ExperimentRun, step_id: str, state: TaskState, reason: str = ""
    ) -> None:
        self._ledger.emit(ev.TaskSettled(run.experiment_id, step_id, state, reason))
