"""What is paused is not worked on, and holds nobody up; cancelled all the same it is put away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from matlab_ros.lab.engine import Engine, Refused
from matlab_ros.lab.events import AttemptIntended
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.inputs import CancelAsked, PauseAsked, ResumeAsked
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.scopes import paused_names, what_goes_on, what_is_awaited
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import ExperimentState, Scope
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab


@pytest.fixture
def table(lab, make_plan, drawing_planner, table_world) -> TableLab:
    """Twelve samples that are wanted in furnaces at once."""
    journal = MemoryJournal()
    table = TableLab(Engine(lab, journal), TableDevices(table_world), drawing_planner())
    table.journal = journal
    table.start(make_plan(budget={"experiments": 12, "max_in_flight": 12}))
    return table


def go_on_until(table: TableLab, what: Callable[[], bool]) -> None:
    while not what():
        assert table.step(), "nothing happens any more"


def heating(table: TableLab) -> dict[str, list[str]]:
    """Experiments by the furnace that heats them."""
    return {
        attempt.device: [work.experiment_id for work in attempt.works]
        for attempt in table.engine.state.attempts.values()
        if isinstance(attempt.goal, HeatGoal)
    }


def begun(table: TableLab) -> list[AttemptIntended]:
    return [e.event for e in table.journal.read() if isinstance(e.event, AttemptIntended)]


def test_a_paused_sample_in_a_furnace_does_not_keep_the_furnace_from_others(table):
    state = table.engine.state
    go_on_until(table, lambda: len(heating(table)) == 2)
    paused = [name for names in heating(table).values() for name in names]
    for name in paused:
        table.tell(PauseAsked(Scope.EXPERIMENT, name, "anna", "to look at it"))
        assert "carried home" in what_goes_on(state, Scope.EXPERIMENT, name)
    assert set(paused_names(state)) == set(paused)
    others = [run for run in state.experiments.values() if run.experiment_id not in paused]
    assert others
    go_on_until(table, lambda: all(run.state.is_final for run in others))
    assert all(run.state is ExperimentState.SUCCEEDED for run in others)
    # Nothing was done to them meanwhile but to carry them.
    for name in paused:
        run = state.experiments[name]
        assert run.tasks["measure"].attempts == 0
        table.tell(ResumeAsked(Scope.EXPERIMENT, name, "anna"))
    assert table.run().code == FaultCode.NONE
    assert state.count(ExperimentState.SUCCEEDED) == 12
    assert not paused_names(state)


def test_in_a_paused_lab_nothing_moves(table):
    state = table.engine.state
    go_on_until(table, lambda: len(heating(table)) == 2)
    table.tell(PauseAsked(Scope.LAB, "", "anna", "somebody is in there"))
    count = len(begun(table))
    while state.attempts:
        assert table.step()
    assert len(begun(table)) == count
    assert not table.step()
    table.tell(CancelAsked(Scope.CAMPAIGN, "trial", "anna"))
    assert "when it is resumed" in what_is_awaited(state, Scope.CAMPAIGN, "trial")
    assert len(begun(table)) == count
    table.tell(ResumeAsked(Scope.LAB, "", "anna"))
    assert table.run().code == FaultCode.CANCELED
    assert all(item.position == item.home for item in state.containers.values())


def test_a_paused_experiment_that_is_cancelled_is_put_away(table):
    state = table.engine.state
    go_on_until(table, lambda: bool(heating(table)))
    name = next(iter(heating(table).values()))[0]
    run = state.experiments[name]
    table.tell(PauseAsked(Scope.EXPERIMENT, name, "anna"))
    table.tell(CancelAsked(Scope.EXPERIMENT, name, "anna"))
    go_on_until(table, lambda: run.state.is_final)
    assert run.state is ExperimentState.CANCELED
    container = state.container_of(run)
    assert container.position == container.home
    assert table.run().code == FaultCode.NONE


def test_who_resumes_what_is_not_paused_is_told_what_is(table):
    go_on_until(table, lambda: bool(heating(table)))
    table.tell(PauseAsked(Scope.EXPERIMENT, "trial-e0001", "anna"))
    with pytest.raises(Refused, match=r"The lab is not paused; paused: trial-e0001\."):
        table.tell(ResumeAsked(Scope.LAB, "", "anna"))
    table.tell(ResumeAsked(Scope.EXPERIMENT, "trial-e0001", "anna"))
    with pytest.raises(Refused, match=r"The lab is not paused; nothing is\."):
        table.tell(ResumeAsked(Scope.LAB, "", "anna"))
