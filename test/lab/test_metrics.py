"""Figures of a campaign: by hand where they are known, and laws that hold for every campaign."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matlab_ros.lab import events as ev
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.experiment_values import Observation, Setting, Suggestion
from matlab_ros.lab.goals import (
    AttemptReport,
    DispenseGoal,
    DispenseOutcome,
    DoseReading,
    HeatGoal,
    HeatOutcome,
    HeatProfile,
    HeatSegment,
    SampleOutcome,
    TransferGoal,
    TransferOutcome,
)
from matlab_ros.lab.inputs import PauseAsked, ResumeAsked
from matlab_ros.lab.journal import JournalEntry, JournalReader, MemoryJournal
from matlab_ros.lab.metrics import CampaignMetrics, metrics_of
from matlab_ros.lab.metrics_values import Autonomy
from matlab_ros.lab.throughput_bounds import IN_FLIGHT, Demand, bound, gain
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_config import load_lab
from matlab_ros.model.lab_words import (
    ExperimentState,
    ObservationKind,
    Resolution,
    SampleFate,
    SampleState,
    Scope,
)
from matlab_ros.nodes.table_devices import Durations, TableDevices
from matlab_ros.nodes.table_lab import TableLab

DATA = Path(__file__).parent / "data"
HOUR = 3600
by_chance = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


class Story:
    """Entries of a campaign told by hand; times in seconds."""

    def __init__(self, plan) -> None:
        self.entries: list[JournalEntry] = []
        self._name = plan.name
        self._open: dict[str, tuple[str, object, tuple[ev.Work, ...]]] = {}
        self.at(0, ev.CampaignStarted(plan))

    def at(self, second: float, *events: ev.Event) -> None:
        """Something happens."""
        for event in events:
            minute = f"{int(second) // 600:02d}"
            self.entries.append(
                JournalEntry(
                    len(self.entries) + 1,
                    self._name,
                    round(second * 1e9),
                    f"2026-01-01T00:{minute}:00+00:00",
                    event,
                )
            )

    def begin(self, second: float, device: str, goal, *works: ev.Work) -> None:
        """A goal is sent."""
        self._open[goal.attempt_id] = (device, goal, works)
        self.at(second, ev.AttemptIntended(goal.attempt_id, device, goal, works))

    def end(self, second: float, attempt_id: str, code: int = 0, **result) -> None:
        """Its outcome comes."""
        device, goal, works = self._open.pop(attempt_id)
        began = next(
            entry.ros_time_ns
            for entry in self.entries
            if isinstance(entry.event, ev.AttemptIntended) and entry.event.attempt_id == attempt_id
        )
        fate = SampleFate.UNTOUCHED if code else SampleFate.DONE
        report = AttemptReport(
            code,
            "It failed." if code else "",
            began,
            round(second * 1e9),
            tuple(SampleOutcome(name, fate) for name in goal.sample_ids),
            device,
        )
        kind = {"dispense": DispenseOutcome, "transfer": TransferOutcome, "heat": HeatOutcome}
        outcome = kind[goal.TAG](report, **result)
        effects = tuple(ev.Effect(work, not code, fate, "rack/1") for work in works)
        self.at(second, ev.AttemptEnded(attempt_id, device, outcome, effects))


def dispense(name: str) -> DispenseGoal:
    """A goal of the dispenser."""
    return DispenseGoal(f"{name}/dispense/1", 0, 0, f"{name}-s1", "crucible-01", "dispenser/1", ())


def transfer(name: str, number: int) -> TransferGoal:
    """A goal of the arm."""
    return TransferGoal(f"{name}/move/{number}", 0, 0, f"{name}-s1", "c", "rack/1", "furnace_1/1")


def reading(substance: str, mass_mg: float | None) -> DoseReading:
    """A dose."""
    return DoseReading(substance, 100.0, mass_mg, 0.1, True)


def observation(name: str, value: float, temperature_c: float = 900.0) -> Observation:
    """A measured result."""
    asked = (Setting("temperature_c", temperature_c),)
    return Observation(name, asked, asked, ObservationKind.MEASURED, value, 0.02, True, 0)


@pytest.fixture
def story(make_plan) -> Story:
    """Two samples: one comes to a result, one is given up after a fault that came again."""
    told = Story(make_plan(name="told", budget={"experiments": 4, "max_in_flight": 2}))
    first, second = "told-e0001", "told-e0002"
    told.at(
        0,
        ev.SuggestionsReceived(
            (
                Suggestion(first, (Setting("temperature_c", 900.0),)),
                Suggestion(second, (Setting("temperature_c", 1000.0),), 0.5, 0.1),
            )
        ),
        ev.ExperimentStarted(first, f"{first}-s1", "crucible-01"),
        ev.ExperimentStarted(second, f"{second}-s1", "crucible-02"),
    )
    works = {name: ev.Work(name, "weigh", f"{name}-s1") for name in (first, second)}
    told.begin(100, "dispenser", dispense(first), works[first])
    told.end(400, f"{first}/dispense/1", doses=(reading("MgO", 99.0), reading("TiO2", 102.0)))
    told.begin(400, "dispenser", dispense(second), works[second])
    carry = ev.Work(first, ev.MOVE, f"{first}-s1", serves="fire")
    told.begin(500, "arm", transfer(first, 1), carry)
    told.end(600, f"{first}/move/1")
    told.end(700, f"{second}/dispense/1", doses=(reading("MgO", 101.0), reading("TiO2", None)))
    profile = HeatProfile((HeatSegment(900.0, 10.0, 60.0),), 80.0)
    heat = HeatGoal(f"{first}/fire/1", 0, 0, (f"{first}-s1",), ("furnace_1/1",), profile)
    told.begin(900, "furnace_1", heat, ev.Work(first, "fire", f"{first}-s1"))
    for number, begun in ((1, 1000), (2, 1500)):
        move = ev.Work(second, ev.MOVE, f"{second}-s1", serves="fire")
        told.begin(begun, "arm", transfer(second, number), move)
        told.end(begun + 200, f"{second}/move/{number}", FaultCode.TRANSFER_NO_PLAN)
        fault = Fault.of(FaultCode.TRANSFER_NO_PLAN, "No way.")
        told.at(
            begun + 200,
            ev.FaultRaised(f"fault-{number}", fault, "arm", "", second, ev.MOVE, f"{second}-s1"),
        )
        decided = Resolution.RETRY if number == 1 else Resolution.ABORT_EXPERIMENT
        told.at(begun + 200, ev.FaultResolved(f"fault-{number}", decided, "policy"))
    told.at(1800, ev.ExperimentEnded(second, ExperimentState.FAILED, SampleState.DONE))
    told.at(2000, ev.Paused(Scope.LAB, "", "ann"), ev.Resumed(Scope.LAB, "", "ann"))
    told.at(2100, ev.DeviceGone("arm", "fault-3", Fault.of(FaultCode.PROCESS_DIED, "Silent.")))
    told.at(2300, ev.DeviceBack("arm"))
    told.end(2900, f"{first}/fire/1")
    told.at(3000, ev.ObservationMade(first, observation(first, 0.6)))
    told.at(3600, ev.ExperimentEnded(first, ExperimentState.SUCCEEDED, SampleState.DONE))
    return told


def test_throughput_and_lifetimes_are_those_of_the_story(story):
    found = metrics_of(story.entries)
    assert found.span_s == HOUR
    assert found.wall_s == 360.0
    assert (found.samples_ended, found.samples_succeeded) == (2, 1)
    assert found.throughput_per_day == 24.0
    assert found.wall_throughput_per_day == 240.0
    assert found.operator_acts == 2
    assert found.unassisted_lifetime_s == 2000.0
    assert found.unassisted_now_s == 1600.0
    assert found.assisted_lifetime_s == HOUR
    assert found.autonomy is Autonomy.SEMI_CLOSED_LOOP
    assert found.in_flight_mean == pytest.approx((3600 + 1800) / 3600)


def test_stations_work_for_as_long_as_their_attempts(story):
    stations = {item.device: item for item in metrics_of(story.entries).stations}
    assert stations["dispenser"].busy_s == 600.0
    assert stations["dispenser"].utilisation == pytest.approx(600 / 3600)
    assert stations["arm"].busy_s == 500.0
    assert stations["furnace_1"].busy_s == 2000.0
    assert stations["arm"].failures == 2
    assert stations["arm"].down_s == 200.0
    assert stations["arm"].mtbf_s == pytest.approx(500 / 3)
    assert stations["dispenser"].mtbf_s is None


def test_waiting_is_what_nobody_works_on_a_sample_and_carrying_is_no_waiting(story):
    steps = {item.kind: item for item in metrics_of(story.entries).steps}
    assert steps["dispense"].waiting.total_s == 100 + 400
    # 400 to 500 for the arm, 600 to 900 for the furnace.
    assert steps["heat"].waiting.total_s == 400
    assert steps["heat"].working.median_s == 2000
    assert steps["transfer"].attempts == 3
    assert steps["transfer"].working.p95_s == 100
    assert steps["transfer"].failures == 2


def test_a_retry_that_fails_again_is_no_recovery(story):
    found = metrics_of(story.entries)
    codes = {item.code: item for item in found.faults}
    no_plan = codes["TRANSFER_NO_PLAN"]
    assert (no_plan.count, no_plan.recovered_alone, no_plan.came_again, no_plan.given_up) == (
        2,
        0,
        1,
        1,
    )
    assert codes["PROCESS_DIED"].recovered_alone == 1
    assert found.recovery_rate == pytest.approx(1 / 3)
    assert found.mtbf_s == 1200.0
    assert found.mttr_s == 200.0


def test_powder_in_a_sample_without_a_result_is_wasted(story):
    materials = {item.substance: item for item in metrics_of(story.entries).materials}
    assert materials["MgO"].dispensed_mg == 200.0
    assert materials["MgO"].wasted_mg == 101.0
    assert materials["TiO2"].dispensed_mg == 102.0
    assert materials["TiO2"].wasted_mg == 0.0
    assert materials["TiO2"].unmeasured == 1
    assert materials["TiO2"].requested_mg == 200.0


def test_what_an_operator_decides_is_an_act_and_no_recovery_alone(story):
    entries = [
        replace(entry, event=replace(entry.event, resolved_by="ann"))
        if isinstance(entry.event, ev.FaultResolved)
        else entry
        for entry in story.entries
    ]
    assert metrics_of(entries).operator_acts == 4
    assert metrics_of(entries).unassisted_lifetime_s == 1600.0


def test_precision_is_the_pooled_deviation_of_replicates(story):
    for number, (value, heat) in enumerate([(0.5, 900), (0.7, 900), (0.2, 1000), (0.4, 1000)], 5):
        name = f"told-e{number:04d}"
        story.at(3600, ev.ObservationMade(name, observation(name, value, heat)))
    found = metrics_of(story.entries)
    # 0.6 0.5 0.7 about 0.6, and 0.2 0.4 about 0.3.
    assert found.precision == pytest.approx(((0.02 + 0.02) / 3) ** 0.5)
    assert found.precision_freedom == 3
    assert found.reported_sigma == pytest.approx(0.02)
    assert found.settings_tried == 2
    assert found.best_objective == 0.7
    assert found.experiments_to_best == 3
    assert found.mean_objective_without_model == pytest.approx(0.6)


def test_supplies_say_how_long_the_lab_could_go_on(story, lab):
    found = metrics_of(story.entries, lab)
    # 2 of 40 crucibles in an hour; of every powder there is more.
    assert found.first_supply_to_end == "containers"
    assert found.theoretical_unassisted_lifetime_s == pytest.approx(20 * HOUR)


def test_few_samples_under_way_limit_a_lab_like_a_station(story, lab):
    found = metrics_of(story.entries, lab)
    pools = {item.name: item for item in found.pools}
    assert pools["furnace_1"].demand_s == 2000.0
    assert pools["furnace_1"].utilisation == pytest.approx(2000 / 3600)
    assert pools["dispenser"].demand_s == 600.0
    assert found.theoretical_throughput_per_day == pytest.approx(86400 / 2000)
    # 3100 s of work for one result, two samples under way: a furnace of 2000 s limits more.
    assert found.bottleneck == "furnace_1"
    assert pools["furnace_1"].gain_if_twice_as_fast == pytest.approx(2000 / 1050 - 1)
    assert found.gain_if_twice_in_flight == 0.0


def test_a_furnace_that_equal_profiles_would_fill_is_not_the_bottleneck(make_plan, lab):
    told = Story(make_plan(name="told", budget={"experiments": 4, "max_in_flight": 4}))
    names = [f"told-e{number:04d}" for number in range(1, 5)]
    for number, name in enumerate(names):
        told.at(number * 1500, ev.ExperimentStarted(name, f"{name}-s1", "c"))
        told.begin(number * 1500, "dispenser", dispense(name), ev.Work(name, "weigh", f"{name}-s1"))
        told.end(number * 1500 + 400, f"{name}/dispense/1")
        profile = HeatProfile((HeatSegment(900.0, 10.0, 60.0),), 80.0)
        heat = HeatGoal(f"{name}/fire/1", 0, 0, (f"{name}-s1",), ("furnace_1/1",), profile)
        told.begin(number * 1500 + 400, "furnace_1", heat, ev.Work(name, "fire", f"{name}-s1"))
        told.end(number * 1500 + 1400, f"{name}/fire/1")
        told.at(number * 1500 + 1400, ev.ObservationMade(name, observation(name, 0.5)))
        ended = ev.ExperimentEnded(name, ExperimentState.SUCCEEDED, SampleState.DONE)
        told.at(number * 1500 + 1400, ended)
    pools = {item.name: item for item in metrics_of(told.entries, lab).pools}
    assert pools["furnace_1"].demand_s == 1000.0 / 4
    assert pools["dispenser"].demand_s == 400.0
    assert metrics_of(told.entries, lab).theoretical_throughput_per_day == pytest.approx(216)


def test_a_journal_without_the_campaign_is_said_so(story):
    with pytest.raises(LabError, match="no campaign 'other'"):
        metrics_of(story.entries, campaign="other")


def test_the_search_space_is_counted_where_it_can_be(make_plan):
    plan = make_plan(
        parameters=[
            {"name": "precursors", "kind": "categorical", "choices": ["a", "b"]},
            {"name": "temperature_c", "kind": "continuous", "low": 800, "high": 1300, "step": 100},
            {"name": "dwell_h", "kind": "integer", "low": 1, "high": 12},
        ]
    )
    found = metrics_of(Story(plan).entries)
    assert found.settings_accessible == 2 * 6 * 12
    assert (found.parameters_continuous, found.parameters_categorical) == (2, 1)
    assert metrics_of(Story(make_plan()).entries).settings_accessible is None


@pytest.mark.parametrize("name", ["first", "short", "second"])
def test_every_campaign_of_an_old_journal_has_its_figures(tmp_path, name):
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.executescript((DATA / "journal_1.sql").read_text())
    connection.close()
    reader = JournalReader(f"sqlite:///{tmp_path}/old.sqlite")
    found = metrics_of(reader.read(), load_lab(DATA / "journal_1.lab.yaml"), name)
    reader.close()
    assert found.campaign == name
    assert found.attempts > 0
    assert found.operator_acts > 0


# --- laws -------------------------------------------------------------------------------------


@by_chance
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.0, 0.1, 0.3]))
def test_no_campaign_breaks_the_laws_of_operational_analysis(
    lab, make_plan, faulty_devices, drawing_planner, seed, rate
):
    journal = MemoryJournal()
    devices = faulty_devices(lab, seed, rate)
    table = TableLab(Engine(lab, journal), devices, drawing_planner())
    table.start(make_plan())
    live = CampaignMetrics()
    seen = 0
    while table.finished is None:
        assert table.step()
        for entry in journal.read(after=seen):
            live.take(entry)
            seen = entry.sequence
        found = live.metrics(lab)
        assert all(0.0 <= item.utilisation <= 1.0 + 1e-9 for item in found.stations)
        assert found.in_flight_mean <= found.in_flight_allowed + 1e-9
        for pool in found.pools:
            if pool.limit_per_day is not None and found.samples_succeeded:
                assert found.throughput_per_day <= pool.limit_per_day * (1 + 1e-9)
            assert pool.gain_if_twice_as_fast >= -1e-9
        for item in found.materials:
            assert 0.0 <= item.wasted_mg <= item.dispensed_mg + 1e-9
        for fault in found.faults:
            assert fault.count == (
                fault.recovered_alone
                + fault.recovered_by_person
                + fault.came_again
                + fault.given_up
                + fault.open
            )
    assert live.metrics(lab) == metrics_of(journal.read(), lab)
    assert found.autonomy is Autonomy.CLOSED_LOOP


def test_an_operator_s_look_is_an_act(lab, make_plan, faulty_devices, drawing_planner):
    journal = MemoryJournal()
    table = TableLab(Engine(lab, journal), faulty_devices(lab, 0, 0.0), drawing_planner())
    table.start(make_plan())
    for _ in range(6):
        table.step()
    table.tell(PauseAsked(Scope.LAB, "", "ann"))
    table.tell(ResumeAsked(Scope.LAB, "", "ann"))
    table.run()
    found = metrics_of(journal.read(), lab)
    assert found.operator_acts == 2
    assert found.unassisted_lifetime_s < found.span_s


@given(
    busy=st.lists(st.floats(1.0, 1e4), min_size=1, max_size=5),
    devices=st.lists(st.integers(1, 4), min_size=5, max_size=5),
    in_flight=st.integers(1, 50),
)
def test_a_faster_station_never_lowers_the_bound_and_only_the_bottleneck_raises_it(
    busy, devices, in_flight
):
    demands = [
        Demand(f"pool {number}", devices[number], time, time) for number, time in enumerate(busy)
    ]
    found = bound(demands, in_flight)
    assert found is not None
    gains = {
        name: gain(demands, in_flight, name) for name in [*(d.pool for d in demands), IN_FLIGHT]
    }
    assert all(item + 1e-9 >= 0.0 for item in gains.values())
    assert all(item <= 1.0 + 1e-9 for item in gains.values())
    if found.limited_by != IN_FLIGHT:
        for name, item in gains.items():
            if name != found.limited_by and item > 1e-9:
                ties = [d for d in demands if d.per_device_s >= 86400.0 / found.per_day - 1e-6]
                assert len(ties) > 1


def test_a_twice_as_fast_bottleneck_brings_nearly_what_was_foretold(
    lab, make_plan, table_world, drawing_planner
):
    def run(dose_s: float):
        journal = MemoryJournal()
        devices = TableDevices(table_world, Durations(dose_s=dose_s))
        table = TableLab(Engine(lab, journal), devices, drawing_planner(temperatures=(900.0,)))
        table.start(
            make_plan(
                budget={"experiments": 40, "max_in_flight": 16},
                planner={"method": "random", "batch_size": 4, "initial_experiments": 1},
            )
        )
        table.run()
        return metrics_of(journal.read(), lab)

    slow, fast = run(3_600.0), run(1_800.0)
    assert slow.bottleneck == "dispenser"
    foretold = next(item for item in slow.pools if item.name == "dispenser").gain_if_twice_as_fast
    really = fast.throughput_per_day / slow.throughput_per_day - 1.0
    # From above: the last samples' firing takes as long as before.
    assert 0.5 * foretold < really <= foretold
