"""Search spaces: what they suggest lies inside, and what they cannot mean is refused in words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    Dimension,
    IntegerDimension,
)
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace
from matlab_ros.planning.space_config import space_of, substance_descriptors


@st.composite
def _continuous(draw: st.DrawFn, name: str) -> ContinuousDimension:
    log = draw(st.booleans())
    low = draw(st.floats(1e-3 if log else -1e3, 1e3))
    width = draw(st.floats(1e-3, 1e3))
    step = draw(st.sampled_from([0.0, width / 7, width / 3.3, width]))
    return ContinuousDimension(name, low, low + width, log, step)


@st.composite
def _integer(draw: st.DrawFn, name: str) -> IntegerDimension:
    low = draw(st.integers(-20, 20))
    return IntegerDimension(name, low, low + draw(st.integers(1, 30)))


@st.composite
def _categorical(draw: st.DrawFn, name: str) -> CategoricalDimension:
    count = draw(st.integers(1, 6))
    rows: tuple[tuple[float, ...], ...] = ()
    if draw(st.booleans()):
        value = st.floats(-5, 5)
        rows = tuple(tuple(draw(value) for _ in range(3)) for _ in range(count))
    return CategoricalDimension(name, tuple(f"choice {n}" for n in range(count)), rows)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Any space of one to four dimensions."""
    dimensions: list[Dimension] = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([_continuous, _integer, _categorical]))
        dimensions.append(draw(kind(f"p{number}")))
    return SearchSpace(tuple(dimensions))


@settings(deadline=None)
@given(spaces(), st.data())
def test_every_point_of_the_cube_is_a_setting_inside_the_space(
    space: SearchSpace, data: st.DataObject
) -> None:
    point = [data.draw(st.floats(0, 1)) for _ in space.dimensions]
    settings = space.from_unit(point)
    space.check(settings)
    features = space.features([settings])
    assert features.shape == (1, space.width)
    assert np.all((features >= -1e-9) & (features <= 1 + 1e-9))


@settings(deadline=None)
@given(spaces(), st.data())
def test_going_to_the_cube_and_back_changes_nothing(
    space: SearchSpace, data: st.DataObject
) -> None:
    first = space.from_unit([data.draw(st.floats(0, 1)) for _ in space.dimensions])
    again = space.from_unit([item.to_unit(first[item.name]) for item in space.dimensions])
    for item in space.dimensions:
        if isinstance(item, CategoricalDimension):
            assert again[item.name] == first[item.name]
        else:
            size = max(abs(item.low), abs(item.high))
            assert again.number(item.name) == pytest.approx(
                first.number(item.name), rel=1e-9, abs=1e-9 * size
            )


@settings(deadline=None)
@given(spaces())
def test_the_table_of_a_finite_space_holds_every_setting_once(space: SearchSpace) -> None:
    if space.table is None:
        return
    assert len(space.table) == space.size == len({space.key(row) for row in space.table})
    for row in space.table:
        space.check(row)


def test_steps_count_from_the_lower_bound_and_show_no_binary_noise() -> None:
    dimension = ContinuousDimension("x", 0.1, 0.75, step=0.1)
    assert dimension.values() == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert dimension.rounded(0.749) == 0.7
    assert dimension.rounded(0.34) == 0.3


def test_a_logarithmic_dimension_is_searched_by_ratios() -> None:
    dimension = ContinuousDimension("dwell_h", 1, 100, log=True)
    assert dimension.from_unit(0.5) == pytest.approx(10)
    assert dimension.to_unit(10) == pytest.approx(0.5)


def test_measured_values_outside_the_bounds_are_seen_but_cannot_stretch_the_model() -> None:
    temperature = ContinuousDimension("temperature_c", 600, 900)
    assert temperature.to_unit(915) == pytest.approx(1.05)
    assert temperature.to_unit(9000) == 1.5
    dwell = ContinuousDimension("dwell_h", 1, 100, log=True)
    assert dwell.to_unit(0.0) == -0.5


def test_precursor_sets_are_described_by_their_substances() -> None:
    config = CampaignConfig.model_validate(
        {
            "name": "c",
            "target": {"formula": "MgO", "phase": "p"},
            "sample_mass_mg": 1,
            "recipe": "r",
            "precursor_sets": [
                {"name": "one", "substances": ["A", "C"]},
                {"name": "two", "substances": ["B", "C"]},
                {"name": "three", "substances": ["A", "B", "C"]},
            ],
            "parameters": [
                {"name": "precursors", "kind": "categorical", "choices": ["one", "two", "three"]},
                {"name": "t", "kind": "continuous", "low": 1, "high": 2},
                {"name": "n", "kind": "integer", "low": 1, "high": 2},
            ],
            "budget": {"experiments": 1},
        }
    )
    space = space_of(config)
    rows = [{"precursors": name, "t": 1.5, "n": 2} for name in ("one", "two", "three")]
    # Numbers first; C is in every set and tells nothing.
    assert space.features(rows).tolist() == [
        [0.5, 1, 1, 0],
        [0.5, 1, 0, 1],
        [0.5, 1, 1, 1],
    ]


def test_sets_of_the_same_substances_are_not_confused() -> None:
    assert substance_descriptors([("A", "B"), ("B", "A")]) == ()


def test_settings_are_equal_whatever_their_order() -> None:
    one, two = Settings({"a": 1, "b": "x"}), Settings({"b": "x", "a": 1.0})
    assert one == two
    assert hash(one) == hash(two)
    assert one == {"a": 1.0, "b": "x"}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ContinuousDimension("t", 5, 5), ["'t'", "low below"]),
        (lambda: ContinuousDimension("t", 0, 5, log=True), ["'t'", "above 0"]),
        (lambda: ContinuousDimension("t", 0, math.inf), ["'t'", "finite"]),
        (lambda: ContinuousDimension("t", 0, 1, step=-1), ["'t'", "step"]),
        (lambda: IntegerDimension("n", 3, 1), ["'n'", "low below high"]),
        (lambda: CategoricalDimension("c", ()), ["'c'", "at least one"]),
        (lambda: CategoricalDimension("c", ("a", "a")), ["'c'", "'a' twice"]),
        (lambda: CategoricalDimension("c", ("a", "b"), ((1.0,),)), ["'c'", "one for each"]),
        (lambda: SearchSpace(()), ["no parameter"]),
        (
            lambda: SearchSpace((IntegerDimension("n", 1, 2), IntegerDimension("n", 1, 2))),
            ["'n' stands twice"],
        ),
    ],
)
def test_a_space_that_means_nothing_is_refused_in_words(build, words) -> None:
    with pytest.raises(PlanningError) as error:
        build()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"t": 1}, "'c' is missing"),
        ({"t": 1, "c": "a", "z": 2}, "'z' is not in the search space"),
        ({"t": 11, "c": "a"}, "expected 0 to 10"),
        ({"t": math.nan, "c": "a"}, "finite number"),
        ({"t": "warm", "c": "a"}, "expected a number"),
        ({"t": 1, "c": "q"}, "expected one of a, b"),
    ],
)
def test_settings_outside_of_the_space_are_refused_in_words(settings, words) -> None:
    space = SearchSpace((ContinuousDimension("t", 0, 10), CategoricalDimension("c", ("a", "b"))))
    with pytest.raises(PlanningError, match=words):
        space.check(settings)
