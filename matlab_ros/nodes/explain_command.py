"""``matlab-ros explain``: why a campaign asked for an experiment, and what it has learned."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from enum import Enum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from matlab_ros.monitor.wording import DASH, label, number, setting, settings_line
from matlab_ros.nodes.campaign_folder import open_journal
from matlab_ros.nodes.explained_campaign import (
    CampaignHistory,
    ExplainedExperiment,
    ExplainedModel,
    history_of,
)
from matlab_ros.planning.explain import Importance, Slice
from matlab_ros.planning.settings import Settings

BAR = 24
"""Characters of the longest bar."""

STEPS = "▁▂▃▄▅▆▇█"
DIGEST = 12
"""Characters of a hash that are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``explain``."""
    parser.add_argument(
        "campaign", help="its folder, such as results/demo, or a journal's file or URL"
    )
    parser.add_argument(
        "experiment",
        nargs="?",
        help="id of the experiment, or its end, such as e0007; without it: what the campaign as a "
        "whole has learned",
    )
    parser.add_argument("--name", help="of the campaign; default: the last one of the journal")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print an explanation."""
    journal = open_journal(options.campaign)
    try:
        history = history_of(journal.read(), options.name)
    finally:
        journal.close()
    named = None if options.experiment is None else _full_name(history, options.experiment)
    experiment = None if named is None else history.experiment(named)
    model = history.model(named)
    if options.json:
        print(json.dumps(_plain({"experiment": experiment, "model": model}), indent=1))
        return 0
    # Lines that a pipe or a file takes are not broken at the width of no terminal.
    console = Console(highlight=False, soft_wrap=True)
    if experiment is not None:
        _print_experiment(console, experiment)
    else:
        console.print(Text(f"{history.name}: {len(history.experiments)} experiments", "bold"))
    _print_model(console, model)
    return 0


def _full_name(history: CampaignHistory, given: str) -> str:
    """An experiment's id from its end, where that is one experiment's."""
    fits = [name for name in history.experiments if name.endswith(given)]
    return fits[0] if len(fits) == 1 else given


def _print_experiment(console: Console, found: ExplainedExperiment) -> None:
    console.print(Text(f"{found.experiment_id}: {found.method}", "bold"))
    table = _facts()
    table.add_row("asked for", settings_line(found.settings))
    table.add_row("expected", _expected(found))
    table.add_row("measured", _measured(found))
    if found.acquisition_value is not None:
        table.add_row("acquisition", number(found.acquisition_value))
    if found.model:
        table.add_row("model", found.model)
    waiting = ", ".join(item.experiment_id for item in found.pending)
    table.add_row("under way then", waiting or "nothing")
    agrees = "as in the journal" if found.is_data_known else "not those of the journal"
    data = f" (data {found.data_sha256[:DIGEST]}, {agrees})" if found.data_sha256 else ""
    table.add_row("known then", f"{found.observations} experiments{data}")
    if found.seed:
        settings = f", settings {found.plan_sha256[:DIGEST]}" if found.plan_sha256 else ""
        table.add_row("drawn from", f"seed {found.seed}{settings}")
    if found.software:
        table.add_row("software", found.software)
    console.print(table)
    if not found.nearest:
        return
    console.print(Text("\nNearest earlier experiments", "bold"))
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("experiment")
    table.add_column("distance", justify="right")
    table.add_column("objective", justify="right")
    table.add_column("settings")
    for item in found.nearest:
        value = number(item.objective) if math.isfinite(item.objective) else item.status.value
        recipe = settings_line(item.settings)
        table.add_row(item.experiment_id, f"{item.distance:.3f}", value, recipe)
    console.print(table)


def _print_model(console: Console, found: ExplainedModel) -> None:
    if not found.description:
        console.print(f"\nNo model yet: {found.observations} experiments are known.")
        return
    console.print(Text(f"\nWhat matters, after {found.observations} experiments", "bold"))
    table = _facts()
    for item in found.importance:
        table.add_row(label(item.name), _bar(item))
    console.print(table)
    console.print(Text(f"\nAlong each parameter, through {found.best}", "bold"))
    table = _facts()
    for line in found.slices:
        table.add_row(label(line.name), *_line(line))
    console.print(table)
    calibration = found.calibration
    console.print(Text("\nHow often it was right", "bold"))
    if not calibration.count:
        console.print("Nothing that a model expected has been measured yet.")
        return
    low, high = calibration.share_range
    verdict = "" if calibration.is_consistent else ", which is not what the level promises"
    console.print(
        f"{calibration.inside} of {calibration.count} measured values were inside the "
        f"{calibration.level:.0%} intervals (in the long run {low:.0%} to {high:.0%}{verdict}); "
        f"typical distance {calibration.rms_z:.2f} standard deviations."
    )


def _facts() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, show_edge=False)
    table.add_column(style="dim", no_wrap=True)
    return table


def _expected(found: ExplainedExperiment) -> str:
    interval = found.expected
    if interval is None:
        return f"{DASH} (no model)"
    return (
        f"{number(interval.mean)} ± {number(interval.sigma, 2)}, {interval.level:.0%} between "
        f"{number(interval.low)} and {number(interval.high)}"
    )


def _measured(found: ExplainedExperiment) -> str:
    if found.measured is None:
        return found.ended or "not yet"
    sigma = "" if found.measured_sigma is None else f" ± {number(found.measured_sigma, 2)}"
    where = {None: "", True: ", inside", False: ", outside"}[found.is_inside]
    return f"{number(found.measured)}{sigma}{where}"


def _bar(item: Importance) -> str:
    alone = round(BAR * item.alone)
    shared = round(BAR * item.total) - alone
    bar = "█" * alone + "░" * max(shared, 0)
    return f"{bar:<{BAR}} {item.total:.0%}, alone {item.alone:.0%}"


def _line(line: Slice) -> tuple[str, str]:
    """A parameter's slice as a row of blocks with its ends, and its best value."""
    means = [item.mean for item in line.intervals]
    low, high = min(means), max(means)
    scale = (len(STEPS) - 1) / (high - low) if high > low else 0.0
    blocks = [STEPS[round((mean - low) * scale)] for mean in means]
    first = line.values[0]
    range_text = f"objective {number(low)} to {number(high)}"
    if isinstance(first, str):
        parts = (f"{block} {name}" for name, block in zip(line.values, blocks, strict=True))
        return "\n".join(parts), range_text
    return f"{setting(first)} {''.join(blocks)} {setting(line.values[-1])}", range_text


def _plain(value: Any) -> Any:
    """Values for JSON, which has no NaN."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        for name in ("low", "high", "share", "is_inside"):
            if hasattr(value, name):
                fields[name] = getattr(value, name)
        return {name: _plain(item) for name, item in fields.items()}
    if isinstance(value, Settings):
        return dict(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
