"""Who gets which device and position next: the one place that decides.

A request is granted whole or not at all, and names alternatives. Nothing is held while something
else is waited for: what a grant takes is held by the attempt that begins at once, and is free when
that attempt ends. With every crucible keeping its home position in the rack, any crucible at rest
can always be carried out of the way, so no circle of waiting can form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

_Task = TypeVar("_Task")


@dataclass(frozen=True)
class Alternative(Generic[_Task]):
    """One way to satisfy a request: everything it needs at once, and what it would start."""

    resources: tuple[str, ...]
    """Names of devices and positions; the two never collide, positions hold a slash."""
    task: _Task


@dataclass(frozen=True)
class Request(Generic[_Task]):
    """Something that could begin now if its resources are free."""

    priority: int
    """Higher is served first."""
    age: int
    """Among equal priorities the lower is served first; unique among them."""
    alternatives: tuple[Alternative[_Task], ...]
    """The first that is free is taken."""


def choose(
    requests: Sequence[Request[_Task]], is_free: Callable[[str], bool]
) -> Alternative[_Task] | None:
    """The alternative to begin next, None where nothing can begin.

    Args:
        requests: all that could begin.
        is_free: whether a resource can be taken at this moment.
    """
    for request in sorted(requests, key=lambda item: (-item.priority, item.age)):
        for alternative in request.alternatives:
            if all(is_free(resource) for resource in alternative.resources):
                return alternative
    return None
