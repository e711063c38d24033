"""What a further scan could decide of an analysis that is provisional."""

from __future__ import annotations

from collections.abc import Sequence

from matlab_ros.model.lab_words import Order
from matlab_ros.model.scan_program import ScanProgram
from matlab_ros.xrd.analyse import Analysis
from matlab_ros.xrd.look_again import LookAgain, Question, look_again
from matlab_ros.xrd.refit import refitted


def questions_of(analysis: Analysis) -> tuple[Question, ...]:
    """Pairs of models that the scan does not tell apart: alternatives, and order or none."""
    undecided = [test for test in analysis.order if test.result is Order.UNDECIDED]
    others = [item for item in analysis.alternatives if item.is_open]
    if not undecided and not others:
        return ()
    own = refitted(analysis.fit)
    return (
        *(Question((test.phase, test.rival), own, test.refit) for test in undecided),
        *(Question((item.phase, item.name), own, item.refit) for item in others),
    )


def further_look(
    analysis: Analysis,
    seconds_per_degree: float,
    programs: Sequence[ScanProgram],
    budget_s: float,
) -> LookAgain | None:
    """Which scan would settle what is open; None where nothing is that a scan could.

    Args:
        analysis: of a pattern.
        seconds_per_degree: of the scan that it is of.
        programs: that the diffractometer has.
        budget_s: longest that the further scan may take.
    """
    questions = questions_of(analysis)
    if not questions:
        return None
    return look_again(questions, seconds_per_degree, programs, budget_s)
