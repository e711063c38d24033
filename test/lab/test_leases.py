"""What an attempt has is sure as long as its device is heard."""

from __future__ import annotations

import pytest
from table_kit.failing_devices import FailingDevices

from matlab_ros.lab.attempts import OVERDUE_GIVE_UP_NS, OVERDUE_NOTICE_NS
from matlab_ros.lab.commands import SendGoal
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import DeadlineMissed, FaultRaised, LeaseExpired
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.inputs import (
    AttemptListed,
    AttemptMissing,
    DeviceLost,
    DeviceReady,
    EmergencyStopAsked,
    ResumeAsked,
    Tick,
)
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import ExperimentState, PositionState, Resolution, Scope
from matlab_ros.nodes.table_lab import TableLab


@pytest.fixture
def heating(lab, make_plan, drawing_planner, table_world):
    """A campaign whose first furnace run has just begun, and that run."""
    journal = MemoryJournal()
    devices = FailingDevices(lab, table_world, 0, 0.0)
    table = TableLab(Engine(lab, journal), devices, drawing_planner())
    table.journal = journal
    table.start(make_plan())
    while True:
        assert table.step()
        for attempt in table.engine.state.attempts.values():
            if isinstance(attempt.goal, HeatGoal):
                return table, attempt


def _silence(table, device):
    table.tell(DeviceLost(device, Fault.of(FaultCode.DEVICE_UNREACHABLE, "It is silent.")))


def _events(table, kind):
    return [item.event for item in table.journal.read() if isinstance(item.event, kind)]


def test_a_lease_that_runs_out_is_told_and_makes_positions_unknown_not_free(heating, lab):
    table, attempt = heating
    gone_ns = table.now_ns
    _silence(table, attempt.device)
    while not _events(table, LeaseExpired):
        assert table.step()
    term_ns = lab.device(attempt.device).lease_min * 60e9
    assert table.now_ns == gone_ns + term_ns
    state = table.engine.state
    for position in attempt.goal.positions:
        assert state.position_state(position) is PositionState.UNKNOWN
    assert attempt.attempt_id in state.attempts
    codes = [item.fault.code for item in _events(table, FaultRaised)]
    assert FaultCode.LEASE_EXPIRED in codes


def test_a_device_that_is_heard_keeps_its_lease_for_hours(heating):
    table, attempt = heating
    while attempt.attempt_id in table.engine.state.attempts:
        assert table.step()
    assert not _events(table, LeaseExpired)


def test_an_attempt_that_ends_after_all_makes_its_positions_known_again(heating):
    table, attempt = heating
    _silence(table, attempt.device)
    while not _events(table, LeaseExpired):
        assert table.step()
    table.tell(DeviceReady(attempt.device))
    assert table.run().code == FaultCode.NONE
    state = table.engine.state
    for position in attempt.goal.positions:
        assert state.position_state(position) is PositionState.EMPTY
    expired = _events(table, LeaseExpired)[0]
    assert state.faults[expired.fault_id].resolution is Resolution.RETRY


def _past(table, attempt):
    """A moment at which an attempt would have been given up long ago."""
    return attempt.goal.deadline_ns + 2 * OVERDUE_GIVE_UP_NS


def test_after_a_long_absence_of_the_lab_manager_a_device_has_time_to_say_how_it_ended(
    heating, lab
):
    table, attempt = heating
    table.now_ns = _past(table, attempt)
    table.replace_engine(Engine.recover(lab, table.journal, table.now_ns))
    state = table.engine.state
    assert attempt.attempt_id in state.attempts
    assert table.run().code == FaultCode.NONE
    assert not _events(table, DeadlineMissed)
    assert state.count(ExperimentState.SUCCEEDED) == 6


def test_who_says_nothing_after_a_restart_either_is_late_again_and_given_up(heating, lab):
    table, attempt = heating
    table.now_ns = began_ns = _past(table, attempt)
    engine = Engine.recover(lab, table.journal, table.now_ns)
    commands = engine.handle(DeviceReady(attempt.device), table.now_ns)
    assert SendGoal(attempt.device, attempt.goal) in commands
    while attempt.attempt_id in engine.state.attempts:
        engine.handle(Tick(), engine.next_wakeup())
    missed = [
        item
        for item in table.journal.read()
        if isinstance(item.event, DeadlineMissed) and item.event.attempt_id == attempt.attempt_id
    ]
    assert [item.ros_time_ns - began_ns for item in missed] == [OVERDUE_NOTICE_NS]
    assert engine.state.time_ns - began_ns == OVERDUE_GIVE_UP_NS


def test_an_attempt_that_waits_for_the_end_of_an_emergency_is_not_late_meanwhile(heating, lab):
    table, attempt = heating
    table.tell(EmergencyStopAsked(True, "anna", "smoke"))
    # The lab manager dies with it: the device is asked anew, but not before somebody resumes.
    engine = Engine.recover(lab, table.journal, table.now_ns)
    assert engine.handle(DeviceReady(attempt.device), table.now_ns) == []
    engine.handle(EmergencyStopAsked(False, "anna"), table.now_ns)
    late_ns = _past(table, attempt)
    assert engine.handle(Tick(), late_ns) == []
    assert not _events(table, DeadlineMissed)
    commands = engine.handle(ResumeAsked(Scope.LAB, "", "anna"), late_ns)
    assert SendGoal(attempt.device, attempt.goal) in commands
    assert attempt.attempt_id in engine.state.attempts


def test_an_attempt_that_its_device_does_not_list_is_sent_again_under_its_id(heating):
    table, attempt = heating
    commands = table.engine.handle(AttemptMissing(attempt.attempt_id), table.now_ns)
    assert commands == [SendGoal(attempt.device, attempt.goal)]
    assert table.engine.handle(Tick(), table.now_ns) == []


def test_a_device_that_is_heard_and_lists_nothing_lets_the_lease_run_out(heating, lab):
    table, attempt = heating
    missing_ns = table.now_ns
    table.tell(AttemptMissing(attempt.attempt_id))
    table.tell(AttemptMissing(attempt.attempt_id))
    while not _events(table, LeaseExpired):
        assert table.step()
    assert table.now_ns == missing_ns + lab.device(attempt.device).lease_min * 60e9
    state = table.engine.state
    for position in attempt.goal.positions:
        assert state.position_state(position) is PositionState.UNKNOWN
    fault = _events(table, FaultRaised)[-1].fault
    assert fault.code is FaultCode.LEASE_EXPIRED
    assert "did not list" in fault.message
    # Sent again, it has its end after all.
    assert table.run().code == FaultCode.NONE
    assert [state.position_state(item) for item in attempt.goal.positions] == [
        PositionState.EMPTY
    ] * len(attempt.goal.positions)


def test_an_attempt_that_is_listed_again_keeps_its_lease(heating):
    table, attempt = heating
    table.tell(AttemptMissing(attempt.attempt_id))
    table.tell(AttemptListed(attempt.attempt_id))
    while attempt.attempt_id in table.engine.state.attempts:
        assert table.step()
    assert not _events(table, LeaseExpired)
