"""A world made of recorded experiments: whoever asks gets what was once measured.

Any table of real experiments will do: a file of config/recorded says which columns were chosen and
which was measured (docs/worlds.md). Rows of the same recipe are replicates.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import ConfigError, DataError
from matlab_ros.share import config_file
from matlab_ros.virtual.recorded_file import (
    InputConfig,
    RecordedConfig,
    Row,
    load_recorded_file,
)
from matlab_ros.virtual.seeds import generator

Value = float | str
Key = tuple[float | str | tuple[str, ...], ...]

PRECURSORS = "precursors"
"""The parameter whose choices are names of precursor sets in a campaign."""


@dataclass(frozen=True)
class RecordedOutcome:
    """What one recorded experiment gave.

    Attributes:
        objective: its value.
        sigma: its standard uncertainty; NaN where the table says nothing about it.
        pure: whether it is one of those looked for; of syntheses, the pure products.
        phases: weight fractions, where the table has them.
    """

    objective: float
    sigma: float
    pure: bool
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedWorld:
    """Recorded experiments by recipe.

    Attributes:
        config: how the table is read.
        outcomes: by the recipe's values, in the order of the inputs.
        contents: the substances behind every choice of a parameter whose column holds sets.
    """

    config: RecordedConfig
    outcomes: Mapping[Key, RecordedOutcome]
    contents: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many recipes there are to choose from."""
        return len(self.outcomes)

    @property
    def pure_count(self) -> int:
        """How many of them are looked for."""
        return sum(outcome.pure for outcome in self.outcomes.values())

    @property
    def recipes(self) -> tuple[dict[str, Value], ...]:
        """All recipes as settings, in the table's order; sets are written with plus signs."""
        names = [item.name for item in self.config.inputs]
        return tuple(
            {name: _as_setting(value) for name, value in zip(names, key, strict=True)}
            for key in self.outcomes
        )

    def outcome(self, settings: Mapping[str, Value]) -> RecordedOutcome:
        """What the experiment of these settings gave.

        Args:
            settings: with a value for every input; others do not matter here.

        Raises:
            DataError: it was never done, or a value is missing.
        """
        key = tuple(self._part(item, settings) for item in self.config.inputs)
        try:
            return self.outcomes[key]
        except KeyError:
            raise DataError(
                self.config.table, f"{self._words(key)} was never recorded", self._nearest(key)
            ) from None

    def _part(
        self, item: InputConfig, settings: Mapping[str, Value]
    ) -> float | str | tuple[str, ...]:
        if item.name not in settings:
            raise DataError(
                self.config.table,
                f"an experiment without {item.name!r} cannot be looked up",
                f"set {', '.join(each.name for each in self.config.inputs)}",
            )
        value = settings[item.name]
        if item.kind == "set":
            parts = self.contents.get(str(value))
            return tuple(sorted(parts if parts is not None else _parts(str(value), "+")))
        return _rounded(float(value)) if item.kind == "number" else str(value)

    def _nearest(self, key: Key) -> str:
        """The recorded recipe that differs in fewest inputs, and there least."""

        def distance(other: Key) -> tuple[int, float]:
            apart = [(a, b) for a, b in zip(key, other, strict=True) if a != b]
            return len(apart), sum(
                abs(a - b) / (abs(a) + abs(b))
                for a, b in apart
                if isinstance(a, float) and isinstance(b, float)
            )

        near = min(self.outcomes, key=distance)
        return f"the nearest recipe is {self._words(near)}"

    def _words(self, key: Key) -> str:
        names = [item.name for item in self.config.inputs]
        return ", ".join(f"{name} {_said(part)}" for name, part in zip(names, key, strict=True))


def load_recorded(
    folder: Path, config: CampaignConfig, source: str | Path, seed: int | None = None
) -> RecordedWorld:
    """The recorded experiments that a campaign can ask for.

    The table is described by the file of config/recorded with the campaign's name.

    Args:
        folder: holds the table.
        config: of the campaign.
        source: the campaign's file, for messages.
        seed: draws replicates, where they are drawn; None: the campaign's.

    Raises:
        DataError: the table is missing or is not what it claims to be.
        ConfigError: the campaign asks for what was never recorded.
    """
    description = config_file("recorded", config.name)
    if not description.is_file():
        known = sorted(path.stem for path in description.parent.glob("*.yaml"))
        raise ConfigError(
            source,
            "name",
            f"no table is described for {config.name!r}",
            f"a campaign called {', '.join(known)}, or a file in config/recorded for this one",
        )
    world = read_world(
        load_recorded_file(description), folder, config.seed if seed is None else seed
    )
    return _for_campaign(world, config, source)


