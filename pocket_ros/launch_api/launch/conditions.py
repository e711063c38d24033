"""Conditions that compare what substitutions give."""

from __future__ import annotations

from pocket_ros.launch.substitutions import SubstitutionError, is_true
from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.launch_context import LaunchContext
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.utilities import Text

__all__ = [
    "IfCondition",
    "InvalidConditionExpressionError",
    "LaunchConfigurationEquals",
    "LaunchConfigurationNotEquals",
    "UnlessCondition",
]


class InvalidConditionExpressionError(RuntimeError):
    """The text of a condition is neither true nor false."""


def evaluate_condition_expression(context: LaunchContext, expression: Text) -> bool:
    """The truth of an expression; raises InvalidConditionExpressionError."""
    try:
        return is_true(expression.value(context))
    except SubstitutionError as error:
        raise InvalidConditionExpressionError(str(error)) from None


class IfCondition(Condition):
    """Holds where the expression is true or 1."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        expression = Text(predicate_expression)
        super().__init__(predicate=lambda c: evaluate_condition_expression(c, expression))


class UnlessCondition(Condition):
    """Holds where the expression is false or 0."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        expression = Text(predicate_expression)
        super().__init__(predicate=lambda c: not evaluate_condition_expression(c, expression))


class LaunchConfigurationEquals(Condition):
    """Holds where a launch configuration has a value; with None, where it is not set."""

    def __init__(
        self, launch_configuration_name: str, expected_value: SomeSubstitutionsType | None
    ) -> None:
        self._name = launch_configuration_name
        self._expected = None if expected_value is None else Text(expected_value)
        super().__init__(predicate=self._is_equal)

    def _is_equal(self, context: LaunchContext) -> bool:
        expected = None if self._expected is None else self._expected.value(context)
        return context.launch_configurations.get(self._name) == expected


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """Holds where `LaunchConfigurationEquals` does not."""

    def evaluate(self, context: LaunchContext) -> bool:
        """Whether it holds at this moment."""
        return not super().evaluate(context)
