"""Gibbs energies of substances and of reactions from several sources, the first that knows wins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from matlab_ros.chemistry.energies import (
    KJ_PER_MOL_PER_EV,
    Atmosphere,
    Energy,
    EnergyProvider,
    UnknownEnergy,
)
from matlab_ros.chemistry.formula import Formula, FormulaError, parse_formula
from matlab_ros.chemistry.gases import GASES, ElementsAndGases
from matlab_ros.chemistry.stoichiometry import Reaction


@dataclass(frozen=True)
class Term:
    """One substance's part in a reaction.

    Attributes:
        formula: of the substance.
        amount: formula units; above zero where it is made, below where it is used up.
        energy: of one formula unit, at 1 atm if it is a gas.
        activity_kj_per_mol: RT ln p of a gas, 0 of a solid.
    """

    formula: str
    amount: float
    energy: Energy
    activity_kj_per_mol: float


@dataclass(frozen=True)
class ReactionEnergy:
    """The driving force of a reaction; below zero it can run.

    Attributes:
        terms: of the substances, reactants first.
        temperature_k: at which it holds.
        atmosphere: around it.
    """

    terms: tuple[Term, ...]
    temperature_k: float
    atmosphere: Atmosphere

    @cached_property
    def kj_per_mol(self) -> float:
        """Of the reaction as written."""
        return sum(t.amount * (t.energy.kj_per_mol + t.activity_kj_per_mol) for t in self.terms)

    @cached_property
    def uncertainty_kj_per_mol(self) -> float:
        """One standard deviation, as if the energies were wrong independently."""
        return math.sqrt(sum((t.amount * t.energy.uncertainty_kj_per_mol) ** 2 for t in self.terms))

    @cached_property
    def atoms_of_solid_product(self) -> float:
        """Atoms in the solids that are made."""
        return sum(t.amount * t.energy.atoms for t in self.terms if _is_solid_product(t))

    @property
    def ev_per_atom(self) -> float:
        """Per atom of the solids that are made, as phase diagrams of calculated energies have it.

        Raises:
            ZeroDivisionError: only gases are made.
        """
        return self.kj_per_mol / KJ_PER_MOL_PER_EV / self.atoms_of_solid_product

    @property
    def kj_per_mol_of_atoms(self) -> float:
        """Per mole of atoms of the solids that are made."""
        return self.kj_per_mol / self.atoms_of_solid_product

    @property
    def sources(self) -> Mapping[str, str]:
        """Where the energy of each substance comes from."""
        return {t.formula: t.energy.source for t in self.terms}

    @property
    def notes(self) -> tuple[str, ...]:
        """What to beware of."""
        return tuple(f"{t.formula}: {t.energy.note}" for t in self.terms if t.energy.note)


def _is_solid_product(term: Term) -> bool:
    return term.amount > 0 and term.formula not in GASES


class Thermodynamics:
    """Energies from providers in order: the first that knows a substance answers."""

    def __init__(self, providers: Sequence[EnergyProvider], hint: str = "") -> None:
        """
        Args:
            providers: in the order in which they are asked; elements and gases come before them.
            hint: what would help where nobody knows a substance, such as an extra to install.
        """
        self.providers: tuple[EnergyProvider, ...] = (ElementsAndGases(), *providers)
        self._hint = hint
        self._known: dict[tuple[str, float], Energy] = {}

    @classmethod
    def default(cls, *files: Path) -> Thermodynamics:
        """Your own files of energies, those that come with the package, then FREED and NIST-JANAF
        where the extra ``chemistry`` is installed, and Bartel's descriptor on known enthalpies.

        Args:
            files: as described in docs/chemistry.md; an earlier one wins.

        Raises:
            ConfigError: a file makes no sense.
        """
        from matlab_ros.chemistry.sources import default_providers

        providers, hint = default_providers(files)
        return cls(providers, hint)

    def gibbs(self, substance: str, temperature_k: float) -> Energy:
        """Energy of formation of a formula unit.

        Args:
            substance: a formula such as ``BaTiO3``, or a phase of the structure library such as
                ``TiO2-Anatase``.
            temperature_k: in kelvin.

        Raises:
            UnknownEnergy: no provider knows it.
            FormulaError: it is neither.
        """
        key = (substance, temperature_k)
        if key not in self._known:
            self._known[key] = self._look_up(substance, temperature_k)
        return self._known[key]

    def knows(self, substance: str, temperature_k: float = 1000.0) -> bool:
        """Whether `gibbs` would answer."""
        try:
            self.gibbs(substance, temperature_k)
        except (UnknownEnergy, FormulaError):
            return False
        return True

    def reaction_energy(
        self,
        reaction: Reaction | Mapping[str, float],
        temperature_k: float,
        atmosphere: Atmosphere | None = None,
    ) -> ReactionEnergy:
        """Driving force of a reaction between solids and gases.

        Args:
            reaction: a balanced one; or the amount of each substance, formula or phase, in formula
                units, above zero where it is made and below zero where it is used up.
            temperature_k: in kelvin.
            atmosphere: partial pressures of the gases; air by default.

        Raises:
            UnknownEnergy: the energy of a substance is not known.
        """
        around = atmosphere or Atmosphere.air()
        amounts = amounts_of(reaction) if isinstance(reaction, Reaction) else reaction
        terms = tuple(
            Term(
                substance,
                float(n),
                self.gibbs(substance, temperature_k),
                around.activity_kj_per_mol(substance, temperature_k) if substance in GASES else 0.0,
            )
            for substance, n in sorted(amounts.items(), key=lambda item: item[1] > 0)
            if n != 0
        )
        return ReactionEnergy(terms, temperature_k, around)

    def phases_within(self, elements: frozenset[str], temperature_k: float) -> tuple[Energy, ...]:
        """Energies of all compounds known that are made of some of these elements.

        Args:
            elements: those of a chemical system.
            temperature_k: in kelvin.

        Returns:
            One for each reduced formula, from the first provider that knows it; without gases.
        """
        found: dict[str, Energy] = {}
        for provider in self.providers:
            for text in provider.known_formulas(elements):
                formula = parse_formula(text)
                if formula.reduced in found or formula.reduced in GASES:
                    continue
                try:
                    found[formula.reduced] = self.gibbs(text, temperature_k)
                except UnknownEnergy:
                    continue
        return tuple(found[name] for name in sorted(found))

    def _look_up(self, substance: str, temperature_k: float) -> Energy:
        formula, phase = formula_and_phase(substance)
        for named in (phase, None) if phase else (None,):
            for provider in self.providers:
                energy = provider.formation_energy(formula, temperature_k, named)
                if energy is not None:
                    return energy
        asked = ", ".join(provider.name for provider in self.providers[1:])
        raise UnknownEnergy(
            formula.text,
            f"no energy of {formula.text} at {temperature_k:.0f} K in {asked or 'any source'}; "
            + (self._hint or "add it to a file of energies, with its source."),
        )


def formula_and_phase(substance: str) -> tuple[Formula, str | None]:
    """The formula of a substance, and its name in the structure library if it is one.

    ``TiO2-Anatase`` is TiO2 and that phase; ``TiO2`` is no certain phase.

    Raises:
        FormulaError: it begins with no formula.
    """
    text, separator, _ = substance.partition("-")
    return parse_formula(text), substance if separator else None


def amounts_of(reaction: Reaction) -> dict[str, float]:
    """Formula units of each substance; above zero where it is made, below where it is used up."""
    amounts = {reaction.target.text: 1.0}
    for part, n in zip(reaction.precursors, reaction.amounts, strict=True):
        amounts[part.text] = amounts.get(part.text, 0.0) - float(n)
    for gas, n in reaction.gases.items():
        amounts[gas] = amounts.get(gas, 0.0) + float(n)
    return amounts
