"""Sets of precursors: balanced, weighed, within limits, and safe, whatever target and stock."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.limits import check_in_lab
from matlab_ros.chemistry.precursor_sets import (
    PrecursorSet,
    element_residuals,
    enumerate_reactions,
    precursor_sets,
)
from matlab_ros.chemistry.safety_rules import Powder, PrecursorRules, judge, load_rules
from matlab_ros.chemistry.volatility import ExcessRule, excess_of
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import LabConfig, StockItem, load_lab
from matlab_ros.share import config_file

RULES = load_rules(config_file("precursors", "rules"))
LAB = load_lab(config_file("labs", "virtual_lab"))
METALS = ("Li", "Mg", "Ti", "Ba", "Fe", "Zn", "Y", "Cu", "P", "La", "Nb", "Na")
SHAPES = (
    "{0}O", "{0}2O3", "{0}CO3", "{0}(OH)2", "{0}(NO3)2", "{0}C2O4·2H2O", "{0}3(PO4)2",
    "{0}{1}O3", "{0}{1}2O4", "NH4{0}PO4", "{0}2O5",
)  # fmt: skip


@st.composite
def stocks(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A target of two to four metals, and bottles with some of them and others."""
    metals = draw(st.lists(st.sampled_from(METALS), min_size=1, max_size=4, unique=True))
    amounts = draw(st.lists(st.integers(1, 6), min_size=len(metals), max_size=len(metals)))
    oxygen = draw(st.integers(0, 14))
    target = "".join(f"{m}{n}" for m, n in zip(metals, amounts, strict=True)) + f"O{1 + oxygen}"
    extra = draw(st.lists(st.sampled_from(METALS), max_size=2))
    pool = [*metals, *extra]
    bottles = [
        draw(st.sampled_from(SHAPES)).format(
            draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        )
        for _ in range(draw(st.integers(1, 9)))
    ]
    return target, bottles


@settings(max_examples=150, deadline=None)
@given(stocks())
def test_every_set_conserves_every_element(drawn: tuple[str, list[str]]) -> None:
    target, bottles = drawn
    for reaction in enumerate_reactions(target, bottles, most_powders=5):
        residuals = element_residuals(reaction)
        assert max(abs(n) for n in residuals.values()) < 1e-9
        assert all(n > 0 for n in reaction.amounts)
        assert {part.text for part in reaction.precursors} <= set(bottles)


@settings(max_examples=50, deadline=None)
@given(stocks(), st.floats(1.0, 5000.0))
def test_what_is_weighed_leaves_the_target_without_what_is_gas(
    drawn: tuple[str, list[str]], mass_mg: float
) -> None:
    target, bottles = drawn
    for item in precursor_sets(target, stock_of(*dict.fromkeys(bottles)), mass_mg, 900.0):
        goal = parse_formula(target)
        millimoles = mass_mg / goal.molar_mass
        staying = {e: float(n) for e, n in goal.amounts.items() if e not in "HCNO"}
        for element, n in staying.items():
            brought = sum(
                dose.mass_mg / part.molar_mass * float(part.amounts.get(element, Fraction(0)))
                for dose, part in zip(item.doses, item.reaction.precursors, strict=True)
            )
            assert brought == pytest.approx(n * millimoles, rel=1e-9)


def stock_of(*formulas: str) -> list[StockItem]:
    return [
        StockItem(name=f, formula=f, slot=1 + i % 64, mass_g=50) for i, f in enumerate(formulas)
    ]


def sets_of(target: str, *formulas: str, temperature_c: float = 900.0) -> dict[str, PrecursorSet]:
    found = precursor_sets(target, stock_of(*formulas), 500.0, temperature_c, RULES.excess)
    return {item.name: item for item in found}


def test_all_sets_are_found_and_nothing_else() -> None:
    found = sets_of("BaTiO3", "BaCO3", "BaO2", "Ba(NO3)2", "TiO2", "Ti2O3", "Ba2TiO4", "ZnO")
    assert set(found) == {
        *(f"{ba} + {ti}" for ba in ("BaCO3", "BaO2", "Ba(NO3)2") for ti in ("TiO2", "Ti2O3")),
        "TiO2 + Ba2TiO4", "Ti2O3 + Ba2TiO4",
    }  # fmt: skip
    assert found["BaCO3 + TiO2"].reaction.gases == {"CO2": 1}


