"""Structures of the Materials Project, exported as JSON, become CIFs like all others.

Taken are pymatgen's ``Structure.as_dict()``, a summary document of mp-api that holds one under
``structure``, lists of either, and objects that map ids to either. Cells are calculated ones: most
functionals give lengths that are wrong by one or two per cent.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from numpy.typing import NDArray

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.composition import is_element, reduced_formula
from matlab_ros.xrd.pattern import FloatArray

MAX_BYTES = 2 * 1024**3
SAME_PLACE_ANGSTROM = 0.01
WRONG_KIND = "give a JSON file of pymatgen structures or of mp-api's summary documents"


@dataclass(frozen=True)
class CifSite:
    """An atom of the asymmetric unit.

    Attributes:
        element: its symbol.
        position: fractional coordinates.
        occupancy: 0 to 1.
    """

    element: str
    position: tuple[float, float, float]
    occupancy: float = 1.0


@dataclass(frozen=True)
class Imported:
    """What became of an export.

    Attributes:
        written: CIFs that were written.
        problems: what was left out, and why, in sentences.
    """

    written: tuple[Path, ...]
    problems: tuple[str, ...]


def import_structures(export: Path, folder: Path) -> Imported:
    """Writes a CIF for every structure of an export.

    Args:
        export: the JSON file.
        folder: where the CIFs go; it is made.

    Raises:
        DataError: the file cannot be read, or holds no structure at all.
    """
    document = _document(export)
    written: list[Path] = []
    problems: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            folder, f"cannot be made ({error.strerror})", "choose another place"
        ) from error
    for number, (name, found) in enumerate(_structures(document, ""), start=1):
        name = name or f"{export.stem}-{number}"
        try:
            text = _cif_of(name, found)
        except (ValueError, TypeError, KeyError, LookupError, ArithmeticError) as error:
            problems.append(f"{name}: {str(error) or type(error).__name__}")
            continue
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.+-]', '_', name)}.cif"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    if not written:
        why = f" ({problems[0]})" if problems else ""
        raise DataError(export, f"there is no structure in it{why}", WRONG_KIND)
    return Imported(tuple(written), tuple(problems))


def cif_text(
    name: str,
    cell: Sequence[float],
    operations: Sequence[str],
    sites: Sequence[CifSite],
    composition: dict[str, float],
    source: str,
) -> str:
    """A CIF of one structure.

    Args:
        name: of the data block.
        cell: a, b, c in angstrom and alpha, beta, gamma in degrees.
        operations: of the space group, such as ``-x,y,z+1/2``.
        sites: of the asymmetric unit.
        composition: amounts of the elements, in any unit.
        source: where it comes from, in words.
    """
    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    formula = " ".join(f"{element}{amount:g}" for element, amount in composition.items())
    source = source.replace("'", "")
    lines = [f"data_{re.sub(r'[^A-Za-z0-9_.+-]', '_', name)}", f"_publ_source '{source}'"]
    lines.append(f"_chemical_formula_sum '{formula}'")
    lines += [f"_cell_{tag} {value:.6f}" for tag, value in zip(tags, cell, strict=True)]
    lines += ["loop_", "_space_group_symop_operation_xyz", *(f"'{o}'" for o in operations)]
    lines += ["loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    lines.append("_atom_site_occupancy")
    for i, site in enumerate(sites, start=1):
        x, y, z = site.position
        lines.append(f"{site.element}{i} {site.element} {x:.7f} {y:.7f} {z:.7f} {site.occupancy:g}")
    return "\n".join(lines) + "\n"


def _document(export: Path) -> Any:
    try:
        if export.stat().st_size > MAX_BYTES:
            raise DataError(export, "it is larger than 2 GB", "split the export")
        with export.open(encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise DataError(export, f"cannot be read ({error.strerror})", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(export, f"it is no complete JSON ({error})", WRONG_KIND) from error


def _structures(document: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All structures of a document with the names that stand beside them."""
    if isinstance(document, list):
        for item in document:
            yield from _structures(item, "")
    elif isinstance(document, dict):
        own = next((document[k] for k in ("material_id", "id", "_id") if k in document), name)
        if "lattice" in document and "sites" in document:
            yield str(name or own), document
        elif isinstance(document.get("structure"), dict):
            yield from _structures(document["structure"], str(own))
        else:
            for key, item in document.items():
                if isinstance(item, dict | list):
                    yield from _structures(item, str(key) if isinstance(item, dict) else "")


