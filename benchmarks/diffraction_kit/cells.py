"""Refined cell constants beside those that the literature has for the same compounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matlab_ros.xrd.analyse import Analysis


@dataclass(frozen=True)
class Reference:
    """Cell constants of a compound at room temperature.

    Attributes:
        formula: reduced.
        group: begins the symbol of its space group.
        lengths: a and, where it is another, c, in angstrom.
        source: where they stand.
        certified: whether they are a standard reference material's.
    """

    formula: str
    group: str
    lengths: tuple[float, ...]
    source: str
    certified: bool = False


REFERENCES = (
    Reference("Si", "F d -3 m", (5.431179,), "NIST SRM 640e, at 22.5 C", True),
    Reference("ZnO", "P 63 m c", (3.24982, 5.20661), "McMurdie et al., Powder Diffr. 1, 76 (1986)"),
    Reference(
        "TiO2", "I 41/a m d", (3.7852, 9.5139), "Natl Bur. Stand. Monogr. 25, sec. 7, 82 (1969)"
    ),
    Reference("NiO", "F m -3 m", (4.1771,), "PDF 47-1049"),
    Reference("In2O3", "I a -3", (10.118,), "Natl Bur. Stand. Circ. 539, vol. 5, 26 (1955)"),
)


def deviations(analysis: Analysis) -> list[tuple[Reference, float, float]]:
    """Of each phase with a reference: it, the mean relative deviation, and the weight fraction."""
    found = []
    for phase in analysis.phases:
        for reference in REFERENCES:
            structure = phase.structure
            same = structure.formula == reference.formula
            if same and structure.space_group.startswith(reference.group):
                lengths = sorted({round(float(value), 6) for value in phase.cell[:3]})
                if len(lengths) == len(reference.lengths):
                    ratio = np.array(lengths) / np.array(sorted(reference.lengths))
                    found.append((reference, float(ratio.mean() - 1.0), phase.weight_fraction))
    return found
