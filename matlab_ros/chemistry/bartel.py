"""Bartel's descriptor: Gibbs energies of solids of which only enthalpy and volume are known.

C. J. Bartel et al., Nat. Commun. 9, 4168 (2018). Per atom, in eV:

    G(T) = Hf + G_delta(T) - sum over elements of x_i G_i(T)
    G_delta(T) = (-2.48e-4 ln V - 8.94e-5 m / V) T + 0.181 ln T - 0.882

with V in cubic angstrom per atom, m the reduced mass in atomic mass units, and G_i the Gibbs energy
of element i against its enthalpy at 298 K.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import gemmi

from matlab_ros.chemistry.formula import Formula

UNCERTAINTY_EV_PER_ATOM = 0.05
"""Mean error of the descriptor on 309 compounds that it had not seen (same paper)."""


def reduced_mass(formula: Formula) -> float:
    """Mean over all pairs of elements of their reduced mass, weighted with their amounts, in u.

    Raises:
        ValueError: there is one element only.
    """
    if len(formula.amounts) < 2:
        raise ValueError(f"{formula.text} is an element; the descriptor is for compounds")
    weighted = 0.0
    for (one, n), (other, k) in combinations(formula.amounts.items(), 2):
        a, b = gemmi.Element(one).weight, gemmi.Element(other).weight
        weighted += float(n + k) * a * b / (a + b)
    atoms = float(sum(formula.amounts.values()))
    return weighted / ((len(formula.amounts) - 1) * atoms)


def gibbs_ev_per_atom(
    formula: Formula,
    enthalpy_ev_per_atom: float,
    volume_a3_per_atom: float,
    temperature_k: float,
    elements_ev: Mapping[str, float],
) -> float:
    """Gibbs energy of formation in eV per atom.

    Args:
        formula: of a compound.
        enthalpy_ev_per_atom: of formation at 298 K; calculated ones of 0 K are close.
        volume_a3_per_atom: cell volume per atom.
        temperature_k: 300 to 1800, where the descriptor was fitted.
        elements_ev: G_i of at least its elements at this temperature.

    Raises:
        KeyError: an element's energy is not given.
        ValueError: the formula is that of an element.
    """
    mass, volume, t = reduced_mass(formula), volume_a3_per_atom, temperature_k
    delta = (-2.48e-4 * math.log(volume) - 8.94e-5 * mass / volume) * t
    delta += 0.181 * math.log(t) - 0.882
    atoms = float(sum(formula.amounts.values()))
    elements = sum(float(n) / atoms * elements_ev[e] for e, n in formula.amounts.items())
    return enthalpy_ev_per_atom + delta - elements
