"""A crystal structure read from a CIF, checked, and its reflections with structure factors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.cif_block import (
    USE_ANOTHER,
    citation_of,
    element_of,
    number_of,
    stated_composition,
    structure_block,
    year_of,
)
from matlab_ros.xrd.composition import reduced_formula, same_composition
from matlab_ros.xrd.pattern import FloatArray

DALTON_PER_CUBIC_ANGSTROM = 1.66053907  # in g/cm3
CLASSICAL_ELECTRON_RADIUS_ANGSTROM = 2.8179403e-5
DEFAULT_U_ISO = 0.0076  # B = 0.6 A2, typical of oxides at room temperature
MAX_SITES = 2000
_SMALLEST_U, _LARGEST_U = 1e-4, 0.15  # square angstrom, of what is believed
SAME_PLACE_ANGSTROM = 0.2  # closer than any two atoms, wider than rounded coordinates differ
TOO_CLOSE_ANGSTROM = 0.5  # for two whole atoms; those of a split one may be
MOST_IN_A_PLACE = 1.15  # more than rounding and refined occupancies make of 1
# All solids from diamond to caesium lie inside (A3 per atom).
ATOMIC_VOLUME_RANGE = (3.0, 120.0)


@dataclass(frozen=True, eq=False)
class Structure:
    """One crystal structure, with what diffraction needs of it.

    Attributes:
        name: the file's name without its ending.
        formula: reduced formula, cation first.
        composition: atoms of each element in the unit cell.
        cell: a, b, c in angstrom and alpha, beta, gamma in degrees.
        space_group: Hermann-Mauguin symbol, with the setting where there are several.
        citation: authors, journal and year as far as the CIF has them.
        year: year of publication, 0 when unknown.
        file: the CIF.
        temperature_k: of the measurement, NaN when not stated.
        pressure_kpa: of the measurement, NaN when not stated.
        has_displacements: whether the CIF gave atomic displacement parameters.
        symbols: element of each atom in the cell, length n.
        positions: fractional coordinates of all atoms in the cell, shape (n, 3).
        occupancies: shape (n,). An atom on a special position stands here once, with its
            chemical occupancy, so that nothing is counted twice.
        u_iso: (equivalent) isotropic displacement in square angstrom, shape (n,).
        rotations: rotation parts of the space group's operations on h k l, shape (g, 3, 3).
        anisotropy: what U* of each atom differs by from that of `u_iso`, components 11, 22, 33, 12,
            13 and 23, shape (n, 6); None where no atom has any. U*_ij = U_ij a*_i a*_j, so that
            displacements damp F by exp(-2 pi^2 h U* h).
    """

    name: str
    formula: str
    composition: Mapping[str, float]
    cell: tuple[float, float, float, float, float, float]
    space_group: str
    citation: str
    year: int
    file: str
    temperature_k: float
    pressure_kpa: float
    has_displacements: bool
    symbols: tuple[str, ...]
    positions: FloatArray
    occupancies: FloatArray
    u_iso: FloatArray
    rotations: NDArray[np.int64]
    anisotropy: FloatArray | None = None

    @property
    def elements(self) -> frozenset[str]:
        """The elements it is made of; deuterium counts as hydrogen."""
        return frozenset(self.composition)

    @property
    def volume(self) -> float:
        """Unit cell volume in cubic angstrom."""
        return cell_volume(np.array(self.cell))

    @property
    def volume_per_atom(self) -> float:
        """Cubic angstrom per atom."""
        return self.volume / sum(self.composition.values())

    @property
    def cell_mass(self) -> float:
        """Mass of the unit cell's content in dalton."""
        return sum(gemmi.Element(e).weight * n for e, n in self.composition.items())

    @property
    def density(self) -> float:
        """Density in g/cm3."""
        return self.cell_mass / self.volume * DALTON_PER_CUBIC_ANGSTROM

    def linear_absorption_per_cm(self, wavelength_angstrom: float) -> float:
        """Photoelectric linear absorption coefficient in 1/cm, by the optical theorem.

        mu = 2 r_e lambda / V * sum f'' (e.g. Als-Nielsen & McMorrow, Elements of Modern X-ray
        Physics, 3.3); scattering out of the beam is left out, a few per cent except for the
        lightest elements.
        """
        total = sum(n * _dispersion(e, wavelength_angstrom)[1] for e, n in self.composition.items())
        per_angstrom = 2 * CLASSICAL_ELECTRON_RADIUS_ANGSTROM * wavelength_angstrom * total
        return per_angstrom / self.volume * 1e8


