"""From an analysis to the result of the action AnalysePattern."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from matlab_ros.nodes.analysis_messages import scan_program_to
from matlab_ros.xrd.analyse import Analysis
from matlab_ros.xrd.look_again import LookAgain
from matlab_ros.xrd.second_opinion import SOFTWARE, SecondOpinion
from matlab_ros.xrd.verdict import verdict
from matlab_ros_interfaces import msg
from matlab_ros_interfaces.action import AnalysePattern

NOT_FOUND_SIGMA = 0.02
"""Not found means below what a search can see, not exactly none."""


def describe(analysis: Analysis, target: Collection[str], result: AnalysePattern.Result) -> None:
    """Fill the result's fields from an analysis.

    Args:
        analysis: of a pattern.
        target: names of the phase whose weight fraction is the yield.
        result: to be filled.
    """
    result.phases = [
        msg.PhaseFraction(
            phase=phase.structure.name,
            formula=phase.structure.formula,
            weight_fraction=phase.weight_fraction,
            sigma=phase.sigma,
            cell_shift=phase.cell_shift,
        )
        for phase in analysis.phases
    ]
    found = [item for item in result.phases if item.phase in target]
    result.target_fraction = math.fsum(item.weight_fraction for item in found)
    result.target_sigma = found[0].sigma if found else NOT_FOUND_SIGMA
    fit = analysis.fit
    stray = analysis.unexplained
    result.quality = msg.FitQuality(
        rwp_percent=100 * fit.rwp,
        rexp_percent=100 * fit.rexp,
        goodness_of_fit=fit.gof,
        unexplained_fraction=stray.share_of_intensity,
        unexplained_peaks_deg=[peak.two_theta_deg for peak in stray.peaks],
        unexplained_peak_shares=[peak.share_of_strongest for peak in stray.peaks],
        bounds_hit=list(fit.bounds_hit),
        converged=fit.converged,
    )
    result.possible = [
        msg.PossiblePhase(phase=phase.name, formula=phase.formula, explains=gain)
        for phase, gain in analysis.possible
    ]
    result.alternatives = [
        msg.AlternativePhase(
            phase=item.phase,
            alternative=item.name,
            formula=item.structure.formula,
            delta_bic=item.delta_bic,
            contradicted=item.contradicted,
        )
        for item in analysis.alternatives
    ]
    result.balance = [
        msg.ElementBalance(
            element=share.element,
            dispensed=share.dispensed,
            found=share.found,
            tolerance=share.tolerance,
            holds=share.holds,
        )
        for share in analysis.balance
    ]
    result.order = [
        msg.OrderTest(
            phase=test.phase,
            rival=test.rival,
            mixed=list(test.mixed),
            delta_bic=test.delta_bic,
            result=int(test.result),
        )
        for test in analysis.order
    ]
    result.second = _second(analysis.second)
    if analysis.again is not None:
        result.again = _again(analysis.again)
    judged = verdict(analysis)
    result.verdict = int(judged.kind)
    result.remarks = list(dict.fromkeys((*judged.reasons, *judged.remarks, *analysis.notes)))


def _second(second: SecondOpinion) -> Any:
    return msg.SecondRefinement(
        outcome=int(second.outcome),
        software=SOFTWARE if second.outcome else "",
        reason=second.reason,
        largest_difference=second.largest_difference,
        rwp_percent=100 * second.rwp,
        goodness_of_fit=second.gof,
    )


def _again(again: LookAgain) -> Any:
    return msg.LookAgain(
        is_asked_for=again.program is not None,
        program=scan_program_to(again.program),
        ranges=[
            msg.DecidingRange(
                first_deg=item.first_deg,
                last_deg=item.last_deg,
                delta_bic_per_s=item.per_s,
                phase=item.between[0],
                rival=item.between[1],
            )
            for item in again.ranges
        ],
        expected_delta_bic=again.expected,
        needed_s=again.needed_s,
    )
