"""Constraints of a search space: conditions in the language of recipes, as distances from holding.

A condition such as ``$temperature_c * $dwell_h <= 9000`` or
``$atmosphere != 'argon' or $temperature_c <= 900`` becomes a number that is 0 where it holds and
grows with the distance from there, for many settings at once and, with tensors, with a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from matlab_ros.model.errors import PlanningError
from matlab_ros.model.expressions import (
    Binary,
    Call,
    ExpressionError,
    Kind,
    Literal,
    Node,
    Parameter,
    Range,
    Ranges,
    Round,
    StepValue,
    Unary,
    bounds,
    parameters_in,
    parse,
    require,
    walk,
)

TOLERANCE = 1e-9
"""Violation at which a constraint still counts as obeyed."""

STRICT = 1e-8
"""By how much ``<`` must hold, in the same measure."""

LARGEST_UNIT = 1e3
"""A violation is measured in units of the constraint's range, but never in larger ones than this:
so that what counts as obeyed is off by 1e-6 at most."""

BROKEN = 1e3
"""Violation of a condition that no number can mend: a choice that is not allowed."""

_MIRRORED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class Operations(Protocol):
    """The few functions that NumPy and PyTorch call by different names."""

    def maximum(self, left: Any, right: Any) -> Any:
        """The larger of each pair."""

    def minimum(self, left: Any, right: Any) -> Any:
        """The smaller of each pair."""

    def where(self, mask: npt.NDArray[np.bool_], yes: Any, no: Any) -> Any:
        """One or the other."""

    def constant(self, values: npt.NDArray[np.float64]) -> Any:
        """Fixed numbers as such an array."""

    def exp(self, values: Any) -> Any:
        """Exponential."""

    def stack(self, columns: Sequence[Any]) -> Any:
        """Columns of equal length side by side."""

    def finite(self, values: Any) -> npt.NDArray[np.bool_]:
        """Where a number is neither infinite nor NaN."""


class NumpyOperations:
    """`Operations` of NumPy."""

    def maximum(self, left: Any, right: Any) -> Any:
        """See `Operations`."""
        return np.maximum(left, right)

    def minimum(self, left: Any, right: Any) -> Any:
        """See `Operations`."""
        return np.minimum(left, right)

    def where(self, mask: npt.NDArray[np.bool_], yes: Any, no: Any) -> Any:
        """See `Operations`."""
        return np.where(mask, yes, no)

    def constant(self, values: npt.NDArray[np.float64]) -> Any:
        """See `Operations`."""
        return values

    def exp(self, values: Any) -> Any:
        """See `Operations`."""
        return np.exp(values)

    def stack(self, columns: Sequence[Any]) -> Any:
        """See `Operations`."""
        return np.stack(columns, axis=-1)

    def finite(self, values: Any) -> npt.NDArray[np.bool_]:
        """See `Operations`."""
        return np.asarray(np.isfinite(values))


@dataclass(frozen=True)
class Rows:
    """Many settings, as columns.

    Attributes:
        count: of settings.
        numbers: by parameter, in its own unit; any finite number where it does not exist.
        exists: by parameter; those that always exist may be left out.
        words: choices, by parameter; empty where it does not exist.
        operations: of the arrays.
    """

    count: int
    numbers: Mapping[str, Any]
    exists: Mapping[str, npt.NDArray[np.bool_]]
    words: Mapping[str, npt.NDArray[np.str_]]
    operations: Operations


@dataclass(frozen=True)
class Constraint:
    """A condition that every suggestion obeys.

    It is obeyed where it is not certainly false: one about a parameter that does not exist in a
    setting says nothing there.

    Attributes:
        text: such as ``$a + $b <= 1``.
    """

    text: str

    @cached_property
    def node(self) -> Node:
        """The condition.

        Raises:
            PlanningError: the text holds none.
        """
        try:
            return parse(self.text)
        except ExpressionError as error:
            raise PlanningError(f"Constraint {self.text!r} cannot be read: {error}.") from error

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in it."""
        return parameters_in(self.node)

    def check(self, kinds: Mapping[str, Kind], choices: Mapping[str, Sequence[str]]) -> None:
        """Refuse a condition that does not fit the parameters.

        Args:
            kinds: of the parameters.
            choices: of those that are words.

        Raises:
            PlanningError: it names something else, or is no condition.
        """
        for part in walk(self.node):
            if isinstance(part, (Round, StepValue)) or (
                isinstance(part, Call) and part.function == "known"
            ):
                raise PlanningError(
                    f"Constraint {self.text!r} speaks of steps; expected parameters only."
                )
        for name in self.names:
            if name not in kinds:
                raise PlanningError(
                    f"Constraint {self.text!r} has the unknown parameter ${name}; "
                    f"expected one of {', '.join(kinds)}."
                )
        try:
            require(self.node, Kind.TRUTH, dict(kinds), _no_value)
        except ExpressionError as error:
            raise PlanningError(f"Constraint {self.text!r} means nothing: {error}.") from error
        for part in walk(self.node):
            if isinstance(part, Binary):
                self._check_words(part, choices)

    def _check_words(self, part: Binary, choices: Mapping[str, Sequence[str]]) -> None:
        """A word that a parameter is compared with is one of its choices."""
        for one, other in ((part.left, part.right), (part.right, part.left)):
            if (
                isinstance(one, Parameter)
                and isinstance(other, Literal)
                and one.name in choices
                and other.value not in choices[one.name]
            ):
                raise PlanningError(
                    f"Constraint {self.text!r} compares ${one.name} with {other.value!r}; "
                    f"expected one of {', '.join(choices[one.name])}."
                )

    def violations(self, rows: Rows, ranges: Mapping[str, Range]) -> list[Any]:
        """How far settings are from obeying: one array of ``n`` for each part joined by ``and``.

        Args:
            rows: the settings.
            ranges: of the parameters that are numbers.

        Returns:
            0 where a part holds, else a distance in units of the part's range.
        """
        found = []
        todo = [self.node]
        while todo:
            node = todo.pop()
            if isinstance(node, Binary) and node.operator == "and":
                todo += (node.left, node.right)
            else:
                found.append(_violation(node, rows, ranges, False))
        return found


