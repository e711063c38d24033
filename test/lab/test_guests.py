"""A single experiment of something else runs beside a campaign, and neither is the other's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from matlab_ros.lab.alerts import AlertLevel, alert_of
from matlab_ros.lab.commands import ReportObservation, RequestSuggestions
from matlab_ros.lab.engine import Engine, Refused
from matlab_ros.lab.events import (
    AttemptIntended,
    CampaignEnded,
    ExperimentAborted,
    ExperimentEnded,
    ExperimentSubmitted,
)
from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.inputs import (
    CampaignSubmitted,
    CancelAsked,
    DeviceGivenUp,
    DeviceLost,
    ExperimentAsked,
    PauseAsked,
    RestockAsked,
    ResumeAsked,
)
from matlab_ros.lab.journal import MemoryJournal, SqlJournal
from matlab_ros.lab.metrics import metrics_of
from matlab_ros.lab.metrics_values import Autonomy
from matlab_ros.lab.scopes import is_canceling
from matlab_ros.lab.state import replay
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import ExperimentState, Scope
from matlab_ros.model.recipe import Recipe, load_recipe
from matlab_ros.monitor.from_journal import record_of
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab, settings_of

RECIPES = Path(__file__).resolve().parents[2] / "config/recipes"
SETTINGS = settings_of({"precursors": "a", "temperature_c": 1000.0, "dwell_h": 4.0})


@pytest.fixture(scope="module")
def make_guest(lab, make_campaign) -> Callable[..., CampaignPlan]:
    """Makes the plan of a guest; with `policy`, of its first step's failures."""

    def make(recipe: str = "regrind", policy: dict[str, Any] | None = None) -> CampaignPlan:
        data = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text())
        if policy is not None:
            data["steps"][0]["on_failure"] = policy
        config = make_campaign(name="aside", recipe=recipe, budget={"experiments": 1})
        phases = frozenset({item.structure for item in lab.stock} | {"MgTiO3"})
        return check_campaign(config, lab, Recipe.model_validate(data), phases, "guest.yaml")

    return make


@pytest.fixture
def table(lab, make_plan, drawing_planner, table_world) -> TableLab:
    """Six samples of which furnaces hold some."""
    journal = MemoryJournal()
    planner = drawing_planner()
    table = TableLab(Engine(lab, journal), TableDevices(table_world), planner)
    table.journal, table.planner = journal, planner
    table.start(make_plan())
    go_on_until(table, lambda: bool(events(table, AttemptIntended, "heat")))
    return table


def go_on_until(table: TableLab, what: Callable[[], bool]) -> None:
    while not what():
        assert table.step(), "nothing happens any more"


def events(table: TableLab, kind: type, word: str = "") -> list[Any]:
    found = [entry.event for entry in table.journal.read() if isinstance(entry.event, kind)]
    return [event for event in found if word in getattr(event, "attempt_id", "")]


def check_replay(table: TableLab) -> None:
    entries = ((entry.ros_time_ns, entry.event) for entry in table.journal.read())
    assert replay(table.engine.floor, entries) == table.engine.state


def test_another_recipe_runs_beside_a_campaign_and_its_planner_hears_nothing_of_it(
    table, make_guest, lab
):
    state = table.engine.state
    table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"))
    guest = state.experiments["firing-1"]
    assert guest.is_guest
    assert set(guest.tasks) - {"move"} == {step.id for step in guest.recipe.steps}
    assert table.run().code == FaultCode.NONE
    go_on_until(table, lambda: guest.state.is_final)
    assert guest.state is ExperimentState.SUCCEEDED
    assert guest.loops["analyse"].round > 0, "its own recipe has a loop, the campaign's has none"
    assert set(table.planner.known) == {run.experiment_id for run in state.in_campaign()}
    assert state.count(ExperimentState.SUCCEEDED) == 6, "it took nothing of the budget"
    assert len(state.observations()) == 6
    assert not state.is_at_work
    assert not table.step()
    check_replay(table)
    entries = list(table.journal.read())
    found = metrics_of(entries, lab)
    assert found.autonomy is Autonomy.CLOSED_LOOP
    assert (found.experiments_by_planner, found.experiments_by_person) == (6, 0)
    assert found.settings_tried <= 6
    record = record_of(entries)
    assert len(record.experiments) == 6
    assert record.facts["beside the campaign"] == "firing-1 (regrind)"
    assert any("firing-1" in item.experiments for item in record.attempts)


