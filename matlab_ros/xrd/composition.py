"""Chemical compositions as crystal structures give them: amounts that need not be whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

import gemmi

from matlab_ros.chemistry.formula import Formula, parse_formula


def formula_amounts(text: str) -> dict[str, float]:
    """Amounts of the elements in a formula; blanks between its parts are allowed.

    Raises:
        matlab_ros.chemistry.formula.FormulaError: the text is no formula.
    """
    formula = parse_formula("".join(text.split()))
    return {symbol: float(n) for symbol, n in formula.amounts.items()}


def reduced_formula(amounts: Mapping[str, float]) -> str:
    """The reduced formula as `matlab_ros.chemistry` writes it: ``TiO2``, ``LaH3O3``.

    Amounts in a simple ratio become whole numbers (``Li4Ti5O12`` of a cell with 10.67 Li);
    others are divided by the smallest and written with two decimals.
    """
    clean = {k: v for k, v in amounts.items() if v > 1e-3}
    whole = {k: round(v) for k, v in clean.items()}
    if all(whole[k] > 0 and abs(clean[k] - whole[k]) < 0.02 for k in clean):
        return Formula("", {k: Fraction(v) for k, v in whole.items()}).reduced
    smallest = min(clean.values())
    simple = {k: Fraction(v / smallest).limit_denominator(6) for k, v in clean.items()}
    if all(abs(float(simple[k]) * smallest / clean[k] - 1) < 1e-3 for k in clean):
        return Formula("", simple).reduced
    order = Formula("", {k: Fraction(1) for k in clean}).reduced
    return "".join(
        symbol + _two_decimals(clean[symbol] / smallest)
        for symbol in re.findall(r"[A-Z][a-z]?", order)
    )


def same_composition(a: Mapping[str, float], b: Mapping[str, float], tolerance: float) -> bool:
    """Whether two compositions agree in every atomic fraction within a tolerance."""
    total_a, total_b = sum(a.values()), sum(b.values())
    return all(
        abs(a.get(k, 0.0) / total_a - b.get(k, 0.0) / total_b) <= tolerance for k in {*a, *b}
    )


def is_element(symbol: str) -> bool:
    """Whether a word is the symbol of an element."""
    element = gemmi.Element(symbol)
    return bool(element.name == symbol and element.atomic_number > 0)


def parse_elements(text: str) -> frozenset[str]:
    """Element symbols separated by commas or blanks, e.g. ``La,In,Ti,O,H``.

    Raises:
        ValueError: a word is no element symbol, or there is none.
    """
    words = [word for word in re.split(r"[,\s]+", text) if word]
    for word in words:
        if not is_element(word):
            raise ValueError(f"{word!r} is no element symbol")
    if not words:
        raise ValueError("no element was given")
    return frozenset(words)


def _two_decimals(n: float) -> str:
    return "" if abs(n - 1) < 5e-3 else f"{n:.2f}".rstrip("0").rstrip(".")
