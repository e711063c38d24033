"""What becomes of a fault: tried again, tried elsewhere, asked about, decided, and always told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from matlab_ros.lab.alerts import AlertLevel, alert_of
from matlab_ros.lab.engine import Engine, Refused
from matlab_ros.lab.events import (
    AttemptEnded,
    AttemptIntended,
    CampaignStopping,
    DeadlineMissed,
    FaultRaised,
    FaultResolved,
    OperatorAsked,
    StepAssumed,
)
from matlab_ros.lab.goals import HeatGoal, MeasureGoal, SampleOutcome, TransferGoal
from matlab_ros.lab.inputs import (
    AttemptFinished,
    CampaignSubmitted,
    CancelAsked,
    CorrectionAsked,
    EmergencyStopAsked,
    FaultResolutionAsked,
    PauseAsked,
    ResumeAsked,
    Tick,
)
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.state import replay
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.failure_policy import FailurePolicy
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import DeviceConfig, DeviceKind
from matlab_ros.model.lab_words import (
    ExperimentState,
    Resolution,
    SampleFate,
    SampleState,
    Scope,
    TaskState,
)
from matlab_ros.model.recipe import Recipe
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab

RECIPE = Path(__file__).resolve().parents[2] / "config/recipes/solid_state.yaml"
NS_PER_MIN = 60_000_000_000


class ScriptedDevices(TableDevices):
    """Devices of which one fails as it is told.

    Attributes:
        fails: whether a device fails a goal, and with what code and fate of the samples.
        hangs: whether it never gives an outcome.
        log: attempt and device of everything begun.
    """

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self.fails: Callable[[str, Any], tuple[FaultCode, SampleFate] | None] = lambda *_: None
        self.hangs: Callable[[str, Any], bool] = lambda *_: False
        self.log: list[tuple[str, str]] = []

    def begin(self, device, goal, now_ns):
        if goal.attempt_id not in self._known:
            self.log.append((goal.attempt_id, device))
        end_ns, outcome = super().begin(device, goal, now_ns)
        return (2**61 if self.hangs(device, goal) else end_ns), outcome

    def outcome(self, device, goal, now_ns, end_ns):
        outcome = super().outcome(device, goal, now_ns, end_ns)
        failure = self.fails(device, goal)
        if failure is None:
            return outcome
        code, fate = failure
        samples = tuple(SampleOutcome(name, fate) for name in goal.sample_ids)
        report = replace(outcome.report, code=code, message="It failed.", samples=samples)
        if isinstance(goal, TransferGoal):
            return replace(outcome, report=report, final_position=goal.source)
        return type(outcome)(report)

    def begun(self, word: str) -> list[tuple[str, str]]:
        """Attempts with this word in their id, with the device of each."""
        return [item for item in self.log if word in item[0]]


@pytest.fixture
def set_up(lab, make_campaign, drawing_planner, table_world) -> Callable[..., TableLab]:
    """Makes a lab in which somebody can be asked, with a policy for one step, and starts it."""

    def make(step: str, policy: dict[str, Any], *, asks: bool = True, arms: int = 1, **changes):
        data = yaml.safe_load(RECIPE.read_text())
        for item in data["steps"]:
            if item["id"] == step:
                item["on_failure"] = policy
        recipe = Recipe.model_validate(data)
        more = tuple(DeviceConfig(name=f"arm_{n}", kind=DeviceKind.ARM) for n in range(2, arms + 1))
        manned = lab.model_copy(update={"never_ask": not asks, "devices": (*lab.devices, *more)})
        phases = frozenset({item.structure for item in lab.stock} | {"MgTiO3"})
        changes.setdefault("budget", {"experiments": 3, "max_in_flight": 3})
        changes.setdefault("planner", {"method": "random", "batch_size": 1})
        plan = check_campaign(make_campaign(**changes), manned, recipe, phases, "test.yaml")
        journal = MemoryJournal()
        devices = ScriptedDevices(table_world)
        table = TableLab(Engine(manned, journal), devices, drawing_planner())
        table.plan, table.devices, table.journal, table.lab = plan, devices, journal, manned
        table.start(plan)
        return table

    return make


def events(table: TableLab, kind: type) -> list[Any]:
    """Events of one kind, in order."""
    return [entry.event for entry in table.journal.read() if isinstance(entry.event, kind)]


def first_time(word: str, code: FaultCode, fate: SampleFate = SampleFate.UNTOUCHED):
    """Fails the first attempt whose id has this word."""
    return lambda _, goal: (code, fate) if word in goal.attempt_id else None


def run_until_asked(table: TableLab) -> str:
    """Go on until an operator is asked; the fault's id."""
    while not events(table, OperatorAsked):
        assert table.step(), "nobody was asked"
    return events(table, OperatorAsked)[0].fault_id


