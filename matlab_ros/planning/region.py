"""The part of a search space that obeys its constraints: many settings at once, as arrays.

Settings are grouped by cell: one choice of every categorical parameter, and of every mixture which
components are present. Inside a cell only numbers are left, and they are points of a box: shares of
mixtures by `matlab_ros.planning.mixture`, the others by their unit coordinates. Whatever stands in
the box is a setting; constraints are met by rejection, and where they leave little room by
Gauss-Newton steps towards them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.cells import (
    Array,
    Cells,
    Mask,
    best_support,
    columns_of,
    levels_of,
    nearest,
    replaced,
    support_of,
)
from matlab_ros.planning.constraint_steps import towards, walk
from matlab_ros.planning.constraints import (
    BROKEN,
    TOLERANCE,
    Constraint,
    NumpyOperations,
    Operations,
    Rows,
)
from matlab_ros.planning.dimensions import ContinuousDimension, IntegerDimension
from matlab_ros.planning.mixture import broken_stick, even_pieces, stepped, unbroken
from matlab_ros.planning.settings import Settings, Value

if TYPE_CHECKING:
    from matlab_ros.planning.space import SearchSpace


MAX_CELLS = 2048
"""Cells that are listed; of more, random ones are looked at."""

ABSENT = 0.5
"""Unit coordinate, as models see it, of a number that does not exist in a setting."""

MAX_MOVES = 64
"""Cells beside one that are looked at."""

REDRAWS = 8
"""Times a point that violates a constraint is drawn anew before it is moved instead."""

TRIES_PER_CELL = (4, 16, 64)
"""Points that are moved towards the constraints before a cell counts as empty."""

_NUMPY = NumpyOperations()


class Region:
    """Arrays for a search space.

    Args:
        space: whose names, bounds, conditions and constraints are known to be sound.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        numeric = space.numeric
        self.count = len(numeric)
        self.names = tuple(item.name for item in numeric)
        self.lows = np.array([float(item.low) for item in numeric])
        self.highs = np.array([float(item.high) for item in numeric])
        self.log = np.array(
            [not isinstance(item, IntegerDimension) and item.log for item in numeric], dtype=bool
        )
        self._steps = [levels_of(item) for item in numeric]
        self.is_stepped = np.array([item is not None for item in self._steps], dtype=bool)
        columns = {name: index for index, name in enumerate(self.names)}
        self._mixed = [np.array([columns[x] for x in item.components]) for item in space.mixtures]
        self.in_mixture = frozenset(int(index) for part in self._mixed for index in part)
        self._plain = [index for index in range(self.count) if index not in self.in_mixture]
        self._supports = [self._bounds_of(number) for number in range(len(space.mixtures))]
        self.ranges = {
            name: (float(low), float(high))
            for name, low, high in zip(self.names, self.lows, self.highs, strict=True)
        }
        self._has_equality = any("==" in item.text for item in space.constraints)

    def _bounds_of(self, number: int) -> list[tuple[Array, Array]]:
        """Bounds of the shares for each way in which a mixture's components are present."""
        mixture = self.space.mixtures[number]
        dimensions = {item.name: item for item in self.space.dimensions}
        found = []
        for present in mixture.supports(dimensions):
            lows, highs = mixture.bounds(dimensions, present)
            found.append((np.array(lows), np.array(highs)))
        return found

    # --- cells ------------------------------------------------------------------------------------

    def cells_of(self, choices: npt.NDArray[np.int64], supports: npt.NDArray[np.int64]) -> Cells:
        """Cells of choices, ``n x categorical``, and of presences of the mixtures' components."""
        count = len(choices)
        choices = choices.copy()
        exists = np.ones((count, self.count), dtype=bool)
        known: dict[str, Mask] = {}
        column, number = 0, 0
        for item in self.space.dimensions:
            here = np.ones(count, dtype=bool)
            if item.when:
                here = self._holds(item.when, choices, known)
            known[item.name] = here
            if item in self.space.categorical:
                choices[~here, column] = -1
                column += 1
            else:
                exists[:, number] = here
                number += 1
        lows = np.tile(self.lows, (count, 1))
        highs = np.tile(self.highs, (count, 1))
        for index, columns in enumerate(self._mixed):
            table = self._supports[index]
            lows[:, columns] = np.array([low for low, _ in table])[supports[:, index]]
            highs[:, columns] = np.array([high for _, high in table])[supports[:, index]]
        return Cells(choices, lows, highs, exists)

    def _holds(self, when: str, choices: npt.NDArray[np.int64], known: Mapping[str, Mask]) -> Mask:
        condition = Constraint(when)
        rows = Rows(len(choices), {}, {}, self._words(choices), _NUMPY)
        holds = np.max(condition.violations(rows, {}), axis=0) < BROKEN / 2
        for name in condition.names:
            holds &= known[name]
        return np.asarray(holds)

    def _words(self, choices: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.str_]]:
        # The last of the words, which -1 finds, stands for a parameter that does not exist.
        return {
            item.name: np.array([*item.choices, ""])[choices[:, column]]
            for column, item in enumerate(self.space.categorical)
        }

    @cached_property
    def cells(self) -> Cells | None:
        """All cells in which some setting obeys the constraints; None: there are too many.

        Raises:
            PlanningError: there is none.
        """
        counts = [item.count() for item in self.space.categorical]
        ways = [len(item) for item in self._supports]
        if math.prod(counts) * math.prod(ways) > MAX_CELLS:
            return None
        rows = list(itertools.product(*map(range, [*counts, *ways])))
        both = np.array(rows, dtype=np.int64).reshape(len(rows), len(counts) + len(ways))
        found = self.cells_of(both[:, : len(counts)], both[:, len(counts) :])
        keep = np.unique(np.hstack([found.choices, found.highs]), axis=0, return_index=True)[1]
        found = found.take(np.sort(keep))
        if self.space.constraints:
            found = found.take(self._with_room(found))
        return found

    def _with_room(self, cells: Cells) -> Mask:
        """Those in which a point that obeys every constraint is found; one is kept for each."""
        rng = np.random.default_rng(0)
        has_room = np.zeros(len(cells), dtype=bool)
        anchors = np.zeros((len(cells), self.count))
        worst = np.full(len(cells), np.inf)
        for tries in TRIES_PER_CELL:
            rows = np.repeat(np.flatnonzero(~has_room), tries)
            if not len(rows):
                break
            some = cells.take(rows)
            points, numbers = towards(self, rng.random((len(rows), self.count)), some)
            over = self.worst(numbers, some)
            good = over <= TOLERANCE
            has_room[rows[good]] = True
            anchors[rows[good]] = points[good]
            np.minimum.at(worst, rows, over)
        if not has_room.any():
            raise self._empty(cells.take([int(np.argmin(worst))]))
        self._anchors = anchors[has_room]
        return has_room

    def check_room(self) -> None:
        """See that something obeys the constraints.

        Raises:
            PlanningError: nothing was found that does.
        """
        if self.cells is None:
            self.sample(1, np.random.default_rng(0))

    def _empty(self, cells: Cells) -> PlanningError:
        points = np.random.default_rng(0).random((64, self.count))
        many = cells.take(np.zeros(64, dtype=int))
        _, numbers = towards(self, points, many)
        each = [self._of_constraint(item, numbers, many) for item in self.space.constraints]
        best = int(np.argmin(np.max(each, axis=0)))
        guilty = self.space.constraints[int(np.argmax([item[best] for item in each]))]
        return PlanningError(
            f"The search space is empty: no setting was found that obeys {guilty.text!r} together "
            "with the bounds and the other constraints; expected constraints that leave some."
        )

    def draw(self, count: int, rng: np.random.Generator) -> Cells:
        """Cells by chance, each as likely as the others."""
        if self.cells is not None:
            return self.cells.take(rng.integers(len(self.cells), size=count))
        choices = [rng.integers(item.count(), size=count) for item in self.space.categorical]
        ways = [rng.integers(len(item), size=count) for item in self._supports]
        return self.cells_of(columns_of(choices, count), columns_of(ways, count))

    def next_to(self, cell: Cells) -> Cells:
        """Cells that differ from one in one choice, or in one component of a mixture.

        What then begins to exist follows from the others; combinations without room are left out
        where cells are listed.
        """
        choices = np.maximum(cell.choices, 0)
        ways = [
            np.array([support_of(cell.highs[:, columns][0], table)])
            for columns, table in zip(self._mixed, self._supports, strict=True)
        ]
        rows, supports = [], []
        own = columns_of(ways, 1)[0]
        for column, item in enumerate(self.space.categorical):
            for other in range(item.count()):
                if other != cell.choices[0, column]:
                    row = choices[0].copy()
                    row[column] = other
                    rows.append(row)
                    supports.append(own)
        for number, table in enumerate(self._supports):
            here = table[own[number]][1] > 0
            for other, (_, highs) in enumerate(table):
                if other != own[number] and np.sum((highs > 0) != here) <= 2:
                    changed = own.copy()
                    changed[number] = other
                    rows.append(choices[0])
                    supports.append(changed)
        if not rows:
            return cell.take(np.zeros(0, dtype=int))
        rows, supports = rows[:MAX_MOVES], supports[:MAX_MOVES]
        return self.cells_of(np.stack(rows), np.stack(supports))

    def steps_from(self, numbers: Array, cell: Cells) -> Array:
        """Numbers one step of a stepped one up or down from one, ``m x numeric``."""
        found = []
        for index in self._plain:
            levels = self._steps[index]
            if levels is None or not cell.exists[0, index]:
                continue
            at = int(np.argmin(np.abs(levels - numbers[0, index])))
            for other in (at - 1, at + 1):
                if 0 <= other < len(levels):
                    moved = numbers[0].copy()
                    moved[index] = levels[other]
                    found.append(moved)
        return np.stack(found) if found else np.zeros((0, self.count))

    # --- numbers ----------------------------------------------------------------------------------

    def decode(
        self, points: Any, cells: Cells, operations: Operations = _NUMPY, even: bool = False
    ) -> list[Any]:
        """Numbers at points of the box, not rounded.

        Args:
            points: ``n x numeric`` in [0, 1].
            cells: of the settings.
            operations: of the points' array type.
            even: evenly distributed points give evenly distributed mixtures; without gradient.

        Returns:
            ``n`` for each number, in its own unit; differentiable where the points are.
        """
        found: list[Any] = [None] * self.count
        for index in self._plain:
            low, high = float(self.lows[index]), float(self.highs[index])
            if self.log[index]:
                found[index] = low * operations.exp(points[:, index] * math.log(high / low))
            else:
                found[index] = low + points[:, index] * (high - low)
        for mixture, columns in zip(self.space.mixtures, self._mixed, strict=True):
            lows, highs = cells.lows[:, columns], cells.highs[:, columns]
            pieces = points[:, columns]
            if even:
                pieces = even_pieces(pieces, highs > 0)
            parts = [pieces[:, number] for number in range(len(columns))]
            shares = broken_stick(parts, lows, highs, mixture.total, operations)
            for column, share in zip(columns, shares, strict=True):
                found[int(column)] = share
        return found

    def encode(self, numbers: Array, cells: Cells) -> Array:
        """Points of the box whose `decode` gives numbers, both ``n x numeric``."""
        points = self._coordinates(numbers)
        for mixture, columns in zip(self.space.mixtures, self._mixed, strict=True):
            points[:, columns] = unbroken(
                numbers[:, columns], cells.lows[:, columns], cells.highs[:, columns], mixture.total
            )
        return np.where(cells.exists, np.clip(points, 0.0, 1.0), 0.5)

    def _coordinates(self, numbers: Array) -> Array:
        """Unit coordinates of numbers in their own units."""
        columns = []
        for index in range(self.count):
            low, high = float(self.lows[index]), float(self.highs[index])
            number = numbers[:, index]
            if self.log[index]:
                columns.append(np.log(number / low) / math.log(high / low))
            else:
                columns.append((number - low) / (high - low))
        return np.asarray(columns_of(columns, len(numbers), np.float64))

    def rounded(self, numbers: Array, cells: Cells) -> Array:
        """Numbers as they may be suggested: in steps, whole, or one of those listed."""
        found = numbers.copy()
        for index in self._plain:
            levels = self._steps[index]
            if levels is not None:
                found[:, index] = nearest(levels, found[:, index], bool(self.log[index]))
        for mixture, columns in zip(self.space.mixtures, self._mixed, strict=True):
            first = self.space.numeric[int(columns[0])]
            if isinstance(first, ContinuousDimension) and first.step > 0:
                found[:, columns] = stepped(
                    found[:, columns],
                    cells.lows[:, columns],
                    cells.highs[:, columns],
                    mixture.total,
                    first.step,
                )
        return found

    def numbers(self, points: Array, cells: Cells) -> Array:
        """Rounded numbers at points of the box, ``n x numeric`` both."""
        return self.rounded(columns_of(self.decode(points, cells), len(points), np.float64), cells)

    def _drawn(self, points: Array, cells: Cells) -> Array:
        """Numbers of evenly distributed points, such that each step is equally likely."""
        found = self.decode(points, cells, even=True)
        for index in self._plain:
            levels = self._steps[index]
            if levels is not None:
                chosen = np.minimum((points[:, index] * len(levels)).astype(int), len(levels) - 1)
                found[index] = levels[chosen]
        return self.rounded(columns_of(found, len(points), np.float64), cells)

    # --- constraints ------------------------------------------------------------------------------

    def violations(
        self, numbers: Sequence[Any], cells: Cells, operations: Operations = _NUMPY
    ) -> list[Any]:
        """How far settings are from obeying the constraints: ``n`` for each part of them.

        Args:
            numbers: ``n`` for each number.
            cells: of the settings.
            operations: of the numbers' array type.
        """
        if not self.space.constraints:
            return []
        rows = self._rows(numbers, cells, operations)
        parts = [item.violations(rows, self.ranges) for item in self.space.constraints]
        return [part for item in parts for part in item]

    def _rows(self, numbers: Sequence[Any], cells: Cells, operations: Operations) -> Rows:
        exists: dict[str, Mask] = {}
        for index, item in enumerate(self.space.numeric):
            if item.when:
                exists[item.name] = cells.exists[:, index]
        for column, dimension in enumerate(self.space.categorical):
            if dimension.when:
                exists[dimension.name] = cells.choices[:, column] >= 0
        named = dict(zip(self.names, numbers, strict=True))
        return Rows(len(cells), named, exists, self._words(cells.choices), operations)

    def _of_constraint(self, constraint: Constraint, numbers: Array, cells: Cells) -> Array:
        rows = self._rows(list(numbers.T), cells, _NUMPY)
        return np.asarray(np.max(constraint.violations(rows, self.ranges), axis=0))

    def worst(self, numbers: Array, cells: Cells) -> Array:
        """The largest violation of each setting, 0 where it obeys everything."""
        found = self.violations(list(numbers.T), cells)
        return np.max(found, axis=0) if found else np.zeros(len(cells))

    # --- settings ---------------------------------------------------------------------------------

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Cells]:
        """Settings by chance that obey everything: numbers, ``n x numeric``, and cells.

        Raises:
            PlanningError: none was found.
        """
        cells = self.draw(count, rng)
        points = rng.random((count, self.count))
        numbers = self._drawn(points, cells)
        bad = self.worst(numbers, cells) > TOLERANCE
        for _ in range(REDRAWS):
            if not bad.any():
                return numbers, cells
            rows = np.flatnonzero(bad)
            if self.cells is None:
                cells = replaced(cells, rows, self.draw(len(rows), rng))
            points[rows] = rng.random((len(rows), self.count))
            numbers[rows] = self._drawn(points[rows], cells.take(rows))
            bad[rows] = self.worst(numbers[rows], cells.take(rows)) > TOLERANCE
        rows = np.flatnonzero(bad)
        if not len(rows):
            return numbers, cells
        some = cells.take(rows)
        moved, numbers[rows] = towards(self, self._pieces(points[rows], some), some)
        good = self.worst(numbers[rows], some) <= TOLERANCE
        if self.cells is not None and not good.all():
            # One that is known to be good, in a cell that may be another.
            lost = np.flatnonzero(~good)
            which = rng.integers(len(self.cells), size=len(lost))
            cells = replaced(cells, rows[lost], self.cells.take(which))
            some = cells.take(rows)
            moved[lost] = self._anchors[which]
            numbers[rows[lost]] = self.numbers(moved[lost], some.take(lost))
            good[:] = True
        if good.any() and not self._has_equality:
            walked = walk(self, moved[good], some.take(good), rng)
            numbers[rows[good]] = self.numbers(walked, some.take(good))
        bad[rows] = ~good
        if bad.all():
            raise self._empty(cells.take([0]))
        # Where nothing was found, one of the others stands in.
        source = np.flatnonzero(~bad)
        order = np.arange(count)
        order[bad] = rng.choice(source, size=int(bad.sum()))
        return numbers[order], cells.take(order)

    def _pieces(self, points: Array, cells: Cells) -> Array:
        """Points of the box from evenly distributed ones, as `decode` understands them."""
        found = points.copy()
        for columns in self._mixed:
            found[:, columns] = even_pieces(points[:, columns], cells.highs[:, columns] > 0)
        return found

    def near(
        self, numbers: Array, cells: Cells, spread: float, rng: np.random.Generator
    ) -> tuple[Array, Cells]:
        """Settings about `spread` of the box away that obey everything; others are left out."""
        points = self.encode(numbers, cells)
        moved = np.clip(points + spread * rng.standard_normal(points.shape), 0.0, 1.0)
        found = self.numbers(moved, cells)
        bad = self.worst(found, cells) > TOLERANCE
        if bad.any():
            found[bad] = towards(self, moved[bad], cells.take(bad))[1]
        good = self.worst(found, cells) <= TOLERANCE
        return found[good], cells.take(good)

    def brought_in(
        self, points: Array, cells: Cells, free: Mask | None = None
    ) -> tuple[Array, Mask]:
        """Numbers of points of the box moved to the constraints, and which of them obey them."""
        _, numbers = towards(self, points, cells, free)
        return numbers, self.worst(numbers, cells) <= TOLERANCE

    def settings(self, numbers: Array, cells: Cells) -> tuple[Settings, ...]:
        """Settings of numbers, ``n x numeric``, and cells."""
        found = []
        for row in range(len(cells)):
            values: dict[str, Value] = {}
            for index, item in enumerate(self.space.numeric):
                if cells.exists[row, index]:
                    values[item.name] = item.rounded(float(numbers[row, index]))
            for column, dimension in enumerate(self.space.categorical):
                if cells.choices[row, column] >= 0:
                    values[dimension.name] = dimension.choices[cells.choices[row, column]]
            found.append(Settings(values))
        return tuple(found)

    def arrays(self, settings: Iterable[Mapping[str, Value]]) -> tuple[Array, Cells]:
        """Numbers and cells of settings, which need not obey anything; what is missing is 0."""
        rows = list(settings)
        choices = [
            np.array([item.choices.index(str(row.get(item.name, item.choices[0]))) for row in rows])
            for item in self.space.categorical
        ]
        numbers = np.array(
            [[float(row.get(item.name, item.low)) for item in self.space.numeric] for row in rows]
        ).reshape(len(rows), self.count)
        ways = [
            best_support(numbers[:, columns], table)
            for columns, table in zip(self._mixed, self._supports, strict=True)
        ]
        cells = self.cells_of(columns_of(choices, len(rows)), columns_of(ways, len(rows)))
        return numbers, cells

    def features(self, numbers: Array, cells: Cells) -> Array:
        """What a model sees: see `SearchSpace.features`."""
        units = np.where(cells.exists, self._coordinates(numbers), ABSENT)
        return np.hstack([units, self.category_features(cells)])

    def category_features(self, cells: Cells) -> Array:
        """Features of the choices, ``n x columns``; 0 where a parameter does not exist."""
        parts = [
            np.vstack([rows, np.zeros((1, rows.shape[1]))])[cells.choices[:, column]]
            for column, rows in enumerate(self.space.category_rows)
        ]
        return np.hstack(parts) if parts else np.zeros((len(cells), 0))
