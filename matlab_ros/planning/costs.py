"""What an experiment will cost: hours of furnace and diffractometer, and powder, step by step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from matlab_ros.model.errors import PlanningError
from matlab_ros.model.expressions import Surroundings, evaluate
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.objective_config import CostsConfig, FidelityConfig
from matlab_ros.model.recipe import Recipe, Step
from matlab_ros.model.step_arguments import (
    DispenseArguments,
    HeatArguments,
    MeasureArguments,
    at_round,
    expression_of,
    referenced,
)
from matlab_ros.planning.settings import Settings, Value

COOLING_C_PER_MIN = 5.0
"""Mean fall of a closed chamber furnace, as the lab guesses before it has seen one cool."""

ROOM_C = 20.0

DEFAULT_SCAN_MIN = 8.0
"""Of a program whose duration nobody gave."""


class CostModel(Protocol):
    """What an experiment costs; any function of settings that gives numbers above 0."""

    def __call__(self, settings: Settings) -> float:
        """In any unit, the same for all settings."""
        ...


@dataclass(frozen=True)
class StepCost:
    """What one step of a recipe costs, all its rounds together.

    Attributes:
        step: its id.
        hours: of the device that it occupies.
        price: of that and of what it uses up.
    """

    step: str
    hours: float
    price: float


@dataclass(frozen=True)
class RecipeCost:
    """Cost of an experiment from its recipe.

    Steps under a condition count as if they were done, and loops that end by a condition count one
    round: what is compared are settings, and these do not decide how often.

    Attributes:
        recipe: its steps.
        constants: values of names beside the search space.
        powder_per_g: price per gram of each precursor set.
        scan_min: minutes of each measurement program.
        per_experiment: price of whatever does not depend on the settings.
        furnace_per_h: price of an hour of a furnace.
        measurement_per_h: price of an hour of the diffractometer.
    """

    recipe: Recipe
    constants: tuple[tuple[str, Value], ...] = ()
    powder_per_g: tuple[tuple[str, float], ...] = ()
    scan_min: tuple[tuple[str, float], ...] = ()
    per_experiment: float = 0.0
    furnace_per_h: float = 0.0
    measurement_per_h: float = 0.0

    def __call__(self, settings: Settings) -> float:
        """See `CostModel`.

        Raises:
            PlanningError: an argument has no value, or nothing costs anything.
        """
        total = self.per_experiment + math.fsum(item.price for item in self.steps(settings))
        if not total > 0:
            raise PlanningError(
                f"An experiment of recipe {self.recipe.name!r} costs {total:g}; expected prices "
                "that make it cost something (costs, and price_per_g of the stock)."
            )
        return total

    def steps(self, settings: Mapping[str, Value]) -> tuple[StepCost, ...]:
        """The cost of each step that heats, measures or weighs, in the recipe's order."""
        values = {**self.recipe.defaults, **dict(self.constants), **settings}
        found = []
        for step in self.recipe.steps:
            if step.action not in (StepAction.HEAT, StepAction.MEASURE, StepAction.DISPENSE):
                continue
            rounds = [self._round(step, values, number) for number in range(self._rounds(step))]
            found.append(
                StepCost(
                    step.id,
                    math.fsum(hours for hours, _ in rounds),
                    math.fsum(price for _, price in rounds),
                )
            )
        return tuple(found)

    def _rounds(self, step: Step) -> int:
        loops = [self.recipe.step(name).repeat for name in self.recipe.graph.around[step.id]]
        return math.prod(item.at_most for item in loops if item and item.until is None)

    def _round(self, step: Step, values: Mapping[str, Value], number: int) -> tuple[float, float]:
        """Hours and price of one round of a step."""
        arguments = step.arguments
        if isinstance(arguments, HeatArguments):
            target = _number(step, arguments.temperature_c, values, number)
            ramp = _number(step, arguments.ramp_c_per_min, values, number)
            unload = _number(step, arguments.unload_below_c, values, number)
            dwell = _number(step, arguments.dwell_h, values, number)
            minutes = abs(target - ROOM_C) / ramp + max(0.0, target - unload) / COOLING_C_PER_MIN
            hours = minutes / 60.0 + dwell
            return hours, hours * self.furnace_per_h
        if isinstance(arguments, MeasureArguments):
            program = str(_looked_up(arguments.program, values))
            hours = dict(self.scan_min).get(program, DEFAULT_SCAN_MIN) / 60.0
            return hours, hours * self.measurement_per_h
        assert isinstance(arguments, DispenseArguments), "no other step costs anything"
        powders = str(_looked_up(arguments.precursors, values))
        grams = _number(step, arguments.mass_mg, values, number) / 1000.0
        return 0.0, grams * dict(self.powder_per_g).get(powders, 0.0)


