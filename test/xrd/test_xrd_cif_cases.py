"""What CIFs do: settings, special positions, displacements, hydrogen, labels, mistakes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gemmi
import numpy as np
import pytest

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.composition import formula_amounts
from matlab_ros.xrd.structure import Structure, read_structure, reflections

ROOT = Path(__file__).parents[2]
STRUCTURES = ROOT / "config" / "structures"
GOLDEN = Path(__file__).parent / "data" / "pymatgen_intensities.json"
AVOGADRO = (
    Path(os.environ.get("MATLAB_ROS_DATA", ROOT.parent / "shared" / "datasets"))
    / "cifs"
    / "avogadro2"
)
CU = 1.5405929

# What pymatgen does not get: second origins of spinels and the like, hydrogen that a file leaves
# out of its coordinates. Densities of the literature.
OTHERS = {
    "Ca(OH)2-Portlandite": 2.26,
    "Co3O4-Spinel": 6.06,
    "KOH": 1.93,
    "Li2Ti3O7-Ramsdellite": 3.64,
    "Li4Ti5O12-Spinel": 3.48,
    "Mn3O4-Hausmannite": 4.84,
    "Ni(OH)2-Theophrastite": 3.98,
    "Si-Silicon": 2.329,
    "Sr2TiO4": 5.013,  # cell of 3.8861 and 12.5924 angstrom
    "Sr3Ti2O7": 5.042,  # cell of 3.90 and 20.38 angstrom (Ruddlesden and Popper 1958)
    "TiO2-Anatase": 3.89,
    "Zn2TiO4-Spinel": 5.32,
    "ZnCO3-Smithsonite": 4.43,
    "ZnFe2O4-Franklinite": 5.32,
    "ZnTiO3-Ilmenite": 5.168,  # 6 formula units in 310.91 cubic angstrom, a single crystal's
}

WRONG = {
    "W2C": "does not fit its space group",  # angles of 90 degrees in a trigonal cell
    "MgCO3-Magnesite": "its formula says",  # coordinates about another origin
    "Er-Erbium": "no valid CIF",
    "Eu-Europium": "no valid CIF",
    "In-Indium": "does not fit its space group",  # lengths and angles exchanged
    "Se-Selenium": "no valid CIF",
    "Sm-Samarium": "to an atom",  # one of nine layers
    "Te-Tellurium": "it states",  # states half its density
    "AlCl3": "is not known",  # no coordinates, no space group
    "H2O-Ice-VI": "it states",
    "BN": "its formula says",
    "Pb1Ti0.35Zr0.65O3-PZT-rhomb": "its formula says",  # Ti and Zr exchanged
    "CoFe2O4": "share the place",  # coordinates about another origin
    "NiFe2O4": "share the place",
    "La2O3-LanthanumOxide-A": "its formula says",  # a third of the oxygen is missing
    "WO2": "does not fit its space group",  # gamma of 120 degrees in a tetragonal cell
    "Bi2S3-Bismuthinite": "no valid CIF",
    "LTN": "more than 2000 atoms",
    "PAU": "more than 2000 atoms",
    "VSV": "share the place",
}
"""Files of the collection that are wrong in themselves (or too large), and what is said of them."""


def cif(path: Path, atoms: str, cell: str = "4 4 4 90 90 90", **tags: str) -> Path:
    """Writes a CIF with a loop of atoms: label, type, x, y, z, occupancy."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x"]
    lines += [f"_cell_{name} {value}" for name, value in zip(names, cell.split(), strict=True)]
    lines += [f"_{tag} '{value}'" for tag, value in tags.items()]
    lines.append("loop_")
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    lines += [f"_atom_site_{column}" for column in columns]
    path.write_text("\n".join(lines) + "\n" + atoms.strip() + "\n")
    return path


def powder(structure: Structure) -> np.ndarray:
    """Spacings and intensities of the lines down to 1.2 angstrom, merged."""
    found = reflections(structure, 1.2, CU, 1e-3)
    lines: dict[float, float] = {}
    for d, value in zip(found.d, found.f_squared * found.multiplicity, strict=True):
        lines[round(float(d), 3)] = lines.get(round(float(d), 3), 0.0) + float(value)
    return np.array(sorted(lines.items()))


