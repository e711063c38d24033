"""Who may be fired again is expected back, but not for ever."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from schedule import GradedDevices
from schedule_kit.cases import ListPlanner, make_case, virtual_lab

from matlab_ros.lab.allocator import AGING_NS
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.forecast import Forecast
from matlab_ros.lab.heat_groups import HeatGroups
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.wants import may_come_again
from matlab_ros.nodes.table_lab import TableLab


@pytest.fixture
def after_the_first_firing():
    """A lab in which somebody was fired and not yet looked at, and who that is."""
    case = make_case("virtual lab", virtual_lab(), "regrind", "equal", 8)
    engine = Engine(case.lab, MemoryJournal(written=False))
    table = TableLab(engine, GradedDevices(case), ListPlanner(case.settings))
    table.start(case.plan)
    while True:
        assert table.step()
        fired = [run.experiment_id for run in engine.state.active() if may_come_again(run)]
        if len(fired) >= 4:
            return engine, fired


def test_about_as_many_are_expected_back_as_earlier_rounds_suggest(after_the_first_firing):
    engine, fired = after_the_first_firing
    state = engine.state
    forecast = Forecast(state, engine.floor, HeatGroups(), state.time_ns)
    before = list(forecast.again(fired))
    assert 0 < len(before) < len(fired)
    assert all(item.ready_ns > state.time_ns for item in before)
    for _ in range(200):
        state.repeats.note("regrind", "analyse", 0, is_again=True)
    assert len(list(forecast.again(fired))) == len(fired)


def test_nobody_waits_for_those_who_stand_still(after_the_first_firing):
    engine, fired = after_the_first_firing
    state = engine.state
    forecast = Forecast(state, engine.floor, HeatGroups(), state.time_ns + 2 * AGING_NS)
    assert list(forecast.again(fired)) == []
