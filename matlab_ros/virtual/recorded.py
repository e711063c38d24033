"""A world made of recorded experiments: whoever asks gets what was once measured.

The table of YBa2Cu3O7 syntheses (Szymanski et al., Nat. Commun. 14, 6956, 2023) holds 47
precursor sets at 600, 700, 800 and 900 degrees Celsius. The objective is the weight fraction of the
target in the product. **Pure** is what the table gives as 100 wt% of the target: no other
crystalline phase was seen. These are 10 of the 188, all at 900 degrees; the next best holds 88 wt%.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matlab_ros.model.campaign_config import (
    CampaignConfig,
    CategoricalParameter,
    ContinuousParameter,
)
from matlab_ros.model.errors import ConfigError, DataError

TABLE_NAME = "ybco_188_target_yield.csv"
PURE = 1.0
"""Weight fraction from which a product counts as pure."""

_COLUMNS = ("set", "T_C", "ybco_wt_pct", "lo", "hi")


@dataclass(frozen=True)
class RecordedOutcome:
    """What one recorded experiment gave.

    Attributes:
        objective: weight fraction of the target, 0 to 1.
        sigma: its standard uncertainty; NaN where the table gives a single value without one.
        pure: whether nothing but the target was seen.
    """

    objective: float
    sigma: float
    pure: bool


@dataclass(frozen=True)
class RecordedWorld:
    """Recorded experiments by precursor set and temperature.

    Attributes:
        outcomes: by the substances of the set and the temperature in degrees Celsius.
        contents: the substances behind every choice of the parameter ``precursors``.
    """

    outcomes: Mapping[tuple[frozenset[str], float], RecordedOutcome]
    contents: Mapping[str, frozenset[str]]

    @property
    def size(self) -> int:
        """How many experiments a campaign can choose from."""
        return len(self.outcomes)

    @property
    def pure_count(self) -> int:
        """How many of them are pure."""
        return sum(outcome.pure for outcome in self.outcomes.values())

    def outcome(self, settings: Mapping[str, float | str]) -> RecordedOutcome:
        """What the experiment of these settings gave.

        Args:
            settings: with ``precursors`` and ``temperature_c``; others do not matter here.

        Raises:
            KeyError: it was never done; `load_recorded` sees to it that a campaign cannot ask.
        """
        substances = self.contents[str(settings["precursors"])]
        return self.outcomes[substances, float(settings["temperature_c"])]


def load_recorded(folder: Path, config: CampaignConfig, source: str | Path) -> RecordedWorld:
    """Read the table and keep the experiments that a campaign can ask for.

    Args:
        folder: holds `TABLE_NAME`.
        config: of the campaign.
        source: the campaign's file, for messages.

    Raises:
        DataError: the table is missing or is not what it claims to be.
        ConfigError: the campaign asks for what was never recorded.
    """
    table = read_table(folder / TABLE_NAME)
    contents = {item.name: frozenset(item.substances) for item in config.precursor_sets}
    wanted = {
        (contents[choice], temperature)
        for choice in _choices(config, source)
        for temperature in _temperatures(config, source)
    }
    for substances, temperature in sorted(wanted, key=lambda item: (sorted(item[0]), item[1])):
        if (substances, temperature) not in table:
            known = sorted({t for each, t in table if each == substances})
            if not known:
                raise ConfigError(
                    source,
                    "precursor_sets",
                    f"{' + '.join(sorted(substances))} was never recorded",
                    f"a set of {TABLE_NAME}",
                )
            raise ConfigError(
                source,
                "parameters.temperature_c",
                f"{' + '.join(sorted(substances))} at {temperature:g} C was never recorded",
                f"one of {', '.join(f'{t:g}' for t in known)} C",
            )
    return RecordedWorld({key: table[key] for key in table if key in wanted}, contents)


def read_table(path: Path) -> dict[tuple[frozenset[str], float], RecordedOutcome]:
    """Read the recorded yields.

    Args:
        path: comma-separated, with columns set (substances separated by commas), T_C, ybco_wt_pct,
            lo and hi (the same value twice where no interval is known).

    Raises:
        DataError: it cannot be read, or a row is not what it should be.
    """
    remedy = f"expected the table of recorded yields with the columns {', '.join(_COLUMNS)}"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(path, f"has no column {missing[0]!r}", remedy)
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, "cannot be read", remedy) from error
    table: dict[tuple[frozenset[str], float], RecordedOutcome] = {}
    for number, row in enumerate(rows, start=2):
        try:
            substances = frozenset(part.strip() for part in row["set"].split(","))
            temperature = float(row["T_C"])
            value, low, high = (float(row[name]) / 100 for name in ("ybco_wt_pct", "lo", "hi"))
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(path, f"line {number} holds no experiment", remedy) from error
        if not 0 <= low <= value <= high <= 1 or (substances, temperature) in table:
            raise DataError(path, f"line {number} is out of range or repeats an experiment", remedy)
        # An interval without a preferred value: the standard deviation of an even distribution.
        sigma = (high - low) / math.sqrt(12) if high > low else math.nan
        table[substances, temperature] = RecordedOutcome(value, sigma, value >= PURE)
    if not table:
        raise DataError(path, "holds no experiment", remedy)
    return table


def _choices(config: CampaignConfig, source: str | Path) -> tuple[str, ...]:
    parameter = config.parameter("precursors")
    if not isinstance(parameter, CategoricalParameter):
        raise ConfigError(
            source, "parameters", "there is no 'precursors'", "a categorical parameter of that name"
        )
    return parameter.choices


def _temperatures(config: CampaignConfig, source: str | Path) -> tuple[float, ...]:
    parameter = config.parameter("temperature_c")
    if not isinstance(parameter, ContinuousParameter) or parameter.step <= 0:
        raise ConfigError(
            source,
            "parameters",
            "'temperature_c' has no steps",
            "a continuous parameter of that name with a step, as the recorded temperatures have",
        )
    count = math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) + 1
    return tuple(parameter.low + index * parameter.step for index in range(count))
