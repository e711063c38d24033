"""Callback groups: which callbacks may run at the same time."""

from __future__ import annotations

import weakref
from typing import Any


class CallbackGroup:
    """Base of callback groups. Executors call the three methods with their lock held."""

    def __init__(self) -> None:
        self.entities: set[weakref.ref[Any]] = set()

    def add_entity(self, entity: Any) -> None:
        """Put an entity in this group."""
        self.entities.add(weakref.ref(entity))

    def has_entity(self, entity: Any) -> bool:
        """Return whether the entity was put in this group."""
        return weakref.ref(entity) in self.entities

    def can_execute(self, entity: Any) -> bool:
        """Return whether a callback of the entity may begin now."""
        raise NotImplementedError

    def beginning_execution(self, entity: Any) -> bool:
        """Note that a callback begins; False if it must not."""
        raise NotImplementedError

    def ending_execution(self, entity: Any) -> None:
        """Note that a callback ended."""
        raise NotImplementedError


class ReentrantCallbackGroup(CallbackGroup):
    """Callbacks of this group run whenever there is a thread."""

    def can_execute(self, entity: Any) -> bool:
        return True

    def beginning_execution(self, entity: Any) -> bool:
        return True

    def ending_execution(self, entity: Any) -> None:
        pass


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """At most one callback of this group runs at a time, awaits included."""

    def __init__(self) -> None:
        super().__init__()
        self._rclpy_active: Any = None

    def can_execute(self, entity: Any) -> bool:
        return self._rclpy_active is None

    def beginning_execution(self, entity: Any) -> bool:
        if self._rclpy_active is not None:
            return False
        self._rclpy_active = entity
        return True

    def ending_execution(self, entity: Any) -> None:
        if self._rclpy_active is entity:
            self._rclpy_active = None
