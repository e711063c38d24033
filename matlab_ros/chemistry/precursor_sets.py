"""All sets of stocked powders that make a target, with the mass of each for a wanted amount."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

from matlab_ros.chemistry.formula import Formula, parse_formula
from matlab_ros.chemistry.stoichiometry import VOLATILE, Reaction, balance
from matlab_ros.chemistry.volatility import ExcessRule, excess_of
from matlab_ros.model.errors import UnreachableComposition
from matlab_ros.model.lab_config import StockItem


@dataclass(frozen=True)
class Dose:
    """One powder of a mixture.

    Attributes:
        substance: name in the stock.
        formula: what it is.
        mass_mg: to weigh, the excess included.
        excess_percent: how much more than the balance asks for.
        why: reason of the excess, empty without one.
        phase: name of its structure in the library; None where the stock does not say.
    """

    substance: str
    formula: str
    mass_mg: float
    excess_percent: float = 0.0
    why: str = ""
    phase: str | None = None


@dataclass(frozen=True)
class Judgement:
    """What a rule or a limit says of a set.

    Attributes:
        rule: its name in the rules file, or of the limit.
        refuses: whether the set must not be made; otherwise it is a caution.
        why: in words.
    """

    rule: str
    refuses: bool
    why: str


@dataclass(frozen=True)
class PrecursorSet:
    """Powders that make a target, and what was said of them.

    Attributes:
        reaction: balanced, without excess.
        doses: of each powder, in the order of the reaction's precursors.
        judgements: of rules and limits.
    """

    reaction: Reaction
    doses: tuple[Dose, ...]
    judgements: tuple[Judgement, ...] = field(default=())

    @property
    def name(self) -> str:
        """Names of the powders, as campaigns name their sets."""
        return " + ".join(dose.substance for dose in self.doses)

    @property
    def mixture_mg(self) -> float:
        """Mass of all powders together."""
        return sum(dose.mass_mg for dose in self.doses)

    @property
    def is_allowed(self) -> bool:
        """Whether nothing refuses it."""
        return not any(item.refuses for item in self.judgements)

    @property
    def excess_percent(self) -> Mapping[str, float]:
        """Excess of each powder that has one, by its name in the stock."""
        return {d.substance: d.excess_percent for d in self.doses if d.excess_percent}


def enumerate_reactions(
    target: str, formulas: Sequence[str], most_powders: int | None = None
) -> Iterator[Reaction]:
    """Every reaction of some of the formulas to the target that has exactly one balance.

    Gases, those of `matlab_ros.chemistry.stoichiometry.VOLATILE`, come and go. A set with one
    powder more than elements that stay has a single balance too, if it takes up no oxygen and gives
    off none; there are many of these, so they are looked for only when `most_powders` asks.

    Args:
        target: formula of what is to be made.
        formulas: of powders; those alike are tried once.
        most_powders: in a set; None: as many as elements that stay.

    Yields:
        Reactions, those of fewer powders first, then in the order of the formulas.

    Raises:
        FormulaError: a formula cannot be read.
    """
    goal = parse_formula(target)
    wanted = goal.elements - VOLATILE
    useful = []
    for text in dict.fromkeys(formulas):
        brought = parse_formula(text).elements - VOLATILE
        if brought and brought <= wanted:
            useful.append((text, brought))
    most = min(len(wanted) + 1, most_powders or len(wanted))
    for n in range(1, most + 1):
        for chosen in combinations(useful, n):
            if frozenset().union(*(brought for _, brought in chosen)) != wanted:
                continue
            try:
                yield balance(target, [text for text, _ in chosen])
            except UnreachableComposition:
                continue


def precursor_sets(
    target: str,
    stock: Sequence[StockItem],
    target_mass_mg: float,
    temperature_c: float,
    excess_rules: Sequence[ExcessRule] = (),
    most_powders: int | None = None,
) -> Iterator[PrecursorSet]:
    """Every set of stocked powders that makes the target, with masses.

    Powders of one formula, such as anatase and rutile, make sets of their own.

    Args:
        target: formula of what is to be made.
        stock: the powders there are.
        target_mass_mg: of the product, when everything volatile has gone.
        temperature_c: highest of the synthesis, which decides about the excess.
        excess_rules: what evaporates and is given in excess.
        most_powders: in a set; None: as many as elements that stay.

    Yields:
        Sets, not yet judged.

    Raises:
        FormulaError: a formula cannot be read.
        ValueError: the mass is not above zero.
    """
    if not target_mass_mg > 0:
        raise ValueError(f"{target_mass_mg:g} mg of a target are nothing; it must be above 0")
    bottles: dict[str, list[StockItem]] = {}
    for item in stock:
        bottles.setdefault(item.formula, []).append(item)
    for reaction in enumerate_reactions(target, list(bottles), most_powders):
        choices = [bottles[part.text] for part in reaction.precursors]
        for items in product(*choices):
            yield _weighed(reaction, items, target_mass_mg, temperature_c, excess_rules)


def element_residuals(reaction: Reaction) -> dict[str, float]:
    """Atoms of each element that a reaction makes (above zero) or loses; zeros if it balances."""
    totals: dict[str, float] = {}
    sides: list[tuple[Formula, float]] = [(reaction.target, 1.0)]
    parts = zip(reaction.precursors, reaction.amounts, strict=True)
    sides += [(part, -float(n)) for part, n in parts]
    sides += [(parse_formula(gas), float(n)) for gas, n in reaction.gases.items()]
    for formula, n in sides:
        for element, atoms in formula.amounts.items():
            totals[element] = totals.get(element, 0.0) + n * float(atoms)
    return totals


def _weighed(
    reaction: Reaction,
    items: Sequence[StockItem],
    target_mass_mg: float,
    temperature_c: float,
    excess_rules: Sequence[ExcessRule],
) -> PrecursorSet:
    millimoles = target_mass_mg / reaction.target.molar_mass
    doses = []
    for item, part, n in zip(items, reaction.precursors, reaction.amounts, strict=True):
        percent, why = excess_of(part, temperature_c, excess_rules)
        mass = float(n) * part.molar_mass * millimoles * (1.0 + percent / 100.0)
        doses.append(Dose(item.name, part.text, mass, percent, why, item.structure))
    return PrecursorSet(reaction, tuple(doses))
