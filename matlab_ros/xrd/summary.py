"""What a library must know of a structure before it is worth reading: elements, volume, lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import gemmi
import numpy as np

from matlab_ros.xrd.pattern import FloatArray, Radiation
from matlab_ros.xrd.structure import Structure, reflections

# Larger cells than these are molecular or framework crystals whose reflections fill any pattern.
MAX_CELL_ATOMS = 400
_MOST_LINES = 80
_SMALLEST_SPACING_ANGSTROM = 1.2
_LOW_BITS = 63  # what SQLite's signed integers hold without a sign
_GRID = np.linspace(np.log(0.5), np.log(6.0), 400)
_GRID_WIDTH = 0.008


@dataclass(frozen=True, eq=False)
class Summary:
    """A structure without its atoms.

    Attributes:
        name: the file's name without its ending.
        formula: reduced formula.
        composition: atoms of each element in the unit cell.
        volume_per_atom: cubic angstrom per atom.
        n_atoms: places in the unit cell.
        space_group: Hermann-Mauguin symbol.
        citation: authors, journal and year as far as the CIF has them.
        year: year of publication, 0 when unknown.
        temperature_k: of the measurement, NaN when not stated.
        pressure_kpa: of the measurement, NaN when not stated.
        has_displacements: whether the CIF gave atomic displacement parameters.
        lines: spacing in angstrom and multiplicity times |F|^2 of the strongest reflections,
            shape (m, 2); empty where the cell holds more than `MAX_CELL_ATOMS`.
    """

    name: str
    formula: str
    composition: Mapping[str, float]
    volume_per_atom: float
    n_atoms: int
    space_group: str
    citation: str
    year: int
    temperature_k: float
    pressure_kpa: float
    has_displacements: bool
    lines: FloatArray

    @property
    def elements(self) -> frozenset[str]:
        """The elements it is made of."""
        return frozenset(self.composition)

    def to_row(self) -> tuple[str, bytes]:
        """All but the lines as JSON, and the lines as bytes."""
        document = {k: v for k, v in asdict(self).items() if k != "lines"}
        return json.dumps(document), self.lines.astype("<f4").tobytes()

    @classmethod
    def from_row(cls, text: str, lines: bytes) -> Summary:
        """Undoes `to_row`."""
        document: dict[str, Any] = json.loads(text)
        table = np.frombuffer(lines, dtype="<f4").reshape(-1, 2).astype(np.float64)
        return cls(
            **{f.name: document[f.name] for f in fields(cls) if f.name != "lines"}, lines=table
        )


def summarise(structure: Structure) -> Summary:
    """The summary of a structure."""
    return Summary(
        name=structure.name,
        formula=structure.formula,
        composition=dict(structure.composition),
        volume_per_atom=structure.volume_per_atom,
        n_atoms=len(structure.symbols),
        space_group=structure.space_group,
        citation=structure.citation,
        year=structure.year,
        temperature_k=structure.temperature_k,
        pressure_kpa=structure.pressure_kpa,
        has_displacements=structure.has_displacements,
        lines=_lines(structure),
    )


def fingerprints(summaries: Sequence[Summary]) -> FloatArray:
    """Powder patterns over log(d) at equal volume per atom, as unit vectors, shape (n, 400).

    Vectors of structures without lines are zero.
    """
    rows = np.zeros((len(summaries), _GRID.size))
    step = float(_GRID[1] - _GRID[0])
    reach = math.ceil(4 * _GRID_WIDTH / step)
    around = np.arange(-reach, reach + 1)
    for row, summary in zip(rows, summaries, strict=True):
        if not summary.lines.size:
            continue
        d, strength = summary.lines.T
        weights = strength * lorentz_polarisation(d, Radiation().kalpha1_angstrom)
        place = np.log(d / summary.volume_per_atom ** (1.0 / 3.0))
        points = np.rint((place - _GRID[0]) / step).astype(np.int64)[:, None] + around
        shape = np.exp(-(((_GRID[0] + step * points - place[:, None]) / _GRID_WIDTH) ** 2) / 2)
        inside = (points >= 0) & (points < _GRID.size)
        np.add.at(row, points[inside], (shape * weights[:, None])[inside])
        row /= max(float(np.linalg.norm(row)), 1e-300)
    return rows


def lorentz_polarisation(d: FloatArray, wavelength_angstrom: float) -> FloatArray:
    """(1 + cos^2 2theta) / (sin^2 theta cos theta) of spacings; 0 beyond the last reflection."""
    sine = wavelength_angstrom / (2.0 * d)
    seen = sine < 0.999
    theta = np.arcsin(np.where(seen, sine, 0.5))
    factor = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    return np.where(seen, factor, 0.0)


def element_bits(elements: Iterable[str]) -> tuple[int, int]:
    """The set of elements as two bit masks: up to europium, and from gadolinium on."""
    bits = 0
    for symbol in elements:
        bits |= 1 << (gemmi.Element(symbol).atomic_number - 1)
    return bits & ((1 << _LOW_BITS) - 1), bits >> _LOW_BITS


def _lines(structure: Structure) -> FloatArray:
    if len(structure.symbols) > MAX_CELL_ATOMS:
        return np.empty((0, 2))
    wavelength = Radiation().kalpha1_angstrom
    found = reflections(structure, _SMALLEST_SPACING_ANGSTROM, wavelength, 1e-3)
    strength = found.f_squared * found.multiplicity
    strongest = np.argsort(-strength * lorentz_polarisation(found.d, wavelength), kind="stable")
    keep = strongest[:_MOST_LINES]
    return np.column_stack([found.d[keep], strength[keep]])
