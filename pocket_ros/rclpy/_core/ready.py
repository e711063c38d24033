"""What waits to be executed: entities with queues, each node's inbox, one lock over all.

Threads of zenoh only append here. Every item gets the number of its arrival, so an executor can
take work in the order in which it came in, whichever entity it came in at. One lock for the
process guards queues, inboxes, callback groups and timers; nothing foreign is called under it.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..callback_groups import CallbackGroup
    from ..executors import Executor
    from ..timer import Timer
    from .watches import _Watch

LOCK = threading.Lock()
_arrivals = itertools.count(1)
_current = threading.local()


def next_arrival() -> int:
    """Return the number of something that arrives now."""
    return next(_arrivals)


def current_arrival() -> int:
    """Return the number of the item that this thread executes, else a new one.

    What an item sets going (callbacks of a future that it completed) keeps the item's place.
    """
    number = getattr(_current, "number", 0)
    return number or next(_arrivals)


def set_current_arrival(number: int) -> None:
    """Remember what this thread executes; 0 for nothing."""
    _current.number = number


class Inbox:
    """All that is ready at one node, and its timers on clocks that run by themselves."""

    def __init__(self) -> None:
        self.ready: dict[Executable, None] = {}
        self.executor: Executor | None = None
        self._timers: list[tuple[int, int, Timer | _Watch]] = []

    def wake(self) -> None:
        """Tell the executor that there is work. LOCK must be held."""
        if self.executor is not None:
            self.executor._rclpy_notify_work()

    def add_timer(self, deadline_ns: int, timer: Timer | _Watch) -> None:
        """Let ``timer`` become ready at a steady time. LOCK must be held."""
        entry = (deadline_ns, next_arrival(), timer)
        timer._armed = entry
        heapq.heappush(self._timers, entry)
        if self._timers[0] is entry and self.executor is not None:
            self.executor._rclpy_notify_timers()

    def next_deadline(self) -> int | None:
        """Return the earliest steady deadline of a timer. LOCK must be held."""
        timers = self._timers
        while timers and timers[0][2]._armed is not timers[0]:
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def promote_due_timers(self) -> bool:
        """Make all due timers ready; False if there was none. LOCK must be held."""
        deadline = self.next_deadline()
        if deadline is None:
            return False
        now = time.monotonic_ns()
        promoted = False
        while deadline is not None and deadline <= now:
            timer = heapq.heappop(self._timers)[2]
            timer._armed = None
            timer._become_ready()
            promoted = True
            deadline = self.next_deadline()
        return promoted


class Executable:
    """Something whose items an executor executes: a subscription, service, client or timer."""

    def __init__(
        self, inbox: Inbox, callback_group: CallbackGroup | None, depth: int | None = None
    ) -> None:
        self._inbox = inbox
        self.callback_group = callback_group
        self._items: collections.deque[tuple[int, Any]] = collections.deque()
        self._depth = depth
        self._destroyed = False
        if callback_group is not None:
            callback_group.add_entity(self)

    def _post(self, data: Any) -> Any:
        """Append an item; return the one it pushed out, if the queue was full."""
        with LOCK:
            return self._post_locked(data)

    def _post_locked(self, data: Any) -> Any:
        if self._destroyed:
            return data
        items = self._items
        lost = None
        if self._depth is not None and len(items) >= self._depth:
            lost = items.popleft()[1]
        items.append((next(_arrivals), data))
        inbox = self._inbox
        inbox.ready[self] = None
        inbox.wake()
        return lost

    def _take_locked(self) -> tuple[int, Any]:
        item = self._items.popleft()
        if not self._items:
            del self._inbox.ready[self]
        return item

    def _discard_items(self) -> list[Any]:
        """Refuse further items and return those that nobody executed."""
        with LOCK:
            self._destroyed = True
            left = [data for _, data in self._items]
            self._items.clear()
            self._inbox.ready.pop(self, None)
        return left

    def _execute(self, data: Any) -> Any:
        """Do the work of one item; return a coroutine if it goes on later."""
        raise NotImplementedError


class Once:
    """Lets a complaint pass the first time only."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._said = False

    def __call__(self, text: str) -> None:
        if not self._said:
            self._said = True
            self._say(text)