def check_replay(table: TableLab) -> None:
    """Replaying the journal gives the state, questions and decisions included."""
    entries = ((entry.ros_time_ns, entry.event) for entry in table.journal.read())
    assert replay(table.engine.floor, entries) == table.engine.state


# --- trying again -----------------------------------------------------------------------------


def test_waits_double_up_to_the_cap():
    policy = FailurePolicy(wait_min=2, backoff="exponential", max_wait_min=10, retry=5)
    assert [policy.wait_before(n) for n in range(1, 6)] == [2, 4, 8, 10, 10]
    assert [FailurePolicy(wait_min=3).wait_before(n) for n in (1, 2, 9)] == [3, 3, 3]


def test_a_step_is_tried_again_with_exponential_waits(set_up):
    policy = {"retry": 3, "wait_min": 1, "backoff": "exponential", "max_wait_min": 3}
    table = set_up("measure", policy)
    table.devices.fails = lambda _, goal: (
        (FaultCode.MEASURE_DEVICE_FAILED, SampleFate.UNTOUCHED)
        if "e0001/measure" in goal.attempt_id and not goal.attempt_id.endswith("/4")
        else None
    )
    assert table.run().code == FaultCode.NONE
    waits = [
        item.not_before_ns - when
        for when, item in (
            (entry.ros_time_ns, entry.event)
            for entry in table.journal.read()
            if isinstance(entry.event, FaultResolved)
        )
    ]
    assert waits == [1 * NS_PER_MIN, 2 * NS_PER_MIN, 3 * NS_PER_MIN]
    assert table.engine.state.count(ExperimentState.SUCCEEDED) == 3


@pytest.mark.parametrize(
    ("then", "problem"),
    [
        (["skip", "ask"], "never reached"),
        (["ask", "other_device"], "other_device first"),
        (["ask", "ask"], "twice"),
    ],
)
def test_a_policy_that_makes_no_sense_is_named(then, problem):
    with pytest.raises(ValueError, match=problem):
        FailurePolicy(then=then)


# --- elsewhere --------------------------------------------------------------------------------


def test_a_step_that_failed_at_a_furnace_is_tried_at_another(set_up):
    table = set_up("heat", {"retry": 0, "then": ["other_device", "abort_experiment"]})
    table.devices.fails = lambda device, goal: (
        (FaultCode.HEAT_CONTROLLER_REFUSED, SampleFate.UNTOUCHED)
        if device == "furnace_1" and isinstance(goal, HeatGoal)
        else None
    )
    assert table.run().code == FaultCode.NONE
    assert table.engine.state.count(ExperimentState.SUCCEEDED) == 3
    assert {device for _, device in table.devices.begun("/heat/")} == {"furnace_1", "furnace_2"}
    excluded = {event.exclude for event in events(table, FaultResolved) if event.exclude}
    assert excluded == {"furnace_1"}
    check_replay(table)


