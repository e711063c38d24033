"""How much of each precursor makes a target, and what leaves or enters as gas meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from matlab_ros.chemistry.formula import Formula, parse_formula
from matlab_ros.model.errors import UnreachableComposition

VOLATILE = frozenset({"H", "C", "N", "O"})
"""Elements that leave as CO2, H2O, N2 and O2 or are taken from air, so they need not balance."""

_ZERO = Fraction(0)
# Carrier gas of each volatile element beside oxygen, and how many of its atoms are in one molecule.
_GAS_OF = {"C": ("CO2", 1), "H": ("H2O", 2), "N": ("N2", 2)}


@dataclass(frozen=True)
class Reaction:
    """A balanced reaction that makes one formula unit of a target.

    Attributes:
        target: what is made.
        precursors: what is used up, in the given order.
        amounts: formula units of each precursor, all above zero.
        gases: molecules of each gas: above zero when released, below when taken up from the air.
    """

    target: Formula
    precursors: tuple[Formula, ...]
    amounts: tuple[Fraction, ...]
    gases: Mapping[str, Fraction]

    @property
    def mass_fractions(self) -> tuple[float, ...]:
        """Share of each precursor in the mass of the mixture; they sum to 1."""
        masses = self._precursor_masses()
        total = sum(masses)
        return tuple(mass / total for mass in masses)

    @property
    def ignition_yield(self) -> float:
        """Mass of the target per mass of the mixture, after everything volatile has gone."""
        return self.target.molar_mass / sum(self._precursor_masses())

    def __str__(self) -> str:
        taken = {gas: -n for gas, n in self.gases.items() if n < 0}
        left = [_term(n, p.text) for p, n in zip(self.precursors, self.amounts, strict=True)]
        left += [_term(n, gas) for gas, n in taken.items()]
        right = [self.target.text, *(_term(n, gas) for gas, n in self.gases.items() if n > 0)]
        return f"{' + '.join(left)} -> {' + '.join(right)}"

    def _precursor_masses(self) -> list[float]:
        pairs = zip(self.precursors, self.amounts, strict=True)
        return [float(n) * precursor.molar_mass for precursor, n in pairs]


def balance(target: str, precursors: Sequence[str], volatile: Iterable[str] = VOLATILE) -> Reaction:
    """Balance the reaction of precursors to a target, gases leaving and entering freely.

    One precursor more than elements that do not leave leaves the ratio of two of them open: then it
    is that which neither takes up nor gives off oxygen, as of BaO, BaO2, Cu2O and Y2O3.

    Args:
        target: formula of what is to be made.
        precursors: formulas of the powders, in any order.
        volatile: elements that need not balance; those beside H, C, N and O are left out of
            `Reaction.gases`, as nobody knows as what they leave.

    Raises:
        UnreachableComposition: an element is missing or too many, a precursor is not needed, or
            more than one mixture would do.
        FormulaError: a formula cannot be read.
    """
    goal = parse_formula(target)
    parts = tuple(parse_formula(text) for text in precursors)
    free = frozenset(volatile)
    _check_elements(goal, parts, free)
    metals = sorted(_metals(goal, free))
    rows = [[*(part.amounts.get(m, _ZERO) for part in parts), goal.amounts[m]] for m in metals]
    if len(parts) == len(metals) + 1 and "O" in free:
        rows.append([_left_oxygen(formula) for formula in (*parts, goal)])
    amounts = _solve(goal, parts, metals, rows)
    for part, n in zip(parts, amounts, strict=True):
        if n <= 0:
            raise UnreachableComposition(
                f"{goal.text} from {_names(parts)} would need "
                f"{'a negative amount' if n < 0 else 'none'} of {part.text}; "
                "leave it out or choose other precursors."
            )
    return Reaction(goal, parts, amounts, _gases(goal, parts, amounts, free))


def closed_with_gases(target: Formula, amounts: Mapping[Formula, Fraction]) -> Reaction:
    """The reaction of given amounts of precursors to one formula unit of a target.

    What is given must hold the elements of the target that stay; gases do the rest.
    """
    parts, numbers = tuple(amounts), tuple(amounts.values())
    return Reaction(target, parts, numbers, _gases(target, parts, numbers, VOLATILE))


def precursor_mass_fractions(
    target: str,
    precursors: Sequence[str],
    volatile: Iterable[str] = VOLATILE,
    excess_percent: Sequence[float] | None = None,
) -> tuple[float, ...]:
    """Share of each precursor, by mass, in the mixture that has the target's metals ratio.

    Arguments and errors are those of `balance`; of each precursor an excess may be added.

    Returns:
        As many shares as precursors, in their order; each above 0, together 1.
    """
    shares = balance(target, precursors, volatile).mass_fractions
    if excess_percent is None:
        return shares
    more = [s * (1.0 + x / 100.0) for s, x in zip(shares, excess_percent, strict=True)]
    return tuple(share / sum(more) for share in more)


def _metals(formula: Formula, free: frozenset[str]) -> frozenset[str]:
    return formula.elements - free


def _check_elements(goal: Formula, parts: Sequence[Formula], free: frozenset[str]) -> None:
    wanted = _metals(goal, free)
    if not parts:
        raise UnreachableComposition(f"{goal.text} has no precursors; name at least one.")
    if not wanted:
        raise UnreachableComposition(
            f"{goal.text} holds nothing that stays on ignition; "
            "expected a target with at least one element that is not volatile."
        )
    for part in parts:
        brought = _metals(part, free)
        if not brought:
            raise UnreachableComposition(
                f"{part.text} leaves nothing behind on ignition, so its amount is arbitrary; "
                f"leave it out of the precursors of {goal.text}."
            )
        excess = sorted(brought - wanted)
        if excess:
            raise UnreachableComposition(
                f"{part.text} brings {', '.join(excess)}, which {goal.text} does not hold; "
                "choose another precursor."
            )
    missing = sorted(wanted.difference(*(part.elements for part in parts)))
    if missing:
        raise UnreachableComposition(
            f"none of {_names(parts)} brings {', '.join(missing)}, which {goal.text} holds; "
            "add a precursor of it."
        )


def _left_oxygen(formula: Formula) -> Fraction:
    """Oxygen of a formula unit that carbon dioxide and water do not take along."""
    n = formula.amounts
    return n.get("O", _ZERO) - 2 * n.get("C", _ZERO) - n.get("H", _ZERO) / 2


def _solve(
    goal: Formula,
    parts: Sequence[Formula],
    metals: Sequence[str],
    rows: list[list[Fraction]],
) -> tuple[Fraction, ...]:
    """The only amounts of the parts that fulfil equations, by exact elimination.

    Args:
        goal: of which one formula unit is made; for the error.
        parts: as many as unknowns; for the error.
        metals: that are balanced; for the error.
        rows: coefficients of the unknowns, and the right side, of each equation.
    """
    n = len(parts)
    for column in range(n):
        pivot = next((i for i in range(column, len(rows)) if rows[i][column] != 0), None)
        if pivot is None:
            raise UnreachableComposition(
                f"{goal.text} can be mixed from {_names(parts)} in more than one way, or in none; "
                "leave out a precursor whose elements the others bring."
            )
        rows[column], rows[pivot] = rows[pivot], rows[column]
        divisor = rows[column][column]
        rows[column] = [value / divisor for value in rows[column]]
        for i, row in enumerate(rows):
            if i != column and row[column] != 0:
                factor = row[column]
                rows[i] = [
                    value - factor * above for value, above in zip(row, rows[column], strict=True)
                ]
    if any(row[n] != 0 for row in rows[n:]):
        raise UnreachableComposition(
            f"no mixture of {_names(parts)} has the ratio of {', '.join(metals)} in {goal.text}; "
            "add a precursor for one of these elements alone."
        )
    return tuple(row[n] for row in rows[:n])


def _gases(
    goal: Formula,
    parts: Sequence[Formula],
    amounts: Sequence[Fraction],
    free: frozenset[str],
) -> dict[str, Fraction]:
    surplus = {
        element: sum(
            (
                n * part.amounts.get(element, Fraction(0))
                for part, n in zip(parts, amounts, strict=True)
            ),
            -goal.amounts.get(element, Fraction(0)),
        )
        for element in free & VOLATILE
    }
    gases: dict[str, Fraction] = {}
    oxygen = surplus.get("O", Fraction(0))
    for element, (gas, atoms) in _GAS_OF.items():
        molecules = surplus.get(element, Fraction(0)) / atoms
        if molecules != 0:
            gases[gas] = molecules
            oxygen -= molecules * parse_formula(gas).amounts.get("O", Fraction(0))
    if oxygen != 0:
        gases["O2"] = oxygen / 2
    return gases


def _names(parts: Sequence[Formula]) -> str:
    return ", ".join(part.text for part in parts)


def _term(n: Fraction, name: str) -> str:
    if n == 1:
        return name
    return f"{n} {name}" if n.denominator == 1 else f"{n.numerator}/{n.denominator} {name}"
