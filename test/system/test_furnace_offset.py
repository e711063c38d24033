"""Chemistry follows what the crucibles feel; the lab knows only what thermocouples say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_colder_crucibles_give_worse_yields_while_the_readings_are_the_same(
    finished: Any, start: Callable[..., Any]
) -> None:
    honest = finished.process
    cold = start("--set", "furnace_1_offset_c:=-80", "--set", "furnace_2_offset_c:=-80")
    assert cold.end() == 0, cold.told()

    traces = [
        {
            outcome.report.samples: (outcome.trace.elapsed_s, outcome.trace.measured_c)
            for outcome in campaign.outcomes("heat")
        }
        for campaign in (honest, cold)
    ]
    assert traces[0] == traces[1]

    told, felt = honest.observations(), cold.observations()
    assert told.keys() == felt.keys()
    assert len(told) == 4
    for name, observation in told.items():
        assert felt[name].requested == observation.requested
        assert felt[name].settings == observation.settings
        assert felt[name].objective < observation.objective - 0.1
