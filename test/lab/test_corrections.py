"""Operators say what they saw; it is noted with their names, and contradictions are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from matlab_ros.lab.alerts import AlertLevel, alert_of
from matlab_ros.lab.engine import Engine, Refused
from matlab_ros.lab.events import (
    ContainerReplaced,
    FaultRaised,
    PositionLookedAt,
    SampleCorrected,
)
from matlab_ros.lab.goals import AttemptReport, SampleOutcome, TransferGoal, TransferOutcome
from matlab_ros.lab.inputs import CorrectionAsked, PositionAsked, RestockAsked
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.state import replay
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import (
    ExperimentState,
    PositionState,
    Resolution,
    SampleFate,
    SampleState,
)
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab

SAMPLE = "trial-e0001-s1"


class LosingArm(TableDevices):
    """Loses the first crucible that is to go into a furnace, and finds it nowhere again."""

    def outcome(self, device, goal, now_ns, end_ns):
        outcome = super().outcome(device, goal, now_ns, end_ns)
        if not isinstance(goal, TransferGoal) or goal.sample_id != SAMPLE:
            return outcome
        if not goal.target.startswith("furnace") and goal.source.startswith(("rack", "disp")):
            return outcome
        report = AttemptReport(
            int(FaultCode.TRANSFER_DROPPED),
            "It fell.",
            now_ns,
            end_ns,
            (SampleOutcome(SAMPLE, SampleFate.LOST),),
            device,
        )
        return TransferOutcome(report, "")


@pytest.fixture
def table(lab, make_plan, drawing_planner, table_world) -> TableLab:
    """A campaign that has ended, in which one crucible was lost."""
    journal = MemoryJournal()
    table = TableLab(Engine(lab, journal), LosingArm(table_world), drawing_planner())
    table.journal = journal
    table.start(make_plan(budget={"experiments": 2, "max_in_flight": 2}))
    table.run()
    return table


def events(table: TableLab, kind: type) -> list[Any]:
    return [entry.event for entry in table.journal.read() if isinstance(entry.event, kind)]


def unknown(table: TableLab) -> list[str]:
    state = table.engine.state
    return [
        name
        for name in state.positions
        if state.position_state(name) in (PositionState.UNKNOWN, PositionState.BLOCKED)
    ]


def refuses(table: TableLab, given: Any, sentence: str) -> None:
    before = table.engine.state.sequence
    with pytest.raises(Refused, match=sentence):
        table.tell(given)
    assert table.engine.state.sequence == before


def test_a_position_that_nobody_knows_of_is_free_only_after_somebody_looked(table):
    doubtful = unknown(table)
    assert doubtful
    for name in doubtful:
        table.tell(PositionAsked(name, "", "anna", "empty"))
    assert not unknown(table)
    looked = events(table, PositionLookedAt)
    assert [(item.position, item.operator) for item in looked] == [(n, "anna") for n in doubtful]
    entries = ((entry.ros_time_ns, entry.event) for entry in table.journal.read())
    assert replay(table.engine.floor, entries) == table.engine.state


def test_a_lost_crucible_that_was_found_stands_where_it_is_said_to(table):
    state = table.engine.state
    container = state.containers[state.samples[SAMPLE].container_id]
    assert container.position == ""
    place = next(name for name in unknown(table) if name != container.home)
    table.tell(PositionAsked(place, container.container_id, "anna", "it lay there"))
    assert container.position == place
    assert state.position_state(place) is PositionState.OCCUPIED
    table.tell(CorrectionAsked(SAMPLE, container.home, SampleState.COMPROMISED, "anna"))
    assert container.position == container.home
    assert events(table, SampleCorrected)[0].operator == "anna"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda c: PositionAsked("shelf/1"), "no position 'shelf/1'"),
        (lambda c: PositionAsked("rack/9"), "known to stand"),
        (lambda c: PositionAsked("rack/9", c), "holds crucible-09"),
        (lambda c: PositionAsked("furnace_2/1", "beaker"), "no container 'beaker'"),
        (lambda c: CorrectionAsked("nobody", "", SampleState.LOST), "No sample 'nobody'"),
        (lambda c: RestockAsked(("beaker",)), "no container 'beaker'"),
    ],
)
def test_what_contradicts_the_journal_is_refused(
    table, make: Callable[[str], Any], sentence: str
) -> None:
    container = table.engine.state.samples[SAMPLE].container_id
    refuses(table, make(container), sentence)


def test_a_crucible_that_is_looked_for_is_not_restocked(
    lab, make_plan, drawing_planner, table_world
) -> None:
    table = TableLab(Engine(lab, MemoryJournal()), LosingArm(table_world), drawing_planner())
    table.start(make_plan(budget={"experiments": 2, "max_in_flight": 2}))
    containers = table.engine.state.containers
    while not (missing := [name for name, item in containers.items() if item.suspects]):
        assert table.step(), "the campaign ended and no crucible was ever looked for"
    refuses(table, RestockAsked(tuple(missing)), "is in use by|may still stand")


def test_used_crucibles_are_clean_after_a_restock_and_lost_ones_are_not(table):
    state = table.engine.state
    lost = state.samples[SAMPLE].container_id
    used = [name for name, item in state.containers.items() if not item.clean and name != lost]
    table.tell(RestockAsked((), "anna", "washed"))
    assert [item.container_id for item in events(table, ContainerReplaced)] == used
    assert not state.containers[lost].clean
    assert all(state.containers[name].clean for name in used)


class StuckArm(TableDevices):
    """Fetches nothing from the dispenser."""

    def outcome(self, device, goal, now_ns, end_ns):
        outcome = super().outcome(device, goal, now_ns, end_ns)
        if not isinstance(goal, TransferGoal) or goal.source != "dispenser/1":
            return outcome
        untouched = (SampleOutcome(goal.sample_id, SampleFate.UNTOUCHED),)
        code = int(FaultCode.TRANSFER_NO_PLAN)
        report = AttemptReport(code, "No.", now_ns, end_ns, untouched, device)
        return TransferOutcome(report, goal.source)


def test_the_fault_about_a_place_is_over_when_somebody_has_looked_there(
    lab, make_plan, drawing_planner, table_world
):
    journal = MemoryJournal()
    table = TableLab(Engine(lab, journal), StuckArm(table_world), drawing_planner())
    table.journal = journal
    table.start(make_plan())
    raised: list[FaultRaised] = []
    while not raised:
        assert table.step()
        raised = [item for item in events(table, FaultRaised) if item.positions]
    (fault,) = raised
    state = table.engine.state
    assert fault.positions == ("dispenser/1",)
    alert = alert_of(fault, state)
    assert alert.level is AlertLevel.ERROR
    container = state.occupant("dispenser/1")
    assert alert.to_do == (
        "Look at dispenser/1, and say what you found; "
        f"once {container.container_id} is back in {container.home}: "
        "matlab-ros lab clear dispenser/1"
    )
    assert fault.fault_id in [item.raised.fault_id for item in state.open_faults()]
    table.tell(PositionAsked("dispenser/1", container.container_id, "anna", "it stands there"))
    found = state.faults[fault.fault_id]
    assert (found.resolution, found.resolved_by) == (Resolution.RETRY, "anna")
    assert "it stands there" in found.remark
    entries = ((entry.ros_time_ns, entry.event) for entry in journal.read())
    assert replay(table.engine.floor, entries) == state


def test_a_blocked_position_is_free_after_one_command_and_the_lab_goes_on(
    lab, make_plan, drawing_planner, table_world
):
    class HelpedArm(StuckArm):
        is_helped = False

        def outcome(self, device, goal, now_ns, end_ns):
            kind = TableDevices if self.is_helped else StuckArm
            return kind.outcome(self, device, goal, now_ns, end_ns)

    manned = lab.model_copy(update={"never_ask": False})
    journal, arm = MemoryJournal(), HelpedArm(table_world)
    table = TableLab(Engine(manned, journal), arm, drawing_planner())
    table.start(make_plan())
    state = table.engine.state
    while not any(item.raised.positions for item in state.open_faults()):
        assert table.step()
    assert state.position_state("dispenser/1") is PositionState.BLOCKED
    container = state.occupant("dispenser/1")
    with pytest.raises(Refused, match="known to stand"):
        table.tell(PositionAsked("dispenser/1", "", "anna"))
    arm.is_helped = True
    table.tell(PositionAsked("dispenser/1", operator="anna", remark="bent", cleared=True))
    assert container.position == container.home
    assert state.position_state("dispenser/1") is not PositionState.BLOCKED
    assert not [item for item in state.open_faults() if item.raised.positions]
    said = [entry.event for entry in journal.read() if isinstance(entry.event, PositionLookedAt)]
    assert [(item.position, item.container_id, item.operator) for item in said] == [
        (container.home, container.container_id, "anna"),
        ("dispenser/1", "", "anna"),
    ]
    assert table.run().code == FaultCode.NONE
    assert state.count(ExperimentState.SUCCEEDED) >= 5
