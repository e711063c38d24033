"""What the engine promises, for one campaign after another with devices that fail by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import AttemptEnded, AttemptIntended, EmergencyStopEngaged
from matlab_ros.lab.goals import HeatGoal, SampleOutcome
from matlab_ros.lab.inputs import (
    CampaignSubmitted,
    CancelAsked,
    DeviceGivenUp,
    DeviceLost,
    EmergencyStopAsked,
    PauseAsked,
    ResumeAsked,
)
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.state import LabState, replay
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import ExperimentState, ObservationKind, SampleFate, Scope
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab

by_chance = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.fixture(scope="session")
def set_up(lab, make_plan, faulty_devices, drawing_planner) -> Callable[..., TableLab]:
    """Makes a table lab around a new engine."""

    def make(seed=0, rate=0.0, **changes) -> TableLab:
        plan = make_plan(**changes)
        journal = MemoryJournal()
        engine = Engine(lab, journal)
        devices = faulty_devices(lab, seed, rate)
        table = TableLab(engine, devices, drawing_planner())
        table.plan, table.devices, table.journal = plan, devices, journal
        return table

    return make


def test_every_experiment_succeeds_where_nothing_fails(set_up):
    table = set_up()
    table.start(table.plan)
    assert table.run().code == FaultCode.NONE
    runs = table.engine.state.experiments.values()
    assert [run.state for run in runs] == [ExperimentState.SUCCEEDED] * 6
    assert all(run.observation.status is ObservationKind.MEASURED for run in runs)
    assert len(table.devices.doses) == 12
    for container in table.engine.state.containers.values():
        assert container.position == container.home


def test_equal_profiles_share_a_furnace_run(set_up, drawing_planner):
    table = set_up(
        budget={"experiments": 8, "max_in_flight": 8}, planner={"batch_size": 8, "method": "random"}
    )
    table._planner = drawing_planner(temperatures=(900.0,))
    table.start(table.plan)
    table.run()
    batches = [
        entry.event.goal.sample_ids
        for entry in table.journal.read()
        if isinstance(entry.event, AttemptIntended) and isinstance(entry.event.goal, HeatGoal)
    ]
    assert sum(len(batch) for batch in batches) == 8
    assert max(len(batch) for batch in batches) > 1


def test_several_samples_are_in_flight_at_once(set_up):
    table = set_up()
    table.start(table.plan)
    most = 0
    while table.finished is None:
        assert table.step()
        most = max(most, len(list(table.engine.state.active())))
    assert most == 4


@by_chance
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.05, 0.2, 0.5, 1.0]))
def test_every_experiment_ends_whatever_fails(set_up, check_places, seed, rate):
    table = set_up(seed, rate)
    table.start(table.plan)
    while table.finished is None:
        assert table.step(), "nothing is left that could happen, and the campaign has not ended"
        check_places(table.engine)
    state = table.engine.state
    assert all(run.state.is_final for run in state.experiments.values())
    assert all(run.observation is not None and run.reported for run in state.experiments.values())
    if table.finished.code == FaultCode.NONE:
        assert len(state.experiments) == 6
    ids = [
        entry.event.attempt_id
        for entry in table.journal.read()
        if isinstance(entry.event, AttemptIntended)
    ]
    assert len(ids) == len(set(ids))


@by_chance
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.0, 0.3]))
def test_replaying_the_journal_gives_the_state_at_every_prefix(set_up, seed, rate):
    table = set_up(seed, rate, budget={"experiments": 3, "max_in_flight": 2})
    table.start(table.plan)
    while table.finished is None:
        assert table.step()
        again = replay(
            table.engine.floor,
            ((entry.ros_time_ns, entry.event) for entry in table.journal.read()),
        )
        assert again == table.engine.state


@by_chance
@given(
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([0.0, 0.2]),
    kills=st.lists(st.integers(0, 120), min_size=1, max_size=4),
)
def test_no_dose_is_repeated_after_a_kill_at_any_moment(
    set_up, check_places, lab, seed, rate, kills
):
    undisturbed = set_up(seed, rate)
    undisturbed.start(undisturbed.plan)
    undisturbed.run()
    table = set_up(seed, rate)
    table.start(table.plan)
    steps = 0
    while table.finished is None:
        if steps in kills:
            table.replace_engine(Engine.recover(lab, table.journal, table.now_ns))
            kills = [kill for kill in kills if kill != steps]
        if table.finished is None:
            assert table.step()
        check_places(table.engine)
        steps += 1
    given_doses = table.devices.doses
    assert len(given_doses) == len(set(given_doses))
    assert all(run.state.is_final for run in table.engine.state.experiments.values())
    if rate == 0.0:
        assert sorted(given_doses) == sorted(undisturbed.devices.doses)
    journaled = [
        entry.event.outcome
        for entry in table.journal.read()
        if isinstance(entry.event, AttemptEnded) and entry.event.outcome.TAG == "dispense"
    ]
    assert sum(len(item.doses) for item in journaled) <= len(given_doses)


@by_chance
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.0, 0.3]))
def test_the_same_seed_writes_the_same_journal(set_up, seed, rate):
    lines = []
    for _ in range(2):
        table = set_up(seed, rate)
        table.start(table.plan)
        table.run()
        lines.append(table.journal.lines())
    assert lines[0] == lines[1]


def test_one_sample_s_failure_is_its_own(lab, make_plan, drawing_planner, table_world):
    class OneBrokenCrucible(TableDevices):
        broken = ""

        def outcome(self, device, goal, now_ns, end_ns):
            outcome = super().outcome(device, goal, now_ns, end_ns)
            if not isinstance(goal, HeatGoal) or len(goal.sample_ids) == 1 or self.broken:
                return outcome
            self.broken = goal.sample_ids[0]
            samples = tuple(
                SampleOutcome(
                    name, SampleFate.COMPROMISED if name == self.broken else SampleFate.DONE
                )
                for name in goal.sample_ids
            )
            return replace(outcome, report=replace(outcome.report, samples=samples))

    plan = make_plan(
        budget={"experiments": 8, "max_in_flight": 8}, planner={"batch_size": 8, "method": "random"}
    )
    devices = OneBrokenCrucible(table_world)
    table = TableLab(Engine(lab, MemoryJournal()), devices, drawing_planner(temperatures=(900.0,)))
    table.start(plan)
    assert table.run().code == FaultCode.NONE
    assert devices.broken
    for run in table.engine.state.experiments.values():
        is_broken = run.sample_id == devices.broken
        assert run.state is (ExperimentState.FAILED if is_broken else ExperimentState.SUCCEEDED)


def test_a_cancelled_campaign_leaves_no_crucible_behind(set_up):
    table = set_up()
    table.start(table.plan)
    for _ in range(12):
        table.step()
    table.tell(CancelAsked(Scope.CAMPAIGN, "trial", "someone"))
    finished = table.run()
    assert finished.code == FaultCode.CANCELED
    for container in table.engine.state.containers.values():
        assert container.position == container.home


def test_nothing_begins_while_paused(set_up):
    table = set_up()
    table.start(table.plan)
    for _ in range(6):
        table.step()
    table.tell(PauseAsked(Scope.LAB))
    while table.engine.state.attempts:
        table.step()
    assert not table.step()
    assert table.finished is None
    table.tell(ResumeAsked(Scope.LAB))
    assert table.run().code == FaultCode.NONE


def test_an_emergency_stop_cancels_everything_and_release_starts_nothing_lost(set_up):
    table = set_up()
    table.start(table.plan)
    for _ in range(8):
        table.step()
    table.tell(EmergencyStopAsked(True, "someone"))
    assert all(attempt.cancel_requested for attempt in table.engine.state.attempts.values())
    while table.engine.state.attempts:
        table.step()
    assert any(isinstance(entry.event, EmergencyStopEngaged) for entry in table.journal.read())
    table.tell(EmergencyStopAsked(False, "someone"))
    # Releasing the latch sets nothing in motion: somebody has to say that the lab goes on.
    assert not table.engine.state.attempts
    assert not table.step()
    table.tell(ResumeAsked(Scope.LAB, operator="someone"))
    table.run()


def test_a_device_that_does_not_come_back_ends_the_campaign(set_up):
    table = set_up()
    table.start(table.plan)
    for _ in range(6):
        table.step()
    gone = Fault.of(FaultCode.PROCESS_DIED, "It is silent.")
    table.tell(DeviceLost("arm", gone))
    while table.step():
        pass
    assert table.finished is None
    table.tell(DeviceGivenUp("arm"))
    assert table.run().code == FaultCode.DEVICE_MISSING


def test_an_ended_campaign_is_told_again_and_not_run_again(set_up):
    table = set_up(budget={"experiments": 1, "max_in_flight": 1}, planner={"batch_size": 1})
    table.start(table.plan)
    table.run()
    before = table.engine.state.sequence
    table.finished = None
    table.tell(CampaignSubmitted(table.plan))
    assert table.finished is not None
    assert table.engine.state.sequence == before


def test_state_is_changed_by_events_alone():
    public = [name for name in vars(LabState) if not name.startswith("_")]
    assert sorted(public) == sorted(
        [
            "active",
            "apply",
            "attempt_on",
            "best",
            "campaign_count",
            "campaign_in_flight_count",
            "container_of",
            "count",
            "experiment_in",
            "in_campaign",
            "in_flight",
            "is_asking",
            "is_at_work",
            "is_campaign_paused",
            "is_paused",
            "next_clean",
            "next_planned",
            "observations",
            "occupant",
            "open_faults",
            "open_guests",
            "position_state",
            "recipes",
            "reserved_by",
            "unreported",
        ]
    )