def test_where_no_other_device_is_to_be_had_the_next_remedy_follows(set_up):
    table = set_up("heat", {"retry": 0, "then": ["other_device", "abort_experiment"]})
    table.devices.fails = lambda _, goal: (
        (FaultCode.HEAT_CONTROLLER_REFUSED, SampleFate.UNTOUCHED)
        if isinstance(goal, HeatGoal)
        else None
    )
    assert table.run().code == FaultCode.NONE
    assert table.engine.state.count(ExperimentState.FAILED) == 3
    for run in table.engine.state.experiments.values():
        tried = [
            event.device
            for event in events(table, AttemptEnded)
            if event.outcome.TAG == "heat"
            and run.experiment_id in [effect.work.experiment_id for effect in event.effects]
        ]
        assert sorted(tried) == ["furnace_1", "furnace_2"]


def test_a_transfer_that_failed_with_an_arm_is_tried_with_another(set_up):
    table = set_up("heat", {"retry": 0, "then": ["other_device", "abort_experiment"]}, arms=2)
    table.devices.fails = lambda device, goal: (
        (FaultCode.TRANSFER_NO_PLAN, SampleFate.UNTOUCHED)
        if device == "arm" and isinstance(goal, TransferGoal) and goal.target.startswith("furnace")
        else None
    )
    assert table.run().code == FaultCode.NONE
    assert table.engine.state.count(ExperimentState.SUCCEEDED) == 3
    excluded = {event.exclude for event in events(table, FaultResolved) if event.exclude}
    assert excluded == {"arm"}
    carried = [
        (item.goal.sample_id, item.device)
        for item in events(table, AttemptIntended)
        if isinstance(item.goal, TransferGoal) and item.goal.target.startswith("furnace")
    ]
    for sample_id in {name for name, _ in carried}:
        # Never a second time with the arm that failed, and done by the other.
        devices = [device for name, device in carried if name == sample_id]
        assert devices in (["arm", "arm_2"], ["arm_2"])
    # Having carried it, the other arm is not the only one for what comes then.
    assert not any(run.move.excluded for run in table.engine.state.experiments.values())
    check_replay(table)


def test_with_one_arm_alone_a_transfer_is_not_tried_elsewhere(set_up):
    table = set_up("heat", {"retry": 0, "then": ["other_device", "abort_experiment"]})
    table.devices.fails = lambda device, goal: (
        (FaultCode.TRANSFER_NO_PLAN, SampleFate.UNTOUCHED)
        if isinstance(goal, TransferGoal) and goal.target.startswith("furnace")
        else None
    )
    assert table.run().code == FaultCode.NONE
    assert table.engine.state.count(ExperimentState.FAILED) == 3
    assert not any(event.exclude for event in events(table, FaultResolved))


# --- asking -----------------------------------------------------------------------------------

ASK = {"retry": 0, "then": ["ask", "abort_experiment"], "ask_deadline_min": 10_000}


def broken_measurement(table: TableLab) -> None:
    table.devices.fails = first_time("e0001/measure/1", FaultCode.MEASURE_DEVICE_FAILED)


def test_an_asked_fault_stays_open_while_everything_else_goes_on(set_up):
    table = set_up("measure", ASK)
    broken_measurement(table)
    fault_id = run_until_asked(table)
    state = table.engine.state
    while state.count(ExperimentState.SUCCEEDED) < 2:
        assert table.step(), "the others do not go on"
    assert [fault.raised.fault_id for fault in state.open_faults()] == [fault_id]
    assert state.experiments["trial-e0001"].tasks["measure"].state is TaskState.AWAITING_RESOLUTION
    assert table.finished is None
    alert = alert_of(events(table, OperatorAsked)[0], state)
    assert alert.level is AlertLevel.ERROR
    assert fault_id in alert.to_do
    table.tell(FaultResolutionAsked(fault_id, Resolution.RETRY, "anna", "the door was open"))
    assert table.run().code == FaultCode.NONE
    assert state.count(ExperimentState.SUCCEEDED) == 3
    fault = state.faults[fault_id]
    assert (fault.resolution, fault.resolved_by, fault.remark) == (
        Resolution.RETRY,
        "anna",
        "the door was open",
    )
    check_replay(table)


