"""Who gets which device and position next: the one place that decides.

A request is granted whole or not at all, and names alternatives. Nothing is held while something
else is waited for: what a grant takes is held by the attempt that begins at once, and is free when
that attempt ends. With every crucible keeping its home position in the rack, any crucible at rest
can always be carried out of the way, so no circle of waiting can form.

The order is priority, then deadline, then age, among those who began to wait in the same stretch
of `AGING_NS`; an earlier stretch goes before a later one. So nobody starves: nobody is ever
overtaken by one who began to wait `AGING_NS` or more after him, whatever the priorities, and those
who began before that are finitely many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Task = TypeVar("_Task")

AGING_NS = 6 * 3600 * 1_000_000_000
"""Stretch of ROS time within which priority counts for more than waiting."""

NO_DEADLINE = 2**63


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
    """Among equals the lower is served first; unique among them."""
    alternatives: tuple[Alternative[_Task], ...]
    """The first that is free is taken."""
    deadline_ns: int = NO_DEADLINE
    """ROS time at which it should have begun; among equal priorities the earlier goes first."""
    since_ns: int = 0
    """ROS time since which it waits."""


def stretch(since_ns: int) -> int:
    """Number of the stretch of time in which somebody began to wait."""
    return since_ns // AGING_NS


def rank(request: Request[_Task]) -> tuple[int, int, int, int]:
    """Place in the order of service: the lowest is served first; it never changes."""
    return stretch(request.since_ns), -request.priority, request.deadline_ns, request.age


def choose(
    requests: Iterable[Request[_Task]], is_free: Callable[[str], bool]
) -> Alternative[_Task] | None:
    """The alternative to begin next, None where nothing can begin.

    Args:
        requests: all that could begin.
        is_free: whether a resource can be taken at this moment.
    """
    for request in sorted(requests, key=rank):
        for alternative in request.alternatives:
            if all(is_free(resource) for resource in alternative.resources):
                return alternative
    return None
