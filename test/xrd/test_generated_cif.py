"""CIFs of generative models: read as they were meant, or refused; and whether they can exist."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.oxidation_states import charge_balance
from matlab_ros.chemistry.target_checks import Level, check_charges, check_distances, check_room
from matlab_ros.cli import main
from matlab_ros.model.errors import DataError
from matlab_ros.share import share_dir
from matlab_ros.xrd.generated_cif import read_generated, repaired_text
from matlab_ros.xrd.lines import hidden_share, powder_lines
from matlab_ros.xrd.structure import read_structure

# As a language model writes it: properties of the elements first, the symmetry named but not
# written out, labels that count from 0.
RAW = """\
data_Na4Cl4
loop_
_atom_type_symbol
_atom_type_electronegativity
Na 0.93
Cl 3.16
_symmetry_space_group_name_H-M {symbol}
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90.0
_cell_angle_beta 90.0
_cell_angle_gamma 90.0
_chemical_formula_sum 'Na4 Cl4'
_cell_formula_units_Z 4
{operations}
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{atoms}
"""
IDENTITY = "loop_\n_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as_xyz\n1 'x, y, z'"
UNIT = "Na Na0 0 0 0 1\nCl Cl1 0.5 0.5 0.5 1"
FACES = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
WHOLE = "\n".join(
    f"{symbol} {symbol}{i} {(x + shift) % 1} {(y + shift) % 1} {(z + shift) % 1} 1"
    for symbol, shift in (("Na", 0.0), ("Cl", 0.5))
    for i, (x, y, z) in enumerate(FACES)
)


def write(folder: Path, symbol: str = "Fm-3m", a: float = 5.64, **parts: str) -> Path:
    path = folder / "salt.cif"
    text = RAW.format(
        symbol=symbol,
        a=a,
        operations=parts.get("operations", IDENTITY),
        atoms=parts.get("atoms", UNIT),
    )
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({}, "filled in"),
        ({"atoms": WHOLE}, "lists all atoms"),
        ({"symbol": "?", "operations": "", "atoms": WHOLE}, "names no symmetry"),
        ({"symbol": "'P 1'", "atoms": WHOLE}, ""),
        ({"operations": ""}, ""),
    ],
    ids=["identity only", "all atoms", "no symmetry", "P1", "symbol only"],
)
def test_a_generated_cif_is_read_as_it_was_meant(
    parts: dict[str, str], says: str, tmp_path: Path
) -> None:
    structure, notes = read_generated(write(tmp_path, **parts))
    assert structure.composition == {"Na": 4.0, "Cl": 4.0}
    assert structure.density == pytest.approx(2.164, abs=0.01)
    assert structure.name == "salt"
    assert says in " ".join(notes)
    assert bool(notes) == bool(says)
    strongest = powder_lines(structure)[0]
    assert strongest.two_theta_deg == pytest.approx(31.70, abs=0.02)


def test_the_repaired_text_is_read_alike_by_anybody(tmp_path: Path) -> None:
    path = tmp_path / "repaired.cif"
    path.write_text(repaired_text(write(tmp_path)))
    assert read_structure(path).composition == {"Na": 4.0, "Cl": 4.0}


@pytest.mark.parametrize("cut", [150, 400, 510])
def test_a_cif_that_was_cut_off_is_refused(cut: int, tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text()[:cut])
    with pytest.raises(DataError):
        read_generated(path)


@pytest.mark.parametrize(
    "atoms",
    [
        "Na+ Na_0 0 0 0 1\nCl- Cl-1 0.5 0.5 0.5 1",
        "Na1+ Na1 0.0(1) 0 0 1.0\nCl1- Cl2 0.5 0.5 0.5 1.0",
        "Na Na+0 1.0 -1 0 1\nCl Cl@1 -0.5 0.5 1.5 1",
    ],
    ids=["charges", "charges with numbers", "odd labels"],
)
def test_odd_labels_and_charges_do_no_harm(atoms: str, tmp_path: Path) -> None:
    structure, _ = read_generated(write(tmp_path, atoms=atoms))
    assert structure.composition == {"Na": 4.0, "Cl": 4.0}


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whatever_a_model_writes_is_a_structure_or_a_clear_error(data: st.DataObject) -> None:
    text = RAW.format(symbol="Fm-3m", a=5.64, operations=IDENTITY, atoms=UNIT)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        n = data.draw(st.integers(0, 20))
        new = data.draw(st.text(alphabet="0123456789.-+'\n _abNaOlCFPm?#;", max_size=6))
        text = text[:at] + new + text[at + n :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.cif"
        path.write_text(text)
        try:
            structure, _ = read_generated(path)
        except DataError:
            return
    assert structure.volume > 0
    check_distances(structure.symbols, structure.positions, structure.occupancies, structure.cell)
    check_charges(parse_formula(structure.formula))
    powder_lines(structure)


def test_shipped_structures_need_no_repair_and_can_exist() -> None:
    """But for one: the coordinates of NbO2 (Wyckoff, COD 9009093) have Nb and O 1.25 A apart."""
    wrong = set()
    for path in sorted((share_dir() / "config" / "structures").glob("*.cif")):
        structure, notes = read_generated(path)
        assert notes == ()
        checked = [
            check_charges(parse_formula(structure.formula)),
            check_distances(
                structure.symbols, structure.positions, structure.occupancies, structure.cell
            ),
        ]
        if any(item.level is not Level.FINE for item in checked):
            wrong.add(path.stem)
    assert wrong == {"NbO2"}


def test_atoms_too_close_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["target", str(write(tmp_path, a=3.2))]) == 1
    assert "closer than" in capsys.readouterr().out


def test_atoms_that_exclude_one_another_may_share_a_place() -> None:
    cell = (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)
    positions = np.array([[0.0, 0.0, 0.0], [0.02, 0.0, 0.0], [0.5, 0.5, 0.5]])
    half = np.array([0.5, 0.5, 1.0])
    assert check_distances(["Ti", "Ti", "O"], positions, half, cell).level is Level.FINE
    whole = np.ones(3)
    assert check_distances(["Ti", "Ti", "O"], positions, whole, cell).level is Level.WRONG


@pytest.mark.parametrize(
    ("formula", "states"),
    [
        ("BaTiO3", {"Ba": 2, "Ti": 4, "O": -2}),
        ("LiFePO4", {"Li": 1, "Fe": 2, "P": 5, "O": -2}),
        ("Fe3O4", {"Fe": 8 / 3, "O": -2}),
        ("YBa2Cu3O7", {"Y": 3, "Ba": 2, "Cu": 7 / 3, "O": -2}),
        ("Mg(OH)2", {"Mg": 2, "O": -2, "H": 1}),
        ("CaCO3", {"Ca": 2, "C": 4, "O": -2}),
    ],
)
def test_charges_of_known_compounds(formula: str, states: dict[str, float]) -> None:
    found = charge_balance(parse_formula(formula))
    assert found is not None
    assert found.states == pytest.approx(states)


@pytest.mark.parametrize("formula", ["MgTiO5", "Li5O", "BaTi3O"])
def test_what_cannot_be_neutral_is_doubtful(formula: str) -> None:
    assert check_charges(parse_formula(formula)).level is Level.DOUBTFUL


def test_an_alloy_has_no_charges() -> None:
    assert check_charges(parse_formula("Ni3Al")).level is Level.FINE


def test_a_cell_that_is_far_too_roomy_is_doubtful() -> None:
    oxides = {"MgO": (1.0, 18.7), "TiO2": (1.0, 31.2)}
    assert check_room(51.3, oxides).level is Level.FINE
    assert check_room(90.0, oxides).level is Level.DOUBTFUL
    assert check_room(25.0, oxides).level is Level.DOUBTFUL


def test_a_phase_hides_behind_itself_and_not_behind_another() -> None:
    folder = share_dir() / "config" / "structures"
    rutile, anatase = (
        powder_lines(read_structure(folder / f"TiO2-{name}.cif")) for name in ("Rutile", "Anatase")
    )
    assert hidden_share(rutile, rutile) == pytest.approx(1.0)
    assert hidden_share(rutile, anatase) < 0.3
    assert hidden_share(rutile, ()) == 0.0


def test_lines_of_silicon_are_where_the_standard_has_them() -> None:
    """Angles and intensities of NIST's certificate of SRM 640, Cu K-alpha 1."""
    found = powder_lines(read_structure(share_dir() / "config" / "structures" / "Si-Silicon.cif"))
    known = ((28.44, 1.00), (47.30, 0.55), (56.12, 0.30))
    for line, (angle, intensity) in zip(found, known, strict=False):
        assert line.two_theta_deg == pytest.approx(angle, abs=0.03)
        assert line.intensity == pytest.approx(intensity, abs=0.12)
