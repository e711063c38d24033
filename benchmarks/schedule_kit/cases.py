"""Labs and sets of samples whose schedules are compared."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matlab_ros.lab.binding import Value
from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Suggestion
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.lab_config import (
    DeviceConfig,
    DeviceKind,
    LabConfig,
    PositionGrid,
    StationConfig,
    StationKind,
    load_lab,
)
from matlab_ros.model.recipe import load_recipe
from matlab_ros.nodes.table_lab import settings_of

REPOSITORY = Path(__file__).resolve().parents[2]
PHASES = {"MgTiO3", "MgO-Periclase", "MgCO3-Magnesite", "Mg(OH)2-Brucite"} | {
    "TiO2-Anatase",
    "TiO2-Rutile",
}


@dataclass(frozen=True)
class Case:
    """One benchmark: so many samples of a recipe in a lab, all known from the start."""

    lab_name: str
    lab: LabConfig
    recipe: str
    mix: str
    plan: CampaignPlan
    settings: tuple[Mapping[str, Value], ...]
    grades: tuple[float, ...]
    """What each sample's analyses find: below the recipe's threshold it is fired again."""

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.lab_name}, {self.recipe}, {self.mix}, {len(self.settings)} samples"


class ListPlanner:
    """Suggests a list of settings, one after the other."""

    def __init__(self, settings: Sequence[Mapping[str, Value]]) -> None:
        self._settings = settings

    def suggest(
        self,
        experiment_ids: Sequence[str],
        pending: Sequence[Suggestion],
        unfired: Collection[str] = (),
    ) -> list[Suggestion]:
        """See `matlab_ros.nodes.table_lab.Planner`."""
        return [
            Suggestion(name, settings_of(self._settings[int(name.rpartition("-e")[2]) - 1]))
            for name in experiment_ids
        ]

    def report(self, observation: Observation) -> None:
        """See `matlab_ros.nodes.table_lab.Planner`."""


def _station(name: str, kind: StationKind, x_m: float, count: int) -> StationConfig:
    grid = PositionGrid(
        count=count, columns=min(count, 12), origin_m=(x_m, 0.5, 0.8), pitch_m=(0.08, 0.08)
    )
    return StationConfig(name=name, kind=kind, base_pose=(x_m, 0.0, 1.5708), grid=grid)


def virtual_lab() -> LabConfig:
    """The repository's: two furnaces of four."""
    return load_lab(REPOSITORY / "config/labs/virtual_lab.yaml")


def grown(
    *,
    crucibles: int = 400,
    furnaces: int = 4,
    slots: int = 8,
    arms: int = 1,
    dispensers: int = 1,
    diffractometers: int = 1,
) -> LabConfig:
    """A lab of any size, by default the A-Lab's."""
    base = virtual_lab()
    stations = [_station("rack", StationKind.RACK, 0.0, crucibles)]
    devices: list[DeviceConfig] = []

    def add(kind: DeviceKind, name: str, station: StationKind, count: int) -> None:
        stations.append(_station(name, station, 2.0 * len(stations), count))
        limits = base.device("furnace_1").furnace if kind is DeviceKind.FURNACE else None
        overlaps = kind is DeviceKind.CHARACTERISATION
        devices.append(
            DeviceConfig(
                name=name, kind=kind, station=name, furnace=limits, overlaps_analysis=overlaps
            )
        )

    for number in range(dispensers):
        add(DeviceKind.DISPENSER, f"dispenser_{number + 1}", StationKind.DISPENSER, 1)
    for number in range(furnaces):
        add(DeviceKind.FURNACE, f"furnace_{number + 1}", StationKind.FURNACE, slots)
    for number in range(diffractometers):
        kind = DeviceKind.CHARACTERISATION
        add(kind, f"diffractometer_{number + 1}", StationKind.DIFFRACTOMETER, 1)
    devices.extend(
        DeviceConfig(name=f"arm_{number + 1}", kind=DeviceKind.ARM) for number in range(arms)
    )
    stock = tuple(item.model_copy(update={"mass_g": 1e6}) for item in base.stock)
    return LabConfig(
        name="benchmark",
        simulated=True,
        stations=tuple(stations),
        devices=tuple(devices),
        containers=base.containers.model_copy(update={"count": crucibles, "station": ("rack",)}),
        stock=stock,
        dispenser=base.dispenser,
    )


