"""How far an analysis is to be trusted: what a machine may claim of it and what a person must see.

After what was criticised in automatic refinements of self-driving laboratories: a result is
confirmed only by a second, independent refinement. There is none yet, so that the best an analysis
can be is provisional.
"""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.model.lab_words import Verdict
from matlab_ros.xrd.analyse import Analysis
from matlab_ros.xrd.fit_parameters import is_cell_constant

WORST_GOF = 3.0
"""Goodness of fit above which a person must look."""
STRONGEST_STRAY = 0.05
"""Share of the strongest peak above which a person must look at an unexplained one."""


@dataclass(frozen=True)
class Assessment:
    """A verdict and what it rests on.

    Attributes:
        kind: never UNKNOWN.
        reasons: why it is no better, in sentences, gravest first; empty only for CONFIRMED.
    """

    kind: Verdict
    reasons: tuple[str, ...]


def verdict(analysis: Analysis) -> Assessment:
    """Judges an analysis: NEEDS_HUMAN if anything in it is wrong, otherwise PROVISIONAL."""
    wrong = _wrong(analysis)
    kind = Verdict.NEEDS_HUMAN if wrong else Verdict.PROVISIONAL
    return Assessment(kind, (*wrong, *_open_questions(analysis)))


def _wrong(analysis: Analysis) -> list[str]:
    fit = analysis.fit
    if not any(phase.weight_fraction > 0 for phase in fit.phases):
        return ["No phase of the library explains the pattern."]
    reasons = []
    # Written so that a fit that has become nan fails.
    if not fit.gof <= WORST_GOF:
        reasons.append(f"The goodness of fit is {fit.gof:.1f}, above {WORST_GOF:g}.")
    for peak in analysis.unexplained.peaks:
        if peak.share_of_strongest > STRONGEST_STRAY:
            reasons.append(
                f"No phase explains the peak at {peak.two_theta_deg:.2f} degrees, "
                f"{100 * peak.share_of_strongest:.0f} % of the strongest."
            )
    if not fit.converged:
        reasons.append("The fit has not converged.")
    cells = [name for name in fit.bounds_hit if is_cell_constant(name)]
    if cells:
        reasons.append(
            f"At the limit of what a cell may change: {', '.join(cells)}; it may be another phase."
        )
    return reasons


def _open_questions(analysis: Analysis) -> list[str]:
    reasons = []
    others = [name for name in analysis.fit.bounds_hit if not is_cell_constant(name)]
    if others:
        reasons.append(f"At a limit: {', '.join(others)}.")
    for item in analysis.accepted:
        if item.alternatives:
            reasons.append(
                f"Instead of {item.phase.name} it may be {' or '.join(item.alternatives)}."
            )
    reasons.append("One refinement alone never confirms.")
    return reasons
