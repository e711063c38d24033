"""What a step of a recipe is told: its arguments, which may be expressions, by action."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, field_serializer

from matlab_ros.model.expressions import (
    ExpressionError,
    Kind,
    Node,
    Round,
    StepValue,
    parse,
    require,
    walk,
    write,
)
from matlab_ros.model.expressions import Literal as Constant
from matlab_ros.model.lab_words import Atmosphere, StepAction
from matlab_ros.model.yaml_file import Strict

_REFERENCE = re.compile(r"^\$[a-z][a-z0-9_]*$")
_Scalar = TypeVar("_Scalar", float, str)


LARGEST = 1e12
"""Nothing in a recipe is larger, in whatever unit."""


def referenced(value: object) -> str | None:
    """Name of the parameter an argument refers to (``"$dwell_h"``: ``dwell_h``), if it does."""
    return value[1:] if isinstance(value, str) and _REFERENCE.match(value) else None


def _no_values(value: StepValue) -> Kind:
    raise ExpressionError(
        f"{write(value)!r} is a step's value; expected numbers, $parameters and round, "
        "so that limits can be checked before anything starts"
    )


def _single_number(value: object) -> float | str:
    """A number, or the canonical text of an expression that gives one."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not abs(value) <= LARGEST:
            raise ValueError(f"is no number up to {LARGEST:g}; expected a smaller one")
        return float(value)
    if not isinstance(value, str):
        raise ValueError(f"has the value {value!r}; expected a number or $parameter")
    try:
        node = parse(value)
        require(node, Kind.NUMBER, {}, _no_values)
    except ExpressionError as error:
        hint = str(error).partition("; expected ")[2] or "as 900 or '$temperature_c + 50 * round'"
        raise ValueError(
            f"has the value {value!r}: {str(error).partition('; expected ')[0]}; "
            f"expected a number, $parameter, or an expression of them: {hint}"
        ) from None
    return node.value if isinstance(node, Constant) and _is_float(node.value) else write(node)


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def _number(value: object) -> object:
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("is an empty list; expected one number for each round")
        return tuple(_single_number(item) for item in value)
    return _single_number(value)


def _text(value: object) -> object:
    if isinstance(value, str) and value and (value[0] != "$" or referenced(value) is not None):
        return value
    raise ValueError(f"has the value {value!r}; expected a text or $parameter")


def _atmosphere(value: object) -> object:
    words = {atmosphere.name.lower(): atmosphere for atmosphere in Atmosphere}
    if isinstance(value, Atmosphere):
        return value
    if isinstance(value, str) and value in words:
        return words[value]
    raise ValueError(f"has the value {value!r}; expected one of {', '.join(words)}")


