"""Chemical formulas: reading them from text, molar mass, reduced form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import gcd, lcm
from types import MappingProxyType

import gemmi

from matlab_ros.model.errors import LabError

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_TOKEN = re.compile(
    r"(?P<element>[A-Z][a-z]?)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<number>\d+(?:\.\d+)?)"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_HYDRATE_POINT = re.compile(r"[·•⋅*]")
# "CuSO4.5H2O" reads as 4.5 oxygen atoms to a program and as a hydrate to a person.
_AMBIGUOUS_POINT = re.compile(r"\d*\.\d*[1-9]?H2O$")
# Formulas are written cation first: by Pauling's electronegativity, these last, in this order.
_ANIONS_LAST = ("P", "Se", "C", "S", "I", "Br", "N", "Cl", "O", "F")


class FormulaError(LabError, ValueError):
    """A text is no chemical formula; the message says where it fails."""


@dataclass(frozen=True)
class Formula:
    """What a substance is made of.

    Attributes:
        text: as it was written.
        amounts: atoms of each element in one formula unit, exact, in the order of writing.
    """

    text: str
    amounts: Mapping[str, Fraction]

    @property
    def elements(self) -> frozenset[str]:
        """The elements that occur."""
        return frozenset(self.amounts)

    @cached_property
    def molar_mass(self) -> float:
        """Mass of one mole in grams, from gemmi's standard atomic weights."""
        return sum(float(n) * gemmi.Element(symbol).weight for symbol, n in self.amounts.items())

    @cached_property
    def reduced(self) -> str:
        """The smallest whole-number formula, cation first, without brackets: ``MgH2O2``.

        Atoms per formula that are no whole numbers are scaled until they are, so that
        ``Li1.05Ti2O4`` becomes ``Li21Ti40O80``.
        """
        scale = lcm(*(n.denominator for n in self.amounts.values()))
        whole = {symbol: int(n * scale) for symbol, n in self.amounts.items()}
        divisor = gcd(*whole.values())
        return "".join(
            symbol + (str(whole[symbol] // divisor) if whole[symbol] != divisor else "")
            for symbol in sorted(whole, key=_writing_order)
        )

    def __hash__(self) -> int:
        return hash((self.text, tuple(self.amounts.items())))


@lru_cache(maxsize=4096)
def parse_formula(text: str) -> Formula:
    """Read a formula such as ``Mg(OH)2``, ``Ca[PO3]2``, ``CuSO4·5H2O`` or ``YBa2Cu3O6.9``.

    A hydrate is written with ``·`` (also ``•``, ``⋅`` or ``*``), never with a full stop.

    Raises:
        FormulaError: it is no formula; the message names the place.
    """
    cleaned = re.sub(r"\s+", "", text.translate(_SUBSCRIPTS))
    if not cleaned:
        raise FormulaError("an empty text is no chemical formula; write one such as MgTiO3.")
    if _AMBIGUOUS_POINT.search(cleaned):
        raise FormulaError(
            f"{text!r} may mean a hydrate or a decimal number; write a hydrate with '·'."
        )
    amounts: dict[str, Fraction] = {}
    for part in _HYDRATE_POINT.split(cleaned):
        leading = _NUMBER.match(part)
        factor = Fraction(leading.group()) if leading else Fraction(1)
        body = part[leading.end() :] if leading else part
        if not body or factor == 0:
            raise FormulaError(f"{text!r} is no chemical formula: a part of it is empty.")
        for symbol, n in _parse_part(text, body).items():
            amounts[symbol] = amounts.get(symbol, Fraction(0)) + factor * n
    return Formula(text, MappingProxyType(amounts))


def _parse_part(text: str, body: str) -> dict[str, Fraction]:
    """Amounts in a formula without a hydrate's point."""
    levels: list[dict[str, Fraction]] = [{}]
    brackets: list[str] = []
    group: dict[str, Fraction] | None = None
    at = 0
    while at < len(body):
        match = _TOKEN.match(body, at)
        if match is None:
            raise FormulaError(f"{text!r} is no chemical formula: {body[at]!r} is not understood.")
        at = match.end()
        word = match.group()
        if match.lastgroup == "number":
            if group is None or Fraction(word) == 0:
                raise FormulaError(f"{text!r} is no chemical formula: the number {word} misfits.")
            _add(levels[-1], group, Fraction(word) - 1)
            group = None
            continue
        if match.lastgroup == "element":
            if gemmi.Element(word).atomic_number == 0:
                raise FormulaError(f"{text!r} is no chemical formula: {word!r} is no element.")
            group = {word: Fraction(1)}
        elif match.lastgroup == "open":
            levels.append({})
            brackets.append(word)
            group = None
            continue
        else:
            if not brackets or _CLOSING[brackets.pop()] != word or not levels[-1]:
                raise FormulaError(f"{text!r} is no chemical formula: the bracket {word} misfits.")
            group = levels.pop()
        _add(levels[-1], group, Fraction(1))
    if brackets:
        raise FormulaError(f"{text!r} is no chemical formula: a bracket is not closed.")
    return levels[0]


def _add(into: dict[str, Fraction], group: Mapping[str, Fraction], factor: Fraction) -> None:
    for symbol, n in group.items():
        into[symbol] = into.get(symbol, Fraction(0)) + factor * n


def _writing_order(symbol: str) -> tuple[int, int, str]:
    if symbol in _ANIONS_LAST:
        return (1, _ANIONS_LAST.index(symbol), symbol)
    # Hydrogen stands between the metals and the anions; metals go by group, then by period.
    element = gemmi.Element(symbol)
    return (0, 1000 if symbol == "H" else periodic_group(element.atomic_number), symbol)


def periodic_group(atomic_number: int) -> int:
    """Group of the periodic table, 1 to 18; lanthanides and actinides count as group 3."""
    noble = (2, 10, 18, 36, 54, 86, 118)
    before = max((n for n in (0, *noble) if n < atomic_number), default=0)
    after = next(n for n in noble if n >= atomic_number)
    place, left = atomic_number - before, after - atomic_number
    if place <= 2:
        return place
    if left <= 5:
        return 18 - left
    length = after - before
    if length <= 8:
        return 18 - left
    return max(3, place - (length - 18))
