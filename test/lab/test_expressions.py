"""Expressions of recipes: read once, typed, and honest about what is unknown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.model.expressions import (
    Binary,
    Call,
    ExpressionError,
    Kind,
    Literal,
    Node,
    Parameter,
    Ranges,
    Round,
    StepValue,
    Surroundings,
    Unary,
    bounds,
    evaluate,
    parse,
    possible,
    require,
    slope,
    write,
)

quick = settings(max_examples=200, deadline=None, derandomize=True)

_LEAVES = st.one_of(
    st.floats(0, 1e6).map(Literal),
    st.sampled_from(["a", "b_c", "dwell"]).map(Parameter),
    st.just(Round()),
    st.sampled_from(["target_fraction", "phases"]).map(lambda name: StepValue("look", name)),
)


def _grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(Binary, st.sampled_from("+-*/"), inner, inner),
        st.builds(Unary, st.just("-"), inner),
        st.builds(
            Call,
            st.sampled_from(["min", "max"]),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
        ),
    )


NUMBERS = st.recursive(_LEAVES, _grown, max_leaves=8)
COMPARISONS = st.builds(
    Binary, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS, NUMBERS
)
TRUTHS = st.recursive(
    st.one_of(COMPARISONS, st.booleans().map(Literal)),
    lambda inner: st.one_of(
        st.builds(Binary, st.sampled_from(["and", "or"]), inner, inner),
        st.builds(Unary, st.just("not"), inner),
    ),
    max_leaves=5,
)
READINGS = st.one_of(st.none(), st.floats(-1e6, 1e6))


def around(values: dict[str, float | None], look: float | None = None, round_: int = 0):
    return Surroundings(values.get, lambda _: look, round_)


@quick
@given(st.one_of(NUMBERS, TRUTHS))
def test_what_is_written_is_read_as_the_same(node):
    assert parse(write(node)) == node


@quick
@given(NUMBERS, READINGS, READINGS, READINGS, READINGS, st.integers(0, 5))
def test_numbers_lie_within_their_bounds(node, a, b, dwell, look, round_):
    values = {"a": a, "b_c": b, "dwell": dwell}
    found = evaluate(node, around(values, look, round_))

    def span(value: float | None) -> tuple[float, float]:
        return (-math.inf, math.inf) if value is None else (value, value)

    low, high = bounds(node, Ranges(lambda name: span(values[name]), lambda _: span(look), round_))
    if found is not None:
        slack = 1e-6 * max(1.0, abs(found))
        assert low - slack <= found <= high + slack


@quick
@given(TRUTHS, READINGS, READINGS, READINGS, READINGS, st.integers(0, 5))
def test_a_condition_comes_to_nothing_that_is_not_possible(node, a, b, dwell, look, round_):
    values = {"a": a, "b_c": b, "dwell": dwell}
    found = evaluate(node, around(values, look, round_))
    everything = (-math.inf, math.inf)
    can_be = possible(node, Ranges(lambda _: everything, lambda _: everything, round_))
    if found is not None:
        assert found in can_be


@quick
@given(TRUTHS, READINGS, READINGS, READINGS)
def test_what_is_not_known_never_decides(node, a, b, dwell):
    """Whatever the unknown value turns out to be, a decided condition stays as it is."""
    values = {"a": a, "b_c": b, "dwell": dwell}
    decided = evaluate(node, around(values, None))
    if decided is not None:
        for look in (-1e9, 0.0, 0.5, 1e9):
            known = evaluate(node, around(values, look))
            # A division by the new value may be unknown in its turn.
            assert known in (decided, None)


@pytest.mark.parametrize(
    ("text", "look", "expected"),
    [
        ("look.x < 0.5", None, None),
        ("look.x < 0.5", math.nan, None),
        ("not look.x < 0.5", math.nan, None),
        ("look.x < 0.5 or true", None, True),
        ("look.x < 0.5 and false", None, False),
        ("known(look.x)", None, False),
        ("not known(look.x) or look.x > 1", math.nan, True),
        ("look.x / 0 > 1", 1.0, None),
        ("1 - 2 - 3", 0.0, -4.0),
        ("8 / 2 / 2", 0.0, 2.0),
        ("-(2 + 3) * 2", 0.0, -10.0),
        ("2 + 3 * 4 >= 14 and not 1 > 2", 0.0, True),
        ("min(3, $a, 2)", 0.0, 1.0),
        ("$w == 'MgO + rutile'", 0.0, True),
        ("round == 2", 0.0, True),
    ],
)
def test_examples(text, look, expected):
    values = {"a": 1.0, "w": "MgO + rutile"}
    assert evaluate(parse(text), Surroundings(values.get, lambda _: look, 2)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "1 +", "look", "look.", "1 < 2 < 3", "f(1)", "a.b.c", "__import__('os')", "2 ** 3"),
        *(
            *("-" * 400 + "1", "not " * 100 + "true", "1e999", "1 +" * 160),
            "(" * 200 + "1" + ")" * 200,
            "1 " * 300,
            "look.x; 1",
            "lambda: 1",
            "[1]",
            "look.$a",
            "$A",
        ),
    ],
)
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        ("look.x + 'a'", Kind.NUMBER, "a word"),
        ("look.x", Kind.TRUTH, "a number"),
        ("look.x < 1", Kind.NUMBER, "true or false"),
        ("look.x and 1 < 2", Kind.TRUTH, "a number"),
        ("$t_c + $t_h", Kind.NUMBER, "mixes units"),
        ("$t_c < $t_min", Kind.TRUTH, "mixes units"),
        ("known(1)", Kind.TRUTH, "known(step.value)"),
        ("$a == 'b' and $a < 1", Kind.TRUTH, "$a"),
    ],
)
def test_what_does_not_fit_is_refused(text, kind, word):
    with pytest.raises(ExpressionError) as caught:
        require(parse(text), kind, {}, lambda _: Kind.NUMBER)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$a", 1.0),
        ("$a + 50 * round", 1.0),
        ("3 - 2 * $a / 4", -0.5),
        ("min($a + 50, 1400)", 1.0),
        ("min($a + 5000, 1400)", 0.0),
        ("$a * $a", None),
        ("1 / $a", None),
        ("7", 0.0),
    ],
)
def test_slopes(text, expected):
    assert slope(parse(text), "a", around({"a": 1000.0})) == expected
