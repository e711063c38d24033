"""Branches, loops and waits happen as the recipe says, survive restarts, and leave their data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import (
    AttemptIntended,
    BranchTaken,
    ExperimentEnded,
    LoopEnded,
    LoopRepeated,
    TaskSettled,
    WaitBegun,
)
from matlab_ros.lab.goal_builder import intend
from matlab_ros.lab.goals import AnalyseGoal, DispenseGoal, HeatGoal, SampleOutcome
from matlab_ros.lab.heat_groups import HeatGroups
from matlab_ros.lab.inputs import PauseAsked, ResumeAsked
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.scheduler import Act
from matlab_ros.lab.state import replay
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import (
    ExperimentState,
    ObservationKind,
    SampleFate,
    SampleState,
    Scope,
    TaskState,
)
from matlab_ros.model.recipe import load_recipe
from matlab_ros.monitor.from_journal import record_of
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab

REPOSITORY = Path(__file__).resolve().parents[2]
PHASES = {
    "MgTiO3",
    "MgO-Periclase",
    "MgCO3-Magnesite",
    "Mg(OH)2-Brucite",
    "TiO2-Anatase",
    "TiO2-Rutile",
}
MINUTE = 60_000_000_000


class Refiring(TableDevices):
    """Each firing of a sample adds a share of the target, if it was ground since the last."""

    def __init__(self, world, share: float = 0.4) -> None:
        super().__init__(world)
        self.share = share
        self.fired: dict[str, int] = {}
        self.mixed: dict[str, list[float]] = {}
        self.profiles: list[tuple[tuple[str, ...], float]] = []
        self.fails: Callable[[str, object], bool] = lambda _device, _goal: False

    def outcome(self, device, goal, now_ns, end_ns):
        outcome = super().outcome(device, goal, now_ns, end_ns)
        if self.fails(device, goal):
            report = replace(
                outcome.report,
                code=FaultCode.DEVICE_UNREACHABLE,
                message="It failed.",
                samples=tuple(
                    SampleOutcome(name, SampleFate.COMPROMISED) for name in goal.sample_ids
                ),
            )
            return type(outcome)(report)
        if isinstance(goal, HeatGoal):
            self.profiles.append((goal.sample_ids, goal.profile.highest_c))
            for name in goal.sample_ids:
                self.fired[name] = self.fired.get(name, 0) + 1
            return replace(outcome, max_measured_c=goal.profile.highest_c - 7.0)
        if isinstance(goal, DispenseGoal):
            self.mixed.setdefault(goal.sample_id, []).append(goal.mix_min)
        if isinstance(goal, AnalyseGoal):
            fraction = min(1.0, self.share * self.fired[goal.sample_id])
            return replace(outcome, target_fraction=fraction)
        return outcome


@pytest.fixture
def set_up(lab, make_campaign, drawing_planner, table_world) -> Callable[..., TableLab]:
    """Makes a table lab for one of the repository's recipes, or an edited one."""

    def make(name="regrind", edit=lambda text: text, share=0.4, folder=None, **changes):
        text = edit((REPOSITORY / f"config/recipes/{name}.yaml").read_text(encoding="utf-8"))
        path = folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        given = {
            "recipe": name,
            "budget": {"experiments": 2, "max_in_flight": 2},
            "planner": {"batch_size": 2, "method": "random", "initial_experiments": 1},
            **changes,
        }
        recipe = load_recipe(path)
        plan = check_campaign(make_campaign(**given), lab, recipe, PHASES, "test.yaml")
        journal = MemoryJournal()
        devices = Refiring(table_world, share)
        table = TableLab(Engine(lab, journal), devices, drawing_planner())
        table.plan, table.devices, table.journal = plan, devices, journal
        return table

    return make


def events(table: TableLab, kind: type) -> list:
    return [entry.event for entry in table.journal.read() if isinstance(entry.event, kind)]


def run(table: TableLab) -> None:
    table.start(table.plan)
    assert table.run().code == FaultCode.NONE


def test_a_loop_goes_on_until_its_condition_holds(set_up, tmp_path):
    table = set_up(folder=tmp_path)
    run(table)
    first = table.engine.state.experiments["trial-e0001"]
    assert first.state is ExperimentState.SUCCEEDED
    assert first.observation.objective == pytest.approx(1.0)
    assert [
        item.round for item in events(table, LoopRepeated) if item.experiment_id[-1] == "1"
    ] == [
        1,
        2,
    ]
    ended = events(table, LoopEnded)
    assert [item.round for item in ended] == [2, 2]
    assert all("analyse.target_fraction is 1" in item.reason for item in ended)
    assert table.devices.fired == {"trial-e0001-s1": 3, "trial-e0002-s1": 3}


