"""Identified phases travel with an observation, and what they teach outlives the planner."""

from __future__ import annotations

from pathlib import Path

from matlab_ros.chemistry.outcomes import SeenPhase
from matlab_ros.lab.experiment_values import Observation, Setting
from matlab_ros.lab.goals import PhaseFraction
from matlab_ros.model.lab_words import ObservationKind
from matlab_ros.nodes.conversions import observation_from, observation_to
from matlab_ros.nodes.planner_reactions import ReactionMemory
from matlab_ros.nodes.table_lab import planned_observation
from matlab_ros.planning import CampaignPlan, CategoricalDimension, ContinuousDimension, SearchSpace
from matlab_ros.planning.synthesis import Synthesis

SETTINGS = (Setting("precursors", choice="oxides"), Setting("temperature_c", 900.0))
OBSERVATION = Observation(
    experiment_id="demo-e0001",
    settings=SETTINGS,
    requested=SETTINGS,
    status=ObservationKind.MEASURED,
    objective=0.7,
    sigma=0.02,
    simulated=True,
    stamp_ns=1_700_000_000_000_000_000,
    phases=(
        PhaseFraction("MgTiO3", "MgTiO3", 0.7, 0.02, 0.001),
        PhaseFraction("MgO-Periclase", "MgO", 0.3, None),
    ),
)
PLAN = CampaignPlan(
    SearchSpace(
        (
            CategoricalDimension("precursors", ("oxides",)),
            ContinuousDimension("temperature_c", 700, 1000),
        )
    ),
    method="random",
    synthesis=Synthesis("demo", "MgTiO3", (("oxides", ("MgO", "TiO2")),)),
)


def test_phases_survive_the_message() -> None:
    assert observation_from(observation_to(OBSERVATION)) == OBSERVATION


def test_the_planner_is_told_formulas_and_fractions() -> None:
    assert planned_observation(OBSERVATION).phases == (
        SeenPhase("MgTiO3", 0.7),
        SeenPhase("MgO", 0.3),
    )


def test_what_was_seen_is_remembered_by_the_next_planner(tmp_path: Path) -> None:
    path = str(tmp_path / "reactions.sqlite")
    for _ in range(2):
        memory = ReactionMemory(path)
        memory.remember(PLAN, planned_observation(OBSERVATION), OBSERVATION.stamp_ns)
    remembered = ReactionMemory(path).earlier(simulated=True)
    assert [item.name for item in remembered] == ["demo/demo-e0001"]
    assert remembered[0].date.startswith("2023-11-14T22:13:20")
    assert ReactionMemory(path).earlier(simulated=False) == ()


def test_without_a_file_nothing_is_remembered() -> None:
    memory = ReactionMemory("")
    memory.remember(PLAN, planned_observation(OBSERVATION), OBSERVATION.stamp_ns)
    assert memory.earlier(simulated=True) == ()