def read_world(config: RecordedConfig, folder: Path, seed: int = 0) -> RecordedWorld:
    """Read a table.

    Args:
        config: how.
        folder: where it is.
        seed: draws replicates, where they are drawn.

    Raises:
        DataError: the table is missing or is not what it claims to be.
    """
    path = folder / config.table
    groups: dict[Key, list[Row]] = {}
    for row in _rows(path, config):
        key = tuple(row.recipe[item.name] for item in config.inputs)
        groups.setdefault(key, []).append(row)
    if config.replicates == "refuse":
        for rows in groups.values():
            if len(rows) > 1:
                raise DataError(
                    path,
                    f"line {rows[1].line} repeats the recipe of line {rows[0].line}",
                    "say replicates: mean or draw in the table's description",
                )
    means = {key: float(np.mean([row.objective for row in rows])) for key, rows in groups.items()}
    sought = _sought(config, means)
    return RecordedWorld(
        config,
        {key: _outcome(config, key, rows, key in sought, seed) for key, rows in groups.items()},
    )


def _outcome(
    config: RecordedConfig, key: Key, rows: Sequence[Row], is_sought: bool, seed: int
) -> RecordedOutcome:
    values = np.array([row.objective for row in rows])
    scatter = float(values.std(ddof=1)) if len(rows) > 1 else math.nan
    given = np.array([row.sigma for row in rows])
    if config.replicates == "draw":
        chosen = rows[int(generator(seed, config.name, *map(str, key)).integers(len(rows)))]
        sigma = chosen.sigma if math.isfinite(chosen.sigma) else scatter
        return RecordedOutcome(chosen.objective, sigma, is_sought, chosen.phases)
    count = len(rows)
    if np.isfinite(given).all():
        sigma = float(np.sqrt((given**2).sum())) / count
    else:
        sigma = scatter / math.sqrt(count)
    phases = {name: float(np.mean([row.phases[name] for row in rows])) for name in config.phases}
    return RecordedOutcome(float(values.mean()), sigma, is_sought, phases)


def _sought(config: RecordedConfig, means: Mapping[Key, float]) -> frozenset[Key]:
    sign = 1.0 if config.result.direction == "maximize" else -1.0
    if config.sought.value is not None:
        limit = config.sought.value
        return frozenset(key for key, mean in means.items() if sign * (mean - limit) >= 0)
    assert config.sought.best_share is not None
    count = math.ceil(config.sought.best_share * len(means))
    return frozenset(sorted(means, key=lambda key: -sign * means[key])[:count])


def _rows(path: Path, config: RecordedConfig) -> list[Row]:
    columns = tuple(dict.fromkeys(config.columns))
    remedy = f"expected a table with the columns {', '.join(columns)}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                has = ", ".join(reader.fieldnames or ()) or "none"
                raise DataError(path, f"has no column {missing[0]!r} (it has {has})", remedy)
            rows = [_row(path, reader.line_num, record, config) for record in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, "cannot be read", remedy) from error
    if not rows:
        raise DataError(path, "holds no experiment", remedy)
    return rows


def _row(path: Path, line: int, record: Mapping[str, str | None], config: RecordedConfig) -> Row:
    def text(column: str) -> str:
        found = (record.get(column) or "").strip()
        if not found:
            raise DataError(
                path, f"line {line} has nothing in column {column!r}", "fill it or remove the line"
            )
        return found

    def number(column: str) -> float:
        found = text(column)
        try:
            value = float(found)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(
                path,
                f"line {line} has {found!r} in column {column!r}",
                "a number is expected there",
            )
        return value

    recipe: dict[str, float | str | tuple[str, ...]] = {}
    for item in config.inputs:
        if item.kind == "number":
            recipe[item.name] = _rounded(number(item.column))
        elif item.kind == "set":
            recipe[item.name] = tuple(sorted(_parts(text(item.column), ",")))
        else:
            recipe[item.name] = text(item.column)
    result = config.result
    value = result.factor * number(result.column)
    sigma = math.nan
    if result.sigma_column:
        sigma = result.factor * number(result.sigma_column)
    elif result.interval_columns is not None:
        low, high = (result.factor * number(name) for name in result.interval_columns)
        if not low <= value <= high:
            raise DataError(
                path, f"line {line} has a value outside of its interval", "put the ends in order"
            )
        # Without a preferred value: the standard deviation of an even distribution.
        sigma = (high - low) / math.sqrt(12) if high > low else math.nan
    if (result.low is not None and value < result.low) or (
        result.high is not None and value > result.high
    ):
        raise DataError(
            path,
            f"line {line} is out of range: {value:g} {result.unit}".rstrip(),
            f"the objective lies between {result.low} and {result.high}",
        )
    phases = {name: result.factor * number(column) for name, column in config.phases.items()}
    return Row(line, recipe, value, sigma, phases)


