"""Structures give the structure factors, masses and densities that the literature has."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.catalogue import MARKER, catalogue
from matlab_ros.xrd.library import Library, distinct_phases
from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.profile import free_cell_constants
from matlab_ros.xrd.structure import Structure, read_structure, reflections

STRUCTURES = Path(__file__).parents[2] / "config" / "structures"
CU = 1.5405929


def shipped() -> list[Path]:
    return sorted(STRUCTURES.glob("*.cif"))


def relative_intensities(structure: Structure, up_to_deg: float) -> tuple[FloatArray, FloatArray]:
    """Angles in degrees and heights of merged lines, 100 for the strongest."""
    found = reflections(structure, CU / 2 / np.sin(np.radians(up_to_deg / 2)), CU)
    theta = np.arcsin(CU / 2 / found.d)
    lp = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    lines: dict[float, float] = {}
    for angle, value in zip(
        2 * np.degrees(theta), found.f_squared * found.multiplicity * lp, strict=True
    ):
        lines[round(float(angle), 2)] = lines.get(round(float(angle), 2), 0.0) + float(value)
    angles = np.array(sorted(lines))
    heights = np.array([lines[a] for a in angles])
    return angles, 100 * heights / heights.max()


def test_silicon_has_the_measured_structure_factors() -> None:
    """Pendelloesung values of Aldred & Hart (Proc. R. Soc. A 332, 223, 1973), per atom, Ag K-alpha.

    Spherical atoms differ from them by the bond charge, up to 2.5 %.
    """
    measured = {3: 10.603, 8: 8.388, 11: 7.681, 16: 6.996, 19: 6.726, 24: 6.112}
    found = reflections(read_structure(STRUCTURES / "Si-Silicon.cif"), 1.0, 0.5594)
    for norm, expected in measured.items():
        index = int(np.flatnonzero((found.hkl**2).sum(axis=1) == norm)[0])
        atoms_in_phase = 8.0 if norm % 4 == 0 else 4.0 * np.sqrt(2.0)
        per_atom = np.sqrt(found.f_squared[index]) / atoms_in_phase
        assert per_atom == pytest.approx(expected, rel=0.025)


def test_silicon_lines_lie_where_the_standard_has_them() -> None:
    """NIST SRM 640 with Cu K-alpha 1: 111, 220, 311, 400, 331, 422."""
    angles, _ = relative_intensities(read_structure(STRUCTURES / "Si-Silicon.cif"), 90)
    assert angles[:6] == pytest.approx([28.44, 47.30, 56.12, 69.13, 76.38, 88.03], abs=0.02)


def test_rutile_has_the_lines_of_the_literature() -> None:
    """Calculated card 21-1276: 110, 101, 200, 111, 210, 211, 220."""
    angles, heights = relative_intensities(read_structure(STRUCTURES / "TiO2-Rutile.cif"), 57)
    assert angles == pytest.approx([27.43, 36.08, 39.19, 41.24, 44.05, 54.32, 56.63], abs=0.03)
    assert heights == pytest.approx([100, 47, 7, 19, 7, 56, 17], abs=4)


@pytest.mark.parametrize(
    "name", ["TiO2-Rutile", "In2O3-Bixbyite", "CaTiO3-Perovskite", "ZnO-Zincite"]
)
def test_atoms_on_special_positions_count_once(name: str) -> None:
    """F(hkl) agrees with gemmi's own calculator fed with crystallographic occupancies.

    Without that call gemmi counts special positions as often as their orbit repeats, and
    intensities come out wrong by a factor of ten or more.
    """
    structure = read_structure(STRUCTURES / f"{name}.cif")
    found = reflections(structure, 1.2, CU, 1e-2)
    small = gemmi.read_small_structure(str(STRUCTURES / f"{name}.cif"))
    for site in small.sites:
        site.u_iso = site.u_iso or 0.0076
    small.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    f_second = 0.0
    for symbol in structure.elements - {"H"}:
        element = gemmi.Element(symbol)
        f_prime, imaginary = gemmi.cromer_liberman(element.atomic_number, gemmi.hc / CU)
        calculator.addends.set(element, f_prime)
        f_second += structure.composition[symbol] * imaginary
    theirs = np.array(
        [
            abs(calculator.calculate_sf_from_small_structure(small, [int(i) for i in h])) ** 2
            for h in found.hkl
        ]
    )
    # Ours has f'' too, which adds at most the square of its sum.
    assert np.all(found.f_squared >= theirs * 0.999)
    assert np.all(found.f_squared <= theirs * 1.001 + f_second**2)


def test_multiplicities_are_those_of_the_tables() -> None:
    found = reflections(read_structure(STRUCTURES / "Si-Silicon.cif"), 1.0, CU)
    by_norm = {
        int((h**2).sum()): int(m) for h, m in zip(found.hkl, found.multiplicity, strict=True)
    }
    assert by_norm[3] == 8
    assert by_norm[8] == 12
    assert by_norm[11] == 24
    assert by_norm[16] == 6


@pytest.mark.parametrize("path", shipped(), ids=lambda p: p.stem)
def test_shipped_structure_is_sound(path: Path) -> None:
    structure = read_structure(path)
    assert structure.citation
    assert 1.0 < structure.density < 13.0
    assert reflections(structure, 1.0, CU).hkl.shape[0] > 0


@pytest.mark.parametrize(
    ("name", "density"),
    [
        ("Al2O3-Corundum", 3.99),
        ("MgO-Periclase", 3.58),
        ("MgTiO3", 3.89),
        ("Ca(OH)2-Portlandite", 2.26),
        ("Mg(OH)2-Brucite", 2.37),
        ("Li4Ti5O12-Spinel", 3.48),
    ],
)
def test_density_is_that_of_the_literature(name: str, density: float) -> None:
    """Hydrogen that a CIF leaves out or lists too often must not spoil the mass."""
    assert read_structure(STRUCTURES / f"{name}.cif").density == pytest.approx(density, rel=0.01)


def test_linear_absorption_is_that_of_the_tables() -> None:
    """Corundum 125/cm, rutile 537/cm, NiO 262/cm for Cu K-alpha (mass coefficients of IT C)."""
    for name, expected in (("Al2O3-Corundum", 125), ("TiO2-Rutile", 530), ("NiO-Bunsenite", 262)):
        mu = read_structure(STRUCTURES / f"{name}.cif").linear_absorption_per_cm(CU)
        assert mu == pytest.approx(expected, rel=0.06), name


def test_readme_lists_every_shipped_structure() -> None:
    text = (STRUCTURES / "README.md").read_text(encoding="utf-8")
    assert text.split(MARKER)[1].strip() == catalogue(STRUCTURES).strip()


def test_formula_that_the_atoms_do_not_make_is_refused(tmp_path: Path) -> None:
    text = (STRUCTURES / "TiO2-Rutile.cif").read_text()
    (tmp_path / "bad.cif").write_text(text.replace("Ti O2", "Ti2 O3"))
    with pytest.raises(DataError, match="its formula says"):
        read_structure(tmp_path / "bad.cif")


def test_cell_that_does_not_fit_the_space_group_is_refused(tmp_path: Path) -> None:
    text = (STRUCTURES / "TiO2-Rutile.cif").read_text()
    assert "_cell_angle_gamma 90" in text
    (tmp_path / "bad.cif").write_text(text.replace("_cell_angle_gamma 90", "_cell_angle_gamma 120"))
    with pytest.raises(DataError, match="space group"):
        read_structure(tmp_path / "bad.cif")


@pytest.mark.parametrize("text", ["", "data_x\n_cell_length_a 3\n", "loop_\n_a\n'", "\x00\xff"])
def test_what_is_no_cif_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.cif").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"bad\.cif"):
        read_structure(tmp_path / "bad.cif")


def test_equal_cell_constants_stay_equal() -> None:
    assert free_cell_constants((4, 4, 4, 90, 90, 90)) == ((0, 1, 2),)
    assert free_cell_constants((4, 4, 6, 90, 90, 120)) == ((0, 1), (2,))
    assert free_cell_constants((5, 5, 5, 55, 55, 55)) == ((0, 1, 2), (3, 4, 5))
    assert free_cell_constants((5, 6, 7, 90, 113, 90)) == ((0,), (1,), (2,), (4,))


def test_two_determinations_of_a_structure_are_one_phase(tmp_path: Path) -> None:
    original = STRUCTURES / "In2O3-Bixbyite.cif"
    other = tmp_path / "In2O3-other.cif"
    other.write_text(original.read_text().replace("10.117", "10.140"))
    phases = distinct_phases([read_structure(original), read_structure(other)])
    assert len(phases) == 1
    assert len(phases[0].others) == 1
    polymorphs = [
        read_structure(STRUCTURES / f"TiO2-{n}.cif") for n in ("Rutile", "Anatase", "Brookite")
    ]
    assert len(distinct_phases(polymorphs)) == 3


def test_elements_leave_what_can_be_in_a_crucible() -> None:
    found = Library(STRUCTURES).candidates({"Mg", "Ti", "O"})
    formulas = {phase.formula for phase in found.phases}
    assert {"MgO", "TiO2", "MgTiO3", "Mg2TiO4", "MgTi2O5"} <= formulas
    assert all(phase.structure.elements <= {"Mg", "Ti", "O"} for phase in found.phases)


def test_bare_elements_gases_and_ice_are_excluded_with_a_reason(tmp_path: Path) -> None:
    magnesite = (STRUCTURES / "MgCO3-Magnesite.cif").read_text()
    (tmp_path / "ice.cif").write_text(
        magnesite.replace("Mg1 Mg", "O9 O").replace("'Mg C O3'", "'O C O3'")
    )
    (tmp_path / "silicon.cif").write_text((STRUCTURES / "Si-Silicon.cif").read_text())
    found = Library(tmp_path).candidates({"Si", "C", "O"})
    assert not found.phases
    reasons = {e.name: e.reason for e in found.excluded}
    assert "oxidise" in reasons["silicon"]
    assert "volatile" in reasons["ice"]


def test_missing_or_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        Library(tmp_path / "absent")
    with pytest.raises(DataError, match="no CIF"):
        Library(tmp_path)


def test_phase_that_the_library_lacks_is_named() -> None:
    library = Library(STRUCTURES)
    with pytest.raises(DataError, match="Ca3Ti2O7"):
        library.named("Ca3Ti2O7")
    assert {phase.name for phase in library.named("TiO2")} >= {"TiO2-Rutile", "TiO2-Anatase"}
    assert [phase.name for phase in library.named("TiO2-Rutile")] == ["TiO2-Rutile"]
