"""Whether the phases hold the elements that were weighed in, in the same ratios.

Gases come and go in a furnace, so that only elements count that stay: the others' amounts in the
phases are compared as shares of their sum with the shares in what was dispensed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from matlab_ros.xrd.structure import Structure

GASES = frozenset({"H", "C", "N", "O", "F", "Cl", "Br", "I", "S"})
"""Elements that leave a crucible as gases or come into it from one."""
_SIGMAS = 2.5
_FLOOR = 0.015
"""Share that weighing, powder lost and phases below what can be seen make uncertain."""
MISSING = 0.05
"""Share of an element of which nothing was found, above which a person must look."""


@dataclass(frozen=True)
class ElementShare:
    """One element's part in what stays in the crucible.

    Attributes:
        element: its symbol.
        dispensed: share of all atoms that stay, by the masses weighed in, 0 to 1.
        found: the same by the phases, 0 to 1.
        sigma: standard uncertainty of the difference.
    """

    element: str
    dispensed: float
    found: float
    sigma: float

    @property
    def tolerance(self) -> float:
        """Difference that uncertainties explain."""
        return _SIGMAS * self.sigma + _FLOOR

    @property
    def holds(self) -> bool:
        """Whether the two agree."""
        return abs(self.found - self.dispensed) <= self.tolerance

    @property
    def is_missing(self) -> bool:
        """Whether a good share of it was weighed in and no phase holds it."""
        return self.found < 1e-3 and self.dispensed > max(MISSING, self.tolerance)


@dataclass(frozen=True)
class Fraction:
    """A phase's weight fraction, for the balance."""

    structure: Structure
    weight_fraction: float
    sigma: float


def mass_balance(
    phases: Sequence[Fraction], dispensed_mmol: Mapping[str, tuple[float, float]]
) -> tuple[ElementShare, ...]:
    """Shares of the elements that stay, weighed in and found.

    Args:
        phases: of the crystalline part.
        dispensed_mmol: amount and standard uncertainty of each element that was weighed in.

    Returns:
        By element symbol; empty where nothing is to be compared: fewer than two such elements, or
        no phase.
    """
    elements = sorted(e for e, (n, _) in dispensed_mmol.items() if e not in GASES and n > 0)
    present = [phase for phase in phases if phase.weight_fraction > 0]
    if len(elements) < 2 or not present:
        return ()
    # mol of each element per gram of each phase, shape (k, e).
    contents = np.array([[_per_gram(p.structure, e) for e in elements] for p in present])
    weights = np.array([p.weight_fraction for p in present])
    sigmas = np.array([p.sigma for p in present])
    amounts = weights @ contents
    total = float(amounts.sum())
    if total <= 0:
        return ()
    found = amounts / total
    k = len(present)
    slopes = (contents - np.outer(contents.sum(axis=1), found)) / total
    # Fractions add up to 1: where one is too high the others are too low, which as independent
    # errors would be underrated by k / (k - 1).
    variance = (sigmas**2) @ slopes**2 * (k / (k - 1) if k > 1 else 1.0)
    given = np.array([dispensed_mmol[e][0] for e in elements])
    given_sigma = np.array([dispensed_mmol[e][1] for e in elements])
    shares = given / given.sum()
    others = math.sqrt(float(given_sigma @ given_sigma))
    given_variance = (given_sigma * (1 - shares) / given.sum()) ** 2
    given_variance += (shares * others / given.sum()) ** 2
    return tuple(
        ElementShare(e, float(shares[i]), float(found[i]), float(sigma))
        for i, (e, sigma) in enumerate(
            zip(elements, np.sqrt(variance + given_variance), strict=True)
        )
    )


def _per_gram(structure: Structure, element: str) -> float:
    return structure.composition.get(element, 0.0) / structure.cell_mass