def test_a_sample_that_waits_for_an_answer_does_not_hold_the_only_dispenser(set_up):
    table = set_up("dispense", ASK)
    table.devices.fails = first_time("e0001/dispense/1", FaultCode.DISPENSE_POWDER_FLOW)
    run_until_asked(table)
    while table.engine.state.count(ExperimentState.SUCCEEDED) < 2:
        assert table.step(), "the dispenser is held by a sample about which nobody decided"


def test_a_question_that_nobody_answers_is_answered_by_the_policy(set_up):
    table = set_up("measure", {**ASK, "then": ["ask", "skip"], "ask_deadline_min": 90})
    broken_measurement(table)
    run_until_asked(table)
    asked = events(table, OperatorAsked)[0]
    assert table.run().code == FaultCode.NONE
    (decided,) = [item for item in events(table, FaultResolved) if item.fault_id == asked.fault_id]
    assert decided.resolution is Resolution.SKIP
    assert decided.resolved_by == "policy"
    assert "nobody answered" in decided.remark
    (when,) = [entry.ros_time_ns for entry in table.journal.read() if entry.event == decided]
    assert when == asked.until_ns
    check_replay(table)


@pytest.mark.parametrize(
    ("pause", "resume"),
    [
        ((PauseAsked(Scope.LAB, "", "anna"),), (ResumeAsked(Scope.LAB, "", "anna"),)),
        (
            (PauseAsked(Scope.CAMPAIGN, "trial", "anna"),),
            (ResumeAsked(Scope.CAMPAIGN, "trial", "anna"),),
        ),
        (
            (PauseAsked(Scope.EXPERIMENT, "trial-e0001", "anna"),),
            (ResumeAsked(Scope.EXPERIMENT, "trial-e0001", "anna"),),
        ),
        (
            (EmergencyStopAsked(True, "anna"),),
            (EmergencyStopAsked(False, "anna"), ResumeAsked(Scope.LAB, "", "anna")),
        ),
        (
            (PauseAsked(Scope.LAB, "", "anna"), PauseAsked(Scope.SAMPLE, "trial-e0001-s1")),
            (ResumeAsked(Scope.SAMPLE, "trial-e0001-s1"), ResumeAsked(Scope.LAB, "", "anna")),
        ),
    ],
)
def test_the_time_for_an_answer_stands_still_while_what_it_is_about_is_paused(
    set_up, pause, resume
):
    table = set_up("measure", {**ASK, "then": ["ask", "skip"], "ask_deadline_min": 90})
    broken_measurement(table)
    fault = table.engine.state.faults[run_until_asked(table)]
    asked_ns = fault.answer_by_ns
    assert asked_ns is not None
    for given in pause:
        table.tell(given)
    paused_ns = table.now_ns
    assert fault.answer_by_ns is None
    while table.step():
        pass
    table.now_ns = max(table.now_ns, paused_ns + 600 * NS_PER_MIN)
    table.tell(Tick())
    assert fault.resolution is Resolution.OPEN
    check_replay(table)
    for given in resume:
        table.tell(given)
    assert fault.answer_by_ns == asked_ns + table.now_ns - paused_ns
    assert table.run().code == FaultCode.NONE
    assert fault.resolution is Resolution.SKIP
    assert fault.resolved_ns == fault.asked.until_ns
    check_replay(table)


def test_a_question_that_is_asked_in_a_pause_waits_for_its_end(set_up):
    table = set_up("measure", {**ASK, "then": ["ask", "skip"], "ask_deadline_min": 90})
    broken_measurement(table)
    state = table.engine.state
    while not any(isinstance(item.goal, MeasureGoal) for item in state.attempts.values()):
        assert table.step()
    table.tell(PauseAsked(Scope.LAB, "", "anna"))
    fault = state.faults[run_until_asked(table)]
    assert fault.answer_by_ns is None
    while table.step():
        pass
    table.now_ns += 600 * NS_PER_MIN
    table.tell(ResumeAsked(Scope.LAB, "", "anna"))
    assert fault.resolution is Resolution.OPEN
    assert fault.answer_by_ns == table.now_ns + 90 * NS_PER_MIN
    check_replay(table)


