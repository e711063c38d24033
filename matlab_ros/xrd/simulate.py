"""Calculating what a diffractometer would count for a mixture of phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from matlab_ros.xrd.pattern import FloatArray, Pattern, Radiation
from matlab_ros.xrd.profile import Instrument, phase_profile, size_broadening_deg
from matlab_ros.xrd.structure import Structure
from matlab_ros.xrd.texture import Axis
from matlab_ros.xrd.uncertainty import NOMINAL_GRAIN_UM, brindley_factor


@dataclass(frozen=True, eq=False)
class PhaseInMixture:
    """A phase as it is in a sample.

    Attributes:
        structure: the crystal.
        weight_fraction: its share; the shares of a mixture need not add up to 1.
        size_nm: crystallite size by Scherrer's equation.
        strain: relative changes of the free cell constants, shape as
            `matlab_ros.xrd.profile.PhaseProfile.free`; an empty one for none.
        axis: Miller indices of the plane that its grains turn, None for none.
        march: March's parameter r of that texture; below 1 for plates, above for needles.
    """

    structure: Structure
    weight_fraction: float
    size_nm: float = 150.0
    strain: FloatArray = field(default_factory=lambda: np.empty(0))
    axis: Axis | None = None
    march: float = 1.0


@dataclass(frozen=True)
class Scan:
    """How a pattern is taken.

    Attributes:
        start_deg: first 2theta.
        end_deg: last 2theta.
        step_deg: between points.
        counting_time_s: per point; a detector strip counts in many channels at once.
        flux: counts per second that scale everything; 1 gives corundum's strongest peak about
            500 counts/s on the default instrument, like a bench diffractometer.
        air_scatter: counts per second of air scatter at 10 degrees; falls off as 1/(2theta).
        fluorescence: counts per second at all angles.
        amorphous: counts per second at the top of a broad halo around 22 degrees.
    """

    start_deg: float = 10.0
    end_deg: float = 100.0
    step_deg: float = 0.0217
    counting_time_s: float = 10.0
    flux: float = 1.0
    air_scatter: float = 100.0
    fluorescence: float = 20.0
    amorphous: float = 0.0

    def angles(self) -> FloatArray:
        """All angles of the scan in degrees, shape (n,)."""
        n = round((self.end_deg - self.start_deg) / self.step_deg) + 1
        return np.linspace(self.start_deg, self.start_deg + (n - 1) * self.step_deg, n)


# Makes corundum's strongest reflection about 500 counts/s at a flux of 1.
_FLUX_UNIT = 1300.0


def expected_pattern(
    phases: Sequence[PhaseInMixture],
    instrument: Instrument | None = None,
    scan: Scan | None = None,
    radiation: Radiation | None = None,
    grain_um: float = NOMINAL_GRAIN_UM,
) -> Pattern:
    """Mean counts of a mixture, without counting noise.

    An infinitely thick flat sample diffracts of each phase an intensity proportional to
    w / (rho mu*) where mu* is the mass absorption coefficient of the whole sample, times
    Brindley's factor for absorption inside its grains.

    Args:
        phases: the crystalline phases; none gives background alone.
        instrument: resolution and alignment.
        scan: range, step and time.
        radiation: the tube's lines.
        grain_um: diameter of the grains in micrometres, 0 for infinitely fine ones.
    """
    instrument = instrument or Instrument()
    scan = scan or Scan()
    radiation = radiation or Radiation()
    x = scan.angles()
    rate = scan.air_scatter * 10.0 / x + scan.fluorescence
    rate += scan.amorphous * np.exp(-(((x - 22.0) / 6.0) ** 2))
    present = [phase for phase in phases if phase.weight_fraction > 0]
    if present:
        weights = np.array([phase.weight_fraction for phase in present])
        weights /= weights.sum()
        wavelength = radiation.kalpha1_angstrom
        density = np.array([phase.structure.density for phase in present])
        absorption = np.array(
            [phase.structure.linear_absorption_per_cm(wavelength) for phase in present]
        )
        mass_absorption = float(weights @ (absorption / density))
        volumes = weights / density
        tau = brindley_factor(volumes / volumes.sum(), absorption, grain_um)
        scales = _FLUX_UNIT * scan.flux * weights / density * tau / mass_absorption
        for phase, scale in zip(present, scales, strict=True):
            profile = phase_profile(phase.structure, radiation, scan.end_deg, instrument)
            if phase.axis is not None:
                profile = profile.textured(phase.axis)
            strain = phase.strain if phase.strain.size else np.zeros(len(profile.free))
            size = (
                size_broadening_deg(phase.size_nm, wavelength)
                if math.isfinite(phase.size_nm)
                else 0.0
            )
            curve = profile.curve(x, strain, size, instrument.vector(), phase.march)
            rate = rate + scale * curve
    return Pattern(
        two_theta_deg=x,
        counts=rate * scan.counting_time_s,
        radiation=radiation,
        counting_time_s=scan.counting_time_s,
    )


def simulate(
    phases: Sequence[PhaseInMixture],
    rng: np.random.Generator,
    instrument: Instrument | None = None,
    scan: Scan | None = None,
    radiation: Radiation | None = None,
    grain_um: float = NOMINAL_GRAIN_UM,
) -> Pattern:
    """Counts as a detector would give them: Poisson noise on `expected_pattern`.

    The same generator state gives the same counts. Arguments are those of `expected_pattern`.
    """
    mean = expected_pattern(phases, instrument, scan, radiation, grain_um)
    return Pattern(
        two_theta_deg=mean.two_theta_deg,
        counts=rng.poisson(mean.counts).astype(np.float64),
        radiation=mean.radiation,
        counting_time_s=mean.counting_time_s,
    )
