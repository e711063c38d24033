"""How alike two compounds are, judged by their compositions alone.

Elements are alike as far as they stand near one another in the periodic table; a compound is the
mixture of its elements. With s(e, f) the likeness of two elements and x, y the atomic fractions,

    k(x, y) = sum_ef x_e y_f s(e, f),    similarity = k(x, y) / sqrt(k(x, x) k(y, y))

which is 1 for the same composition. Oxygen is in all of them and tells nothing, so it counts a
tenth.
"""

from __future__ import annotations

import math
from functools import lru_cache

import gemmi

from matlab_ros.chemistry.formula import Formula, periodic_group

_GROUP_WIDTH, _PERIOD_WIDTH = 1.0, 1.5
_WEIGHT_OF_OXYGEN = 0.1
_NOBLE = (2, 10, 18, 36, 54, 86, 118)


@lru_cache(maxsize=8192)
def element_likeness(one: str, other: str) -> float:
    """From 0 to 1: a Gaussian of the distance in groups and periods."""
    a, b = gemmi.Element(one).atomic_number, gemmi.Element(other).atomic_number
    if a == b:
        return 1.0
    if 1 in (a, b):
        return 0.0  # hydrogen is no alkali metal
    groups = (periodic_group(a) - periodic_group(b)) / _GROUP_WIDTH
    periods = (_period(a) - _period(b)) / _PERIOD_WIDTH
    return math.exp(-0.5 * (groups**2 + periods**2)) * 0.95


def similarity(one: Formula, other: Formula) -> float:
    """Of two compounds, from 0 to 1."""
    mixed = _kernel(one, other)
    alone = _kernel(one, one) * _kernel(other, other)
    return mixed / math.sqrt(alone) if alone > 0 else 0.0


def _kernel(one: Formula, other: Formula) -> float:
    x, y = _fractions(one), _fractions(other)
    return sum(p * q * element_likeness(e, f) for e, p in x.items() for f, q in y.items())


def _fractions(formula: Formula) -> dict[str, float]:
    weighted = {
        e: float(n) * (_WEIGHT_OF_OXYGEN if e == "O" else 1.0) for e, n in formula.amounts.items()
    }
    total = sum(weighted.values())
    return {e: n / total for e, n in weighted.items()}


def _period(atomic_number: int) -> int:
    return next(i for i, last in enumerate(_NOBLE, start=1) if atomic_number <= last)
