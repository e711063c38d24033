"""Which samples may be heated together: those whose next heat steps have equal profiles."""

from __future__ import annotations

from matlab_ros.lab.binding import profile_of, values_of
from matlab_ros.lab.goals import HeatProfile
from matlab_ros.lab.heat_plan import Group
from matlab_ros.lab.state import ExperimentRun, LabState
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe import Step
from matlab_ros.model.step_arguments import HeatArguments


class HeatGroups:
    """Profiles and groups of heat steps, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], tuple[Group, HeatProfile]] = {}
        self._profiles: dict[Group, HeatProfile] = {}
        self._rests: dict[Group, float] = {}

    def of(self, state: LabState, run: ExperimentRun, step: Step) -> Group:
        """Group of an experiment's heat step in its present round."""
        return self._look_up(state, run, step)[0]

    def profile(self, group: Group) -> HeatProfile:
        """Of a group that `of` gave."""
        return self._profiles[group]

    def rest_min(self, group: Group) -> float:
        """Minutes of furnace runs that a sample of a group may need after this one, at most."""
        return self._rests[group]

    def upcoming(self, state: LabState, run: ExperimentRun) -> tuple[Step, Group] | None:
        """The next heat step that an experiment will come to, None where there is none."""
        if state.campaign is None or run.abort is not None:
            return None
        for step in state.campaign.plan.recipe.steps_of(StepAction.HEAT):
            if not run.tasks[step.id].state.is_final:
                return step, self.of(state, run, step)
        return None

    def _look_up(
        self, state: LabState, run: ExperimentRun, step: Step
    ) -> tuple[Group, HeatProfile]:
        round_ = run.tasks[step.id].round
        key = (run.experiment_id, step.id, round_)
        known = self._known.get(key)
        if known is None:
            assert state.campaign is not None
            assert isinstance(step.arguments, HeatArguments)
            values = values_of(state.campaign.plan, run.suggestion.settings)
            profile = profile_of(step.arguments, values, round_)
            segments = tuple(
                (item.target_c, item.ramp_c_per_min, item.dwell_min) for item in profile.segments
            )
            group = (segments, profile.unload_below_c, int(profile.atmosphere))
            profile = self._profiles.setdefault(group, profile)
            known = self._known[key] = (group, profile)
            rest = self._rest_min(state, run, step, profile)
            self._rests[group] = max(rest, self._rests.get(group, 0.0))
        return known

    def _rest_min(
        self, state: LabState, run: ExperimentRun, step: Step, profile: HeatProfile
    ) -> float:
        """Minutes of the rounds to come, and of the heat steps behind this one."""
        assert state.campaign is not None
        recipe = state.campaign.plan.recipe
        rounds = recipe.graph.rounds(step.id) - 1 - run.tasks[step.id].round
        total = rounds * profile.programmed_min()
        values = values_of(state.campaign.plan, run.suggestion.settings)
        steps = recipe.steps_of(StepAction.HEAT)
        for later in steps[steps.index(step) + 1 :]:
            assert isinstance(later.arguments, HeatArguments)
            if not run.tasks[later.id].state.is_final:
                total += profile_of(later.arguments, values, 0).programmed_min()
        return total

    def forget(self, experiment_id: str, step_ids: tuple[str, ...]) -> None:
        """Let go of what is known of an experiment that has ended."""
        for step_id in step_ids:
            round_ = 0
            while self._known.pop((experiment_id, step_id, round_), None) is not None:
                round_ += 1
