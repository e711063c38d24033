"""Which solids can make which: amounts that conserve everything that does not leave as a gas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.outcomes import metals

TINY = 1e-9
"""Share of the largest amount below which a substance takes no part."""

# Gas that carries each volatile element, and its atoms per molecule; oxygen closes the balance.
_CARRIERS = {"C": ("CO2", 1.0, 2.0), "H": ("H2O", 2.0, 1.0), "N": ("N2", 2.0, 0.0)}


@dataclass(frozen=True)
class SolidReaction:
    """Amounts of solids that turn into each other while gases leave and enter freely.

    Attributes:
        reactants: formula units used up, all above zero, sorted by formula.
        products: formula units made, all above zero, sorted by formula.
    """

    reactants: tuple[tuple[str, float], ...]
    products: tuple[tuple[str, float], ...]

    @property
    def gases(self) -> Mapping[str, float]:
        """Molecules of each gas: above zero when released, below when taken up."""
        return gases_between(dict(self.reactants), dict(self.products))

    def __str__(self) -> str:
        return f"{_side(self.reactants)} -> {_side(self.products)}"


def _side(terms: tuple[tuple[str, float], ...]) -> str:
    return " + ".join(name if abs(n - 1) < 1e-6 else f"{n:.3g} {name}" for name, n in terms)


@lru_cache(maxsize=65536)
def balance_solids(reactants: tuple[str, ...], products: tuple[str, ...]) -> SolidReaction | None:
    """The amounts in which reactants become products, scaled to one unit of the first reactant.

    Args:
        reactants: reduced formulas, all different.
        products: reduced formulas, all different, none of them a reactant.

    Returns:
        None where no amounts, all of them above zero, conserve what stays on ignition, or where
        several different mixtures of the products would.
    """
    names = tuple(sorted(reactants)), tuple(sorted(products))
    everything = (*names[0], *names[1])
    if len(set(everything)) != len(everything) or not names[0] or not names[1]:
        return None
    elements = sorted(frozenset().union(*(metals(name) for name in everything)))
    matrix = np.array([[_atoms(name, element) for name in everything] for element in elements])
    matrix[:, len(names[0]) :] *= -1
    # All that conserves the elements is the null space; one dimension of it is one reaction.
    _, singular, rows = np.linalg.svd(matrix)
    rank = int((singular > 1e-9 * singular[0]).sum()) if singular.size else 0
    if len(everything) - rank != 1:
        return None
    amounts = rows[-1]
    amounts = amounts / amounts[int(np.argmax(np.abs(amounts)))]
    if amounts.min() <= TINY:
        return None
    amounts = amounts / amounts[0]
    count = len(names[0])
    return SolidReaction(
        tuple(zip(names[0], amounts[:count].tolist(), strict=True)),
        tuple(zip(names[1], amounts[count:].tolist(), strict=True)),
    )


def mix_for(target: str, precursors: Sequence[str]) -> dict[str, float] | None:
    """Formula units of each precursor for one of the target, the least of them where many do.

    Returns:
        None where the precursors cannot give the target's ratio of metals.
    """
    names = sorted(set(precursors))
    elements = sorted(metals(target).union(*(metals(name) for name in names)))
    matrix = np.array([[_atoms(name, element) for name in names] for element in elements])
    goal = np.array([_atoms(target, element) for element in elements])
    amounts, residual = nnls(matrix, goal)
    if residual > 1e-6 * max(1.0, float(goal.max())):
        return None
    # A set that could do with fewer powders is still mixed from all of them, in equal parts of
    # what is free: the least-norm solution, where it has no negative amount.
    evenly: NDArray[np.float64] = np.linalg.lstsq(matrix, goal, rcond=None)[0]
    if evenly.min() > TINY and np.abs(matrix @ evenly - goal).max() < 1e-6:
        amounts = evenly
    return {name: float(n) for name, n in zip(names, amounts, strict=True) if n > TINY}


def gases_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Molecules of CO2, H2O, N2 and O2 that leave (above zero) or enter when solids change."""
    surplus = dict.fromkeys(("C", "H", "N", "O"), 0.0)
    for sign, side in ((1.0, before), (-1.0, after)):
        for name, n in side.items():
            for element in surplus:
                surplus[element] += sign * n * _atoms(name, element)
    gases: dict[str, float] = {}
    oxygen = surplus["O"]
    for element, (gas, atoms, oxygens) in _CARRIERS.items():
        molecules = surplus[element] / atoms
        oxygen -= molecules * oxygens
        if abs(molecules) > TINY:
            gases[gas] = molecules
    if abs(oxygen) > TINY:
        gases["O2"] = oxygen / 2.0
    return gases


def weight_fractions(amounts: Mapping[str, float]) -> dict[str, float]:
    """Share of each solid in the mass of all of them."""
    masses = {name: n * parse_formula(name).molar_mass for name, n in amounts.items()}
    whole = sum(masses.values())
    return {name: mass / whole for name, mass in masses.items()} if whole > 0 else {}


@lru_cache(maxsize=65536)
def _atoms(formula: str, element: str) -> float:
    return float(parse_formula(formula).amounts.get(element, 0))
