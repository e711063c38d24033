"""Methods without a model: the same laws as for all, and each does what its name says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.planning.baselines_simplex import NelderMeadProposer
from matlab_ros.planning.baselines_walk import METROPOLIS, walk
from matlab_ros.planning.campaign import Campaign, CampaignPlan, Method
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    Dimension,
    IntegerDimension,
)
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.proposer import Direction, Request
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace
from matlab_ros.planning.tried import Tried

MEASURED = ObservationStatus.MEASURED
SAMPLERS = [Method.RANDOM, Method.SOBOL, Method.GRID]
SEARCHES = [Method.NELDER_MEAD, Method.ANNEALING, Method.MCMC, Method.GENETIC]

SQUARE = SearchSpace((ContinuousDimension("x", 0, 1), ContinuousDimension("y", -1, 1)))


def bowl(item: Settings) -> float:
    """A smooth maximum of 0 at (0.7, 0.2)."""
    return -((item.number("x") - 0.7) ** 2) - (item.number("y") - 0.2) ** 2 / 4


def run(
    method: Method,
    objective: Callable[[Settings], float],
    count: int,
    *,
    space: SearchSpace = SQUARE,
    seed: int = 0,
    direction: Direction = Direction.MAXIMIZE,
) -> Campaign:
    """A campaign one experiment at a time."""
    campaign = Campaign(CampaignPlan(space, direction, method, seed=seed))
    for number in range(count):
        item = campaign.suggest(1)[0].settings
        campaign.report(Observation(f"e{number:03d}", item, MEASURED, objective(item)))
    return campaign


def best_of(campaign: Campaign) -> float:
    best = campaign.best()
    assert best is not None
    return best.objective


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces of one to four parameters of every kind."""
    kinds: list[Dimension] = [
        ContinuousDimension("a", 0.5, 80, log=True),
        ContinuousDimension("b", -3, 7),
        ContinuousDimension("c", 600, 900, step=100),
        IntegerDimension("d", 1, 5),
        CategoricalDimension("e", ("x", "y", "z")),
    ]
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4, unique=True))
    return SearchSpace(tuple(chosen))


