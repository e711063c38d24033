"""Ranking sets: what decomposes is settled first, what reacts first spends driving force."""

from __future__ import annotations

import pytest

from matlab_ros.chemistry import tables
from matlab_ros.chemistry.energies import Atmosphere
from matlab_ros.chemistry.open_hull import gas_potentials, lowest_mixture, open_phases
from matlab_ros.chemistry.precursor_sets import Judgement, PrecursorSet, precursor_sets
from matlab_ros.chemistry.ranking import Ranked, Ranking
from matlab_ros.chemistry.thermodynamics import Thermodynamics
from matlab_ros.model.lab_config import StockItem

pytestmark = pytest.mark.skipif(
    not tables.is_installed(), reason=f"needs the thermodynamic tables: {tables.INSTALL}"
)


@pytest.fixture(scope="module")
def thermodynamics() -> Thermodynamics:
    return Thermodynamics.default()


def sets(target: str, *formulas: str) -> list[PrecursorSet]:
    stock = [StockItem(name=f, formula=f, slot=1 + i, mass_g=50) for i, f in enumerate(formulas)]
    return list(precursor_sets(target, stock, 500.0, 900.0))


def ranked(
    thermodynamics: Thermodynamics, target: str, temperature_c: float, *formulas: str
) -> dict[str, Ranked]:
    ranking = Ranking(target, thermodynamics, temperature_c)
    return {item.candidate.name: item for item in ranking.rank(sets(target, *formulas))}


def test_what_a_carbonate_loses_drives_nothing(thermodynamics: Thermodynamics) -> None:
    found = ranked(thermodynamics, "MgTiO3", 1100, "MgO", "MgCO3", "TiO2")
    oxide, carbonate = found["MgO + TiO2"], found["MgCO3 + TiO2"]
    assert carbonate.energy is not None
    assert oxide.energy is not None
    assert carbonate.energy.ev_per_atom < 5 * oxide.energy.ev_per_atom
    assert carbonate.left_ev_per_atom == pytest.approx(oxide.left_ev_per_atom)


def test_a_carbonate_that_stays_keeps_its_driving_force(thermodynamics: Thermodynamics) -> None:
    found = ranked(thermodynamics, "BaTiO3", 700, "BaCO3", "TiO2")["BaCO3 + TiO2"]
    assert found.energy is not None
    assert found.left_ev_per_atom == pytest.approx(found.energy.ev_per_atom)


def test_an_intermediate_spends_driving_force(thermodynamics: Thermodynamics) -> None:
    found = ranked(thermodynamics, "Sr2TiO4", 1100, "SrO", "TiO2", "SrTiO3")
    direct = found["SrO + TiO2"]
    assert direct.first is not None
    assert direct.first.reaction.target.text == "SrTiO3"
    assert not direct.first.makes_target
    assert direct.first.spent_share == pytest.approx(0.755, abs=0.03)
    # What is left is what the intermediate and the rest of the powders have.
    rest = found["SrO + SrTiO3"]
    assert rest.energy is not None
    assert direct.left_ev_per_atom == pytest.approx(rest.energy.ev_per_atom, rel=1e-6)


def test_barium_cuprate_gets_in_the_way_of_ybco(thermodynamics: Thermodynamics) -> None:
    found = ranked(thermodynamics, "YBa2Cu3O6.5", 900, "Y2O3", "BaCO3", "CuO", "Ba2Cu3O6")
    common = found["Y2O3 + BaCO3 + CuO"]
    assert common.first is not None
    assert common.first.reaction.target.text == "BaCuO2"
    assert common.first.spent_share > 0.5
    assert next(iter(found)) == "Y2O3 + Ba2Cu3O6"


def test_powders_that_become_the_same_count_together(thermodynamics: Thermodynamics) -> None:
    """Peroxide and oxide of barium are one powder when hot, so nothing is left of their set."""
    powders = ("Y2O3", "BaO", "BaO2", "Cu2O", "CuO")
    stock = [StockItem(name=f, formula=f, slot=1 + i, mass_g=50) for i, f in enumerate(powders)]
    given = precursor_sets("YBa2Cu3O6.5", stock, 500.0, 920.0, most_powders=4)
    found = {
        frozenset(item.candidate.name.split(" + ")): item.left_ev_per_atom
        for item in Ranking("YBa2Cu3O6.5", thermodynamics, 920).rank(given)
    }
    mixed = found[frozenset({"Y2O3", "BaO", "BaO2", "Cu2O"})]
    assert mixed == pytest.approx(found[frozenset({"Y2O3", "BaO", "CuO"})])