def _condition(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise ValueError(f"has the value {value!r}; expected a condition such as 'look.x < 0.5'")
    try:
        return write(parse(value))
    except ExpressionError as error:
        words = str(error)
        raise ValueError(
            words if "; expected " in words else f"{words}; expected a condition"
        ) from None


Number = Annotated[float | str | tuple[float | str, ...], BeforeValidator(_number)]
"""A number, an expression of parameters and ``round``, or a list with one such for each round."""

Text = Annotated[str, BeforeValidator(_text)]
"""A text, or ``$name`` of a parameter that holds one."""

Condition = Annotated[str, BeforeValidator(_condition)]
"""Canonical text of an expression that holds or does not."""


class Arguments(Strict):
    """Base of what steps are told."""

    @property
    def numbers(self) -> dict[str, tuple[Node, ...]]:
        """Expressions of each numeric argument; several where there is one for each round."""
        found = {}
        for name, value in self:
            if name in _TEXTS:
                continue
            if isinstance(value, tuple):
                found[name] = tuple(expression_of(item) for item in value)
            elif isinstance(value, (float, str)):
                found[name] = (expression_of(value),)
        return found

    @property
    def texts(self) -> dict[str, str]:
        """The arguments that are words."""
        return {name: value for name, value in self if name in _TEXTS and value is not None}


_TEXTS = (
    *("precursors", "program", "target", "to", "at", "atmosphere"),
    *("confirm", "decided_by"),
)


def expression_of(value: float | str) -> Node:
    """The expression that a numeric argument holds."""
    return Constant(value) if isinstance(value, float) else parse(value)


def at_round(value: float | str | tuple[float | str, ...], round_: int) -> float | str:
    """A numeric argument in one round of its loop."""
    return value[min(round_, len(value) - 1)] if isinstance(value, tuple) else value


class DispenseArguments(Arguments):
    """Weigh the powders of a precursor set into the crucible."""

    precursors: Text
    mass_mg: Number
    """Of all powders together, milligrams."""
    mix_min: Number = 0.0


class MixArguments(Arguments):
    """Shake the crucible in the dispenser's mixer."""

    minutes: Number


class GrindArguments(Arguments):
    """Break up what was fired, in the dispenser's mixer."""

    minutes: Number


class TransferArguments(Arguments):
    """Carry the crucible to a free position of a kind of station, or of one station."""

    to: str = Field(pattern=r"^[a-z][a-z0-9_]*(/[1-9][0-9]*)?$")
    """A kind (``rack``), a station (``dispenser_2``) or a position of one (``dispenser_2/1``)."""


class HeatArguments(Arguments):
    """Ramp, dwell, cool, and wait until the crucible can be taken out."""

    temperature_c: Number
    dwell_h: Number
    ramp_c_per_min: Number
    unload_below_c: Number = 100.0
    atmosphere: Annotated[Atmosphere, BeforeValidator(_atmosphere)] = Atmosphere.AIR

    @field_serializer("atmosphere")
    def _atmosphere_word(self, atmosphere: Atmosphere) -> str:
        return atmosphere.name.lower()


class WaitArguments(Arguments):
    """Leave the crucible where it stands for a time."""

    minutes: Number


class CoolArguments(Arguments):
    """Let the crucible stand until it is cold: where it is, or in its place in the rack."""

    minutes: Number
    at: Literal["here", "rack"] = "here"


class MeasureArguments(Arguments):
    """Measure a diffraction pattern."""

    program: Text
    decided_by: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    """An analyse step before it: the program that it asks for comes in place of `program`."""


class AnalyseArguments(Arguments):
    """Find the phases in the pattern measured last; the target's fraction is the objective."""

    target: Text = "$target_phase"
    confirm: Literal["never", "when_success", "always"] | None = None
    """When a second, independent refinement is made; None: never."""
    success: Number | None = None
    """Weight fraction of the target from which on `when_success` makes it; None: any."""
    merge: bool | None = None
    """Whether patterns measured before, since the sample was changed, are added up with the last;
    None: they are not."""
    budget_min: Number | None = None
    """Longest scan that it may ask for where it is not sure; None: it does not ask."""


class NoArguments(Arguments):
    """The step has nothing to be told."""


AnyArguments = (
    DispenseArguments
    | MixArguments
    | GrindArguments
    | TransferArguments
    | HeatArguments
    | WaitArguments
    | CoolArguments
    | MeasureArguments
    | AnalyseArguments
    | NoArguments
)

ARGUMENTS: dict[StepAction, type[Arguments]] = {
    StepAction.DISPENSE: DispenseArguments,
    StepAction.MIX: MixArguments,
    StepAction.GRIND: GrindArguments,
    StepAction.TRANSFER: TransferArguments,
    StepAction.HEAT: HeatArguments,
    StepAction.COOL: CoolArguments,
    StepAction.WAIT: WaitArguments,
    StepAction.MEASURE: MeasureArguments,
    StepAction.ANALYSE: AnalyseArguments,
    StepAction.STORE: NoArguments,
    StepAction.DISCARD: NoArguments,
}


def read_arguments(action: StepAction, given: Any) -> Arguments:
    """What a step's ``with`` holds.

    Raises:
        ArgumentProblem: it does not fit the action.
    """
    model = ARGUMENTS[action]
    if isinstance(given, model):
        return given
    if not isinstance(given, dict):
        raise ArgumentProblem((), f"with has the value {given!r}; expected a mapping of arguments")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _problem(error, model, action.value) from None


class ArgumentProblem(ValueError):
    """An argument does not fit.

    Attributes:
        path: of the argument under ``with``.
    """

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        self.path = path
        super().__init__(message)


def _problem(error: ValidationError, model: type[Arguments], action: str) -> ArgumentProblem:
    """The first problem of a step's arguments in words."""
    # A misspelt argument is unknown and missing at once: its name says more.
    first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    path = tuple(str(part) for part in first["loc"][:1])
    key = ".".join(["with", *path])
    known = ", ".join(model.model_fields) or "no argument at all"
    if first["type"] == "extra_forbidden":
        return ArgumentProblem(path, f"{key} is unknown to {action}; expected {known}")
    if first["type"] == "missing":
        return ArgumentProblem((), f"{key} is missing; expected it for {action}")
    message = first["msg"].removeprefix("Value error, ")
    if "; expected " in message:
        return ArgumentProblem(path, f"{key} {message}")
    return ArgumentProblem(path, f"{key} has the value {first['input']!r}; expected {message}")


def uses_round(nodes: Iterator[Node] | tuple[Node, ...]) -> bool:
    """Whether one of the expressions depends on the loop's round."""
    return any(isinstance(part, Round) for node in nodes for part in walk(node))
