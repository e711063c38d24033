"""Explanations: what matters, where the model is sure, and how often it was right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.planning import explain
from matlab_ros.planning.campaign import CampaignPlan
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.mixture import Mixture
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

MEASURED = ObservationStatus.MEASURED
SPACE = SearchSpace(
    (
        ContinuousDimension("heat", 600, 1000),
        ContinuousDimension("nothing", 0, 1),
        CategoricalDimension("powder", ("a", "b")),
    )
)


def objective(item: Settings) -> float:
    return math.exp(-(((item.number("heat") - 850) / 120) ** 2)) + 0.2 * (
        item.choice("powder") == "a"
    )


def observations(count: int = 24) -> list[Observation]:
    found = SPACE.sample(count, np.random.default_rng(3))
    return [
        Observation(f"e{n:03d}", item, MEASURED, objective(item), 0.01)
        for n, item in enumerate(found)
    ]


@pytest.fixture(scope="module")
def beliefs() -> explain.Beliefs:
    found = explain.beliefs_of(CampaignPlan(SPACE, seed=1), observations())
    assert found is not None
    return found


def test_before_there_is_anything_to_learn_from_there_is_no_model() -> None:
    plan = CampaignPlan(SPACE)
    failed = [
        Observation(item.experiment_id, item.settings, ObservationStatus.INFEASIBLE)
        for item in observations()
    ]
    assert explain.beliefs_of(plan, []) is None
    assert explain.beliefs_of(plan, [*failed, *observations(26)[24:]]) is None


def test_what_matters_is_ranked_by_how_much(beliefs: explain.Beliefs) -> None:
    found = explain.importance(beliefs)
    assert [item.name for item in found] == ["heat", "powder", "nothing"]
    heat, powder, nothing = found
    assert heat.total > 0.6
    assert 0.02 < powder.total < 0.4
    assert nothing.total < 0.05
    assert all(0 <= item.alone <= item.total <= 1 for item in found)


def test_slices_go_through_the_best_experiment(beliefs: explain.Beliefs) -> None:
    heat, nothing, powder = explain.slices(beliefs, points=21)
    assert (heat.name, nothing.name, powder.name) == ("heat", "nothing", "powder")
    assert len(heat.values) == 21
    assert heat.values[0] == 600
    assert heat.values[-1] == 1000
    top = max(range(21), key=lambda n: heat.intervals[n].mean)
    assert 800 <= float(heat.values[top]) <= 900
    assert powder.values == ("a", "b")
    assert powder.intervals[0].mean > powder.intervals[1].mean
    spread = [item.mean for item in nothing.intervals]
    assert max(spread) - min(spread) < 0.1
    assert all(item.low < item.mean < item.high for item in heat.intervals)


def test_uncertainty_grows_away_from_what_was_measured(beliefs: explain.Beliefs) -> None:
    known = beliefs.observations[0].settings
    far = Settings({"heat": 600.0, "nothing": 1.0, "powder": "b"})
    at_known, at_far = beliefs.at([known, far])
    assert at_known.sigma < at_far.sigma


def test_a_slice_through_a_mixture_keeps_the_whole_whole() -> None:
    names = ("x", "y", "z")
    space = SearchSpace(
        tuple(ContinuousDimension(name, 0, 1) for name in names), mixtures=(Mixture(names),)
    )
    rng = np.random.default_rng(1)
    known = [
        Observation(f"e{n}", item, MEASURED, item.number("x"))
        for n, item in enumerate(space.sample(8, rng))
    ]
    beliefs = explain.beliefs_of(CampaignPlan(space), known)
    assert beliefs is not None
    for item in explain.slices(beliefs, points=5):
        assert item.allowed == (True,) * 5
        assert len(item.intervals) == 5
    assert explain.importance(beliefs)[0].name == "x"


def test_a_parameter_that_only_some_choices_have_has_a_slice_only_there() -> None:
    space = SearchSpace(
        (
            CategoricalDimension("gas", ("air", "oxygen")),
            ContinuousDimension("pressure", 1, 10, when="$gas == 'oxygen'"),
            ContinuousDimension("heat", 600, 900),
        )
    )
    rng = np.random.default_rng(1)
    known = [
        Observation(f"e{n}", item, MEASURED, item.number("heat"))
        for n, item in enumerate(space.sample(10, rng))
    ]
    beliefs = explain.beliefs_of(CampaignPlan(space), known)
    assert beliefs is not None
    air = explain.slices(beliefs, {"gas": "air", "heat": 700.0}, points=3)
    assert [item.name for item in air] == ["gas", "heat"]
    assert air[0].allowed == (True, True)
    oxygen = explain.slices(beliefs, {"gas": "oxygen", "heat": 700.0, "pressure": 2.0}, points=3)
    assert [item.name for item in oxygen] == ["gas", "pressure", "heat"]


def test_the_nearest_recipes_come_first_and_failures_count_too() -> None:
    known = [
        Observation("far", Settings({"heat": 990.0, "nothing": 0.5, "powder": "a"}), MEASURED, 0.1),
        Observation(
            "near",
            Settings({"heat": 710.0, "nothing": 0.5, "powder": "a"}),
            ObservationStatus.INFEASIBLE,
        ),
        Observation("other", Settings({"heat": 700.0, "nothing": 0.5, "powder": "b"}), MEASURED, 1),
    ]
    here = {"heat": 700.0, "nothing": 0.5, "powder": "a"}
    found = explain.neighbours(SPACE, here, known, 2)
    assert [item.experiment_id for item in found] == ["near", "far"]
    assert found[0].distance == pytest.approx(0.025)
    assert found[0].status is ObservationStatus.INFEASIBLE
    assert explain.neighbours(SPACE, here, []) == ()


def test_the_same_data_give_the_same_explanation(beliefs: explain.Beliefs) -> None:
    again = explain.beliefs_of(CampaignPlan(SPACE, seed=1), reversed(observations()))
    assert again is not None
    assert explain.importance(again) == explain.importance(beliefs)
    assert explain.slices(again, points=5) == explain.slices(beliefs, points=5)


def test_minimising_explains_the_best_that_is_small() -> None:
    plan = CampaignPlan(SPACE, Direction.MINIMIZE)
    beliefs = explain.beliefs_of(plan, observations())
    assert beliefs is not None
    low = min(observations(), key=lambda item: item.objective)
    powder = explain.slices(beliefs, points=3)[2]
    at_low = beliefs.at([low.settings])[0]
    through = powder.intervals[powder.values.index(low.settings["powder"])]
    assert (through.mean, through.sigma) == pytest.approx((at_low.mean, at_low.sigma))


@given(st.integers(0, 5000))
def test_calibration_counts_what_was_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sigma, noise = rng.uniform(0.1, 2.0, 2)
    true = rng.normal(3.0, sigma, 40)
    pairs = [
        explain.Forecast(f"e{n}", explain.Interval(3.0, sigma), float(rng.normal(y, noise)), noise)
        for n, y in enumerate(true)
    ]
    found = explain.calibration(pairs)
    limit = 1.959964 * math.hypot(sigma, noise)
    assert found.count == 40
    assert found.inside == sum(abs(item.measured - 3.0) <= limit for item in pairs)
    low, high = found.share_range
    assert 0 <= low <= found.share <= high <= 1
    assert 0.4 < found.rms_z < 1.7


def test_too_small_uncertainties_are_seen() -> None:
    pairs = [
        explain.Forecast(f"e{n}", explain.Interval(0.0, 0.1), 1.0 if n % 2 else 0.0)
        for n in range(20)
    ]
    found = explain.calibration(pairs)
    assert (found.inside, found.share) == (10, 0.5)
    assert not found.is_consistent
    assert found.rms_z > 5


def test_without_forecasts_calibration_says_so() -> None:
    found = explain.calibration([])
    assert found.count == 0
    assert math.isnan(found.share)
    assert math.isnan(found.rms_z)
    assert found.is_consistent


def test_only_what_was_expected_and_measured_counts() -> None:
    expected = {"e000": explain.Interval(0.5, 0.1), "gone": explain.Interval(0.5, 0.1)}
    found = explain.forecasts(expected, observations(3))
    assert [item.experiment_id for item in found] == ["e000"]