def test_anatase_brings_more_than_rutile(thermodynamics: Thermodynamics) -> None:
    """2.61 kJ/mol, which between zinc titanates is more than half of what is left."""
    structures = {"anatase": "TiO2-Anatase", "rutile": "TiO2-Rutile", "unnamed": "CO-17"}
    stock = [
        StockItem(name=name, formula="TiO2", slot=i, mass_g=50, structure=structure)
        for i, (name, structure) in enumerate(structures.items(), start=1)
    ]
    stock.append(StockItem(name="ZnO", formula="ZnO", slot=9, mass_g=50))
    given = precursor_sets("ZnTiO3", stock, 500.0, 850.0)
    order = Ranking("ZnTiO3", thermodynamics, 850).rank(given)
    kj = {
        item.candidate.doses[0].substance: item.energy.kj_per_mol
        for item in order
        if item.energy is not None
    }
    assert order[0].candidate.doses[0].substance == "anatase"
    assert kj["rutile"] - kj["anatase"] == pytest.approx(2.61)
    assert kj["unnamed"] == pytest.approx(kj["rutile"])


def test_refused_and_unknown_sets_come_last(thermodynamics: Thermodynamics) -> None:
    given = sets("Li2TiO3", "Li2CO3", "LiOH", "Li2C2O4", "TiO2")
    refused = Judgement("rule", True, "because")
    given = [
        PrecursorSet(item.reaction, item.doses, (refused,)) if "LiOH" in item.name else item
        for item in given
    ]
    order = Ranking("Li2TiO3", thermodynamics, 800).rank(given)
    assert [item.candidate.name for item in order] == [
        "Li2CO3 + TiO2", "Li2C2O4 + TiO2", "LiOH + TiO2"
    ]  # fmt: skip
    assert "Li2C2O4" in order[1].unknown


def test_a_ranking_does_not_depend_on_the_order_of_the_stock(
    thermodynamics: Thermodynamics,
) -> None:
    powders = ["SrO", "SrCO3", "TiO2", "SrTiO3"]

    def order(names: list[str]) -> list[frozenset[str]]:
        found = Ranking("Sr2TiO4", thermodynamics, 1100).rank(sets("Sr2TiO4", *names))
        return [frozenset(d.substance for d in item.candidate.doses) for item in found]

    assert order(powders) == order(powders[::-1])


def test_titanates_are_stable_against_their_neighbours(thermodynamics: Thermodynamics) -> None:
    for target in ("SrTiO3", "Sr2TiO4", "Sr3Ti2O7", "MgTiO3", "Li2TiO3", "BaTiO3"):
        found = Ranking(target, thermodynamics, 900).target_stability()
        assert found is not None
        assert found.kj_per_mol_of_atoms < 0


def test_phases_fall_apart_where_phase_diagrams_have_it(thermodynamics: Thermodynamics) -> None:
    """The spinel of lithium at 1018 C (Izquierdo & West 1980), the ilmenite of zinc near 930 C."""
    for target, stable_c, apart_c, rivals in (
        ("Li4Ti5O12", 950, 1080, {"Li2TiO3", "Li2Ti3O7"}),
        ("ZnTiO3", 800, 1050, {"Zn2TiO4", "TiO2"}),
    ):
        below = Ranking(target, thermodynamics, stable_c).target_stability()
        above = Ranking(target, thermodynamics, apart_c).target_stability()
        assert below is not None
        assert above is not None
        assert below.kj_per_mol_of_atoms < 0 < above.kj_per_mol_of_atoms
        assert set(above.rivals) == rivals


def test_oxygen_decides_which_oxide_of_copper_is_stable(thermodynamics: Thermodynamics) -> None:
    for o2_atm, winner in ((0.21, "CuO"), (1e-6, "Cu2O"), (1e-20, "Cu")):
        phases = open_phases(thermodynamics, {"Cu"}, 1100, Atmosphere("x", {"O2": o2_atm}))
        mixed = lowest_mixture({"Cu": 1.0}, phases)
        assert mixed is not None
        assert list(mixed[1]) == [winner]


def test_potentials_give_back_the_gases(thermodynamics: Thermodynamics) -> None:
    air = Atmosphere.air()
    mu = gas_potentials(thermodynamics, 1000, air)
    for gas, sum_of_atoms in (
        ("O2", 2 * mu["O"]),
        ("CO2", mu["C"] + 2 * mu["O"]),
        ("H2O", 2 * mu["H"] + mu["O"]),
        ("N2", 2 * mu["N"]),
    ):
        standard = thermodynamics.gibbs(gas, 1000).kj_per_mol
        assert sum_of_atoms == pytest.approx(standard + air.activity_kj_per_mol(gas, 1000))


def test_halides_are_not_judged(thermodynamics: Thermodynamics) -> None:
    assert Ranking("NaCl", thermodynamics, 900).target_stability() is None
