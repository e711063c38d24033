"""Whether a lab can carry out a recipe: its devices and places, and their limits in every round."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matlab_ros.lab.floor import ACTING_KIND
from matlab_ros.model.errors import RecipeError
from matlab_ros.model.expressions import Range, Ranges, bounds, parameters_in
from matlab_ros.model.lab_config import (
    DeviceConfig,
    DeviceKind,
    LabConfig,
    StationKind,
    position_names,
)
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe import PASSING, Recipe, Step
from matlab_ros.model.step_arguments import (
    DispenseArguments,
    HeatArguments,
    MeasureArguments,
    TransferArguments,
    referenced,
)
from matlab_ros.model.yaml_file import read_text
from matlab_ros.model.yaml_lines import line_at, lines_of

_FROM_ZERO = ("mass_mg", "mix_min", "minutes", "dwell_h")


@dataclass(frozen=True)
class LimitProblem:
    """Something that a lab cannot do.

    Attributes:
        step: id of the step.
        argument: of it; empty: the step as a whole.
        key: of the file that is checked.
        problem, expected: as in a `ConfigError`.
    """

    step: str
    argument: str
    key: str
    problem: str
    expected: str


@dataclass(frozen=True)
class Bounded:
    """Between what an argument lies in one round.

    Attributes:
        low, high: in the argument's unit.
        where: `` in round 2`` for a sentence; empty outside of loops.
        key: of the file that is checked.
    """

    low: float
    high: float
    where: str
    key: str


def missing_in_lab(recipe: Recipe, lab: LabConfig) -> LimitProblem | None:
    """The first device or place that a recipe needs and a lab does not have."""
    kinds = [device.kind for device in lab.devices]
    for step in recipe.steps:
        kind = ACTING_KIND.get(step.action, DeviceKind.ARM)
        if step.action not in PASSING and kind not in kinds:
            return _missing(
                step,
                "",
                f"step {step.id!r} of {recipe.name!r} needs a device of kind {kind.value}, which "
                f"lab {lab.name!r} does not have",
                "a lab with one",
            )
        if isinstance(step.arguments, TransferArguments):
            problem = _missing_place(recipe, lab, step, step.arguments.to)
            if problem is not None:
                return problem
        if isinstance(step.arguments, MeasureArguments):
            problem = _missing_program(recipe, lab, step, step.arguments.program)
            if problem is not None:
                return problem
    if DeviceKind.ARM not in kinds:
        return LimitProblem("", "", "lab", f"{lab.name!r} has no arm", "a lab with one")
    return None


def _missing_program(
    recipe: Recipe, lab: LabConfig, step: Step, program: str
) -> LimitProblem | None:
    """What is wrong with a measurement program; nothing is known of a lab that lists none."""
    known = [scan.name for scan in lab.scan_programs]
    if not known or referenced(program) is not None or program in known:
        return None
    return _missing(
        step,
        "program",
        f"step {step.id!r} of {recipe.name!r} measures with {program!r}, which no diffractometer "
        f"of {lab.name!r} has",
        f"one of {', '.join(known)}",
    )


def _missing_place(recipe: Recipe, lab: LabConfig, step: Step, to: str) -> LimitProblem | None:
    """What is wrong with the end of a transfer."""
    kinds: dict[str, StationKind] = {station.kind.value: station.kind for station in lab.stations}
    for station in lab.stations:
        kinds.update(dict.fromkeys((station.name, *position_names(station)), station.kind))
    known = [name for name in kinds if "/" not in name and kinds[name] is not StationKind.FURNACE]
    if to not in kinds:
        problem = f"step {step.id!r} of {recipe.name!r} goes to {to!r}, which lab {lab.name!r} "
        return _missing(step, "to", f"{problem}does not have", f"one of {', '.join(known)}")
    if kinds[to] is StationKind.FURNACE:
        return _missing(
            step,
            "to",
            f"step {step.id!r} of {recipe.name!r} carries a crucible into a furnace without "
            "heating it",
            "a heat step, which brings the crucible itself",
        )
    if kinds[to] is StationKind.RACK and to != StationKind.RACK.value:
        return _missing(
            step,
            "to",
            f"step {step.id!r} of {recipe.name!r} chooses a place in a rack, where each crucible "
            "has its own",
            "rack",
        )
    return None


def _missing(step: Step, argument: str, problem: str, expected: str) -> LimitProblem:
    return LimitProblem(step.id, argument, "recipe", problem, expected)


class RecipeLimits:
    """Compares a recipe's numbers with what a lab's devices do.

    Args:
        recipe: to be carried out.
        lab: where.
        range_of: lowest and highest value of a parameter that is a number.
        key_of: key of the file that is checked, for an argument of these parameters.
    """

    def __init__(
        self,
        recipe: Recipe,
        lab: LabConfig,
        range_of: Callable[[str], Range],
        key_of: Callable[[tuple[str, ...]], str],
    ) -> None:
        self._recipe = recipe
        self._lab = lab
        self._range_of = range_of
        self._key_of = key_of

    def of(self, step: Step, argument: str) -> Iterator[Bounded]:
        """An argument's bounds in each round of its loop."""
        nodes = step.arguments.numbers[argument]
        rounds = self._recipe.graph.rounds(step.id)
        for round_ in range(rounds):
            node = nodes[min(round_, len(nodes) - 1)]
            low, high = bounds(node, Ranges(self._range_of, lambda _: _NOTHING, round_))
            where = f" in round {round_}" if rounds > 1 else ""
            yield Bounded(low, high, where, self._key_of(parameters_in(node)))

    def problem(self) -> LimitProblem | None:
        """The first thing that the devices cannot do."""
        for step in self._recipe.steps:
            found = self._of_numbers(step) or self._of_mixing(step)
            if found is None and isinstance(step.arguments, HeatArguments):
                found = self._of_heat(step)
            if found is not None:
                return found
        return None

    def _of_numbers(self, step: Step) -> LimitProblem | None:
        """Nothing is negative or infinite."""
        for argument in step.arguments.numbers:
            for value in self.of(step, argument):
                if argument in _FROM_ZERO and _is_below(value, 0.0):
                    what = "dwell" if argument == "dwell_h" else argument
                    return LimitProblem(
                        step.id,
                        argument,
                        value.key,
                        f"the {what} {value.low:g} of step {step.id!r}{value.where} is negative",
                        "0 or more",
                    )
        return None

    def _of_mixing(self, step: Step) -> LimitProblem | None:
        """Mixing ends before the step is late."""
        if step.deadline_min is None or step.action in (StepAction.HEAT, *PASSING):
            return None
        is_dosing = isinstance(step.arguments, DispenseArguments)
        argument = "mix_min" if is_dosing else "minutes"
        if argument not in step.arguments.numbers:
            return None
        for value in self.of(step, argument):
            if math.isfinite(value.high) and value.high >= step.deadline_min:
                return LimitProblem(
                    step.id,
                    argument,
                    value.key,
                    f"step {step.id!r} mixes for up to {value.high:g} min{value.where} and is late "
                    f"after {step.deadline_min:g} min",
                    f"less than {step.deadline_min:g}, or a longer deadline_min",
                )
        return None

    def _of_heat(self, step: Step) -> LimitProblem | None:
        """In each round some furnace goes as hot and as fast as may be wanted."""
        furnaces = self._lab.devices_of(DeviceKind.FURNACE)
        ramps = self.of(step, "ramp_c_per_min")
        for value, ramp in zip(self.of(step, "temperature_c"), ramps, strict=True):
            ends = [end for end in (value.low, value.high) if math.isfinite(end)]
            for end in ends:
                if not any(_allows(furnace, end) for furnace in furnaces):
                    return LimitProblem(
                        step.id,
                        "temperature_c",
                        value.key,
                        f"{end:g} C of step {step.id!r}{value.where} is outside of what the "
                        f"furnaces of lab {self._lab.name!r} do",
                        _furnace_ranges(furnaces),
                    )
            able = [item for item in furnaces if all(_allows(item, end) for end in ends)]
            if not able:
                return LimitProblem(
                    step.id,
                    "temperature_c",
                    ramp.key,
                    f"no single furnace of lab {self._lab.name!r} does {value.low:g} C and "
                    f"{value.high:g} C, as step {step.id!r} may want{value.where}",
                    _furnace_ranges(furnaces),
                )
            fastest = max(item.furnace.max_ramp_c_per_min for item in able if item.furnace)
            low = ramp.low if math.isfinite(ramp.low) else fastest
            high = ramp.high if math.isfinite(ramp.high) else fastest
            if not 0 < low <= high <= fastest:
                return LimitProblem(
                    step.id,
                    "ramp_c_per_min",
                    ramp.key,
                    f"the ramp {high if high > fastest else low:g} C/min of step {step.id!r}"
                    f"{ramp.where} is not what the furnaces do",
                    f"more than 0 and at most {fastest:g}",
                )
        return None


