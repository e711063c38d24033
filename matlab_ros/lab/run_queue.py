"""A queue of experiments in an order that is given."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any

Key = tuple[Any, ...]
"""Comparable with the others of its queue."""


class RunQueue:
    """Experiments in order; adding, removing and looking at the first take logarithmic time."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._order: list[tuple[Key, str]] = []

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[str]:
        """All, the first in order first."""
        return (name for _, name in self._order)

    def add(self, name: str, key: Key) -> None:
        """Put an experiment into the queue.

        Args:
            name: its id; not in the queue.
            key: its place in the order.
        """
        self._keys[name] = key
        insort(self._order, (key, name))

    def discard(self, name: str) -> None:
        """Take an experiment out, if it is in."""
        key = self._keys.pop(name, None)
        if key is not None:
            del self._order[bisect_left(self._order, (key, name))]

    def first(self) -> tuple[str, ...]:
        """The first in order; nothing where nobody waits."""
        return (self._order[0][1],) if self._order else ()
