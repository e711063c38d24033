"""The shape of a powder pattern: where each reflection lies, how wide and how strong it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from matlab_ros.xrd.pattern import FloatArray, Radiation
from matlab_ros.xrd.peaks import add_reflections, add_slopes
from matlab_ros.xrd.structure import Reflections, Structure, cell_volume, reciprocal_metric
from matlab_ros.xrd.structure import reflections as reflections_of
from matlab_ros.xrd.texture import Axis, cosines_squared, march_dollase, march_dollase_slope

# Loosest angle to which reflections are needed, beyond the scan, for the tails reaching into it.
TAIL_DEG = 2.0


@dataclass(frozen=True)
class Instrument:
    """Resolution and alignment of a Bragg-Brentano diffractometer.

    Attributes:
        u, v, w: Gaussian width of Caglioti, Paoletti and Ricci (Nucl. Instrum. 3, 223, 1958):
            FWHM^2 = u tan^2(theta) + v tan(theta) + w, in square degrees.
        x: Lorentzian width in degrees, at all angles.
        asymmetry: the side of lower angles is wider than the other by the square of
            1 + asymmetry / tan(2 theta), for axial divergence.
        zero_deg: what the goniometer reads too much, in degrees.
        displacement_deg: peak shift at 2 theta = 0 of a sample above or below the axis;
            the shift is displacement_deg * cos(theta).
        axial_deg: axial divergence lowers the centroids of reflections by
            axial_deg / tan(2 theta); of the instrument, not of the sample. With Soller slits of
            opening D in both beams about D^2 / 6, D in radians and the result as well.
        monochromator_two_theta_deg: diffraction angle of a monochromator, 0 for a filter.
        roughness: intensity is multiplied by exp(-roughness / sin(theta)), which is what a rough
            or porous surface (Suortti, J. Appl. Cryst. 5, 325, 1972) or an absorbing layer on it
            takes from low angles; of each sample another one.

    The defaults are typical of a bench diffractometer with a strip detector.
    """

    u: float = 0.01
    v: float = -0.004
    w: float = 0.004
    x: float = 0.02
    asymmetry: float = 0.03
    zero_deg: float = 0.0
    displacement_deg: float = 0.0
    axial_deg: float = 0.022
    monochromator_two_theta_deg: float = 0.0
    roughness: float = 0.0

    def vector(self) -> FloatArray:
        """(zero, displacement, u, v, w, x, asymmetry, roughness), shape (8,), for the kernel."""
        return np.array(
            [
                self.zero_deg,
                self.displacement_deg,
                self.u,
                self.v,
                self.w,
                self.x,
                self.asymmetry,
                self.roughness,
            ]
        )

    def with_vector(self, values: FloatArray) -> Instrument:
        """The instrument with the values of `vector` replaced."""
        zero, displacement, u, v, w, x, asymmetry, roughness = (float(value) for value in values)
        return replace(
            self,
            zero_deg=zero,
            displacement_deg=displacement,
            u=u,
            v=v,
            w=w,
            x=x,
            asymmetry=asymmetry,
            roughness=roughness,
        )


@dataclass(frozen=True, eq=False)
class PhaseProfile:
    """A structure made ready to be drawn again and again over the same angles.

    Attributes:
        structure: the crystal.
        radiation: lines of the tube.
        reflections: its reflections over the scan.
        strength: multiplicity times |F|^2, shape (m,).
        indices: Miller indices as floating point numbers, shape (m, 3).
        free: index tuples into the cell constants that change together, e.g. ((0, 1), (2,)).
        lines: wavelengths and relative intensities, shape (n_lines, 2).
        polarisation: cos^2 of the monochromator's angle, 1 without one.
        axial_deg: `Instrument.axial_deg`.
        axis: of preferred orientation, None for none.
        tilts: cos^2 of the angles between the axis and the equivalents of each reflection, shape
            (m, g).
    """

    structure: Structure
    radiation: Radiation
    reflections: Reflections
    strength: FloatArray
    indices: FloatArray
    free: tuple[tuple[int, ...], ...]
    lines: FloatArray
    polarisation: float
    axial_deg: float = 0.0
    axis: Axis | None = None
    tilts: FloatArray = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def name(self) -> str:
        """Name of the structure."""
        return self.structure.name

    def cell(self, strain: FloatArray) -> FloatArray:
        """Cell constants changed by relative amounts, shape (6,).

        Args:
            strain: relative change of each group in `free`, shape (len(free),).
        """
        cell = np.array(self.structure.cell, dtype=np.float64)
        for amount, group in zip(strain, self.free, strict=True):
            for index in group:
                cell[index] *= 1.0 + amount
        return cell

    def textured(self, axis: Axis) -> PhaseProfile:
        """The same with grains oriented along an axis."""
        tilts = cosines_squared(self.structure, self.reflections.hkl, axis)
        return replace(self, axis=axis, tilts=tilts)

    def curve(
        self,
        two_theta_deg: FloatArray,
        strain: FloatArray,
        size_deg: float,
        shape: FloatArray,
        march: float = 1.0,
        microstrain: float = 0.0,
    ) -> FloatArray:
        """Diffracted intensity of unit scale at each angle, shape (n,).

        The scale c of this curve in a mixture is proportional to weight fraction over density
        (Hill & Howard, J. Appl. Cryst. 20, 467, 1987), as the curve is
        sum m |F|^2 LP profile / V^2.

        Args:
            two_theta_deg: angles in degrees, increasing, shape (n,).
            strain: as for `cell`.
            size_deg: Lorentzian width of small crystallites, FWHM = size_deg / cos(theta).
            shape: `Instrument.vector`, shape (8,).
            march: March's parameter r of a textured phase; 1 for none.
            microstrain: spread e of the spacings, dimensionless; Lorentzian FWHM = 4 e tan(theta).
        """
        out = np.zeros_like(two_theta_deg)
        self.add_curve(out, two_theta_deg, strain, size_deg, shape, march, microstrain)
        return out

    def add_curve(
        self,
        out: FloatArray,
        two_theta_deg: FloatArray,
        strain: FloatArray,
        size_deg: float,
        shape: FloatArray,
        march: float = 1.0,
        microstrain: float = 0.0,
    ) -> None:
        """Adds `curve` to `out`, shape (n,)."""
        cell = self.cell(strain)
        add_reflections(
            out,
            two_theta_deg,
            self.indices,
            self._strength(cell, march),
            reciprocal_metric(cell),
            self.lines,
            shape,
            size_deg,
            float(np.degrees(4.0 * microstrain)),
            self.polarisation,
            self.axial_deg,
        )

    def add_slopes(
        self,
        out: FloatArray,
        rows: Sequence[int],
        two_theta_deg: FloatArray,
        strain: FloatArray,
        size_deg: float,
        shape: FloatArray,
        march: float = 1.0,
        scale: float = 1.0,
        axes: Sequence[Axis] = (),
    ) -> None:
        """Adds the derivatives of `curve` times a scale to rows of a matrix.

        At constant volume of the cell, which a change of scale makes up for, and only near each
        reflection; see `matlab_ros.xrd.peaks`.

        Args:
            out: shape (p, n).
            rows: which row takes the derivative by each value of `shape`, -1 for none; by
                `size_deg`; by each strain; by March's parameter, of a textured phase; by March's
                parameter of each of `axes`.
            two_theta_deg, strain, size_deg, shape, march: as for `curve`.
            scale: of the curve.
            axes: of textures that a phase without one may have.
        """
        cell = self.cell(strain)
        metric = reciprocal_metric(cell)
        strength = self._strength(cell, march) * scale
        tilted = [
            strength * march_dollase_slope(cosines_squared(self.structure, self.hkl, axis))
            for axis in axes
        ]
        if self.axis is not None:
            h = 1e-4
            change = march_dollase(self.tilts, march + h) - march_dollase(self.tilts, march - h)
            tilted.insert(0, strength * change / (2.0 * h * march_dollase(self.tilts, march)))
        add_slopes(
            out,
            np.array(rows, dtype=np.int64),
            two_theta_deg,
            self.indices,
            strength,
            np.array(tilted).reshape(-1, strength.size),
            metric,
            self._metric_slopes(cell, metric),
            self.lines,
            shape,
            size_deg,
            self.polarisation,
            self.axial_deg,
        )

    @property
    def hkl(self) -> NDArray[np.int64]:
        """Miller indices of the reflections, shape (m, 3)."""
        return self.reflections.hkl

    def _strength(self, cell: FloatArray, march: float) -> FloatArray:
        """Of each reflection, per square of the cell's volume, shape (m,)."""
        strength = self.strength / cell_volume(cell) ** 2
        if self.axis is not None and march != 1.0:
            strength *= march_dollase(self.tilts, march)
        return strength

    def _metric_slopes(self, cell: FloatArray, metric: FloatArray) -> FloatArray:
        """Derivatives of the reciprocal metric by each strain, shape (f, 3, 3)."""
        slopes = np.zeros((len(self.free), 3, 3))
        for slope, group in zip(slopes, self.free, strict=True):
            if group[0] < 3:
                # A longer axis shortens its reciprocal one and leaves the others.
                for i in group:
                    slope[i, :] -= metric[i, :]
                    slope[:, i] -= metric[:, i]
            else:
                h = 1e-5
                wider = cell.copy()
                wider[list(group)] *= 1.0 + h
                slope[:] = (reciprocal_metric(wider) - metric) / h
        return slopes


