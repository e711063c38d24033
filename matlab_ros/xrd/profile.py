"""The shape of a powder pattern: where each reflection lies, how wide and how strong it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numba import njit

from matlab_ros.xrd.pattern import FloatArray, Radiation
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

    def slope(self, axis: Axis) -> PhaseProfile:
        """One whose curve is the derivative of `curve` by March's parameter, without texture."""
        tilts = cosines_squared(self.structure, self.reflections.hkl, axis)
        return replace(self, strength=self.strength * march_dollase_slope(tilts))

    def curve(
        self,
        two_theta_deg: FloatArray,
        strain: FloatArray,
        size_deg: float,
        shape: FloatArray,
        march: float = 1.0,
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
        """
        cell = self.cell(strain)
        strength = self.strength
        if self.axis is not None and march != 1.0:
            strength = strength * march_dollase(self.tilts, march)
        out = np.zeros_like(two_theta_deg)
        _accumulate(
            out,
            two_theta_deg,
            self.indices,
            strength,
            reciprocal_metric(cell),
            self.lines,
            shape,
            size_deg,
            self.polarisation,
        )
        return out / cell_volume(cell) ** 2


def phase_profile(
    structure: Structure, radiation: Radiation, last_deg: float, instrument: Instrument
) -> PhaseProfile:
    """Prepares a structure for a scan that ends at an angle in degrees."""
    theta = np.radians(min(last_deg + TAIL_DEG, 175.0) / 2)
    found = reflections_of(
        structure, radiation.kalpha1_angstrom / (2 * np.sin(theta)), radiation.kalpha1_angstrom
    )
    monochromator = np.radians(instrument.monochromator_two_theta_deg)
    return PhaseProfile(
        structure=structure,
        radiation=radiation,
        reflections=found,
        strength=np.ascontiguousarray(found.f_squared * found.multiplicity),
        indices=np.ascontiguousarray(found.hkl, dtype=np.float64).reshape(-1, 3),
        free=free_cell_constants(structure.cell),
        lines=radiation.lines(),
        polarisation=float(np.cos(monochromator) ** 2),
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


# Divisions follow IEEE rules (error_model): a check for zero in every one would keep the loops from
# being vectorised.

_GAUSS_FULL_WIDTHS = math.sqrt(12.0)
"""Full widths from its centre beyond which a Gaussian is left out: it is 1e-14 of its height."""


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _add_tail(out, angles, centre, height, steepness):  # type: ignore[no-untyped-def]
    """Adds height / (1 + steepness delta^2)."""
    for i in range(out.size):
        delta = angles[i] - centre
        out[i] += height / (1.0 + steepness * delta * delta)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _add_core(  # type: ignore[no-untyped-def]
    out, angles, centre, height, steepness, gauss_height, gauss_steepness
):
    """Adds the same and gauss_height exp(-gauss_steepness delta^2), whose exponent is above -34.

    The exponential is the 256th power of its Taylor polynomial at a 256th of the exponent, good to
    1e-14 and, other than a call of the library's, vectorised.
    """
    for i in range(out.size):
        delta = angles[i] - centre
        delta *= delta
        y = gauss_steepness * delta * (-1.0 / 256.0)
        e = 1.0 + y / 7.0 * (1.0 + y / 8.0)
        e = 1.0 + y / 4.0 * (1.0 + y / 5.0 * (1.0 + y / 6.0 * e))
        e = 1.0 + y * (1.0 + y / 2.0 * (1.0 + y / 3.0 * e))
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        out[i] += height / (1.0 + steepness * delta) + gauss_height * e


@njit(
    "void(f8[::1], f8[::1], f8[:, ::1], f8[::1], f8[:, :], f8[:, ::1], f8[::1], f8, f8)",
    cache=True,
    fastmath=True,
    nogil=True,
    error_model="numpy",
)
def _accumulate(  # type: ignore[no-untyped-def]
    out, angles, indices, strength, metric, lines, shape, size_deg, polarisation
):  # pragma: no cover - compiled
    """Adds all reflections to `out`.

    Pseudo-Voigt of Thompson, Cox and Hastings (J. Appl. Cryst. 20, 79, 1987). Tails are drawn to
    6 (Gaussian) to 66 (Lorentzian) full widths, at most 5 degrees.
    """
    zero, displacement, u, v, w, x, asymmetry, roughness = shape
    n = angles.shape[0]
    gauss = 2.0 * np.sqrt(np.log(2.0) / np.pi)
    four_ln2 = 4.0 * np.log(2.0)
    for k in range(indices.shape[0]):
        h0, h1, h2 = indices[k, 0], indices[k, 1], indices[k, 2]
        inverse_d = np.sqrt(
            h0 * h0 * metric[0, 0]
            + h1 * h1 * metric[1, 1]
            + h2 * h2 * metric[2, 2]
            + 2.0 * (h0 * h1 * metric[0, 1] + h0 * h2 * metric[0, 2] + h1 * h2 * metric[1, 2])
        )
        for line in range(lines.shape[0]):
            sine = 0.5 * lines[line, 0] * inverse_d
            if sine >= 0.9999:
                continue
            theta = np.arcsin(sine)
            cosine = np.sqrt(1.0 - sine * sine)
            tangent = sine / cosine
            centre = 2.0 * theta * 180.0 / np.pi + zero + displacement * cosine
            if centre < angles[0] - 5.0 or centre > angles[n - 1] + 5.0:
                continue
            cos2 = 1.0 - 2.0 * sine * sine
            lorentz = (1.0 + polarisation * cos2 * cos2) / (
                (1.0 + polarisation) * sine * sine * cosine
            )
            lorentz *= np.exp(-roughness / sine)
            g2 = u * tangent * tangent + v * tangent + w
            g = np.sqrt(g2 if g2 > 1e-5 else 1e-5)
            lz = x + size_deg / cosine
            if lz < 1e-4:
                lz = 1e-4
            fwhm = (
                g**5
                + 2.69269 * g**4 * lz
                + 2.42843 * g**3 * lz**2
                + 4.47163 * g**2 * lz**3
                + 0.07842 * g * lz**4
                + lz**5
            ) ** 0.2
            q = lz / fwhm
            eta = 1.36603 * q - 0.47719 * q * q + 0.11116 * q * q * q
            eta = min(max(eta, 0.0), 1.0)
            reach = min(max(fwhm * (6.0 + 60.0 * eta), 0.3), 5.0)
            skew = 1.0 + asymmetry / np.tan(max(centre, 5.0) * np.pi / 180.0)
            skew = max(skew, 0.5)
            left, right = fwhm * skew, fwhm / skew
            height = strength[k] * lines[line, 1] * lorentz / fwhm
            # Both halves together keep unit area whatever the skew.
            height *= 2.0 / (skew + 1.0 / skew)
            tail = height * eta * 0.6366197723675814
            core = height * (1.0 - eta) * gauss
            steep_left, steep_right = 1.0 / (left * left), 1.0 / (right * right)
            first = np.searchsorted(angles, centre - reach)
            low = np.searchsorted(angles, centre - min(left * _GAUSS_FULL_WIDTHS, reach))
            middle = np.searchsorted(angles, centre)
            high = np.searchsorted(angles, centre + min(right * _GAUSS_FULL_WIDTHS, reach))
            last = np.searchsorted(angles, centre + reach)
            _add_tail(out[first:low], angles[first:low], centre, tail, 4.0 * steep_left)
            _add_core(
                out[low:middle],
                angles[low:middle],
                centre,
                tail,
                4.0 * steep_left,
                core,
                four_ln2 * steep_left,
            )
            _add_core(
                out[middle:high],
                angles[middle:high],
                centre,
                tail,
                4.0 * steep_right,
                core,
                four_ln2 * steep_right,
            )
            _add_tail(out[high:last], angles[high:last], centre, tail, 4.0 * steep_right)
