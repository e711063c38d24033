"""What evaporates from a powder in a furnace and is therefore given in excess."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from matlab_ros.chemistry.formula import Formula
from matlab_ros.chemistry.stoichiometry import VOLATILE
from matlab_ros.model.yaml_file import Strict


class ExcessRule(Strict):
    """An element of which some is lost above a temperature."""

    element: str = Field(pattern=r"^[A-Z][a-z]?$")
    above_c: float
    percent: float = Field(gt=0, le=50)
    """Of it that is given in excess."""
    why: str = Field(min_length=1)


def excess_of(
    precursor: Formula, temperature_c: float, rules: Sequence[ExcessRule]
) -> tuple[float, str]:
    """Excess of a precursor in per cent, and why; 0 and "" without one.

    Of several rules for its element the one with the highest temperature that is exceeded counts. A
    precursor that brings other elements that stay gets none: it would upset their ratio.
    """
    stays = precursor.elements - VOLATILE
    if len(stays) != 1:
        return 0.0, ""
    due = [r for r in rules if r.element in stays and temperature_c > r.above_c]
    if not due:
        return 0.0, ""
    rule = max(due, key=lambda r: r.above_c)
    return rule.percent, rule.why
