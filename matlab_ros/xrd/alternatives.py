"""Structures that fit nearly as well as an accepted one, and what was weighed in says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matlab_ros.xrd.evidence import STRONG_EVIDENCE
from matlab_ros.xrd.fit import FitResult
from matlab_ros.xrd.mass_balance import Fraction, mass_balance
from matlab_ros.xrd.refit import Refit, delta_bic, refitted
from matlab_ros.xrd.search import Accepted
from matlab_ros.xrd.structure import Structure

NEARLY = 1.10
"""Times the best fit's chi^2 up to which a fit with another structure is an alternative."""
_MOST_TRIED = 4


@dataclass(frozen=True, eq=False)
class Alternative:
    """A structure that may be there instead of an accepted one.

    Attributes:
        phase: name of the accepted one.
        structure: in whose place the whole fit is nearly as good.
        delta_bic: by how much Schwarz's criterion prefers the accepted one; see
            `matlab_ros.xrd.refit.delta_bic`.
        contradicted: whether with it the phases would not hold the elements that were weighed in,
            while with the accepted one they do.
        refit: the fit with it.
    """

    phase: str
    structure: Structure
    delta_bic: float
    contradicted: bool
    refit: Refit

    @property
    def name(self) -> str:
        """Of the structure."""
        return self.structure.name

    @property
    def is_open(self) -> bool:
        """Whether neither the pattern nor what was weighed in speaks clearly against it."""
        return not self.contradicted and self.delta_bic <= STRONG_EVIDENCE


def alternatives_to(
    fit: FitResult,
    accepted: Sequence[Accepted],
    candidates: Sequence[Structure],
    dispensed_mmol: Mapping[str, tuple[float, float]],
) -> tuple[Alternative, ...]:
    """Fits each structure that did nearly as well in the search in place of the accepted one.

    What the search says of a round in which other phases were still unknown need not hold of the
    whole. Another determination of the same compound in the same space group is no alternative.

    Args:
        fit: the final one.
        accepted: why its phases are there, in their order; empty where they were given.
        candidates: structures by whose names the search tells alternatives.
        dispensed_mmol: see `matlab_ros.xrd.mass_balance.mass_balance`; empty for unknown.
    """
    if not accepted:
        return ()
    known = {structure.name: structure for structure in candidates}
    phases = [Fraction(p.structure, p.weight_fraction, p.sigma) for p in fit.phases]
    fine = all(share.holds for share in mass_balance(phases, dispensed_mmol))
    own: Refit | None = None
    found = []
    for index, item in enumerate(accepted):
        others = [known[name] for name in dict.fromkeys(item.alternatives) if name in known]
        others = [o for o in others if not any(_is_same(o, p.structure) for p in fit.phases)]
        for other in others[:_MOST_TRIED]:
            own = own or refitted(fit)
            refit = refitted(fit, {index: other})
            if refit.chi2 > NEARLY * own.chi2:
                continue
            swapped = list(phases)
            swapped[index] = replace(phases[index], structure=other)
            shares = mass_balance(swapped, dispensed_mmol)
            contradicted = fine and any(not share.holds for share in shares)
            name = phases[index].structure.name
            found.append(Alternative(name, other, delta_bic(own, refit), contradicted, refit))
    return tuple(found)


def _is_same(a: Structure, b: Structure) -> bool:
    """Whether two determinations are of one compound in one space group, whatever its setting."""
    groups = [structure.space_group.partition(":")[0] for structure in (a, b)]
    return a is b or a.name == b.name or (a.formula == b.formula and groups[0] == groups[1])