def test_densities_of_all_shipped_structures_are_those_of_others() -> None:
    golden = json.loads(GOLDEN.read_text())["densities"]
    for path in STRUCTURES.glob("*.cif"):
        ours = read_structure(path).density
        if path.stem in golden:
            assert ours == pytest.approx(golden[path.stem], rel=2e-3), path.stem
        else:
            assert ours == pytest.approx(OTHERS[path.stem], rel=5e-3), path.stem


@pytest.mark.skipif(not AVOGADRO.is_dir(), reason=f"no collection of CIFs in {AVOGADRO}")
def test_files_of_a_collection_are_right_or_refused_with_their_reason() -> None:
    """Density from the atoms against the stated one, or that of the formula units in the cell."""
    refused, off, compared = {}, {}, 0
    for path in sorted(AVOGADRO.rglob("*.cif")):
        try:
            structure = read_structure(path)
        except DataError as error:
            refused[path.stem] = error.problem
            continue
        block = gemmi.cif.read(str(path)).sole_block()
        density = gemmi.cif.as_number(block.find_value("_exptl_crystal_density_diffrn") or "?")
        number = gemmi.cif.as_number(block.find_value("_cell_formula_units_Z") or "?")
        formula = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "?")
        if not density > 0:
            if not number > 0 or "?" in formula:
                continue
            amounts = formula_amounts(formula).items()
            mass = number * sum(gemmi.Element(e).weight * n for e, n in amounts)
            density = mass / structure.volume * 1.66053907
        if abs(structure.density / density - 1) > 0.03:
            off[path.stem] = structure.density / density
        compared += 1
    assert off == {}
    assert refused.keys() == WRONG.keys()
    for name, words in WRONG.items():
        assert words in refused[name], name
    assert compared >= 25


@pytest.mark.parametrize(
    "name", ["Li2CO3-Zabuyelite", "Na2CO3-Natrite", "CaMgC2O6-Dolomite", "SiO2-Cristobalite"]
)
def test_anisotropic_displacements_damp_as_in_an_independent_program(name: str) -> None:
    """gemmi's calculator turns each tensor with its atom; equivalents differ by up to 13 %."""
    path = STRUCTURES / f"{name}.cif"
    structure = read_structure(path)
    assert structure.anisotropy is not None
    found = reflections(structure, 0.95, CU, 1e-3)
    small = gemmi.read_small_structure(str(path))
    small.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    for symbol in structure.elements:
        element = gemmi.Element(symbol)
        f_prime, _ = gemmi.cromer_liberman(element.atomic_number, gemmi.hc / CU)
        calculator.addends.set(element, f_prime)
    theirs = np.array(
        [
            abs(calculator.calculate_sf_from_small_structure(small, [int(i) for i in h])) ** 2
            for h in found.hkl
        ]
    )
    strong = theirs > 0.05 * theirs.max()
    # Ours has f'' too.
    assert found.f_squared[strong] == pytest.approx(theirs[strong], rel=0.015)


def test_rhombohedral_and_hexagonal_axes_are_one_structure(tmp_path: Path) -> None:
    """Magnesite in both settings of R -3 c: same density, same lines."""
    a, c = 4.6339, 15.0177
    length = np.sqrt(a * a / 3 + c * c / 9)
    angle = np.degrees(2 * np.arcsin(a / (2 * length)))
    hexagonal = cif(
        tmp_path / "h.cif",
        "Mg1 Mg2+ 0 0 0 1\nC1 C4+ 0 0 0.25 1\nO1 O2- 0.2778 0 0.25 1",
        f"{a} {a} {c} 90 90 120",
        **{"symmetry_space_group_name_H-M": "R -3 c {rhombohedral axes}"},
    )
    rhombohedral = cif(
        tmp_path / "r.cif",
        "Mg1 Mg 0 0 0 1\nC1 C 0.25 0.25 0.25 1\nO1 O 0.5278 -0.0278 0.25 1",
        " ".join(f"{v:.6f}" for v in (length,) * 3 + (angle,) * 3),
        **{"symmetry_space_group_name_H-M": "R -3 c"},
    )
    one, other = read_structure(hexagonal), read_structure(rhombohedral)
    assert one.formula == other.formula == "MgCO3"
    assert one.density == pytest.approx(3.01, abs=0.02)
    assert other.density == pytest.approx(one.density, rel=1e-4)
    assert one.volume == pytest.approx(3 * other.volume, rel=1e-4)
    ours, theirs = powder(one), powder(other)
    assert ours[:, 0] == pytest.approx(theirs[:, 0], abs=2e-3)
    assert ours[:, 1] == pytest.approx(9 * theirs[:, 1], rel=2e-3)


