"""The small typed expressions of recipes: parsed once, checked before anything runs, no eval.

Numbers, truths and words. Literals, ``$parameter``, ``round``, ``step.value``, ``+ - * /``,
``min() max()``, comparisons, ``and or not``, ``known()``. A value that is not there (a step that
was skipped, a reading that is NaN, a division by zero) is unknown: what is computed of it is
unknown too, unless the rest decides (``false and unknown`` is false, ``true or unknown`` is true).
A condition that is unknown in the end does not hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

Value = float | bool | str
"""Of an expression; None beside it stands for unknown."""

LONGEST = 500
"""Characters of an expression; longer ones are mistakes."""
DEEPEST = 30
"""Levels of parentheses and operators inside each other."""


class ExpressionError(ValueError):
    """A text is no expression, or one that does not fit; the message says what was expected."""


class Kind(str, Enum):
    """What an expression gives."""

    NUMBER = "a number"
    TRUTH = "true or false"
    WORD = "a word"


@dataclass(frozen=True)
class Literal:
    """Itself."""

    value: Value


@dataclass(frozen=True)
class Parameter:
    """Value of a parameter of the recipe."""

    name: str


@dataclass(frozen=True)
class Round:
    """How often the loop around the step was repeated: 0 at first."""


@dataclass(frozen=True)
class StepValue:
    """What a step gave."""

    step: str
    name: str


@dataclass(frozen=True)
class Unary:
    """``-`` or ``not``."""

    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary:
    """Arithmetic, a comparison, ``and`` or ``or``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """``min``, ``max`` or ``known``."""

    function: str
    arguments: tuple[Node, ...]


Node = Literal | Parameter | Round | StepValue | Unary | Binary | Call

_ORDERS = ("<", "<=", ">", ">=")
_EQUALITIES = ("==", "!=")
_LEVELS: dict[str, int] = {
    "or": 1,
    "and": 2,
    **dict.fromkeys((*_ORDERS, *_EQUALITIES), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/"), 6),
}
"""How tightly an operator binds; ``not`` is 3 and the sign 7."""
_NOT_LEVEL, _SIGN_LEVEL, _ATOM_LEVEL = 3, 7, 8
_FUNCTIONS = ("min", "max", "known")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<word>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>\$?[a-z][a-z0-9_]*)"
    r"|(?P<sign><=|>=|==|!=|[-+*/<>().,]))"
)


