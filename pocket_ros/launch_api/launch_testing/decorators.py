"""Decorators of test descriptions and test classes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])


def post_shutdown_test() -> Callable[[Class], Class]:
    """Marks a class whose tests run when all processes have ended."""

    def decorate(test_class: Class) -> Class:
        if not isinstance(test_class, type):
            raise TypeError("post_shutdown_test decorates classes")
        test_class.__post_shutdown_test__ = True  # type: ignore[attr-defined]
        return test_class

    return decorate


def ready_to_test_action_timeout(timeout: float) -> Callable[[Function], Function]:
    """Sets how many seconds the tests wait for `ReadyToTest`; 15 without this."""

    def decorate(function: Function) -> Function:
        function.__ready_to_test_action_timeout__ = timeout  # type: ignore[attr-defined]
        return function

    return decorate


def parametrize(
    argnames: str, argvalues: Iterable[Any]
) -> Callable[[Callable[..., Any]], Callable[[], Iterator[tuple[Callable[..., Any], dict]]]]:
    """Has a description launched and tested once for each value.

    Args:
        argnames: names of arguments, with commas between them.
        argvalues: a value, or a tuple of values for several names, for each run.
    """
    names = [name.strip() for name in argnames.split(",") if name.strip()]
    values = [value if isinstance(value, tuple) else (value,) for value in argvalues]

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def runs() -> Iterator[tuple[Callable[..., Any], dict[str, Any]]]:
            for value in values:
                arguments = dict(zip(names, value, strict=True))
                bound = functools.partial(function, **arguments)
                functools.update_wrapper(bound, function)
                yield bound, arguments

        runs.__parametrized__ = True  # type: ignore[attr-defined]
        return runs

    return decorate
