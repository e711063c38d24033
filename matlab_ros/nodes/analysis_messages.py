"""What an analysis says beyond fractions, as values of the lab and as messages."""

from __future__ import annotations

import math
from typing import Any, TypedDict

from matlab_ros.lab.analysis_values import (
    AlternativePhase,
    DecidingRange,
    ElementBalance,
    LookAgain,
    OrderTest,
    PossiblePhase,
    SecondRefinement,
)
from matlab_ros.model.lab_words import Order, SecondOutcome
from matlab_ros.model.scan_program import ScanProgram
from matlab_ros_interfaces import msg


class Findings(TypedDict):
    """Fields of an `AnalyseOutcome`."""

    possible: tuple[PossiblePhase, ...]
    alternatives: tuple[AlternativePhase, ...]
    balance: tuple[ElementBalance, ...]
    order: tuple[OrderTest, ...]
    second: SecondRefinement
    again: LookAgain


def scan_program_to(scan: ScanProgram | None) -> Any:
    """A measurement program as its message; an empty one for None."""
    if scan is None:
        return msg.ScanProgram()
    return msg.ScanProgram(
        name=scan.name,
        first_deg=scan.first_deg,
        last_deg=scan.last_deg,
        duration_s=scan.duration_s,
    )


def scan_program_from(message: Any) -> ScanProgram | None:
    """A measurement program; None where the message is empty."""
    if not message.name or message.last_deg <= message.first_deg or message.duration_s <= 0:
        return None
    return ScanProgram(message.name, message.first_deg, message.last_deg, message.duration_s)


def findings_from(result: Any) -> Findings:
    """What the result of the action AnalysePattern says beyond fractions."""
    second, again = result.second, result.again
    return Findings(
        possible=tuple(
            PossiblePhase(item.phase, item.formula, item.explains) for item in result.possible
        ),
        alternatives=tuple(
            AlternativePhase(
                item.phase,
                item.alternative,
                item.formula,
                item.delta_bic,
                bool(item.contradicted),
            )
            for item in result.alternatives
        ),
        balance=tuple(
            ElementBalance(
                item.element, item.dispensed, item.found, item.tolerance, bool(item.holds)
            )
            for item in result.balance
        ),
        order=tuple(
            OrderTest(
                item.phase,
                item.rival,
                tuple(item.mixed),
                item.delta_bic,
                Order(item.result),
            )
            for item in result.order
        ),
        second=SecondRefinement(
            SecondOutcome(second.outcome),
            second.software,
            second.reason,
            _known(second.largest_difference),
            _known(second.rwp_percent),
            _known(second.goodness_of_fit),
        ),
        again=LookAgain(
            scan_program_from(again.program) if again.is_asked_for else None,
            tuple(
                DecidingRange(
                    item.first_deg, item.last_deg, item.delta_bic_per_s, item.phase, item.rival
                )
                for item in again.ranges
            ),
            _known(again.expected_delta_bic) if again.ranges else None,
            _known(again.needed_s) if again.ranges else None,
        ),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
