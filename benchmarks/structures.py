"""How fast a large folder of structures is indexed, brought up to date and searched.

    python benchmarks/structures.py --cifs 60000

The CIFs are the shipped ones with other cells and other elements, nested in folders as the
Crystallography Open Database's are, in a temporary folder. Writes benchmarks/results/structures.md
beside this file and prints the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np

from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.structure import read_structure
from matlab_ros.xrd.structure_import import CifSite, cif_text
from matlab_ros.xrd.structure_index import StructureIndex

SHIPPED = Path(__file__).resolve().parents[1] / "config" / "structures"
PATTERN = (
    Path(__file__).resolve().parents[1]
    / "test/xrd/data/In2O3_0p3022-La(OH)3_0p5014-TiO2_0p2004--2min.xrdml"
)
RESULT = Path(__file__).resolve().parent / "results" / "structures.md"
ELEMENTS = (
    *("Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Sc", "Y", "La", "Ce", "Nd", "Gd", "Yb"),
    *("Ti", "Zr", "Hf", "V", "Nb", "Ta", "Cr", "Mo", "W", "Mn", "Fe", "Co", "Ni", "Cu", "Zn"),
    *("Al", "Ga", "In", "Si", "Ge", "Sn", "Pb", "Sb", "Bi", "P", "As", "S", "Se", "F", "Cl"),
)
ANIONS = frozenset({"O", "H", "C"})
QUERIES = (
    *("La,In,Ti,O,C,H", "V,Ni,O,C,H", "Li,Ti,Ni,O,C,H", "Y,Ba,Cu,O,C,H", "Mg,Al,Fe,Ca,Si,O,C,H"),
    *("Bi,Fe,O", "Na,K,Nb,O", "Zn,O", "Ca,Ni,P,O,H", "Li,Mn,Fe,Co,Ni,P,O,C,H"),
)


def make_cifs(folder: Path, count: int, seed: int) -> None:
    """Writes `count` CIFs; each 500th is cut short."""
    random = np.random.default_rng(seed)
    parents = []
    for path in sorted(SHIPPED.glob("*.cif")):
        small = gemmi.make_small_structure_from_block(gemmi.cif.read(str(path)).sole_block())
        if small.spacegroup is not None:
            parents.append((small, read_structure(path).composition))
    for number in range(count):
        parent, composition = parents[number % len(parents)]
        own = sorted(composition.keys() - ANIONS)
        others = {e: e for e in composition}
        others |= dict(zip(own, random.choice(ELEMENTS, len(own), replace=False), strict=True))
        scale = random.uniform(0.95, 1.15)
        sites = [
            CifSite(
                str(others["H" if site.element.name == "D" else site.element.name]),
                (site.fract.x, site.fract.y, site.fract.z),
                min(site.occ, 1.0),
            )
            for site in parent.sites
        ]
        cell = parent.cell
        text = cif_text(
            f"made_{number}",
            (*(scale * v for v in (cell.a, cell.b, cell.c)), cell.alpha, cell.beta, cell.gamma),
            [operation.triplet() for operation in parent.spacegroup.operations()],
            sites,
            {str(others[element]): n for element, n in composition.items()},
            f"Made up {1950 + number % 70}",
        )
        if number % 500 == 499:
            text = text[: len(text) // 2]
        place = folder / f"{number // 10000}" / f"{number // 100 % 100:02d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{1000000 + number}.cif").write_text(text)


def measure(count: int, jobs: int, seed: int) -> str:
    """Runs everything and returns the section as Markdown."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "cifs"
        make_cifs(folder, count, seed)
        rows: list[tuple[str, float, str]] = []

        def timed(name: str, work: Callable[[], str]) -> None:
            start = time.perf_counter()
            said = work()
            rows.append((name, time.perf_counter() - start, said))

        # Processes that start afresh load compiled code; that is part of what a person waits for.
        glanced = StructureIndex(Path(temporary) / "glanced.sqlite")
        timed(
            "first look (elements only, one process)",
            lambda: f"{glanced.refresh(folder)} files",
        )
        index = StructureIndex(Path(temporary) / "index.sqlite")
        timed(
            f"`structures add` (everything read, {jobs} processes)",
            lambda: f"{index.refresh(folder, thorough=True, jobs=jobs)} files",
        )
        timed("nothing has changed", lambda: f"{index.refresh(folder, thorough=True)} files")
        changed = sorted(folder.rglob("*.cif"))[:: max(count // 100, 1)]
        for path in changed:
            path.write_text(path.read_text() + "\n")
        timed(
            f"{len(changed)} files have changed",
            lambda: f"{index.refresh(folder, thorough=True)} files",
        )
        timed("broken ones are listed", lambda: f"{len(index.broken([folder]))} files")
        size = (Path(temporary) / "index.sqlite").stat().st_size / 1e6
        lines = [
            "| | s | |",
            "|---|---|---|",
            *(f"| {name} | {seconds:.2f} | {said} |" for name, seconds, said in rows),
            "",
            f"The index takes {size:.0f} MB.",
            "",
            *searches(folder, index),
        ]
    return "\n".join(lines) + "\n"


def searches(folder: Path, index: StructureIndex) -> list[str]:
    """Searching the index by elements, and what of it becomes candidates for a pattern."""
    library = Library(folder, index)
    pattern = read_pattern(PATTERN)
    rows = []
    for query in QUERIES:
        elements = query.split(",")
        took = []
        for _ in range(5):
            start = time.perf_counter()
            found = index.made_of([folder], elements)
            took.append(time.perf_counter() - start)
        start = time.perf_counter()
        candidates = library.candidates(elements, pattern=pattern)
        cold = time.perf_counter() - start
        start = time.perf_counter()
        library.candidates(elements, pattern=pattern)
        warm = time.perf_counter() - start
        rows.append(
            (statistics.median(took), len(found), len(candidates.phases), query, cold, warm)
        )
    return [
        "| elements | search / ms | found | candidates | first time / ms | again / ms |",
        "|---|---|---|---|---|---|",
        *(
            f"| {query} | {1000 * took:.1f} | {n} | {m} | {1000 * cold:.0f} | {1000 * warm:.0f} |"
            for took, n, m, query, cold, warm in rows
        ),
        "",
        f"Median search {1000 * statistics.median(row[0] for row in rows):.1f} ms, slowest "
        f"{1000 * max(row[0] for row in rows):.1f} ms. Candidates are grouped by structure and "
        "ranked by a measured pattern's lines; the first time the CIFs of those chosen are read.",
    ]


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifs", type=int, default=60000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    section = "\n".join(
        [
            "## Structures",
            "",
            f"{options.cifs} CIFs made from the shipped ones (seed {options.seed}), nested as in "
            f"the COD. Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
            f"{platform.machine()}, {os.cpu_count()} cores, shared. Seconds of the clock.",
            "",
            measure(options.cifs, options.jobs, options.seed),
        ]
    )
    print(section)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(section, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
