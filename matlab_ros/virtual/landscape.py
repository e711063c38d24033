"""How a target's yield depends on powders, temperature and dwell in a virtual chemistry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.stoichiometry import precursor_mass_fractions
from matlab_ros.model.errors import UnreachableComposition
from matlab_ros.virtual.network import Chemistry
from matlab_ros.virtual.synthesis import Firing, synthesise

FloatArray = NDArray[np.float64]

SAMPLE_MG = 1000.0
NEAR = 0.95
"""Yields above this share of the best count as near it."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """Yields of a target.

    Attributes:
        target: its formula.
        sets: names of the powders of each set.
        temperatures_c: shape (T,).
        dwells_h: shape (D,).
        yields: weight fraction of the target in the product, shape (sets, T, D).
    """

    target: str
    sets: tuple[tuple[str, ...], ...]
    temperatures_c: FloatArray
    dwells_h: FloatArray
    yields: FloatArray

    @property
    def best(self) -> tuple[float, tuple[str, ...], float, float]:
        """The highest yield, and the set, temperature and dwell that give it."""
        i, j, k = np.unravel_index(int(np.argmax(self.yields)), self.yields.shape)
        return (
            float(self.yields[i, j, k]),
            self.sets[i],
            float(self.temperatures_c[j]),
            float(self.dwells_h[k]),
        )

    @property
    def near_best(self) -> float:
        """Share of the grid with at least 95 % of the highest yield."""
        return float(np.mean(self.yields >= NEAR * self.yields.max()))

    @property
    def hottest(self) -> float:
        """The best yield that the highest temperature gives."""
        return float(self.yields[:, -1, :].max())


def powder_formula(chemistry: Chemistry, powder: str) -> str:
    """What is written on a bottle: the formula of most of what is in it.

    Raises:
        KeyError: there is no such powder.
    """
    return chemistry.species[int(np.argmax(chemistry.powders[powder]))].formula


def doses_mg(
    chemistry: Chemistry, target: str, powders: Sequence[str], total_mg: float = SAMPLE_MG
) -> dict[str, float]:
    """Masses of powders that have the target's ratio of metals.

    Raises:
        UnreachableComposition: they cannot make it.
        KeyError: a powder is unknown.
    """
    formulas = [powder_formula(chemistry, powder) for powder in powders]
    shares = precursor_mass_fractions(target, formulas)
    return {name: total_mg * share for name, share in zip(powders, shares, strict=True)}


def sets_for(chemistry: Chemistry, target: str, most: int = 2) -> tuple[tuple[str, ...], ...]:
    """All sets of up to `most` powders that can make a target, none of which is the target."""
    wanted = parse_formula(target).reduced
    names = [
        name
        for name in chemistry.powders
        if parse_formula(powder_formula(chemistry, name)).reduced != wanted
    ]
    found = []
    for size in range(1, most + 1):
        for powders in combinations(names, size):
            try:
                doses_mg(chemistry, target, powders)
            except UnreachableComposition:
                continue
            found.append(powders)
    return tuple(found)


def phases_of(chemistry: Chemistry, target: str) -> frozenset[str]:
    """Phases that have a target's composition."""
    wanted = parse_formula(target).reduced
    return frozenset(
        item.phase for item in chemistry.species if parse_formula(item.formula).reduced == wanted
    )


def survey(
    chemistry: Chemistry,
    target: str,
    sets: Sequence[Sequence[str]],
    temperatures_c: Sequence[float],
    dwells_h: Sequence[float],
) -> Landscape:
    """Try every set at every temperature and dwell, without any scatter.

    Raises:
        UnreachableComposition: a set cannot make the target.
        ValueError: no species has the target's composition, or there is no set.
    """
    phases = phases_of(chemistry, target)
    if not phases or not sets:
        raise ValueError(f"nothing in this chemistry makes {target}")
    yields = np.zeros((len(sets), len(temperatures_c), len(dwells_h)))
    for i, powders in enumerate(sets):
        doses = doses_mg(chemistry, target, powders)
        for j, temperature in enumerate(temperatures_c):
            for k, dwell in enumerate(dwells_h):
                product = synthesise(chemistry, doses, Firing.hold(temperature, dwell))
                yields[i, j, k] = sum(product.fraction(phase) for phase in phases)
    return Landscape(
        target,
        tuple(tuple(powders) for powders in sets),
        np.array(temperatures_c, dtype=float),
        np.array(dwells_h, dtype=float),
        yields,
    )
