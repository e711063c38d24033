"""What is wanted of an experiment: objectives, their thresholds, and how several are combined."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from matlab_ros.model.errors import PlanningError
from matlab_ros.model.objective_config import Combination, ObjectiveConfig
from matlab_ros.planning.observation import Measured, Observation, ObservationStatus
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.space import Array

MAIN_OUTCOMES = ("target_fraction", "objective")
"""Names of what `Observation.objective` holds; every other outcome is in `Observation.outcomes`."""

Numbers = Any
"""A NumPy array or a torch tensor, whose arithmetic is spelled alike; or a single number."""


class Goal(str, Enum):
    """What is wanted of an outcome."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"
    TARGET = "target"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"


@dataclass(frozen=True)
class Objective:
    """What is wanted of one outcome.

    Attributes:
        name: of the outcome.
        goal: maximise, minimise, hit a target, or merely keep a limit.
        target: with `Goal.TARGET`, else NaN.
        threshold: beyond it an experiment is no success (see `ObjectiveConfig`); NaN: none.
        weight: in the product of desirabilities.
        worst: where desirability is 0; of a target the distance; NaN: none.
        best: where desirability is 1; NaN: none, and of a target.

    Raises:
        PlanningError: they contradict each other.
    """

    name: str
    goal: Goal = Goal.MAXIMIZE
    target: float = math.nan
    threshold: float = math.nan
    weight: float = 1.0
    worst: float = math.nan
    best: float = math.nan

    def __post_init__(self) -> None:
        try:
            ObjectiveConfig(
                name=self.name,
                direction=self.goal.value,
                target=_or_none(self.target),
                threshold=_or_none(self.threshold),
                weight=self.weight,
                worst=_or_none(self.worst),
                best=_or_none(self.best),
            )
        except ValueError as error:
            raise PlanningError(_sentence(error)) from error

    @property
    def is_limit(self) -> bool:
        """Whether it only has to be kept."""
        return self.goal in (Goal.AT_LEAST, Goal.AT_MOST)

    @property
    def has_threshold(self) -> bool:
        """Whether experiments can miss it."""
        return not math.isnan(self.threshold)

    def gain(self, values: Numbers) -> Numbers:
        """Values turned so that larger is better, in the outcome's unit."""
        if self.goal is Goal.TARGET:
            return -abs(values - self.target)
        if self.goal in (Goal.MINIMIZE, Goal.AT_MOST):
            return -values
        return values

    def slack(self, values: Numbers) -> Numbers:
        """How far values are on the right side of the threshold; negative: violated."""
        level = -self.threshold if self.goal is Goal.TARGET else self.gain(self.threshold)
        return self.gain(values) - level

    def desirability(self, values: Numbers, leak: float = 0.0) -> Numbers:
        """Desirability, 0 to 1 (Derringer and Suich, J. Qual. Technol. 12, 214, 1980).

        Args:
            values: of the outcome.
            leak: slope beyond `worst`, so that a search sees which of two worthless is nearer.

        Raises:
            PlanningError: there is no `worst`.
        """
        if math.isnan(self.worst):
            raise PlanningError(
                f"Objective {self.name!r} has no worst value; expected one to compute its "
                "desirability."
            )
        if self.goal is Goal.TARGET:
            raw = 1.0 - abs(values - self.target) / self.worst
        else:
            raw = (values - self.worst) / (self.best - self.worst)
        held = raw.clip(0.0, 1.0)
        return held + leak * raw.clip(-2.0, 0.0) if leak else held


