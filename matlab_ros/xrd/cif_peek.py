"""A look into a CIF that tells its elements without reading its structure."""

from __future__ import annotations

import re
from pathlib import Path

from matlab_ros.xrd.composition import formula_amounts
from matlab_ros.xrd.structure import listed_elements

_FORMULA = re.compile(
    r"^_chemical_formula_sum\s+(?:'([^'\n]*)'|\"([^\"\n]*)\"|(\S+))", re.MULTILINE
)


def peek_elements(path: Path) -> frozenset[str] | None:
    """Elements of a CIF, from its formula where it has one; None where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = _FORMULA.search(text)
    if match is None:
        return listed_elements(path)
    try:
        amounts = formula_amounts(next(group for group in match.groups() if group is not None))
    except ValueError:
        return listed_elements(path)
    return frozenset("H" if e == "D" else e for e in amounts)
