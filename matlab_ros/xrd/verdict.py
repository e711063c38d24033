"""How far an analysis is to be trusted: what a machine may claim of it and what a person must see.

After what was criticised in automatic refinements of self-driving laboratories: a result is
confirmed only when nothing in it is open and a second, independent refinement agrees; an ordered
structure only when the data tell it from its disordered parent. Nothing is ever called new.
"""

from __future__ import annotations

from dataclasses import dataclass

import gemmi

from matlab_ros.model.lab_words import Order, SecondOutcome, Verdict
from matlab_ros.xrd.analyse import Analysis
from matlab_ros.xrd.evidence import WORST_GOF
from matlab_ros.xrd.fit_parameters import is_cell_constant

STRONGEST_STRAY = 0.05
"""Share of the strongest peak above which a person must look at an unexplained one."""
MOST_STRAY = 0.10
"""Share of the peaks' intensity above which a person must look at what is unexplained."""
NOTABLE_SHIFT = 0.005
"""Relative change of a cell length that other temperatures and determinations do not make."""
_MOST_NAMED = 3
_NEIGHBOURS = 3
"""Metals whose atomic numbers differ by no more than this scatter X-rays nearly alike."""


@dataclass(frozen=True)
class Assessment:
    """A verdict and what it rests on.

    Attributes:
        kind: never UNKNOWN.
        reasons: why it is no better, in sentences, gravest first; empty only for CONFIRMED.
        remarks: what else was looked at, and found to be no obstacle.
    """

    kind: Verdict
    reasons: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def verdict(analysis: Analysis) -> Assessment:
    """Judges an analysis: NEEDS_HUMAN if anything in it is wrong, CONFIRMED if nothing is open."""
    wrong = _wrong(analysis)
    doubts = open_doubts(analysis)
    second = analysis.second
    if second.outcome is SecondOutcome.DISAGREES:
        wrong.append(second.reason)
    elif second.outcome is SecondOutcome.NOT_ASKED:
        doubts.append("One refinement alone never confirms.")
    elif second.outcome is not SecondOutcome.AGREES:
        doubts.append(second.reason)
    if wrong:
        kind = Verdict.NEEDS_HUMAN
    else:
        kind = Verdict.PROVISIONAL if doubts else Verdict.CONFIRMED
    return Assessment(kind, (*wrong, *doubts), tuple(_remarks(analysis)))


def is_worth_confirming(analysis: Analysis) -> bool:
    """Whether a second refinement is all that stands between an analysis and CONFIRMED."""
    return not _wrong(analysis) and not open_doubts(analysis)


def _wrong(analysis: Analysis) -> list[str]:
    fit = analysis.fit
    if not any(phase.weight_fraction > 0 for phase in fit.phases):
        return ["No phase of the library explains the pattern."]
    reasons = _strays(analysis)
    # Written so that a fit that has become nan fails.
    if not fit.gof <= WORST_GOF:
        reasons.append(f"The goodness of fit is {fit.gof:.1f}, above {WORST_GOF:g}.")
    if not fit.converged:
        reasons.append("The fit has not converged.")
    cells = [name for name in fit.bounds_hit if is_cell_constant(name)]
    if cells:
        reasons.append(
            f"At the limit of what a cell may change: {', '.join(cells)}; it may be another phase."
        )
    missing = [share for share in analysis.balance if share.is_missing]
    if missing:
        names = " and ".join(share.element for share in missing)
        reasons.append(
            f"{names} was weighed in and no phase holds it; it may be amorphous, or in a phase "
            "that the library lacks."
        )
    for test in analysis.order:
        if test.result is Order.DISORDERED:
            reasons.append(test.sentence)
    return reasons


