"""An analysis told: as a document for programs and as a table for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matlab_ros.model.lab_words import SecondOutcome
from matlab_ros.xrd.fit import FittedPhase

if TYPE_CHECKING:
    from matlab_ros.xrd.analyse import Analysis

_MOST_PEAKS = 8


def document_of(analysis: Analysis) -> dict[str, object]:
    """All of it but the curves, of what JSON can hold; angles in degrees, lengths in angstrom."""
    fit = analysis.fit
    second, again = analysis.second, analysis.again
    return {
        "file": fit.pattern.source,
        "sample": fit.pattern.sample_id,
        "two_theta_deg": [
            float(fit.pattern.two_theta_deg[0]),
            float(fit.pattern.two_theta_deg[-1]),
        ],
        "phases": [_phase_document(analysis, phase) for phase in analysis.phases],
        "possible": [
            {"name": phase.name, "formula": phase.formula, "explains": gain}
            for phase, gain in analysis.possible
        ],
        "fit": {
            "rwp": fit.rwp,
            "rexp": fit.rexp,
            "gof": fit.gof,
            "converged": fit.converged,
            "displacement_deg": fit.instrument.displacement_deg,
            "roughness": fit.instrument.roughness,
            "bounds_hit": list(fit.bounds_hit),
        },
        "unexplained": {
            "share_of_intensity": analysis.unexplained.share_of_intensity,
            "peaks": [
                {
                    "two_theta_deg": peak.two_theta_deg,
                    "height": peak.height,
                    "share_of_strongest": peak.share_of_strongest,
                }
                for peak in analysis.unexplained.peaks
            ],
        },
        "mass_balance": [
            {
                "element": share.element,
                "dispensed": share.dispensed,
                "found": share.found,
                "tolerance": share.tolerance,
                "holds": share.holds,
            }
            for share in analysis.balance
        ],
        "order": [
            {
                "phase": test.phase,
                "disordered": test.rival,
                "mixed": list(test.mixed),
                "delta_bic": test.delta_bic,
                "result": test.result.name.lower(),
            }
            for test in analysis.order
        ],
        "second_refinement": {
            "outcome": second.outcome.name.lower(),
            "reason": second.reason,
            "weight_fractions": dict(second.fractions),
            "rwp": _finite(second.rwp),
            "gof": _finite(second.gof),
        },
        "look_again": None
        if again is None
        else {
            "program": None if again.program is None else again.program.name,
            "expected_delta_bic": again.expected,
            "needed_s": _finite(again.needed_s),
            "ranges": [
                {
                    "first_deg": item.first_deg,
                    "last_deg": item.last_deg,
                    "delta_bic_per_s": item.per_s,
                    "between": list(item.between),
                }
                for item in again.ranges
            ],
        },
        "candidates": analysis.n_candidates,
        "excluded": [
            {"name": e.name, "formula": e.formula, "reason": e.reason} for e in analysis.excluded
        ],
        "notes": list(analysis.notes),
    }


def table_of(analysis: Analysis) -> str:
    """Phases, quality and doubts as plain text."""
    fit = analysis.fit
    lines = [f"{fit.pattern.source or 'pattern'}"]
    header = f"{'phase':<16} {'structure':<26} {'wt%':>6} {'+-':>5} {'size/nm':>8} {'cell':>8}"
    lines += [header, "-" * len(header)]
    for phase in analysis.phases:
        size = f"{phase.size_nm:.0f}" if phase.size_nm < 500 else "> 500"
        lines.append(
            f"{phase.structure.formula:<16} {phase.structure.name:<26} "
            f"{100 * phase.weight_fraction:6.1f} {100 * phase.sigma:5.1f} {size:>8} "
            f"{100 * phase.cell_shift:+7.2f}%"
        )
    if not fit.phases:
        lines.append("no phase found")
    lines.append(
        f"Rwp {100 * fit.rwp:.1f} %, Rexp {100 * fit.rexp:.1f} %, GoF {fit.gof:.2f}"
        f"{'' if fit.converged else ', not converged'}; {analysis.n_candidates} candidates"
    )
    lines += [f"instead of {a.phase}: {a.name}" for a in analysis.alternatives if a.is_open]
    if analysis.possible:
        names = ", ".join(f"{phase.name} ({100 * g:.0f} %)" for phase, g in analysis.possible)
        lines.append(f"possible, but not needed: {names}")
    for peak in analysis.unexplained.peaks[:_MOST_PEAKS]:
        lines.append(
            f"unexplained peak at {peak.two_theta_deg:.2f} deg, "
            f"{100 * peak.share_of_strongest:.1f} % of the strongest"
        )
    lines += [test.sentence for test in analysis.order]
    second = analysis.second
    if second.outcome is SecondOutcome.AGREES:
        lines.append(
            "A second refinement agrees within "
            f"{100 * second.largest_difference:.1f} wt% (Rwp {100 * second.rwp:.1f} %)."
        )
    elif second.reason:
        lines.append(second.reason)
    return "\n".join([*lines, *analysis.notes])


def _phase_document(analysis: Analysis, phase: FittedPhase) -> dict[str, object]:
    why = next((a for a in analysis.accepted if a.phase.structure is phase.structure), None)
    return {
        "name": phase.structure.name,
        "formula": phase.structure.formula,
        "space_group": phase.structure.space_group,
        "citation": phase.structure.citation,
        "weight_fraction": phase.weight_fraction,
        "sigma_statistical": phase.sigma_statistical,
        "sigma_systematic": phase.sigma_systematic,
        "weight_fraction_uncorrected": phase.weight_fraction_uncorrected,
        "cell": [float(value) for value in phase.cell],
        "cell_shift": phase.cell_shift,
        "size_nm": _finite(phase.size_nm),
        "texture": (
            {"axis": list(phase.state.axis), "march": phase.state.march}
            if phase.state.axis is not None
            else None
        ),
        "explains": why.gain if why else None,
        "alternatives": [a.name for a in analysis.alternatives if a.phase == phase.structure.name],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
