"""The live view of a campaign on the command line: what is done, what is best, who does what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from matlab_ros.monitor.wording import DASH, duration, percent, settings_line

_BARS = "▁▂▃▄▅▆▇█"
_HISTORY = 40


class StationMood(str, Enum):
    """How a station is doing."""

    IDLE = "idle"
    WORKING = "working"
    FAULTED = "faulted"
    MISSING = "missing"


_STYLES = {
    StationMood.IDLE: "dim",
    StationMood.WORKING: "green",
    StationMood.FAULTED: "bold red",
    StationMood.MISSING: "bold red",
}


@dataclass(frozen=True)
class StationView:
    """One row of the table of stations.

    Attributes:
        name: of the device.
        mood: how it is doing.
        doing: what it is doing, a few words; empty when idle.
        experiment: id of the experiment it serves; empty when none or several.
        progress: of its attempt, 0 to 1; None where unknown.
    """

    name: str
    mood: StationMood
    doing: str = ""
    experiment: str = ""
    progress: float | None = None


@dataclass(frozen=True)
class ProgressSnapshot:
    """A campaign at one moment.

    Attributes:
        campaign: its name.
        target: what it tries to make.
        budget: experiments that may be done.
        succeeded: experiments that ended with a result.
        failed: experiments that ended without one.
        in_flight: experiments begun and not ended.
        objectives: measured values, 0 to 1, in the order of their arrival.
        best_objective: None before the first.
        best_sigma: its standard uncertainty.
        best_settings: of the best experiment.
        stations: in the order to be shown.
        open_faults: that wait for a decision.
        lab_s: ROS time since the start.
        wall_s: time on the wall's clock since the start.
        wall_left_s: expected until the end; None where nobody can tell.
        notice: a sentence under the table; empty for none.
    """

    campaign: str
    target: str
    budget: int
    succeeded: int = 0
    failed: int = 0
    in_flight: int = 0
    objectives: tuple[float, ...] = ()
    best_objective: float | None = None
    best_sigma: float | None = None
    best_settings: Mapping[str, float | str] = field(default_factory=dict)
    stations: tuple[StationView, ...] = ()
    open_faults: int = 0
    lab_s: float = 0.0
    wall_s: float = 0.0
    wall_left_s: float | None = None
    notice: str = ""


def time_left(done: int, in_flight: int, budget: int, elapsed_s: float) -> float | None:
    """Seconds that the rest of a budget takes at the pace so far.

    An experiment in flight counts as half done. None before the first one is done: the time that
    the first takes says little about those that run beside each other.
    """
    if done == 0:
        return None
    equivalent = done + 0.5 * in_flight
    return max(budget - equivalent, 0.0) * elapsed_s / equivalent


def render(snapshot: ProgressSnapshot) -> RenderableType:
    """What the terminal shows of a campaign at one moment."""
    parts: list[RenderableType] = [_experiments(snapshot), _best(snapshot), Text("")]
    parts.append(_stations(snapshot))
    if snapshot.open_faults:
        word = "fault waits" if snapshot.open_faults == 1 else "faults wait"
        parts.append(Text(f"{snapshot.open_faults} {word} for a decision", style="bold red"))
    if snapshot.notice:
        parts.append(Text(snapshot.notice, style="yellow"))
    return Panel(
        Group(*parts),
        title=f"[bold]{escape(snapshot.campaign)}[/] · {escape(snapshot.target)}",
        title_align="left",
        border_style="blue",
    )


def _experiments(snapshot: ProgressSnapshot) -> RenderableType:
    done = snapshot.succeeded + snapshot.failed
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True)
    counts = f"{done}/{snapshot.budget} experiments, {snapshot.in_flight} in flight"
    if snapshot.failed:
        counts += f", [red]{snapshot.failed} failed[/]"
    bar = ProgressBar(total=max(snapshot.budget, 1), completed=done)
    grid.add_row(counts, bar, f"time left {duration(snapshot.wall_left_s)}")
    return grid


def _best(snapshot: ProgressSnapshot) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    value = percent(snapshot.best_objective, snapshot.best_sigma)
    recipe = settings_line(snapshot.best_settings)
    grid.add_row("best so far", Text(value, style="bold green") + Text(f"  {recipe}", style=""))
    grid.add_row("yields", Text(sparkline(snapshot.objectives[-_HISTORY:]), style="cyan"))
    grid.add_row("time", f"{duration(snapshot.lab_s)} in the lab, {duration(snapshot.wall_s)} here")
    return grid


def _stations(snapshot: ProgressSnapshot) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    table.add_column("station", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("doing", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("experiment", no_wrap=True)
    table.add_column("", width=16)
    for station in snapshot.stations:
        style = _STYLES[station.mood]
        progress: RenderableType = ""
        known = station.progress is not None and math.isfinite(station.progress)
        if station.mood is StationMood.WORKING and known:
            progress = ProgressBar(total=1.0, completed=station.progress or 0.0, width=16)
        table.add_row(
            escape(station.name),
            Text(station.mood.value, style=style),
            Text(station.doing or DASH, style="" if station.doing else "dim"),
            escape(station.experiment),
            progress,
        )
    return table


def sparkline(values: tuple[float, ...]) -> str:
    """Values from 0 to 1 as a row of little bars; a blank where there is no value."""
    return "".join(
        _BARS[min(int(min(max(value, 0.0), 1.0) * len(_BARS)), len(_BARS) - 1)]
        if math.isfinite(value)
        else " "
        for value in values
    )
