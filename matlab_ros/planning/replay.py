"""Running a campaign on a world that answers at once, and what random choice would need there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from matlab_ros.planning.campaign import Campaign
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.settings import Settings, Value


class Outcome(Protocol):
    """What an experiment gave."""

    @property
    def objective(self) -> float:
        """Its value."""

    @property
    def sigma(self) -> float:
        """Standard uncertainty of the value; NaN where unknown."""

    @property
    def pure(self) -> bool:
        """Whether it is one of those looked for."""


class World(Protocol):
    """Answers an experiment at once."""

    @property
    def size(self) -> int:
        """How many different experiments there are."""

    @property
    def pure_count(self) -> int:
        """How many of them are pure."""

    def outcome(self, settings: Mapping[str, Value]) -> Outcome:
        """What the experiment of these settings gives."""


@dataclass(frozen=True)
class RecordedStep:
    """One experiment of a replayed campaign, numbered from 1."""

    number: int
    settings: Settings
    objective: float
    pure: bool
    method: str


@dataclass(frozen=True)
class RecordedRun:
    """A replayed campaign.

    Attributes:
        steps: in their order.
        pure_in_world: how many pure ones there were to find.
    """

    steps: tuple[RecordedStep, ...]
    pure_in_world: int

    @property
    def pure_at(self) -> tuple[int, ...]:
        """Numbers of the experiments that were pure."""
        return tuple(step.number for step in self.steps if step.pure)

    @property
    def first_pure(self) -> int | None:
        """Number of the first pure one, None where none was found."""
        return self.pure_at[0] if self.pure_at else None

    @property
    def all_pure(self) -> int | None:
        """Number of the experiment that found the last pure one, None where some were not found."""
        complete = len(self.pure_at) == self.pure_in_world > 0
        return self.pure_at[-1] if complete else None


@dataclass(frozen=True)
class RandomExpectation:
    """How many experiments random choice without repetition needs.

    Attributes:
        first_mean: mean number of the first pure one.
        first_median: after which it is found in at least half of the cases.
        all_mean: mean number of the last pure one.
        all_median: after which all are found in at least half of the cases.
    """

    first_mean: float
    first_median: int
    all_mean: float
    all_median: int


def run_recorded(
    campaign: Campaign,
    world: World,
    max_experiments: int,
    on_step: Callable[[RecordedStep], None] | None = None,
) -> RecordedRun:
    """Run a campaign one experiment at a time until all pure ones are found.

    Args:
        campaign: may hold observations already; theirs are not counted.
        world: to be asked.
        max_experiments: to stop at.
        on_step: called after each experiment, for progress.

    Raises:
        PlanningError: the campaign cannot suggest.
    """
    steps: list[RecordedStep] = []
    found = 0
    start = len(campaign.observations)
    while len(steps) < max_experiments and found < world.pure_count:
        suggestions = campaign.suggest(1)
        if not suggestions:
            break
        suggestion = suggestions[0]
        outcome = world.outcome(suggestion.settings)
        number = len(steps) + 1
        campaign.report(
            Observation(
                f"recorded-e{start + number:04d}",
                suggestion.settings,
                ObservationStatus.MEASURED,
                outcome.objective,
                outcome.sigma,
            )
        )
        found += outcome.pure
        step = RecordedStep(
            number, suggestion.settings, outcome.objective, outcome.pure, suggestion.method
        )
        steps.append(step)
        if on_step is not None:
            on_step(step)
    return RecordedRun(tuple(steps), world.pure_count)


def random_expectation(size: int, pure: int) -> RandomExpectation:
    """What random choice needs to find `pure` of `size` experiments, exactly.

    The k-th of K marked ones among N drawn without repetition comes at k (N + 1) / (K + 1) in the
    mean (negative hypergeometric distribution); the medians follow from counting combinations.

    Raises:
        ValueError: there is nothing to find.
    """
    if not 1 <= pure <= size:
        raise ValueError(f"{pure} of {size} cannot be found")
    all_ways = math.comb(size, pure)
    first = next(n for n in range(1, size + 1) if 2 * math.comb(size - n, pure) <= all_ways)
    last = next(n for n in range(pure, size + 1) if 2 * math.comb(n, pure) >= all_ways)
    step = (size + 1) / (pure + 1)
    return RandomExpectation(step, first, pure * step, last)


def simulated_random(size: int, pure: int, runs: int, seed: int) -> RandomExpectation:
    """The same from simulated campaigns, as a check of both the formula and the counting."""
    rng = np.random.default_rng(seed)
    ranks = np.sort(rng.random((runs, size)).argsort(axis=1)[:, :pure] + 1, axis=1)
    first, last = ranks[:, 0], ranks[:, -1]
    return RandomExpectation(
        float(first.mean()), int(np.median(first)), float(last.mean()), int(np.median(last))
    )
