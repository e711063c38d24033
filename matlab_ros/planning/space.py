"""A search space: its dimensions, its table where it is finite, and its features for a model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from matlab_ros.model.campaign_config import (
    CampaignConfig,
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    PrecursorSetConfig,
)
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    Dimension,
    IntegerDimension,
    NumericDimension,
)
from matlab_ros.planning.settings import Settings, Value

Array = npt.NDArray[np.float64]
Key = tuple[Value, ...]

MAX_TABLE = 4096
"""Finite spaces up to this size are searched as a whole."""


@dataclass(frozen=True)
class CategoryBlock:
    """Where a categorical dimension's features stand, and what they say.

    Attributes:
        start: first column.
        stop: column after the last.
        described: the columns are descriptors; otherwise they are one per choice.
    """

    start: int
    stop: int
    described: bool


@dataclass(frozen=True)
class SearchSpace:
    """What an experiment may be set to.

    Attributes:
        dimensions: at least one, with unique names.

    Raises:
        PlanningError: no dimension, or a name twice.
    """

    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise PlanningError("The search space has no parameter; expected at least one.")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise PlanningError(f"Parameter {twice[0]!r} stands twice; expected unique names.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in their order."""
        return tuple(dimension.name for dimension in self.dimensions)

    @cached_property
    def numeric(self) -> tuple[NumericDimension, ...]:
        """The dimensions that are numbers; their coordinates are a point's first features."""
        return tuple(item for item in self.dimensions if not isinstance(item, CategoricalDimension))

    @cached_property
    def categorical(self) -> tuple[CategoricalDimension, ...]:
        """The dimensions that are choices."""
        return tuple(item for item in self.dimensions if isinstance(item, CategoricalDimension))

    @cached_property
    def size(self) -> int | None:
        """How many different settings there are, None where there is no end of them."""
        counts = [dimension.count() for dimension in self.dimensions]
        known = [count for count in counts if count is not None]
        return math.prod(known) if len(known) == len(counts) else None

    @cached_property
    def table(self) -> tuple[Settings, ...] | None:
        """All settings of a finite space of at most `MAX_TABLE`, None of any other."""
        if self.size is None or self.size > MAX_TABLE:
            return None
        values: list[tuple[Value, ...]] = [dimension.values() for dimension in self.dimensions]
        return tuple(
            Settings(dict(zip(self.names, row, strict=True))) for row in itertools.product(*values)
        )

    def check(self, settings: Mapping[str, Value]) -> None:
        """Refuse settings that this space does not contain.

        Raises:
            PlanningError: a parameter is missing, unknown, or outside of its bounds.
        """
        self._check_names(settings)
        for dimension in self.dimensions:
            dimension.check(settings[dimension.name])

    def check_measured(self, settings: Mapping[str, Value]) -> None:
        """Refuse measured settings that the model could not use; bounds do not matter.

        Raises:
            PlanningError: a parameter is missing or unknown, or has no finite value or known
                choice.
        """
        self._check_names(settings)
        for dimension in self.dimensions:
            dimension.to_unit(settings[dimension.name])

    def key(self, settings: Mapping[str, Value]) -> Key:
        """What makes two settings the same experiment: numbers rounded, choices as they are."""
        parts: list[Value] = []
        for dimension in self.dimensions:
            value = settings[dimension.name]
            if isinstance(dimension, CategoricalDimension):
                parts.append(str(value))
            else:
                # Nine digits: two settings that no instrument can tell apart are one experiment.
                parts.append(float(f"{dimension.rounded(float(value)):.9g}"))
        return tuple(parts)

    def from_unit(self, point: Sequence[float] | Array) -> Settings:
        """Settings at a point of the unit cube, one coordinate per dimension in their order."""
        return Settings(
            {
                dimension.name: dimension.from_unit(float(u))
                for dimension, u in zip(self.dimensions, point, strict=True)
            }
        )

    @cached_property
    def blocks(self) -> tuple[CategoryBlock, ...]:
        """Where the features of each categorical dimension stand, after the numeric ones."""
        start = len(self.numeric)
        blocks = []
        for dimension in self.categorical:
            stop = start + _category_rows(dimension).shape[1]
            blocks.append(CategoryBlock(start, stop, bool(dimension.descriptors)))
            start = stop
        return tuple(blocks)

    @property
    def width(self) -> int:
        """Number of a point's features."""
        return self.blocks[-1].stop if self.blocks else len(self.numeric)

    def features(self, settings: Iterable[Mapping[str, Value]]) -> Array:
        """What a model sees of settings.

        Returns:
            ``n x width``: the numeric coordinates in the unit cube, then for every categorical
            dimension its descriptors scaled to [0, 1], or one column per choice.
        """
        rows = [
            np.concatenate(
                [
                    np.array([item.to_unit(one[item.name]) for item in self.numeric]),
                    self.category_features([str(one[item.name]) for item in self.categorical]),
                ]
            )
            for one in settings
        ]
        return np.stack(rows) if rows else np.zeros((0, self.width))

    def category_features(self, choices: Sequence[str]) -> Array:
        """Features of one choice of every categorical dimension, in the dimensions' order."""
        parts = [
            _category_rows(dimension)[dimension.index(choice)]
            for dimension, choice in zip(self.categorical, choices, strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _check_names(self, settings: Mapping[str, Value]) -> None:
        for name in self.names:
            if name not in settings:
                raise PlanningError(f"Parameter {name!r} is missing; expected a value for it.")
        for name in settings:
            if name not in self.names:
                raise PlanningError(
                    f"Parameter {name!r} is not in the search space; "
                    f"expected {', '.join(self.names)}."
                )


def _category_rows(dimension: CategoricalDimension) -> Array:
    """Features of every choice, ``choices x columns``; columns that never change are left out."""
    if not dimension.descriptors:
        return np.eye(len(dimension.choices)) if len(dimension.choices) > 1 else np.zeros((1, 0))
    rows = np.asarray(dimension.descriptors, dtype=np.float64)
    low, high = rows.min(axis=0), rows.max(axis=0)
    vary = high > low
    return np.asarray((rows[:, vary] - low[vary]) / (high[vary] - low[vary]), dtype=np.float64)


def space_of(config: CampaignConfig) -> SearchSpace:
    """The search space of a campaign's file.

    The choices of a parameter named ``precursors`` are described by the substances in them, so
    that what is learned of one set is learned of all that share a powder with it.

    Raises:
        PlanningError: the parameters contradict themselves.
    """
    dimensions: list[Dimension] = []
    for parameter in config.parameters:
        if isinstance(parameter, ContinuousParameter):
            dimensions.append(
                ContinuousDimension(
                    parameter.name,
                    parameter.low,
                    parameter.high,
                    parameter.scale == "log",
                    parameter.step,
                )
            )
        elif isinstance(parameter, IntegerParameter):
            dimensions.append(IntegerDimension(parameter.name, parameter.low, parameter.high))
        else:
            dimensions.append(_categorical(parameter, config.precursor_sets))
    return SearchSpace(tuple(dimensions))


def _categorical(
    parameter: CategoricalParameter, sets: tuple[PrecursorSetConfig, ...]
) -> CategoricalDimension:
    contents = {item.name: item.substances for item in sets}
    if parameter.name != "precursors" or not all(item in contents for item in parameter.choices):
        return CategoricalDimension(parameter.name, parameter.choices)
    rows = substance_descriptors([contents[choice] for choice in parameter.choices])
    return CategoricalDimension(parameter.name, parameter.choices, rows)


def substance_descriptors(sets: Sequence[Sequence[str]]) -> tuple[tuple[float, ...], ...]:
    """Which substances each set contains: 1 or 0 for every substance, in alphabetical order.

    Returns:
        One row per set; empty where two different sets contain the same substances, because
        then the substances do not tell the sets apart.
    """
    if len({frozenset(item) for item in sets}) != len(sets):
        return ()
    substances = sorted({substance for item in sets for substance in item})
    return tuple(tuple(float(name in item) for name in substances) for item in sets)
