"""A recipe with a loop through all processes: what is reground and fired again becomes another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from matlab_ros.lab.events import AttemptEnded, AttemptIntended, LoopEnded, LoopRepeated, WaitBegun

CAMPAIGN: dict[str, Any] = {
    "name": "regrind",
    "seed": 3,
    "lab": "virtual_lab",
    "recipe": "regrind",
    "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
    "sample_mass_mg": 1000,
    "precursor_sets": [
        {"name": "MgO + rutile", "substances": ["MgO", "TiO2-rutile"]},
    ],
    "parameters": [
        {"name": "temperature_c", "kind": "continuous", "low": 1050, "high": 1100, "step": 50},
        {"name": "dwell_h", "kind": "continuous", "low": 3, "high": 4},
    ],
    "budget": {"experiments": 2, "max_in_flight": 2},
    "planner": {"method": "sobol", "initial_experiments": 2, "batch_size": 2},
}


def test_a_loop_of_grinding_and_firing_changes_what_is_measured(
    start: Callable[..., Any],
) -> None:
    campaign = start(campaign=CAMPAIGN)
    assert campaign.end() == 0, campaign.told()

    ended = campaign.events(LoopEnded)
    assert len(ended) == 2
    assert len(campaign.events(LoopRepeated)) == sum(item.round for item in ended) > 0
    assert len(campaign.events(WaitBegun)) == sum(item.round + 1 for item in ended)

    works = {item.attempt_id: item.works for item in campaign.events(AttemptIntended)}
    fractions: dict[str, list[float]] = {}
    temperatures: dict[str, list[float]] = {}
    ground: dict[str, list[float]] = {}
    weighed: dict[str, int] = {}
    for item in campaign.events(AttemptEnded):
        for work in works[item.attempt_id]:
            outcome = item.outcome
            if work.step_id == "analyse":
                fractions.setdefault(work.experiment_id, []).append(outcome.target_fraction)
            elif work.step_id == "fire":
                temperatures.setdefault(work.experiment_id, []).append(outcome.max_measured_c)
            elif work.step_id == "grind":
                ground.setdefault(work.experiment_id, []).append(outcome.mixed_min)
            elif work.step_id == "dispense":
                weighed[work.experiment_id] = len(outcome.doses)
    for name, found in fractions.items():
        assert found[1] > found[0] + 0.05
        assert campaign.observations()[name].objective == found[-1]
        hot = temperatures[name]
        assert all(later > before + 40 for before, later in itertools.pairwise(hot))
        assert weighed[name] == 2
        assert len(ground[name]) == len(found) - 1
        assert all(minutes > 14.9 for minutes in ground[name])