@dataclass(frozen=True, eq=False)
class Reflections:
    """Symmetry-unique reflections of a structure.

    Attributes:
        hkl: Miller indices, shape (m, 3).
        d: spacings in angstrom, shape (m,).
        f_squared: mean of |F(hkl)|^2 and |F(-h-k-l)|^2 in electrons squared, shape (m,).
        multiplicity: number of equivalent reflections, Friedel mates included, shape (m,).
    """

    hkl: NDArray[np.int64]
    d: FloatArray
    f_squared: FloatArray
    multiplicity: NDArray[np.int64]


def read_structure(path: str | Path) -> Structure:
    """Reads the structure of a CIF and checks that it is one.

    Checked are: symmetry operations known, every atom an element, no two atoms of one place,
    composition of the cell as the file's formula says, a possible volume per atom, and density
    as the file states it.

    Raises:
        DataError: the file is missing, is no CIF, or fails one of the checks.
    """
    path = Path(path)
    block = structure_block(path)
    try:
        small = gemmi.make_small_structure_from_block(block)
    except (RuntimeError, ValueError) as error:
        raise DataError(path, f"its structure cannot be read ({error})", USE_ANOTHER) from error
    cell = small.cell
    lengths_and_angles = (cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)
    if not small.sites or not cell.is_crystal() or not math.isfinite(cell.volume):
        raise DataError(path, "it has no unit cell or no atoms", "give a CIF with coordinates")
    group = _group(small)
    if group is not None and not cell.is_compatible_with_spacegroup(group, 2e-3):
        raise DataError(path, f"its cell does not fit its space group {group.xhm()}", USE_ANOTHER)
    operations = _operations(path, small)
    rotations = np.array([operation.rot for operation in operations]) / gemmi.Op.DEN
    shifts = np.array([operation.tran for operation in operations]) / gemmi.Op.DEN
    metric = _metric(np.array(lengths_and_angles))
    symbols: list[str] = []
    positions = np.empty((0, 3))
    occupancies: list[float] = []
    u_iso: list[float] = []
    anisotropy: list[FloatArray] = []
    has_displacements = False
    for site in small.sites:
        symbol = element_of(site)
        if symbol is None:
            raise DataError(path, f"atom {site.label!r} is of no known element", USE_ANOTHER)
        if not all(math.isfinite(v) for v in (site.fract.x, site.fract.y, site.fract.z)):
            raise DataError(path, f"atom {site.label!r} has no coordinates", USE_ANOTHER)
        occupancy = float(site.occ) if 0 < site.occ <= 1.01 else 1.0
        u, tensor = _displacement(site, metric)
        has_displacements |= u is not None
        whole = np.array([s == symbol for s in symbols], dtype=bool)
        whole &= np.array(occupancies) > 0.99
        for place, rotation in _orbit(site, rotations, shifts, metric):
            # Some older CIFs list symmetry-equivalent atoms as if they were independent.
            others = positions[: whole.size][whole]
            listed = occupancy > 0.99 and bool(
                np.any(_distances(others, place, metric) < SAME_PLACE_ANGSTROM)
            )
            if listed:
                continue
            symbols.append(symbol)
            positions = np.vstack([positions, place])
            occupancies.append(occupancy)
            u_iso.append(DEFAULT_U_ISO if u is None else u)
            anisotropy.append(rotation @ tensor @ rotation.T)
        if len(symbols) > MAX_SITES:
            raise DataError(
                path,
                f"its unit cell holds more than {MAX_SITES} atoms",
                "leave structures of this size out",
            )
    _check_places(path, small, positions, symbols, np.array(occupancies), metric)
    composition: dict[str, float] = {}
    for symbol, occupancy in zip(symbols, occupancies, strict=True):
        composition[symbol] = composition.get(symbol, 0.0) + occupancy
    occupancies = _with_stated_hydrogen(block, composition, symbols, occupancies)
    temperature = number_of(block, "_diffrn_ambient_temperature", "_cell_measurement_temperature")
    structure = Structure(
        name=path.stem,
        formula=reduced_formula(composition),
        composition=composition,
        cell=lengths_and_angles,
        space_group=group.xhm() if group else (small.spacegroup_hm or "as listed"),
        citation=citation_of(block),
        year=year_of(block),
        file=str(path),
        temperature_k=temperature,
        pressure_kpa=number_of(block, "_diffrn_ambient_pressure", "_cell_measurement_pressure"),
        has_displacements=has_displacements,
        symbols=tuple(symbols),
        positions=positions,
        occupancies=np.array(occupancies, dtype=np.float64),
        u_iso=np.array(u_iso, dtype=np.float64),
        rotations=np.unique(np.rint(rotations).astype(np.int64), axis=0),
        anisotropy=_six(anisotropy),
    )
    _check(path, block, structure)
    return structure


