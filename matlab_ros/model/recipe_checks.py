"""Whether a recipe makes sense as a whole; asked once, when it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from matlab_ros.model.expressions import (
    ExpressionError,
    Kind,
    Node,
    Range,
    Ranges,
    Round,
    StepValue,
    bounds,
    parameters_in,
    parse,
    possible,
    require,
    unit_in,
    unit_of,
    walk,
    write,
)
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe_graph import Loop
from matlab_ros.model.step_arguments import (
    GrindArguments,
    MeasureArguments,
    MixArguments,
    referenced,
    uses_round,
)
from matlab_ros.model.step_values import given_by

if TYPE_CHECKING:
    from matlab_ros.model.recipe import Recipe, Step

LANGUAGE = 1
"""Number of the recipes' language that this software reads."""
MOST_ROUNDS = 100
"""How often a step inside of loops may be done at most, all loops together."""

_UNITS = {"minutes": "min"}
_FROM_ZERO = ("mass_mg", "mix_min", "minutes", "dwell_h")
_FILLED = (StepAction.MIX, StepAction.GRIND, StepAction.HEAT, StepAction.MEASURE)


class RecipeProblem(ValueError):
    """Something in a recipe does not make sense.

    Attributes:
        step: id of the step; empty: the recipe as a whole.
        path: keys from the top of the file to what is wrong.
    """

    def __init__(
        self, problem: str, expected: str, step: str = "", path: tuple[str | int, ...] = ()
    ) -> None:
        self.step = step
        self.path = path
        super().__init__(f"{problem}; expected {expected}")


def check_recipe(recipe: Recipe) -> None:
    """Check a recipe whose keys were read.

    Raises:
        RecipeProblem: the first thing that makes no sense.
    """
    if recipe.language != LANGUAGE:
        raise RecipeProblem(
            f"is written in language {recipe.language}, which this software does not read",
            f"schema: {LANGUAGE}",
            path=("schema",),
        )
    checker = _Checker(recipe)
    checker.check_needs()
    checker.check_loops()
    checker.check_parameters()
    checker.check_arguments()
    checker.check_conditions()
    checker.check_contents()


def kinds_of_parameters(recipe: Recipe) -> dict[str, Kind]:
    """What each parameter has to be, as its uses in the steps say.

    Raises:
        RecipeProblem: they contradict each other.
    """
    return _Checker(recipe).kinds()


