"""Mixtures have the target's metals ratio exactly, or it is said why they cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.stoichiometry import VOLATILE, balance, precursor_mass_fractions
from matlab_ros.model.errors import UnreachableComposition

SOURCES = {
    "Mg": ["MgO", "MgCO3", "Mg(OH)2", "Mg(NO3)2·6H2O", "Mg5C4H10O18"],
    "Ti": ["TiO2", "Ti2O3"],
    "Ba": ["BaCO3", "BaO2"],
    "La": ["La2O3", "La(OH)3"],
    "Cu": ["CuO", "Cu2O", "Cu2CO3(OH)2"],
    "P": ["P2O5", "NH4H2PO4", "(NH4)2HPO4"],
}


def test_known_mixture_of_magnesia_and_titania() -> None:
    shares = precursor_mass_fractions("MgTiO3", ["MgO", "TiO2"])
    assert shares == pytest.approx((40.304 / 120.169, 79.865 / 120.169), abs=1e-5)


def test_reaction_is_written_with_its_gases() -> None:
    assert str(balance("MgTiO3", ["MgCO3", "TiO2"])) == "MgCO3 + TiO2 -> MgTiO3 + CO2"
    assert str(balance("Fe2O3", ["Fe3O4"])) == "2/3 Fe3O4 + 1/6 O2 -> Fe2O3"
    assert balance("MgTiO3", ["Mg(OH)2", "TiO2"]).ignition_yield == pytest.approx(
        120.169 / 138.184, abs=1e-4
    )


@given(st.data())
def test_every_element_balances(data: st.DataObject) -> None:
    metals = data.draw(st.lists(st.sampled_from(sorted(SOURCES)), min_size=1, unique=True))
    precursors = [data.draw(st.sampled_from(SOURCES[metal])) for metal in metals]
    numbers = [data.draw(st.integers(1, 900)) / 100 for _ in metals]
    target = "".join(f"{m}{n:.2f}" for m, n in zip(metals, numbers, strict=True)) + "O4.5"
    reaction = balance(target, precursors)

    for element in parse_formula(target).elements | {"H", "C", "N"}:
        used = sum(
            float(n) * float(p.amounts.get(element, 0))
            for p, n in zip(reaction.precursors, reaction.amounts, strict=True)
        )
        made = float(reaction.target.amounts.get(element, 0)) + sum(
            float(n) * float(parse_formula(gas).amounts.get(element, 0))
            for gas, n in reaction.gases.items()
        )
        assert used == pytest.approx(made, abs=1e-9)

    shares = reaction.mass_fractions
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    moles = [share / p.molar_mass for share, p in zip(shares, reaction.precursors, strict=True)]
    found = {
        metal: sum(
            n * float(p.amounts.get(metal, 0))
            for n, p in zip(moles, reaction.precursors, strict=True)
        )
        for metal in metals
    }
    for metal, number in zip(metals, numbers, strict=True):
        ratio = found[metal] / found[metals[0]]
        assert ratio == pytest.approx(number / numbers[0], rel=1e-9)


@given(st.permutations(["MgCO3", "TiO2", "La2O3", "BaCO3"]))
def test_order_of_listing_does_not_matter(order: list[str]) -> None:
    target = "Mg2TiLa2BaO9"
    shares = dict(zip(order, precursor_mass_fractions(target, order), strict=True))
    usual = sorted(order)
    assert shares == pytest.approx(
        dict(zip(usual, precursor_mass_fractions(target, usual), strict=True))
    )


@given(st.tuples(*(st.sampled_from(choices) for choices in SOURCES.values())))
def test_gas_and_solid_masses_add_up(precursors: tuple[str, ...]) -> None:
    reaction = balance("Ba2La3Cu4MgTiPO20", precursors)
    gas_mass = sum(float(n) * parse_formula(gas).molar_mass for gas, n in reaction.gases.items())
    mixture = reaction.target.molar_mass / reaction.ignition_yield
    assert mixture == pytest.approx(reaction.target.molar_mass + gas_mass, rel=1e-9)


@pytest.mark.parametrize(
    ("target", "precursors", "words"),
    [
        ("MgTiO3", ["MgO"], "none of MgO brings Ti"),
        ("MgTiO3", ["MgO", "TiO2", "Al2O3"], "Al2O3 brings Al"),
        ("MgTiO3", ["MgO", "Mg(OH)2", "TiO2"], "more than one way"),
        ("MgTiO3", ["Mg2TiO4", "MgO"], "negative amount of MgO"),
        ("MgTiO3", ["MgTiO3", "TiO2"], "none of TiO2"),
        ("MgTiO3", ["Mg2TiO4"], "no mixture of Mg2TiO4"),
        ("MgTiO3", ["MgO", "TiO2", "H2O"], "H2O leaves nothing behind"),
        ("MgTiO3", [], "no precursors"),
        ("CO2", ["MgO"], "nothing that stays"),
    ],
)
def test_what_cannot_be_mixed_is_explained(target: str, precursors: list[str], words: str) -> None:
    with pytest.raises(UnreachableComposition, match=words):
        precursor_mass_fractions(target, precursors)


def test_which_elements_are_volatile_can_be_chosen() -> None:
    with pytest.raises(UnreachableComposition, match="Li2SO4 brings S"):
        precursor_mass_fractions("Li2TiO3", ["Li2SO4", "TiO2"])
    shares = precursor_mass_fractions("Li2TiO3", ["Li2SO4", "TiO2"], VOLATILE | {"S"})
    assert sum(shares) == pytest.approx(1)
