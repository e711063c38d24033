"""What an arm holds has a place, and what is lost is looked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from table_kit.failing_devices import FailingDevices

from matlab_ros.lab.alerts import alert_of
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import AttemptIntended, FaultRaised
from matlab_ros.lab.goals import SampleOutcome, TransferGoal, TransferOutcome
from matlab_ros.lab.inputs import (
    FaultResolutionAsked,
    PauseAsked,
    PositionAsked,
    ResumeAsked,
    Tick,
)
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.state import replay
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import DeviceConfig, DeviceKind
from matlab_ros.model.lab_words import (
    ExperimentState,
    PositionState,
    Resolution,
    SampleFate,
    Scope,
)
from matlab_ros.nodes.table_lab import TableLab


class OneMishap(FailingDevices):
    """Nothing fails but the first transfer to a kind of station."""

    def __init__(self, lab, world, to, where, fate, code):
        super().__init__(lab, world, 0, 0.0)
        self.mishap = (to, where, fate, code)
        self.happened = ""
        self.carried_while_held = []

    def outcome(self, device, goal, now_ns, end_ns):
        if isinstance(goal, TransferGoal):
            held = f"{device}/gripper" in self.where.values()
            if held and goal.source != f"{device}/gripper":
                self.carried_while_held.append(goal.attempt_id)
            to, where, fate, code = self.mishap
            if not self.happened and goal.target.startswith(to):
                self.happened = goal.attempt_id
                done = super().outcome(device, goal, now_ns, end_ns)
                place = where.format(arm=device, source=goal.source, target=goal.target)
                self.where[goal.container_id] = place
                report = replace(
                    done.report,
                    code=code,
                    message="It failed.",
                    samples=(SampleOutcome(goal.sample_id, fate),),
                )
                return TransferOutcome(report, "" if fate is SampleFate.LOST else place)
        return super().outcome(device, goal, now_ns, end_ns)


@pytest.fixture
def run(lab, make_plan, drawing_planner, table_world):
    """Runs a campaign with one mishap to its end."""

    def make(to, where, fate, code=FaultCode.TRANSFER_TRAJECTORY_FAILED, arms=1):
        extra = tuple(
            DeviceConfig(name=f"arm_{number}", kind=DeviceKind.ARM) for number in range(2, arms + 1)
        )
        wider = lab.model_copy(update={"devices": (*lab.devices, *extra)})
        journal = MemoryJournal()
        devices = OneMishap(wider, table_world, to, where, fate, code)
        table = TableLab(Engine(wider, journal), devices, drawing_planner())
        table.start(make_plan())
        table.devices, table.journal = devices, journal
        assert table.run().code == FaultCode.NONE
        assert devices.happened
        return table

    return make


def _transfers(table):
    return [
        entry.event
        for entry in table.journal.read()
        if isinstance(entry.event, AttemptIntended) and isinstance(entry.event.goal, TransferGoal)
    ]


@pytest.mark.parametrize("to", ["dispenser", "furnace", "diffractometer"])
def test_what_the_gripper_holds_goes_on_to_where_it_was_wanted(run, to):
    table = run(to, "{arm}/gripper", SampleFate.PARTIAL)
    onward = [item for item in _transfers(table) if item.goal.source == "arm/gripper"]
    assert [item.goal.target.split("/")[0].split("_")[0] for item in onward] == [to]
    runs = table.engine.state.experiments.values()
    assert all(item.state is ExperimentState.SUCCEEDED for item in runs)


def test_the_arm_that_holds_something_carries_nothing_else_and_no_other_arm_takes_it(run):
    table = run("furnace", "{arm}/gripper", SampleFate.PARTIAL, arms=3)
    assert not table.devices.carried_while_held
    onward = [item for item in _transfers(table) if item.goal.source.endswith("/gripper")]
    assert len(onward) == 1
    assert onward[0].goal.source == f"{onward[0].device}/gripper"


@pytest.mark.parametrize("where", ["{source}", "{target}", "{arm}/gripper"])
def test_a_lost_crucible_is_found_where_it_may_be_and_brought_home(run, where):
    table = run("dispenser", where, SampleFate.LOST)
    state = table.engine.state
    assert [item.state for item in state.experiments.values()].count(ExperimentState.FAILED) == 1
    for position in ("dispenser/1", "arm/gripper"):
        assert state.position_state(position) is PositionState.EMPTY
    lost = table.devices.happened.split("/")[0]
    container = state.containers[state.samples[f"{lost}-s1"].container_id]
    really = table.devices.where[container.container_id]
    assert container.position in ("", really)
    assert really == container.home


def test_a_dropped_crucible_costs_its_own_experiment_and_the_dispenser_is_used_again(run):
    table = run("dispenser", "", SampleFate.LOST, FaultCode.TRANSFER_DROPPED)
    states = [item.state for item in table.engine.state.experiments.values()]
    assert states.count(ExperimentState.FAILED) == 1
    assert states.count(ExperimentState.SUCCEEDED) == 5
    assert table.engine.state.position_state("dispenser/1") is PositionState.EMPTY


def test_random_faults_end_no_campaign_early(lab, make_plan, drawing_planner, table_world):
    plan = make_plan()
    for seed in range(25):
        devices = FailingDevices(lab, table_world, seed, 0.1)
        table = TableLab(Engine(lab, MemoryJournal(written=False)), devices, drawing_planner())
        table.start(plan)
        assert table.run().code == FaultCode.NONE, f"seed {seed}"


class Hopeless(FailingDevices):
    """Every transfer from the dispenser fails where it stands, until somebody helps."""

    helped = False

    def outcome(self, device, goal, now_ns, end_ns):
        done = super().outcome(device, goal, now_ns, end_ns)
        if isinstance(goal, TransferGoal) and goal.source == "dispenser/1" and not self.helped:
            self.where[goal.container_id] = goal.source
            untouched = (SampleOutcome(goal.sample_id, SampleFate.UNTOUCHED),)
            report = replace(
                done.report, code=FaultCode.TRANSFER_NO_PLAN, message="No.", samples=untouched
            )
            return TransferOutcome(report, goal.source)
        return done


@pytest.fixture
def hopeless(lab, make_plan, drawing_planner, table_world):
    """Begins a campaign in a lab that will not go on."""

    def make(never_ask):
        asking = lab.model_copy(update={"never_ask": never_ask})
        journal = MemoryJournal()
        devices = Hopeless(asking, table_world, 0, 0.0)
        table = TableLab(Engine(asking, journal), devices, drawing_planner())
        table.start(make_plan())
        table.devices, table.journal = devices, journal
        return table

    return make


def _standstill(table):
    """The fault of a lab that asks because it stands still."""
    while True:
        for fault in table.engine.state.open_faults():
            if fault.asked is not None and not fault.raised.experiment_id:
                return fault
        assert table.step()


def test_a_lab_that_cannot_go_on_says_where_to_look(hopeless):
    table = hopeless(never_ask=True)
    finished = table.run()
    assert finished.code == FaultCode.POSITION_UNKNOWN
    assert "dispenser/1" in finished.message
    raised = [item.event for item in table.journal.read() if isinstance(item.event, FaultRaised)]
    assert raised[-1].fault.code is FaultCode.POSITION_UNKNOWN


def test_a_lab_that_may_ask_waits_for_somebody_to_look_before_it_ends(hopeless):
    table = hopeless(never_ask=False)
    fault = _standstill(table)
    alert = alert_of(fault.asked, table.engine.state)
    assert "matlab-ros lab clear dispenser/1" in alert.to_do
    with pytest.raises(Refused, match="look at the places"):
        table.tell(FaultResolutionAsked(fault.raised.fault_id, Resolution.RETRY, "anna"))
    finished = table.run()
    assert finished.code == FaultCode.POSITION_UNKNOWN
    assert table.now_ns >= fault.asked.until_ns
    assert fault.resolution is Resolution.ABORT_EXPERIMENT
    assert not table.engine.state.open_faults()


def test_the_time_to_look_stands_still_in_a_paused_lab(hopeless):
    table = hopeless(never_ask=False)
    fault = _standstill(table)
    asked_ns, paused_ns = fault.answer_by_ns, table.now_ns
    table.tell(PauseAsked(Scope.LAB, "", "anna", "to look in peace"))
    assert not table.step(), "nothing follows from the passing of time"
    table.now_ns = asked_ns + 3_600_000_000_000
    table.tell(Tick())
    assert fault.resolution is Resolution.OPEN
    table.tell(ResumeAsked(Scope.LAB, "", "anna"))
    assert fault.answer_by_ns == asked_ns + table.now_ns - paused_ns
    assert table.run().code == FaultCode.POSITION_UNKNOWN
    assert table.now_ns >= fault.asked.until_ns


def test_a_lab_that_stood_still_goes_on_when_somebody_has_looked(hopeless):
    table = hopeless(never_ask=False)
    fault = _standstill(table)
    standing = table.engine.state.occupant("dispenser/1")
    table.devices.helped = True
    table.devices.where[standing.container_id] = standing.home
    table.tell(PositionAsked(standing.home, standing.container_id, "anna"))
    table.tell(PositionAsked("dispenser/1", "", "anna"))
    assert table.run().code == FaultCode.NONE
    assert fault.resolution is Resolution.RETRY
    states = [item.state for item in table.engine.state.experiments.values()]
    assert states.count(ExperimentState.SUCCEEDED) >= 5
    entries = ((item.ros_time_ns, item.event) for item in table.journal.read())
    assert replay(table.engine.floor, entries) == table.engine.state
