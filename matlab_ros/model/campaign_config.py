"""A campaign as its file describes it: objective, search space, budget, planner."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.objective_config import (
    Combination,
    CostsConfig,
    FidelityConfig,
    ObjectiveConfig,
    check_objectives,
)
from matlab_ros.model.yaml_file import Strict, mapping_in, parse, read_text

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
    when: str = ""
    """Condition on choices under which the parameter exists, in the language of recipes; elsewhere
    the recipe's default holds. Empty: it always exists. Likewise for the other kinds."""

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
    when: str = ""

    @model_validator(mode="after")
    def _bounds(self) -> IntegerParameter:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}; expected low < high")
        return self


class DiscreteParameter(Strict):
    """One of several listed numbers."""

    name: ParameterName
    kind: Literal["discrete"]
    values: tuple[float, ...] = Field(min_length=2)
    scale: Literal["linear", "log"] = "linear"
    when: str = ""

    @property
    def low(self) -> float:
        """Least value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Largest value."""
        return max(self.values)

    @model_validator(mode="after")
    def _different(self) -> DiscreteParameter:
        if len(set(self.values)) != len(self.values):
            raise ValueError("a value stands twice; expected different values")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"the value {self.low:g} has no logarithm; expected values > 0")
        return self


class CategoricalParameter(Strict):
    """One of several choices without an order."""

    name: ParameterName
    kind: Literal["categorical"]
    choices: tuple[str, ...] = Field(min_length=1)
    descriptors: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Numbers that say what choices have in common, equally many for each; none: nothing."""
    when: str = ""

    @model_validator(mode="after")
    def _different(self) -> CategoricalParameter:
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("a choice stands twice; expected different choices")
        if self.descriptors and (
            set(self.descriptors) != set(self.choices)
            or len({len(row) for row in self.descriptors.values()}) != 1
        ):
            raise ValueError(
                "the descriptors do not fit the choices; expected equally many numbers for each of "
                + ", ".join(self.choices)
            )
        return self


Parameter = Annotated[
    ContinuousParameter | IntegerParameter | DiscreteParameter | CategoricalParameter,
    Field(discriminator="kind"),
]


class MixtureConfig(Strict):
    """Continuous parameters whose values add up to a total."""

    components: tuple[str, ...] = Field(min_length=2)
    total: float = Field(default=1.0, gt=0)
    most: int | None = Field(default=None, ge=1)
    """Components that may be present at once."""
    least: float = Field(default=0.0, ge=0)
    """Share of a component that is present, at least."""


class FurnaceConfig(Strict):
    """Samples that share a furnace run, and what a run is worth saving."""

    shared: tuple[str, ...] = Field(min_length=1)
    """Parameters that are equal for all samples of a run."""
    slots: int = Field(ge=1)
    """Crucibles of a run, at most."""
    run_price: float = Field(default=4.0, ge=0)
    """Of a furnace run, in units of everything else that is spent on one sample."""


class PrecursorSetConfig(Strict):
    """Powders that together make the target; their shares follow from the target's formula."""

    name: str = Field(min_length=1)
    substances: tuple[str, ...] = Field(min_length=1)
    excess_percent: dict[str, Annotated[float, Field(gt=0, le=100)]] = Field(default_factory=dict)
    """How much more of a substance is weighed than its share, as some of it evaporates."""

    @model_validator(mode="after")
    def _excess_is_of_its_own(self) -> PrecursorSetConfig:
        strange = sorted(set(self.excess_percent) - set(self.substances))
        if strange:
            raise ValueError(
                f"excess of {strange[0]!r}, which is not in the set; "
                f"expected some of {', '.join(self.substances)}"
            )
        return self


class TargetConfig(Strict):
    """What the campaign tries to make."""

    formula: str = Field(min_length=1)
    phase: str = Field(min_length=1)
    """Name of its structure in the library."""


class PlannerConfig(Strict):
    """Who proposes the experiments."""

    method: str = Field(default="bayesian", pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")
    """One of ours, an outside planner, or a plug-in by its name; docs/planners.md lists them."""
    initial_experiments: int = Field(default=6, ge=1)
    batch_size: int = Field(default=2, ge=1)
    options: dict[str, float | str] = Field(default_factory=dict)
    """Of the method; numbers and words."""


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
    mixtures: tuple[MixtureConfig, ...] = ()
    constraints: tuple[str, ...] = ()
    """Conditions that every suggestion obeys, in the language of recipes."""
    candidates: tuple[dict[str, float | str], ...] = ()
    """Settings to choose from; in a file also the name of a CSV file beside it."""
    furnace: FurnaceConfig | None = None
    objectives: tuple[ObjectiveConfig, ...] = ()
    """What is wanted of named outcomes; empty: the target's fraction, in the direction above."""
    combine: Combination = "pareto"
    """Several objectives: their Pareto front, or the product of their desirabilities."""
    costs: CostsConfig | None = None
    """What experiments cost, where the planner is to look for worth per cost."""
    fidelity: FidelityConfig | None = None
    """A parameter that says how thoroughly an experiment is done."""
    learn_from: tuple[str, ...] = ()
    """Journals of earlier campaigns, as files or URLs; simulated ones may teach real ones."""
    budget: BudgetConfig
    planner: PlannerConfig = PlannerConfig()
    lab: str = "virtual_lab"
    """Name of the lab's file in config/labs."""

    @model_validator(mode="after")
    def _is_wanted(self) -> CampaignConfig:
        check_objectives(self.objectives, self.combine)
        if self.fidelity is not None and self.parameter(self.fidelity.parameter) is None:
            raise ValueError(
                f"fidelity {self.fidelity.parameter!r} is no parameter; expected one of "
                f"{', '.join(item.name for item in self.parameters)}"
            )
        if self.fidelity is not None and self.fidelity.costs and self.costs is not None:
            raise ValueError(
                "costs and the costs of the fidelity both say what an experiment costs; "
                "expected one of them"
            )
        return self

    @model_validator(mode="after")
    def _names(self) -> CampaignConfig:
        for what, names in (
            ("parameter", [parameter.name for parameter in self.parameters]),
            ("precursor set", [item.name for item in self.precursor_sets]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} {twice[0]!r} stands twice; expected unique names")
        names = [parameter.name for parameter in self.parameters]
        shared = () if self.furnace is None else self.furnace.shared
        mentioned = [(name, "furnace.shared") for name in shared]
        mentioned += [(name, "mixtures") for item in self.mixtures for name in item.components]
        for name, where in mentioned:
            if name not in names:
                raise ValueError(
                    f"{where} names {name!r}, which is no parameter; "
                    f"expected one of {', '.join(names)}"
                )
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
    data = mapping_in(path, read_text(path))
    if isinstance(data.get("candidates"), str):
        data["candidates"] = _table(path.parent / data["candidates"], path)
    return parse(path, data, CampaignConfig)


def _table(path: Path, campaign: Path) -> list[dict[str, float | str]]:
    """Rows of a CSV file of candidates: numbers where they can be read as such, else words.

    Raises:
        ConfigError: it cannot be read, or a row is not as long as the first.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            campaign, "candidates", f"{path} cannot be read ({error})", "a CSV file beside this one"
        ) from error
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ConfigError(
                path, "", f"line {number} is not as long as the first", "one value for each name"
            )
    # An empty cell is a parameter that does not exist in that row.
    return [{name: _value(text) for name, text in row.items() if text} for row in rows]


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