@dataclass(frozen=True)
class Objectives:
    """Everything that is wanted of an experiment.

    Attributes:
        items: goals and limits; at least one goal.
        combine: several goals: their Pareto front, or the product of their desirabilities.

    Raises:
        PlanningError: no goal, or one twice.
    """

    items: tuple[Objective, ...]
    combine: Combination = "pareto"

    def __post_init__(self) -> None:
        names = [item.name for item in self.goals]
        if not names:
            raise PlanningError(
                "The objectives hold no goal; expected one to maximise, minimise or hit."
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PlanningError(f"Objective {twice[0]!r} stands twice; expected unique names.")
        if self.combine == "desirability":
            for item in self.goals:
                item.desirability(np.zeros(1))

    @property
    def goals(self) -> tuple[Objective, ...]:
        """Objectives that are more than limits."""
        return tuple(item for item in self.items if not item.is_limit)

    @property
    def thresholds(self) -> tuple[Objective, ...]:
        """Objectives that can be missed."""
        return tuple(item for item in self.items if item.has_threshold)

    @property
    def is_pareto(self) -> bool:
        """Whether no single number ranks experiments."""
        return self.combine == "pareto" and len(self.goals) > 1

    @property
    def names(self) -> tuple[str, ...]:
        """Outcomes that matter, each once, goals first."""
        ordered = (*self.goals, *(item for item in self.items if item.is_limit))
        return tuple(dict.fromkeys(item.name for item in ordered))

    def is_success(self, observation: Observation) -> bool:
        """Whether everything was measured and no threshold is missed."""
        for name in self.names:
            if outcome(observation, name) is None:
                return False
        return all(item.slack(_value(observation, item.name)) >= 0.0 for item in self.thresholds)

    def merit(self, observation: Observation) -> float:
        """The one number that ranks experiments, larger is better; NaN where one is missing.

        Of a Pareto front it is the first goal's.
        """
        if any(outcome(observation, item.name) is None for item in self.goals):
            return math.nan
        if self.combine == "desirability":
            return float(combined_desirability(self.goals, self._row([observation]))[0])
        first = self.goals[0]
        return float(first.gain(_value(observation, first.name)))

    def best(self, observations: Iterable[Observation]) -> Observation | None:
        """The experiment of the largest merit: a success where there is one."""
        ranked = [
            (self.is_success(item), merit, item)
            for item in observations
            if not math.isnan(merit := self.merit(item))
        ]
        return max(ranked, key=lambda row: row[:2])[2] if ranked else None

    def pareto_front(self, observations: Iterable[Observation]) -> tuple[Observation, ...]:
        """Successes that no other is better than in one goal and as good as in the rest."""
        successes = [item for item in observations if self.is_success(item)]
        if not successes:
            return ()
        keep = is_non_dominated(self.gains(successes))
        return tuple(item for item, kept in zip(successes, keep, strict=True) if kept)

    def gains(self, observations: Sequence[Observation]) -> Array:
        """Gains of experiments with all goals measured, ``n x goals``."""
        values = self._row(observations)
        columns = [item.gain(values[:, n]) for n, item in enumerate(self.goals)]
        return np.stack(columns, axis=1)

    def _row(self, observations: Sequence[Observation]) -> Array:
        return np.array(
            [[_value(each, item.name) for item in self.goals] for each in observations]
        ).reshape(len(observations), len(self.goals))


def single_objective(direction: Direction) -> Objectives:
    """The objectives of a campaign that names none: its main outcome, large or small."""
    return Objectives((Objective(MAIN_OUTCOMES[0], Goal(direction.value)),))


def objectives_of(configs: Sequence[ObjectiveConfig], combine: Combination) -> Objectives:
    """The objectives of a campaign's file.

    Raises:
        PlanningError: they contradict each other.
    """
    return Objectives(
        tuple(
            Objective(
                item.name,
                Goal(item.direction),
                _or_nan(item.target),
                _or_nan(item.threshold),
                item.weight,
                _or_nan(item.worst),
                _or_nan(item.best),
            )
            for item in configs
        ),
        combine,
    )


def outcome(observation: Observation, name: str) -> Measured | None:
    """A named outcome of an experiment, None where it was not measured or is no finite number."""
    if observation.status is not ObservationStatus.MEASURED:
        return None
    found = observation.outcomes.get(name)
    if found is None and name in MAIN_OUTCOMES:
        found = Measured(observation.objective, observation.sigma)
    return found if found is not None and math.isfinite(found.value) else None


def combined_desirability(goals: Sequence[Objective], values: Numbers) -> Numbers:
    """Weighted geometric mean of desirabilities; values are ``... x goals``."""
    total = math.fsum(item.weight for item in goals)
    product: Numbers = 1.0
    for n, item in enumerate(goals):
        part = item.desirability(values[..., n])
        product = product * part ** (item.weight / total)
    return product


def is_non_dominated(gains: Array) -> npt.NDArray[np.bool_]:
    """Which rows of ``n x goals``, larger is better, no other row dominates; of equals all."""
    lead = gains[None, :, :] - gains[:, None, :]
    dominates = (lead.min(axis=-1) >= 0.0) & (lead.max(axis=-1) > 0.0)
    return np.asarray(~dominates.max(axis=1))


def _value(observation: Observation, name: str) -> float:
    found = outcome(observation, name)
    return math.nan if found is None else found.value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _sentence(error: ValueError) -> str:
    """The first thing that pydantic found, as a sentence."""
    found = getattr(error, "errors", None)
    text = str(found()[0]["msg"]) if callable(found) else str(error)
    text = text.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."
