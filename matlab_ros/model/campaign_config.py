"""A campaign as its file describes it: objective, search space, budget, planner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from matlab_ros.model.yaml_file import Strict, load_yaml

ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ContinuousParameter(Strict):
    """A number between two bounds."""

    name: ParameterName
    kind: Literal["continuous"]
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    step: float = Field(default=0.0, ge=0)
    """Values are rounded to multiples of this above `low`; 0: not rounded."""

    @model_validator(mode="after")
    def _bounds(self) -> ContinuousParameter:
        if not self.low < self.high:
            raise ValueError(
                f"low {self.low:g} is not below high {self.high:g}; expected low < high"
            )
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low {self.low:g} has no logarithm; expected low > 0")
        return self


class IntegerParameter(Strict):
    """A whole number between two bounds, both included."""

    name: ParameterName
    kind: Literal["integer"]
    low: int
    high: int

    @model_validator(mode="after")
    def _bounds(self) -> IntegerParameter:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}; expected low < high")
        return self


class CategoricalParameter(Strict):
    """One of several choices without an order."""

    name: ParameterName
    kind: Literal["categorical"]
    choices: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _different(self) -> CategoricalParameter:
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("a choice stands twice; expected different choices")
        return self


Parameter = Annotated[
    ContinuousParameter | IntegerParameter | CategoricalParameter, Field(discriminator="kind")
]


class PrecursorSetConfig(Strict):
    """Powders that together make the target; their shares follow from the target's formula."""

    name: str = Field(min_length=1)
    substances: tuple[str, ...] = Field(min_length=1)


class TargetConfig(Strict):
    """What the campaign tries to make."""

    formula: str = Field(min_length=1)
    phase: str = Field(min_length=1)
    """Name of its structure in the library."""


class PlannerConfig(Strict):
    """Who proposes the experiments."""

    method: Literal["bayesian", "random", "sobol"] = "bayesian"
    initial_experiments: int = Field(default=6, ge=1)
    batch_size: int = Field(default=2, ge=1)


class BudgetConfig(Strict):
    """How much may be done."""

    experiments: int = Field(ge=1)
    max_in_flight: int = Field(default=4, ge=1)


class CampaignConfig(Strict):
    """One campaign."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    seed: int = 0
    target: TargetConfig
    direction: Literal["maximize", "minimize"] = "maximize"
    sample_mass_mg: float = Field(gt=0)
    recipe: str = Field(min_length=1)
    precursor_sets: tuple[PrecursorSetConfig, ...] = ()
    parameters: tuple[Parameter, ...] = Field(min_length=1)
    budget: BudgetConfig
    planner: PlannerConfig = PlannerConfig()
    lab: str = "virtual_lab"
    """Name of the lab's file in config/labs."""

    @model_validator(mode="after")
    def _names(self) -> CampaignConfig:
        for what, names in (
            ("parameter", [parameter.name for parameter in self.parameters]),
            ("precursor set", [item.name for item in self.precursor_sets]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} {twice[0]!r} stands twice; expected unique names")
        for parameter in self.parameters:
            if parameter.name != "precursors":
                continue
            if not isinstance(parameter, CategoricalParameter):
                raise ValueError("parameter 'precursors' is a number; expected kind: categorical")
            known = {item.name for item in self.precursor_sets}
            missing = [choice for choice in parameter.choices if choice not in known]
            if missing:
                raise ValueError(
                    f"precursors choice {missing[0]!r} is not described; "
                    f"expected one of the precursor_sets: {', '.join(sorted(known))}"
                )
        return self

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, if there is one."""
        return next((item for item in self.parameters if item.name == name), None)


def load_campaign(path: Path) -> CampaignConfig:
    """Read a campaign's file.

    Raises:
        ConfigError: it cannot be read or contradicts itself.
    """
    return load_yaml(path, CampaignConfig)
