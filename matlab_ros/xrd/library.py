"""Folders of CIFs, searched for the structures that a set of elements can make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from matlab_ros.chemistry.formula import FormulaError
from matlab_ros.model.errors import DataError
from matlab_ros.xrd.composition import formula_amounts, reduced_formula, same_composition
from matlab_ros.xrd.eligibility import Atmosphere, why_not
from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.prescreen import visible_intensity
from matlab_ros.xrd.structure import Structure, read_structure
from matlab_ros.xrd.structure_index import Entry, StructureIndex
from matlab_ros.xrd.summary import MAX_CELL_ATOMS, Summary, fingerprints, summarise

# Two determinations of one structure differ by less than this in volume and in pattern.
_SAME_COMPOSITION = 0.01
_SAME_VOLUME = 0.06
_SAME_PATTERN = 0.90
_MOST_OTHERS = 20
T = TypeVar("T")

MOST_CANDIDATES = 120
"""Distinct structures that compete for a pattern at most; those it can hold most of."""


@dataclass(frozen=True, eq=False)
class Phase:
    """One distinct crystal structure of one compound.

    Attributes:
        structure: the determination to use.
        others: further determinations of the same structure in the library, best first.
    """

    structure: Structure
    others: Sequence[Structure] = ()

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


class Determinations(Sequence[Structure]):
    """Structures of some CIFs, read when they are asked for."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._stamps = tuple((str(e.path), e.size, e.mtime_ns) for e in entries)

    def __len__(self) -> int:
        return len(self._stamps)

    @overload
    def __getitem__(self, index: int) -> Structure: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Structure, ...]: ...

    def __getitem__(self, index: int | slice) -> Structure | tuple[Structure, ...]:
        if isinstance(index, slice):
            return tuple(_read(*stamp) for stamp in self._stamps[index])
        return _read(*self._stamps[index])


class Library:
    """CIFs in one or more folders, read only when their elements are asked for.

    What is known of them is kept in an index, see `matlab_ros.xrd.structure_index`.
    """

    def __init__(
        self, folders: str | Path | Sequence[str | Path], index: StructureIndex | None = None
    ) -> None:
        """Lists the CIFs of the folders and those below them.

        Args:
            folders: of CIFs.
            index: what is known of them; default: the user's.

        Raises:
            DataError: a folder does not exist or there is no CIF in it.
        """
        if isinstance(folders, str | Path):
            folders = [folders]
        self.folders = tuple(dict.fromkeys(Path(folder) for folder in folders))
        self._index = index or StructureIndex()
        self._count = 0
        for folder in self.folders:
            found = self._index.refresh(folder)
            if not found:
                raise DataError(folder, "there is no CIF in it", "name a folder of CIF files")
            self._count += found

    def __len__(self) -> int:
        return self._count

    def candidates(
        self,
        elements: Iterable[str],
        atmosphere: Atmosphere = Atmosphere.AIR,
        pattern: Pattern | None = None,
        most: int = MOST_CANDIDATES,
    ) -> Candidates:
        """All distinct structures made of some or all of the elements.

        Args:
            elements: what can be in the crucible.
            atmosphere: decides whether unoxidised metals can be there.
            pattern: where it is given, no more than `most` structures are candidates, those whose
                strongest lines it can hold most of.
            most: see there.
        """
        usable, excluded = self._usable(elements, atmosphere)
        if pattern is not None and len(usable) > most:
            groups, beaten = _ranked(usable, pattern, most)
            excluded += beaten
        else:
            groups = _grouped(usable)
        phases = []
        for group in groups:
            try:
                phases.append(_phase([entry for entry, _ in group]))
            except DataError as error:
                summary = group[0][1]
                excluded.append(Excluded(summary.name, summary.formula, error.problem))
        phases.sort(key=lambda phase: (phase.formula, phase.name))
        return Candidates(tuple(phases), tuple(excluded))

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
        usable, excluded = self._usable(wanted, Atmosphere.INERT)
        matching = [
            (entry, summary)
            for entry, summary in usable
            if same_composition(summary.composition, wanted, 0.005)
        ]
        groups = _grouped(matching)
        if not groups:
            reasons = [
                f"{e.name}: {e.reason}"
                for e in excluded
                if e.formula in ("", reduced_formula(wanted))
            ]
            left_out = f" ({'; '.join(reasons)})" if reasons else ""
            raise DataError(
                self._where(), f"it has no usable structure of {name}{left_out}", "add its CIF"
            )
        phases = [_phase([entry for entry, _ in group]) for group in groups]
        return tuple(sorted(phases, key=lambda phase: (phase.formula, phase.name)))

    def _usable(
        self, elements: Iterable[str], atmosphere: Atmosphere
    ) -> tuple[list[tuple[Entry, Summary]], list[Excluded]]:
        """What is made of the elements: what can be there, and what cannot, and why."""
        allowed = frozenset(elements)
        usable: list[tuple[Entry, Summary]] = []
        excluded: list[Excluded] = []
        for entry in self._index.described(self._index.made_of(self.folders, allowed)):
            summary = entry.summary
            if summary is None:
                excluded.append(Excluded(entry.path.stem, "", entry.reason))
                continue
            # A formula may name fewer elements than the atoms are of.
            if not summary.elements <= allowed:
                continue
            reason = why_not(summary, atmosphere)
            if reason is None and summary.n_atoms > MAX_CELL_ATOMS:
                reason = f"more than {MAX_CELL_ATOMS} atoms in the unit cell"
            if reason is None:
                usable.append((entry, summary))
            else:
                excluded.append(Excluded(summary.name, summary.formula, reason))
        return usable, excluded

    def _of_file(self, name: str) -> Phase:
        stem = name[:-4] if name.lower().endswith(".cif") else name
        for entry in self._index.of_name(self.folders, stem):
            return Phase(_read(str(entry.path), entry.size, entry.mtime_ns))
        raise DataError(
            self._where(),
            f"{name!r} is neither a formula nor the name of a structure in it",
            "name a phase such as TiO2 or a file such as TiO2-Rutile",
        )

    def _where(self) -> str:
        return ", ".join(str(folder) for folder in self.folders)