_EQUAL = [(900.0, 4.0)]
_MIXED = [(800.0, 2.0), (900.0, 4.0), (1000.0, 4.0), (1100.0, 12.0)]
_OTHERS = [(750.0, 1.0), (850.0, 3.0), (950.0, 6.0), (1050.0, 8.0), (1150.0, 10.0), (1200.0, 20.0)]
_MIXES = {"equal": _EQUAL, "mixed": _MIXED, "six others": _OTHERS}


def make_case(
    lab_name: str, lab: LabConfig, recipe_name: str, mix: str, count: int, seed: int = 1
) -> Case:
    """A case whose samples are drawn from a seed."""
    chance = random.Random(f"{seed}/{lab_name}/{recipe_name}/{mix}")
    rows: list[Mapping[str, Value]] = []
    for _ in range(count):
        if mix == "all different":
            heat = (800.0 + 10 * chance.randrange(40), 4.0)
        else:
            heat = chance.choice(_MIXES[mix])
        rows.append({"precursors": "a", "temperature_c": heat[0], "dwell_h": heat[1]})
    grades = tuple(chance.choice([0.5, 0.95]) for _ in range(count))
    config = CampaignConfig.model_validate(
        {
            "name": "schedule",
            "seed": seed,
            "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
            "sample_mass_mg": 100,
            "recipe": recipe_name,
            "precursor_sets": [{"name": "a", "substances": ["MgO", "TiO2-anatase"]}],
            "parameters": [
                {"name": "precursors", "kind": "categorical", "choices": ["a"]},
                {"name": "temperature_c", "kind": "continuous", "low": 700, "high": 1200},
                {"name": "dwell_h", "kind": "continuous", "low": 1, "high": 24},
            ],
            "budget": {"experiments": count, "max_in_flight": count},
            "planner": {"method": "random", "initial_experiments": 1, "batch_size": count},
        }
    )
    recipe = load_recipe(REPOSITORY / f"config/recipes/{recipe_name}.yaml")
    plan = check_campaign(config, lab, recipe, PHASES, "benchmark")
    return Case(lab_name, lab, recipe_name, mix, plan, tuple(rows), grades)


def held_out_cases() -> list[Case]:
    """Cases that nothing was tuned on: other seeds, labs and mixes."""
    a_lab, odd = grown(), grown(furnaces=3, slots=6)
    twice = grown(furnaces=8, slots=4, arms=2, dispensers=2)
    return [
        make_case("virtual lab", virtual_lab(), "solid_state", "mixed", 32, 5),
        make_case("A-Lab", a_lab, "solid_state", "mixed", 70, 2),
        make_case("A-Lab", a_lab, "solid_state", "mixed", 110, 3),
        make_case("A-Lab", a_lab, "solid_state", "six others", 96, 4),
        make_case("3 furnaces of 6", odd, "solid_state", "mixed", 80, 2),
        make_case("3 furnaces of 6", odd, "solid_state", "six others", 50, 3),
        make_case("8 furnaces of 4, 2 arms", twice, "solid_state", "six others", 100, 2),
        make_case("A-Lab", a_lab, "regrind", "equal", 48, 2),
        make_case("A-Lab", a_lab, "regrind", "mixed", 64, 3),
        make_case("3 furnaces of 6", odd, "regrind", "six others", 40, 2),
    ]


def all_cases() -> list[Case]:
    """Cases that the scheduler was made with."""
    small, a_lab = virtual_lab(), grown()
    two_arms = grown(arms=2, dispensers=2, diffractometers=2)
    busy_ovens = grown(furnaces=2, slots=4, dispensers=2)
    return [
        make_case("virtual lab", small, "solid_state", "equal", 24),
        make_case("virtual lab", small, "solid_state", "mixed", 24),
        make_case("A-Lab", a_lab, "solid_state", "equal", 96),
        make_case("A-Lab", a_lab, "solid_state", "mixed", 96),
        make_case("A-Lab", a_lab, "solid_state", "mixed", 350),
        make_case("A-Lab", a_lab, "solid_state", "all different", 48),
        make_case("A-Lab", a_lab, "solid_state", "equal", 12),
        make_case("2 arms, 2 dispensers, 2 XRD", two_arms, "solid_state", "mixed", 120),
        make_case("2 furnaces of 4", busy_ovens, "solid_state", "mixed", 64),
        make_case("A-Lab", a_lab, "regrind", "equal", 64),
        make_case("A-Lab", a_lab, "regrind", "mixed", 64),
    ]