class _Checker:
    """The single checks; each raises the first problem it finds."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._ids = [step.id for step in recipe.steps]
        self._index = {name: index for index, name in enumerate(self._ids)}

    def _problem(self, step: Step, problem: str, expected: str, *keys: str | int) -> RecipeProblem:
        path = ("steps", self._index[step.id], *keys)
        return RecipeProblem(f"step {step.id!r} {problem}", expected, step.id, path)

    # --- the graph ----------------------------------------------------------------------------

    def check_needs(self) -> None:
        """Ids are unique, needs are known, and nothing waits for itself."""
        for index, step in enumerate(self._recipe.steps):
            if step.id in self._ids[:index]:
                raise RecipeProblem(
                    f"step id {step.id!r} stands twice",
                    "unique ids",
                    step.id,
                    ("steps", index, "id"),
                )
            for needed in step.needs:
                if needed not in self._ids:
                    raise self._problem(
                        step,
                        f"needs unknown step {needed!r}",
                        f"one of {', '.join(self._ids)}",
                        "needs",
                    )
        rest = [name for name in self._ids if name not in self._recipe.order]
        if rest:
            raise RecipeProblem(
                f"steps {', '.join(rest)} need each other in a circle",
                "an order in which each comes after what it needs",
                rest[0],
                ("steps", self._index[rest[0]], "needs"),
            )

    def check_loops(self) -> None:
        """Loops begin before they end, are closed, lie apart or inside each other, and end."""
        graph = self._recipe.graph
        for step in self._recipe.steps:
            if step.repeat is None:
                continue
            first = step.repeat.first
            if first != step.id and first not in graph.before[step.id]:
                known = ", ".join([*(n for n in graph.order if n in graph.before[step.id])])
                raise self._problem(
                    step,
                    f"repeats from {first!r}, which does not come before it",
                    f"itself or one of {known or 'the steps it needs'}",
                    "repeat",
                    "from",
                )
            self._check_closed(graph.loops[step.id])
        loops = list(graph.loops.values())
        for index, loop in enumerate(loops):
            for other in loops[:index]:
                shared = set(loop.body) & set(other.body)
                if shared and len(shared) < min(len(loop.body), len(other.body)):
                    raise self._problem(
                        self._recipe.step(loop.last),
                        f"repeats {', '.join(sorted(shared))}, which {other.last!r} repeats too",
                        "loops apart from each other, or one inside of the other",
                        "repeat",
                    )
        for step in self._recipe.steps:
            often = graph.times(step.id)
            if often > MOST_ROUNDS:
                raise self._problem(
                    step,
                    f"may be done {often} times by the loops around it",
                    f"at most {MOST_ROUNDS}: a smaller at_most",
                    *(("repeat", "at_most") if step.repeat else ()),
                )

    def _check_closed(self, loop: Loop) -> None:
        """The way into a loop is its first step, and the way out its last."""
        graph = self._recipe.graph
        for step in self._recipe.steps:
            inside = step.id in loop.body
            for needed in step.needs:
                if inside and step.id != loop.first and needed not in loop.body:
                    if needed in graph.before[loop.first]:
                        continue
                    raise self._problem(
                        step,
                        f"is in the loop from {loop.first!r} to {loop.last!r} and needs "
                        f"{needed!r}, which is neither in it nor before it",
                        f"that {loop.first!r} needs {needed!r}",
                        "needs",
                    )
                if not inside and needed in loop.body and needed != loop.last:
                    raise self._problem(
                        step,
                        f"needs {needed!r}, which is done again by the loop from {loop.first!r} "
                        f"to {loop.last!r}",
                        f"that it needs {loop.last!r}, the loop's end",
                        "needs",
                    )

    # --- parameters and arguments -------------------------------------------------------------

    def check_parameters(self) -> None:
        """Every parameter that is used is declared, and the other way round."""
        recipe = self._recipe
        declared = ", ".join(recipe.parameters) or "the key parameters"
        used = set()
        for step, keys, names in self._uses():
            for name in names:
                used.add(name)
                if name not in recipe.parameters:
                    raise self._problem(
                        step,
                        f"uses ${name} for {keys[-1]}, which is no parameter",
                        f"one of {declared}",
                        *keys,
                    )
        for name in recipe.defaults:
            if name not in recipe.parameters:
                raise RecipeProblem(
                    f"defaults name {name!r}, which is no parameter",
                    f"one of {declared}",
                    path=("defaults", name),
                )
        unused = [name for name in recipe.parameters if name not in used]
        if unused:
            raise RecipeProblem(
                f"parameter {unused[0]!r} is used by no step",
                f"${unused[0]} in a step",
                path=("parameters",),
            )
        for name, kind in self.kinds().items():
            default = recipe.defaults.get(name)
            if default is not None and isinstance(default, str) is not (kind is Kind.WORD):
                raise RecipeProblem(
                    f"the default {default!r} of {name!r} is not {kind.value}",
                    kind.value,
                    path=("defaults", name),
                )

    def _uses(self) -> Iterator[tuple[Step, tuple[str, ...], tuple[str, ...]]]:
        """Every place where parameters may stand, and those that do."""
        for step in self._recipe.steps:
            for argument, text in step.arguments.texts.items():
                name = referenced(text)
                yield step, ("with", argument), () if name is None else (name,)
            for argument, nodes in step.arguments.numbers.items():
                for node in nodes:
                    yield step, ("with", argument), parameters_in(node)
            for keys, condition in _conditions(step):
                yield step, keys, parameters_in(condition)

    def kinds(self) -> dict[str, Kind]:
        """See `kinds_of_parameters`."""
        found: dict[str, Kind] = {}
        for step in self._recipe.steps:
            for text in step.arguments.texts.values():
                name = referenced(text)
                if name is not None:
                    found[name] = Kind.WORD
        for step in self._recipe.steps:
            for argument, nodes in step.arguments.numbers.items():
                for node in nodes:
                    self._require(step, node, Kind.NUMBER, found, "with", argument)
        for step in self._recipe.steps:
            for keys, condition in _conditions(step):
                self._require(step, condition, Kind.TRUTH, found, *keys)
        return found

    def _require(
        self, step: Step, node: Node, kind: Kind, found: dict[str, Kind], *keys: str
    ) -> None:
        try:
            require(node, kind, found, lambda value: self._kind_of_value(step, value, keys))
        except ExpressionError as error:
            problem, _, expected = str(error).partition("; expected ")
            raise self._problem(
                step, f"has in {keys[-1]}: {problem}", expected or kind.value, *keys
            ) from None

    def _kind_of_value(self, step: Step, value: StepValue, keys: tuple[str, ...]) -> Kind:
        """Kind of a step's value; it must have been given before it is looked at."""
        before = self._recipe.graph.before[step.id]
        known = [name for name in self._recipe.order if name in before]
        if keys[0] == "repeat":
            known.append(step.id)
        if value.step not in self._ids:
            raise ExpressionError(
                f"{value.step!r} is no step; expected one of {', '.join(known) or 'none'}"
            )
        if value.step not in known:
            raise ExpressionError(
                f"{value.step!r} cannot have been done by then; expected a step that it needs, "
                f"directly or not: {', '.join(known) or 'there is none'}"
            )
        given = given_by(self._recipe.step(value.step).action)
        if value.name not in given:
            action = self._recipe.step(value.step).action.value
            raise ExpressionError(
                f"{write(value)!r} is no value of a {action} step; "
                f"expected one of {', '.join(given)}"
            )
        return given[value.name].kind

    def check_arguments(self) -> None:
        """Rounds, units and deadlines of every numeric argument fit."""
        for step in self._recipe.steps:
            self._check_decided_by(step)
            rounds = self._recipe.graph.rounds(step.id)
            is_looped = bool(self._recipe.graph.around[step.id])
            for argument, nodes in step.arguments.numbers.items():
                keys = ("with", argument)
                if not is_looped and (len(nodes) > 1 or uses_round(nodes)):
                    raise self._problem(
                        step,
                        f"has a {argument} for each round and is in no loop",
                        "one value, or a repeat around the step",
                        *keys,
                    )
                if len(nodes) not in (1, rounds):
                    raise self._problem(
                        step,
                        f"has {len(nodes)} values of {argument} for {rounds} rounds",
                        f"one value, or {rounds}",
                        *keys,
                    )
                self._check_numbers(step, argument, nodes, rounds)

    def _check_decided_by(self, step: Step) -> None:
        """Who decides of a measurement is an analysis that was done by then."""
        arguments = step.arguments
        if not isinstance(arguments, MeasureArguments) or arguments.decided_by is None:
            return
        before = self._recipe.graph.before[step.id]
        known = [
            other.id for other in self._recipe.steps_of(StepAction.ANALYSE) if other.id in before
        ]
        if arguments.decided_by not in known:
            raise self._problem(
                step,
                f"is decided by {arguments.decided_by!r}, which is no analyse step before it",
                f"one of {', '.join(known)}" if known else "that it needs an analyse step",
                "with",
                "decided_by",
            )

    def _check_numbers(
        self, step: Step, argument: str, nodes: tuple[Node, ...], rounds: int
    ) -> None:
        wanted = _UNITS.get(argument, unit_in(argument))
        for node in nodes:
            unit = unit_of(node)
            if None not in (unit, wanted) and unit != wanted:
                raise self._problem(
                    step,
                    f"takes {argument} in {wanted} and {write(node)!r} is in {unit}",
                    f"a value in {wanted}",
                    "with",
                    argument,
                )
        for round_ in range(rounds):
            low, high = bounds(nodes[min(round_, len(nodes) - 1)], _open_ranges(round_))
            where = f" in round {round_}" if rounds > 1 else ""
            if argument in _FROM_ZERO and high < 0:
                raise self._problem(
                    step, f"has the {argument} {high:g}{where}", "0 or more", "with", argument
                )
            if argument == "ramp_c_per_min" and high <= 0:
                raise self._problem(
                    step, f"has the ramp {high:g}{where}", "more than 0", "with", argument
                )
            is_mixing = argument == "mix_min" or isinstance(
                step.arguments, (MixArguments, GrindArguments)
            )
            if is_mixing and step.deadline_min is not None and low >= step.deadline_min:
                raise self._problem(
                    step,
                    f"mixes for {low:g} min{where} and is late after {step.deadline_min:g} min",
                    "a longer deadline_min",
                    "deadline_min",
                )

    # --- conditions ---------------------------------------------------------------------------

    def check_conditions(self) -> None:
        """Every condition can hold in some round, and `round` means something."""
        for step in self._recipe.steps:
            rounds = self._recipe.graph.rounds(step.id)
            for keys, condition in _conditions(step):
                is_looped = bool(self._recipe.graph.around[step.id])
                if not is_looped and any(isinstance(part, Round) for part in walk(condition)):
                    raise self._problem(
                        step,
                        f"has {write(condition)!r} in {keys[-1]} and is in no loop",
                        "no round, or a repeat around the step",
                        *keys,
                    )
                if not any(
                    True in possible(condition, self._ranges(round_)) for round_ in range(rounds)
                ):
                    what = "can never be reached" if keys == ("when",) else "never ends its loop"
                    raise self._problem(
                        step,
                        f"{what}: {write(condition)!r} cannot hold",
                        "a condition that can, or none",
                        *keys,
                    )

    def _ranges(self, round_: int) -> Ranges:
        def of_value(value: StepValue) -> Range:
            return given_by(self._recipe.step(value.step).action)[value.name].range

        return Ranges(lambda _: (-math.inf, math.inf), of_value, round_)

    # --- what is in the crucible --------------------------------------------------------------

    def check_contents(self) -> None:
        """Something is in the crucible before it is worked on, and nothing follows its end."""
        graph = self._recipe.graph
        for step in self._recipe.steps:
            before = [self._recipe.step(name).action for name in graph.before[step.id]]
            if step.action in _FILLED and StepAction.DISPENSE not in before:
                raise self._problem(
                    step,
                    f"would {step.action.value} an empty crucible",
                    "that it needs a dispense step, directly or not",
                    "needs",
                )
            if step.action is StepAction.ANALYSE and StepAction.MEASURE not in before:
                raise self._problem(
                    step,
                    "analyses before it measures",
                    "that it needs a measure step, directly or not",
                    "needs",
                )
        for step in self._recipe.steps:
            if step.action is not StepAction.DISCARD or step.when is not None:
                continue
            if graph.around[step.id]:
                raise self._problem(
                    step, "discards the sample in a loop", "a condition, or the step behind it"
                )
            for other in self._recipe.steps:
                if (
                    other.uses_crucible
                    and other is not step
                    and other.id not in graph.before[step.id]
                ):
                    raise self._problem(
                        other,
                        f"can never be reached: {step.id!r} may have discarded the sample before",
                        f"that {step.id!r} needs {other.id!r}, or has a condition",
                        "needs",
                    )


def _conditions(step: Step) -> list[tuple[tuple[str, ...], Node]]:
    found: list[tuple[tuple[str, ...], Node]] = []
    if step.when is not None:
        found.append((("when",), parse(step.when)))
    if step.repeat is not None and step.repeat.until is not None:
        found.append((("repeat", "until"), parse(step.repeat.until)))
    return found


def _open_ranges(round_: int) -> Ranges:
    """Nothing is known but the round."""
    return Ranges(lambda _: (-math.inf, math.inf), lambda _: (-math.inf, math.inf), round_)
