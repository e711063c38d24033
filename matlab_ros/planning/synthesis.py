"""What a campaign makes of what: the chemistry that a planner is told beside its search space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from matlab_ros.chemistry.formula import FormulaError
from matlab_ros.chemistry.outcomes import ReactionOutcome, outcome, reduced
from matlab_ros.chemistry.thermodynamics import formula_and_phase
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.observation import Observation
from matlab_ros.planning.settings import Settings, Value

PRECURSORS = "precursors"
"""Parameter that chooses what is mixed."""
TEMPERATURE = "temperature_c"
"""Parameter that says how hot it gets, in degrees Celsius."""

USUAL_TEMPERATURE_C = 1000.0
"""Taken for campaigns that do not vary it."""


@dataclass(frozen=True)
class Synthesis:
    """A target and the mixtures that may become it.

    Attributes:
        campaign: its name, which outcomes are cited by.
        target: reduced formula.
        sets: each choice of `PRECURSORS` and the reduced formulas of its powders, sorted.

    Raises:
        PlanningError: there is no set.
    """

    campaign: str
    target: str
    sets: tuple[tuple[str, tuple[str, ...]], ...]

    def __post_init__(self) -> None:
        if not self.sets:
            raise PlanningError(
                "The campaign has no precursor sets, of which chemistry could say anything; "
                "describe them under precursor_sets, or choose another planner."
            )

    @cached_property
    def by_choice(self) -> Mapping[str, tuple[str, ...]]:
        """The sets as a mapping."""
        return dict(self.sets)

    def precursors(self, settings: Mapping[str, Value]) -> tuple[str, ...]:
        """What is mixed; of a campaign without a choice, its only set."""
        if PRECURSORS in settings:
            return self.by_choice[str(settings[PRECURSORS])]
        return self.sets[0][1]

    def outcome_of(self, observation: Observation) -> ReactionOutcome | None:
        """What an observation says about reactions; None where no phases or heat are known."""
        settings = observation.settings
        if not observation.phases or TEMPERATURE not in settings:
            return None
        found = outcome(
            self.campaign,
            observation.experiment_id,
            self.precursors(settings),
            settings.number(TEMPERATURE),
            [(phase.formula, phase.weight_fraction) for phase in observation.phases],
            target=self.target,
            simulated=observation.simulated,
        )
        return found if found.phases else None


def synthesis_of(config: CampaignConfig) -> Synthesis | None:
    """The chemistry of a campaign's file, None where it names no sets of powders or one of them has
    a name that begins with no formula."""
    try:
        sets = tuple((item.name, formulas_of(item.substances)) for item in config.precursor_sets)
        return Synthesis(config.name, reduced(config.target.formula), sets) if sets else None
    except FormulaError:
        return None


def formulas_of(substances: Iterable[str]) -> tuple[str, ...]:
    """Reduced formulas of powders by their names in the stock: ``TiO2-anatase`` is TiO2.

    Raises:
        FormulaError: a name begins with no formula.
    """
    return tuple(sorted({formula_and_phase(name)[0].reduced for name in substances}))


def temperature_of(settings: Settings) -> float:
    """How hot an experiment gets, in degrees Celsius."""
    return settings.number(TEMPERATURE) if TEMPERATURE in settings else USUAL_TEMPERATURE_C
