"""Which samples may be heated together: those whose next heat steps have equal profiles."""

from __future__ import annotations

from collections.abc import Iterable

from matlab_ros.lab.binding import profile_of, values_of
from matlab_ros.lab.goals import HeatProfile
from matlab_ros.lab.heat_values import Group
from matlab_ros.lab.state import ExperimentRun
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe import Step
from matlab_ros.model.step_arguments import HeatArguments


class HeatGroups:
    """Profiles and groups of heat steps, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[tuple[str, int], Group]] = {}
        """By experiment, then by step and round."""
        self._profiles: dict[Group, HeatProfile] = {}
        self._rests: dict[Group, float] = {}
        self._together: set[Group] = set()

    def of(self, run: ExperimentRun, step: Step) -> Group:
        """Group of an experiment's heat step in its present round."""
        return self.at_round(run, step, run.tasks[step.id].round)

    def at_round(self, run: ExperimentRun, step: Step, round_: int) -> Group:
        """Group of an experiment's heat step in one round of the loop around it."""
        known = self._known.setdefault(run.experiment_id, {})
        group = known.get((step.id, round_))
        if group is None:
            group = known[step.id, round_] = self._work_out(run, step, round_)
        return group

    def profile(self, group: Group) -> HeatProfile:
        """Of a group that `of` gave."""
        return self._profiles[group]

    def rest_min(self, group: Group) -> float:
        """Minutes of furnace runs that a sample of a group may need after this one, at most."""
        return self._rests[group]

    def together(self, groups: Iterable[Group]) -> frozenset[Group]:
        """Those of groups whose campaign shares furnace runs on purpose."""
        return frozenset(self._together.intersection(groups))

    def upcoming(self, run: ExperimentRun) -> tuple[Step, Group] | None:
        """The next heat step that an experiment will come to, None where there is none."""
        if run.abort is not None:
            return None
        for step in run.recipe.steps_of(StepAction.HEAT):
            if not run.tasks[step.id].state.is_final:
                return step, self.of(run, step)
        return None

    def _work_out(self, run: ExperimentRun, step: Step, round_: int) -> Group:
        assert isinstance(step.arguments, HeatArguments)
        values = values_of(run.plan, run.suggestion.settings)
        profile = profile_of(step.arguments, values, round_)
        segments = tuple(
            (item.target_c, item.ramp_c_per_min, item.dwell_min) for item in profile.segments
        )
        group = (segments, profile.unload_below_c, int(profile.atmosphere))
        profile = self._profiles.setdefault(group, profile)
        if run.plan.config.furnace is not None:
            self._together.add(group)
        rest = self._rest_min(run, step, profile, round_)
        self._rests[group] = max(rest, self._rests.get(group, 0.0))
        return group

    @staticmethod
    def _rest_min(run: ExperimentRun, step: Step, profile: HeatProfile, round_: int) -> float:
        """Minutes of the rounds to come, and of the heat steps behind this one."""
        recipe = run.recipe
        rounds = recipe.graph.rounds(step.id) - 1 - round_
        total = rounds * profile.programmed_min()
        values = values_of(run.plan, run.suggestion.settings)
        steps = recipe.steps_of(StepAction.HEAT)
        for later in steps[steps.index(step) + 1 :]:
            assert isinstance(later.arguments, HeatArguments)
            if not run.tasks[later.id].state.is_final:
                total += profile_of(later.arguments, values, 0).programmed_min()
        return total

    def forget(self, experiment_id: str) -> None:
        """Let go of what is known of an experiment that has ended."""
        self._known.pop(experiment_id, None)
