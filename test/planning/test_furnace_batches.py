"""Furnace batches: samples of a run share what the furnace decides, and a run has its price."""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import numpy as np
import pytest
import torch

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.campaign import Campaign, CampaignPlan, Method
from matlab_ros.planning.constraints import Constraint
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.furnace_rules import FurnaceRules, open_runs
from matlab_ros.planning.mixture import Mixture
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending, Suggestion
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

POWDERS = ("li", "mn", "fe")
SHARED = ("temperature_c", "dwell_h", "atmosphere")
SPACE = SearchSpace(
    (
        *(ContinuousDimension(name, 0.0, 1.0) for name in POWDERS),
        ContinuousDimension("temperature_c", 600, 1200),
        ContinuousDimension("dwell_h", 0.5, 24, log=True),
        CategoricalDimension("atmosphere", ("air", "argon")),
    ),
    (Constraint("$temperature_c * $dwell_h <= 15000"),),
    (Mixture(POWDERS),),
)
TABLE = SearchSpace(
    (
        CategoricalDimension("precursors", ("a", "b", "c")),
        ContinuousDimension("temperature_c", 600, 900, step=100),
    )
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def value(item: Settings) -> float:
    """Best at 0.5, 0.3, 0.2 and 950 C in air."""
    away = [item.number(x) - best for x, best in zip(POWDERS, (0.5, 0.3, 0.2), strict=True)]
    heat = (item.number("temperature_c") - 950) / 150
    share = math.exp(-6 * sum(x * x for x in away) - heat * heat)
    return share * (1.0 if item.choice("atmosphere") == "air" else 0.7)


def campaign(rules: FurnaceRules | None, method: str = "bayesian", count: int = 12) -> Campaign:
    """With random experiments already done."""
    plan = CampaignPlan(SPACE, method=method, initial_experiments=6, seed=2, furnace=rules)
    done = [
        Observation(f"e{n:03d}", item, ObservationStatus.MEASURED, value(item), 0.01)
        for n, item in enumerate(SPACE.sample(count, np.random.default_rng(5)))
    ]
    return Campaign(plan, done)


def runs_of(suggestions: list[Suggestion], shared: tuple[str, ...] = SHARED) -> list[int]:
    """Sizes of the groups that would be fired together: exactly equal, as the lab compares."""
    groups: dict[tuple[object, ...], int] = {}
    for item in suggestions:
        name = tuple(item.settings[x] for x in shared)
        groups[name] = groups.get(name, 0) + 1
    return sorted(groups.values())


@lru_cache
def four(method: str = "bayesian", run_price: float = 4.0) -> list[Suggestion]:
    """Asked for together."""
    return campaign(FurnaceRules(SHARED, 4, run_price), method).suggest(4)


@pytest.mark.parametrize("method", ["bayesian", "sobol", "random"])
def test_what_is_asked_for_together_shares_one_run(method: str) -> None:
    asked = four(method)
    assert runs_of(asked) == [4]
    assert len({item.settings for item in asked}) == 4
    for item in asked:
        SPACE.check(item.settings)


def test_no_run_holds_more_than_its_slots() -> None:
    assert max(runs_of(campaign(FurnaceRules(SHARED, 2), count=8).suggest(3))) <= 2


def test_a_furnace_that_costs_nothing_is_not_shared_for_its_own_sake() -> None:
    assert len(runs_of(four(run_price=0.0))) >= len(runs_of(four(run_price=4.0)))


def test_a_run_that_waits_with_free_slots_is_joined_when_runs_are_dear() -> None:
    waiting = Pending(
        "e900",
        Settings(
            {
                "li": 0.2,
                "mn": 0.3,
                "fe": 0.5,
                "temperature_c": 941.123456789,
                "dwell_h": 4.7,
                "atmosphere": "air",
            }
        ),
        unfired=True,
    )
    rules = FurnaceRules(SHARED, 4, run_price=1e4)
    joined = campaign(rules).suggest(3, [waiting])
    for item in joined:
        assert {x: item.settings[x] for x in SHARED} == {x: waiting.settings[x] for x in SHARED}
    assert len({item.settings for item in joined}) == 3
    # One that is being fired cannot be joined, whatever that would save.
    fired = dataclasses.replace(waiting, unfired=False)
    for item in campaign(rules).suggest(3, [fired]):
        assert item.settings["temperature_c"] != waiting.settings["temperature_c"]


def test_a_bad_run_is_not_joined_only_because_it_waits() -> None:
    cold = Settings(
        {
            "li": 0.2,
            "mn": 0.3,
            "fe": 0.5,
            "temperature_c": 600.0,
            "dwell_h": 0.5,
            "atmosphere": "argon",
        }
    )
    asked = campaign(FurnaceRules(SHARED, 4, run_price=1.0), count=30).suggest(
        2, [Pending("e900", cold, unfired=True)]
    )
    assert all(item.settings["temperature_c"] != 600.0 for item in asked)


def test_free_slots_are_those_that_the_waiting_leave() -> None:
    rules = FurnaceRules(("temperature_c",), 4)
    rows = (TABLE.table or ())[:1]
    five = [Pending(f"e{n}", rows[0], unfired=True) for n in range(5)]
    assert [run.free for run in open_runs(TABLE, rules, five)] == [3]
    assert open_runs(TABLE, rules, five[:4]) == ()
    assert open_runs(TABLE, rules, [Pending("e9", rows[0])]) == ()


@pytest.mark.parametrize("method", ["bayesian", "random"])
def test_a_table_is_used_up_in_runs_without_repeating(method: str) -> None:
    rules = FurnaceRules(("temperature_c",), 3)
    plan = CampaignPlan(TABLE, method=method, initial_experiments=3, seed=1, furnace=rules)
    tried = Campaign(plan)
    seen: list[Settings] = []
    while batch := tried.suggest(3):
        for item in batch:
            seen.append(item.settings)
            tried.report(
                Observation(
                    f"e{len(seen):02d}",
                    item.settings,
                    ObservationStatus.MEASURED,
                    item.settings.number("temperature_c") / 1000,
                )
            )
        assert len(seen) <= 12
    assert len(set(seen)) == len(seen) == 12


def test_the_same_request_gives_the_same_runs() -> None:
    again = campaign(FurnaceRules(SHARED, 4)).suggest(4)
    assert [item.settings for item in four()] == [item.settings for item in again]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (("heat",), "unknown parameter 'heat'"),
        (("li",), "component of a mixture"),
        ((), "expected at least one"),
    ],
)
def test_rules_that_do_not_fit_are_refused_in_words(rules: tuple[str, ...], words: str) -> None:
    with pytest.raises(PlanningError, match=words):
        CampaignPlan(SPACE, method=Method.SOBOL.value, furnace=FurnaceRules(rules, 4))
