"""Calculating what a diffractometer would count for a mixture of phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from matlab_ros.xrd.aberrations import Geometry, Surface
from matlab_ros.xrd.pattern import FloatArray, Pattern, Radiation
from matlab_ros.xrd.profile import Instrument, PhaseProfile, phase_profile, size_broadening_deg
from matlab_ros.xrd.structure import Structure
from matlab_ros.xrd.texture import Axis
from matlab_ros.xrd.uncertainty import NOMINAL_GRAIN_UM, brindley_factor

# Makes corundum's strongest reflection about 500 counts/s at a flux of 1.
_FLUX_UNIT = 1300.0


@dataclass(frozen=True, eq=False)
class PhaseInMixture:
    """A phase as it is in a sample.

    Attributes:
        structure: the crystal.
        weight_fraction: its share; the shares of a mixture need not add up to 1.
        size_nm: crystallite size by Scherrer's equation, infinite for no broadening.
        strain: relative changes of the free cell constants, shape as
            `matlab_ros.xrd.profile.PhaseProfile.free`; an empty one for none.
        axis: Miller indices of the plane that its grains turn, None for none.
        march: March's parameter r of that texture; below 1 for plates, above for needles.
        microstrain: spread of the spacings, dimensionless; FWHM = 4 e tan(theta), Lorentzian.
        b_change_angstrom2: what is added to B of all atoms of the structure, as temperature or
            defects do.
        graininess: relative standard deviation of the intensity of a reflection of multiplicity
            8, because only so many crystallites reflect; it falls with the root of the
            multiplicity (de Wolff, Appl. Sci. Res. B 7, 102, 1958).
        grain_seed: of the draw of these intensities, 0 to 2^32.
    """

    structure: Structure
    weight_fraction: float
    size_nm: float = 150.0
    strain: FloatArray = field(default_factory=lambda: np.empty(0))
    axis: Axis | None = None
    march: float = 1.0
    microstrain: float = 0.0
    b_change_angstrom2: float = 0.0
    graininess: float = 0.0
    grain_seed: int = 0


@dataclass(frozen=True)
class Hump:
    """A broad halo of something amorphous: a Gaussian.

    Attributes:
        height_per_s: counts per second at its top.
        at_deg: 2 theta of its top.
        width_deg: its standard deviation.
    """

    height_per_s: float
    at_deg: float = 22.0
    width_deg: float = 5.0


@dataclass(frozen=True)
class Background:
    """What is counted beside the peaks. Rates are of a flux of 1 and scale with it.

    Attributes:
        air_per_s: counts per second of air scatter at 10 degrees.
        air_decay_deg: angle over which that falls to 1/e.
        flat_per_s: counts per second at all angles, of fluorescence and the detector.
        polynomial: coefficients in counts per second of the Chebyshev polynomials of degree 1, 2
            and so on over the scan.
        humps: amorphous halos.

    The defaults are read off a measured pattern of an A-Lab Aeris.
    """

    air_per_s: float = 88.0
    air_decay_deg: float = 12.0
    flat_per_s: float = 21.0
    polynomial: tuple[float, ...] = ()
    humps: tuple[Hump, ...] = ()

    def rate(self, two_theta_deg: FloatArray) -> FloatArray:
        """Counts per second at each angle, nowhere below 0, shape (n,)."""
        x = two_theta_deg
        total = self.air_per_s * np.exp(-(x - 10.0) / self.air_decay_deg) + self.flat_per_s
        if self.polynomial:
            unit = 2.0 * (x - x[0]) / (x[-1] - x[0]) - 1.0
            total += np.polynomial.chebyshev.chebval(unit, (0.0, *self.polynomial))
        for hump in self.humps:
            total += hump.height_per_s * np.exp(-0.5 * ((x - hump.at_deg) / hump.width_deg) ** 2)
        return np.maximum(total, 0.0)


@dataclass(frozen=True)
class Specimen:
    """The powder as it lies in its holder.

    Attributes:
        grain_um: diameter of the grains in micrometres, 0 for infinitely fine ones; Brindley's
            correction for absorption inside them.
        surface: what it takes from low angles.
        packing: share of the volume that is solid. The looser, the deeper the beam goes, which
            smears peaks of light absorbers towards low angles; infinite for no such effect.
        signal: share of the intensity of an infinitely thick sample.
    """

    grain_um: float = NOMINAL_GRAIN_UM
    surface: Surface = field(default_factory=Surface)
    packing: float = math.inf
    signal: float = 1.0


@dataclass(frozen=True)
class Scan:
    """How a pattern is taken, and by what.

    Attributes:
        start_deg: first 2theta.
        end_deg: last 2theta; the scan ends at the step nearest to it.
        step_deg: between points.
        counting_time_s: per point; a detector strip counts in many channels at once.
        flux: what all rates are multiplied by; 1 gives corundum's strongest peak about 500
            counts/s on the default instrument, like a bench diffractometer.
        background: beside the peaks.
        geometry: for axial divergence and penetration; the default has neither.
        dead_time_s: after each count, in which the counter is blind; what comes within does not
            make it longer.
    """

    start_deg: float = 10.0
    end_deg: float = 100.0
    step_deg: float = 0.0217
    counting_time_s: float = 10.0
    flux: float = 1.0
    background: Background = field(default_factory=Background)
    geometry: Geometry = field(default_factory=Geometry)
    dead_time_s: float = 0.0

    def angles(self) -> FloatArray:
        """All angles of the scan in degrees, shape (n,)."""
        n = round((self.end_deg - self.start_deg) / self.step_deg) + 1
        return np.linspace(self.start_deg, self.start_deg + (n - 1) * self.step_deg, n)


@dataclass(frozen=True, eq=False)
class Expected:
    """Mean counts of a scan and what they are made of.

    Attributes:
        pattern: the mean counts, without noise.
        background: counts without phases, shape (n,).
        curves: counts of each phase, shape (n, k), before dead time.
    """

    pattern: Pattern
    background: FloatArray
    curves: FloatArray

    def counted(self, rng: np.random.Generator) -> Pattern:
        """Counts as a detector would give them: Poisson's distribution about the mean.

        The same generator state gives the same counts.
        """
        counts = rng.poisson(self.pattern.counts).astype(np.float64)
        return replace(self.pattern, counts=counts)


def expected(
    phases: Sequence[PhaseInMixture],
    instrument: Instrument | None = None,
    scan: Scan | None = None,
    radiation: Radiation | None = None,
    specimen: Specimen | None = None,
) -> Expected:
    """Mean counts of a mixture.

    An infinitely thick flat sample diffracts of each phase an intensity proportional to
    w / (rho mu*) where mu* is the mass absorption coefficient of the whole sample (Klug &
    Alexander, X-Ray Diffraction Procedures, 1974, 7-2), times Brindley's factor for absorption
    inside its grains.

    Args:
        phases: the crystalline phases; none gives background alone.
        instrument: resolution and alignment. Its `roughness` and `asymmetry` are those that the
            fit knows; `Specimen.surface` and `Scan.geometry` are closer to nature.
        scan: range, step, time, background.
        radiation: the tube's lines.
        specimen: how the powder lies in its holder.
    """
    instrument = instrument or Instrument()
    scan = scan or Scan()
    if scan.geometry.sample_to_radius > 0:
        # The tails move the centroids themselves.
        instrument = replace(instrument, axial_deg=0.0)
    radiation = radiation or Radiation()
    specimen = specimen or Specimen()
    x = scan.angles()
    background = scan.flux * scan.background.rate(x)
    curves = _diffracted(phases, x, instrument, scan, radiation, specimen)
    rate = background + curves.sum(axis=1)
    if scan.dead_time_s > 0:
        rate = rate / (1.0 + rate * scan.dead_time_s)
    time_s = scan.counting_time_s
    pattern = Pattern(x, rate * time_s, radiation, time_s)
    return Expected(pattern, background * time_s, curves * time_s)


def simulate(
    phases: Sequence[PhaseInMixture],
    rng: np.random.Generator,
    instrument: Instrument | None = None,
    scan: Scan | None = None,
    radiation: Radiation | None = None,
    specimen: Specimen | None = None,
) -> Pattern:
    """Counts as a detector would give them. Arguments are those of `expected`."""
    return expected(phases, instrument, scan, radiation, specimen).counted(rng)


def _diffracted(
    phases: Sequence[PhaseInMixture],
    x: FloatArray,
    instrument: Instrument,
    scan: Scan,
    radiation: Radiation,
    specimen: Specimen,
) -> FloatArray:
    """Counts per second that each phase diffracts, shape (n, k)."""
    curves = np.zeros((x.size, len(phases)), order="F")
    weights = np.array([max(phase.weight_fraction, 0.0) for phase in phases])
    if not weights.sum() > 0:
        return curves
    weights /= weights.sum()
    wavelength = radiation.kalpha1_angstrom
    density = np.array([phase.structure.density for phase in phases])
    absorption = np.array(
        [phase.structure.linear_absorption_per_cm(wavelength) for phase in phases]
    )
    volumes = weights / density
    tau = brindley_factor(volumes / volumes.sum(), absorption, specimen.grain_um)
    scales = _FLUX_UNIT * scan.flux * specimen.signal * volumes * tau / (volumes @ absorption)
    surface = specimen.surface.factor(x)
    powder_absorption = specimen.packing * float(volumes @ absorption / volumes.sum())
    for j, phase in enumerate(phases):
        if weights[j] > 0:
            ideal = scales[j] * _curve(phase, x, instrument, radiation)
            smeared = scan.geometry.with_axial_tails(x, ideal)
            smeared = scan.geometry.with_penetration_tails(x, smeared, powder_absorption)
            # Beside a strong tail the interpolation may fall below zero by a part in 10^10.
            curves[:, j] = np.maximum(surface * smeared, 0.0)
    return curves


def _curve(
    phase: PhaseInMixture, x: FloatArray, instrument: Instrument, radiation: Radiation
) -> FloatArray:
    profile = phase_profile(phase.structure, radiation, float(x[-1]), instrument)
    if phase.axis is not None:
        profile = profile.textured(phase.axis)
    if phase.graininess > 0 or phase.b_change_angstrom2 != 0:
        profile = replace(profile, strength=_disturbed(phase, profile))
    strain = phase.strain if phase.strain.size else np.zeros(len(profile.free))
    size_deg = 0.0
    if math.isfinite(phase.size_nm):
        size_deg = size_broadening_deg(phase.size_nm, radiation.kalpha1_angstrom)
    shape = instrument.vector()
    return profile.curve(x, strain, size_deg, shape, phase.march, phase.microstrain)


def _disturbed(phase: PhaseInMixture, profile: PhaseProfile) -> FloatArray:
    """Strengths of the reflections with other displacements and too few grains, shape (m,)."""
    found = profile.reflections
    strength = profile.strength * np.exp(-phase.b_change_angstrom2 / (2.0 * found.d**2))
    if phase.graininess > 0:
        sd = phase.graininess * np.sqrt(8.0 / found.multiplicity)
        strength *= np.exp(sd * _normal_of(found.hkl, phase.grain_seed) - sd * sd / 2.0)
    return np.ascontiguousarray(strength)


def _normal_of(hkl: NDArray[np.int64], seed: int) -> FloatArray:
    """A normally distributed number for each reflection, the same whatever others there are.

    From the bits of Steele, Lea and Flood's SplitMix (OOPSLA 2014), shape (m,).
    """
    code = (hkl + 512) @ np.array([1 << 20, 1 << 10, 1])
    start = seed * 0x9E3779B97F4A7C15 % 2**64
    bits = code.astype(np.uint64) + np.uint64(start)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return np.asarray(ndtri((bits >> np.uint64(11)) * 2.0**-53 + 2.0**-54), dtype=np.float64)