def _cif_of(name: str, found: dict[str, Any]) -> str:
    lattice = np.array(found["lattice"]["matrix"], dtype=np.float64)
    if lattice.shape != (3, 3) or not np.all(np.isfinite(lattice)):
        raise ValueError("its lattice is no matrix of three vectors")
    species: list[tuple[tuple[str, float], ...]] = []
    positions = []
    for site in found["sites"]:
        here: dict[str, float] = {}
        for item in site["species"]:
            # An oxidation state may stand behind the symbol: "Fe3+".
            element = re.sub(r"[\d.+-]+$", "", str(item["element"]))
            if not is_element(element):
                raise ValueError(f"{item['element']!r} is no element")
            here[element] = here.get(element, 0.0) + float(item["occu"])
        species.append(tuple(sorted(here.items())))
        positions.append([float(v) for v in site["abc"]])
    if not species:
        raise ValueError("it has no atoms")
    kinds = sorted(set(species))
    numbers = [kinds.index(each) for each in species]
    lattice, points, numbers, operations, first = _conventional(
        lattice, np.array(positions), numbers
    )
    sites = [
        CifSite(element, (x, y, z), occupancy)
        for i in first
        for element, occupancy in kinds[numbers[i]]
        for x, y, z in [points[i] % 1.0]
    ]
    amounts: dict[str, float] = {}
    for number in numbers:
        for element, occupancy in kinds[number]:
            amounts[element] = amounts.get(element, 0.0) + occupancy
    source = f"Calculated structure {name} ({reduced_formula(amounts)}), Materials Project format"
    return cif_text(name, _cell(lattice), operations, sites, amounts, source)


def _conventional(
    lattice: FloatArray, positions: FloatArray, numbers: list[int]
) -> tuple[FloatArray, FloatArray, list[int], list[str], list[int]]:
    """Lattice, positions and kinds of the conventional cell, its operations, one of each orbit."""
    given: Any = (lattice, positions, numbers)
    with warnings.catch_warnings():
        # It announces another way of telling errors; which one holds is not ours to set.
        warnings.simplefilter("ignore", DeprecationWarning)
        standard: Any = spglib.standardize_cell(given, symprec=SAME_PLACE_ANGSTROM) or given
        found: Any = spglib.get_symmetry_dataset(standard, symprec=SAME_PLACE_ANGSTROM)
    kinds = [int(n) for n in standard[2]]
    if found is None:
        return standard[0], standard[1], kinds, ["x,y,z"], list(range(len(kinds)))
    operations = [
        _operation(rotation, shift)
        for rotation, shift in zip(found.rotations, found.translations, strict=True)
    ]
    first = sorted({int(i) for i in found.equivalent_atoms})
    return standard[0], standard[1], kinds, operations, first


def _operation(rotation: NDArray[np.int64], shift: FloatArray) -> str:
    parts = []
    for row, offset in zip(rotation, shift, strict=True):
        text = "".join(
            f"{'-' if factor < 0 else '+'}{axis}"
            for factor, axis in zip(row, "xyz", strict=True)
            if factor
        )
        twelfths = round(float(offset % 1.0) * 24)
        parts.append(text.removeprefix("+") + (f"+{twelfths}/24" if twelfths % 24 else ""))
    return ",".join(parts)


def _cell(lattice: FloatArray) -> tuple[float, ...]:
    a, b, c = lattice
    lengths = [float(np.linalg.norm(v)) for v in (a, b, c)]

    def angle(u: FloatArray, v: FloatArray) -> float:
        cosine = u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))

    return (*lengths, angle(b, c), angle(a, c), angle(a, b))
