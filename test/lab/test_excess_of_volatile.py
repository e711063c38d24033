"""What evaporates is weighed in excess, as the campaign's file says."""

from __future__ import annotations

import pytest

from matlab_ros.lab.binding import doses_of, values_of
from matlab_ros.lab.experiment_values import Setting


def test_an_excess_changes_the_ratio_and_not_the_mass(lab, recipe, make_plan):
    powders = ["MgO", "TiO2-anatase"]
    plan = make_plan(
        precursor_sets=[
            {"name": "a", "substances": powders, "excess_percent": {"MgO": 10}},
            {"name": "b", "substances": powders},
        ]
    )

    def masses(name: str) -> list[float]:
        settings = (Setting("precursors", choice=name), Setting("temperature_c", 900.0))
        step = recipe.step("dispense")
        doses = doses_of(plan, lab, step.arguments, values_of(plan, settings))
        return [dose.mass_mg for dose in doses]

    more, plain = masses("a"), masses("b")
    assert sum(more) == pytest.approx(sum(plain), abs=0.02)
    assert more[0] / more[1] == pytest.approx(1.1 * plain[0] / plain[1], rel=1e-3)
