"""Finds the runs of a test file, and gives its tests the arguments they name."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from pocket_ros.launch_api.launch.launch_description import LaunchDescription
from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity
from pocket_ros.launch_api.launch_testing.actions import ReadyToTest

_DEFAULT_READY_TIMEOUT_S = 15.0
_BINDABLE = ("setUp", "tearDown")
_BINDABLE_OF_CLASS = ("setUpClass", "tearDownClass")


class TestRun:
    """One launch with its tests.

    Args:
        name: of the test file's module.
        function: that makes the description.
        parameters: of this run, by name.
        module: with the classes of tests.
    """

    __test__ = False

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        parameters: Mapping[str, Any],
        module: ModuleType,
    ) -> None:
        self.name = name
        self.parameters = dict(parameters)
        self._function = function
        self.pre_shutdown_tests = _load(module, after=False)
        self.post_shutdown_tests = _load(module, after=True)
        self.timeout = float(
            getattr(function, "__ready_to_test_action_timeout__", _DEFAULT_READY_TIMEOUT_S)
        )
        self.keep_alive = bool(getattr(function, "__markers__", {}).get("keep_alive"))

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}[{', '.join(map(str, self.parameters.values()))}]"

    def validate(self) -> None:
        """Raise TypeError if the function's arguments are not those of the parametrisation."""
        takes = set(inspect.signature(inspect.unwrap(self._function)).parameters)
        for name in sorted(set(self.parameters) - takes):
            raise TypeError(
                "Could not find an argument in generate_test_description matching "
                f"parametrized argument '{name}'"
            )
        for name in sorted(takes - set(self.parameters)):
            raise TypeError(f"generate_test_description has unexpected extra argument '{name}'")

    def describe(self, ready: Callable[[], object]) -> tuple[LaunchDescription, dict[str, Any]]:
        """The description, whose ReadyToTest calls `ready`, and arguments for the tests.

        Raises TypeError if it holds no ReadyToTest.
        """
        result = self._function()
        description, context = result if isinstance(result, tuple) else (result, {})
        action = next(_ready_actions(description.entities), None)
        if action is None:
            raise TypeError(
                "generate_test_description functions must return "
                "a LaunchDescription containing a ReadyToTest action"
            )
        action.add_callback(ready)
        return description, dict(context)

    def cases(self) -> Iterator[unittest.TestCase]:
        """Every test of the run."""
        yield from _cases(self.pre_shutdown_tests)
        yield from _cases(self.post_shutdown_tests)


def load_test_runs(module: ModuleType) -> list[TestRun]:
    """The runs of a test file: one, or one for each value of its parametrisation."""
    function = module.generate_test_description
    if getattr(function, "__parametrized__", False):
        runs = list(function())
    else:
        runs = [(function, {})]
    return [TestRun(module.__name__, function, values, module) for function, values in runs]


def bind(suite: unittest.TestSuite, values: Mapping[str, Any]) -> None:
    """Give tests, and their setUp and tearDown, the values that they name as arguments."""
    classes = set()
    for case in _cases(suite):
        for name in (case._testMethodName, *_BINDABLE):
            setattr(case, name, _bound(getattr(case, name), values))
        classes.add(type(case))
    for test_class in classes:
        for name in _BINDABLE_OF_CLASS:
            setattr(test_class, name, _bound(getattr(test_class, name), values))
        # As in a real launch_testing, for tests that do not name them as arguments.
        for name in ("launch_service", "proc_info", "proc_output", "test_args"):
            if name in values and not hasattr(test_class, name):
                setattr(test_class, name, values[name])


def _bound(function: Callable[..., Any], values: Mapping[str, Any]) -> Callable[..., Any]:
    names = inspect.signature(function).parameters
    return functools.partial(function, **{k: v for k, v in values.items() if k in names})


def _ready_actions(entities: Iterable[LaunchDescriptionEntity]) -> Iterator[ReadyToTest]:
    for entity in entities:
        if isinstance(entity, ReadyToTest):
            yield entity
        yield from _ready_actions(entity.describe_sub_entities())
        for _, inner in entity.describe_conditional_sub_entities():
            yield from _ready_actions(inner)


def _load(module: ModuleType, *, after: bool) -> unittest.TestSuite:
    """Tests of the module's classes, each in a class of its own that this run may change."""
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    # unittest would forget its cases while it runs, but their results name them.
    suite._removeTestAtIndex = lambda index: None  # type: ignore[attr-defined,method-assign]
    for value in vars(module).values():
        if not (isinstance(value, type) and issubclass(value, unittest.TestCase)):
            continue
        if value.__module__.partition(".")[0] == "unittest":
            continue
        if after == getattr(value, "__post_shutdown_test__", False):
            own = type(value.__name__, (value,), {"__module__": value.__module__})
            for case in loader.loadTestsFromTestCase(own):
                suite.addTest(case)
    return suite


def _cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from _cases(one)
        else:
            yield one
