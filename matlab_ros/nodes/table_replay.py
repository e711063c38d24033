"""A planner on a table of real experiments, recipe by recipe: no lab, no powders, no ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import torch

from matlab_ros.model.errors import ConfigError
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension, Dimension
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.replay import RecordedStep, random_expectation, run_recorded
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace
from matlab_ros.virtual.recorded import RecordedWorld, read_world
from matlab_ros.virtual.recorded_file import load_recorded_file


def space_of_recipes(world: RecordedWorld) -> SearchSpace:
    """The recipes of a table as a search space, and nothing between them.

    Raises:
        ConfigError: an input has the same value in every recipe of a table with one input.
    """
    dimensions: list[Dimension] = []
    for item in world.config.inputs:
        values = [recipe[item.name] for recipe in world.recipes]
        numbers = [value for value in values if isinstance(value, float)]
        if numbers and min(numbers) < max(numbers):
            log = item.scale == "log"
            dimensions.append(ContinuousDimension(item.name, min(numbers), max(numbers), log))
        elif not numbers:
            dimensions.append(CategoricalDimension(item.name, tuple(sorted(set(map(str, values))))))
    if not dimensions:
        raise ConfigError(
            world.config.table, "inputs", "never change", "a table of different recipes"
        )
    names = {dimension.name for dimension in dimensions}
    candidates = tuple(
        Settings({name: value for name, value in recipe.items() if name in names})
        for recipe in world.recipes
    )
    return SearchSpace(tuple(dimensions), candidates=candidates)


class _Constants:
    """A table whose inputs that never change need not be asked for."""

    def __init__(self, world: RecordedWorld) -> None:
        self._world = world
        self._usual = world.recipes[0]
        self.size, self.pure_count = world.size, world.pure_count

    def outcome(self, settings):  # type: ignore[no-untyped-def]
        """What the experiment gave."""
        return self._world.outcome({**self._usual, **settings})


def replay(
    file: Path, data: Path, *, seed: int, method: str, experiments: int | None, out: TextIO
) -> int:
    """Let a planner look for the best recipes of a table, and say how long it took.

    Args:
        file: description of the table.
        data: folder of the table.
        seed: of the planner and of drawn replicates.
        method: of the planner.
        experiments: to stop at; None: when all that are sought are found.
        out: takes the figures.

    Returns:
        0 when at least one of those sought was found, 1 otherwise.

    Raises:
        ConfigError: the description cannot be used.
        DataError: the table cannot be used.
        PlanningError: the planner's method is unknown.
    """
    config = load_recorded_file(file)
    if not data.is_dir():
        raise ConfigError("command line", "--data", f"{data} is no folder", "the data's folder")
    world = read_world(config, data, seed)
    unit = f" {config.result.unit}" if config.result.unit else ""
    sign = 1.0 if config.result.direction == "maximize" else -1.0
    values = sorted((o.objective for o in world.outcomes.values()), key=lambda v: -sign * v)
    print(
        f"{config.name}: {world.size} recipes, best {values[0]:.4g}{unit}; {world.pure_count} are "
        f"sought; planner {method}, seed {seed}",
        file=out,
        flush=True,
    )
    # One thread: the same sums in the same order, so the same seed gives the same campaign.
    torch.set_num_threads(1)
    plan = CampaignPlan(
        space_of_recipes(world),
        Direction(config.result.direction),
        method=method,
        initial_experiments=min(8, world.size),
        seed=seed,
    )
    best: list[float] = []

    def say(step: RecordedStep) -> None:
        if not best or sign * step.objective > sign * best[-1]:
            best.append(step.objective)
            words = ", ".join(
                f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in step.settings.items()
            )
            print(
                f"experiment {step.number:4}: {step.objective:.4g}{unit}"
                f"{' (sought)' if step.pure else ''}: {words}",
                file=out,
                flush=True,
            )

    most = world.size if experiments is None else min(experiments, world.size)
    run = run_recorded(Campaign(plan), _Constants(world), most, say)
    chance = random_expectation(world.size, world.pure_count)
    first = str(run.first_pure) if run.first_pure is not None else "-"
    last = str(run.all_pure) if run.all_pure is not None else "-"
    head = f"all {world.pure_count}"
    print(f"\n{'experiments until':<24}{'first sought':>14}{head:>10}", file=out)
    print(f"{f'{method}, {len(run.steps)} experiments':<24}{first:>14}{last:>10}", file=out)
    print(
        f"{'random choice (mean)':<24}{chance.first_mean:>14.1f}{chance.all_mean:>10.1f}", file=out
    )
    print(f"Source: {config.source}", file=out)
    return 0 if run.first_pure is not None else 1