def test_where_nobody_is_to_be_asked_the_policy_goes_on_at_once(set_up):
    table = set_up("measure", ASK, asks=False)
    broken_measurement(table)
    assert table.run().code == FaultCode.NONE
    assert not events(table, OperatorAsked)
    assert table.engine.state.experiments["trial-e0001"].state is ExperimentState.FAILED


def test_a_virtual_lab_never_asks_unless_it_is_told_to(lab):
    assert lab.simulated
    assert not lab.asks
    assert lab.model_copy(update={"never_ask": False}).asks
    assert lab.model_copy(update={"simulated": False}).asks


def test_a_question_survives_a_restart(set_up):
    table = set_up("measure", ASK)
    broken_measurement(table)
    fault_id = run_until_asked(table)
    table.replace_engine(Engine.recover(table.lab, table.journal, table.now_ns))
    while table.engine.state.count(ExperimentState.SUCCEEDED) < 2:
        assert table.step()
    table.tell(FaultResolutionAsked(fault_id, Resolution.RETRY, "anna"))
    assert table.run().code == FaultCode.NONE
    assert table.engine.state.count(ExperimentState.SUCCEEDED) == 3


def test_cancelling_an_experiment_answers_the_question_about_it(set_up):
    table = set_up("measure", ASK)
    broken_measurement(table)
    run_until_asked(table)
    table.tell(CancelAsked(Scope.EXPERIMENT, "trial-e0001", "anna"))
    assert table.run().code == FaultCode.NONE
    assert not table.engine.state.open_faults()
    assert table.engine.state.experiments["trial-e0001"].state is ExperimentState.CANCELED


# --- an operator's decisions ------------------------------------------------------------------


def decide(table: TableLab, fault_id: str, resolution: Resolution) -> None:
    table.tell(FaultResolutionAsked(fault_id, resolution, "anna", "seen"))


def test_the_same_decision_twice_is_one_and_another_is_refused(set_up):
    table = set_up("measure", ASK)
    broken_measurement(table)
    fault_id = run_until_asked(table)
    decide(table, fault_id, Resolution.RETRY)
    before = table.engine.state.sequence
    decide(table, fault_id, Resolution.RETRY)
    assert table.engine.state.sequence == before
    with pytest.raises(Refused, match=r"decided before: RETRY by anna"):
        decide(table, fault_id, Resolution.ABORT_SAMPLE)
    with pytest.raises(Refused, match="fault-0999"):
        decide(table, "fault-0999", Resolution.RETRY)
    assert len([e for e in events(table, FaultResolved) if e.fault_id == fault_id]) == 1
    assert table.run().code == FaultCode.NONE


def test_a_dispense_that_is_assumed_done_has_no_measured_mass(set_up):
    table = set_up("dispense", ASK)
    table.devices.fails = first_time("e0001/dispense/1", FaultCode.DISPENSE_POWDER_FLOW)
    decide(table, run_until_asked(table), Resolution.ASSUME_DONE)
    (assumed,) = events(table, StepAssumed)
    assert [dose.measured_mg for dose in assumed.outcome.doses] == [None, None]
    assert all(dose.requested_mg > 0 for dose in assumed.outcome.doses)
    assert not any(dose.within_tolerance for dose in assumed.outcome.doses)
    assert table.run().code == FaultCode.NONE
    assert table.engine.state.experiments["trial-e0001"].state is ExperimentState.SUCCEEDED
    # Nothing was dosed for it by a device.
    assert len(table.devices.begun("e0001/dispense/")) == 1
    check_replay(table)