def phase_profile(
    structure: Structure, radiation: Radiation, last_deg: float, instrument: Instrument
) -> PhaseProfile:
    """Prepares a structure for a scan that ends at an angle in degrees."""
    theta = np.radians(min(last_deg + TAIL_DEG, 175.0) / 2)
    lines = radiation.lines()
    d_min = float(lines[:, 0].min()) / (2 * np.sin(theta))
    found = reflections_of(structure, d_min, radiation.kalpha1_angstrom)
    monochromator = np.radians(instrument.monochromator_two_theta_deg)
    return PhaseProfile(
        structure=structure,
        radiation=radiation,
        reflections=found,
        strength=np.ascontiguousarray(found.f_squared * found.multiplicity),
        indices=np.ascontiguousarray(found.hkl, dtype=np.float64).reshape(-1, 3),
        free=free_cell_constants(structure.cell),
        lines=lines,
        polarisation=float(np.cos(monochromator) ** 2),
        axial_deg=instrument.axial_deg,
    )


def free_cell_constants(
    cell: tuple[float, float, float, float, float, float],
) -> tuple[tuple[int, ...], ...]:
    """Which of the six cell constants may change, equal ones together.

    Read off the metric rather than the space group's name, so that it holds in every setting:
    right angles and 120 degrees stay, equal lengths and equal oblique angles stay equal.
    """
    groups: list[tuple[int, ...]] = []
    for indices, fixed in (((0, 1, 2), ()), ((3, 4, 5), (90.0, 120.0))):
        left = [i for i in indices if all(abs(cell[i] - value) > 1e-3 for value in fixed)]
        while left:
            same = tuple(i for i in left if abs(cell[i] / cell[left[0]] - 1) < 1e-5)
            groups.append(same)
            left = [i for i in left if i not in same]
    return tuple(groups)


def size_nm(size_deg: float, wavelength_angstrom: float) -> float:
    """Crystallite size in nm by Scherrer's equation, K = 0.9; inf for no broadening."""
    if size_deg <= 0:
        return float("inf")
    return 0.9 * wavelength_angstrom / math.radians(size_deg) / 10.0


def size_broadening_deg(crystallite_nm: float, wavelength_angstrom: float) -> float:
    """The inverse of `size_nm`."""
    return float(np.degrees(0.9 * wavelength_angstrom / (10.0 * crystallite_nm)))
