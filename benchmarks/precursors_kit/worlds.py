"""Recorded and virtual worlds that answer a policy at once, with phases where they are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.outcomes import SeenPhase, reduced
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.planning.settings import Value
from matlab_ros.planning.space import SearchSpace
from matlab_ros.planning.space_config import space_of
from matlab_ros.planning.synthesis import PRECURSORS, TEMPERATURE, Synthesis, synthesis_of
from matlab_ros.virtual.landscape import NEAR, Landscape, doses_mg, phases_of, survey
from matlab_ros.virtual.reactions import Chemistry
from matlab_ros.virtual.recorded import RecordedWorld
from matlab_ros.virtual.synthesis import FRACTION_SD, Firing, Product, synthesise

LOG_NAME = "ybco_log_98_outcomes.json"
DWELL = "dwell_h"
SURVEY = 24
"""Points of the survey along temperature and along dwell."""

_SURVEYS: dict[str, Landscape] = {}
"""Surveys of this process, by name of the world."""


@dataclass(frozen=True)
class Answer:
    """What an experiment gave.

    Attributes:
        objective: weight fraction of the target.
        sigma: its standard uncertainty, NaN where unknown.
        phases: identified; empty where the record has no phases.
        wanted: whether it is one of those looked for.
    """

    objective: float
    sigma: float
    phases: tuple[SeenPhase, ...]
    wanted: bool


class World(Protocol):
    """Something to experiment on."""

    name: str
    space: SearchSpace
    synthesis: Synthesis

    def answer(self, settings: Mapping[str, Value]) -> Answer:
        """What the experiment gives."""
        ...


class RecordedSyntheses:
    """The table of yields, with the phases of those experiments whose phases were logged.

    Args:
        name: of the world.
        space, synthesis: of the campaign.
        world: the table.
        log: file of the logged outcomes.
    """

    def __init__(
        self,
        name: str,
        space: SearchSpace,
        synthesis: Synthesis,
        world: RecordedWorld,
        log: Path,
    ) -> None:
        self.name, self.space, self.synthesis = name, space, synthesis
        self.world = world
        self._phases: dict[tuple[tuple[str, ...], float], tuple[SeenPhase, ...]] = {}
        for item in json.loads(log.read_text(encoding="utf-8")):
            key = tuple(sorted(reduced(each) for each in item["precursors"])), float(item["T_C"])
            self._phases[key] = tuple(
                SeenPhase(formula, share) for formula, share in item["products"].items()
            )

    @property
    def logged(self) -> int:
        """Experiments whose phases are known."""
        return len(self._phases)

    def answer(self, settings: Mapping[str, Value]) -> Answer:
        """See `World`."""
        found = self.world.outcome(settings)
        key = self.synthesis.precursors(settings), float(settings[TEMPERATURE])
        return Answer(found.objective, found.sigma, self._phases.get(key, ()), found.pure)


class VirtualSyntheses:
    """A virtual chemistry: weighing, mixing, furnace and diffraction have their scatter.

    What is looked for is what truly gives 95 % or more of the best that a survey without scatter
    finds.

    Args:
        name: of the world.
        campaign: a campaign of the virtual lab.
        chemistry: what its powders do.
        seed: of all scatter.
    """

    def __init__(
        self, name: str, campaign: CampaignConfig, chemistry: Chemistry, seed: int
    ) -> None:
        synthesis = synthesis_of(campaign)
        assert synthesis is not None
        self.name, self.space, self.synthesis = name, space_of(campaign), synthesis
        self._seed = seed
        self._target = campaign.target.formula
        self._powders = {item.name: item.substances for item in campaign.precursor_sets}
        used = {name for names in self._powders.values() for name in names}
        self._chemistry = chemistry.of_powders(tuple(sorted(used)))
        self._phases = phases_of(self._chemistry, self._target)
        self._formulas = {
            item.phase: parse_formula(item.formula).reduced for item in self._chemistry.species
        }

    @property
    def survey(self) -> Landscape:
        """Yields without scatter on a grid over the search space; of any seed the same."""
        if self.name not in _SURVEYS:
            heat = next(item for item in self.space.numeric if item.name == TEMPERATURE)
            dwell = next(item for item in self.space.numeric if item.name == DWELL)
            grid = np.linspace(0.0, 1.0, SURVEY)
            _SURVEYS[self.name] = survey(
                self._chemistry,
                self._target,
                list(self._powders.values()),
                [heat.from_unit(float(u)) for u in grid],
                [dwell.from_unit(float(u)) for u in grid],
            )
        return _SURVEYS[self.name]

    def true_yield(self, settings: Mapping[str, Value]) -> float:
        """Of an experiment without any scatter."""
        product = self._product(settings)
        return sum(product.fraction(phase) for phase in self._phases)

    def answer(self, settings: Mapping[str, Value]) -> Answer:
        """See `World`; the same settings twice are the same experiment."""
        purpose = tuple(f"{name}={value}" for name, value in sorted(settings.items()))
        seen = self._product(settings, self._seed, *purpose).seen(self._seed, *purpose)
        found: dict[str, float] = {}
        for phase, share in seen.items():
            formula = self._formulas[phase]
            found[formula] = found.get(formula, 0.0) + share
        objective = sum(seen.get(phase, 0.0) for phase in self._phases)
        best = self.survey.best[0]
        return Answer(
            objective,
            FRACTION_SD,
            tuple(SeenPhase(formula, share) for formula, share in sorted(found.items())),
            self.true_yield(settings) >= NEAR * best,
        )

    def _product(
        self, settings: Mapping[str, Value], seed: int | None = None, *purpose: str
    ) -> Product:
        powders = self._powders[str(settings[PRECURSORS])]
        firing = Firing.hold(float(settings[TEMPERATURE]), float(settings[DWELL]))
        doses = doses_mg(self._chemistry, self._target, powders)
        return synthesise(self._chemistry, doses, firing, seed, *purpose)
