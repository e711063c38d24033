"""Ranking sets of precursors by what drives them to the target and by what gets in the way.

A powder that decomposes by itself at the temperature (a carbonate, hydroxide or nitrate) counts as
what it becomes, since what its gas carries away no longer drives anything. Then powders react at
the boundaries of two grains at a time: the pair with the most negative reaction energy per atom
first. If it makes something else than the target, that spends a part of the driving force, and what
is left has to make the target (Szymanski et al., Nat. Commun. 14, 6956, 2023; Chen et al., Nat.
Synth. 3, 606, 2024). Sets are ordered by what is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

from matlab_ros.chemistry.energies import ZERO_CELSIUS_K, Atmosphere, UnknownEnergy
from matlab_ros.chemistry.formula import Formula, FormulaError, parse_formula
from matlab_ros.chemistry.open_hull import (
    OpenPhase,
    Stability,
    gas_potentials,
    open_phase,
    open_phases,
    same_solid,
    stability,
)
from matlab_ros.chemistry.precursor_sets import Dose, PrecursorSet
from matlab_ros.chemistry.stoichiometry import VOLATILE, Reaction, balance, closed_with_gases
from matlab_ros.chemistry.thermodynamics import (
    ReactionEnergy,
    Thermodynamics,
    formula_and_phase,
)
from matlab_ros.model.errors import UnreachableComposition

_SAME_KJ_MOL = 1e-6
_OTHER_ANIONS = frozenset({"F", "Cl", "Br", "I", "S", "Se", "Te"})


@dataclass(frozen=True)
class FirstReaction:
    """What the most eager pair of a set makes.

    Attributes:
        reaction: of one or two of the powders.
        ev_per_atom: its energy per atom of the solid that it makes.
        spent_share: of the settled driving force that is gone when it has run to its end.
        makes_target: whether it is the target itself that it makes.
    """

    reaction: Reaction
    ev_per_atom: float
    spent_share: float
    makes_target: bool


@dataclass(frozen=True)
class Ranked:
    """A set with what is known of its way to the target.

    Attributes:
        candidate: the set.
        energy: of its reaction; None where an energy is not known.
        settled: of the reaction of what the powders become by themselves, the same where they stay
            as they are; None where an energy is not known.
        first: what reacts first; None where the energy is not known or no pair reacts.
        unknown: why there is no energy; empty where there is.
    """

    candidate: PrecursorSet
    energy: ReactionEnergy | None
    settled: ReactionEnergy | None
    first: FirstReaction | None
    unknown: str = ""

    @property
    def left_ev_per_atom(self) -> float:
        """Driving force that is left for the target after the first reaction; nan if unknown."""
        if self.settled is None:
            return math.nan
        whole = self.settled.ev_per_atom
        if self.first is None or self.first.makes_target:
            return whole
        return whole * (1.0 - self.first.spent_share)


class Ranking:
    """Ranks the sets of one target at one temperature in one atmosphere."""

    def __init__(
        self,
        target: str,
        thermodynamics: Thermodynamics,
        temperature_c: float,
        atmosphere: Atmosphere | None = None,
    ) -> None:
        """
        Args:
            target: formula.
            thermodynamics: where energies come from.
            temperature_c: of the furnace.
            atmosphere: in it; air by default.
        """
        self.target = parse_formula(target)
        self.temperature_k = temperature_c + ZERO_CELSIUS_K
        self.atmosphere = atmosphere or Atmosphere.air()
        self._thermodynamics = thermodynamics
        self._first_of_pair = lru_cache(maxsize=None)(self._pair_reaction)
        self._settled_powder = lru_cache(maxsize=None)(self._become)
        self.phases: tuple[OpenPhase, ...] = open_phases(
            thermodynamics, self.target.elements - VOLATILE, self.temperature_k, self.atmosphere
        )
        """Every phase known that is made of elements of the target and of the gas."""

    def target_stability(self) -> Stability | None:
        """How the target stands among the others; None where that cannot be said, as of compounds
        whose anions are no oxygen: what gas they exchange is not known."""
        if self.target.elements & _OTHER_ANIONS:
            return None
        try:
            energy = self._thermodynamics.gibbs(self.target.text, self.temperature_k)
        except UnknownEnergy:
            return None
        potentials = gas_potentials(self._thermodynamics, self.temperature_k, self.atmosphere)
        own = open_phase(energy, potentials)
        return None if own is None else stability(own, self.phases)

    def rank(self, candidates: Iterable[PrecursorSet]) -> list[Ranked]:
        """Sets that are allowed before those that are not; in each, those first that have most
        driving force left after their first reaction, to a meV per atom, then those of fewer
        powders, then those of more driving force at the start; last those of unknown energy."""

        def order(item: Ranked) -> tuple[bool, bool, float, int, float, str]:
            whole = 0.0 if item.energy is None else item.energy.ev_per_atom
            left = 0.0 if item.energy is None else item.left_ev_per_atom
            return (
                not item.candidate.is_allowed,
                item.energy is None,
                round(left, 3),
                len(item.candidate.doses),
                whole,
                item.candidate.name,
            )

        return sorted((self.judge(candidate) for candidate in candidates), key=order)

    def judge(self, candidate: PrecursorSet) -> Ranked:
        """The energies of one set."""
        try:
            reaction = _named(candidate.reaction, [self._powder(dose) for dose in candidate.doses])
            energy = self._energy(reaction)
            settled = self._settled_reaction(reaction)
            whole = self._energy(settled)
        except UnknownEnergy as error:
            return Ranked(candidate, None, None, None, str(error))
        return Ranked(candidate, energy, whole, self._first(settled, whole))

    def _powder(self, dose: Dose) -> str:
        """The name under which the energy of a powder is known: of its polymorph, or its formula.

        Raises:
            UnknownEnergy: it is not known.
        """
        usual = self._thermodynamics.gibbs(dose.formula, self.temperature_k)
        if dose.phase is None:
            return dose.formula
        try:
            # A structure may have any name; one that begins with another formula is not meant.
            if dict(_formula(dose.phase).amounts) != dict(parse_formula(dose.formula).amounts):
                return dose.formula
            polymorph = self._thermodynamics.gibbs(dose.phase, self.temperature_k)
        except (FormulaError, UnknownEnergy):
            return dose.formula
        is_usual = abs(polymorph.kj_per_mol - usual.kj_per_mol) < _SAME_KJ_MOL
        return dose.formula if is_usual else dose.phase

    def _energy(self, reaction: Reaction) -> ReactionEnergy:
        return self._thermodynamics.reaction_energy(reaction, self.temperature_k, self.atmosphere)

    def _settled_reaction(self, reaction: Reaction) -> Reaction:
        """The reaction to the target of what the powders become by themselves."""
        amounts: dict[Formula, Fraction] = {}
        for part, n in zip(reaction.precursors, reaction.amounts, strict=True):
            settled = _formula(self._settled_powder(part.text))
            units = n * _staying_atoms(part) / _staying_atoms(settled)
            amounts[settled] = amounts.get(settled, Fraction(0)) + units
        return closed_with_gases(reaction.target, amounts)

    def _become(self, powder: str) -> str:
        """What a powder becomes by itself: it may give off gases and take up oxygen.

        Carbon dioxide and water of air are so dilute that to take them up needs days.
        """
        own = _formula(powder)
        best, lowest = powder, 0.0
        for phase in self.phases:
            product = parse_formula(phase.formula)
            # One polymorph becomes another too slowly to be taken for granted.
            if product.reduced == own.reduced or same_solid(product, self.target):
                continue
            try:
                reaction = _balance(phase.formula, [powder])
                if any(n < 0 for gas, n in reaction.gases.items() if gas != "O2"):
                    continue
                energy = self._energy(reaction).kj_per_mol
            except (UnreachableComposition, UnknownEnergy):
                continue
            per_unit = energy / float(reaction.amounts[0] * _staying_atoms(own))
            if per_unit < lowest:
                best, lowest = phase.formula, per_unit
        return best

    def _first(self, reaction: Reaction, whole: ReactionEnergy) -> FirstReaction | None:
        if whole.kj_per_mol >= 0 or len(reaction.precursors) < 2:
            return None
        best: tuple[Reaction, ReactionEnergy] | None = None
        for one, other in combinations(sorted(p.text for p in reaction.precursors), 2):
            found = self._first_of_pair(one, other)
            if found is not None and (best is None or found[1].ev_per_atom < best[1].ev_per_atom):
                best = found
        if best is None:
            return None
        made, energy = best
        there = dict(zip((p.text for p in reaction.precursors), reaction.amounts, strict=True))
        parts = zip(made.precursors, made.amounts, strict=True)
        times = min(float(there[part.text]) / float(n) for part, n in parts)
        return FirstReaction(
            made,
            energy.ev_per_atom,
            times * energy.kj_per_mol / whole.kj_per_mol,
            same_solid(made.target, self.target),
        )

    def _pair_reaction(self, one: str, other: str) -> tuple[Reaction, ReactionEnergy] | None:
        """The reaction of two powders with the lowest energy per atom; None if none runs."""
        best: tuple[Reaction, ReactionEnergy] | None = None
        products = [phase.formula for phase in self.phases]
        if self.target.text not in products:
            products.append(self.target.text)
        for product in products:
            try:
                reaction = _balance(product, [one, other])
                energy = self._energy(reaction)
            except (UnreachableComposition, UnknownEnergy):
                continue
            if energy.ev_per_atom < (0.0 if best is None else best[1].ev_per_atom):
                best = (reaction, energy)
        return best


def _formula(powder: str) -> Formula:
    """A formula or the name of a phase, with what it is made of."""
    return Formula(powder, formula_and_phase(powder)[0].amounts)


def _named(reaction: Reaction, powders: Sequence[str]) -> Reaction:
    """A reaction with its precursors called by the names of phases."""
    return replace(reaction, precursors=tuple(_formula(name) for name in powders))


def _balance(target: str, powders: Sequence[str]) -> Reaction:
    """`matlab_ros.chemistry.stoichiometry.balance` for formulas and names of phases."""
    plain = [formula_and_phase(name)[0].text for name in powders]
    return _named(balance(target, plain), powders)


def _staying_atoms(formula: Formula) -> Fraction:
    return sum((n for e, n in formula.amounts.items() if e not in VOLATILE), Fraction(0))
