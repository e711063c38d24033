"""Files that say how to read a table of real experiments: what was chosen, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from matlab_ros.model.yaml_file import Strict, load_yaml

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class InputConfig(Strict):
    """A column that somebody chose."""

    name: _Name
    """Of the parameter."""
    column: str = Field(min_length=1)
    kind: Literal["number", "choice", "set"] = "number"
    """A set is written with commas; its order does not matter."""
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"


class ResultConfig(Strict):
    """The column that was measured."""

    column: str = Field(min_length=1)
    unit: str = ""
    factor: float = Field(default=1.0, gt=0)
    """The objective is the column times this: 0.01 makes fractions of per cent."""
    direction: Literal["maximize", "minimize"] = "maximize"
    low: float | None = None
    """Least possible value of the objective; smaller ones are errors in the table."""
    high: float | None = None
    sigma_column: str = ""
    """Standard uncertainties, in the unit of the column."""
    interval_columns: tuple[str, str] | None = None
    """Ends of an interval that the value lies in, evenly; equal ends: not known."""


class SoughtConfig(Strict):
    """Which experiments are worth finding."""

    value: float | None = None
    """Of the objective: at least this good."""
    best_share: float | None = Field(default=None, gt=0, le=1)
    """This share of all recipes, the best ones, rounded up."""

    @model_validator(mode="after")
    def _one(self) -> SoughtConfig:
        if (self.value is None) == (self.best_share is None):
            raise ValueError("value and best_share are both there or both missing; expected one")
        return self


class RecordedConfig(Strict):
    """A file of config/recorded."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    table: str = Field(min_length=1)
    """Name of the comma-separated file in the folder of the data."""
    source: str = Field(min_length=1)
    """Who measured it and where it is published."""
    inputs: tuple[InputConfig, ...] = Field(min_length=1)
    result: ResultConfig
    phases: dict[str, str] = Field(default_factory=dict)
    """Column of the weight fraction of each phase, in the unit of the result's column."""
    replicates: Literal["mean", "draw", "refuse"] = "mean"
    """Rows of the same recipe: averaged, one of them drawn by the seed, or an error."""
    sought: SoughtConfig

    @model_validator(mode="after")
    def _names(self) -> RecordedConfig:
        names = [item.name for item in self.inputs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"input {twice[0]!r} stands twice; expected unique names")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the table must have."""
        result = self.result
        return (
            *(item.column for item in self.inputs),
            result.column,
            *([result.sigma_column] if result.sigma_column else []),
            *(result.interval_columns or ()),
            *self.phases.values(),
        )


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        line: its number in the file, from 1.
        recipe: values of the inputs; a set as its parts in alphabetical order.
        objective: the result times its factor.
        sigma: its standard uncertainty, NaN where unknown.
        phases: weight fractions.
    """

    line: int
    recipe: Mapping[str, float | str | tuple[str, ...]]
    objective: float
    sigma: float
    phases: Mapping[str, float]


def load_recorded_file(path: Path) -> RecordedConfig:
    """Read the description of a table.

    Raises:
        ConfigError: it cannot be read or contradicts itself.
    """
    return load_yaml(path, RecordedConfig)
