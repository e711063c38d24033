"""The energies in the worlds' files agree with tables that others compiled."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.share import config_file
from matlab_ros.virtual.gibbs import ZERO_CELSIUS_K, coefficients, gibbs_j_mol
from matlab_ros.virtual.network import Chemistry
from matlab_ros.virtual.reactions import load_chemistry

EV_KJ_MOL = 96.485332
AIR = {"CO2", "H2O", "O2"}


@cache
def table(name: str) -> dict[str, dict[str, float]]:
    """Formation energies in eV per formula by reduced formula and temperature in kelvin."""
    spec = importlib.util.find_spec("rxn_network")
    if spec is None or spec.origin is None:
        pytest.skip("the tables come with reaction-network, which is not installed")
    file = Path(spec.origin).parent / "data" / name / "compounds.json.gz"
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        entries = json.load(stream)
    found = {}
    for formula, values in entries.items():
        # Some entries are no compounds.
        with contextlib.suppress(FormulaError):
            found[parse_formula(formula).reduced] = values
    return found


@cache
def standard(file: str) -> Chemistry:
    chemistry = load_chemistry(config_file("chemistry", file))
    return chemistry.in_atmosphere(dict.fromkeys(AIR & set(chemistry.leaving), 1.0))


CASES = [
    ("li_ti_o", "lithium carbonate loses carbon dioxide", "nist", (600, 900, 1200)),
    ("li_ti_o", "lithium hydroxide loses water", "freed", (400, 600, 900)),
    ("li_ti_o", "metatitanate from lithia and rutile", "nist", (600, 900, 1200)),
    ("li_ti_o", "metatitanate from carbonate and rutile", "freed", (600, 900, 1200)),
    ("mg_ti_o", "brucite loses water", "freed", (400, 600, 800)),
    ("mg_ti_o", "magnesite loses carbon dioxide", "nist", (400, 600, 1000)),
    ("mg_ti_o", "geikielite from periclase and rutile", "nist", (600, 1000, 1600)),
    ("mg_ti_o", "qandilite from magnesia and geikielite", "nist", (600, 1000, 1600)),
    ("mg_ti_o", "karrooite from geikielite and rutile", "nist", (600, 1000, 1600)),
    ("zn_ti_o", "smithsonite loses carbon dioxide", "freed", (300, 400, 500)),
    ("sr_ti_o", "strontianite loses carbon dioxide", "freed", (600, 900, 1200)),
    ("zn_ti_o", "spinel from zincite and rutile", "freed", (600, 1000, 1400)),
]


@pytest.mark.parametrize(("file", "reaction", "source", "kelvins"), CASES)
def test_reactions_agree_with_tables_within_5_kj(
    file: str, reaction: str, source: str, kelvins: tuple[int, ...]
) -> None:
    known = table(source)
    chemistry = standard(file)
    r = chemistry.reaction_names.index(reaction)
    formulas = [item.formula for item in chemistry.species] + list(chemistry.leaving)
    for kelvin in kelvins:
        expected = sum(
            n * known[parse_formula(formula).reduced][str(kelvin)] * EV_KJ_MOL
            for n, formula in zip(chemistry.stoichiometry[r], formulas, strict=True)
            if n != 0
        )
        ours = chemistry.reaction_energies_kj_mol(kelvin - ZERO_CELSIUS_K)[r]
        assert ours == pytest.approx(expected, abs=5.0), f"{kelvin} K"


def test_the_phase_boundaries_are_those_that_the_files_cite() -> None:
    def crosses_c(file: str, reaction: str, low: float, high: float) -> float:
        chemistry = load_chemistry(config_file("chemistry", file))
        r = chemistry.reaction_names.index(reaction)
        for _ in range(40):
            middle = (low + high) / 2
            is_downhill = chemistry.reaction_energies_kj_mol(middle)[r] < 0
            low, high = (low, middle) if is_downhill else (middle, high)
        return low

    assert crosses_c("li_ti_o", "spinel falls apart", 700, 1300) == pytest.approx(1018, abs=3)
    assert crosses_c("li_ti_o", "ramsdellite from spinel and rutile", 700, 1300) == pytest.approx(
        940, abs=3
    )
    assert crosses_c("zn_ti_o", "ilmenite falls apart", 700, 1300) == pytest.approx(930, abs=20)
    # Magnesite and lithium carbonate in air.
    assert crosses_c("mg_ti_o", "magnesite loses carbon dioxide", 0, 800) < 350
    assert 650 < crosses_c("li_ti_o", "lithium carbonate loses carbon dioxide", 400, 1300) < 850


def test_pressure_moves_a_decomposition() -> None:
    chemistry = load_chemistry(config_file("chemistry", "li_ti_o"))
    r = chemistry.reaction_names.index("lithium carbonate loses carbon dioxide")
    air, pure, none = (
        chemistry.in_atmosphere({"CO2": p}).reaction_energies_kj_mol(800)[r]
        for p in (4.2e-4, 1.0, 0.0)
    )
    assert air == pytest.approx(chemistry.reaction_energies_kj_mol(800)[r])
    assert none < air < pure
    assert pure - air == pytest.approx(8.314462618e-3 * 1073.15 * np.log(1 / 4.2e-4))
    for wrong in ({"N2": 1.0}, {"CO2": -1.0}, {"CO2": np.nan}):
        with pytest.raises(ValueError):
            chemistry.in_atmosphere(wrong)


def test_coefficients_are_the_integrals_of_the_heat_capacity() -> None:
    a, b, c = 75.0, 12.0, -18.0
    terms = coefficients(-900.0, 50.0, (a, b, c))[None, :]
    solid = (np.array([np.inf]), np.zeros(1))
    grid = np.linspace(298.15, 1400.0, 200_001)
    capacity = a + b * 1e-3 * grid + c * 1e5 / grid**2
    enthalpy = -900e3 + np.trapezoid(capacity, grid)
    entropy = 50.0 + np.trapezoid(capacity / grid, grid)
    assert gibbs_j_mol(terms, *solid, 1400.0)[0] == pytest.approx(enthalpy - 1400.0 * entropy)
    melt = gibbs_j_mol(terms, np.array([1000.0]), np.array([20e3]), 1400.0)[0]
    assert melt - gibbs_j_mol(terms, *solid, 1400.0)[0] == pytest.approx(-20e3 * 0.4)