def test_operations_do_without_a_symbol_and_none_is_refused(tmp_path: Path) -> None:
    text = (STRUCTURES / "TiO2-Rutile.cif").read_text()
    kept = [line for line in text.splitlines() if "H-M" not in line and "Hall" not in line]
    group = gemmi.SpaceGroup("P 42/m n m")
    loop = ["loop_", "_symmetry_equiv_pos_as_xyz"]
    loop += [f"'{operation.triplet()}'" for operation in group.operations()]
    listed = tmp_path / "listed.cif"
    at = next(i for i, line in enumerate(kept) if line.startswith("loop_"))
    # Whatever listed them before goes.
    plain = [line for line in kept if "xyz" not in line and line.count(",") != 2]
    listed.write_text("\n".join([*plain[:at], *loop, *plain[at:]]))
    ours, theirs = read_structure(listed), read_structure(STRUCTURES / "TiO2-Rutile.cif")
    assert powder(ours) == pytest.approx(powder(theirs))
    none = tmp_path / "none.cif"
    none.write_text("\n".join(plain))
    with pytest.raises(DataError, match="no operations are listed"):
        read_structure(none)


def test_labels_of_water_and_of_deuterium_are_known(tmp_path: Path) -> None:
    group = {"symmetry_space_group_name_H-M": "P 1"}
    path = cif(
        tmp_path / "w.cif",
        "Mg1 Mg2+ 0 0 0 1\nWat1 ? 0.5 0 0 1\nOw2 ? 0 0.5 0 1\nD1 D 0.3 0.3 0.3 1\nHn1 ? .7 .7 .3 1",
        **group,
    )
    assert read_structure(path).composition == {"Mg": 1.0, "O": 2.0, "H": 2.0}
    path = cif(tmp_path / "x.cif", "Xx1 ? 0 0 0 1", **group)
    with pytest.raises(DataError, match="no known element"):
        read_structure(path)


def test_charges_of_labels_change_nothing(tmp_path: Path) -> None:
    group = {"symmetry_space_group_name_H-M": "F m -3 m"}
    cell = "4.21 4.21 4.21 90 90 90"
    neutral = cif(tmp_path / "n.cif", "Mg1 Mg 0 0 0 1\nO1 O .5 0 0 1", cell, **group)
    charged = cif(tmp_path / "c.cif", "Mg1 Mg2+ 0 0 0 1\nO1 O2- .5 0 0 1", cell, **group)
    assert powder(read_structure(charged)) == pytest.approx(powder(read_structure(neutral)))


def test_a_place_holds_one_atom(tmp_path: Path) -> None:
    """Mixed occupancy is fine up to what rounding makes of 1; two whole atoms are a mistake."""
    group = {"symmetry_space_group_name_H-M": "P 1"}
    mixed = "Fe1 Fe 0 0 0 0.6\nMn1 Mn 0 0 0 0.45\nO1 O 0.5 0.5 0.5 1.004"
    assert read_structure(cif(tmp_path / "m.cif", mixed, **group)).composition == {
        "Fe": 0.6,
        "Mn": 0.45,
        "O": 1.004,
    }
    twice = "Fe1 Fe 0 0 0 1\nMn1 Mn 0.02 0 0 1\nO1 O 0.5 0.5 0.5 1"
    with pytest.raises(DataError, match="2 atoms share the place of 'Fe1'"):
        read_structure(cif(tmp_path / "t.cif", twice, **group))
    # Some CIFs give multiplicities where occupancies belong.
    counts = "Fe1 Fe 0 0 0 4\nO1 O 0.5 0.5 0.5 1"
    assert read_structure(cif(tmp_path / "c.cif", counts, **group)).composition["Fe"] == 1.0


def test_rounded_coordinates_still_are_on_their_special_position(tmp_path: Path) -> None:
    """1/3 and 2/3 with four digits are one site of a hexagonal cell, not three."""
    path = cif(
        tmp_path / "z.cif",
        "Zn1 Zn 0.3333 0.6667 0 1\nO1 O 0.3333 0.6667 0.3819 1",
        "3.2498 3.2498 5.2066 90 90 120",
        **{"symmetry_space_group_name_H-M": "P 63 m c"},
    )
    structure = read_structure(path)
    assert structure.composition == {"Zn": 2.0, "O": 2.0}
    assert structure.density == pytest.approx(5.68, abs=0.01)