def listed_elements(path: str | Path) -> frozenset[str] | None:
    """Elements of the atoms a CIF lists, without checking its structure; None if unreadable."""
    try:
        small = gemmi.make_small_structure_from_block(structure_block(Path(path)))
    except (DataError, RuntimeError, ValueError):
        return None
    return frozenset(element_of(site) or "X" for site in small.sites)


@lru_cache(maxsize=4096)
def reflections(
    structure: Structure,
    d_min: float,
    wavelength_angstrom: float,
    weakest: float = 1e-4,
) -> Reflections:
    """Reflections down to a spacing, with structure factors.

    F(h) = sum_j o_j (f0_j(s) + f'_j + i f''_j) exp(-2 pi^2 h U*_j h) exp(2 pi i h x_j) over all
    atoms of the cell, s = sin(theta)/lambda; isotropic atoms have h U* h = 4 U s^2. f0 is that of
    the International Tables C (1992) 6.1.1.4 in gemmi, of neutral atoms whatever charge a CIF
    gives them: ions differ at the lowest angles only, and what charge they have is a convention.
    f' and f'' are Cromer and Liberman's (J. Chem. Phys. 53, 1891, 1970).

    Args:
        structure: the crystal.
        d_min: smallest spacing in angstrom.
        wavelength_angstrom: for the dispersion corrections.
        weakest: reflections below this share of the strongest (multiplicity times |F|^2) are
            left out, systematic absences among them.
    """
    cell = gemmi.UnitCell(*structure.cell)
    half = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), d_min)
    hkl = np.asarray(half, dtype=np.int64).reshape(-1, 3)
    if hkl.shape[0] == 0:
        empty = np.empty(0)
        return Reflections(hkl, empty, empty, np.empty(0, dtype=np.int64))
    hkl, multiplicity = _unique_under(hkl, structure.rotations)
    metric = reciprocal_metric(np.array(structure.cell))
    inverse_d2 = np.einsum("ij,jk,ik->i", hkl, metric, hkl)
    s2 = inverse_d2 / 4.0
    phase = 2.0 * np.pi * (hkl @ structure.positions.T)
    exponent = -8.0 * np.pi**2 * np.outer(s2, structure.u_iso)
    if structure.anisotropy is not None:
        products = hkl[:, (0, 1, 2, 0, 0, 1)] * hkl[:, (0, 1, 2, 1, 2, 2)] * (1, 1, 1, 2, 2, 2)
        exponent -= 2.0 * np.pi**2 * products @ structure.anisotropy.T
    damping = np.exp(exponent) * structure.occupancies
    real, imaginary = damping * np.cos(phase), damping * np.sin(phase)
    elastic = np.zeros(hkl.shape[0], dtype=np.complex128)
    anomalous = np.zeros(hkl.shape[0], dtype=np.complex128)
    names = np.array(structure.symbols)
    for symbol in sorted(structure.elements):
        mine = names == symbol
        geometric = real[:, mine].sum(axis=1) + 1j * imaginary[:, mine].sum(axis=1)
        f_prime, f_second = _dispersion(symbol, wavelength_angstrom)
        elastic += (_form_factor(symbol, s2) + f_prime) * geometric
        anomalous += f_second * geometric
    # Averaged over a Friedel pair the cross terms of both parts cancel.
    f_squared = np.abs(elastic) ** 2 + np.abs(anomalous) ** 2
    strength = f_squared * multiplicity
    keep = strength > weakest * strength.max()
    return Reflections(
        hkl=np.ascontiguousarray(hkl[keep]),
        d=1.0 / np.sqrt(inverse_d2[keep]),
        f_squared=f_squared[keep],
        multiplicity=multiplicity[keep],
    )


# Written out, because a refinement asks a thousand times and general algebra on such small matrices
# takes longer than a reflection's profile.
def cell_volume(cell: FloatArray) -> float:
    """Volume in cubic angstrom of (a, b, c, alpha, beta, gamma) in angstrom and degrees."""
    a, b, c, alpha, beta, gamma = cell.tolist()
    x, y, z = (math.cos(math.radians(angle)) for angle in (alpha, beta, gamma))
    return float(a * b * c * math.sqrt(1.0 - x * x - y * y - z * z + 2.0 * x * y * z))


