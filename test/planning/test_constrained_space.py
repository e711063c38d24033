"""Spaces with mixtures, constraints and conditions: everything drawn from them obeys everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.constraints import Constraint
from matlab_ros.planning.deadline import Deadline
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    Dimension,
    DiscreteDimension,
    IntegerDimension,
)
from matlab_ros.planning.mixture import Mixture
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.optimise import PIECE, choose
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace


@st.composite
def constrained_spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces of every kind that hold at least one setting, which the constraints are drawn around.

    A mixture of two to four, with bounds, steps and a limit of components; a number on a
    logarithmic scale; a listed one; a whole one; choices, of which a further number may depend.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dimensions: list[Dimension] = []
    mixtures: tuple[Mixture, ...] = ()
    step = draw(st.sampled_from([0.0, 0.0, 0.05]))
    if draw(st.booleans()):
        names = tuple(f"x{number}" for number in range(draw(st.integers(2, 4))))
        high = draw(st.sampled_from([1.0, 0.75]))
        dimensions += [ContinuousDimension(name, 0.0, high, step=step) for name in names]
        most = draw(st.sampled_from([None, 2, 3]))
        mixtures = (Mixture(names, 1.0, most, draw(st.sampled_from([0.0, 0.1]))),)
    if draw(st.booleans()):
        dimensions.append(CategoricalDimension("gas", ("air", "argon", "oxygen")))
        if draw(st.booleans()):
            flow = ContinuousDimension("flow", 1.0, 50.0, when="$gas != 'air'")
            dimensions.append(flow)
    if draw(st.booleans()):
        dimensions.append(DiscreteDimension("ball", (1.0, 2.0, 5.0, 10.0), log=True))
    if draw(st.booleans()):
        dimensions.append(IntegerDimension("rounds", 1, 5))
    dimensions.append(ContinuousDimension("heat", 700.0, 1200.0))
    dimensions.append(ContinuousDimension("dwell", 0.5, 24.0, log=True))
    free = SearchSpace(tuple(dimensions), (), mixtures)
    inside = free.sample(1, rng)[0]
    constraints = []
    numbers = [item.name for item in free.numeric if item.name in inside]
    for _ in range(draw(st.integers(0, 2))):
        one, two = (str(name) for name in rng.choice(numbers, 2))
        weight = round(float(rng.uniform(-2, 2)), 3)
        edge = inside.number(one) + weight * inside.number(two)
        slack = float(rng.uniform(0.01, 0.3)) * max(1.0, abs(edge))
        sign = str(rng.choice(["<=", ">="]))
        edge += slack if sign == "<=" else -slack
        constraints.append(Constraint(f"${one} + {weight:.3f} * ${two} {sign} {edge:.6f}"))
    if draw(st.booleans()):
        most_work = inside.number("heat") * inside.number("dwell") * 1.1
        constraints.append(Constraint(f"$heat * $dwell <= {most_work:.3f}"))
    if "gas" in inside and draw(st.booleans()):
        limit = inside.number("heat")
        constraints.append(Constraint(f"$gas != '{inside['gas']}' or $heat <= {limit:.6f} + 1"))
    if "ball" in free.names and draw(st.booleans()):
        constraints.append(Constraint(f"$ball < {inside.number('ball'):g} + 0.5"))
    if draw(st.booleans()) and step == 0.0:
        ratio = inside.number("heat") / inside.number("dwell")
        constraints.append(Constraint(f"$heat == {ratio:.9f} * $dwell"))
    return SearchSpace(tuple(dimensions), tuple(constraints), mixtures)


def obeys(space: SearchSpace, item: Settings) -> None:
    """Everything to 1e-6, worked out without the code that suggestions are made with."""
    for mixture in space.mixtures:
        shares = [item.number(name) for name in mixture.components]
        assert abs(sum(shares) - mixture.total) < 1e-6
        present = [share for share in shares if share > 1e-6]
        assert len(present) <= (mixture.most or len(shares))
        assert min(present) > mixture.least - 1e-6
    gas = item.get("gas")
    assert ("flow" in item) == ("flow" in space.names and gas != "air")
    for dimension in space.dimensions:
        if dimension.name in item:
            dimension.check(item[dimension.name])
    for constraint in space.constraints:
        text = constraint.text.replace("==", "= =")
        for name in sorted(item, key=len, reverse=True):
            value = item[name]
            text = text.replace(f"${name}", repr(value) if isinstance(value, str) else f"({value})")
        if "$" in text:
            continue  # about a parameter that does not exist here
        if "= =" in text:
            left, right = text.split("= =")
            assert abs(eval(left) - eval(right)) < 1e-6
            continue
        for loose in ("<=", ">="):
            text = text.replace(loose, f"{loose} {'+' if loose == '<=' else '-'}1e-6 +")
        assert eval(text), constraint.text


@settings(max_examples=30, deadline=None)
@given(constrained_spaces(), st.integers(0, 2**32 - 1))
def test_every_sample_obeys_every_constraint(space: SearchSpace, seed: int) -> None:
    for item in space.sample(12, np.random.default_rng(seed)):
        space.check(item)
        obeys(space, item)


@settings(max_examples=12, deadline=None)
@given(constrained_spaces(), st.integers(0, 2**32 - 1))
def test_repaired_settings_obey_every_constraint(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    repaired = [space.repair(space.from_unit(rng.random(len(space.names)))) for _ in range(6)]
    for item in repaired:
        if item is not None:
            obeys(space, item)


@settings(max_examples=12, deadline=None)
@given(constrained_spaces(), st.integers(0, 2**32 - 1))
def test_arrays_and_settings_are_the_same_to_a_model(space: SearchSpace, seed: int) -> None:
    numbers, cells = space.region.sample(8, np.random.default_rng(seed))
    written = space.region.settings(numbers, cells)
    assert np.allclose(space.features(written), space.region.features(numbers, cells), atol=1e-9)
    again, same = space.region.arrays(written)
    assert np.allclose(space.region.features(again, same), space.features(written), atol=1e-9)
    points = space.region.encode(again, same)
    assert np.allclose(
        space.region.features(space.region.numbers(points, same), same),
        space.features(written),
        atol=1e-7,
    )


class Hill:
    """An acquisition with a top at a point of the features, that falls near what is pending.

    Args:
        top: where it is highest.
        has_gradient: whether a search may follow one.
    """

    def __init__(self, top: np.ndarray, has_gradient: bool = True) -> None:
        self._top = torch.as_tensor(top)
        self._has_gradient = has_gradient
        self._pending = torch.zeros(0, len(top))

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """See `matlab_ros.planning.optimise.Acquisition`."""
        if not self._has_gradient:
            points = points.detach()
        worth = -(points - self._top).square().sum(-1)
        for item in self._pending:
            worth = worth - torch.exp(-20.0 * (points - item).square().sum(-1))
        return worth

    def of_many(self, points: torch.Tensor) -> torch.Tensor:
        """See `matlab_ros.planning.optimise.Acquisition`."""
        with torch.no_grad():
            return self(points)

    def add_pending(self, points: torch.Tensor) -> None:
        """See `matlab_ros.planning.optimise.Acquisition`."""
        self._pending = points


@settings(max_examples=8, deadline=None)
@given(constrained_spaces(), st.integers(0, 2**32 - 1), st.booleans())
def test_what_is_chosen_obeys_every_constraint_and_is_never_chosen_again(
    space: SearchSpace, seed: int, has_gradient: bool
) -> None:
    rng = np.random.default_rng(seed)
    taken = space.sample(2, rng)
    chosen = choose(
        space,
        Hill(rng.random(space.width), has_gradient),
        2,
        taken=frozenset(space.key(item) for item in taken),
        pending=taken,
        near=taken[:1],
        rng=rng,
    )
    assert len(chosen) == 2
    for item, _ in chosen:
        space.check(item)
        obeys(space, item)
    assert len({space.key(item) for item in (*taken, *(item for item, _ in chosen))}) == 4 - (
        taken[0] == taken[1]
    )


@settings(max_examples=2, deadline=None)
@given(constrained_spaces(), st.integers(0, 2**16))
def test_every_suggestion_of_a_model_obeys_every_constraint(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    done = [
        Observation(f"e{n}", item, ObservationStatus.MEASURED, float(rng.random()))
        for n, item in enumerate(space.sample(6, rng))
    ]
    campaign = Campaign(CampaignPlan(space, initial_experiments=2, seed=seed), done)
    for item in campaign.suggest(2):
        obeys(space, item.settings)


@pytest.mark.parametrize("has_gradient", [True, False])
def test_the_best_of_a_mixture_with_few_components_is_found(has_gradient: bool) -> None:
    names = tuple("abcde")
    space = SearchSpace(
        tuple(ContinuousDimension(name, 0.0, 1.0) for name in names),
        (Constraint("$a + 2 * $b <= 1.1"),),
        (Mixture(names, most=2),),
    )
    # Nearest under all rules: a and b only, on the edge of the constraint.
    hill = Hill(np.array([0.5, 0.6, 0.0, 0.0, 0.05]), has_gradient)
    best = choose(
        space,
        hill,
        1,
        taken=frozenset(),
        pending=(),
        near=(),
        rng=np.random.default_rng(1),
    )[0][0]
    assert best.number("a") == pytest.approx(0.9, abs=0.02) or best.number("b") > 0.3
    numbers, cells = space.region.sample(4000, np.random.default_rng(2))
    pool = hill.of_many(torch.as_tensor(space.region.features(numbers, cells))).max()
    found = hill.of_many(torch.as_tensor(space.features([best])))[0]
    assert found >= pool - (0.0 if has_gradient else 0.01)


def test_a_search_whose_time_is_over_gives_what_it_has() -> None:
    space = SearchSpace((ContinuousDimension("x", 0, 1), ContinuousDimension("y", 0, 1)))
    asked: list[int] = []

    class Counting(Hill):
        def of_many(self, points: torch.Tensor) -> torch.Tensor:
            asked.append(len(points))
            return super().of_many(points)

    hill = Counting(np.array([0.3, 0.4]))
    chosen = choose(
        space,
        hill,
        3,
        taken=frozenset(),
        pending=(),
        near=(),
        rng=np.random.default_rng(1),
        deadline=Deadline(at=-math.inf),
    )
    assert len({item for item, _ in chosen}) == 3
    assert max(asked) <= PIECE
    assert len(asked) == 3


def test_a_parameter_exists_only_for_the_choices_that_it_is_for() -> None:
    space = SearchSpace(
        (
            CategoricalDimension("anneal", ("no", "yes")),
            CategoricalDimension("gas", ("air", "argon"), when="$anneal == 'yes'"),
            ContinuousDimension("flow", 1, 9, when="$gas == 'argon'"),
            ContinuousDimension("heat", 700, 900),
        )
    )
    names = {tuple(sorted(item)) for item in space.sample(60, np.random.default_rng(0))}
    assert names == {
        ("anneal", "heat"),
        ("anneal", "gas", "heat"),
        ("anneal", "flow", "gas", "heat"),
    }
    with pytest.raises(PlanningError, match="'flow' does not exist with these choices"):
        space.check({"anneal": "no", "heat": 800, "flow": 3})
    with pytest.raises(PlanningError, match="'gas' is missing"):
        space.check({"anneal": "yes", "heat": 800})


def test_candidates_are_all_that_is_ever_suggested_and_run_out() -> None:
    rows = tuple(Settings({"t": t, "p": p}) for t, p in ((1, "a"), (2, "b"), (7, "a"), (9, "b")))
    space = SearchSpace(
        (DiscreteDimension("t", (1, 2, 7, 9)), CategoricalDimension("p", ("a", "b"))),
        (Constraint("$t < 9"),),
        candidates=rows,
    )
    assert space.table == rows[:3]
    for method in ("random", "sobol", "bayesian"):
        campaign = Campaign(CampaignPlan(space, method=method, initial_experiments=1))
        first = campaign.suggest(2)
        for number, item in enumerate(first):
            campaign.report(
                Observation(f"e{number}", item.settings, ObservationStatus.MEASURED, number / 10)
            )
        rest = campaign.suggest(5)
        assert {item.settings for item in (*first, *rest)} == set(rows[:3])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: _of("$x + $y >= 3"),
            r"'\$x \+ \$y >= 3' cannot hold inside the bounds \(x 0 to 1",
        ),
        (lambda: _of("$x >= 0.8", "$y >= 0.8", "$x + $y <= 1"), "search space is empty"),
        (lambda: _of("$x + $z <= 1"), r"unknown parameter \$z"),
        (lambda: _of("$x + $y"), "expected true or false"),
        (lambda: _of("$x <"), "cannot be read"),
        (lambda: _of("heat.peak_c <= 3"), "speaks of steps"),
        (lambda: _of("$gas == 'neon'"), "expected one of air, argon"),
        (lambda: _mixed(low=0.6), "lower bounds add up to 1.2"),
        (lambda: _mixed(high=0.4), "upper bounds of at most 2 of them to 0.8"),
        (lambda: _mixed(high=0.7, most=1), "at most 1 of them to 0.7"),
        (lambda: _mixed(step=0.3), "multiples of the step"),
        (lambda: Mixture(("x",)), "at least two"),
        (lambda: DiscreteDimension("b", (1.0, 1.0)), "all different"),
        (
            lambda: SearchSpace((ContinuousDimension("x", 0, 1, when="$gas == 'air'"),)),
            "no categorical parameter that stands before it",
        ),
        (
            lambda: SearchSpace(
                (ContinuousDimension("x", 0, 1),), candidates=(Settings({"x": 4.0}),)
            ),
            "Candidate 1: Parameter 'x' has the value 4",
        ),
    ],
)
def test_a_space_that_contradicts_itself_is_refused_in_words(build, words: str) -> None:
    with pytest.raises(PlanningError, match=words):
        build()


def _of(*texts: str) -> SearchSpace:
    return SearchSpace(
        (
            ContinuousDimension("x", 0, 1),
            ContinuousDimension("y", 0, 1),
            CategoricalDimension("gas", ("air", "argon")),
        ),
        tuple(Constraint(text) for text in texts),
    )


def _mixed(
    low: float = 0.0, high: float = 1.0, most: int | None = None, step: float = 0.0
) -> SearchSpace:
    return SearchSpace(
        tuple(ContinuousDimension(name, low, high, step=step) for name in ("x", "y")),
        (),
        (Mixture(("x", "y"), most=most),),
    )
