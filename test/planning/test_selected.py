"""Acquisitions by name find what they are for, know what is pending, and keep thresholds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume

from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.costs import Fidelity
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.objectives import Goal, Objective, Objectives, is_non_dominated
from matlab_ros.planning.observation import Measured, Observation, ObservationStatus, Pending
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.selection import Selection
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

MEASURED = ObservationStatus.MEASURED
BRANIN = SearchSpace((ContinuousDimension("x", -5, 10), ContinuousDimension("y", 0, 15)))
FURNACE = SearchSpace(
    (
        CategoricalDimension("powder", ("coarse", "fine")),
        ContinuousDimension("temperature_c", 700, 1200),
        ContinuousDimension("dwell_h", 1, 24, log=True),
    )
)
OPTIMISING = ("logei", "qlognei", "ucb", "thompson", "knowledge_gradient")
Outcomes = dict[str, float]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def branin(settings: Settings) -> Outcomes:
    """Logarithm of the function; three equal minima of log 0.398."""
    x, y = settings.number("x"), settings.number("y")
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    value = bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    return {"objective": math.log(value)}


def synthesis(settings: Settings) -> Outcomes:
    """Hotter and longer gives more, up to 1000 C; and takes the furnace for longer."""
    heat = settings.number("temperature_c")
    dwell = settings.number("dwell_h")
    fine = 1.0 if settings.choice("powder") == "fine" else 0.85
    done = 1 - math.exp(-dwell / 6)
    return {
        "objective": fine * done * math.exp(-(((heat - 1000) / 120) ** 2)),
        "furnace_h": dwell + heat / 100,
    }


def observed(number: int, settings: Settings, found: Outcomes) -> Observation:
    rest = {name: Measured(value) for name, value in found.items() if name != "objective"}
    return Observation(
        f"e{number:03d}", settings, MEASURED, found.get("objective", math.nan), outcomes=rest
    )


def run(plan: CampaignPlan, world: Callable[[Settings], Outcomes], count: int) -> Campaign:
    campaign = Campaign(plan)
    for number in range(count):
        settings = campaign.suggest(1)[0].settings
        campaign.report(observed(number, settings, world(settings)))
    return campaign


@pytest.mark.parametrize(
    "name",
    [pytest.param(item, marks=pytest.mark.slow) if "log" in item else item for item in OPTIMISING],
)
def test_an_acquisition_by_name_finds_branins_minimum(name: str) -> None:
    plan = CampaignPlan(BRANIN, Direction.MINIMIZE, seed=1, options=Settings({"acquisition": name}))
    best = run(plan, branin, 24).best()
    assert best is not None
    # One of a thousand random experiments is as good.
    assert math.exp(best.objective) < 0.398 + 0.3


@pytest.mark.parametrize("name", [*OPTIMISING, "uncertainty", "integrated_variance"])
def test_what_is_pending_moves_a_suggestion_away(name: str) -> None:
    plan = CampaignPlan(BRANIN, Direction.MINIMIZE, seed=3, options=Settings({"acquisition": name}))
    rng = np.random.default_rng(0)
    known = [
        observed(number, settings, branin(settings))
        for number, settings in enumerate(BRANIN.sample(12, rng))
    ]
    campaign = Campaign(plan, known)
    pending: list[Pending] = []
    while len(pending) < 3:
        more = campaign.suggest(1, pending)[0]
        pending.append(Pending(f"p{len(pending)}", more.settings))
    pending += [
        Pending(f"q{number}", item.settings)
        for number, item in enumerate(campaign.suggest(2, pending))
    ]
    points = BRANIN.features(item.settings for item in pending)
    distances = [float(np.linalg.norm(a - b)) for a, b in itertools.combinations(points, 2)]
    assert min(distances) > 0.01


def volume(campaign: Campaign) -> float:
    """That the front dominates, over no yield in 30 hours."""
    objectives = campaign.plan.selection.objectives
    assert objectives is not None
    gains = objectives.gains(campaign.observations)
    front = torch.as_tensor(gains[is_non_dominated(gains)])
    return float(Hypervolume(torch.tensor([0.0, -30.0])).compute(front))


FRONT = Selection(Objectives((Objective("target_fraction"), Objective("furnace_h", Goal.MINIMIZE))))


def at_random(plan: CampaignPlan, count: int) -> list[float]:
    volumes = []
    for seed in range(20):
        settings = FURNACE.sample(count, np.random.default_rng(seed))
        known = [observed(n, item, synthesis(item)) for n, item in enumerate(settings)]
        volumes.append(volume(Campaign(plan, known)))
    return volumes


def test_a_pareto_front_grows_quicker_than_at_random() -> None:
    found = run(CampaignPlan(FURNACE, selection=FRONT, seed=5), synthesis, 11)
    assert volume(found) > np.median(at_random(found.plan, 16))
    last = found.suggest(1)[0]
    assert last.method == "qLogNEHVI"
    assert "for each of target_fraction, furnace_h" in last.provenance.model


@pytest.mark.slow
def test_a_pareto_front_takes_a_third_of_the_experiments_of_random_choice() -> None:
    found = run(CampaignPlan(FURNACE, selection=FRONT, seed=5), synthesis, 20)
    assert volume(found) > np.median(at_random(found.plan, 60))


LIMITED = Objectives(
    (Objective("target_fraction"), Objective("furnace_h", Goal.AT_MOST, threshold=16))
)


@pytest.mark.parametrize(
    "name",
    [item if "log" in item else pytest.param(item, marks=pytest.mark.slow) for item in OPTIMISING],
)
def test_a_threshold_is_rarely_missed_once_it_is_known(name: str) -> None:
    plan = CampaignPlan(
        FURNACE,
        selection=Selection(LIMITED),
        options=Settings({"acquisition": name}),
        seed=2,
    )
    campaign = run(plan, synthesis, 12)
    chosen = campaign.observations[6:]
    missed = sum(not LIMITED.is_success(item) for item in chosen)
    # At random 44 % of the space misses it; without the limit the best is far beyond it.
    assert missed <= 2
    best = campaign.best()
    assert best is not None
    assert best.outcomes["furnace_h"].value <= 16
    assert best.objective > 0.45


def test_a_target_is_hit() -> None:
    objectives = Objectives((Objective("furnace_h", Goal.TARGET, target=20),))
    campaign = run(CampaignPlan(FURNACE, selection=Selection(objectives), seed=4), synthesis, 12)
    best = campaign.best()
    assert best is not None
    assert abs(best.outcomes["furnace_h"].value - 20) < 0.3


@pytest.mark.slow
def test_desirability_finds_a_compromise() -> None:
    objectives = Objectives(
        (
            Objective("target_fraction", worst=0, best=1, weight=2),
            Objective("furnace_h", Goal.MINIMIZE, worst=30, best=8),
        ),
        "desirability",
    )
    campaign = run(CampaignPlan(FURNACE, selection=Selection(objectives), seed=4), synthesis, 16)
    best = campaign.best()
    assert best is not None
    some = FURNACE.sample(200, np.random.default_rng(0))
    at_random = [objectives.merit(observed(0, item, synthesis(item))) for item in some]
    assert objectives.merit(best) > np.quantile(at_random, 0.98)


def test_outcomes_that_only_some_experiments_have_are_learned_from() -> None:
    plan = CampaignPlan(FURNACE, selection=FRONT, seed=5, initial_experiments=4)
    campaign = Campaign(plan)
    for number, settings in enumerate(FURNACE.sample(8, np.random.default_rng(1))):
        found = synthesis(settings)
        if number % 2:
            del found["furnace_h"]
        campaign.report(observed(number, settings, found))
    assert campaign.suggest(1)[0].method == "qLogNEHVI"


def test_short_scans_are_made_where_they_are_cheap() -> None:
    space = SearchSpace(
        (ContinuousDimension("x", 0, 1), ContinuousDimension("scan_min", 2, 8, step=6))
    )

    def world(settings: Settings) -> Outcomes:
        x, scan = settings.number("x"), settings.number("scan_min")
        return {"objective": math.sin(9 * x) * x + 0.05 * (8 - scan) / 6 * math.cos(20 * x)}

    def short(cost_of_long: float) -> int:
        fidelity = Fidelity("scan_min", 8.0, ((2.0, 1.0), (8.0, cost_of_long)))
        selection = Selection(fidelity=fidelity)
        plan = CampaignPlan(space, selection=selection, seed=1, initial_experiments=4)
        campaign = run(plan, world, 9)
        best, last = campaign.best(), campaign.suggest(1)[0]
        assert best is not None
        assert best.settings.number("scan_min") == 8.0
        assert last.method == "KG"
        assert "fidelity scan_min" in last.provenance.model
        return sum(item.settings.number("scan_min") == 2.0 for item in campaign.observations)

    assert short(20.0) > short(1.0)


@pytest.mark.parametrize("name", [*OPTIMISING, "uncertainty", "integrated_variance"])
def test_suggestions_repeat_themselves_whatever_the_order_of_reports(name: str) -> None:
    plan = CampaignPlan(FURNACE, seed=3, options=Settings({"acquisition": name}))
    known = [
        observed(number, settings, synthesis(settings))
        for number, settings in enumerate(FURNACE.sample(9, np.random.default_rng(2)))
    ]
    one = Campaign(plan, known).suggest(1)[0]
    other = Campaign(plan, reversed(known)).suggest(1)[0]
    assert one == other


def test_what_fails_is_avoided_by_whatever_is_selected() -> None:
    line = SearchSpace((ContinuousDimension("x", 0, 1),))
    plan = CampaignPlan(
        line, seed=1, initial_experiments=1, options=Settings({"acquisition": "ucb"})
    )
    rising = [
        Observation(f"e{n}", Settings({"x": x}), MEASURED, x)
        for n, x in enumerate((0.05, 0.2, 0.35, 0.5))
    ]
    failing = [
        Observation(f"f{n}", Settings({"x": x}), ObservationStatus.INFEASIBLE)
        for n, x in enumerate((0.7, 0.8, 0.9, 1.0))
    ]
    assert Campaign(plan, rising).suggest(1)[0].settings.number("x") > 0.6
    assert Campaign(plan, rising + failing).suggest(1)[0].settings.number("x") < 0.65
