"""The files by which NIMO talks with robots and algorithms: candidates.csv, proposals.csv, signals.

NIMO (NIMS-OS) keeps every experiment that could be done as a row of candidates.csv: numbers that
describe it, then its objectives, empty until they are measured. An algorithm writes the rows to do
next to proposals.csv: their numbers, from 0, in the column ``actions``, then what describes them.
Its standard robot is told to start by a file inputend.txt, writes results.csv with the objectives
in the order of the proposals, and says by a file outputend.txt that they are there. Nothing here
needs the package nimo.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matlab_ros.model.errors import DataError, PlanningError
from matlab_ros.planning.dimensions import DiscreteDimension
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

START = "inputend.txt"
"""Put into the robot's folder when proposals are there."""

DONE = "outputend.txt"
"""Put there by the robot when the results are."""

RESULTS = "results.csv"
"""A line of objectives for each proposal."""

ACTIONS = "actions"
"""Heading of the rows' numbers in proposals.csv."""


@dataclass(frozen=True)
class Candidates:
    """Everything that could be done, and what was measured of it.

    Attributes:
        names: of the numbers that describe a candidate.
        objectives: names of what is measured.
        rows: one tuple of numbers for each candidate.
        values: its objectives; NaN where not measured.

    Raises:
        PlanningError: no number describes them, or a name stands twice.
    """

    names: tuple[str, ...]
    objectives: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not self.names or not self.objectives:
            raise PlanningError(
                "The candidates have no column that describes them, or no objective; expected at "
                "least one of each."
            )
        both = (*self.names, *self.objectives)
        twice = sorted({name for name in both if both.count(name) > 1})
        if twice:
            raise PlanningError(f"Column {twice[0]!r} stands twice; expected unique names.")

    def is_measured(self, action: int) -> bool:
        """Whether NIMO takes a row as measured: its last objective has a value."""
        return not math.isnan(self.values[action][-1])

    def with_values(self, found: Mapping[int, Sequence[float]]) -> Candidates:
        """The same with objectives of some rows."""
        values = list(self.values)
        for action, value in found.items():
            values[action] = tuple(float(item) for item in value)
        return Candidates(self.names, self.objectives, self.rows, tuple(values))


@dataclass(frozen=True)
class Proposed:
    """One row of proposals.csv.

    Attributes:
        action: number of the candidate, from 0.
        numbers: what describes it, by name.
    """

    action: int
    numbers: Mapping[str, float]


def read_candidates(path: Path, objectives: int = 1) -> Candidates:
    """Read candidates.csv.

    Args:
        path: of the file.
        objectives: how many of the last columns are objectives.

    Raises:
        DataError: it cannot be read as such.
    """
    head, *lines = _lines(path)
    if len(head) <= objectives:
        raise DataError(
            path,
            f"has {len(head)} columns",
            f"expected columns that describe a candidate, then {objectives} objective(s)",
        )
    split = len(head) - objectives
    rows, values = [], []
    for number, line in enumerate(lines, start=2):
        if len(line) != len(head):
            raise DataError(
                path,
                f"line {number} has {len(line)} columns",
                f"expected {len(head)} as in the first line",
            )
        rows.append(tuple(_number(path, number, text) for text in line[:split]))
        values.append(
            tuple(_number(path, number, text, may_be_empty=True) for text in line[split:])
        )
    if not rows:
        raise DataError(path, "holds no candidate", "expected at least one line of numbers")
    return Candidates(tuple(head[:split]), tuple(head[split:]), tuple(rows), tuple(values))


def write_candidates(path: Path, candidates: Candidates) -> None:
    """Write candidates.csv."""
    lines: list[list[str]] = [[*candidates.names, *candidates.objectives]]
    for row, values in zip(candidates.rows, candidates.values, strict=True):
        lines.append(
            [*map(repr, row), *("" if math.isnan(item) else repr(item) for item in values)]
        )
    _write(path, lines)


def read_proposals(path: Path) -> tuple[Proposed, ...]:
    """Read proposals.csv.

    Raises:
        DataError: it cannot be read as such.
    """
    head, *lines = _lines(path)
    if not head or head[0] != ACTIONS:
        raise DataError(path, "does not begin with actions", "expected NIMO's proposals.csv")
    found = []
    for number, line in enumerate(lines, start=2):
        values = [_number(path, number, text) for text in line]
        if len(values) != len(head) or values[0] != round(values[0]) or values[0] < 0:
            raise DataError(path, f"line {number} is no proposal", "expected a row and its numbers")
        found.append(Proposed(round(values[0]), dict(zip(head[1:], values[1:], strict=True))))
    return tuple(found)


