"""A campaign that cannot be carried out is refused before anything starts, by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from matlab_ros.lab.binding import doses_of, values_of
from matlab_ros.lab.experiment_values import Setting
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
PHASES = {
    "MgTiO3",
    "MgO-Periclase",
    "MgCO3-Magnesite",
    "Mg(OH)2-Brucite",
    "TiO2-Anatase",
    "TiO2-Rutile",
}


def temperature(low: float, high: float) -> dict[str, object]:
    return {"name": "temperature_c", "kind": "continuous", "low": low, "high": high}


PRECURSORS = {"name": "precursors", "kind": "categorical", "choices": ["a"]}


def sets(*substances: str) -> list[dict[str, object]]:
    return [{"name": "a", "substances": list(substances)}]


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        (
            {"parameters": [temperature(800, 1500)], "precursor_sets": sets("MgO", "TiO2-rutile")},
            "parameters.0",
            ["1500", "1400"],
        ),
        (
            {"parameters": [PRECURSORS, temperature(5, 900)], "precursor_sets": sets("MgO")},
            "precursor_sets.0.substances",
            ["MgO"],
        ),
        (
            {
                "parameters": [PRECURSORS, temperature(800, 900)],
                "precursor_sets": sets("CaO", "TiO2-rutile"),
            },
            "precursor_sets.0.substances",
            ["'CaO'", "stock", "MgO"],
        ),
        ({"target": {"formula": "CaTiO3", "phase": "MgTiO3"}}, "precursor_sets.0.substances", []),
        ({"target": {"formula": "Mg(TiO3", "phase": "MgTiO3"}}, "target.formula", []),
        ({"target": {"formula": "MgTiO3", "phase": "Mg2TiO4"}}, "target.phase", ["Mg2TiO4"]),
        ({"sample_mass_mg": 5000}, "sample_mass_mg", ["5000", "3000"]),
        ({"sample_mass_mg": 8}, "precursor_sets.0", ["dispenser"]),
        ({"budget": {"experiments": 100}}, "budget.experiments", ["crucibles", "40"]),
        (
            {"parameters": [PRECURSORS], "precursor_sets": sets("MgO", "TiO2-rutile")},
            "parameters",
            ["temperature_c", "missing"],
        ),
        (
            {
                "parameters": [
                    PRECURSORS,
                    temperature(800, 900),
                    {"name": "pressure", "kind": "continuous", "low": 1, "high": 2},
                ],
                "precursor_sets": sets("MgO", "TiO2-rutile"),
            },
            "parameters",
            ["pressure", "changes nothing"],
        ),
    ],
)
def test_what_cannot_be_done_is_named(lab, recipe, make_campaign, changes, key, words):
    with pytest.raises(ConfigError) as caught:
        check_campaign(make_campaign(**changes), lab, recipe, PHASES, "some.yaml")
    assert caught.value.key == key
    assert caught.value.file == "some.yaml"
    for word in words:
        assert word in str(caught.value)


def test_the_repository_s_demo_can_be_carried_out(lab, recipe):
    file = REPOSITORY / "config/campaigns/demo.yaml"
    phases = {path.stem for path in (REPOSITORY / "config/structures").glob("*.cif")}
    if not phases:
        pytest.skip("config/structures holds no structures")
    plan = check_campaign(load_campaign(file), lab, recipe, phases, file)
    assert set(plan.elements) >= {"Mg", "Ti", "O"}


def test_doses_follow_the_targets_metals_ratio_and_sum_to_the_sample(lab, recipe, make_plan):
    plan = make_plan()
    settings = (Setting("precursors", choice="a"), Setting("temperature_c", 900.0))
    doses = doses_of(plan, lab, recipe.step("dispense").arguments, values_of(plan, settings))
    assert [dose.substance for dose in doses] == ["MgO", "TiO2-anatase"]
    assert sum(dose.mass_mg for dose in doses) == pytest.approx(1000.0, abs=0.02)
    moles = doses[0].mass_mg / 40.304, doses[1].mass_mg / 79.866
    assert moles[0] == pytest.approx(moles[1], rel=1e-3)