@pytest.mark.parametrize("method", [*SAMPLERS, *SEARCHES])
@settings(max_examples=4, deadline=None)
@given(space=spaces(), seed=st.integers(0, 99))
def test_any_number_in_flight_any_results_and_nothing_is_asked_twice(
    method: Method, space: SearchSpace, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    plan = CampaignPlan(space, method=method, seed=seed, initial_experiments=3)
    campaign = Campaign(plan)
    waiting: list[Pending] = []
    asked = set()
    for number in itertools.count():
        wanted = int(rng.integers(1, 4))
        batch = campaign.suggest(wanted, waiting)
        for item in batch:
            space.check(item.settings)
            key = space.key(item.settings)
            assert key not in asked
            asked.add(key)
            waiting.append(Pending(f"e{len(asked):03d}", item.settings))
        if len(batch) < wanted:
            # Only when everything has been asked for.
            assert space.size is not None
            assert len(asked) == space.size
            break
        if number == 8:
            break
        rng.shuffle(waiting)
        for item in waiting[: int(rng.integers(0, len(waiting) + 1))]:
            waiting.remove(item)
            status = list(ObservationStatus)[int(rng.integers(3))]
            value = float(rng.choice([0.1, 0.7, math.nan, math.inf, 3.0]))
            campaign.report(Observation(item.experiment_id, item.settings, status, value))
        # A planner that starts again from the reports suggests the same.
        again = Campaign(plan, reversed(campaign.observations))
        assert [item.settings for item in again.suggest(2, waiting)] == [
            item.settings for item in campaign.suggest(2, waiting)
        ]


@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_comes_nearer_than_chance(method: Method) -> None:
    chance = [best_of(run(Method.RANDOM, bowl, 40, seed=seed)) for seed in range(8)]
    found = [best_of(run(method, bowl, 40, seed=seed)) for seed in range(4)]
    assert np.median(found) > np.median(chance)


@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_that_minimises_is_the_same_search(method: Method) -> None:
    up = run(method, bowl, 15)
    down = run(method, lambda item: -bowl(item), 15, direction=Direction.MINIMIZE)
    assert [item.settings for item in up.observations] == [
        item.settings for item in down.observations
    ]


def test_the_simplex_closes_in_on_a_smooth_optimum() -> None:
    assert best_of(run(Method.NELDER_MEAD, bowl, 50)) > -1e-4


def test_the_simplex_starts_elsewhere_once_it_has_closed_in() -> None:
    campaign = run(Method.NELDER_MEAD, bowl, 90)
    far = [item for item in campaign.observations[60:] if bowl(item.settings) < -0.05]
    assert far
    assert best_of(campaign) > -1e-4


def test_the_simplex_works_ahead_on_what_it_may_want_next() -> None:
    """With experiments in flight, no result is wasted on another simplex."""
    corners = run(Method.NELDER_MEAD, bowl, 3)
    plan = corners.plan
    alone = corners.suggest(1)[0].settings
    ahead = [item.settings for item in corners.suggest(4)]
    assert ahead[0] == alone
    # Whichever way the reflection turns out, the next point is one that was worked on ahead.
    for value in (9.0, -9.0):
        waiting = [Pending(f"w{n}", item) for n, item in enumerate(ahead[1:])]
        campaign = Campaign(plan, corners.observations)
        campaign.report(Observation("e003", ahead[0], MEASURED, value))
        assert campaign.suggest(1)[0].settings in ahead[1:]
        assert campaign.suggest(1, waiting)[0].settings not in ahead


def test_the_simplex_finds_its_points_again_where_the_furnace_was_a_little_off() -> None:
    """Told what was measured and not what was asked, it neither stops nor repeats itself."""
    campaign = Campaign(CampaignPlan(SQUARE, method=Method.NELDER_MEAD))
    for number in range(30):
        item = campaign.suggest(1)[0].settings
        off = Settings({"x": item.number("x") + 0.003, "y": item.number("y") - 0.004})
        campaign.report(Observation(f"e{number:03d}", off, MEASURED, bowl(item)))
    assert best_of(campaign) > -5e-3


def test_a_walk_stays_where_it_is_good_and_longer_the_better_it_is() -> None:
    """Metropolis: two places whose values differ by d are visited as exp(d / temperature)."""
    rng = np.random.default_rng(5)
    values = rng.choice([0.0, 1.0], size=4000)
    known = [Tried(f"e{n:04d}", Settings({"x": 0.0}), float(v)) for n, v in enumerate(values)]
    spread = float(np.std(values))
    stays = [0, 0]
    place = known[0]
    for number, item in enumerate(known):
        place = walk([place, item], METROPOLIS, number) or place
        stays[int(place.value)] += 1
    # Of two values alone the standard deviation is half their distance, as it is of all.
    assert spread == pytest.approx(0.5, abs=0.01)
    expected = math.exp(-1 / (0.5 * METROPOLIS.temperature))
    assert stays[0] / stays[1] == pytest.approx(expected, rel=0.8)


def test_a_failed_start_leads_a_walk_to_what_works() -> None:
    for method in SEARCHES:
        campaign = Campaign(CampaignPlan(SQUARE, method=method, initial_experiments=3))
        for number in range(30):
            item = campaign.suggest(1)[0].settings
            works = item.number("x") > 0.4
            status = MEASURED if works else ObservationStatus.INFEASIBLE
            value = bowl(item) if works else math.nan
            campaign.report(Observation(f"e{number:03d}", item, status, value))
        later = campaign.observations[15:]
        assert sum(item.has_value for item in later) > 0.6 * len(later), method


def test_a_grid_goes_from_coarse_to_fine() -> None:
    campaign = Campaign(CampaignPlan(SQUARE, method=Method.GRID))
    first = [item.settings for item in campaign.suggest(25)]
    coarse = {(item.number("x"), item.number("y")) for item in first[:9]}
    assert coarse == set(itertools.product((0.0, 0.5, 1.0), (-1.0, 0.0, 1.0)))
    fine = {(item.number("x"), item.number("y")) for item in first}
    assert fine == set(itertools.product(np.linspace(0, 1, 5), np.linspace(-1, 1, 5)))


def test_a_grid_has_all_choices_from_the_start() -> None:
    space = SearchSpace(
        (CategoricalDimension("c", tuple("abcdefg")), ContinuousDimension("x", 0, 1))
    )
    first = Campaign(CampaignPlan(space, method=Method.GRID)).suggest(21)
    assert {item.settings.choice("c") for item in first} == set("abcdefg")
    assert {item.settings.number("x") for item in first} == {0.0, 0.5, 1.0}


def test_a_grid_of_very_many_dimensions_still_answers() -> None:
    space = SearchSpace(tuple(ContinuousDimension(f"x{n}", 0, 1) for n in range(30)))
    batch = Campaign(CampaignPlan(space, method=Method.GRID)).suggest(3)
    assert len({space.key(item.settings) for item in batch}) == 3


def test_what_was_abandoned_does_not_stop_the_simplex() -> None:
    corners = run(Method.NELDER_MEAD, bowl, 3)
    point = corners.suggest(1)[0].settings
    corners.report(Observation("e003", point, ObservationStatus.ABANDONED))
    request = Request(SQUARE, Direction.MAXIMIZE, corners.observations, (), 1, 6, corners.plan.seed)
    assert NelderMeadProposer().propose(request)[0].settings != point