def test_each_round_is_hotter_and_the_first_is_not_ground(set_up, tmp_path):
    table = set_up(folder=tmp_path)
    run(table)
    for name, settings in [
        (item.sample_id, item.suggestion.settings)
        for item in table.engine.state.experiments.values()
    ]:
        asked = next(item.value for item in settings if item.name == "temperature_c")
        hot = [top for names, top in table.devices.profiles if name in names]
        assert hot == [asked, asked + 50, asked + 100]
        assert table.devices.mixed[name] == [10.0, 15.0, 15.0]


def test_the_loop_ends_with_its_bound_and_the_last_analysis_counts(set_up, tmp_path):
    table = set_up(folder=tmp_path, share=0.1)
    run(table)
    for item in table.engine.state.experiments.values():
        assert item.observation.objective == pytest.approx(0.3)
        assert item.observation.status is ObservationKind.MEASURED
    assert all("3 times" in item.reason for item in events(table, LoopEnded))


def test_a_loop_whose_condition_holds_at_once_is_not_repeated(set_up, tmp_path):
    table = set_up(folder=tmp_path, share=0.95)
    run(table)
    assert not events(table, LoopRepeated)
    skipped = [item for item in events(table, TaskSettled) if item.state is TaskState.SKIPPED]
    assert {item.step_id for item in skipped} == {"grind"}
    assert all("round > 0 does not hold" in item.reason for item in skipped)


def test_measured_temperatures_come_back_as_the_setting_that_would_have_given_them(
    set_up, tmp_path
):
    table = set_up(folder=tmp_path)
    run(table)
    for item in table.engine.state.experiments.values():
        asked = {setting.name: setting.value for setting in item.suggestion.settings}
        found = {setting.name: setting.value for setting in item.observation.settings}
        assert found["temperature_c"] == pytest.approx(asked["temperature_c"] - 7.0)


def test_attempt_ids_never_come_back_in_a_loop(set_up, tmp_path):
    table = set_up(folder=tmp_path)
    run(table)
    names = [item.attempt_id for item in events(table, AttemptIntended)]
    assert len(names) == len(set(names))
    assert "trial-e0001/measure/3" in names


def test_a_loop_survives_a_restart_after_every_step(set_up, tmp_path, lab):
    undisturbed = set_up(folder=tmp_path)
    run(undisturbed)
    table = set_up(folder=tmp_path)
    table.start(table.plan)
    while table.finished is None:
        engine = Engine.recover(lab, table.journal, table.now_ns)
        again = replay(engine.floor, ((e.ros_time_ns, e.event) for e in table.journal.read()))
        assert again == engine.state
        table.replace_engine(engine)
        if table.finished is None:
            assert table.step()
    for name, item in undisturbed.engine.state.experiments.items():
        assert table.engine.state.experiments[name].observation.objective == pytest.approx(
            item.observation.objective
        )
    assert table.devices.fired == undisturbed.devices.fired


def test_waiting_needs_no_device_and_its_moments_are_in_the_journal(set_up, tmp_path):
    table = set_up(folder=tmp_path, share=0.95)
    run(table)
    times = {
        (type(entry.event), entry.event.experiment_id): entry.ros_time_ns
        for entry in table.journal.read()
        if isinstance(entry.event, (WaitBegun, TaskSettled)) and entry.event.step_id == "cool"
    }
    for name in table.engine.state.experiments:
        assert times[TaskSettled, name] - times[WaitBegun, name] == 30 * MINUTE
    assert not any(
        work.step_id == "cool" for item in events(table, AttemptIntended) for work in item.works
    )


def test_a_wait_that_is_over_during_a_pause_ends_with_the_pause(set_up, tmp_path):
    table = set_up(folder=tmp_path, share=0.95)
    table.start(table.plan)
    while not events(table, WaitBegun):
        table.step()
    table.tell(PauseAsked(Scope.LAB))
    while table.engine.state.attempts:
        table.step()
    table.now_ns += 600 * MINUTE
    table.tell(ResumeAsked(Scope.LAB))
    assert table.run().code == FaultCode.NONE
    assert all(item.observation.objective for item in table.engine.state.experiments.values())


@pytest.mark.parametrize(("share", "is_promising"), [(0.1, False), (0.5, True)])
def test_a_branch_is_taken_or_skipped_and_the_rest_follows(set_up, tmp_path, share, is_promising):
    table = set_up("screening", folder=tmp_path, share=share)
    run(table)
    taken = {item.step_id for item in events(table, BranchTaken)}
    ended = events(table, ExperimentEnded)
    if is_promising:
        assert taken == {"fire_on", "measure", "analyse", "store"}
        assert {item.sample_state for item in ended} == {SampleState.DONE}
    else:
        assert taken == {"discard"}
        assert {item.sample_state for item in ended} == {SampleState.DISPOSED}
    for item in table.engine.state.experiments.values():
        assert item.state is ExperimentState.SUCCEEDED
        assert item.observation.objective == pytest.approx(share * (1 + is_promising))


