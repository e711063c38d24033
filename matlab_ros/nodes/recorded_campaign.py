"""Running a campaign on recorded experiments: engine and planner, with a table as chemistry."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import torch

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.experiment_values import Observation
from matlab_ros.lab.journal import SqlJournal
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.recipe import load_recipe
from matlab_ros.monitor.wording import setting
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.campaign_sources import plan_in_lab
from matlab_ros.nodes.table_lab import CampaignPlanner, mapping_of, run_table_lab
from matlab_ros.nodes.table_plan import table_plan
from matlab_ros.planning.campaign import Campaign
from matlab_ros.planning.replay import random_expectation
from matlab_ros.share import config_file
from matlab_ros.virtual.recorded import RecordedWorld, load_recorded


class _Finds:
    """Counts pure products as they are found, and says each."""

    def __init__(self, world: RecordedWorld, out: TextIO) -> None:
        self._world = world
        self._out = out
        self.experiments = 0
        self.pure_at: list[int] = []

    def __call__(self, observation: Observation) -> bool:
        """Take an observation; True when every pure product has been found."""
        self.experiments += 1
        settings = mapping_of(observation.requested)
        if self._world.outcome(settings).pure:
            self.pure_at.append(self.experiments)
            words = ", ".join(setting(value) for value in settings.values())
            print(
                f"experiment {self.experiments:3}: pure ({len(self.pure_at)} of "
                f"{self._world.pure_count}): {words}",
                file=self._out,
                flush=True,
            )
        return len(self.pure_at) == self._world.pure_count


def run_recorded_campaign(
    file: Path, data: Path, results: Path, *, seed: int | None, out: TextIO
) -> int:
    """Run a campaign until every pure product of the table is found, and say how long it took.

    Args:
        file: the campaign.
        data: folder of the recorded experiments.
        results: folder of all campaigns' results.
        seed: instead of the campaign's own.
        out: takes the figures.

    Returns:
        0 when all pure products were found, 1 otherwise.

    Raises:
        ConfigError: the campaign, its recipe or the data cannot be used; nothing was started.
    """
    config = load_campaign(file)
    if seed is not None:
        config = config.model_copy(update={"seed": seed})
    recipe_file = config_file("recipes", config.recipe)
    if not recipe_file.is_file():
        raise ConfigError(file, "recipe", f"{config.recipe!r} is unknown", "a recipe's name")
    if not data.is_dir():
        raise ConfigError("command line", "--data", f"{data} is no folder", "the data's folder")
    world = load_recorded(data, config, file)
    lab, plan = table_plan(config, load_recipe(recipe_file), file)

    # One thread: the same sums in the same order, so the same seed gives the same campaign.
    torch.set_num_threads(1)
    folder = CampaignFolder.for_run(results, config.name)
    journal = SqlJournal(folder.journal_url)
    finds = _Finds(world, out)
    print(
        f"{config.name}: {world.size} recorded experiments, {world.pure_count} of them pure "
        f"{config.target.formula}; planner {config.planner.method}, seed {config.seed}",
        file=out,
        flush=True,
    )
    try:
        run_table_lab(
            Engine(lab, journal),
            plan,
            world,
            CampaignPlanner(Campaign(plan_in_lab(plan))),
            finds,
        )
    finally:
        journal.close()
    chance = random_expectation(world.size, world.pure_count)
    found_all = len(finds.pure_at) == world.pure_count
    print("", file=out)
    print(f"{'experiments until':<24}{'first pure':>12}{f'all {world.pure_count}':>12}", file=out)
    first = str(finds.pure_at[0]) if finds.pure_at else "-"
    last = str(finds.pure_at[-1]) if found_all else "-"
    print(f"{'this campaign':<24}{first:>12}{last:>12}", file=out)
    print(
        f"{'random choice (mean)':<24}{chance.first_mean:>12.1f}{chance.all_mean:>12.1f}", file=out
    )
    print(
        f"{'random choice (median)':<24}{chance.first_median:>12}{chance.all_median:>12}", file=out
    )
    print(f"Report: {folder.write_report()}", file=out)
    return 0 if found_all else 1
