"""The lines of a powder pattern as a list, and how far those of two phases fall together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlab_ros.xrd.pattern import Radiation
from matlab_ros.xrd.structure import Structure, reflections

SAME_LINE_DEG = 0.2
"""Closer together, a line of the one hides that of the other at usual widths and shifts."""
_SAME_D = 1e-4


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        hkl: Miller indices of one of its reflections.
        d_angstrom: spacing.
        two_theta_deg: for K-alpha 1.
        intensity: of the strongest line, 0 to 1.
    """

    hkl: tuple[int, int, int]
    d_angstrom: float
    two_theta_deg: float
    intensity: float


def powder_lines(
    structure: Structure,
    radiation: Radiation | None = None,
    first_deg: float = 5.0,
    last_deg: float = 100.0,
) -> tuple[Line, ...]:
    """Lines of a structure by falling intensity.

    I = m |F|^2 (1 + cos^2 2 theta) / (sin^2 theta cos theta); reflections of one spacing are one
    line.
    """
    wavelength = (radiation or Radiation()).kalpha1_angstrom
    d_min = wavelength / (2.0 * np.sin(np.radians(last_deg / 2.0)))
    found = reflections(structure, float(d_min), wavelength)
    theta = np.arcsin(np.clip(wavelength / (2.0 * found.d), 0.0, 1.0))
    two_theta = np.degrees(2.0 * theta)
    lp = (1.0 + np.cos(2.0 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    strength = found.f_squared * found.multiplicity * lp
    order = np.argsort(two_theta, kind="stable")
    lines: list[list[float]] = []  # two theta, d, intensity, index and share of the strongest
    for i in order:
        if two_theta[i] < first_deg:
            continue
        if lines and abs(lines[-1][1] / found.d[i] - 1.0) < _SAME_D:
            lines[-1][2] += strength[i]
            if strength[i] > lines[-1][4]:
                lines[-1][3:] = [float(i), float(strength[i])]
            continue
        lines.append([float(two_theta[i]), float(found.d[i]), float(strength[i]), float(i), 0.0])
        lines[-1][4] = float(strength[i])
    if not lines:
        return ()
    strongest = max(line[2] for line in lines)
    made = []
    for angle, d, intensity, index, _ in lines:
        hkl = _usual(found.hkl[int(index)], structure.rotations)
        made.append(Line(hkl, d, angle, intensity / strongest))
    return tuple(sorted(made, key=lambda line: -line.intensity))


def _usual(hkl: NDArray[np.int64], rotations: NDArray[np.int64]) -> tuple[int, int, int]:
    """Of equivalent indices those that tables give: the fewest negative, then the largest."""
    images = np.einsum("i,gij->gj", hkl, rotations)
    best = max(
        (tuple(int(n) for n in image) for image in np.vstack([images, -images])),
        key=lambda image: (-sum(n < 0 for n in image), image),
    )
    return best[0], best[1], best[2]


def hidden_share(lines: tuple[Line, ...], others: tuple[Line, ...], weakest: float = 0.02) -> float:
    """Share of the intensity of some lines that falls on lines of another phase, 0 to 1.

    Args:
        lines: of the phase that may hide.
        others: of the one behind which it may hide.
        weakest: lines of both below this are not counted.
    """
    counted = [line for line in lines if line.intensity >= weakest]
    angles = np.array([line.two_theta_deg for line in others if line.intensity >= weakest])
    total = sum(line.intensity for line in counted)
    if total <= 0 or angles.size == 0:
        return 0.0
    hidden = sum(
        line.intensity
        for line in counted
        if np.abs(angles - line.two_theta_deg).min() < SAME_LINE_DEG
    )
    return float(hidden / total)