def test_a_guest_shares_a_furnace_run_where_profiles_agree_and_keeps_its_own_steps(
    lab, make_plan, make_guest, drawing_planner, table_world
):
    journal = MemoryJournal()
    table = TableLab(Engine(lab, journal), TableDevices(table_world), drawing_planner([1000.0]))
    table.journal = journal
    recipe = load_recipe(RECIPES / "solid_state.yaml").model_copy(update={"name": "another"})
    config = make_plan().config.model_copy(update={"name": "aside", "recipe": "another"})
    phases = frozenset({item.structure for item in lab.stock} | {"MgTiO3"})
    plan = check_campaign(config, lab, recipe, phases, "guest.yaml")
    table.start(make_plan())
    table.tell(ExperimentAsked(SETTINGS, "firing-1", plan, "anna"))
    table.run()
    go_on_until(table, lambda: not table.engine.state.is_at_work)
    shared = [
        {work.experiment_id for work in event.works}
        for event in events(table, AttemptIntended, "heat")
        if isinstance(event.goal, HeatGoal)
    ]
    assert any("firing-1" in names and len(names) > 1 for names in shared)


def test_a_guest_outlives_its_campaign_and_a_new_one_begins_beside_it(table, make_guest, make_plan):
    state = table.engine.state
    table.tell(CancelAsked(Scope.CAMPAIGN, "trial", "anna"))
    table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"))
    guest = state.experiments["firing-1"]
    assert table.run().code == FaultCode.CANCELED
    assert not guest.state.is_final
    table.finished = None
    table.tell(CampaignSubmitted(make_plan(name="second")))
    assert state.experiments["firing-1"] is guest
    assert table.run().code == FaultCode.NONE
    go_on_until(table, lambda: guest.state.is_final)
    assert guest.state is ExperimentState.SUCCEEDED
    assert state.count(ExperimentState.SUCCEEDED) == 6
    check_replay(table)
    entries = list(table.journal.read())
    assert len(record_of(entries, "trial").experiments) > 0
    assert len(record_of(entries, "second").experiments) == 6
    assert metrics_of(entries, campaign="second").settings_tried <= 6
    # Its attempts' ids are never given again.
    table.tell(CampaignSubmitted(make_plan(name="third", budget={"experiments": 1})))
    with pytest.raises(Refused, match="in or beside an earlier campaign"):
        table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"))
    table.tell(CancelAsked(Scope.LAB, "", "anna"))
    go_on_until(table, lambda: not state.is_at_work)
    with pytest.raises(Refused, match="holds an experiment 'firing-1'"):
        table.tell(CampaignSubmitted(make_plan(name="firing-1")))


def test_a_campaign_begins_beside_a_single_experiment_that_is_under_way(
    lab, make_plan, make_guest, drawing_planner, table_world
):
    journal, planner = MemoryJournal(), drawing_planner()
    table = TableLab(Engine(lab, journal), TableDevices(table_world), planner)
    table.journal = journal
    table.bring_up()
    table.tell(ExperimentAsked(SETTINGS, "", make_guest(), "anna"))
    state = table.engine.state
    alone = state.experiments["aside-x0001-e0001"]
    go_on_until(table, lambda: bool(state.attempts))
    table.tell(CampaignSubmitted(make_plan()))
    assert alone.is_guest
    assert table.run().campaign == "trial"
    go_on_until(table, lambda: alone.state.is_final)
    assert alone.state is ExperimentState.SUCCEEDED
    assert "aside-x0001-e0001" not in planner.known
    assert state.count(ExperimentState.SUCCEEDED) == 6
    assert metrics_of(journal.read()).settings_tried <= 6
    assert record_of(journal.read(), "trial").best().experiment_id.startswith("trial")
    check_replay(table)