def distinct_phases(structures: Sequence[Structure]) -> list[Phase]:
    """Groups determinations of the same structure; the best of each group stands for it.

    The same structure means the same composition, nearly the same volume per atom, and nearly the
    same powder pattern once the volumes are made equal. Space groups are not compared: one
    structure may be given in several settings, or once in too low a symmetry.
    """
    groups = _grouped([(structure, summarise(structure)) for structure in structures])
    phases = [
        Phase(group[0][0], tuple(structure for structure, _ in group[1:])) for group in groups
    ]
    return sorted(phases, key=lambda phase: (phase.formula, phase.name))


def _grouped(items: Sequence[tuple[T, Summary]]) -> list[list[tuple[T, Summary]]]:
    """Items with their summaries, those of one structure together, the best of each group first."""
    summaries = [summary for _, summary in items]
    order = sorted(range(len(items)), key=lambda i: _quality(summaries[i]), reverse=True)
    prints = fingerprints(summaries)
    composition = _atomic_fractions(summaries)
    volume = np.array([summary.volume_per_atom for summary in summaries])
    first: list[int] = []
    groups: list[list[tuple[T, Summary]]] = []
    for i in order:
        same = (
            (
                np.abs(composition[first] - composition[i]).max(axis=1, initial=0.0)
                <= _SAME_COMPOSITION
            )
            & (np.abs(volume[first] / volume[i] - 1.0) <= _SAME_VOLUME)
            & (prints[first] @ prints[i] > _SAME_PATTERN)
        )
        if same.any():
            groups[int(np.argmax(same))].append(items[i])
        else:
            first.append(i)
            groups.append([items[i]])
    return groups


def _atomic_fractions(summaries: Sequence[Summary]) -> FloatArray:
    """Shape (structures, elements)."""
    elements = sorted(frozenset().union(*(summary.elements for summary in summaries)))
    amounts = np.array([[s.composition.get(e, 0.0) for e in elements] for s in summaries])
    return amounts / amounts.sum(axis=1, keepdims=True) if summaries else amounts.reshape(0, 0)


def _ranked(
    usable: Sequence[tuple[Entry, Summary]], pattern: Pattern, most: int
) -> tuple[list[list[tuple[Entry, Summary]]], list[Excluded]]:
    """The distinct structures of which the pattern can hold most, and the others."""
    bounds = visible_intensity(pattern, [summary for _, summary in usable])
    order = [usable[i] for i in np.argsort(-bounds, kind="stable")]
    taken = 2 * most
    while len(groups := _grouped(order[:taken])) < most and taken < len(order):
        taken *= 2
    best = {id(summary): place for place, (_, summary) in enumerate(order)}
    groups.sort(key=lambda group: min(best[id(summary)] for _, summary in group))
    left_out = [group[0][1] for group in groups[most:]] + [s for _, s in order[taken:]]
    reason = f"its strongest lines fit the pattern less well than those of {most} others"
    return groups[:most], [Excluded(s.name, s.formula, reason) for s in left_out]


def _phase(entries: Sequence[Entry]) -> Phase:
    best = entries[0]
    structure = _read(str(best.path), best.size, best.mtime_ns)
    return Phase(structure, Determinations(entries[1 : 1 + _MOST_OTHERS]))


@lru_cache(maxsize=4096)
def _read(path: str, _size: int, _mtime_ns: int) -> Structure:
    """A structure; read again only when its file has changed."""
    return read_structure(path)


def _quality(summary: Summary) -> tuple[int, int, int, str]:
    """Order of preference: modern, with displacement parameters, then the newest."""
    modern = summary.year >= 1970
    return (int(modern), int(summary.has_displacements), summary.year, summary.name)
