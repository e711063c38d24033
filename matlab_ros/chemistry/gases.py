"""Gibbs energies of the gases that leave or enter a powder."""

from __future__ import annotations

from collections.abc import Iterable

from matlab_ros.chemistry.energies import Energy
from matlab_ros.chemistry.formula import Formula

# Ellingham lines a + bT of the formation from graphite and the gases, in kJ/mol and kJ/(mol K),
# through the values of NIST-JANAF from 500 to 1500 K and within 0.7 kJ/mol of them. The tables of
# solids hold liquid water below its boiling point; in a furnace it is vapour.
_LINES = {"CO2": (-394.45, -0.00125), "H2O": (-246.90, 0.0549)}
_LINE_UNCERTAINTY_KJ_MOL = 1.0
_GASEOUS_ELEMENTS = frozenset({"H", "N", "O", "F", "Cl"})

GASES = frozenset({*_LINES, "O2", "N2", "H2", "CO", "NO", "NO2", "NH3", "H3N", "SO2", "SO3", "HCl"})
"""Formulas that are gases wherever they stand in a reaction."""


class ElementsAndGases:
    """Carbon dioxide, water vapour, and the elements, whose energy is 0 by definition."""

    name = "elements and gases"

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        atoms = float(sum(formula.amounts.values()))
        if phase is None and len(formula.amounts) == 1:
            symbol, n = next(iter(formula.amounts.items()))
            if symbol not in _GASEOUS_ELEMENTS or n == 2:
                return Energy(formula.text, temperature_k, 0.0, 0.0, "element", atoms)
        if formula.text not in _LINES:
            return None
        a, b = _LINES[formula.text]
        return Energy(
            formula.text,
            temperature_k,
            a + b * temperature_k,
            _LINE_UNCERTAINTY_KJ_MOL,
            "Ellingham line through NIST-JANAF",
            atoms,
        )

    def known_formulas(self, elements: frozenset[str]) -> Iterable[str]:
        """The solid elements among them."""
        return sorted(elements - _GASEOUS_ELEMENTS)