def test_a_heating_that_is_assumed_done_has_no_measured_temperature(set_up):
    table = set_up("heat", ASK)
    table.devices.fails = first_time("e0001/heat/1", FaultCode.HEAT_CONTROLLER_REFUSED)
    decide(table, run_until_asked(table), Resolution.ASSUME_DONE)
    (assumed,) = events(table, StepAssumed)
    assert assumed.outcome.max_measured_c is None
    assert assumed.outcome.dwell_min is None


@pytest.mark.parametrize("step", ["measure", "analyse"])
def test_a_measurement_cannot_be_assumed(set_up, step):
    table = set_up(step, ASK)
    table.devices.fails = first_time(f"e0001/{step}/1", FaultCode.DEVICE_BUSY)
    fault_id = run_until_asked(table)
    with pytest.raises(Refused, match="nobody can assume"):
        decide(table, fault_id, Resolution.ASSUME_DONE)
    assert table.engine.state.faults[fault_id].resolution is Resolution.OPEN


def test_a_dose_that_may_have_been_given_is_not_tried_again(set_up):
    table = set_up("dispense", ASK)
    table.devices.fails = first_time(
        "e0001/dispense/1", FaultCode.DISPENSE_POWDER_FLOW, SampleFate.PARTIAL
    )
    fault_id = run_until_asked(table)
    with pytest.raises(Refused, match="double"):
        decide(table, fault_id, Resolution.RETRY)
    with pytest.raises(Refused, match="no sample"):
        decide(table, fault_id, Resolution.SKIP)
    decide(table, fault_id, Resolution.ABORT_SAMPLE)
    assert table.run().code == FaultCode.NONE
    assert len(table.devices.begun("e0001/dispense/")) == 1


def test_a_transfer_is_done_when_the_crucible_is_said_to_stand_there(set_up):
    table = set_up("measure", ASK)
    table.devices.fails = lambda _, goal: (
        (FaultCode.TRANSFER_NO_PLAN, SampleFate.UNTOUCHED)
        if isinstance(goal, TransferGoal)
        and goal.sample_id == "trial-e0001-s1"
        and goal.target.startswith("diffractometer")
        else None
    )
    fault_id = run_until_asked(table)
    with pytest.raises(Refused, match="say first where it stands"):
        decide(table, fault_id, Resolution.ASSUME_DONE)
    state = table.engine.state
    while state.occupant("diffractometer/1") or state.reserved_by("diffractometer/1"):
        assert table.step()
    table.tell(
        CorrectionAsked(
            "trial-e0001-s1", "diffractometer/1", SampleState.ACTIVE, "anna", "carried by hand"
        )
    )
    decide(table, fault_id, Resolution.RETRY)
    assert table.run().code == FaultCode.NONE
    assert state.experiments["trial-e0001"].state is ExperimentState.SUCCEEDED


def test_an_operator_may_abort(set_up):
    for resolution in (Resolution.ABORT_SAMPLE, Resolution.ABORT_EXPERIMENT):
        table = set_up("measure", ASK)
        broken_measurement(table)
        decide(table, run_until_asked(table), resolution)
        assert table.run().code == FaultCode.NONE
        run = table.engine.state.experiments["trial-e0001"]
        assert run.state is ExperimentState.FAILED
        assert "anna" in run.abort.message
        container = table.engine.state.container_of(run)
        assert container.position == container.home


def test_a_step_that_is_skipped_is_passed_over(set_up):
    table = set_up("store", ASK)
    table.devices.fails = lambda _, goal: (
        (FaultCode.TRANSFER_NO_PLAN, SampleFate.UNTOUCHED)
        if isinstance(goal, TransferGoal)
        and goal.source.startswith("diffractometer")
        and goal.attempt_id.startswith("trial-e0001")
        and not events(table, FaultResolved)
        else None
    )
    fault_id = run_until_asked(table)
    decide(table, fault_id, Resolution.SKIP)
    table.run()
    run = table.engine.state.experiments["trial-e0001"]
    assert run.tasks["store"].state is TaskState.SKIPPED


