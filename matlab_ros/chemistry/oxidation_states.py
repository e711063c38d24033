"""Whether a formula can be neutral with the oxidation states that its elements usually have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from matlab_ros.chemistry.formula import Formula

# Usual states in solids (Greenwood & Earnshaw, Chemistry of the Elements, 2nd ed.), with the rare
# ones left out; anions are those of `_ANIONS`.
_CATIONS: dict[str, tuple[int, ...]] = {
    "H": (1,), "Li": (1,), "Na": (1,), "K": (1,), "Rb": (1,), "Cs": (1,), "Ag": (1, 3),
    "Be": (2,), "Mg": (2,), "Ca": (2,), "Sr": (2,), "Ba": (2,), "Zn": (2,), "Cd": (2,),
    "B": (3,), "Al": (3,), "Ga": (3,), "In": (3,), "Sc": (3,), "Y": (3,), "La": (3,),
    "Nd": (3,), "Gd": (3,), "Dy": (3,), "Ho": (3,), "Er": (3,), "Tm": (3,), "Lu": (3,),
    "Ce": (3, 4), "Pr": (3, 4), "Sm": (2, 3), "Eu": (2, 3), "Tb": (3, 4), "Yb": (2, 3),
    "Si": (4,), "Zr": (4,), "Hf": (4,), "Th": (4,), "Ti": (2, 3, 4), "Ge": (2, 4), "Sn": (2, 4),
    "Pb": (2, 4), "C": (-4, 3, 4), "N": (-3, 3, 5), "P": (-3, 3, 5), "As": (-3, 3, 5),
    "Sb": (-3, 3, 5), "Bi": (3, 5), "V": (2, 3, 4, 5), "Nb": (2, 4, 5), "Ta": (4, 5),
    "Cr": (2, 3, 4, 6), "Mo": (4, 5, 6), "W": (4, 5, 6), "Mn": (2, 3, 4, 6, 7),
    "Re": (4, 6, 7), "Fe": (2, 3, 4), "Ru": (3, 4), "Os": (4, 6, 8), "Co": (2, 3, 4),
    "Rh": (3, 4), "Ir": (3, 4), "Ni": (2, 3, 4), "Pd": (2, 4), "Pt": (2, 4), "Cu": (1, 2, 3),
    "Au": (1, 3), "Hg": (1, 2), "Tl": (1, 3), "U": (4, 5, 6), "S": (-2, 4, 6), "Se": (-2, 4, 6),
    "Te": (-2, 4, 6), "Cl": (-1, 5, 7), "Br": (-1, 5), "I": (-1, 5, 7),
}  # fmt: skip
_ANIONS: dict[str, tuple[int, ...]] = {"F": (-1,), "O": (-2,)}
_OF_ANY_USE = frozenset({"F", "O", "Cl", "Br", "I", "S", "Se", "Te", "N"})
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ChargeBalance:
    """How a formula becomes neutral.

    Attributes:
        states: of each element; the mean one where an element has two.
        mixed: the element that has two states, empty where none has.
    """

    states: dict[str, float]
    mixed: str = ""


def charge_balance(formula: Formula) -> ChargeBalance | None:
    """Oxidation states that make a formula neutral; None where the usual ones do not.

    One element may have two of its states side by side, such as iron in Fe3O4, or ammonium's and
    nitrate's nitrogen.
    """
    elements = list(formula.amounts)
    amounts = {e: float(n) for e, n in formula.amounts.items()}
    choices = [_ANIONS.get(e) or _CATIONS.get(e, ()) for e in elements]
    if not all(choices):
        return None
    best: ChargeBalance | None = None
    for states in product(*choices):
        if abs(sum(amounts[e] * s for e, s in zip(elements, states, strict=True))) < _TOLERANCE:
            found = ChargeBalance({e: float(s) for e, s in zip(elements, states, strict=True)})
            # Fewer negative cations are the more usual way.
            if best is None or _odd(found) < _odd(best):
                best = found
    return best or _mixed(elements, amounts, choices)


def is_ionic(formula: Formula) -> bool:
    """Whether charges make sense for it: it holds an anion and something else."""
    return bool(formula.elements & _OF_ANY_USE) and len(formula.elements) > 1


def _odd(balance: ChargeBalance) -> int:
    return sum(state < 0 for element, state in balance.states.items() if element not in _ANIONS)


def _mixed(
    elements: list[str], amounts: dict[str, float], choices: list[tuple[int, ...]]
) -> ChargeBalance | None:
    for index, element in enumerate(elements):
        low, high = min(choices[index]), max(choices[index])
        if low == high:
            continue
        others = [choices[i] if i != index else (0,) for i in range(len(elements))]
        for states in product(*others):
            rest = sum(amounts[e] * s for e, s in zip(elements, states, strict=True))
            needed = -rest / amounts[element]
            if low < needed < high and (needed > 0 or low < 0 < high):
                found = {e: float(s) for e, s in zip(elements, states, strict=True)}
                found[element] = needed
                return ChargeBalance(found, element)
    return None
