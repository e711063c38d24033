"""Whether a target can exist: its charges, the distances of its atoms, the room they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import gemmi
import numpy as np
from numpy.typing import NDArray

from matlab_ros.chemistry.formula import Formula
from matlab_ros.chemistry.oxidation_states import charge_balance, is_ionic

CLOSEST = 0.7
"""Least distance of two atoms as a share of the sum of their covalent radii; the double bonds of
vanadyl and the shortest contacts of cations in the shipped structures stay above it."""
ROOM_RANGE = (0.7, 1.45)
"""Volume of a compound relative to that of the oxides it is made of; open frameworks are above."""
_MOST_PAIRS = 4_000_000


class Level(str, Enum):
    """How much a finding matters."""

    FINE = "fine"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: how much it matters.
        subject: what was looked at.
        sentence: what was found.
    """

    level: Level
    subject: str
    sentence: str


def check_charges(formula: Formula) -> Finding:
    """Whether the usual oxidation states add up to zero."""
    subject = "charges"
    if not is_ionic(formula):
        return Finding(Level.FINE, subject, "no ionic compound, so charges say nothing")
    found = charge_balance(formula)
    if found is None:
        return Finding(
            Level.DOUBTFUL, subject, "no usual oxidation states of its elements add up to zero"
        )
    states = ", ".join(f"{e} {s:+.3g}" for e, s in found.states.items())
    if found.mixed:
        return Finding(
            Level.FINE, subject, f"neutral with {states}: {found.mixed} has several states"
        )
    return Finding(Level.FINE, subject, f"neutral with {states}")


def check_distances(
    symbols: Sequence[str],
    positions: NDArray[np.float64],
    occupancies: NDArray[np.float64],
    cell: tuple[float, float, float, float, float, float],
) -> Finding:
    """Whether two atoms are closer than atoms come.

    Args:
        symbols: element of each atom in the cell, length n.
        positions: fractional coordinates, shape (n, 3).
        occupancies: shape (n,). Atoms that are there in part may exclude one another.
        cell: a, b, c in angstrom and alpha, beta, gamma in degrees.
    """
    subject = "distances"
    shifts = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    n = len(symbols)
    if n * n * len(shifts) > _MOST_PAIRS:
        return Finding(Level.FINE, subject, f"not checked: {n} atoms are in the cell")
    to_cartesian = np.array(gemmi.UnitCell(*cell).orth.mat.tolist())
    delta = positions[:, None, None, :] - positions[None, :, None, :] + shifts[None, None, :, :]
    distance = np.linalg.norm(delta @ to_cartesian.T, axis=-1)
    distance[np.arange(n), np.arange(n), 13] = np.inf  # an atom and itself
    radii = np.array([gemmi.Element(symbol).covalent_r for symbol in symbols])
    ratio = distance / (radii[:, None, None] + radii[None, :, None])
    excluded = occupancies[:, None] + occupancies[None, :] <= 1.01
    ratio[excluded] = np.inf
    # Hydrogen is seldom where a CIF says.
    hydrogen = np.array([symbol in ("H", "D") for symbol in symbols])
    ratio[hydrogen, :, :] = np.inf
    ratio[:, hydrogen, :] = np.inf
    if not np.isfinite(ratio).any():
        return Finding(Level.FINE, subject, "no two whole atoms to compare")
    i, j, k = (int(n) for n in np.unravel_index(int(np.argmin(ratio)), ratio.shape))
    pair = f"{symbols[i]} and {symbols[j]} are {distance[i, j, k]:.2f} Å apart"
    if ratio[i, j, k] < CLOSEST:
        least = CLOSEST * (radii[i] + radii[j])
        return Finding(Level.WRONG, subject, f"{pair}, closer than the {least:.2f} Å that can be")
    return Finding(Level.FINE, subject, f"the closest, {pair}")


def check_room(volume_per_formula: float, oxides: Mapping[str, tuple[float, float]]) -> Finding:
    """Whether a compound takes about as much room as the oxides it is made of.

    Args:
        volume_per_formula: in cubic angstrom.
        oxides: of each oxide, how many formula units make the compound, and the cubic angstrom of
            one.
    """
    subject = "density"
    expected = sum(n * volume for n, volume in oxides.values())
    ratio = volume_per_formula / expected
    names = " + ".join(oxides)
    text = f"takes {ratio:.2f} times the room of {names}"
    if not ROOM_RANGE[0] < ratio < ROOM_RANGE[1]:
        return Finding(Level.DOUBTFUL, subject, f"{text}, usual are {ROOM_RANGE[0]:g} to 1.3")
    return Finding(Level.FINE, subject, text)
