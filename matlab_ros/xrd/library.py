"""Folders of CIFs, searched for the structures that a set of elements can make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from matlab_ros.chemistry.formula import FormulaError
from matlab_ros.model.errors import DataError
from matlab_ros.xrd.composition import formula_amounts, reduced_formula, same_composition
from matlab_ros.xrd.eligibility import Atmosphere, why_not
from matlab_ros.xrd.pattern import FloatArray, Radiation
from matlab_ros.xrd.structure import Structure, listed_elements, read_structure, reflections

_FORMULA = re.compile(
    r"^_chemical_formula_sum\s+(?:'([^'\n]*)'|\"([^\"\n]*)\"|(\S+))", re.MULTILINE
)
# Two determinations of one structure differ by less than this in volume and in pattern.
_SAME_VOLUME = 0.06
_SAME_PATTERN = 0.90
# Larger cells than these are molecular or framework crystals whose reflections fill any pattern.
MAX_CELL_ATOMS = 400


@dataclass(frozen=True, eq=False)
class Phase:
    """One distinct crystal structure of one compound.

    Attributes:
        structure: the determination to use.
        others: further determinations of the same structure in the library, best first.
    """

    structure: Structure
    others: tuple[Structure, ...] = ()

    @property
    def name(self) -> str:
        """Name of the determination used."""
        return self.structure.name

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return self.structure.formula

    @property
    def source(self) -> str:
        """Citation of the determination, or its file where the CIF has none."""
        return self.structure.citation or self.structure.file


@dataclass(frozen=True)
class Excluded:
    """A structure that was left out, and why.

    Attributes:
        name: its file's name without the ending.
        formula: reduced formula, "" where the file could not be read.
        reason: a sentence.
    """

    name: str
    formula: str
    reason: str


@dataclass(frozen=True)
class Candidates:
    """What a library has for a set of elements."""

    phases: tuple[Phase, ...]
    excluded: tuple[Excluded, ...]


class Library:
    """CIFs in one or more folders, read only when their elements are asked for."""

    def __init__(self, folders: str | Path | Sequence[str | Path]) -> None:
        """Lists the CIFs of the folders and those below them.

        Raises:
            DataError: a folder does not exist or there is no CIF in it.
        """
        if isinstance(folders, str | Path):
            folders = [folders]
        self.folders = tuple(Path(folder) for folder in folders)
        self._files: list[tuple[Path, frozenset[str] | None]] = []
        for folder in self.folders:
            if not folder.is_dir():
                raise DataError(folder, "there is no such folder", "name a folder of CIF files")
            found = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".cif")
            if not found:
                raise DataError(folder, "there is no CIF in it", "name a folder of CIF files")
            self._files += [(path, _peek_elements(path)) for path in found]
        self._read: dict[Path, Structure | DataError] = {}

    def __len__(self) -> int:
        return len(self._files)

    def candidates(
        self, elements: Iterable[str], atmosphere: Atmosphere = Atmosphere.AIR
    ) -> Candidates:
        """All distinct structures made of some or all of the elements.

        Args:
            elements: what can be in the crucible.
            atmosphere: decides whether unoxidised metals can be there.
        """
        allowed = frozenset(elements)
        usable: list[Structure] = []
        excluded: list[Excluded] = []
        for path, peeked in self._files:
            if peeked is not None and not peeked <= allowed:
                continue
            structure = self._structure(path)
            if isinstance(structure, DataError):
                if peeked is not None:
                    excluded.append(Excluded(path.stem, "", structure.problem))
                continue
            if not structure.elements <= allowed:
                continue
            reason = why_not(structure, atmosphere)
            if reason is None and len(structure.symbols) > MAX_CELL_ATOMS:
                reason = f"more than {MAX_CELL_ATOMS} atoms in the unit cell"
            if reason is None:
                usable.append(structure)
            else:
                excluded.append(Excluded(structure.name, structure.formula, reason))
        return Candidates(tuple(distinct_phases(usable)), tuple(excluded))

    def named(self, name: str) -> tuple[Phase, ...]:
        """Phases of a name: a formula such as ``TiO2``, or a file's name such as ``TiO2-Rutile``.

        A formula gives all its polymorphs that can be there at room temperature. A file whose
        name is a formula too is meant when its ending is given: ``TiO2.cif``.

        Raises:
            DataError: the library has none, or the file of that name cannot be used.
        """
        try:
            wanted = formula_amounts(name)
        except FormulaError:
            return (self._of_file(name),)
        found = self.candidates(wanted, Atmosphere.INERT)
        matching = [
            phase
            for phase in found.phases
            if same_composition(phase.structure.composition, wanted, 0.005)
        ]
        if not matching:
            reasons = [
                f"{e.name}: {e.reason}"
                for e in found.excluded
                if e.formula in ("", reduced_formula(wanted))
            ]
            left_out = f" ({'; '.join(reasons)})" if reasons else ""
            raise DataError(
                self._where(), f"it has no usable structure of {name}{left_out}", "add its CIF"
            )
        return tuple(matching)

    def _of_file(self, name: str) -> Phase:
        stem = name[:-4] if name.lower().endswith(".cif") else name
        for path, _ in self._files:
            if path.stem == stem:
                structure = self._structure(path)
                if isinstance(structure, DataError):
                    raise structure
                return Phase(structure)
        raise DataError(
            self._where(),
            f"{name!r} is neither a formula nor the name of a structure in it",
            "name a phase such as TiO2 or a file such as TiO2-Rutile",
        )

    def _where(self) -> str:
        return ", ".join(str(folder) for folder in self.folders)

    def _structure(self, path: Path) -> Structure | DataError:
        if path not in self._read:
            try:
                self._read[path] = read_structure(path)
            except DataError as error:
                self._read[path] = error
        return self._read[path]


def distinct_phases(structures: Sequence[Structure]) -> list[Phase]:
    """Groups determinations of the same structure; the best of each group stands for it.

    The same structure means the same composition, nearly the same volume per atom, and nearly the
    same powder pattern once the volumes are made equal. Space groups are not compared: one
    structure may be given in several settings, or once in too low a symmetry.
    """
    groups: list[list[Structure]] = []
    for structure in sorted(structures, key=_quality, reverse=True):
        for group in groups:
            if _same_structure(group[0], structure):
                group.append(structure)
                break
        else:
            groups.append([structure])
    phases = [Phase(group[0], tuple(group[1:])) for group in groups]
    return sorted(phases, key=lambda phase: (phase.formula, phase.name))


def _quality(structure: Structure) -> tuple[int, int, int, str]:
    """Order of preference: modern, with displacement parameters, then the newest."""
    modern = structure.year >= 1970
    return (int(modern), int(structure.has_displacements), structure.year, structure.name)


def _same_structure(a: Structure, b: Structure) -> bool:
    if not same_composition(a.composition, b.composition, 0.01):
        return False
    if abs(a.volume_per_atom / b.volume_per_atom - 1.0) > _SAME_VOLUME:
        return False
    return float(_fingerprint(a) @ _fingerprint(b)) > _SAME_PATTERN


@lru_cache(maxsize=4096)
def _fingerprint(structure: Structure) -> FloatArray:
    """Powder pattern over log(d) at equal volume per atom, as a unit vector, shape (400,)."""
    wavelength = Radiation().kalpha1_angstrom
    found = reflections(structure, 1.2, wavelength, 1e-3)
    scaled = found.d / structure.volume_per_atom ** (1.0 / 3.0)
    theta = np.arcsin(wavelength / (2.0 * found.d))
    polarised = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    weights = found.f_squared * found.multiplicity * polarised
    grid = np.linspace(np.log(0.5), np.log(6.0), 400)
    width = 0.008
    curve = np.exp(-(((grid[:, None] - np.log(scaled)) / width) ** 2) / 2) @ weights
    norm = float(np.linalg.norm(curve))
    return np.asarray(curve / norm if norm > 0 else curve, dtype=np.float64)


def _peek_elements(path: Path) -> frozenset[str] | None:
    """Elements of a CIF, from its formula where it has one; None where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = _FORMULA.search(text)
    if match is None:
        return listed_elements(path)
    try:
        amounts = formula_amounts(next(group for group in match.groups() if group is not None))
    except ValueError:
        return listed_elements(path)
    return frozenset("H" if e == "D" else e for e in amounts)
