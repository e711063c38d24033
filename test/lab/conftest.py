"""A small lab, a campaign for it, and devices that fail on purpose."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Suggestion
from matlab_ros.lab.goals import (
    AnalyseGoal,
    Goal,
    Outcome,
    TransferGoal,
)
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.model.recipe import Recipe, load_recipe
from matlab_ros.nodes.table_lab import settings_of

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from table_kit.failing_devices import FailingDevices  # noqa: E402

PHASES = frozenset(
    {
        "MgTiO3",
        "MgO-Periclase",
        "MgCO3-Magnesite",
        "Mg(OH)2-Brucite",
        "TiO2-Anatase",
        "TiO2-Rutile",
    }
)


@pytest.fixture(scope="session")
def lab() -> LabConfig:
    """The virtual lab of the repository."""
    return load_lab(REPOSITORY / "config/labs/virtual_lab.yaml")


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The repository's solid-state recipe."""
    return load_recipe(REPOSITORY / "config/recipes/solid_state.yaml")


@pytest.fixture(scope="session")
def make_campaign() -> Callable[..., CampaignConfig]:
    """Makes a campaign; keyword arguments replace keys of it."""

    def make(**changes: object) -> CampaignConfig:
        data: dict[str, object] = {
            "name": "trial",
            "seed": 1,
            "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
            "sample_mass_mg": 1000,
            "recipe": "solid_state",
            "precursor_sets": [
                {"name": "a", "substances": ["MgO", "TiO2-anatase"]},
                {"name": "b", "substances": ["MgCO3", "TiO2-rutile"]},
            ],
            "parameters": [
                {"name": "precursors", "kind": "categorical", "choices": ["a", "b"]},
                {
                    "name": "temperature_c",
                    "kind": "continuous",
                    "low": 800,
                    "high": 1300,
                    "step": 100,
                },
                {"name": "dwell_h", "kind": "continuous", "low": 1, "high": 12},
            ],
            "budget": {"experiments": 6, "max_in_flight": 4},
            "planner": {"method": "random", "initial_experiments": 1, "batch_size": 2},
        }
        data.update(changes)
        return CampaignConfig.model_validate(data)

    return make


@pytest.fixture(scope="session")
def make_plan(
    lab: LabConfig, recipe: Recipe, make_campaign: Callable[..., CampaignConfig]
) -> Callable[..., CampaignPlan]:
    """Makes a checked plan; keyword arguments replace keys of the campaign."""

    def make(**changes: object) -> CampaignPlan:
        return check_campaign(make_campaign(**changes), lab, recipe, PHASES, "test.yaml")

    return make


@dataclass(frozen=True)
class TableProduct:
    """What a sample became."""

    objective: float
    sigma: float = math.nan


class TableWorld:
    """Yield rises with temperature."""

    def outcome(self, settings: dict[str, float | str]) -> TableProduct:
        """See `matlab_ros.nodes.table_lab.World`."""
        share = (float(settings["temperature_c"]) - 800.0) / 500.0
        return TableProduct(min(1.0, max(0.0, share)))


class DrawingPlanner:
    """Draws settings from few values, so that furnace runs can be shared; seeded by the id."""

    def __init__(self, temperatures: Sequence[float] = (900.0, 1000.0)) -> None:
        self._temperatures = temperatures
        self.known: dict[str, Observation] = {}

    def suggest(
        self,
        experiment_ids: Sequence[str],
        pending: Sequence[Suggestion],
        unfired: Collection[str] = (),
    ) -> list[Suggestion]:
        """See `matlab_ros.nodes.table_lab.Planner`."""
        return [self._draw(name) for name in experiment_ids]

    def _draw(self, name: str) -> Suggestion:
        chance = random.Random(name)
        values = {
            "precursors": chance.choice(["a", "b"]),
            "temperature_c": chance.choice(list(self._temperatures)),
            "dwell_h": 4.0,
        }
        return Suggestion(name, settings_of(values), method="drawn")

    def report(self, observation: Observation) -> None:
        """See `matlab_ros.nodes.table_lab.Planner`."""
        known = self.known.setdefault(observation.experiment_id, observation)
        assert known == observation, "an experiment taught two different things"


class FaultyDevices(FailingDevices):
    """Devices whose failures are drawn from a seed and the attempt's id."""

    def __init__(self, lab: LabConfig, seed: int, rate: float) -> None:
        super().__init__(lab, TableWorld(), seed, rate)

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """See `matlab_ros.nodes.table_lab.Devices.begin`."""
        assert goal.attempt_id in self._known or goal.issued_ns == now_ns
        return super().begin(device, goal, now_ns)


@pytest.fixture(scope="session")
def faulty_devices() -> type[FaultyDevices]:
    """The class of devices that fail."""
    return FaultyDevices


@pytest.fixture(scope="session")
def drawing_planner() -> type[DrawingPlanner]:
    """The class of planners that draw."""
    return DrawingPlanner


@pytest.fixture(scope="session")
def table_world() -> TableWorld:
    """Yield rises with temperature."""
    return TableWorld()


@pytest.fixture(scope="session")
def check_places() -> Callable[[Engine], None]:
    """Objects to a state in which two containers share a place or one has none it should have."""

    def check(engine: Engine) -> None:
        state = engine.state
        places = [item.position for item in state.containers.values() if item.position]
        assert len(places) == len(set(places))
        devices = [
            (attempt.device, isinstance(attempt.goal, AnalyseGoal))
            for attempt in state.attempts.values()
        ]
        assert len(devices) == len(set(devices))
        targets = [
            attempt.goal.target
            for attempt in state.attempts.values()
            if isinstance(attempt.goal, TransferGoal)
        ]
        assert not set(targets) & set(places)

    return check