def reciprocal_metric(cell: FloatArray) -> FloatArray:
    """G* with h G* h = 1/d^2, shape (3, 3), of (a, b, c, alpha, beta, gamma)."""
    a, b, c, alpha, beta, gamma = cell.tolist()
    x, y, z = (math.cos(math.radians(angle)) for angle in (alpha, beta, gamma))
    unit = 1.0 - x * x - y * y - z * z + 2.0 * x * y * z
    ab, ac, bc = (x * y - z) / (a * b), (x * z - y) / (a * c), (y * z - x) / (b * c)
    rows = (
        ((1.0 - x * x) / (a * a), ab, ac),
        (ab, (1.0 - y * y) / (b * b), bc),
        (ac, bc, (1.0 - z * z) / (c * c)),
    )
    return np.array(rows) / unit


def _metric(cell: FloatArray) -> FloatArray:
    a, b, c = cell[:3]
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(cell[3:]))
    return np.array(
        [
            [a * a, a * b * cos_gamma, a * c * cos_beta],
            [a * b * cos_gamma, b * b, b * c * cos_alpha],
            [a * c * cos_beta, b * c * cos_alpha, c * c],
        ]
    )


def _group(small: gemmi.SmallStructure) -> gemmi.SpaceGroup | None:
    """The space group; gemmi's annotation does not say that it may be missing.

    Some files say the setting in words behind the symbol (``R 3 c {rhombohedral axes}``), not
    always the right one: what the cell looks like decides.
    """
    group: gemmi.SpaceGroup | None = small.spacegroup
    if group is None and not small.symops:
        symbol = re.sub(r"\s*[{(].*", "", small.spacegroup_hm)
        cell = small.cell
        if symbol:
            group = gemmi.find_spacegroup_by_name(symbol, cell.alpha, cell.gamma)
    return group


def _operations(path: Path, small: gemmi.SmallStructure) -> list[gemmi.Op]:
    group = _group(small)
    if group is not None:
        return list(group.operations())
    if small.symops:
        try:
            return [gemmi.Op(text) for text in small.symops]
        except (RuntimeError, ValueError) as error:
            raise DataError(
                path, f"a symmetry operation cannot be read ({error})", USE_ANOTHER
            ) from error
    raise DataError(
        path,
        f"its space group {small.spacegroup_hm!r} is not known and no operations are listed",
        "write the standard Hermann-Mauguin symbol",
    )


def _orbit(
    site: gemmi.SmallStructure.Site, rotations: FloatArray, shifts: FloatArray, metric: FloatArray
) -> list[tuple[FloatArray, FloatArray]]:
    """All places of the cell a site is carried to, a special position's place once.

    Returns:
        Each place, shape (3,), and a rotation that leads there, shape (3, 3).
    """
    start = np.array([site.fract.x, site.fract.y, site.fract.z])
    images = (rotations @ start + shifts) % 1.0
    found: list[tuple[FloatArray, FloatArray]] = []
    while images.size:
        found.append((images[0], rotations[0]))
        elsewhere = _distances(images, images[0], metric) > SAME_PLACE_ANGSTROM
        images, rotations = images[elsewhere], rotations[elsewhere]
    return found


def _distances(places: FloatArray, place: FloatArray, metric: FloatArray) -> FloatArray:
    """Distances in angstrom from one place to the nearest images of others, shape (n,)."""
    delta = places - place
    delta -= np.rint(delta)
    squared = np.einsum("ij,jk,ik->i", delta, metric, delta)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)), dtype=np.float64)


def _displacement(
    site: gemmi.SmallStructure.Site, metric: FloatArray
) -> tuple[float | None, FloatArray]:
    """U_iso or its equivalent, and what U* differs by from that of it, shape (3, 3).

    U_eq = 1/3 sum_ij U*_ij a_i.a_j (Fischer & Tillmanns, Acta Cryst. C 44, 775, 1988). None and
    zeros where the file gives neither or none that can be.
    """
    u = float(site.u_iso)
    if site.aniso.nonzero():
        reciprocal = np.linalg.inv(metric)
        stars = np.sqrt(np.diag(reciprocal))
        tensor = np.array(site.aniso.as_mat33().tolist()) * np.outer(stars, stars)
        equivalent = float(np.sum(tensor * metric) / 3.0)
        # Along no direction can an atom move less than not at all.
        believable = float(np.linalg.eigvalsh(tensor).min()) > 0
        if believable and _SMALLEST_U < equivalent < _LARGEST_U:
            return equivalent, tensor - equivalent * reciprocal
        u = u if u > 0 else equivalent
    return (u if _SMALLEST_U < u < _LARGEST_U else None), np.zeros((3, 3))


def _six(tensors: list[FloatArray]) -> FloatArray | None:
    """The components of symmetric tensors, shape (n, 6); None if all are zero."""
    stacked = np.array(tensors)
    if not stacked.any():
        return None
    rows, columns = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)
    return np.ascontiguousarray(stacked[:, rows, columns])