def _no_value(value: StepValue) -> Kind:
    raise ExpressionError(f"{value.step}.{value.name} is no parameter")


def _violation(node: Node, rows: Rows, ranges: Mapping[str, Range], negated: bool) -> Any:
    operations = rows.operations
    if isinstance(node, Literal):
        return _constant(rows, 0.0 if (node.value is True) != negated else BROKEN)
    if isinstance(node, Unary):
        return _violation(node.operand, rows, ranges, not negated)
    assert isinstance(node, Binary), "the kinds were checked"
    if node.operator in ("and", "or"):
        left = _violation(node.left, rows, ranges, negated)
        right = _violation(node.right, rows, ranges, negated)
        is_and = (node.operator == "and") != negated
        return operations.maximum(left, right) if is_and else operations.minimum(left, right)
    operator = _MIRRORED[node.operator] if negated else node.operator
    if _is_word(node.left, rows) or _is_word(node.right, rows):
        found = _of_words(node, operator, rows)
    else:
        found = _of_numbers(node, operator, rows, ranges)
    unknown = np.zeros(rows.count, dtype=bool)
    for name in parameters_in(node):
        if name in rows.exists:
            unknown |= ~rows.exists[name]
    return operations.where(unknown, _constant(rows, 0.0), found) if unknown.any() else found


def _constant(rows: Rows, value: float) -> Any:
    return rows.operations.constant(np.full(rows.count, value))


def _is_word(node: Node, rows: Rows) -> bool:
    if isinstance(node, Parameter):
        return node.name in rows.words
    return isinstance(node, Literal) and isinstance(node.value, str)


def _of_words(node: Binary, operator: str, rows: Rows) -> Any:
    left, right = (
        rows.words[side.name] if isinstance(side, Parameter) else np.full(rows.count, side.value)
        for side in (node.left, node.right)
        if isinstance(side, (Parameter, Literal))
    )
    holds = (left == right) == (operator == "==")
    return rows.operations.constant(np.where(holds, 0.0, BROKEN))


def _of_numbers(node: Binary, operator: str, rows: Rows, ranges: Mapping[str, Range]) -> Any:
    operations = rows.operations
    if operator in (">", ">="):
        above, below = node.left, node.right
    else:
        above, below = node.right, node.left
    with np.errstate(all="ignore"):
        over = (_number(below, rows) - _number(above, rows)) / _unit(node, ranges)
    if not hasattr(over, "shape") or over.shape == ():
        over = over + _constant(rows, 0.0)
    zero = _constant(rows, 0.0)
    if operator == "==":
        found = operations.maximum(over, -over)
    elif operator == "!=":
        size = operations.maximum(over, -over)
        found = operations.where(np.asarray(size > STRICT), zero, _constant(rows, 1.0))
    else:
        margin = STRICT if operator in ("<", ">") else 0.0
        found = operations.maximum(over + margin, zero)
    usable = operations.finite(found)
    return found if usable.all() else operations.where(usable, found, _constant(rows, BROKEN))


def _unit(node: Binary, ranges: Mapping[str, Range]) -> float:
    """Range of the difference of both sides."""
    difference = Binary("-", node.left, node.right)
    low, high = bounds(difference, Ranges(lambda name: ranges[name], lambda _: (0.0, 0.0)))
    size = high - low
    return min(max(size, 1e-6), LARGEST_UNIT) if math.isfinite(size) else 1.0


def _number(node: Node, rows: Rows) -> Any:
    operations = rows.operations
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Parameter):
        return rows.numbers[node.name]
    if isinstance(node, Unary):
        return -_number(node.operand, rows)
    if isinstance(node, Call):
        found = [_number(argument, rows) + _constant(rows, 0.0) for argument in node.arguments]
        choose = operations.minimum if node.function == "min" else operations.maximum
        best = found[0]
        for other in found[1:]:
            best = choose(best, other)
        return best
    assert isinstance(node, Binary), "the kinds were checked"
    left, right = _number(node.left, rows), _number(node.right, rows)
    if node.operator == "+":
        return left + right
    if node.operator == "-":
        return left - right
    if node.operator == "*":
        return left * right
    return left / (right + _constant(rows, 0.0))
