"""Gibbs energies: signs and sizes that are known, sources that are named or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from matlab_ros.chemistry import tables
from matlab_ros.chemistry.bartel import gibbs_ev_per_atom, reduced_mass
from matlab_ros.chemistry.energies import KJ_PER_MOL_PER_EV, Atmosphere, Energy, UnknownEnergy
from matlab_ros.chemistry.formula import Formula, parse_formula
from matlab_ros.chemistry.gases import ElementsAndGases
from matlab_ros.chemistry.stoichiometry import balance
from matlab_ros.chemistry.tables import CrossCheckedTables, TabulatedEnergies
from matlab_ros.chemistry.thermodynamics import Thermodynamics, formula_and_phase
from matlab_ros.model.errors import ConfigError

needs_tables = pytest.mark.skipif(
    not tables.is_installed(), reason=f"needs the thermodynamic tables: {tables.INSTALL}"
)
FURNACE_AIR = Atmosphere("air", {"O2": 0.21, "CO2": 4.2e-4})

# kJ/mol at 600, 900 and 1200 K in air of 0.21 atm O2 and 4.2e-4 atm CO2.
KNOWN = {
    ("BaTiO3", "BaCO3", "TiO2"): (-32, -96, -156),
    ("Li2TiO3", "Li2CO3", "TiO2"): (-41, -105, -154),
    ("MgAl2O4", "MgO", "Al2O3"): (-28, -31, -34),
    ("ZnFe2O4", "ZnO", "Fe2O3"): (-17, -22, -25),
    ("CaO", "CaCO3"): (45, -20, None),
    ("BaO", "BaCO3"): (128, 60, -4.5),
}


@pytest.fixture(scope="module")
def thermodynamics() -> Thermodynamics:
    return Thermodynamics.default()


@needs_tables
@pytest.mark.parametrize("reaction", list(KNOWN), ids="-".join)
def test_known_reactions_have_their_sign_and_size(
    reaction: tuple[str, ...], thermodynamics: Thermodynamics
) -> None:
    balanced = balance(reaction[0], reaction[1:])
    for temperature_k, known in zip((600, 900, 1200), KNOWN[reaction], strict=True):
        if known is not None:
            found = thermodynamics.reaction_energy(balanced, temperature_k, FURNACE_AIR)
            assert found.kj_per_mol == pytest.approx(known, abs=5)
            assert (found.kj_per_mol < 0) == (known < 0)


@needs_tables
def test_copper_one_oxide_becomes_stable_near_1300_kelvin(thermodynamics: Thermodynamics) -> None:
    oxidation = {"Cu2O": -1.0, "O2": -0.5, "CuO": 2.0}
    below = thermodynamics.reaction_energy(oxidation, 1250, FURNACE_AIR).kj_per_mol
    above = thermodynamics.reaction_energy(oxidation, 1350, FURNACE_AIR).kj_per_mol
    assert below < 0 < above


@needs_tables
def test_less_oxygen_makes_oxidation_harder_by_rt_ln_p(thermodynamics: Thermodynamics) -> None:
    oxidation = {"Cu2O": -1.0, "O2": -0.5, "CuO": 2.0}
    rich = thermodynamics.reaction_energy(oxidation, 1000, Atmosphere.oxygen())
    poor = thermodynamics.reaction_energy(oxidation, 1000, Atmosphere.inert(o2_atm=1e-4))
    assert poor.kj_per_mol - rich.kj_per_mol == pytest.approx(0.5 * 8.314462618 * 9.21034, rel=1e-5)


@needs_tables
def test_water_and_carbon_dioxide_hold_back_decomposition(thermodynamics: Thermodynamics) -> None:
    for solid, oxide, gas in (("Mg(OH)2", "MgO", "H2O"), ("MgCO3", "MgO", "CO2")):
        reaction = balance(oxide, [solid])
        dry = thermodynamics.reaction_energy(reaction, 500, Atmosphere("dry", {gas: 1e-5}))
        wet = thermodynamics.reaction_energy(reaction, 500, Atmosphere("wet", {gas: 1.0}))
        assert dry.kj_per_mol < wet.kj_per_mol


@needs_tables
def test_every_value_says_where_it_comes_from(thermodynamics: Thermodynamics) -> None:
    found = thermodynamics.reaction_energy(balance("BaTiO3", ["BaO2", "TiO2"]), 900)
    assert found.sources["TiO2"] == "FREED"
    assert "Mayorova" in found.sources["BaO2"]
    assert found.uncertainty_kj_per_mol > 0


@needs_tables
def test_energy_per_atom_counts_the_solid_that_is_made(thermodynamics: Thermodynamics) -> None:
    found = thermodynamics.reaction_energy(balance("BaTiO3", ["BaCO3", "TiO2"]), 900)
    assert found.atoms_of_solid_product == 5
    assert found.ev_per_atom == pytest.approx(found.kj_per_mol / KJ_PER_MOL_PER_EV / 5)
    assert found.kj_per_mol_of_atoms == pytest.approx(found.kj_per_mol / 5)


@needs_tables
def test_gases_agree_with_the_tables(thermodynamics: Thermodynamics) -> None:
    freed = tables.freed_and_janaf()[0]
    for gas in ("CO2", "H2O"):
        for temperature_k in (600, 1000, 1500):
            ours = thermodynamics.gibbs(gas, temperature_k)
            theirs = freed.formation_energy(parse_formula(gas), temperature_k)
            assert theirs is not None
            assert ours.kj_per_mol == pytest.approx(theirs.kj_per_mol, abs=1.0)


@needs_tables
def test_an_entry_that_is_a_gas_in_one_table_is_passed_over(thermodynamics: Thermodynamics) -> None:
    hydroxide = thermodynamics.gibbs("Mg(OH)2", 1000)
    assert hydroxide.source == "NIST-JANAF"
    assert hydroxide.kj_per_mol == pytest.approx(-623, abs=5)


@needs_tables
def test_a_polymorph_of_the_library_has_its_own_energy(thermodynamics: Thermodynamics) -> None:
    rutile, anatase = (
        thermodynamics.gibbs(name, 900).kj_per_mol for name in ("TiO2-Rutile", "TiO2-Anatase")
    )
    assert anatase - rutile == pytest.approx(2.61)


@needs_tables
def test_yttrium_barium_copper_oxide_is_stable_where_it_is_made(
    thermodynamics: Thermodynamics,
) -> None:
    carbonate = balance("YBa2Cu3O6.5", ["Y2O3", "BaCO3", "CuO"])
    assert thermodynamics.reaction_energy(carbonate, 900).kj_per_mol > 0
    assert thermodynamics.reaction_energy(carbonate, 1200).kj_per_mol < -50
    apart = {"YBa2Cu3O6.5": -1.0, "Y2BaCuO5": 0.5, "BaCuO2": 1.5, "CuO": 1.0}
    assert thermodynamics.reaction_energy(apart, 1150).kj_per_mol > 0


def test_tables_differ_openly() -> None:
    points = {300.0: -10.0, 400.0: -9.0}
    other = {300.0: -12.0, 400.0: -11.0}
    both = CrossCheckedTables([TabulatedEnergies("A", {"MgO": points}),
                               TabulatedEnergies("B", {"MgO": other})])  # fmt: skip
    found = both.formation_energy(parse_formula("MgO"), 350)
    assert found is not None
    assert found.ev_per_formula == pytest.approx(-9.5)
    assert "B says" in found.note
    assert found.uncertainty_kj_per_mol == pytest.approx(2.0 * KJ_PER_MOL_PER_EV)


def test_beyond_a_table_its_last_slope_is_followed_and_said() -> None:
    table = TabulatedEnergies("A", {"MgO": {300.0: -10.0, 400.0: -9.0}})
    found = table.formation_energy(parse_formula("Mg2O2"), 600)
    assert found is not None
    assert found.ev_per_formula == pytest.approx(2 * -7.0)
    assert "400 K" in found.note
    assert table.formation_energy(parse_formula("MgO2"), 600) is None


class _Fixed:
    """Knows one substance."""

    def __init__(self, name: str, formula: str, value: float) -> None:
        self.name = name
        self._formula, self._value = parse_formula(formula), value

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        if phase is not None or formula.reduced != self._formula.reduced:
            return None
        return Energy(formula.text, temperature_k, self._value, 1.0, self.name, 2.0)

    def known_formulas(self, elements: frozenset[str]) -> list[str]:
        return [self._formula.text] if self._formula.elements <= elements else []


def test_the_first_provider_that_knows_answers() -> None:
    combined = Thermodynamics([_Fixed("first", "MgO", -1.0), _Fixed("second", "MgO", -2.0)])
    assert combined.gibbs("MgO", 900).source == "first"
    assert [e.formula for e in combined.phases_within(frozenset({"Mg", "O"}), 900)] == ["Mg", "MgO"]


def test_without_the_tables_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise tables.MissingChemistryExtra

    monkeypatch.setattr(tables, "_library_data", missing)
    bare = Thermodynamics.default()
    with pytest.raises(UnknownEnergy, match=r"pip install .*chemistry"):
        bare.gibbs("MgO", 900)
    assert bare.gibbs("CO2", 900).kj_per_mol < 0
    assert not bare.knows("Sr2TiO4")


def test_an_unknown_substance_is_named() -> None:
    with pytest.raises(UnknownEnergy, match="LiFePO4") as caught:
        Thermodynamics([_Fixed("first", "MgO", -1.0)]).gibbs("LiFePO4", 900)
    assert caught.value.formula == "LiFePO4"


def test_own_energies_win_over_ours(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "energies:\n"
        "  - {formula: Sr2TiO4, enthalpy_kj_mol: -1000, entropy_j_mol_k: -100,\n"
        "     uncertainty_kj_mol: 1, source: mine}\n"
    )
    found = Thermodynamics.default(path).gibbs("Sr2TiO4", 1000)
    assert (found.source, found.kj_per_mol) == ("mine", pytest.approx(-900))


@pytest.mark.parametrize(
    "entry",
    [
        "{formula: MgO, enthalpy_kj_mol: -1, uncertainty_kj_mol: 1, source: x}",
        "{formula: MgO, made_of: {MgCO3: 1}, enthalpy_kj_mol: 0, entropy_j_mol_k: 0, "
        "uncertainty_kj_mol: 1, source: x}",
        "{formula: Mgo, enthalpy_kj_mol: -1, entropy_j_mol_k: 0, uncertainty_kj_mol: 1, source: x}",
    ],
    ids=["incomplete", "unbalanced", "no formula"],
)
def test_a_file_of_energies_that_makes_no_sense_is_refused(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"energies:\n  - {entry}\n")
    with pytest.raises(ConfigError):
        Thermodynamics.default(path)


@needs_tables
def test_bartels_descriptor_comes_near_what_was_measured(thermodynamics: Thermodynamics) -> None:
    """Spinel: enthalpy -2299 kJ/mol (NIST-JANAF), cell 8.083 A with 56 atoms."""
    spinel = parse_formula("MgAl2O4")
    enthalpy = -2299.0 / KJ_PER_MOL_PER_EV / 7
    for temperature_k in (600.0, 1000.0):
        found = gibbs_ev_per_atom(
            spinel,
            enthalpy,
            8.083**3 / 56,
            temperature_k,
            tables.elemental_energies_ev(temperature_k),
        )
        measured = thermodynamics.gibbs("MgAl2O4", temperature_k).ev_per_atom
        assert found == pytest.approx(measured, abs=0.05)


@needs_tables
@pytest.mark.parametrize(
    ("formula", "enthalpy", "volume", "known"),
    [
        ("MgAl2O4", -2299 / 96.485 / 7, 8.083**3 / 56, -2.841952786),
        ("BaTiO3", -1660 / 96.485 / 5, 64.4 / 5, -2.881642425),
        ("CaCO3", -1207 / 96.485 / 5, 122.6 / 10, -1.992411590),
    ],
)
def test_bartels_descriptor_is_that_of_reaction_network(
    formula: str, enthalpy: float, volume: float, known: float
) -> None:
    """At 1000 K; `known` was calculated with GibbsComputedEntry of reaction-network 8.3.0."""
    elements = tables.elemental_energies_ev(1000)
    ours = gibbs_ev_per_atom(parse_formula(formula), enthalpy, volume, 1000, elements)
    assert ours == pytest.approx(known, abs=1e-6)


def test_reduced_mass_is_that_of_the_pair_in_a_binary() -> None:
    assert reduced_mass(parse_formula("MgO")) == pytest.approx(24.305 * 15.999 / 40.304, rel=1e-4)


def test_elements_have_no_energy() -> None:
    known = ElementsAndGases()
    for text in ("O2", "Ti", "C"):
        found = known.formation_energy(parse_formula(text), 900)
        assert found is not None
        assert found.kj_per_mol == 0
    assert known.formation_energy(parse_formula("O"), 900) is None


def test_a_phase_of_the_library_is_told_from_a_formula() -> None:
    formula, phase = formula_and_phase("Mg2TiO4-Qandilite-cubic")
    assert (formula.text, phase) == ("Mg2TiO4", "Mg2TiO4-Qandilite-cubic")
    assert formula_and_phase("TiO2")[1] is None