def test_all_sets_of_the_ybco_study_are_found_with_their_amounts() -> None:
    """47 sets of Szymanski et al., Nat. Commun. 14, 6956 (2023), some with four powders."""
    default = Path(__file__).parents[3] / "shared" / "datasets"
    table = Path(os.environ.get("MATLAB_ROS_DATA", default)) / "ybco" / "YBCO_Rxn_TD.csv"
    if not table.is_file():
        pytest.skip(f"{table} is not there; set MATLAB_ROS_DATA")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    powders = sorted({name for row in rows for name in row["Precursors"].split(" + ")})
    found = {
        frozenset(part.text for part in reaction.precursors): reaction
        for reaction in enumerate_reactions("YBa2Cu3O6.5", powders, 4)
    }
    assert len(rows) == 47
    for row in rows:
        names = row["Precursors"].split(" + ")
        reaction = found[frozenset(names)]
        amounts = {p.text: n for p, n in zip(reaction.precursors, reaction.amounts, strict=True)}
        for name, amount in zip(names, row["Amounts"].split(" + "), strict=True):
            assert float(amounts[name]) == pytest.approx(float(amount), abs=0.002)


def test_one_powder_more_takes_no_oxygen_from_the_air() -> None:
    found = {
        frozenset(part.text for part in reaction.precursors): reaction
        for reaction in enumerate_reactions("BaTiO3", ["BaO", "BaO2", "Ti2O3", "TiO2"], 3)
    }
    assert found[frozenset({"BaO", "BaO2", "Ti2O3"})].gases == {}
    assert found[frozenset({"BaO", "BaO2", "Ti2O3"})].amounts == (
        Fraction(1, 2), Fraction(1, 2), Fraction(1, 2),
    )  # fmt: skip
    # Both bring barium with the same oxygen for it, so nothing says how much of which.
    assert frozenset({"BaO", "BaCO3", "TiO2"}) not in {
        frozenset(part.text for part in reaction.precursors)
        for reaction in enumerate_reactions("BaTiO3", ["BaO", "BaCO3", "TiO2"], 3)
    }


def test_gases_are_taken_up_too() -> None:
    found = sets_of("LiCoO2", "Li2CO3", "CoO")["Li2CO3 + CoO"]
    assert found.reaction.gases == {"CO2": Fraction(1, 2), "O2": Fraction(-1, 4)}


def test_powders_of_one_formula_make_sets_of_their_own() -> None:
    found = list(precursor_sets("MgTiO3", LAB.stock, 500.0, 900.0))
    names = {item.name for item in found}
    assert {"MgO + TiO2-anatase", "MgO + TiO2-rutile"} <= names
    assert len(names) == len(found) == 6


def test_a_target_that_nothing_makes_has_no_sets() -> None:
    assert sets_of("BaTiO3", "BaCO3", "ZnO") == {}


def test_lithium_is_given_in_excess_when_hot() -> None:
    cold = sets_of("Li2TiO3", "Li2CO3", "TiO2", temperature_c=600.0)["Li2CO3 + TiO2"]
    hot = sets_of("Li2TiO3", "Li2CO3", "TiO2", temperature_c=1100.0)["Li2CO3 + TiO2"]
    assert cold.excess_percent == {}
    assert hot.excess_percent == {"Li2CO3": 10}
    assert hot.doses[0].mass_mg == pytest.approx(1.1 * cold.doses[0].mass_mg)
    assert hot.doses[1].mass_mg == pytest.approx(cold.doses[1].mass_mg)
    assert "evaporates" in hot.doses[0].why


def test_a_powder_of_several_metals_gets_no_excess() -> None:
    rule = ExcessRule(element="Li", above_c=700, percent=5, why="evaporates")
    assert excess_of(parse_formula("LiFeO2"), 900, [rule]) == (0.0, "")
    assert excess_of(parse_formula("LiOH"), 900, [rule]) == (5, "evaporates")
    assert excess_of(parse_formula("LiOH"), 700, [rule])[0] == 0