@dataclass(frozen=True)
class Fidelity:
    """A parameter that says how thoroughly an experiment is done: a short scan, a full synthesis.

    Attributes:
        parameter: its name in the search space.
        target: its value in what the campaign is after.
        costs: of its values; numbers in between are interpolated on logarithms. Empty: the costs
            of the campaign count.

    Raises:
        PlanningError: a cost is not above 0, or numbers and words are mixed.
    """

    parameter: str
    target: Value
    costs: tuple[tuple[Value, float], ...] = ()

    def __post_init__(self) -> None:
        if len({isinstance(value, str) for value in (self.target, *dict(self.costs))}) > 1:
            raise PlanningError(
                f"Fidelity {self.parameter!r} has numbers and words; expected values of one kind."
            )
        for value, cost in self.costs:
            if not (math.isfinite(cost) and cost > 0):
                raise PlanningError(
                    f"Fidelity {self.parameter!r} costs {cost:g} at {value}; expected a number "
                    "above 0."
                )

    def is_target(self, settings: Mapping[str, Value]) -> bool:
        """Whether an experiment was done as thoroughly as the campaign is after."""
        value = settings[self.parameter]
        if isinstance(value, str) or isinstance(self.target, str):
            return value == self.target
        return math.isclose(value, self.target, rel_tol=1e-6, abs_tol=1e-9)

    def at_target(self, settings: Mapping[str, Value]) -> Settings:
        """The same experiment, done thoroughly."""
        return Settings({**settings, self.parameter: self.target})

    def __call__(self, settings: Settings) -> float:
        """Cost by `costs`; see `CostModel`.

        Raises:
            PlanningError: a word without a cost, or there are no costs.
        """
        value = settings[self.parameter]
        if isinstance(value, str):
            if value not in dict(self.costs):
                raise PlanningError(
                    f"Fidelity {self.parameter!r} has no cost at {value!r}; expected one for "
                    "every choice."
                )
            return dict(self.costs)[value]
        points = sorted((float(at), cost) for at, cost in self.costs)
        if not points:
            raise PlanningError(f"Fidelity {self.parameter!r} has no costs; expected some.")
        return math.exp(_interpolated(value, [(at, math.log(cost)) for at, cost in points]))


def recipe_cost(
    config: CostsConfig,
    recipe: Recipe,
    constants: Mapping[str, Value],
    powder_per_g: Mapping[str, float],
    scan_min: Mapping[str, float],
) -> RecipeCost:
    """The costs of a campaign's file on its recipe.

    Args:
        config: prices.
        recipe: of the campaign.
        constants: values of names beside the search space.
        powder_per_g: price per gram of each precursor set.
        scan_min: minutes of each measurement program.
    """
    return RecipeCost(
        recipe,
        tuple(sorted(constants.items())),
        tuple(sorted(powder_per_g.items())) if config.powder else (),
        tuple(sorted(scan_min.items())),
        config.per_experiment,
        config.furnace_per_h,
        config.measurement_per_h,
    )


def fidelity_of(config: FidelityConfig) -> Fidelity:
    """The fidelity of a campaign's file.

    Raises:
        PlanningError: it contradicts itself.
    """
    if isinstance(config.target, str):
        return Fidelity(config.parameter, config.target, tuple(config.costs.items()))
    try:
        costs = tuple((float(value), cost) for value, cost in config.costs.items())
    except ValueError as error:
        raise PlanningError(
            f"Fidelity {config.parameter!r} is a number and has costs at words; expected numbers."
        ) from error
    return Fidelity(config.parameter, config.target, costs)


def cooling_exponent(observations: int, initial: int, budget: int) -> float:
    """How much cost matters: 1 after the initial experiments, falling to 0 at the last one.

    An expected improvement divided by cost alone would go on doing cheap and useless experiments
    to the end (EI-cool; Lee et al., arXiv:2003.10870).

    Args:
        observations: that there are.
        initial: space-filling ones of the campaign.
        budget: experiments of the campaign; 0: unknown, then 1 throughout.
    """
    if budget <= initial:
        return 1.0
    return min(1.0, max(0.0, (budget - observations) / (budget - initial)))


def _interpolated(value: float, points: Sequence[tuple[float, float]]) -> float:
    if value <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in itertools.pairwise(points):
        if value <= right:
            return low + (high - low) * (value - left) / (right - left)
    return points[-1][1]


def _looked_up(argument: str, values: Mapping[str, Value]) -> Value:
    name = referenced(argument)
    if name is None:
        return argument
    if name not in values:
        raise PlanningError(
            f"The cost of an experiment depends on {name!r}, which has no value; expected it in "
            "the search space or among the constants."
        )
    return values[name]


def _number(
    step: Step,
    argument: float | str | tuple[float | str, ...],
    values: Mapping[str, Value],
    number: int,
) -> float:
    node = expression_of(at_round(argument, number))
    found = evaluate(node, Surroundings(values.get, lambda _: None, number))
    if not isinstance(found, float):
        raise PlanningError(
            f"Step {step.id!r} has an argument without a value, so its cost is unknown; expected "
            "all its parameters in the search space or among the constants."
        )
    return found
