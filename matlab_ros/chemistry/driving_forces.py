"""What is left to drive a mixture to its target, and which phases must fall apart on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from matlab_ros.chemistry.energies import (
    KJ_PER_MOL_PER_EV,
    ZERO_CELSIUS_K,
    Atmosphere,
    UnknownEnergy,
)
from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.chemistry.outcomes import metals, reduced
from matlab_ros.chemistry.phase_balance import (
    SolidReaction,
    balance_solids,
    gases_between,
    mix_for,
)
from matlab_ros.chemistry.stoichiometry import VOLATILE
from matlab_ros.chemistry.thermodynamics import Thermodynamics

CARRIED = VOLATILE - {"O"}
"""Elements that a powder brings along only to lose them as a gas."""


@dataclass(frozen=True, eq=False)
class DrivingForces:
    """Gibbs energies of reactions in the furnace's atmosphere.

    Attributes:
        energies: of tables, literature and calculations, in the order in which they are trusted.
        reaction_energies: of calculations that are only consistent with each other, such as the
            reactions of one set of DFT energies; asked for driving forces before `energies`.
        atmosphere: around the powder.
    """

    energies: Thermodynamics
    reaction_energies: Thermodynamics | None = None
    atmosphere: Atmosphere = field(default_factory=Atmosphere.air)
    _decompositions: dict[tuple[str, float], tuple[SolidReaction, float, str] | None] = field(
        default_factory=dict, init=False, repr=False
    )

    def driving_force(
        self, target: str, phases: Mapping[str, float], temperature_c: float
    ) -> float | None:
        """Gibbs energy that is left for the target in a mixture of phases.

        Args:
            target: formula.
            phases: formula units that hold the metals of one formula unit of the target.
            temperature_c: at which the target forms.

        Returns:
            eV per atom of the target, below zero where something is left; None where the energy of
            a phase is not known.
        """
        amounts = {name: -n for name, n in phases.items()}
        goal = {target: 1.0}
        amounts[target] = amounts.get(target, 0.0) + 1.0
        amounts.update(gases_between(phases, goal))
        sources = (self.reaction_energies, self.energies)
        energy = self._of(amounts, temperature_c, sources, self.atmosphere)
        if energy is None:
            return None
        atoms = float(sum(parse_formula(target).amounts.values()))
        return energy / KJ_PER_MOL_PER_EV / atoms

    def of_set(self, target: str, precursors: Iterable[str], temperature_c: float) -> float | None:
        """The whole driving force from fresh powders, in eV per atom of what is mixed; this is how
        ARROWS ranks sets.

        Returns:
            None where the powders cannot make the target or an energy is not known.
        """
        mixture = mix_for(target, tuple(reduced(name) for name in precursors))
        if mixture is None:
            return None
        whole = self.driving_force(target, mixture, temperature_c)
        if whole is None:
            return None
        made = float(sum(parse_formula(target).amounts.values()))
        mixed = sum(n * float(sum(parse_formula(p).amounts.values())) for p, n in mixture.items())
        return whole * made / mixed

    def decomposition(
        self, formula: str, temperature_c: float
    ) -> tuple[SolidReaction, float, str] | None:
        """How a carbonate, hydroxide, nitrate or peroxide loses gas to become an oxide.

        Inside a bed of powder the gas around a grain is the one that it gives off, so it is taken
        at one atmosphere: that is how decomposition temperatures are tabulated.

        Args:
            formula: reduced.
            temperature_c: of interest.

        Returns:
            The reaction of one formula unit, its Gibbs energy in kJ/mol per molecule of gas, and
            who says so. None where there is nothing to lose, or no oxide with a known energy.
        """
        parts = parse_formula(formula).elements
        brought = metals(formula)
        if not parts & VOLATILE or not brought:
            return None
        key = (formula, temperature_c)
        if key not in self._decompositions:
            self._decompositions[key] = self._decomposition(formula, brought, temperature_c)
        return self._decompositions[key]

    def _decomposition(
        self, formula: str, brought: frozenset[str], temperature_c: float
    ) -> tuple[SolidReaction, float, str] | None:
        found: list[tuple[float, SolidReaction, str]] = []
        for oxide in self._oxides(brought, temperature_c):
            reaction = balance_solids((formula,), (oxide,))
            if reaction is None:
                continue
            if oxide == formula:
                continue
            amounts = {formula: -1.0, **dict(reaction.products), **reaction.gases}
            released = sum(reaction.gases.values())
            if min(reaction.gases.values(), default=0.0) <= 0:
                continue
            own_gas = Atmosphere("its own gas", dict.fromkeys(reaction.gases, 1.0))
            for source in (self.energies, self.reaction_energies):
                energy = self._of(amounts, temperature_c, (source,), own_gas)
                if energy is not None and source is not None:
                    who = source.gibbs(formula, temperature_c + ZERO_CELSIUS_K).source
                    found.append((energy / released, reaction, who))
                    break
        if not found:
            return None
        energy, reaction, who = min(found, key=lambda item: (item[0], str(item[1])))
        return reaction, energy, who

    def must_decompose(
        self, formula: str, temperature_c: float
    ) -> tuple[SolidReaction, str] | None:
        """The reaction by which a phase must lose its gas, see `intermediates.Decompositions`."""
        found = self.decomposition(formula, temperature_c)
        if found is None or found[1] >= 0:
            return None
        return found[0], f"{found[0]} is downhill at {temperature_c:g} C by {found[2]}"

    def holds_its_gas(self, formula: str, temperature_c: float) -> bool:
        """Whether a phase cannot lose its gas by itself at a temperature."""
        if not parse_formula(formula).elements & CARRIED:
            return False
        found = self.decomposition(formula, temperature_c)
        return found is not None and found[1] >= 0

    def _oxides(self, brought: frozenset[str], temperature_c: float) -> list[str]:
        elements = brought | {"O"}
        names = {
            reduced(item.formula)
            for source in (self.energies, self.reaction_energies)
            if source is not None
            for item in source.phases_within(elements, temperature_c + ZERO_CELSIUS_K)
        }
        return sorted(name for name in names if metals(name) == brought)

    def _of(
        self,
        amounts: Mapping[str, float],
        temperature_c: float,
        sources: Iterable[Thermodynamics | None],
        atmosphere: Atmosphere,
    ) -> float | None:
        """Of a reaction as written, in kJ/mol, from the first source that knows all of it."""
        kelvin = temperature_c + ZERO_CELSIUS_K
        for source in sources:
            if source is None:
                continue
            try:
                return source.reaction_energy(amounts, kelvin, atmosphere).kj_per_mol
            except (UnknownEnergy, FormulaError):
                continue
        return None
