"""Marks of test descriptions and tests."""

from __future__ import annotations

import functools
import threading
import unittest
from collections.abc import Callable
from typing import Any

__all__ = ["keep_alive", "retry_on_failure"]


def keep_alive(test_description: Callable[..., Any]) -> Callable[..., Any]:
    """Lets the launch go on when its processes have ended before the tests."""
    markers = getattr(test_description, "__markers__", {})
    test_description.__markers__ = {**markers, "keep_alive": True}  # type: ignore[attr-defined]
    return test_description


def retry_on_failure(
    *, times: int, delay: float | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Has a test tried again when an assertion fails, `times` in all, `delay` seconds apart."""
    if times < 1:
        raise ValueError("a test has to be tried at least once")

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def tries(self: unittest.TestCase, *args: Any, **kwargs: Any) -> Any:
            for _ in range(times - 1):
                try:
                    return test(self, *args, **kwargs)
                except AssertionError:
                    threading.Event().wait(delay or 0.0)
            return test(self, *args, **kwargs)

        return tries

    return decorate
