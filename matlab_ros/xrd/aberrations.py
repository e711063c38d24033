"""What a Bragg-Brentano diffractometer and a sample's surface do to a pattern of ideal peaks.

All of it changes slowly with the angle and is the same for every phase, so that it is applied to
the diffracted intensity as a whole, after the peaks are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.peaks import compiled

# Quadrature over the height at which a ray arrives; peaks are wider than the shifts between nodes.
_NODES = 20
# Below it the tails are shorter than a ten thousandth of a degree.
_LEAST_TO_RADIUS = 1e-4


@dataclass(frozen=True)
class Geometry:
    """The lengths of a diffractometer that show in a pattern.

    Attributes:
        radius_mm: of the goniometer.
        sample_to_radius: half of the illuminated height of the sample, along the axis, over the
            radius; 0 for no axial divergence. With Soller slits about the tangent of half of
            their opening, e.g. 0.02 for 0.04 rad.
        detector_to_radius: the same of the detector's slit.
    """

    radius_mm: float = 145.0
    sample_to_radius: float = 0.0
    detector_to_radius: float = 0.0

    def displacement_deg(self, height_um: float) -> float:
        """Peak shift at 2 theta = 0 of a sample that stands too high, as `Instrument` has it.

        The shift is 2 s cos(theta) / R in radians (Klug & Alexander, X-Ray Diffraction
        Procedures, 1974, 5-2); a sample below the axis has a negative height and gives lower
        angles.
        """
        return math.degrees(2.0 * height_um * 1e-3 / self.radius_mm)

    def with_axial_tails(self, two_theta_deg: FloatArray, intensity: FloatArray) -> FloatArray:
        """Intensity smeared by axial divergence, shape (n,); the sum stays the same.

        The profile is that of Finger, Cox and Jephcoat (J. Appl. Cryst. 27, 892, 1994, eqs. 4 to
        7), integrated over the height at which a ray meets the detector instead of the angle,
        which takes the singularity out.

        Args:
            two_theta_deg: equally spaced angles in degrees, shape (n,).
            intensity: at these, background left out, shape (n,).
        """
        if min(self.sample_to_radius, self.detector_to_radius) < _LEAST_TO_RADIUS:
            return intensity
        smear = _axial_operator(
            float(two_theta_deg[0]),
            float(two_theta_deg[-1]),
            two_theta_deg.size,
            self.sample_to_radius,
            self.detector_to_radius,
        )
        return np.asarray(smear @ intensity, dtype=np.float64)

    def with_penetration_tails(
        self, two_theta_deg: FloatArray, intensity: FloatArray, absorption_per_cm: float
    ) -> FloatArray:
        """Intensity smeared by the beam's way into a sample that absorbs little, shape (n,).

        What comes from below the surface is seen at lower angles, with an exponential
        distribution of mean shift sin(2 theta) / (2 mu R) (Klug & Alexander, 5-2).

        Args:
            two_theta_deg: equally spaced angles in degrees, shape (n,).
            intensity: at these, shape (n,).
            absorption_per_cm: linear coefficient of the powder, pores included; infinite for none.
        """
        if not math.isfinite(absorption_per_cm):
            return intensity
        step = math.radians(float(two_theta_deg[-1] - two_theta_deg[0])) / (two_theta_deg.size - 1)
        radius_cm = self.radius_mm / 10.0
        shift = np.sin(np.radians(two_theta_deg)) / (2.0 * absorption_per_cm * radius_cm)
        return np.asarray(_decayed(intensity, shift / (shift + step)), dtype=np.float64)


@dataclass(frozen=True)
class Surface:
    """A rough or porous surface: Suortti's S = smooth + (1 - smooth) exp(-roughness / sin(theta)).

    P. Suortti, J. Appl. Cryst. 5, 325 (1972).

    Attributes:
        roughness: what rules the loss at low angles; 0 for a flat surface.
        smooth: share of the intensity that keeps out of it, 0 to 1.
    """

    roughness: float = 0.0
    smooth: float = 0.0

    def factor(self, two_theta_deg: FloatArray) -> FloatArray:
        """Share of the intensity that is left at each angle, shape (n,)."""
        sine = np.sin(np.radians(two_theta_deg) / 2.0)
        return self.smooth + (1.0 - self.smooth) * np.exp(-self.roughness / sine)


@lru_cache(maxsize=8)
def _axial_operator(
    first_deg: float, last_deg: float, n: int, sample: float, detector: float
) -> csr_array:
    """Matrix, shape (n, n), that spreads what belongs to each angle over those that show it."""
    angles = np.radians(np.linspace(first_deg, last_deg, n))
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    longest = sample + detector
    # A ray at height h of the detector is seen by the whole of the shorter one up to |S - H|.
    corner = abs(sample - detector)
    heights, weights = [], []
    for low, high in ((0.0, corner), (corner, longest)):
        if high > low:
            heights.append(low + (high - low) * (node + 1.0) / 2.0)
            weights.append(weight * (high - low) / 2.0)
    h, w = np.concatenate(heights), np.concatenate(weights)
    w = w * np.minimum(longest - h, 2.0 * min(sample, detector)) / (1.0 + h * h)
    cosine = np.outer(np.cos(angles), np.sqrt(1.0 + h * h))
    seen = np.arccos(np.clip(cosine, -1.0, 1.0))
    shares = w / np.maximum(np.sin(seen), 1e-6)
    shares /= shares.sum(axis=1, keepdims=True)
    return _spread((seen - angles[0]) / (angles[1] - angles[0]), shares)


def _spread(targets: FloatArray, shares: FloatArray) -> csr_array:
    """Matrix that brings shares of each column's value to places between the rows.

    Args:
        targets: row numbers with fractions, shape (n, k).
        shares: shape (n, k).
    """
    n = targets.shape[0]
    whole = np.floor(targets).astype(np.int64)
    t = targets - whole
    # Lagrange's cubic: linear interpolation would broaden the peaks.
    factors = (
        -t * (t - 1.0) * (t - 2.0) / 6.0,
        (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
        -(t + 1.0) * t * (t - 2.0) / 2.0,
        (t + 1.0) * t * (t - 1.0) / 6.0,
    )
    columns = np.broadcast_to(np.arange(n)[:, None], whole.shape).ravel()
    rows: list[NDArray[np.int64]] = []
    values: list[FloatArray] = []
    for offset, factor in zip((-1, 0, 1, 2), factors, strict=True):
        rows.append(np.clip(whole + offset, 0, n - 1).ravel())
        values.append((factor * shares).ravel())
    entries = (np.concatenate(values), (np.concatenate(rows), np.tile(columns, len(rows))))
    return csr_array(entries, shape=(n, n))


@compiled("f8[::1](f8[::1], f8[::1])")
def _decayed(intensity, share):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Passes a share of each value on to the angle below; a/(1 - a) steps at the mean."""
    out = np.empty_like(intensity)
    carried = 0.0
    for i in range(intensity.size - 1, -1, -1):
        total = intensity[i] + carried
        carried = share[i] * total
        out[i] = total - carried
    return out
