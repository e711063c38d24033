"""A station whose computer takes several patterns: analyses overlap, up to its number."""

from __future__ import annotations

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.goals import AnalyseGoal
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import DeviceKind
from matlab_ros.nodes.table_lab import TableLab

SLOW_NS = 5 * 3600 * 10**9
"""Longer than it takes to bring the next patterns."""


@pytest.mark.parametrize("at_once", [1, 3])
def test_as_many_analyses_are_under_way_as_the_station_takes(
    lab, make_plan, faulty_devices, drawing_planner, at_once
):
    class SlowAnalyses(faulty_devices):
        def begin(self, device, goal, now_ns):
            when, outcome = super().begin(device, goal, now_ns)
            return when + SLOW_NS * isinstance(goal, AnalyseGoal), outcome

    stations = [
        item.model_copy(update={"overlaps_analysis": True, "analyses_at_once": at_once})
        if item.kind is DeviceKind.CHARACTERISATION
        else item
        for item in lab.devices
    ]
    changed = lab.model_copy(update={"devices": stations})
    engine = Engine(changed, MemoryJournal())
    table = TableLab(engine, SlowAnalyses(changed, 0, 0.0), drawing_planner())
    table.start(make_plan(budget={"experiments": 8, "max_in_flight": 8}))
    most = 0
    while table.finished is None:
        assert table.step()
        goals = [attempt.goal for attempt in engine.state.attempts.values()]
        most = max(most, sum(isinstance(goal, AnalyseGoal) for goal in goals))
    assert table.finished.code == FaultCode.NONE
    assert most == at_once
