"""What an attempt has is sure as long as its device is heard."""

from __future__ import annotations

import pytest

from matlab_ros.lab.commands import SendGoal
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import FaultRaised, LeaseExpired
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.inputs import AttemptListed, AttemptMissing, DeviceLost, DeviceReady, Tick
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import PositionState, Resolution
from matlab_ros.nodes.table_faults import FailingDevices
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
