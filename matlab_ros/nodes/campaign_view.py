"""What the command line shows while a campaign runs: a live picture, or plain lines."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.monitor.progress import (
    ProgressSnapshot,
    StationMood,
    StationView,
    render,
    time_left,
)
from matlab_ros.monitor.wording import duration, percent, settings_line
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.conversions import settings_from
from matlab_ros.nodes.ros_time import to_ns
from matlab_ros_interfaces.action import RunCampaign
from matlab_ros_interfaces.msg import LabState, PlannerState

REFRESH_HZ = 5.0


class CampaignView:
    """Shows one campaign in the terminal.

    Args:
        plan: the campaign.
        lab: where it runs.
        folder: of its results.
        plain: print a line for each experiment that ends, instead of a live picture.
        beginning: what is said of the start.
        console: where to; the terminal by default.
    """

    def __init__(
        self,
        plan: CampaignPlan,
        lab: LabConfig,
        folder: CampaignFolder,
        *,
        plain: bool,
        beginning: str = "",
        console: Console | None = None,
    ) -> None:
        self._plan = plan
        self._lab = lab
        self._beginning = beginning or (
            f"Starting the lab's processes; their output goes to {_short(folder.log)}"
        )
        self._console = console or Console(highlight=False)
        self._live = (
            None
            if plain
            else Live(
                console=self._console, refresh_per_second=REFRESH_HZ, get_renderable=self._picture
            )
        )
        self._began = time.monotonic()
        self._first_ns: int | None = None
        self._first_at = self._began
        self._state: LabState | None = None
        self._planner: PlannerState | None = None
        self._objectives: dict[str, float] = {}
        self._settings: dict[str, dict[str, float | str]] = {}
        self._told = 0

    def __enter__(self) -> CampaignView:
        config = self._plan.config
        self._console.print(
            f"[bold]{config.name}[/]: {config.budget.experiments} experiments for "
            f"{config.target.formula} in {self._lab.name}, seed {config.seed}. {self._beginning}",
            soft_wrap=True,
        )
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def hint(self, environment: Mapping[str, str]) -> None:
        """Say how another terminal joins this lab."""
        words = " ".join(f"{key}='{value}'" for key, value in environment.items())
        if words:
            # Never folded, so that it can be copied.
            self._console.print(
                f"[dim]From another terminal: export {words}; matlab-ros lab status[/]",
                soft_wrap=True,
            )

    def show(self, state: LabState | None, planner: PlannerState | None) -> None:
        """Take what the lab says now."""
        self._state, self._planner = state, planner
        if state is None:
            return
        if self._first_ns is None and state.campaign:
            self._first_ns, self._first_at = to_ns(state.header.stamp), time.monotonic()
        for experiment in state.experiments:
            if experiment.campaign != self._plan.name:
                continue
            self._settings[experiment.experiment_id] = settings_from(experiment.settings)
            if not math.isnan(experiment.objective):
                self._objectives[experiment.experiment_id] = experiment.objective
        done = state.experiments_succeeded + state.experiments_failed
        if self._live is None and done > self._told:
            self._told = done
            self._console.print(
                f"{done}/{self._plan.config.budget.experiments} experiments, best "
                f"{percent(_number(state.best_objective))} ({state.best_experiment_id or 'none'}), "
                f"{duration(self._snapshot().lab_s)} in the lab",
                soft_wrap=True,
            )

    def conclude(self, result: RunCampaign.Result, report: Path | None, wall_s: float) -> None:
        """Say how it ended and where the report is."""
        best = _number(result.best_objective)
        good = result.error_code == RunCampaign.Result.NONE
        self._console.print(
            f"[bold {'green' if good else 'red'}]{'Done' if good else 'Ended early'}[/]: "
            f"{result.experiments_succeeded} experiments succeeded, "
            f"{result.experiments_failed} failed, in {duration(wall_s)}.",
            soft_wrap=True,
        )
        if result.error_message:
            self._console.print(f"[red]{result.error_message}[/]", soft_wrap=True)
        if best is not None:
            self._console.print(
                f"Best: {percent(best)} {self._plan.config.target.phase} with "
                f"{settings_line(settings_from(result.best_settings))} "
                f"({result.best_experiment_id})",
                soft_wrap=True,
            )
        where = "the lab's journal is on another machine" if report is None else _short(report)
        self._console.print(f"Report: {where}", soft_wrap=True)

    def _picture(self) -> Any:
        return render(self._snapshot())

    def _snapshot(self) -> ProgressSnapshot:
        config = self._plan.config
        state = self._state
        if state is None:
            return ProgressSnapshot(
                config.name,
                config.target.formula,
                config.budget.experiments,
                wall_s=time.monotonic() - self._began,
                notice="waiting for the lab's nodes",
            )
        done = state.experiments_succeeded + state.experiments_failed
        now = time.monotonic()
        stations = tuple(_station(item) for item in state.devices)
        planner = self._planner
        if planner is not None:
            thinking = bool(planner.thinking)
            stations += (
                StationView(
                    "planner",
                    StationMood.WORKING if thinking else StationMood.IDLE,
                    f"suggesting ({planner.method or 'first'})" if thinking else "",
                ),
            )
        started_ns = self._first_ns if self._first_ns is not None else to_ns(state.header.stamp)
        return ProgressSnapshot(
            campaign=config.name,
            target=config.target.formula,
            budget=config.budget.experiments,
            succeeded=state.experiments_succeeded,
            failed=state.experiments_failed,
            in_flight=state.experiments_in_flight,
            objectives=tuple(value for _, value in sorted(self._objectives.items())),
            best_objective=_number(state.best_objective),
            best_settings=self._settings.get(state.best_experiment_id, {}),
            stations=stations,
            open_faults=state.open_faults,
            lab_s=max(0, to_ns(state.header.stamp) - started_ns) * 1e-9,
            wall_s=now - self._began,
            wall_left_s=time_left(
                done,
                state.experiments_in_flight,
                config.budget.experiments,
                now - self._first_at,
            ),
            notice="" if state.campaign else "waiting until every device is ready",
        )


def _station(device: Any) -> StationView:
    mood = StationMood.IDLE
    if not device.present:
        mood = StationMood.MISSING
    elif device.attempt_id:
        mood = StationMood.WORKING
    elif not device.ready:
        mood = StationMood.FAULTED
    return StationView(
        device.device,
        mood,
        device.step if device.attempt_id else ("not ready" if not device.ready else ""),
        device.attempt_id.partition("/")[0],
        _number(device.progress),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _short(path: Path) -> str:
    """A path as seen from here, where it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