def _strays(analysis: Analysis) -> list[str]:
    """One sentence for all peaks that are too strong to be left unexplained."""
    stray = analysis.unexplained
    strong = [peak for peak in stray.peaks if peak.share_of_strongest > STRONGEST_STRAY]
    if not strong and stray.share_of_intensity <= MOST_STRAY:
        return []
    shown = strong[:_MOST_NAMED] or list(stray.peaks[:_MOST_NAMED])
    where = ", ".join(
        f"{peak.two_theta_deg:.2f} ({100 * peak.share_of_strongest:.0f} %)" for peak in shown
    )
    n = len(stray.peaks)
    what = "a peak" if n == 1 else f"{n} peaks"
    share = 100 * stray.share_of_intensity
    tail = " The library may lack a phase." if n >= _MOST_NAMED or share > 100 * MOST_STRAY else ""
    return [
        f"No phase explains {what}, {share:.0f} % of the intensity; the strongest at {where} "
        f"degrees, in shares of the strongest of all.{tail}"
    ]


def open_doubts(analysis: Analysis) -> list[str]:
    """Questions that the data leave open and that keep a result from being confirmed."""
    reasons = []
    limits = [name for name in analysis.fit.bounds_hit if ": " in name]
    limits = [name for name in limits if not is_cell_constant(name)]
    if limits:
        reasons.append(f"At a limit: {', '.join(limits)}.")
    for phase in analysis.fit.phases:
        name = phase.structure.name
        others = [a.name for a in analysis.alternatives if a.phase == name and a.is_open]
        if others:
            reasons.append(f"Instead of {name} it may be {' or '.join(others)}.")
    for test in analysis.order:
        if test.result is Order.UNDECIDED:
            reasons.append(test.sentence)
    off = [share for share in analysis.balance if not share.holds]
    if off and not any(share.is_missing for share in off):
        parts = ", ".join(
            f"{100 * s.found:.0f} % {s.element} ({100 * s.dispensed:.0f} % weighed in)" for s in off
        )
        reasons.append(
            f"The phases do not hold the elements in the ratio that was weighed in: {parts}."
        )
    return reasons


def _remarks(analysis: Analysis) -> list[str]:
    found = []
    if analysis.fit.phases and not analysis.balance:
        found.append("The elements were not balanced against what was weighed in.")
    for item in analysis.alternatives:
        if item.contradicted:
            found.append(
                f"{item.name} would fit nearly as well as {item.phase}, and what was weighed in "
                "speaks against it."
            )
        elif not item.is_open:
            found.append(f"{item.phase} fits better than {item.name} (dBIC {item.delta_bic:.0f}).")
    for test in analysis.order:
        if test.result is Order.ORDERED:
            found.append(test.sentence)
    found += _lookalikes(analysis)
    for phase in analysis.phases:
        if abs(phase.cell_shift) > NOTABLE_SHIFT:
            found.append(
                f"The cell of {phase.structure.name} differs by {100 * phase.cell_shift:+.1f} % "
                "from the library's; it may be a solid solution."
            )
    second = analysis.second
    if second.outcome is SecondOutcome.AGREES:
        found.append(
            f"A second refinement agrees within {100 * second.largest_difference:.1f} wt%."
        )
    instrument = [name for name in analysis.fit.bounds_hit if ": " not in name]
    if instrument:
        found.append(f"At a limit: {', '.join(instrument)}.")
    return found


def _lookalikes(analysis: Analysis) -> list[str]:
    """Pairs of metals that scatter nearly alike and of which a phase has one and not the other."""
    weighed = [share.element for share in analysis.balance]
    pairs = {
        tuple(sorted((own, other)))
        for phase in analysis.phases
        for own in weighed
        for other in weighed
        if own in phase.structure.elements and other not in phase.structure.elements
        if abs(_number(own) - _number(other)) <= _NEIGHBOURS
    }
    return [
        f"X-rays hardly tell {a} from {b}: a phase told to hold one may hold some of the other."
        for a, b in sorted(pairs)
    ]


def _number(element: str) -> int:
    return gemmi.Element(element).atomic_number