def test_after_stop_lab_nothing_new_begins_before_somebody_resumes_the_lab(set_up):
    table = set_up("heat", {"retry": 0, "then": "stop_lab"})
    table.devices.fails = first_time(
        "e0001/heat/1", FaultCode.HEAT_OVER_TEMPERATURE, SampleFate.COMPROMISED
    )
    table.run()
    (stopping,) = events(table, CampaignStopping)
    assert "matlab-ros lab resume" in alert_of(stopping, table.engine.state).to_do
    again = replace(table.plan, config=table.plan.config.model_copy(update={"name": "again"}))
    table.replace_engine(Engine.recover(table.lab, table.journal, table.now_ns))
    with pytest.raises(Refused, match="takes no new campaign"):
        table.tell(CampaignSubmitted(again))
    # Who asks for the one that ended is told its end.
    table.tell(CampaignSubmitted(table.plan))
    table.tell(ResumeAsked(Scope.LAB, "", "anna", "cooled down"))
    table.tell(CampaignSubmitted(again))
    assert table.engine.state.campaign.plan.name == "again"
    check_replay(table)


def test_stop_lab_brings_the_whole_campaign_to_a_safe_end(set_up):
    table = set_up("heat", {"retry": 0, "then": "stop_lab"})
    table.devices.fails = first_time(
        "e0001/heat/1", FaultCode.HEAT_OVER_TEMPERATURE, SampleFate.COMPROMISED
    )
    finished = table.run()
    assert finished.code == FaultCode.HEAT_OVER_TEMPERATURE
    assert "stops the lab" in finished.message
    assert not table.engine.state.attempts
    for container in table.engine.state.containers.values():
        assert container.position == container.home


# --- deadlines --------------------------------------------------------------------------------


def test_a_step_that_never_ends_is_told_within_its_deadline_and_ends(set_up):
    table = set_up("measure", {"retry": 0, "then": "abort_experiment"})
    table.devices.hangs = lambda _, goal: (
        isinstance(goal, MeasureGoal) and goal.sample_id == "trial-e0001-s1"
    )
    table.run()
    (missed,) = events(table, DeadlineMissed)
    (goal,) = [
        item.goal for item in events(table, AttemptIntended) if item.attempt_id == missed.attempt_id
    ]
    (told_ns,) = [entry.ros_time_ns for entry in table.journal.read() if entry.event == missed]
    assert 0 <= told_ns - goal.deadline_ns <= 10_000_000_000
    alert = alert_of(missed, table.engine.state)
    assert alert.level is AlertLevel.ERROR
    assert "characterisation" in alert.text
    assert table.engine.state.faults[missed.fault_id].resolution is not Resolution.OPEN
    assert table.engine.state.count(ExperimentState.SUCCEEDED) < 3
    check_replay(table)


def test_a_late_device_that_ends_by_itself_closes_its_fault(set_up):
    table = set_up("measure", {"retry": 0, "then": "abort_experiment"})
    table.devices.hangs = lambda _, goal: "e0001/measure" in goal.attempt_id
    while not events(table, DeadlineMissed):
        assert table.step()
    (missed,) = events(table, DeadlineMissed)
    attempt = table.engine.state.attempts[missed.attempt_id]
    _, outcome = table.devices._known[missed.attempt_id]
    table.tell(AttemptFinished(attempt.attempt_id, outcome))
    assert not table.engine.state.open_faults()
    table.tell(Tick())


def test_every_fault_is_worth_an_alert(set_up):
    table = set_up("measure", {"retry": 2, "wait_min": 1})
    table.devices.fails = first_time("e0001/measure/1", FaultCode.MEASURE_DEVICE_FAILED)
    table.run()
    (raised,) = events(table, FaultRaised)
    alert = alert_of(raised, table.engine.state)
    assert alert.level is AlertLevel.WARNING
    assert alert.fault_id == raised.fault_id
    assert alert.device == "characterisation"