def write_proposals(path: Path, candidates: Candidates, actions: Sequence[int]) -> None:
    """Write proposals.csv."""
    lines = [[ACTIONS, *candidates.names]]
    lines += [[str(action), *map(repr, candidates.rows[action])] for action in actions]
    _write(path, lines)


def write_results(folder: Path, values: Sequence[Sequence[float]]) -> None:
    """Write results.csv, in the order of the proposals, and say that it is there."""
    lines = [["" if math.isnan(item) else repr(float(item)) for item in row] for row in values]
    _write(folder / RESULTS, lines)
    (folder / DONE).touch()


def candidates_of(space: SearchSpace, objective: str = "objective") -> Candidates:
    """A finite space as NIMO's candidates; a choice is its number, from 0.

    Raises:
        PlanningError: the space is not finite.
    """
    if space.table is None:
        raise PlanningError(
            "NIMO chooses from a list, and this search space has no end; give each number a step, "
            "or list candidates."
        )
    rows = tuple(numbers_of(space, row) for row in space.table)
    return Candidates(space.names, (objective,), rows, ((math.nan,),) * len(rows))


def numbers_of(space: SearchSpace, settings: Settings) -> tuple[float, ...]:
    """Settings as NIMO's numbers: a choice is its number, from 0, and -1 what does not exist."""
    found = []
    for dimension in space.dimensions:
        value = settings.get(dimension.name)
        if value is None:
            found.append(-1.0)
        elif isinstance(value, str):
            found.append(float(dimension.values().index(value)))
        else:
            found.append(value)
    return tuple(found)


def settings_of(space: SearchSpace, proposed: Proposed) -> Settings:
    """The settings that a proposal means.

    Raises:
        PlanningError: it has no such parameters, or the space does not contain them.
    """
    values: dict[str, float | str] = {}
    for dimension in space.dimensions:
        if dimension.name not in proposed.numbers:
            raise PlanningError(
                f"The proposals have no column {dimension.name!r}; expected one for each of "
                f"{', '.join(space.names)}."
            )
        number = proposed.numbers[dimension.name]
        choices = dimension.values() if dimension.count() is not None else ()
        if choices and isinstance(choices[0], str):
            if number != round(number) or not -1 <= number < len(choices):
                raise PlanningError(
                    f"Action {proposed.action} has the choice {number:g} of {dimension.name!r}; "
                    f"expected 0 to {len(choices) - 1}."
                )
            values[dimension.name] = choices[round(number)]
        else:
            values[dimension.name] = number
    existing = space.existing(values)
    settings = Settings({name: values[name] for name in existing})
    space.check(settings)
    return settings


def space_of_candidates(candidates: Candidates) -> tuple[SearchSpace, tuple[Settings, ...]]:
    """The search space of a file of candidates, its rows and nothing else, and each row's settings.

    What all candidates have in common is left out.

    Raises:
        PlanningError: all candidates are equal.
    """
    columns = {
        name: column
        for name, column in zip(candidates.names, zip(*candidates.rows, strict=True), strict=True)
        if len(set(column)) > 1
    }
    if not columns:
        raise PlanningError("All candidates are equal; expected at least two different ones.")
    rows = tuple(
        Settings(dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    )
    dimensions = tuple(DiscreteDimension(name, tuple(set(each))) for name, each in columns.items())
    return SearchSpace(dimensions, candidates=tuple(dict.fromkeys(rows))), rows


def _lines(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(item.strip() for item in line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, f"cannot be read ({error})", "expected a CSV file") from error
    if not lines:
        raise DataError(path, "is empty", "expected a line of names, then numbers")
    return lines


def _number(path: Path, line: int, text: str, *, may_be_empty: bool = False) -> float:
    text = text.strip()
    if may_be_empty and text.lower() in ("", "nan"):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(path, f"line {line} has {text!r}", "expected a finite number")
    return value


def _write(path: Path, lines: Sequence[Sequence[str]]) -> None:
    """Write a file in one piece, so that whoever waits for it never reads half of it."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    part.replace(path)
