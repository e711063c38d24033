"""What absorption inside the grains does to weight fractions, and how far they may be wrong.

A heavy absorber among light ones shows less of itself than its share, because the beam does not
reach the inside of its grains. Brindley (Phil. Mag. 36, 347, 1945) gives the factor for spheres of
a known diameter. The diameter is seldom known, so the correction is made for a nominal one, and
its size goes into the systematic uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matlab_ros.xrd.pattern import FloatArray

# Ground or milled laboratory powders have grains of 1 to 5 micrometres. Within that range this was
# chosen by a scan on the 20 measured mixtures, whose error is flat from 3 to 5; see
# benchmarks/diffraction.py, which prints the scan. It has not been tested on other samples.
NOMINAL_GRAIN_UM = 3.0
# What whole-pattern fits reach on well-behaved powders (light absorbers, no texture).
FLOOR = 0.008
# Share of W (1 - W): texture, surface roughness and wrong displacement parameters change the
# intensity of one phase against the others by about this much: 5 wt% where two are equal, which is
# the error of measured mixtures with layered and platy powders.
INTENSITY_ERROR = 0.20
# Beyond this product of absorption contrast and radius Brindley's series is not to be trusted.
_LARGEST_ARGUMENT = 0.3


def brindley_factor(
    volume_fractions: FloatArray, absorption_per_cm: FloatArray, grain_um: float
) -> FloatArray:
    """Brindley's particle absorption factor tau of each phase, shape (k,).

    Intensity seen = tau * intensity without absorption contrast, with
    tau = 1 - 1.45 a + 1.426 a^2 and a = (mu_j - mu_mean) * radius.

    Args:
        volume_fractions: of the phases, adding up to 1, shape (k,).
        absorption_per_cm: linear absorption coefficients in 1/cm, shape (k,).
        grain_um: diameter of the grains in micrometres.
    """
    mean = float(volume_fractions @ absorption_per_cm)
    argument = (absorption_per_cm - mean) * grain_um / 2.0 * 1e-4
    argument = np.clip(argument, -_LARGEST_ARGUMENT, _LARGEST_ARGUMENT)
    return np.asarray(1.0 - 1.45 * argument + 1.426 * argument**2, dtype=np.float64)


def correct_fractions(
    fractions: FloatArray, absorption_per_cm: FloatArray, density: FloatArray, grain_um: float
) -> FloatArray:
    """Weight fractions after Brindley's correction, shape (k,).

    Args:
        fractions: weight fractions as Hill and Howard's formula gives them, shape (k,).
        absorption_per_cm: linear absorption coefficients in 1/cm, shape (k,).
        density: in g/cm3, shape (k,).
        grain_um: diameter of the grains in micrometres, 0 for no correction.
    """
    corrected = fractions.copy()
    if grain_um <= 0 or fractions.sum() <= 0:
        return corrected
    for _ in range(30):
        volumes = corrected / density
        tau = brindley_factor(volumes / volumes.sum(), absorption_per_cm, grain_um)
        following = fractions / tau
        following /= following.sum()
        if np.max(np.abs(following - corrected)) < 1e-7:
            return following
        corrected = following
    return corrected


def systematic_sigma(
    fractions: FloatArray, uncorrected: FloatArray, corrections: Sequence[FloatArray] = ()
) -> FloatArray:
    """Systematic standard uncertainty of weight fractions, shape (k,).

    Added in squares: a floor, an intensity error proportional to W (1 - W), the whole of the
    absorption correction, since grains may be half or twice as large as assumed, and the whole of
    every other correction, since a model with one parameter is a crude picture of a surface or of
    a texture.

    Args:
        fractions: corrected weight fractions, shape (k,).
        uncorrected: the same before the correction, shape (k,).
        corrections: what others change in the fractions, each of shape (k,).
    """
    if fractions.size < 2:
        # What else may be there, too little to be seen.
        return np.full(fractions.size, FLOOR)
    intensity = INTENSITY_ERROR * fractions * (1.0 - fractions)
    absorption = fractions - uncorrected
    variance = FLOOR**2 + intensity**2 + absorption**2
    for correction in corrections:
        variance = variance + correction**2
    return np.asarray(np.sqrt(variance), dtype=np.float64)