def test_cancelling_one_leaves_the_other_alone_and_cancelling_the_lab_ends_both(table, make_guest):
    state = table.engine.state
    table.tell(ExperimentAsked(SETTINGS, "first", make_guest(), "anna"))
    table.tell(ExperimentAsked(SETTINGS, "second", make_guest("screening"), "anna"))
    first, second = state.experiments["first"], state.experiments["second"]
    go_on_until(table, lambda: bool(first.outcomes))
    table.tell(CancelAsked(Scope.EXPERIMENT, "first", "anna"))
    assert is_canceling(first)
    assert not any(is_canceling(run) for run in state.in_campaign())
    table.tell(CancelAsked(Scope.LAB, "", "anna", "fire drill"))
    assert all(run.abort is not None for run in state.in_flight())
    assert table.run().code == FaultCode.CANCELED
    go_on_until(table, lambda: not state.is_at_work)
    assert second.abort.message == "fire drill"
    assert all(item.position == item.home for item in state.containers.values())
    check_replay(table)


def test_a_paused_campaign_does_not_stop_its_guest_nor_the_other_way_round(table, make_guest):
    state = table.engine.state
    table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"))
    guest = state.experiments["firing-1"]
    table.tell(PauseAsked(Scope.CAMPAIGN, "trial", "anna"))
    assert state.is_paused(state.experiments["trial-e0001"])
    before = len(state.experiments)
    go_on_until(table, lambda: guest.state.is_final)
    assert guest.state is ExperimentState.SUCCEEDED
    assert len(state.experiments) == before, "the planner was asked for more"
    while table.step():
        pass
    assert state.is_paused()
    assert state.count(ExperimentState.SUCCEEDED) < 6
    table.tell(ResumeAsked(Scope.CAMPAIGN, "trial", "anna"))
    table.tell(ExperimentAsked(SETTINGS, "firing-2", make_guest("screening"), "anna"))
    table.tell(PauseAsked(Scope.EXPERIMENT, "firing-2", "anna"))
    assert table.run().code == FaultCode.NONE
    other = state.experiments["firing-2"]
    assert not other.outcomes
    table.tell(ResumeAsked(Scope.EXPERIMENT, "firing-2", "anna"))
    go_on_until(table, lambda: other.state.is_final)
    assert other.state is ExperimentState.SUCCEEDED
    check_replay(table)


def test_a_guest_is_checked_whole_before_it_is_anything(table, make_guest, lab):
    before = table.engine.state.sequence
    guest = make_guest()
    too_hot = settings_of({"precursors": "a", "temperature_c": 2600.0, "dwell_h": 4.0})
    with pytest.raises(Refused, match="no furnace"):
        table.tell(ExperimentAsked(too_hot, "firing-1", make_guest("screening"), "anna"))
    with pytest.raises(Refused, match="expected each of"):
        table.tell(ExperimentAsked(SETTINGS[:2], "firing-1", guest, "anna"))
    with pytest.raises(Refused, match="kept for experiments that the lab names"):
        table.tell(ExperimentAsked(SETTINGS, "trial-e0099", guest, "anna"))
    with pytest.raises(Refused, match="holds a campaign 'trial'"):
        table.tell(ExperimentAsked(SETTINGS, "trial", guest, "anna"))
    table.tell(PauseAsked(Scope.LAB, "", "anna"))
    with pytest.raises(Refused, match="takes no new experiment"):
        table.tell(ExperimentAsked(SETTINGS, "firing-1", guest, "anna"))
    assert not table.engine.state.guests
    assert table.engine.state.sequence == before + 1
    table.tell(ResumeAsked(Scope.LAB, "", "anna"))
    table.tell(ExperimentAsked(SETTINGS, "firing-1", guest, "anna"))
    table.tell(ExperimentAsked(SETTINGS, "firing-1", guest, "anna"))
    assert len(events(table, ExperimentSubmitted)) == 1
    with pytest.raises(Refused, match="with other settings"):
        table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest("screening"), "anna"))
    table.tell(ExperimentAsked(SETTINGS, "", guest, "anna"))
    assert "aside-x0001" in table.engine.state.experiments