def _for_campaign(
    world: RecordedWorld, campaign: CampaignConfig, source: str | Path
) -> RecordedWorld:
    """The part of a world that a campaign can ask for, by the campaign's names of sets."""
    contents = {item.name: frozenset(item.substances) for item in campaign.precursor_sets}
    axes: list[tuple[float | str | tuple[str, ...], ...]] = []
    for item in world.config.inputs:
        values = _values(campaign, item, contents, source)
        axis = tuple(dict.fromkeys(values))
        recorded = {key[len(axes)] for key in world.outcomes}
        for value in axis:
            if value not in recorded:
                raise ConfigError(
                    source,
                    "precursor_sets" if item.kind == "set" else f"parameters.{item.name}",
                    f"{_said(value)} was never recorded",
                    f"one of {_some(recorded)}{f' {item.unit}' if item.unit else ''}",
                )
        axes.append(axis)
    known = {
        key: outcome
        for key, outcome in world.outcomes.items()
        if all(part in axis for part, axis in zip(key, axes, strict=True))
    }
    if len(known) != math.prod(len(axis) for axis in axes):
        missing = _first_missing(axes, known)
        words = ", ".join(_said(part) for part in missing)
        raise ConfigError(
            source,
            "parameters",
            f"{words} was never recorded together",
            "parameters whose every combination is in the table",
        )
    return RecordedWorld(world.config, known, contents)


def _values(
    campaign: CampaignConfig,
    item: InputConfig,
    contents: Mapping[str, frozenset[str]],
    source: str | Path,
) -> list[float | str | tuple[str, ...]]:
    """All values of an input that a campaign can ask for."""
    parameter = campaign.parameter(item.name)
    choices = getattr(parameter, "choices", None)
    if item.kind == "set" and choices is not None and item.name == PRECURSORS:
        return [tuple(sorted(contents[choice])) for choice in choices]
    if item.kind == "choice" and choices is not None:
        return list(choices)
    if item.kind == "number" and parameter is not None and choices is None:
        listed = getattr(parameter, "values", None)
        if listed is not None:
            return [_rounded(float(value)) for value in listed]
        low, high, step = (float(getattr(parameter, key, 1.0)) for key in ("low", "high", "step"))
        if step > 0:
            count = math.floor((high - low) / step + 1e-9) + 1
            return [_rounded(low + index * step) for index in range(count)]
        raise ConfigError(
            source,
            "parameters",
            f"{item.name!r} has no steps",
            "a step, as the recorded values have",
        )
    words = {"number": "a number with a step", "choice": "categorical", "set": "categorical"}
    problem = f"{item.name!r} is of another kind" if parameter else f"there is no {item.name!r}"
    raise ConfigError(source, "parameters", problem, f"a parameter that is {words[item.kind]}")


def _first_missing(
    axes: Sequence[Sequence[float | str | tuple[str, ...]]], known: Mapping[Key, object]
) -> Key:
    found: list[Key] = [()]
    for axis in axes:
        found = [(*key, value) for key in found for value in axis]
    return next(key for key in found if key not in known)


def _parts(text: str, separator: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(separator))


def _rounded(value: float) -> float:
    """Equal numbers are equal whatever sums they came from."""
    return float(f"{value:.10g}")


def _as_setting(value: float | str | tuple[str, ...]) -> Value:
    return " + ".join(value) if isinstance(value, tuple) else value


def _said(value: float | str | tuple[str, ...]) -> str:
    return f"{value:g}" if isinstance(value, float) else str(_as_setting(value))


def _some(values: set[float | str | tuple[str, ...]], most: int = 8) -> str:
    words = [_said(value) for value in sorted(values, key=lambda v: (isinstance(v, str), v))]
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest
