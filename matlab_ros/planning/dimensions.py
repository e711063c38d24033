"""One dimension of a search space: a number between bounds, a listed number, or a choice.

Every dimension maps its values to a coordinate ``u`` in [0, 1] and back. Numbers are measured
things too: a furnace asked for 900 degrees reports 897.3, and a dwell that a power cut ended may
lie outside of its bounds. So `to_unit` accepts what lies outside, up to half the range on either
side; further away it is held there, so that one outlier does not stretch the model.

A dimension may exist only for some choices of others (`when`, a condition in the language of
recipes): a partial pressure of oxygen only where the atmosphere has oxygen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.settings import Value

OUTSIDE = 0.5
"""How far a measured value may lie outside of [0, 1] in the unit cube before it is held."""


def _number(name: str, value: Value) -> float:
    if isinstance(value, str):
        raise PlanningError(f"Parameter {name!r} has the text {value!r}; expected a number.")
    if not math.isfinite(value):
        raise PlanningError(f"Parameter {name!r} has the value {value}; expected a finite number.")
    return value


@dataclass(frozen=True)
class ContinuousDimension:
    """A number between two bounds, searched linearly or logarithmically.

    Attributes:
        name: of the parameter.
        low: lower bound, included.
        high: upper bound, included.
        log: searched on a logarithmic scale; then `low` > 0.
        step: values are multiples of it above `low`; 0: any value.
        when: condition on choices under which the parameter exists; empty: always.

    Raises:
        PlanningError: the bounds contradict each other.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float = 0.0
    when: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise PlanningError(
                f"Parameter {self.name!r} has the bounds {self.low:g} and {self.high:g}; "
                "expected a finite low below a finite high."
            )
        if self.log and self.low <= 0:
            raise PlanningError(
                f"Parameter {self.name!r} is logarithmic with the lower bound {self.low:g}; "
                "expected a bound above 0."
            )
        if not math.isfinite(self.step) or self.step < 0:
            raise PlanningError(
                f"Parameter {self.name!r} has the step {self.step:g}; expected 0 or more."
            )

    def count(self) -> int | None:
        """How many values there are, None where there is no end of them."""
        if self.step == 0:
            return None
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def values(self) -> tuple[float, ...]:
        """All values of a dimension with steps, rising."""
        return tuple(self._multiple(index) for index in range(self.count() or 0))

    def to_unit(self, value: Value) -> float:
        """Coordinate of a value, in [0, 1] within the bounds.

        Raises:
            PlanningError: not a finite number.
        """
        number = _number(self.name, value)
        if not self.log:
            u = (number - self.low) / (self.high - self.low)
        elif number <= 0:
            u = -OUTSIDE
        else:
            u = math.log(number / self.low) / math.log(self.high / self.low)
        return min(max(u, -OUTSIDE), 1 + OUTSIDE)

    def from_unit(self, u: float) -> float:
        """Value at a coordinate in [0, 1], rounded to the step."""
        u = min(max(u, 0.0), 1.0)
        if self.log:
            value = self.low * (self.high / self.low) ** u
        else:
            value = self.low + u * (self.high - self.low)
        return self.rounded(value)

    def rounded(self, value: float) -> float:
        """The nearest value that may be suggested."""
        value = min(max(value, self.low), self.high)
        count = self.count()
        if count is None:
            return value
        return self._multiple(min(round((value - self.low) / self.step), count - 1))

    def check(self, value: Value) -> None:
        """Refuse what this dimension cannot be set to.

        Raises:
            PlanningError: not a number, or outside of the bounds.
        """
        number = _number(self.name, value)
        slack = 1e-9 * (self.high - self.low)
        if not self.low - slack <= number <= self.high + slack:
            raise PlanningError(
                f"Parameter {self.name!r} has the value {number:g}; "
                f"expected {self.low:g} to {self.high:g}."
            )

    def _multiple(self, index: int) -> float:
        # Twelve digits hide the noise of binary fractions: 0.1 + 2 x 0.1 is shown as 0.3.
        value = float(f"{self.low + index * self.step:.12g}")
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class IntegerDimension:
    """A whole number between two bounds, both included.

    Attributes:
        name: of the parameter.
        low: lower bound.
        high: upper bound.
        when: condition on choices under which the parameter exists; empty: always.

    Raises:
        PlanningError: the bounds contradict each other.
    """

    name: str
    low: int
    high: int
    when: str = ""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise PlanningError(
                f"Parameter {self.name!r} has the bounds {self.low} and {self.high}; "
                "expected low below high."
            )

    def count(self) -> int:
        """How many values there are."""
        return self.high - self.low + 1

    def values(self) -> tuple[float, ...]:
        """All values, rising."""
        return tuple(float(value) for value in range(self.low, self.high + 1))

    def to_unit(self, value: Value) -> float:
        """Coordinate of a value, in [0, 1] within the bounds.

        Raises:
            PlanningError: not a finite number.
        """
        u = (_number(self.name, value) - self.low) / (self.high - self.low)
        return min(max(u, -OUTSIDE), 1 + OUTSIDE)

    def from_unit(self, u: float) -> float:
        """Value at a coordinate in [0, 1]; every whole number owns an equal share of it."""
        index = min(math.floor(min(max(u, 0.0), 1.0) * self.count()), self.count() - 1)
        return float(self.low + index)

    def rounded(self, value: float) -> float:
        """The nearest value that may be suggested."""
        return float(min(max(round(value), self.low), self.high))

    def check(self, value: Value) -> None:
        """Refuse what this dimension cannot be set to.

        Raises:
            PlanningError: not a whole number within the bounds.
        """
        number = _number(self.name, value)
        if number != round(number) or not self.low <= number <= self.high:
            raise PlanningError(
                f"Parameter {self.name!r} has the value {number:g}; "
                f"expected a whole number from {self.low} to {self.high}."
            )


@dataclass(frozen=True)
class DiscreteDimension:
    """One of several listed numbers, which know near and far.

    Attributes:
        name: of the parameter.
        levels: at least two, all different; kept in rising order.
        log: near and far are ratios; then all > 0.
        when: condition on choices under which the parameter exists; empty: always.

    Raises:
        PlanningError: too few levels, one twice, or one that is not finite.
    """

    name: str
    levels: tuple[float, ...]
    log: bool = False
    when: str = ""

    def __post_init__(self) -> None:
        levels = tuple(sorted(float(level) for level in self.levels))
        if len(levels) < 2 or len(set(levels)) < len(levels):
            raise PlanningError(
                f"Parameter {self.name!r} lists {len(levels)} values, "
                f"{len(set(levels))} of them different; expected at least two, all different."
            )
        if not all(math.isfinite(level) for level in levels):
            raise PlanningError(f"Parameter {self.name!r} lists a value that is not finite.")
        if self.log and levels[0] <= 0:
            raise PlanningError(
                f"Parameter {self.name!r} is logarithmic with the value {levels[0]:g}; "
                "expected values above 0."
            )
        object.__setattr__(self, "levels", levels)

    @property
    def low(self) -> float:
        """Least value."""
        return self.levels[0]

    @property
    def high(self) -> float:
        """Largest value."""
        return self.levels[-1]

    def count(self) -> int:
        """How many values there are."""
        return len(self.levels)

    def values(self) -> tuple[float, ...]:
        """All values, rising."""
        return self.levels

    def to_unit(self, value: Value) -> float:
        """Coordinate of a value, in [0, 1] within the bounds.

        Raises:
            PlanningError: not a finite number.
        """
        return ContinuousDimension(self.name, self.low, self.high, self.log).to_unit(value)

    def from_unit(self, u: float) -> float:
        """Value at a coordinate in [0, 1]; every value owns an equal share of it."""
        index = min(math.floor(min(max(u, 0.0), 1.0) * self.count()), self.count() - 1)
        return self.levels[index]

    def rounded(self, value: float) -> float:
        """The nearest value that may be suggested."""
        if self.log:
            value = max(value, self.low)
            return min(self.levels, key=lambda level: abs(math.log(level / value)))
        return min(self.levels, key=lambda level: abs(level - value))

    def check(self, value: Value) -> None:
        """Refuse what is not one of the values.

        Raises:
            PlanningError: it is not.
        """
        number = _number(self.name, value)
        slack = 1e-9 * (self.high - self.low)
        if abs(self.rounded(number) - number) > slack:
            shown = ", ".join(f"{level:g}" for level in self.levels[:8])
            more = ", ..." if len(self.levels) > 8 else ""
            raise PlanningError(
                f"Parameter {self.name!r} has the value {number:g}; expected one of {shown}{more}."
            )


@dataclass(frozen=True)
class CategoricalDimension:
    """One of several choices without an order.

    Attributes:
        name: of the parameter.
        choices: all different.
        descriptors: one row of numbers per choice, in the choices' order, that say what the
            choices have in common (which substances a precursor set contains); empty: choices
            have nothing in common but being equal.
        when: condition on other choices under which the parameter exists; empty: always.

    Raises:
        PlanningError: no choice, a choice twice, or rows that do not fit the choices.
    """

    name: str
    choices: tuple[str, ...]
    descriptors: tuple[tuple[float, ...], ...] = ()
    when: str = ""

    def __post_init__(self) -> None:
        if not self.choices:
            raise PlanningError(f"Parameter {self.name!r} has no choices; expected at least one.")
        twice = sorted({choice for choice in self.choices if self.choices.count(choice) > 1})
        if twice:
            raise PlanningError(
                f"Parameter {self.name!r} has the choice {twice[0]!r} twice; "
                "expected different choices."
            )
        if not self.descriptors:
            return
        if len(self.descriptors) != len(self.choices):
            raise PlanningError(
                f"Parameter {self.name!r} has {len(self.descriptors)} rows of descriptors for "
                f"{len(self.choices)} choices; expected one for each."
            )
        if len({len(row) for row in self.descriptors}) != 1 or not all(
            math.isfinite(value) for row in self.descriptors for value in row
        ):
            raise PlanningError(
                f"Parameter {self.name!r} has descriptors of unequal length or without a finite "
                "value; expected equally long rows of finite numbers."
            )

    def count(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def values(self) -> tuple[str, ...]:
        """All choices, in their order."""
        return self.choices

    def to_unit(self, value: Value) -> float:
        """Middle of the share of [0, 1] that a choice owns.

        Raises:
            PlanningError: not one of the choices.
        """
        return (self.index(value) + 0.5) / len(self.choices)

    def from_unit(self, u: float) -> str:
        """Choice at a coordinate in [0, 1]; every choice owns an equal share of it."""
        index = min(math.floor(min(max(u, 0.0), 1.0) * len(self.choices)), len(self.choices) - 1)
        return self.choices[index]

    def index(self, value: Value) -> int:
        """Number of a choice, from 0.

        Raises:
            PlanningError: not one of the choices.
        """
        self.check(value)
        return self.choices.index(str(value))

    def check(self, value: Value) -> None:
        """Refuse what is not one of the choices.

        Raises:
            PlanningError: it is not.
        """
        if value not in self.choices:
            shown = ", ".join(self.choices[:8]) + (", ..." if len(self.choices) > 8 else "")
            raise PlanningError(
                f"Parameter {self.name!r} has the choice {value!r}; expected one of {shown}."
            )


NumericDimension = ContinuousDimension | IntegerDimension | DiscreteDimension
Dimension = NumericDimension | CategoricalDimension
