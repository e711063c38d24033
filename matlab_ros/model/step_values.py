"""What the steps of a recipe give to conditions: names, kinds, and between what they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matlab_ros.model.expressions import Kind, Range
from matlab_ros.model.lab_words import StepAction


@dataclass(frozen=True)
class GivenValue:
    """One value of a step."""

    kind: Kind
    range: Range = (-math.inf, math.inf)
    """Of a number."""


_SHARE = GivenValue(Kind.NUMBER, (0.0, 1.0))
_POSITIVE = GivenValue(Kind.NUMBER, (0.0, math.inf))
_MIXED = {"mixed_min": _POSITIVE}

GIVEN: dict[StepAction, dict[str, GivenValue]] = {
    StepAction.DISPENSE: {"mass_mg": _POSITIVE, **_MIXED},
    StepAction.MIX: _MIXED,
    StepAction.GRIND: _MIXED,
    StepAction.HEAT: {"max_measured_c": GivenValue(Kind.NUMBER), "dwell_min": _POSITIVE},
    StepAction.ANALYSE: {
        "target_fraction": _SHARE,
        "target_sigma": _POSITIVE,
        "rwp_percent": _POSITIVE,
        "goodness_of_fit": _POSITIVE,
        "unexplained_fraction": _SHARE,
        "phases": _POSITIVE,
        "confirmed": GivenValue(Kind.TRUTH),
        "provisional": GivenValue(Kind.TRUTH),
        "look_again": GivenValue(Kind.TRUTH),
    },
}
"""Values that come from the device's answer, by action; unknown where the device gave none."""

DONE = "done"
"""Whether the step was done in this round; every step has it, and it is never unknown."""


def given_by(action: StepAction) -> dict[str, GivenValue]:
    """All values of a step with this action."""
    return {**GIVEN.get(action, {}), DONE: GivenValue(Kind.TRUTH)}