# --- reading and writing ----------------------------------------------------------------------


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The expression that a text holds.

    Raises:
        ExpressionError: it holds none.
    """
    return _Parser(text).whole()


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ExpressionError(f"is longer than {LONGEST} characters; expected a short one")
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._any()
        if self._peek()[1]:
            raise self._unexpected("an operator or the end")
        return node

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")

    def _take(self, *texts: str) -> str:
        """The next token if it is one of these, else nothing."""
        kind, text = self._peek()
        if kind == "word" or text not in texts:
            return ""
        self._next += 1
        return text

    def _unexpected(self, wanted: str) -> ExpressionError:
        found = self._peek()[1]
        here = f"{found!r}" if found else "the end"
        return ExpressionError(f"{self._text!r} has {here} where {wanted} was expected")

    def _any(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpressionError(f"{self._text!r} is nested more than {DEEPEST} deep")
        node = self._left("or", lambda: self._left("and", self._negation))
        self._depth -= 1
        return node

    def _left(self, operators: str, inner: Callable[[], Node]) -> Node:
        """Operators of one level, from left to right."""
        node = inner()
        while operator := self._take(*operators.split()):
            node = Binary(operator, node, inner())
        return node

    def _negation(self) -> Node:
        signs = self._signs("not")
        node = self._comparison()
        for _ in range(signs):
            node = Unary("not", node)
        return node

    def _signs(self, sign: str) -> int:
        """How often an operator of one operand stands here."""
        count = 0
        while self._take(sign):
            count += 1
            if count > DEEPEST:
                raise ExpressionError(f"{self._text!r} has {sign!r} more than {DEEPEST} times")
        return count

    def _comparison(self) -> Node:
        node = self._sum()
        operator = self._take(*_ORDERS, *_EQUALITIES)
        return Binary(operator, node, self._sum()) if operator else node

    def _sum(self) -> Node:
        return self._left("+ -", lambda: self._left("* /", self._signed))

    def _signed(self) -> Node:
        signs = self._signs("-")
        node = self._atom()
        for _ in range(signs):
            node = Unary("-", node)
        return node

    def _atom(self) -> Node:
        kind, text = self._peek()
        if self._take("("):
            node = self._any()
            self._close()
            return node
        if kind in ("number", "word", "name"):
            self._next += 1
        if kind == "number":
            number = float(text)
            if not math.isfinite(number):
                raise ExpressionError(f"{self._text!r} has {text}, which is too large")
            return Literal(number)
        if kind == "word":
            return Literal(text[1:-1])
        if kind == "name":
            return self._named(text)
        raise self._unexpected("a value")

    def _named(self, name: str) -> Node:
        if name.startswith("$"):
            return Parameter(name[1:])
        if name in ("true", "false"):
            return Literal(name == "true")
        if name == "round":
            return Round()
        if name in _FUNCTIONS and self._take("("):
            arguments = [self._any()]
            while self._take(","):
                arguments.append(self._any())
            self._close()
            return Call(name, tuple(arguments))
        if not self._take("."):
            raise ExpressionError(
                f"{self._text!r} has the bare name {name!r}; "
                "expected $parameter, step.value, round, true or false"
            )
        kind, value = self._peek()
        if kind != "name" or value.startswith("$"):
            raise self._unexpected(f"the name of a value of {name}")
        self._next += 1
        return StepValue(name, value)

    def _close(self) -> None:
        if not self._take(")"):
            raise self._unexpected("')'")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(
                f"{text!r} has {text[position:].lstrip()[:1]!r}, which belongs to no expression"
            )
        position = found.end()
        assert found.lastgroup is not None
        yield found.lastgroup, found.group(found.lastgroup)


def write(node: Node) -> str:
    """Canonical text of an expression: `parse` gives the expression back."""
    return _write(node)[0]


def _write(node: Node) -> tuple[str, int]:
    """Text, and how tightly its outermost operator binds."""
    if isinstance(node, Literal):
        return _write_literal(node.value), _ATOM_LEVEL
    if isinstance(node, Parameter):
        return f"${node.name}", _ATOM_LEVEL
    if isinstance(node, Round):
        return "round", _ATOM_LEVEL
    if isinstance(node, StepValue):
        return f"{node.step}.{node.name}", _ATOM_LEVEL
    if isinstance(node, Call):
        return f"{node.function}({', '.join(map(write, node.arguments))})", _ATOM_LEVEL
    if isinstance(node, Unary):
        level = _NOT_LEVEL if node.operator == "not" else _SIGN_LEVEL
        return f"{node.operator}{' ' * (level == 3)}{_enclosed(node.operand, level)}", level
    level = _LEVELS[node.operator]
    # Comparisons do not follow each other; the others go from left to right.
    left = _enclosed(node.left, level + (level == _LEVELS["<"]))
    return f"{left} {node.operator} {_enclosed(node.right, level + 1)}", level


def _enclosed(node: Node, level: int) -> str:
    text, own = _write(node)
    return text if own >= level else f"({text})"


def _write_literal(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if "'" in value else f"'{value}'"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def walk(node: Node) -> Iterator[Node]:
    """The expression and all its parts."""
    yield node
    if isinstance(node, Unary):
        yield from walk(node.operand)
    elif isinstance(node, Binary):
        yield from walk(node.left)
        yield from walk(node.right)
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from walk(argument)


def parameters_in(node: Node) -> tuple[str, ...]:
    """Names of the parameters in an expression, each once."""
    names = (part.name for part in walk(node) if isinstance(part, Parameter))
    return tuple(dict.fromkeys(names))


# --- kinds and units --------------------------------------------------------------------------

_UNITS = (
    ("_c_per_min", "C/min"),
    ("_percent", "%"),
    ("_min", "min"),
    ("_mg", "mg"),
    ("_c", "C"),
    ("_h", "h"),
    ("_s", "s"),
    ("_g", "g"),
)


def unit_in(name: str) -> str | None:
    """Unit that a name ends with; None: it names none."""
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), None)


def require(
    node: Node, kind: Kind, parameters: dict[str, Kind], values: Callable[[StepValue], Kind]
) -> None:
    """See that an expression gives a kind, and that its parts fit each other.

    Args:
        node: the expression.
        kind: what it must give.
        parameters: kinds of parameters as far as they are known; what follows from this
            expression is added.
        values: kind of a step's value; raises ExpressionError where there is none.

    Raises:
        ExpressionError: something does not fit.
    """
    if isinstance(node, Parameter):
        known = parameters.setdefault(node.name, kind)
        if known is not kind:
            raise ExpressionError(f"${node.name} is {known.value}; expected {kind.value} there")
        return
    found = _kind(node, parameters, values)
    assert found is not None, "only a parameter's kind may be open"
    if found is not kind:
        raise ExpressionError(f"{write(node)!r} is {found.value}; expected {kind.value}")
    if isinstance(node, Unary):
        require(node.operand, kind, parameters, values)
    elif isinstance(node, Call):
        _require_arguments(node, parameters, values)
    elif isinstance(node, Binary):
        inner = _inner_kind(node, parameters, values)
        require(node.left, inner, parameters, values)
        require(node.right, inner, parameters, values)
    if kind is Kind.NUMBER or (isinstance(node, Binary) and node.operator in _ORDERS):
        unit_of(node)


def _require_arguments(
    node: Call, parameters: dict[str, Kind], values: Callable[[StepValue], Kind]
) -> None:
    if node.function == "known":
        if len(node.arguments) != 1 or not isinstance(node.arguments[0], StepValue):
            raise ExpressionError(f"{write(node)!r} is unclear; expected known(step.value)")
        values(node.arguments[0])
        return
    for argument in node.arguments:
        require(argument, Kind.NUMBER, parameters, values)


def _kind(
    node: Node, parameters: dict[str, Kind], values: Callable[[StepValue], Kind]
) -> Kind | None:
    """What an expression gives; None: a parameter of which nothing is known."""
    if isinstance(node, Parameter):
        return parameters.get(node.name)
    if isinstance(node, StepValue):
        return values(node)
    if isinstance(node, Literal):
        if isinstance(node.value, bool):
            return Kind.TRUTH
        return Kind.WORD if isinstance(node.value, str) else Kind.NUMBER
    if isinstance(node, Call):
        return Kind.TRUTH if node.function == "known" else Kind.NUMBER
    if isinstance(node, Unary):
        return Kind.TRUTH if node.operator == "not" else Kind.NUMBER
    if isinstance(node, Binary) and node.operator not in ("+", "-", "*", "/"):
        return Kind.TRUTH
    return Kind.NUMBER


def _inner_kind(
    node: Binary, parameters: dict[str, Kind], values: Callable[[StepValue], Kind]
) -> Kind:
    if node.operator in ("and", "or"):
        return Kind.TRUTH
    if node.operator in _EQUALITIES:
        left = _kind(node.left, parameters, values)
        return left or _kind(node.right, parameters, values) or Kind.NUMBER
    return Kind.NUMBER


def unit_of(node: Node) -> str | None:
    """Unit of a numeric expression, as the names in it say; None: it may be any.

    Sums and comparisons must be of one unit; products have any, so that units can be converted.

    Raises:
        ExpressionError: two units meet.
    """
    if isinstance(node, Parameter):
        return unit_in(node.name)
    if isinstance(node, StepValue):
        return unit_in(node.name)
    if isinstance(node, Unary):
        return unit_of(node.operand)
    if isinstance(node, Call):
        return _common_unit(node, node.arguments)
    if isinstance(node, Binary):
        if node.operator in ("*", "/"):
            return None
        return _common_unit(node, (node.left, node.right))
    return None


def _common_unit(node: Node, parts: tuple[Node, ...]) -> str | None:
    found = {unit: part for part in parts if (unit := unit_of(part)) is not None}
    if len(found) > 1:
        words = ", ".join(f"{write(part)} ({unit})" for unit, part in found.items())
        raise ExpressionError(f"{write(node)!r} mixes units: {words}; expected one unit")
    return next(iter(found), None)


# --- values -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surroundings:
    """What an expression's names stand for.

    Attributes:
        parameter: value of a parameter; None: unknown.
        step_value: value of a step; None: unknown.
        round: of the loop around the step.
    """

    parameter: Callable[[str], Value | None]
    step_value: Callable[[StepValue], Value | None]
    round: int = 0


def evaluate(node: Node, around: Surroundings) -> Value | None:
    """Value of a checked expression; None where it is unknown."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Round):
        return float(around.round)
    if isinstance(node, Parameter):
        return _finite(around.parameter(node.name))
    if isinstance(node, StepValue):
        return _finite(around.step_value(node))
    if isinstance(node, Unary):
        value = evaluate(node.operand, around)
        if value is None or isinstance(value, str):
            return None
        return not value if node.operator == "not" else -value
    if isinstance(node, Call):
        if node.function == "known":
            return evaluate(node.arguments[0], around) is not None
        numbers = [evaluate(argument, around) for argument in node.arguments]
        known = [value for value in numbers if isinstance(value, float)]
        if len(known) < len(numbers):
            return None
        return min(known) if node.function == "min" else max(known)
    left, right = evaluate(node.left, around), evaluate(node.right, around)
    if node.operator in ("and", "or"):
        decides = node.operator == "or"
        if decides in (left, right):
            return decides
        return None if left is None or right is None else not decides
    if left is None or right is None:
        return None
    if node.operator in _EQUALITIES:
        return (left == right) is (node.operator == "==")
    if isinstance(left, str) or isinstance(right, str):
        return None
    return _computed(node.operator, float(left), float(right))