_NOTHING: Range = (-math.inf, math.inf)


def limits_without_campaign(recipe: Recipe, lab: LabConfig) -> LimitProblem | None:
    """What a lab cannot do of a recipe whatever a campaign makes of its parameters.

    Parameters without a default may have any value; those with one have that.
    """

    def range_of(name: str) -> Range:
        value = recipe.defaults.get(name)
        return (value, value) if isinstance(value, float) else _NOTHING

    known = missing_in_lab(recipe, lab)
    return known or RecipeLimits(recipe, lab, range_of, lambda _: "recipe").problem()


def _is_below(value: Bounded, limit: float) -> bool:
    return math.isfinite(value.low) and value.low < limit


def _allows(furnace: DeviceConfig, temperature_c: float) -> bool:
    limits = furnace.furnace
    return (
        limits is not None and limits.min_temperature_c <= temperature_c <= limits.max_temperature_c
    )


def _furnace_ranges(furnaces: Sequence[DeviceConfig]) -> str:
    """What each furnace does, in words."""
    return ", ".join(
        f"{item.furnace.min_temperature_c:g} to {item.furnace.max_temperature_c:g} C ({item.name})"
        for item in furnaces
        if item.furnace is not None
    )


def check_in_lab(recipe: Recipe, file: Path, lab: LabConfig) -> None:
    """See that a lab can carry out a recipe, whatever a campaign makes of its parameters.

    Raises:
        RecipeError: it cannot; the step is named.
    """
    problem = limits_without_campaign(recipe, lab)
    if problem is None:
        return
    ids = [step.id for step in recipe.steps]
    if problem.step not in ids:
        raise RecipeError(file, "", problem.problem, problem.expected)
    path: tuple[str | int, ...] = ("steps", ids.index(problem.step))
    if problem.argument:
        path = (*path, "with", problem.argument)
    line = line_at(lines_of(read_text(file)), path)
    key = ".".join(map(str, path))
    raise RecipeError(file, key, problem.problem, problem.expected, problem.step, line)
