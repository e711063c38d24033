"""What planner and lab tell each other: settings, suggestions, observations, campaign plans."""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.lab.goals import PhaseFraction
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.lab_words import ObservationKind
from matlab_ros.model.recipe import Recipe
from matlab_ros.model.scan_program import ScanProgram


@dataclass(frozen=True)
class Setting:
    """The value of one parameter: `choice` for a categorical one, `value` for the others."""

    name: str
    value: float | None = None
    choice: str = ""


@dataclass(frozen=True)
class Suggestion:
    """One experiment the planner proposes, with what its model expects (None: no model yet)."""

    experiment_id: str
    settings: tuple[Setting, ...]
    predicted_mean: float | None = None
    predicted_sigma: float | None = None
    acquisition_value: float | None = None
    method: str = ""


@dataclass(frozen=True)
class NamedOutcome:
    """Something that an experiment gave; docs/objectives.md lists the names."""

    name: str
    value: float
    sigma: float | None = None


@dataclass(frozen=True)
class Observation:
    """What an experiment taught."""

    experiment_id: str
    settings: tuple[Setting, ...]
    """As carried out: measured where a measurement exists."""
    requested: tuple[Setting, ...]
    """As suggested."""
    status: ObservationKind
    objective: float | None
    """None unless MEASURED."""
    sigma: float | None
    simulated: bool
    stamp_ns: int
    outcomes: tuple[NamedOutcome, ...] = ()
    """Everything that was measured, by name; none unless MEASURED."""
    phases: tuple[PhaseFraction, ...] = ()
    """Identified in the product; none where nobody looked."""


@dataclass(frozen=True)
class Mixture:
    """Powders that together make the target, with the share of each."""

    name: str
    substances: tuple[str, ...]
    mass_fractions: tuple[float, ...]
    """In the order of the substances; they sum to 1."""
    price_per_g: float | None = None
    """By the stock's prices; None where one is unknown."""


@dataclass(frozen=True)
class CampaignPlan:
    """A campaign that was checked against its lab, with everything worked out that it needs."""

    config: CampaignConfig
    recipe: Recipe
    mixtures: tuple[Mixture, ...]
    elements: tuple[str, ...]
    """That may be in the crucible after heating; candidates of the phase search."""
    simulated: bool
    planned: bool = True
    """Whether a planner proposes its experiments; else all of them are submitted."""
    scans: tuple[ScanProgram, ...] = ()
    """Measurement programs of the lab whose duration is known, where experiments have costs."""

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.config.name

    def mixture(self, name: str) -> Mixture:
        """The mixture of that name.

        Raises:
            KeyError: there is none.
        """
        for mixture in self.mixtures:
            if mixture.name == name:
                return mixture
        raise KeyError(name)
