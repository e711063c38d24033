"""A small lab, a campaign for it, and devices that fail on purpose."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Suggestion
from matlab_ros.lab.goals import (
    DispenseGoal,
    Goal,
    MeasureOutcome,
    Outcome,
    SampleOutcome,
    TransferGoal,
    TransferOutcome,
    never_begun,
)
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_config import LabConfig, StationKind, load_lab
from matlab_ros.model.lab_words import SampleFate
from matlab_ros.model.recipe import Recipe, load_recipe
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import settings_of

REPOSITORY = Path(__file__).resolve().parents[2]
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
        self, experiment_ids: Sequence[str], pending: Sequence[Suggestion]
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


class FaultyDevices(TableDevices):
    """Devices whose durations and failures are drawn from a seed and the attempt's id.

    It is also the witness: it follows every crucible and dose by itself, and objects to what
    cannot be done in a real lab.
    """

    def __init__(self, lab: LabConfig, seed: int, rate: float) -> None:
        super().__init__(TableWorld())
        self.seed = seed
        self.rate = rate
        self.doses: list[tuple[str, str]] = []
        """Attempt and substance of every dose really given."""
        self.where: dict[str, str] = {}
        """Position of each container that was ever moved."""
        self.busy: dict[str, tuple[str, int]] = {}
        """Attempt and its end for each device."""
        self.kinds = {station.name: station.kind for station in lab.stations}

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """See `matlab_ros.nodes.table_lab.Devices.begin`."""
        is_new = goal.attempt_id not in self._known
        if is_new:
            other, end_ns = self.busy.get(device, ("", 0))
            assert end_ns <= now_ns, f"{device} is at {other} and was given {goal.attempt_id}"
            assert goal.issued_ns == now_ns
        end_ns, outcome = super().begin(device, goal, now_ns)
        if is_new:
            self.busy[device] = (goal.attempt_id, end_ns)
        return end_ns, outcome

    def outcome(self, device: str, goal: Goal, now_ns: int, end_ns: int) -> Outcome:
        """An outcome by chance, with what it means for the crucibles."""
        chance = random.Random(f"{self.seed}/{goal.attempt_id}")
        self._check_presence(device, goal)
        if chance.random() >= self.rate:
            if isinstance(goal, DispenseGoal):
                self.doses.extend((goal.attempt_id, dose.substance) for dose in goal.doses)
            if isinstance(goal, TransferGoal):
                self._carry(goal, goal.target)
            return super().outcome(device, goal, now_ns, end_ns)
        kind = chance.choice(["refused", "failed", "harmed", "lost"])
        if kind == "refused":
            code = chance.choice([FaultCode.DEVICE_UNREACHABLE, FaultCode.INVALID_GOAL])
            return never_begun(goal, device, Fault.of(code, "It was not begun."), end_ns)
        outcome = super().outcome(device, goal, now_ns, end_ns)
        fate = SampleFate.UNTOUCHED if kind == "failed" else SampleFate.COMPROMISED
        if isinstance(goal, TransferGoal):
            if kind == "lost":
                fate = SampleFate.LOST
                self.where.pop(goal.container_id, None)
            else:
                final = chance.choice([goal.source, goal.target])
                self._carry(goal, final)
                outcome = TransferOutcome(outcome.report, final)
        elif isinstance(goal, DispenseGoal) and fate is SampleFate.COMPROMISED:
            self.doses.append((goal.attempt_id, goal.doses[0].substance))
        report = replace(
            outcome.report,
            code=FaultCode.DEVICE_UNREACHABLE,
            message="It failed.",
            samples=tuple(SampleOutcome(name, fate) for name in goal.sample_ids),
        )
        if isinstance(outcome, TransferOutcome):
            final = "" if fate is SampleFate.LOST else outcome.final_position
            return TransferOutcome(report, final)
        if isinstance(outcome, MeasureOutcome):
            return MeasureOutcome(report)
        return type(outcome)(report)

    def _carry(self, goal: TransferGoal, final: str) -> None:
        others = [name for name, place in self.where.items() if place == final]
        assert others in ([], [goal.container_id]), f"{final} holds {others} already"
        self.where[goal.container_id] = final

    def _check_presence(self, device: str, goal: Goal) -> None:
        """The crucible stands where the goal says."""
        if isinstance(goal, TransferGoal):
            known = self.where.get(goal.container_id, goal.source)
            assert known == goal.source, f"{goal.attempt_id} takes it from an empty position"
            assert self.kinds[goal.target.split("/")[0]] in StationKind
        elif isinstance(goal, DispenseGoal):
            assert self.where[goal.container_id] == goal.position


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
        devices = [attempt.device for attempt in state.attempts.values()]
        assert len(devices) == len(set(devices))
        targets = [
            attempt.goal.target
            for attempt in state.attempts.values()
            if isinstance(attempt.goal, TransferGoal)
        ]
        assert not set(targets) & set(places)

    return check