def test_a_guest_takes_no_crucible_that_the_campaign_needs(
    lab, make_plan, make_guest, drawing_planner, table_world
):
    count = lab.containers.count
    table = TableLab(Engine(lab, MemoryJournal()), TableDevices(table_world), drawing_planner())
    table.start(make_plan(budget={"experiments": count, "max_in_flight": 4}))
    with pytest.raises(Refused, match="matlab-ros lab restock") as refused:
        table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"))
    assert refused.value.code == FaultCode.CONTAINERS_EXHAUSTED
    state = table.engine.state
    go_on_until(table, lambda: state.count(ExperimentState.SUCCEEDED) > 0)
    table.tell(RestockAsked((), "anna"))
    table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"))
    assert table.run().code == FaultCode.NONE
    assert state.count(ExperimentState.SUCCEEDED) == count


def test_what_stops_the_lab_stops_guests_too_and_says_so(table, make_guest):
    state = table.engine.state
    table.tell(CancelAsked(Scope.CAMPAIGN, "trial", "anna"))
    table.tell(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"))
    table.run()
    guest = state.experiments["firing-1"]
    go_on_until(table, lambda: bool(guest.outcomes))
    table.tell(DeviceLost("arm", Fault.of(FaultCode.PROCESS_DIED, "It is silent.")))
    while table.step():
        pass
    assert not guest.state.is_final
    table.tell(DeviceGivenUp("arm"))
    aborted = events(table, ExperimentAborted)[-1]
    assert (aborted.experiment_id, aborted.code) == ("firing-1", FaultCode.DEVICE_MISSING)
    alert = alert_of(aborted, state)
    assert alert is not None
    assert alert.level is AlertLevel.ERROR
    go_on_until(table, lambda: guest.state.is_final)
    check_replay(table)


@pytest.mark.parametrize("seed", range(4))
def test_campaign_and_guests_end_whatever_fails_and_however_often_the_lab_manager_dies(
    tmp_path, lab, make_plan, make_guest, faulty_devices, drawing_planner, check_places, seed
):
    url = f"sqlite:///{tmp_path / 'journal.sqlite'}"
    journal = SqlJournal(url)
    devices, planner = faulty_devices(lab, seed, 0.25), drawing_planner()
    table = TableLab(Engine(lab, journal), devices, planner)
    table.start(make_plan())
    plans = {"first": make_guest(), "second": make_guest("screening", {"then": "stop_lab"})}
    steps = 0
    while table.engine.state.is_at_work:
        assert table.step(), "nothing happens any more"
        check_places(table.engine)
        steps += 1
        if steps in (10, 30) and table.engine.state.is_at_work:
            name = "first" if steps == 10 else "second"
            if not table.engine.state.paused:
                table.tell(ExperimentAsked(SETTINGS, name, plans[name], "anna"))
        if steps % 7 == 0:
            before = table.engine.state
            journal.close()
            journal = SqlJournal(url)
            entries = ((entry.ros_time_ns, entry.event) for entry in journal.read())
            assert replay(table.engine.floor, entries) == before
            table.replace_engine(Engine.recover(lab, journal, table.now_ns))
    table.journal = journal
    state = table.engine.state
    assert {"first", "second"} <= set(state.experiments)
    assert all(run.state.is_final for run in state.experiments.values())
    assert not {"first", "second"} & set(planner.known)
    assert len(events(table, CampaignEnded)) == 1
    ended = [event.experiment_id for event in events(table, ExperimentEnded)]
    assert len(ended) == len(set(ended))
    assert len(devices.doses) == len(set(devices.doses))
    journal.close()


def test_calls_of_the_planner_name_the_campaign_alone(lab, make_plan, make_guest):
    """Neither pending experiments nor reports of a guest reach it."""
    engine = Engine(lab, MemoryJournal())
    commands = engine.handle(CampaignSubmitted(make_plan()), 0)
    assert [type(command) for command in commands] == [RequestSuggestions]
    engine.handle(ExperimentAsked(SETTINGS, "firing-1", make_guest(), "anna"), 1)
    again = Engine.recover(lab, engine._ledger._journal, 2)
    call = next(
        command
        for command in again.handle(PauseAsked(Scope.EXPERIMENT, "firing-1"), 3)
        if isinstance(command, (RequestSuggestions, ReportObservation))
    )
    assert isinstance(call, RequestSuggestions)
    assert call.pending == ()
    assert call.observations_reported == 0
