"""Watches over what should happen in time: deadlines of messages, leases of liveliness.

They run on steady time in the inbox of their node, so somebody must spin it to be told; a node that
was not spun meanwhile is told when it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .ready import LOCK

if TYPE_CHECKING:
    from .ready import Inbox


class _Watch:
    """What deadlines and leases share. All methods with ``_locked`` need LOCK."""

    def __init__(self, inbox: Inbox, period_ns: int) -> None:
        self._inbox = inbox
        self._period_ns = period_ns
        self._armed: Any = None
        self._due_ns: int | None = None
        self._closed = False

    def note(self) -> None:
        """It happened."""
        with LOCK:
            if self._closed:
                return
            now = time.monotonic_ns()
            self._settle_locked(now)
            self._noted_locked()
            self._due_ns = now + self._period_ns
            # Not armed anew each time: who finds it happened since looks again when it is due.
            self._arm_locked()

    def _arm_locked(self) -> None:
        if self._armed is None and self._due_ns is not None and not self._closed:
            self._inbox.add_timer(self._due_ns, self)

    def _become_ready(self) -> None:
        """Called by the inbox, with LOCK held, when what was armed is due."""
        self._settle_locked(time.monotonic_ns())
        self._arm_locked()

    def _settle_locked(self, now_ns: int) -> None:
        raise NotImplementedError

    def _noted_locked(self) -> None:
        """What else happens when it happened."""

    def close(self) -> None:
        """Watch no more."""
        with LOCK:
            self._closed = True
            self._armed = None


class Deadline(_Watch):
    """Calls ``missed_locked(count)`` for every period without a message, from the first one on."""

    def __init__(self, inbox: Inbox, period_ns: int, missed_locked: Callable[[int], None]) -> None:
        super().__init__(inbox, period_ns)
        self._missed_locked = missed_locked

    def _settle_locked(self, now_ns: int) -> None:
        if self._due_ns is not None and self._due_ns <= now_ns:
            count = 1 + (now_ns - self._due_ns) // self._period_ns
            self._due_ns += count * self._period_ns
            self._missed_locked(count)


class Lease(_Watch):
    """Calls ``changed_locked(alive)`` when it was not asserted in time, and when it is again."""

    def __init__(
        self, inbox: Inbox, period_ns: int, changed_locked: Callable[[bool], None]
    ) -> None:
        super().__init__(inbox, period_ns)
        self._changed_locked = changed_locked
        self.alive = True
        self.note()

    def _settle_locked(self, now_ns: int) -> None:
        if self._due_ns is not None and self._due_ns <= now_ns:
            self._due_ns = None
            self.alive = False
            self._changed_locked(False)

    def _noted_locked(self) -> None:
        if not self.alive:
            self.alive = True
            self._changed_locked(True)
