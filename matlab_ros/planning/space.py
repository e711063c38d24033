"""A search space: its dimensions, its table where it is finite, and its features for a model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from matlab_ros.model.errors import PlanningError
from matlab_ros.model.expressions import Surroundings, holds, parse
from matlab_ros.planning.constraints import TOLERANCE, Constraint, NumpyOperations, Rows
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    Dimension,
    NumericDimension,
)
from matlab_ros.planning.mixture import Mixture, check_shares, shares_at
from matlab_ros.planning.region import ABSENT, Region
from matlab_ros.planning.settings import Settings, Value
from matlab_ros.planning.space_checks import check_conditions, check_constraints, check_mixtures

Array = npt.NDArray[np.float64]
Key = tuple[Value, ...]

MAX_TABLE = 4096
"""Finite spaces up to this size are searched as a whole."""

MAX_PRODUCT = 65536
"""Combinations of values that are gone through to find those that obey the constraints."""


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
        constraints: conditions that every suggestion obeys.
        mixtures: continuous dimensions whose values add up to a total.
        candidates: the settings to choose from, where they are listed; empty: all that the
            dimensions allow.

    Raises:
        PlanningError: no dimension, a name twice, or something that leaves no setting.
    """

    dimensions: tuple[Dimension, ...]
    constraints: tuple[Constraint, ...] = ()
    mixtures: tuple[Mixture, ...] = ()
    candidates: tuple[Settings, ...] = ()

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise PlanningError("The search space has no parameter; expected at least one.")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise PlanningError(f"Parameter {twice[0]!r} stands twice; expected unique names.")
        check_conditions(self.dimensions)
        check_constraints(self.dimensions, self.constraints)
        check_mixtures(self.dimensions, self.mixtures)
        if self.candidates:
            self._check_candidates()
        elif self.constraints:
            # Says in words when nothing is left.
            self.region.check_room()

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
    def is_plain(self) -> bool:
        """Whether every combination of the dimensions' values is a setting."""
        return not (self.constraints or self.mixtures or self.candidates or self.has_conditions)

    @cached_property
    def has_conditions(self) -> bool:
        """Whether some parameter exists only for some choices."""
        return any(item.when for item in self.dimensions)

    @cached_property
    def region(self) -> Region:
        """The same space for many settings at once, as arrays."""
        return Region(self)

    @cached_property
    def size(self) -> int | None:
        """How many different settings there are, None where there is no end of them."""
        if not self.is_plain:
            return None if self._enumerated is None else len(self._enumerated)
        counts = [dimension.count() for dimension in self.dimensions]
        known = [count for count in counts if count is not None]
        return math.prod(known) if len(known) == len(counts) else None

    @cached_property
    def table(self) -> tuple[Settings, ...] | None:
        """All settings of a finite space of at most `MAX_TABLE`, None of any other.

        Listed candidates are a table however many they are.
        """
        if self.candidates:
            return self._enumerated
        if self.size is None or self.size > MAX_TABLE:
            return None
        return self._enumerated

    @cached_property
    def _enumerated(self) -> tuple[Settings, ...] | None:
        """Every setting, None where they are too many to go through."""
        if self.candidates:
            return tuple(row for row in self.candidates if self.contains(row))
        counts = [dimension.count() for dimension in self.dimensions]
        if None in counts or math.prod(count or 1 for count in counts) > MAX_PRODUCT:
            return None
        values: list[tuple[Value, ...]] = [dimension.values() for dimension in self.dimensions]
        rows = (dict(zip(self.names, row, strict=True)) for row in itertools.product(*values))
        if self.is_plain:
            return tuple(Settings(row) for row in rows)
        found: dict[Settings, None] = {}
        for row in rows:
            settings = Settings({name: row[name] for name in self.existing(row)})
            if settings not in found and self.contains(settings):
                found[settings] = None
        return tuple(found)

    def existing(self, settings: Mapping[str, Value]) -> tuple[str, ...]:
        """Names of the parameters that exist where the choices are these."""
        if not self.has_conditions:
            return self.names
        found: dict[str, Value] = {}
        for item in self.dimensions:
            value = settings.get(item.name)
            if item.when and not holds(parse(item.when), Surroundings(found.get, _nothing)):
                continue
            if value is not None:
                found[item.name] = value
            else:
                # Missing, which whoever asks finds out from the name.
                found[item.name] = math.nan
        return tuple(found)

    def check(self, settings: Mapping[str, Value]) -> None:
        """Refuse settings that this space does not contain.

        Raises:
            PlanningError: a parameter is missing, unknown, or outside of its bounds, or a
                constraint is violated.
        """
        self._check_names(settings)
        existing = self.existing(settings)
        for dimension in self.dimensions:
            if dimension.name in existing:
                dimension.check(settings[dimension.name])
            elif dimension.name in settings:
                raise PlanningError(
                    f"Parameter {dimension.name!r} does not exist with these choices; "
                    f"expected no value unless {dimension.when}."
                )
        for mixture in self.mixtures:
            check_shares(mixture, settings)
        for constraint, over in self._violations(settings):
            if over > TOLERANCE:
                raise PlanningError(f"The settings violate the constraint {constraint.text!r}.")
        if self.candidates and self.key(settings) not in self._candidate_keys:
            raise PlanningError("The settings are none of the candidates.")

    def contains(self, settings: Mapping[str, Value]) -> bool:
        """Whether settings may be suggested."""
        try:
            self.check(settings)
        except PlanningError:
            return False
        return True

    def check_measured(self, settings: Mapping[str, Value]) -> None:
        """Refuse measured settings that the model could not use; bounds do not matter.

        Raises:
            PlanningError: a parameter is missing or unknown, or has no finite value or known
                choice.
        """
        self._check_names(settings)
        existing = self.existing(settings)
        for dimension in self.dimensions:
            if dimension.name in existing:
                dimension.to_unit(settings[dimension.name])

    def key(self, settings: Mapping[str, Value]) -> Key:
        """What makes two settings the same experiment: numbers rounded, choices as they are."""
        parts: list[Value] = []
        for dimension in self.dimensions:
            value = settings.get(dimension.name)
            if value is None:
                parts.append("")
            elif isinstance(dimension, CategoricalDimension):
                parts.append(str(value))
            else:
                # Nine digits: two settings that no instrument can tell apart are one experiment.
                parts.append(float(f"{dimension.rounded(float(value)):.9g}"))
        return tuple(parts)

    def from_unit(self, point: Sequence[float] | Array) -> Settings:
        """Settings at a point of the unit cube, one coordinate per dimension in their order.

        They obey mixtures and conditions, not always the constraints (`repair`, `sample`). Where
        candidates are listed, the nearest one to the point.
        """
        values: dict[str, Value] = {
            dimension.name: dimension.from_unit(float(u))
            for dimension, u in zip(self.dimensions, point, strict=True)
        }
        if self.candidates:
            return self._nearest_candidate(values)
        if self.is_plain:
            return Settings(values)
        units = dict(zip(self.names, point, strict=True))
        for mixture in self.mixtures:
            values.update(shares_at(mixture, self.dimensions, units))
        return Settings({name: values[name] for name in self.existing(values)})

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Settings, ...]:
        """Settings by chance, each of which obeys everything; they may repeat themselves.

        Evenly distributed over cells (choices, and which components are present) and within each.

        Raises:
            PlanningError: none was found.
        """
        if self.candidates:
            table = self.table or ()
            return tuple(table[index] for index in rng.integers(len(table), size=count))
        if self.is_plain:
            return tuple(self.from_unit(row) for row in rng.random((count, len(self.dimensions))))
        return self.region.settings(*self.region.sample(count, rng))

    def repair(self, settings: Mapping[str, Value]) -> Settings | None:
        """The same settings, or near ones with the same choices that obey everything.

        Returns:
            None where none were found.
        """
        if self.contains(settings):
            return settings if isinstance(settings, Settings) else Settings(settings)
        if self.candidates:
            return self._nearest_candidate(settings)
        numbers, cells = self.region.arrays([settings])
        numbers, good = self.region.brought_in(self.region.encode(numbers, cells), cells)
        found = self.region.settings(numbers, cells)[0]
        return found if good[0] and self.contains(found) else None

    @cached_property
    def blocks(self) -> tuple[CategoryBlock, ...]:
        """Where the features of each categorical dimension stand, after the numeric ones."""
        start = len(self.numeric)
        blocks = []
        for dimension, rows in zip(self.categorical, self.category_rows, strict=True):
            stop = start + rows.shape[1]
            blocks.append(CategoryBlock(start, stop, bool(dimension.descriptors)))
            start = stop
        return tuple(blocks)

    @cached_property
    def category_rows(self) -> tuple[Array, ...]:
        """Features of each choice, ``choices x columns`` for every categorical dimension."""
        return tuple(_category_rows(dimension) for dimension in self.categorical)

    @property
    def width(self) -> int:
        """Number of a point's features."""
        return self.blocks[-1].stop if self.blocks else len(self.numeric)

    def features(self, settings: Iterable[Mapping[str, Value]]) -> Array:
        """What a model sees of settings.

        Returns:
            ``n x width``: the numeric coordinates in the unit cube, then for every categorical
            dimension its descriptors scaled to [0, 1], or one column per choice. A number that
            does not exist in a setting is in the middle, a choice that does not has zeros.
        """
        found = [self._features(one) for one in settings]
        return np.stack(found) if found else np.zeros((0, self.width))

    def _features(self, one: Mapping[str, Value]) -> Array:
        existing = self.existing(one)
        parts = [
            np.array(
                [
                    item.to_unit(one[item.name]) if item.name in existing else ABSENT
                    for item in self.numeric
                ]
            )
        ]
        for item, rows in zip(self.categorical, self.category_rows, strict=True):
            is_there = item.name in existing
            parts.append(rows[item.index(one[item.name])] if is_there else np.zeros(rows.shape[1]))
        return np.concatenate(parts)

    def category_features(self, choices: Sequence[str]) -> Array:
        """Features of one choice of every categorical dimension, in the dimensions' order."""
        parts = [
            rows[dimension.index(choice)]
            for dimension, rows, choice in zip(
                self.categorical, self.category_rows, choices, strict=True
            )
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    @cached_property
    def _candidate_keys(self) -> frozenset[Key]:
        return frozenset(self.key(row) for row in self.candidates)

    @cached_property
    def _table_features(self) -> Array:
        return self.features(self.table or ())

    def _nearest_candidate(self, values: Mapping[str, Value]) -> Settings:
        assert self.table, "candidates were checked"
        existing = {name: values[name] for name in self.existing(values)}
        distances = np.linalg.norm(self._table_features - self._features(existing), axis=1)
        return self.table[int(np.argmin(distances))]

    def _violations(self, settings: Mapping[str, Value]) -> list[tuple[Constraint, float]]:
        if not self.constraints:
            return []
        existing = self.existing(settings)
        numbers = {
            item.name: np.array([settings[item.name] if item.name in existing else item.low])
            for item in self.numeric
        }
        words = {
            item.name: np.array([str(settings[item.name]) if item.name in existing else ""])
            for item in self.categorical
        }
        exists = {name: np.array([name in existing]) for name in self.names}
        rows = Rows(1, numbers, exists, words, NumpyOperations())
        return [
            (item, float(np.max(item.violations(rows, self.region.ranges))))
            for item in self.constraints
        ]

    def _check_candidates(self) -> None:
        for number, row in enumerate(self.candidates, start=1):
            try:
                self._check_names(row)
                for dimension in self.dimensions:
                    if dimension.name in self.existing(row):
                        dimension.check(row[dimension.name])
            except PlanningError as error:
                raise PlanningError(f"Candidate {number}: {error}") from error
        if len(self._candidate_keys) < len(self.candidates):
            raise PlanningError("A candidate stands twice; expected different ones.")
        if not self.table:
            raise PlanningError("None of the candidates obeys the constraints.")

    def _check_names(self, settings: Mapping[str, Value]) -> None:
        for name in self.existing(settings):
            if name not in settings:
                raise PlanningError(f"Parameter {name!r} is missing; expected a value for it.")
        for name in settings:
            if name not in self.names:
                raise PlanningError(
                    f"Parameter {name!r} is not in the search space; "
                    f"expected {', '.join(self.names)}."
                )


def _nothing(_: object) -> None:
    return None


def _category_rows(dimension: CategoricalDimension) -> Array:
    """Features of every choice, ``choices x columns``; columns that never change are left out."""
    if not dimension.descriptors:
        return np.eye(len(dimension.choices)) if len(dimension.choices) > 1 else np.zeros((1, 0))
    rows = np.asarray(dimension.descriptors, dtype=np.float64)
    low, high = rows.min(axis=0), rows.max(axis=0)
    vary = high > low
    return np.asarray((rows[:, vary] - low[vary]) / (high[vary] - low[vary]), dtype=np.float64)