def test_after_a_discard_nothing_more_is_done_to_the_crucible(set_up, tmp_path):
    def early(text: str) -> str:
        return (
            text.replace("needs: [analyse]\n    when: not", "needs: [guess]\n    when: not")
            .replace(
                "needs: [guess]\n    when: guess.target_fraction >= $promising",
                "needs: [throw]\n    when: $promising < 2",
            )
            .replace(
                "  - id: fire_on",
                "  - id: throw\n    action: discard\n    needs: [guess]\n    deadline_min: 30\n"
                "    when: guess.target_fraction < $promising\n  - id: fire_on",
            )
            .replace(
                "  - id: discard\n    action: discard\n    needs: [guess]",
                "  - id: discard\n    action: discard\n    needs: [analyse]",
            )
        )

    table = set_up("screening", early, folder=tmp_path, share=0.1)
    run(table)
    assert set(table.devices.fired.values()) == {1}
    for item in events(table, ExperimentEnded):
        assert item.sample_state is SampleState.DISPOSED


def test_an_experiment_that_is_aborted_after_an_analysis_still_gives_its_data(set_up, tmp_path):
    table = set_up(folder=tmp_path)
    table.devices.fails = lambda _device, goal: (
        isinstance(goal, HeatGoal) and goal.attempt_id.endswith("/fire/2")
    )
    run(table)
    for item in table.engine.state.experiments.values():
        heats = len([end for end in item.tasks if end == "fire"])
        assert heats == 1
    failed = [
        item
        for item in table.engine.state.experiments.values()
        if item.state is ExperimentState.FAILED
    ]
    assert failed
    for item in failed:
        assert item.observation.status is ObservationKind.MEASURED
        assert item.observation.objective == pytest.approx(0.4)


def test_a_condition_over_a_skipped_step_does_not_hold(set_up, tmp_path):
    def skipping(text: str) -> str:
        return text.replace(
            "    with: {program: 10-100_2-minutes}\n    deadline_min: 60\n"
            "    on_failure: {retry: 2, wait_min: 2, then: abort_experiment}",
            "    with: {program: 10-100_2-minutes}\n    deadline_min: 60\n"
            "    when: fire.max_measured_c < 0",
        )

    table = set_up("screening", skipping, folder=tmp_path, share=0.9)
    run(table)
    reasons = {item.step_id: item.reason for item in events(table, TaskSettled)}
    assert "does not hold" in reasons["glance"]
    assert reasons["guess"] == "there is no pattern to analyse"
    assert "is unknown" in reasons["fire_on"]
    for item in table.engine.state.experiments.values():
        assert item.observation.status is ObservationKind.ABANDONED


def test_steps_of_different_names_may_share_a_furnace_run(set_up, tmp_path, drawing_planner):
    def alike(text: str) -> str:
        return text.replace("dwell_h: 1,", "dwell_h: $dwell_h,")

    table = set_up("screening", alike, folder=tmp_path, share=0.5)
    table._planner = drawing_planner(temperatures=(900.0,))
    table.start(table.plan)
    while not all(item.sample_id for item in table.engine.state.experiments.values()) or not any(
        isinstance(item.goal, HeatGoal) for item in events(table, AttemptIntended)
    ):
        table.step()
    state = table.engine.state
    first, second = state.experiments.values()
    fire, fire_on = table.plan.recipe.step("fire"), table.plan.recipe.step("fire_on")
    groups = HeatGroups()
    assert groups.of(first, fire) == groups.of(second, fire_on)
    act = Act("furnace_1", ((first.experiment_id, "fire"), (second.experiment_id, "fire_on")))
    intended = intend(state, act, table.now_ns)
    assert [work.step_id for work in intended.works] == ["fire", "fire_on"]
    assert intended.goal.sample_ids == (first.sample_id, second.sample_id)


def test_the_report_shows_every_round_and_keeps_the_doses(set_up, tmp_path):
    table = set_up(folder=tmp_path)
    run(table)
    for item in record_of(table.journal.read()).experiments:
        asked = item.settings["temperature_c"]
        assert [found.requested_max_c for found in item.rounds] == [asked, asked + 50, asked + 100]
        assert [found.target_fraction for found in item.rounds] == pytest.approx([0.4, 0.8, 1.0])
        assert len(item.doses) == 2


def test_powder_of_all_rounds_must_fit_the_crucible(set_up, tmp_path):
    def topped_up(text: str) -> str:
        return text.replace("repeat: {from: grind,", "repeat: {from: dispense,")

    with pytest.raises(ConfigError, match="6000 mg in round 0 do not fit"):
        set_up(edit=topped_up, folder=tmp_path, sample_mass_mg=2000)


def test_a_round_that_no_furnace_can_do_is_refused_with_the_campaign(set_up, tmp_path):
    def hotter(text: str) -> str:
        return text.replace("min($temperature_c + 50 * round, 1400)", "$temperature_c + 75 * round")

    with pytest.raises(ConfigError, match="1450 C of step 'fire' in round 2") as caught:
        set_up(edit=hotter, folder=tmp_path)
    assert caught.value.key == "parameters.1"
