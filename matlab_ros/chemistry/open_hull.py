"""Stability of phases that exchange oxygen, carbon dioxide and water with the gas around them.

The gas fixes the chemical potentials of O, C, H and N:

    mu_O = 1/2 RT ln pO2,  mu_C = G(CO2) + RT ln pCO2 - 2 mu_O,
    mu_H = 1/2 (G(H2O) + RT ln pH2O - mu_O),  mu_N = 1/2 RT ln pN2

so a phase counts with G - sum n_i mu_i for its atoms that stay, and stability is a question of
those alone: the lower convex hull over their ratios.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from matlab_ros.chemistry.energies import Atmosphere, Energy
from matlab_ros.chemistry.formula import Formula, parse_formula
from matlab_ros.chemistry.stoichiometry import VOLATILE
from matlab_ros.chemistry.thermodynamics import Thermodynamics

# A mixed oxide keeps its structure over such a share of its oxygen, as cuprates and ferrites do.
_OXYGEN_RANGE = 0.2


@dataclass(frozen=True)
class OpenPhase:
    """A phase at given potentials of the gas.

    Attributes:
        formula: as its source writes it.
        amounts: atoms that stay, in one formula unit.
        kj_per_mol: grand potential of one formula unit.
        energy: where it comes from.
    """

    formula: str
    amounts: Mapping[str, float]
    kj_per_mol: float
    energy: Energy

    @property
    def staying_atoms(self) -> float:
        """Atoms that stay, in one formula unit."""
        return sum(self.amounts.values())


def gas_potentials(
    thermodynamics: Thermodynamics, temperature_k: float, atmosphere: Atmosphere
) -> dict[str, float]:
    """Chemical potential of O, C, H and N in kJ/mol of atoms, against the elements."""

    def of(gas: str) -> float:
        standard = thermodynamics.gibbs(gas, temperature_k).kj_per_mol
        return standard + atmosphere.activity_kj_per_mol(gas, temperature_k)

    oxygen = of("O2") / 2.0
    return {
        "O": oxygen,
        "C": of("CO2") - 2.0 * oxygen,
        "H": (of("H2O") - oxygen) / 2.0,
        "N": of("N2") / 2.0,
    }


def open_phase(energy: Energy, potentials: Mapping[str, float]) -> OpenPhase | None:
    """A phase at the potentials of `gas_potentials`; None if nothing of it stays."""
    formula = parse_formula(energy.formula)
    stays = {e: float(n) for e, n in formula.amounts.items() if e not in VOLATILE}
    if not stays:
        return None
    exchanged = sum(float(n) * potentials[e] for e, n in formula.amounts.items() if e in VOLATILE)
    return OpenPhase(energy.formula, stays, energy.kj_per_mol - exchanged, energy)


def open_phases(
    thermodynamics: Thermodynamics,
    elements: Iterable[str],
    temperature_k: float,
    atmosphere: Atmosphere,
) -> tuple[OpenPhase, ...]:
    """Every known phase of a chemical system, with its oxides, carbonates and hydroxides.

    Args:
        thermodynamics: the sources.
        elements: that stay.
        temperature_k: in kelvin.
        atmosphere: around it.
    """
    potentials = gas_potentials(thermodynamics, temperature_k, atmosphere)
    system = frozenset(elements) | VOLATILE
    made = (open_phase(e, potentials) for e in thermodynamics.phases_within(system, temperature_k))
    return tuple(phase for phase in made if phase is not None)


def lowest_mixture(
    amounts: Mapping[str, float], phases: Sequence[OpenPhase]
) -> tuple[float, dict[str, float]] | None:
    """The phases that equilibrium makes of some atoms that stay.

    Args:
        amounts: of each element.
        phases: that may form.

    Returns:
        Grand potential in kJ and formula units of each phase; None where the phases cannot make
        the composition.
    """
    elements = sorted(amounts)
    usable = [phase for phase in phases if set(phase.amounts) <= set(elements)]
    if not usable:
        return None
    matrix = np.array([[phase.amounts.get(e, 0.0) for phase in usable] for e in elements])
    solved = linprog(
        [phase.kj_per_mol for phase in usable],
        A_eq=matrix,
        b_eq=[amounts[e] for e in elements],
        method="highs",
    )
    if not solved.success:
        return None
    parts = zip(usable, solved.x, strict=True)
    return float(solved.fun), {p.formula: float(n) for p, n in parts if n > 1e-9}


@dataclass(frozen=True)
class Stability:
    """How a target stands among its competitors.

    Attributes:
        kj_per_mol_of_atoms: its grand potential minus that of the best mixture of the others, per
            mole of atoms that stay. Below zero it is stable, and this is its inverse hull energy;
            above zero it is that much above the hull.
        rivals: the others of that mixture, and how many formula units of each.
    """

    kj_per_mol_of_atoms: float
    rivals: Mapping[str, float]


def stability(target: OpenPhase, phases: Sequence[OpenPhase]) -> Stability | None:
    """How a target stands among the other phases; None where they cannot make its composition."""
    own = parse_formula(target.formula)
    others = [phase for phase in phases if not same_solid(parse_formula(phase.formula), own)]
    mixed = lowest_mixture(target.amounts, others)
    if mixed is None:
        return None
    energy, rivals = mixed
    return Stability((target.kj_per_mol - energy) / target.staying_atoms, rivals)


def same_solid(one: Formula, other: Formula) -> bool:
    """Whether two formulas are one phase, which may differ in how much oxygen it holds."""
    if one.reduced == other.reduced:
        return True
    stays, same = _staying_ratio(one), _staying_ratio(other)
    if stays != same or len(stays) < 2 or one.elements != other.elements:
        return False
    per_atom = [
        float(f.amounts.get("O", 0)) / sum(float(n) for e, n in f.amounts.items() if e in stays)
        for f in (one, other)
    ]
    return min(per_atom) > (1.0 - _OXYGEN_RANGE) * max(per_atom)


def _staying_ratio(formula: Formula) -> dict[str, float]:
    stays = {e: float(n) for e, n in formula.amounts.items() if e not in VOLATILE}
    total = sum(stays.values())
    return {e: round(n / total, 6) for e, n in stays.items()}
