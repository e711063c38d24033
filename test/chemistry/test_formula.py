"""A formula is read as a chemist reads it, or refused with a sentence."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.chemistry.formula import FormulaError, parse_formula


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MgTiO3", {"Mg": 1, "Ti": 1, "O": 3}),
        ("Mg(OH)2", {"Mg": 1, "O": 2, "H": 2}),
        ("Ca[P(O)3]2", {"Ca": 1, "P": 2, "O": 6}),
        ("CuSO4·5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("2CaSO4*H2O", {"Ca": 2, "S": 2, "O": 9, "H": 2}),
        ("YBa2Cu3O6.9", {"Y": 1, "Ba": 2, "Cu": 3, "O": Fraction(69, 10)}),
        ("La₂O₃", {"La": 2, "O": 3}),
        ("Co", {"Co": 1}),
        ("CO", {"C": 1, "O": 1}),
        ("Li2 CO3", {"Li": 2, "C": 1, "O": 3}),
    ],
)
def test_amounts_are_exact(text: str, expected: dict[str, int | Fraction]) -> None:
    assert dict(parse_formula(text).amounts) == expected


@pytest.mark.parametrize(
    ("text", "mass"),
    [("MgO", 40.304), ("TiO2", 79.865), ("MgCO3", 84.313), ("H2O", 18.015), ("BaCO3", 197.335)],
)
def test_molar_masses_are_the_tabulated_ones(text: str, mass: float) -> None:
    assert parse_formula(text).molar_mass == pytest.approx(mass, abs=0.003)


@pytest.mark.parametrize(
    ("text", "reduced"),
    [
        ("Mg4Ti4O12", "MgTiO3"),
        ("O2Ti", "TiO2"),
        ("Mg(OH)2", "MgH2O2"),
        ("O3CLi2", "Li2CO3"),
        ("Li1.05Ti2O4", "Li21Ti40O80"),
        ("Cu3Ba2YO7", "Ba2YCu3O7"),
        ("Mg0.5O0.5", "MgO"),
    ],
)
def test_reduced_formula_does_not_depend_on_writing(text: str, reduced: str) -> None:
    assert parse_formula(text).reduced == reduced


@pytest.mark.parametrize(
    "text",
    ["", " ", "Xx2", "mgO", "Mg(OH", "Mg)OH(", "Mg(OH]2", "Mg()2", "2", "Mg0", "Mg22.O", "MgO·",
     "Mg+2", "CuSO4.5H2O", "MgO2.H2O", "0MgO", "(2)MgO"],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match=r"formula|hydrate"):
        parse_formula(text)


@given(
    st.dictionaries(
        st.sampled_from(["Mg", "Ti", "O", "Ba", "C", "H", "La", "U"]),
        st.integers(1, 40),
        min_size=1,
    ),
    st.integers(1, 5),
)
def test_brackets_multiply_and_reduction_undoes_it(amounts: dict[str, int], factor: int) -> None:
    flat = "".join(f"{symbol}{n}" for symbol, n in amounts.items())
    multiple = parse_formula(f"({flat}){factor}")
    assert multiple.amounts == {symbol: n * factor for symbol, n in amounts.items()}
    assert multiple.reduced == parse_formula(flat).reduced
    assert parse_formula(multiple.reduced).reduced == multiple.reduced
    assert multiple.molar_mass == pytest.approx(factor * parse_formula(flat).molar_mass)