@pytest.mark.parametrize("mass", [0.0, -1.0, float("nan")])
def test_a_mass_of_nothing_is_refused(mass: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        list(precursor_sets("MgO", stock_of("MgCO3"), mass, 900.0))


def rules_that_speak(lab: LabConfig, *formulas: str, temperature_c: float = 900.0) -> set[str]:
    powders = [Powder(f, f) for f in formulas]
    said = judge(RULES, powders, temperature_c, lab.safeguards)
    assert all(item.why for item in said)
    return {item.rule for item in said if item.refuses}


@pytest.mark.parametrize(
    ("powders", "rule"),
    [
        (("LiNO3", "FeC2O4·2H2O"), "nitrate_with_organic"),
        (("NaNO3", "(NH4)2HPO4"), "nitrate_with_ammonium"),
        (("KClO4", "TiO2"), "no_perchlorates"),
        (("BaO2", "Fe(C2H3O2)2"), "peroxide_with_organic"),
        (("NH4H2PO4", "Li2CO3"), "ammonia"),
        (("Ba(NO3)2", "TiO2"), "nitrous_gases"),
        (("HgO", "BaCO3"), "never_in_an_open_furnace"),
        (("PbO", "TiO2"), "toxic_vapour"),
        (("NaN3", "MnO2"), "no_azides"),
        (("UO2", "BaCO3"), "radioactive"),
        (("BaN2O6", "FeC2O4"), "nitrate_with_organic"),
        (("NH4NO3", "TiO2"), "nitrate_with_ammonium"),
        (("CH4N2O", "TiO2"), "ammonia"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_what_is_dangerous_is_refused_by_a_rule(powders: tuple[str, ...], rule: str) -> None:
    assert rule in rules_that_speak(LAB, *powders)


@pytest.mark.parametrize(
    "powders",
    [
        ("BaCO3", "TiO2"),
        ("LiOH·H2O", "TiO2"),
        ("MgO", "Al2O3"),
        ("Mg5(CO3)4(OH)2·4H2O", "TiO2"),
        ("Y2O3", "BaCO3", "CuO"),
        ("Li3PO4", "Fe3(PO4)2"),
        ("LaTiO2N", "SrCO3"),
        ("LiNbO3", "In2O3"),
    ],
    ids="+".join,
)
def test_what_everybody_does_is_not_refused(powders: tuple[str, ...]) -> None:
    assert rules_that_speak(LAB, *powders) == set()


def test_an_exhaust_lifts_what_needs_one_and_nothing_else() -> None:
    with_exhaust = LAB.model_copy(update={"safeguards": ("exhaust",)})
    assert rules_that_speak(with_exhaust, "NH4H2PO4", "Li2CO3") == set()
    assert rules_that_speak(with_exhaust, "LiNO3", "FeC2O4") == {"nitrate_with_organic"}


def test_lead_is_refused_only_where_it_evaporates() -> None:
    assert rules_that_speak(LAB, "PbO", "TiO2", temperature_c=500) == set()


def test_a_rule_about_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown class"):
        PrecursorRules.model_validate(
            {"safety": [{"name": "x", "together": ["nothing"], "why": "because"}]}
        )


def test_a_file_of_rules_that_makes_no_sense_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("safety:\n  - {name: x, why: because}\n")
    with pytest.raises(ConfigError, match="about nothing"):
        load_rules(path)


def test_limits_of_dispenser_stock_and_crucible_are_kept() -> None:
    item = next(iter(precursor_sets("MgTiO3", LAB.stock, 500.0, 900.0)))
    assert check_in_lab(item, LAB) == ()
    factors = {"smallest_dose": 0.001, "crucible": 10.0, "largest_dose": 100.0}
    for rule, factor in factors.items():
        doses = tuple(replace(dose, mass_mg=dose.mass_mg * factor) for dose in item.doses)
        said = check_in_lab(replace(item, doses=doses), LAB)
        assert rule in {entry.rule for entry in said}
        assert all(entry.refuses for entry in said)


def test_what_is_left_counts_and_not_what_the_file_says() -> None:
    item = next(iter(precursor_sets("MgTiO3", LAB.stock, 500.0, 900.0)))
    powder = item.doses[0].substance
    assert [s.rule for s in check_in_lab(item, LAB, {powder: 0.01})] == ["stock_left"]