def _computed(operator: str, left: float, right: float) -> Value | None:
    if operator == "<":
        return left < right
    if operator == "<=":
        return left <= right
    if operator == ">":
        return left > right
    if operator == ">=":
        return left >= right
    if operator == "/" and right == 0:
        return None
    try:
        if operator == "+":
            value = left + right
        elif operator == "-":
            value = left - right
        elif operator == "*":
            value = left * right
        else:
            value = left / right
    except OverflowError:
        return None
    return _finite(value)


def _finite(value: Value | None) -> Value | None:
    """Unknown where a number is NaN or infinite."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    return float(value) if math.isfinite(value) else None


def holds(node: Node, around: Surroundings) -> bool:
    """Whether a condition holds; one that is unknown does not."""
    return evaluate(node, around) is True


# --- bounds -----------------------------------------------------------------------------------

Range = tuple[float, float]
_ANY: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Ranges:
    """Between what the names of an expression lie.

    Attributes:
        parameter: of a parameter that is a number.
        step_value: of a step's value that is a number.
        round: of the loop around the step.
    """

    parameter: Callable[[str], Range]
    step_value: Callable[[StepValue], Range]
    round: int = 0


def bounds(node: Node, ranges: Ranges) -> Range:
    """Numbers between which a numeric expression certainly lies (interval arithmetic)."""
    if isinstance(node, Literal):
        return (node.value, node.value) if isinstance(node.value, float) else _ANY
    if isinstance(node, Round):
        return float(ranges.round), float(ranges.round)
    if isinstance(node, Parameter):
        return ranges.parameter(node.name)
    if isinstance(node, StepValue):
        return ranges.step_value(node)
    if isinstance(node, Unary):
        low, high = bounds(node.operand, ranges)
        return -high, -low
    if isinstance(node, Call):
        inner = [bounds(argument, ranges) for argument in node.arguments]
        choose = min if node.function == "min" else max
        return choose(low for low, _ in inner), choose(high for _, high in inner)
    left, right = bounds(node.left, ranges), bounds(node.right, ranges)
    if node.operator == "+":
        return left[0] + right[0], left[1] + right[1]
    if node.operator == "-":
        return left[0] - right[1], left[1] - right[0]
    if node.operator == "/":
        if right[0] <= 0 <= right[1]:
            return _ANY
        right = (1.0 / right[1], 1.0 / right[0])
    # Whatever a value without bounds is, it is finite: times zero it is zero.
    corners = [a * b if a and b else 0.0 for a in left for b in right]
    return min(corners), max(corners)


def possible(node: Node, ranges: Ranges) -> frozenset[bool]:
    """What a condition may come to; unknown values count as possible either way."""
    both = frozenset((True, False))
    if isinstance(node, Literal):
        return frozenset((node.value is True,))
    if isinstance(node, Unary):
        return frozenset(not value for value in possible(node.operand, ranges))
    if not isinstance(node, Binary):
        return both
    if node.operator in ("and", "or"):
        pairs = [(a, b) for a in possible(node.left, ranges) for b in possible(node.right, ranges)]
        return frozenset((a and b) if node.operator == "and" else (a or b) for a, b in pairs)
    if node.operator in _EQUALITIES:
        return both
    (low, high), (other_low, other_high) = bounds(node.left, ranges), bounds(node.right, ranges)
    if node.operator in (">", ">="):
        (low, high), (other_low, other_high) = (other_low, other_high), (low, high)
    if node.operator in ("<", ">"):
        found = {True: low < other_high, False: high >= other_low}
    else:
        found = {True: low <= other_high, False: high > other_low}
    return frozenset(value for value, can_be in found.items() if can_be)


def slope(node: Node, parameter: str, around: Surroundings) -> float | None:
    """How much a numeric expression changes with a parameter, where that is a constant.

    None: it depends on it in another way, such as through a product of parameters. Of ``min`` and
    ``max`` the part counts that decides here.
    """
    if parameter not in parameters_in(node):
        return 0.0
    if isinstance(node, Parameter):
        return 1.0
    if isinstance(node, Unary):
        inner = slope(node.operand, parameter, around)
        return None if inner is None else -inner
    if isinstance(node, Call):
        whole = evaluate(node, around)
        deciding = [part for part in node.arguments if evaluate(part, around) == whole]
        return slope(deciding[0], parameter, around) if len(deciding) == 1 else None
    if not isinstance(node, Binary):
        return None
    left = slope(node.left, parameter, around)
    right = slope(node.right, parameter, around)
    if left is None or right is None:
        return None
    if node.operator in ("+", "-"):
        return left + right if node.operator == "+" else left - right
    factor: Value | None
    if node.operator == "*" and right == 0.0:
        factor, inner = evaluate(node.right, around), left
    elif node.operator == "*" and left == 0.0:
        factor, inner = evaluate(node.left, around), right
    elif node.operator == "/" and right == 0.0:
        divisor = evaluate(node.right, around)
        factor, inner = (1.0 / divisor if isinstance(divisor, float) and divisor else None), left
    else:
        return None
    return factor * inner if isinstance(factor, float) else None