def _with_stated_hydrogen(
    block: gemmi.cif.Block,
    composition: dict[str, float],
    symbols: list[str],
    occupancies: list[float],
) -> list[float]:
    """Sets the amount of hydrogen to the formula's; returns the occupancies that go with it.

    Powder and mineral CIFs often leave hydrogen out of the coordinates, or list all the places
    of a disordered one at full occupancy. The mass of the cell must not suffer from it.
    """
    stated = stated_composition(block)
    if stated is None:
        return occupancies
    heavy = sum(n for e, n in composition.items() if e != "H")
    heavy_stated = sum(n for e, n in stated.items() if e != "H")
    if heavy <= 0 or heavy_stated <= 0:
        return occupancies
    expected = stated.get("H", 0.0) * heavy / heavy_stated
    listed = composition.pop("H", 0.0)
    if expected > 0:
        composition["H"] = expected
    if listed <= 0 or abs(listed / max(expected, 1e-9) - 1) < 0.01:
        return occupancies
    factor = min(expected / listed, 1.0)
    return [o * factor if s == "H" else o for s, o in zip(symbols, occupancies, strict=True)]


def _unique_under(
    hkl: NDArray[np.int64], rotations: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One of each set of equivalent reflections of a half sphere, and how many the set has."""
    base = 2 * int(np.abs(hkl).max()) * 3 + 1
    weights = np.array([base * base, base, 1], dtype=np.int64)
    images = np.einsum("mi,gij->gmj", hkl, rotations) @ weights
    canonical = np.abs(images).max(axis=0)
    _, first, counts = np.unique(canonical, return_index=True, return_counts=True)
    return hkl[first], 2 * counts


def _form_factor(symbol: str, s2: FloatArray) -> FloatArray:
    coefficients = gemmi.Element(symbol).it92
    value = np.full(s2.shape, coefficients.c)
    for a, b in zip(coefficients.a, coefficients.b, strict=True):
        value += a * np.exp(-b * s2)
    return np.asarray(value, dtype=np.float64)


@lru_cache(maxsize=1024)
def _dispersion(symbol: str, wavelength_angstrom: float) -> tuple[float, float]:
    number = gemmi.Element(symbol).atomic_number
    # Below lithium the tables stop; there both terms are below 0.001 electrons.
    if number < 3 or number > 92:
        return 0.0, 0.0
    f_prime, f_second = gemmi.cromer_liberman(number, gemmi.hc / wavelength_angstrom)
    return float(f_prime), float(f_second)


def _check_places(
    path: Path,
    small: gemmi.SmallStructure,
    positions: FloatArray,
    symbols: Sequence[str],
    occupancies: FloatArray,
    metric: FloatArray,
) -> None:
    """Refuses structures in which a place holds more than one atom.

    Hydrogen may: a disordered one is often listed with all its places at full occupancy.
    """
    heavy = np.array([symbol != "H" for symbol in symbols])
    for site in small.sites:
        place = np.array([site.fract.x, site.fract.y, site.fract.z])
        there = heavy & (_distances(positions, place, metric) < TOO_CLOSE_ANGSTROM)
        if element_of(site) != "H" and float(occupancies[there].sum()) > MOST_IN_A_PLACE:
            raise DataError(
                path,
                f"{occupancies[there].sum():.2g} atoms share the place of {site.label!r}",
                USE_ANOTHER,
            )


def _check(path: Path, block: gemmi.cif.Block, structure: Structure) -> None:
    low, high = ATOMIC_VOLUME_RANGE
    if not low < structure.volume_per_atom < high:
        raise DataError(
            path,
            f"its cell leaves {structure.volume_per_atom:.2f} cubic angstrom to an atom, "
            f"which no crystal does",
            USE_ANOTHER,
        )
    stated = stated_composition(block)
    if stated is not None:
        ours = {k: v for k, v in structure.composition.items() if k != "H"}
        theirs = {k: v for k, v in stated.items() if k != "H"}
        if ours and theirs and not same_composition(ours, theirs, 0.03):
            raise DataError(
                path,
                f"its atoms make {structure.formula}, but its formula says "
                f"{reduced_formula(stated)}",
                USE_ANOTHER,
            )
    density = number_of(block, "_exptl_crystal_density_diffrn")
    if math.isfinite(density) and density > 0 and abs(structure.density / density - 1) > 0.1:
        raise DataError(
            path,
            f"its atoms and cell make {structure.density:.2f} g/cm3, but it states {density:.2f}",
            USE_ANOTHER,
        )
