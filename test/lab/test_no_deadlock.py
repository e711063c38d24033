"""Somebody who wants a deadlock does what he can: random labs, faults, pauses, kills, silences."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from table_kit.failing_devices import FailingDevices

from matlab_ros.lab import flow
from matlab_ros.lab import state as lab_state
from matlab_ros.lab.allocator import Alternative, rank
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import LeaseExpired
from matlab_ros.lab.goals import AnalyseGoal, TransferGoal
from matlab_ros.lab.inputs import DeviceLost, DeviceReady, PauseAsked, ResumeAsked
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.leases import positions_of
from matlab_ros.lab.scheduler import Move, Priority, Scheduler
from matlab_ros.lab.state import LabState, replay
from matlab_ros.lab.validate import check_campaign
from matlab_ros.lab.wants import WantKind
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_config import (
    DeviceConfig,
    DeviceKind,
    LabConfig,
    PositionGrid,
    StationConfig,
    StationKind,
    load_lab,
)
from matlab_ros.model.lab_words import ExperimentState, PositionState, SampleState, Scope
from matlab_ros.model.recipe import Recipe
from matlab_ros.nodes.table_lab import TableLab

_BASE = load_lab(Path(__file__).resolve().parents[2] / "config/labs/virtual_lab.yaml")


def _small_lab(arms: int, furnaces: int, slots: int, crucibles: int, overlaps: bool) -> LabConfig:
    """A lab whose rack has no place to spare."""

    def station(name: str, kind: StationKind, count: int) -> StationConfig:
        grid = PositionGrid(count=count, columns=count, origin_m=(0, 0, 0), pitch_m=(0.1, 0.1))
        return StationConfig(name=name, kind=kind, base_pose=(0, 0, 0), grid=grid)

    names = [f"furnace_{number}" for number in range(1, furnaces + 1)]
    limits = _BASE.device("furnace_1").furnace
    return LabConfig(
        name="small",
        simulated=True,
        stations=(
            station("rack", StationKind.RACK, crucibles),
            station("dispenser", StationKind.DISPENSER, 1),
            *(station(name, StationKind.FURNACE, slots) for name in names),
            station("diffractometer", StationKind.DIFFRACTOMETER, 1),
        ),
        devices=(
            # Its lease is shorter than what it does, so that it runs out in time.
            DeviceConfig(
                name="dispenser", kind=DeviceKind.DISPENSER, station="dispenser", lease_min=2.0
            ),
            *(DeviceConfig(name=f"arm_{n}", kind=DeviceKind.ARM) for n in range(1, arms + 1)),
            *(
                DeviceConfig(name=name, kind=DeviceKind.FURNACE, station=name, furnace=limits)
                for name in names
            ),
            DeviceConfig(
                name="characterisation",
                kind=DeviceKind.CHARACTERISATION,
                station="diffractometer",
                overlaps_analysis=overlaps,
            ),
        ),
        containers=_BASE.containers.model_copy(update={"count": crucibles, "station": ("rack",)}),
        stock=_BASE.stock,
    )


def _there_and_back(recipe: Recipe) -> Recipe:
    """Fire, grind, fire again: samples want to go from the dispenser to the furnace and back, so
    that each of two full stations could wait for the other."""
    data = recipe.model_dump(mode="json", by_alias=True)
    steps = {step["id"]: step for step in data["steps"]}
    grind = {
        "id": "grind",
        "action": "grind",
        "needs": ["heat"],
        "with": {"minutes": 15},
        "deadline_min": 60,
    }
    again = {**steps["heat"], "id": "again", "needs": ["grind"]}
    steps["measure"]["needs"] = ["again"]
    data["steps"] = [steps["dispense"], steps["heat"], grind, again] + [
        steps[name] for name in ("measure", "analyse", "store")
    ]
    return Recipe.model_validate(data)


@pytest.fixture(scope="module")
def machine(make_campaign, recipe, drawing_planner, table_world):
    """The state machine, told of the fixtures."""
    phases = frozenset(item.structure for item in _BASE.stock if item.structure) | {"MgTiO3"}

    class Adversary(RuleBasedStateMachine):
        table: TableLab | None = None

        @initialize(
            arms=st.integers(1, 3),
            furnaces=st.integers(1, 2),
            slots=st.integers(1, 3),
            crucibles=st.integers(2, 6),
            overlaps=st.booleans(),
            rate=st.sampled_from([0.0, 0.1, 0.3]),
            seed=st.integers(0, 1000),
            goes_back=st.booleans(),
        )
        def begin(self, arms, furnaces, slots, crucibles, overlaps, rate, seed, goes_back):
            self.lab = _small_lab(arms, furnaces, slots, crucibles, overlaps)
            config = make_campaign(
                budget={"experiments": crucibles, "max_in_flight": crucibles},
                planner={"method": "random", "initial_experiments": 1, "batch_size": 2},
            )
            way = _there_and_back(recipe) if goes_back else recipe
            plan = check_campaign(config, self.lab, way, phases, "test")
            self.journal = MemoryJournal(written=False)
            self.devices = FailingDevices(self.lab, table_world, seed, rate)
            self.gone: set[str] = set()
            self.table = TableLab(Engine(self.lab, self.journal), self.devices, drawing_planner())
            self.table.start(plan)

        @property
        def state(self) -> LabState:
            return self.table.engine.state

        @rule(count=st.integers(1, 40))
        def time_passes(self, count):
            for _ in range(count):
                if self.table.finished is not None or not self.table.step():
                    return
                self._check()

        @rule()
        def the_manager_is_killed(self):
            now_ns = self.table.now_ns
            self.table.replace_engine(Engine.recover(self.lab, self.journal, now_ns))
            self.gone.clear()

        @precondition(lambda self: not self.state.paused)
        @rule()
        def somebody_pauses_the_lab(self):
            self.table.tell(PauseAsked(Scope.LAB))

        @precondition(lambda self: any(True for _ in self.state.active()))
        @rule(data=st.data())
        def somebody_pauses_a_sample(self, data):
            names = [run.sample_id for run in self.state.active()]
            self.table.tell(PauseAsked(Scope.SAMPLE, data.draw(st.sampled_from(names))))

        @precondition(lambda self: bool(self.state.paused))
        @rule()
        def somebody_resumes(self):
            for scope, subject in sorted(self.state.paused):
                self.table.tell(ResumeAsked(scope, subject))

        @rule(data=st.data())
        def a_device_falls_silent(self, data):
            self._silence(data.draw(st.sampled_from([item.name for item in self.lab.devices])))

        @precondition(lambda self: bool(self.state.attempts))
        @rule(data=st.data())
        def a_device_is_silent_in_the_midst_of_its_work(self, data):
            attempt_id = data.draw(st.sampled_from(list(self.state.attempts)))
            self._silence(self.state.attempts[attempt_id].device)
            for _ in range(100):
                if attempt_id not in self.state.attempts or attempt_id in self.state.expired:
                    return
                if self.table.finished is not None or not self.table.step():
                    return
                self._check()
            raise AssertionError(f"time stands at {self.table.now_ns}")

        def _silence(self, name: str) -> None:
            self.gone.add(name)
            fault = Fault.of(FaultCode.DEVICE_UNREACHABLE, "It is silent.")
            self.table.tell(DeviceLost(name, fault))

        @precondition(lambda self: bool(self.gone))
        @rule()
        def the_silent_are_back(self):
            for name in sorted(self.gone):
                self.table.tell(DeviceReady(name))
            self.gone.clear()

        @invariant()
        def promises_hold(self):
            if self.table is not None:
                self._check()

        def _check(self) -> None:
            state = self.state
            places = [item.position for item in state.containers.values() if item.position]
            assert len(places) == len(set(places)), "two containers in one place"
            real = [place for place in self.devices.where.values() if place]
            assert len(real) == len(set(real))
            carried = {
                attempt.goal.container_id
                for attempt in state.attempts.values()
                if isinstance(attempt.goal, TransferGoal)
            }
            for container_id, name in self.devices.where.items():
                if name and container_id not in carried:
                    assert state.position_state(name) is not PositionState.EMPTY, (
                        f"{name} is not free"
                    )
            if self.devices.rate == 0.0:
                held = set(state.floor.grippers.values()) & set(places)
                assert not held, f"{held}: an arm that failed at nothing holds something and waits"
            taken: dict[str, str] = {}
            for attempt in state.attempts.values():
                hands = attempt.device
                if isinstance(attempt.goal, AnalyseGoal):
                    hands += "#" * self.state.floor.overlaps_analysis(hands)
                for resource in (hands, *positions_of(attempt.goal)):
                    assert resource not in taken, f"{resource} is taken twice"
                    taken[resource] = attempt.attempt_id
            for run in state.active():
                sample, container = state.samples[run.sample_id], state.container_of(run)
                is_lost = sample.state in (SampleState.LOST, SampleState.COMPROMISED)
                assert container.position or is_lost, f"{run.sample_id} is forgotten"
            # Nobody holds anything while he waits: what is reserved is an attempt's under way.
            for name in state.positions:
                reserving = state.reserved_by(name)
                assert not reserving or reserving in state.attempts

        def teardown(self) -> None:
            if self.table is None:
                return
            self.the_silent_are_back()
            self.somebody_resumes()
            for device in self.lab.devices:
                self.table.tell(DeviceReady(device.name))
            while self.table.finished is None:
                assert self.table.step(), "nothing can happen any more"
                self._check()
            runs = self.state.experiments.values()
            assert all(run.state.is_final for run in runs)
            # Only places that nobody may use excuse an early end, and those come of faults alone.
            code = self.table.finished.code
            assert code == FaultCode.NONE or (
                code == FaultCode.POSITION_UNKNOWN and self.devices.rate > 0.0
            ), self.table.finished.message
            if self.devices.rate == 0.0:
                assert all(run.state is ExperimentState.SUCCEEDED for run in runs)
            entries = ((item.ros_time_ns, item.event) for item in self.journal.read())
            assert replay(self.state.floor, entries) == self.state

    return Adversary


def _play(machine) -> None:
    case = machine.TestCase
    case.settings = settings(
        max_examples=100,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    case("runTest").runTest()


def test_nobody_can_make_a_deadlock(machine):
    _play(machine)


def _nothing_is_cleared(monkeypatch):
    """A station that others wait for is never cleared for them."""
    monkeypatch.setattr(Scheduler, "_wanted", lambda self, state, free: set())


def _arms_hold_and_wait(monkeypatch):
    """Arms lift crucibles before there is a place for them, and hold on to them until there is."""
    moves, homeward = Scheduler._moves, Scheduler._homeward

    def greedy(self, state, free):
        yield from moves(self, state, free)
        for _, want in self._standing(state):
            if want.kind is WantKind.CARRY and not self._targets(state, free, want):
                ways = tuple(
                    Alternative(hands, Move(arm, want.run.experiment_id, hands[-1], want.step.id))
                    for arm, hands in self._hands(state.container_of(want.run))
                )
                yield self._request(Priority.FEED, want.run, want.step, ways)

    def stubborn(self, state, run, priority):
        return iter(()) if priority == Priority.GRIPPER else homeward(self, state, run, priority)

    monkeypatch.setattr(Scheduler, "_moves", greedy)
    monkeypatch.setattr(Scheduler, "_homeward", stubborn)


def _leases_free_what_stands_there(monkeypatch):
    """A lease that runs out makes its positions free, whatever stands there."""

    def free(state, event):
        state.expired[event.attempt_id] = event
        for name in event.positions:
            container = state.occupant(name)
            if container is not None:
                state._stand(container, "")

    monkeypatch.setitem(lab_state._APPLY, LeaseExpired, free)


def _requests_are_granted_in_part(monkeypatch):
    """A request is granted as soon as one of the things it needs is free."""

    def hasty(requests, is_free):
        for request in sorted(requests, key=rank):
            for alternative in request.alternatives:
                if any(is_free(resource) for resource in alternative.resources):
                    return alternative
        return None

    monkeypatch.setattr(flow, "choose", hasty)


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        (_nothing_is_cleared, "every way is blocked"),
        (_arms_hold_and_wait, "holds something and waits"),
        (_leases_free_what_stands_there, "is forgotten|is not free|holds"),
        (_requests_are_granted_in_part, "is taken twice|holds|was given"),
    ],
)
def test_who_looks_for_deadlocks_would_see_a_planted_fault(machine, monkeypatch, fault, sign):
    fault(monkeypatch)
    with pytest.raises(AssertionError, match=sign):
        _play(machine)


def test_a_transfer_names_source_and_target_as_what_it_takes():
    goal = TransferGoal("a", 0, 0, "s", "c", "rack/1", "dispenser/1")
    assert positions_of(goal) == ("rack/1", "dispenser/1")
