"""Ask and tell: suggestions follow from the plan, the observations and what is pending."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.campaign import Campaign, CampaignPlan, Method
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    IntegerDimension,
)
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending, Suggestion
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

MEASURED = ObservationStatus.MEASURED
INFEASIBLE = ObservationStatus.INFEASIBLE
ABANDONED = ObservationStatus.ABANDONED


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SYNTHESIS = SearchSpace(
    (
        CategoricalDimension(
            "precursors",
            ("oxides", "carbonate", "mixed", "nitrate"),
            ((1, 0, 0, 1), (0, 1, 0, 1), (1, 1, 0, 0), (0, 0, 1, 1)),
        ),
        ContinuousDimension("temperature_c", 700, 1200),
        ContinuousDimension("dwell_h", 1, 24, log=True),
    )
)
TABLE = SearchSpace(
    (
        CategoricalDimension("precursors", ("a", "b", "c")),
        ContinuousDimension("temperature_c", 600, 900, step=100),
    )
)


def yield_of(setting: Settings) -> float:
    """A smooth landscape with its best, 0.95, at carbonate, 1000 C, 8 h."""
    best = {"oxides": 0.6, "carbonate": 0.95, "mixed": 0.8, "nitrate": 0.3}
    heat = (setting.number("temperature_c") - 1000) / 120
    time = math.log(setting.number("dwell_h") / 8) / 1.5
    return best[setting.choice("precursors")] * math.exp(-(heat**2) - time**2)


def history(count: int, seed: int = 0) -> list[Observation]:
    """Random experiments of the synthesis space."""
    rng = np.random.default_rng(seed)
    chosen = [SYNTHESIS.from_unit(rng.random(3)) for _ in range(count)]
    return [
        Observation(f"e{number:03d}", item, MEASURED, yield_of(item), 0.02)
        for number, item in enumerate(chosen)
    ]


def known(suggestions: list[Suggestion]) -> list[tuple[Settings, float, str]]:
    """What must repeat itself of suggestions."""
    return [(item.settings, item.predicted_mean, item.method) for item in suggestions]


def pending_of(suggestions: list[Suggestion], prefix: str = "p") -> list[Pending]:
    """Suggestions as experiments under way."""
    return [Pending(f"{prefix}{n}", item.settings) for n, item in enumerate(suggestions)]


@settings(max_examples=3, deadline=None)
@given(st.permutations(range(9)))
def test_the_order_of_reports_does_not_matter(order: list[int]) -> None:
    observations = history(9)
    plan = CampaignPlan(SYNTHESIS, seed=3)
    straight = Campaign(plan, observations).suggest(1)
    shuffled = Campaign(plan, [observations[index] for index in order]).suggest(1)
    assert known(straight) == known(shuffled)
    assert straight[0].provenance == shuffled[0].provenance


def test_reporting_twice_changes_nothing() -> None:
    observations = history(8)
    campaign = Campaign(CampaignPlan(SYNTHESIS), observations)
    before = campaign.suggest(1)
    for observation in observations:
        campaign.report(observation)
    assert known(campaign.suggest(1)) == known(before)
    assert len(campaign.observations) == 8


def test_an_abandoned_experiment_can_be_reported_twice_though_nan_is_not_nan() -> None:
    observation = Observation("e0", SYNTHESIS.from_unit([0.5] * 3), ABANDONED)
    campaign = Campaign(CampaignPlan(SYNTHESIS), [observation, observation])
    assert len(campaign.observations) == 1


def test_a_contradicting_report_is_refused_and_changes_nothing() -> None:
    first = history(1)[0]
    campaign = Campaign(CampaignPlan(SYNTHESIS), [first])
    with pytest.raises(PlanningError, match="reported before with other values"):
        campaign.report(Observation(first.experiment_id, first.settings, MEASURED, 0.123))
    assert campaign.observations == (first,)


@pytest.mark.parametrize("method", list(Method))
def test_a_campaign_saved_and_loaded_in_the_middle_goes_on_the_same(method: Method) -> None:
    plan = CampaignPlan(SYNTHESIS, method=method, seed=5)
    campaign = Campaign(plan, history(7))
    item = SYNTHESIS.from_unit([0.2, 0.3, 0.4])
    campaign.report(Observation("f0", item, INFEASIBLE, requested=item))
    campaign.report(Observation("f1", SYNTHESIS.from_unit([0.9, 0.3, 0.4]), ABANDONED))
    campaign.report(Observation("f2", SYNTHESIS.from_unit([0.9, 0.9, 0.4]), MEASURED, math.inf))
    loaded = Campaign.from_json(plan, campaign.to_json())
    waiting = [Pending("e900", SYNTHESIS.from_unit([0.1, 0.2, 0.3]))]
    # As text, because the baselines predict NaN, which equals nothing.
    assert str(known(loaded.suggest(2, waiting))) == str(known(campaign.suggest(2, waiting)))


def test_text_that_is_no_campaign_is_refused_in_words() -> None:
    for text in ("", "[]", '{"version": 2}', '{"version": 1, "observations": [3]}'):
        with pytest.raises(PlanningError, match=r"Campaign\.to_json"):
            Campaign.from_json(CampaignPlan(SYNTHESIS), text)


@pytest.mark.parametrize("method", list(Method))
def test_pending_experiments_are_never_suggested_again(method: Method) -> None:
    campaign = Campaign(CampaignPlan(TABLE, method=method, initial_experiments=2, seed=1))
    done: list[Pending] = []
    while batch := campaign.suggest(2, done):
        done += pending_of(batch, f"p{len(done):02d}-")
        if len(done) == 4:
            first = done.pop(0)
            campaign.report(Observation(first.experiment_id, first.settings, MEASURED, 0.4))
        assert len(done) < 20
    keys = [TABLE.key(item.settings) for item in done]
    keys += [TABLE.key(item.settings) for item in campaign.observations]
    assert sorted(keys) == sorted(TABLE.key(row) for row in TABLE.table or ())


def test_a_cold_furnace_does_not_make_a_table_repeat_itself() -> None:
    campaign = Campaign(CampaignPlan(TABLE, initial_experiments=2, seed=1))
    asked = []
    for number in range(12):
        suggestion = campaign.suggest(1)[0]
        asked.append(TABLE.key(suggestion.settings))
        measured = {**suggestion.settings}
        measured["temperature_c"] = suggestion.settings.number("temperature_c") - 80
        campaign.report(
            Observation(
                f"e{number:02d}",
                Settings(measured),
                MEASURED,
                number / 12,
                requested=suggestion.settings,
            )
        )
    assert len(set(asked)) == 12
    assert campaign.suggest(1) == []


def test_suggestions_of_a_batch_differ_and_lie_inside_the_space() -> None:
    batch = Campaign(CampaignPlan(SYNTHESIS, seed=2), history(20)).suggest(3)
    assert len({item.settings for item in batch}) == 3
    for item in batch:
        SYNTHESIS.check(item.settings)
        assert item.method == "ensemble UCB"
        assert item.predicted_sigma > 0
        assert math.isfinite(item.acquisition_value)


def test_steps_and_whole_numbers_are_kept_in_spaces_too_large_for_a_table() -> None:
    space = SearchSpace(
        (
            ContinuousDimension("t", 600, 900, step=7),
            IntegerDimension("n", 1, 200),
            CategoricalDimension("c", ("a", "b")),
        )
    )
    assert space.table is None
    campaign = Campaign(CampaignPlan(space, initial_experiments=3, seed=4))
    for number in range(6):
        suggestion = campaign.suggest(1)[0].settings
        assert (suggestion.number("t") - 600) % 7 == 0
        assert suggestion.number("n") == round(suggestion.number("n"))
        value = -abs(suggestion.number("t") - 700) / 100
        campaign.report(Observation(f"e{number}", suggestion, MEASURED, value))


def test_the_model_starts_when_the_initial_experiments_are_begun() -> None:
    campaign = Campaign(CampaignPlan(SYNTHESIS, initial_experiments=4, seed=2))
    first = campaign.suggest(2)
    assert [item.method for item in first] == ["sobol", "sobol"]
    for number, item in enumerate(first):
        campaign.report(Observation(f"e{number}", item.settings, MEASURED, 0.1 * number))
    waiting = [Pending("e2", SYNTHESIS.from_unit([0.3, 0.6, 0.1]))]
    assert [item.method for item in campaign.suggest(3, waiting)] == [
        "sobol",
        "ensemble UCB",
        "ensemble UCB",
    ]


def test_without_any_result_any_number_may_be_asked_for() -> None:
    campaign = Campaign(CampaignPlan(SYNTHESIS, initial_experiments=2, seed=2))
    waiting: list[Pending] = []
    for number in range(6):
        item = campaign.suggest(1, waiting)[0]
        assert item.method == "sobol"
        assert math.isnan(item.predicted_mean)
        waiting.append(Pending(f"e{number}", item.settings))
    assert len({item.settings for item in waiting}) == 6


@pytest.mark.parametrize("values", [[0.4], [0.4] * 8, [0.0] * 8, [1e-300, 2e-300], [1e12, -1e12]])
def test_one_or_equal_or_extreme_values_still_give_a_suggestion(values: list[float]) -> None:
    observations = [
        Observation(item.experiment_id, item.settings, MEASURED, value)
        for item, value in zip(history(8), values, strict=False)
    ]
    plan = CampaignPlan(SYNTHESIS, initial_experiments=1, seed=1)
    suggestion = Campaign(plan, observations).suggest(1)[0]
    SYNTHESIS.check(suggestion.settings)
    assert suggestion.method == "ensemble UCB"
    assert math.isfinite(suggestion.predicted_mean)


def test_duplicated_recipes_still_give_a_suggestion() -> None:
    same = history(1)[0]
    copies = [Observation(f"e{n}", same.settings, MEASURED, 0.3 + 0.01 * n) for n in range(8)]
    suggestion = Campaign(CampaignPlan(SYNTHESIS, seed=1), copies).suggest(1)[0]
    assert suggestion.method == "ensemble UCB"
    assert suggestion.settings != same.settings


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_kept_but_not_learned_from(value: float) -> None:
    observations = history(8)
    odd = Observation("odd", SYNTHESIS.from_unit([0.4, 0.5, 0.6]), MEASURED, value)
    campaign = Campaign(CampaignPlan(SYNTHESIS, seed=1), [*observations, odd])
    suggestion = campaign.suggest(1)[0]
    assert math.isfinite(suggestion.predicted_mean)
    best = campaign.best()
    assert best is not None
    assert math.isfinite(best.objective)


def test_an_all_failed_start_goes_on_exploring() -> None:
    campaign = Campaign(CampaignPlan(SYNTHESIS, initial_experiments=3, seed=1))
    for number in range(6):
        item = campaign.suggest(1)[0]
        campaign.report(Observation(f"e{number}", item.settings, INFEASIBLE))
    assert campaign.suggest(1)[0].method == "sobol"
    assert campaign.best() is None


def test_what_fails_is_avoided() -> None:
    line = SearchSpace((ContinuousDimension("x", 0, 1),))
    plan = CampaignPlan(line, initial_experiments=1, seed=1)
    rising = [
        Observation(f"e{n}", Settings({"x": x}), MEASURED, x)
        for n, x in enumerate((0.05, 0.2, 0.35, 0.5))
    ]
    failing = [
        Observation(f"f{n}", Settings({"x": x}), INFEASIBLE)
        for n, x in enumerate((0.7, 0.8, 0.9, 1.0))
    ]
    assert Campaign(plan, rising).suggest(1)[0].settings.number("x") > 0.6
    assert Campaign(plan, rising + failing).suggest(1)[0].settings.number("x") < 0.6


def test_minimising_looks_for_small_values() -> None:
    line = SearchSpace((ContinuousDimension("x", 0, 1),))
    values = [(x, (x - 0.3) ** 2) for x in (0.0, 0.15, 0.5, 0.7, 0.85, 1.0)]
    observations = [
        Observation(f"e{n}", Settings({"x": x}), MEASURED, y) for n, (x, y) in enumerate(values)
    ]
    plan = CampaignPlan(line, Direction.MINIMIZE, initial_experiments=1)
    campaign = Campaign(plan, observations)
    suggestion = campaign.suggest(1)[0]
    assert 0.15 < suggestion.settings.number("x") < 0.5
    assert suggestion.predicted_mean < 0.04
    best = campaign.best()
    assert best is not None
    assert best.objective == min(y for _, y in values)


def test_a_value_known_badly_is_believed_less() -> None:
    line = SearchSpace((ContinuousDimension("x", 0, 1),))

    def predicted(sigma: float) -> float:
        values = [(x, 0.2) for x in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
        observations = [
            Observation(f"e{n}", Settings({"x": x}), MEASURED, y, 0.01)
            for n, (x, y) in enumerate(values)
        ]
        observations.append(Observation("odd", Settings({"x": 0.5}), MEASURED, 0.9, sigma))
        from matlab_ros.planning.models import fit_surrogate

        surrogate = fit_surrogate(
            line,
            line.features(item.settings for item in observations),
            np.array([item.objective for item in observations]),
            np.array([item.sigma for item in observations]),
            1.0,
            0,
        )
        return float(surrogate.predict(np.array([[0.5]]))[0][0])

    assert predicted(0.5) < predicted(0.01) - 0.2


def test_simulated_and_real_data_do_not_mix() -> None:
    first, second = history(2)
    campaign = Campaign(CampaignPlan(SYNTHESIS), [first])
    with pytest.raises(PlanningError, match="simulated while the campaign's data are real"):
        campaign.report(
            Observation("x", second.settings, MEASURED, 0.4, simulated=True),
        )


def test_the_seed_decides_and_nothing_else() -> None:
    observations = history(10)
    torch.manual_seed(11)
    one = Campaign(CampaignPlan(SYNTHESIS, seed=1), observations).suggest(2)
    torch.manual_seed(12)
    before = torch.random.get_rng_state()
    same = Campaign(CampaignPlan(SYNTHESIS, seed=1), observations).suggest(2)
    assert torch.equal(before, torch.random.get_rng_state())
    other = Campaign(CampaignPlan(SYNTHESIS, seed=2)).suggest(2)
    assert known(one) == known(same)
    assert [item.settings for item in other] != [
        item.settings for item in Campaign(CampaignPlan(SYNTHESIS, seed=1)).suggest(2)
    ]


def test_a_suggestion_says_what_it_rests_on() -> None:
    campaign = Campaign(CampaignPlan(SYNTHESIS, seed=1), history(7))
    first = campaign.suggest(1)[0].provenance
    assert first.observations == 7
    assert "Gaussian process" in first.model
    assert "botorch" in first.software
    campaign.report(Observation("e900", SYNTHESIS.from_unit([0.5] * 3), MEASURED, 0.1))
    assert campaign.suggest(1)[0].provenance.data_sha256 != first.data_sha256


def test_bad_questions_get_a_sentence() -> None:
    campaign = Campaign(CampaignPlan(SYNTHESIS))
    with pytest.raises(PlanningError, match="at least 1"):
        campaign.suggest(0)
    item = SYNTHESIS.from_unit([0.5] * 3)
    with pytest.raises(PlanningError, match="pending twice"):
        campaign.suggest(1, [Pending("a", item), Pending("a", item)])
    with pytest.raises(PlanningError, match="'dwell_h' is missing"):
        campaign.suggest(1, [Pending("a", Settings({"precursors": "mixed", "temperature_c": 1}))])


def test_the_model_finds_what_random_choice_does_not() -> None:
    def best_of(method: Method, seed: int) -> float:
        campaign = Campaign(CampaignPlan(SYNTHESIS, method=method, seed=seed))
        rng = np.random.default_rng(seed)
        for number in range(14):
            item = campaign.suggest(1)[0].settings
            value = yield_of(item) + 0.01 * rng.standard_normal()
            campaign.report(Observation(f"e{number:02d}", item, MEASURED, value, 0.01))
        best = campaign.best()
        assert best is not None
        return yield_of(best.settings)

    model = [best_of(Method.BAYESIAN, seed) for seed in (1, 2)]
    chance = [best_of(Method.RANDOM, seed) for seed in range(20)]
    assert min(model) > 0.85
    assert min(model) > np.quantile(chance, 0.85)
