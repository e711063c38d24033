"""Folders of CIFs are found by their elements, remembered, and kept up to date."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.cli import main
from matlab_ros.model.errors import DataError
from matlab_ros.share import share_dir
from matlab_ros.xrd.library import Library, distinct_phases
from matlab_ros.xrd.pattern import Pattern, Radiation
from matlab_ros.xrd.prescreen import visible_intensity
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.structure import Structure, read_structure
from matlab_ros.xrd.structure_import import import_structures
from matlab_ros.xrd.structure_index import PLACE_VARIABLE, StructureIndex
from matlab_ros.xrd.summary import Summary, element_bits, summarise

STRUCTURES = share_dir() / "config" / "structures"
MEASURED = Path(__file__).parent / "data" / "TiO2_0p4009-ZnO_0p6010--2min.xrdml"
OXIDES = ("TiO2-Rutile", "TiO2-Anatase", "MgO-Periclase", "ZnO-Zincite", "MgTiO3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some CIFs in nested folders, one of them broken."""
    made = tmp_path / "cifs"
    for number, name in enumerate(OXIDES):
        place = made / str(number % 2) / "00"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(STRUCTURES / f"{name}.cif", place)
    whole = (STRUCTURES / "TiO2-Brookite.cif").read_text()
    (made / "cut.cif").write_text(whole[: len(whole) // 2])
    return made


@pytest.fixture
def index(tmp_path: Path) -> StructureIndex:
    return StructureIndex(tmp_path / "index.sqlite")


def names(index: StructureIndex, folder: Path, *elements: str, every: bool = False) -> set[str]:
    return {entry.path.stem for entry in index.made_of([folder], elements, every)}


def test_structures_are_found_by_their_elements(index: StructureIndex, folder: Path) -> None:
    assert index.refresh(folder) == 6
    assert names(index, folder, "Ti", "O") == {"TiO2-Rutile", "TiO2-Anatase"}
    assert names(index, folder, "Mg", "Ti", "O") >= {"MgTiO3", "MgO-Periclase", "TiO2-Rutile"}
    assert names(index, folder, "Mg", "Ti", "O", every=True) == {"MgTiO3"}
    assert names(index, folder, "Ti") == set()


@given(st.sets(st.integers(1, 118)), st.sets(st.integers(1, 118)))
def test_masks_tell_subsets_of_all_elements(first: set[int], second: set[int]) -> None:
    low, high = element_bits(gemmi.Element(z).name for z in first)
    lower, higher = element_bits(gemmi.Element(z).name for z in second)
    assert (low & ~lower == 0 and high & ~higher == 0) == (first <= second)
    assert max(low, high) < 2**63


def test_broken_files_are_listed_with_their_reason_and_stop_nothing(
    index: StructureIndex, folder: Path
) -> None:
    (folder / "noise.cif").write_bytes(bytes(range(256)))
    (folder / "empty.cif").write_bytes(b"")
    index.refresh(folder, thorough=True)
    broken = {entry.path.stem: entry.reason for entry in index.broken([folder])}
    assert broken.keys() == {"cut", "noise", "empty"}
    assert all(broken.values())
    assert index.folders()[0].read == 5


def test_changed_added_and_removed_files_are_noticed(index: StructureIndex, folder: Path) -> None:
    index.refresh(folder, thorough=True)
    zincite = next(folder.rglob("ZnO*.cif"))
    zincite.write_text(zincite.read_text().replace("Zn", "Be"))
    next(folder.rglob("MgTiO3.cif")).unlink()
    shutil.copy(STRUCTURES / "CaO-Lime.cif", folder)
    assert index.refresh(folder) == 6
    assert names(index, folder, "Zn", "O") == set()
    assert names(index, folder, "Be", "O") == {"ZnO-Zincite"}
    assert names(index, folder, "Mg", "Ti", "O", every=True) == set()
    assert names(index, folder, "Ca", "O") == {"CaO-Lime"}


def test_what_one_has_read_the_next_need_not(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "index.sqlite"
    Library(folder, StructureIndex(file)).candidates({"Ti", "O"})
    entries = StructureIndex(file).made_of([folder], {"Ti", "O"})
    assert all(entry.summary is not None or entry.reason for entry in entries)
    state = StructureIndex(file).folders()[0]
    assert (state.files, state.read, state.broken) == (6, 2, 1)


def test_several_processes_and_threads_index_one_folder_at_once(
    tmp_path: Path, folder: Path
) -> None:
    file = tmp_path / "shared.sqlite"
    program = (
        "import sys; from pathlib import Path; "
        "from matlab_ros.xrd.structure_index import StructureIndex; "
        "StructureIndex(Path(sys.argv[1])).refresh(Path(sys.argv[2]), thorough=True)"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", program, str(file), str(folder)]) for _ in range(2)
    ]
    index = StructureIndex(file)
    threads = [
        threading.Thread(target=index.refresh, args=(folder,), kwargs={"thorough": True})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [process.wait(60) for process in others] == [0, 0]
    assert index.count([folder]) == 6
    assert index.folders()[0].read == 5


def test_processes_read_a_large_folder_together(index: StructureIndex, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    text = (STRUCTURES / "MgO-Periclase.cif").read_text()
    for number in range(150):
        (folder / f"{number}.cif").write_text(text)
    told: list[tuple[int, int]] = []
    index.refresh(folder, thorough=True, jobs=2, progress=lambda *now: told.append(now))
    assert told[-1] == (150, 150)
    assert index.folders()[0].read == 150
    # All of them are one structure.
    phases = Library(folder, index).candidates({"Mg", "O"}).phases
    assert len(phases) == 1
    assert phases[0].others[0].formula == "MgO"


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 4000])
def test_without_a_usable_database_the_index_is_in_memory(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    file = tmp_path / "index.sqlite"
    file.write_bytes(content)
    index = StructureIndex(file)
    assert index.file is None
    assert len(Library(folder, index).candidates({"Ti", "O"}).phases) == 2
    assert file.read_bytes() == content


def test_an_index_of_another_version_is_built_anew(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "index.sqlite"
    first = StructureIndex(file)
    first.refresh(folder)
    first.keep(folder)
    first.close()
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    again = StructureIndex(file)
    assert again.count([folder]) == 0
    assert [(s.path, s.kept) for s in again.folders()] == [(folder.resolve(), True)]


def test_summaries_survive_the_database() -> None:
    for path in sorted(STRUCTURES.glob("*.cif"))[::12]:
        summary = summarise(read_structure(path))
        again = Summary.from_row(*summary.to_row())
        assert again.formula == summary.formula
        assert again.composition == pytest.approx(summary.composition)
        assert np.allclose(again.lines, summary.lines, rtol=1e-6)


def test_most_candidates_are_those_the_pattern_can_hold(tmp_path: Path) -> None:
    """The phases of a real mixture stay when one in eight of the candidates may."""
    found = Library(STRUCTURES).candidates(
        {"Ti", "Zn", "O", "Mg", "Ca", "La", "Al", "Fe", "Si", "C", "H", "Mn", "V", "Li"},
        pattern=read_pattern(MEASURED),
        most=6,
    )
    assert {"ZnO-Zincite", "TiO2-Anatase"} <= {phase.name for phase in found.phases}
    assert len(found.phases) == 6
    assert sum("strongest lines" in each.reason for each in found.excluded) > 30


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shift=st.floats(-0.1, 0.1),
    step=st.sampled_from([0.01, 0.02, 0.05]),
)
def test_a_structure_that_is_there_is_never_ranked_last(
    seed: int, shift: float, step: float
) -> None:
    random = np.random.default_rng(seed)
    chosen = [SHIPPED[i] for i in random.choice(len(SHIPPED), 12, replace=False)]
    x = np.arange(15.0, 90.0, step)
    d, strength = chosen[0].lines.T
    at = 2 * np.degrees(np.arcsin(Radiation().kalpha1_angstrom / 2 / d)) + shift
    heights = 3000 * strength / strength.max()
    curve = 200 + sum(
        h * np.exp(-(((x - a) / 0.06) ** 2)) for h, a in zip(heights, at, strict=True)
    )
    pattern = Pattern(x, random.poisson(curve).astype(float))
    bounds = visible_intensity(pattern, chosen)
    assert np.sum(bounds > bounds[0]) < 6


SHIPPED = [summarise(read_structure(path)) for path in sorted(STRUCTURES.glob("*.cif"))]


def as_export(structure: Structure) -> dict[str, object]:
    """As pymatgen's Structure.as_dict() has it: a primitive-like list of all atoms."""
    matrix = np.array(gemmi.UnitCell(*structure.cell).orth.mat.tolist()).T
    sites: dict[tuple[float, ...], dict[str, object]] = {}
    for symbol, place, occupancy in zip(
        structure.symbols, structure.positions, structure.occupancies, strict=True
    ):
        key = tuple(np.round(place % 1.0, 4) % 1.0)
        site = sites.setdefault(key, {"species": [], "abc": place.tolist()})
        species = site["species"]
        assert isinstance(species, list)
        species.append({"element": symbol, "occu": float(occupancy)})
    return {"lattice": {"matrix": matrix.tolist()}, "sites": list(sites.values())}


@pytest.mark.parametrize("shape", ["documents", "by id", "bare"])
def test_an_export_of_the_materials_project_becomes_the_same_structures(
    tmp_path: Path, shape: str
) -> None:
    paths = [STRUCTURES / f"{name}.cif" for name in (*OXIDES, "YBa2Cu3O6.9-YBCO", "In2O3-Bixbyite")]
    originals = [read_structure(path) for path in paths]
    exports = [as_export(structure) for structure in originals]
    document: object = exports
    if shape == "documents":
        document = [{"material_id": f"mp-{i}", "structure": e} for i, e in enumerate(exports)]
    elif shape == "by id":
        document = {f"mp-{i}": {"structure": e} for i, e in enumerate(exports)}
    (tmp_path / "export.json").write_text(json.dumps(document))
    imported = import_structures(tmp_path / "export.json", tmp_path / "out")
    assert not imported.problems
    for original, path in zip(originals, imported.written, strict=True):
        again = read_structure(path)
        assert len(distinct_phases([original, again])) == 1, path
        # Symmetry is found again: as few constants are free as in the original.
        assert len(again.rotations) == len(original.rotations)
    if shape != "bare":
        assert imported.written[0].name == "mp-0.cif"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no complete JSON"),
        ("[1, 2", "no complete JSON"),
        ("[]", "no structure"),
        ('{"a": {"lattice": {"matrix": [[1]]}, "sites": []}}', "no matrix"),
        (
            '[{"lattice": {"matrix": [[4,0,0],[0,4,0],[0,0,4]]}, "sites": '
            '[{"species": [{"element": "Qq", "occu": 1}], "abc": [0,0,0]}]}]',
            "'Qq' is no element",
        ),
    ],
)
def test_an_export_that_makes_no_sense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(DataError, match=words):
        import_structures(tmp_path / "export.json", tmp_path / "out")


def test_the_command_adds_lists_searches_and_checks(
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(PLACE_VARIABLE, str(tmp_path / "place"))
    assert main(["structures", "add", str(folder)]) == 0
    assert "6 CIFs, 1 of them not usable" in capsys.readouterr().out
    export = tmp_path / "mp.json"
    export.write_text(json.dumps(as_export(read_structure(STRUCTURES / "CaO-Lime.cif"))))
    assert main(["structures", "add", str(export)]) == 0
    assert main(["structures", "list"]) == 0
    listed = capsys.readouterr().out
    assert "shipped" in listed
    assert "cifs" in listed
    assert main(["structures", "search", "Ca,O", "--every"]) == 0
    searched = capsys.readouterr().out
    assert "mp-1" in searched
    assert "CaO-Lime" in searched
    assert main(["structures", "check", str(folder)]) == 1
    assert "cut.cif" in capsys.readouterr().out
    assert main(["structures", "remove", str(folder)]) == 0
    assert main(["structures", "remove", str(folder)]) == 2
    assert main(["structures", "add", str(tmp_path / "absent")]) == 2
    assert main(["structures", "search", "Qq"]) == 2
    assert "Qq" in capsys.readouterr().err


def test_every_shipped_structure_cites_a_year_and_a_page_or_a_database() -> None:
    for summary in SHIPPED:
        numbers = re.findall(r"\d+", summary.citation)
        assert any(1900 <= int(number) <= 2030 for number in numbers), summary.name
        assert len(numbers) >= 3 or "COD" in summary.citation, summary.name
