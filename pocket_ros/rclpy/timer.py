"""Timers on any clock, and rates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._core.ready import LOCK, Executable
from .clock import Clock, ClockChange
from .clock_type import ClockType
from .exceptions import InvalidHandle, ROSInterruptException

if TYPE_CHECKING:
    from ._core.ready import Inbox
    from .callback_groups import CallbackGroup
    from .context import Context


class Timer(Executable):
    """Calls back once per period; periods that were missed are skipped."""

    def __init__(
        self,
        callback: Callable[[], Any] | None,
        callback_group: CallbackGroup | None,
        timer_period_ns: int,
        clock: Clock,
        *,
        inbox: Inbox,
        context: Context,
        autostart: bool = True,
    ) -> None:
        if timer_period_ns < 0:
            raise ValueError("timer period must not be negative")
        super().__init__(inbox, callback_group, depth=1)
        self.callback = callback
        self._clock = clock
        self._context = context
        self._period_ns = int(timer_period_ns)
        self._armed: Any = None
        self._waiting = False
        self._cancelled = not autostart
        self._last_call_ns = clock._now_ns()
        self._next_call_ns = self._last_call_ns + self._period_ns
        with LOCK:
            clock._timers.add(self)
            if autostart:
                self._arm()

    # With LOCK held.

    def _arm(self) -> None:
        """Wait for the next call, in the inbox or for a jump of the clock."""
        self._armed = None
        self._waiting = False
        if self._cancelled or self._destroyed or self._items:
            return
        clock = self._clock
        if clock._override_ns is not None:
            if self._next_call_ns <= clock._override_ns:
                self._become_ready()
            else:
                self._waiting = True
            return
        deadline = self._next_call_ns
        if clock.clock_type is not ClockType.STEADY_TIME:
            deadline += time.monotonic_ns() - time.time_ns()
        self._inbox.add_timer(deadline, self)

    def _become_ready(self) -> None:
        self._waiting = False
        if not self._items and not self._cancelled:
            self._post_locked(None)

    def _follow_jump(self, change: ClockChange, before: int, after: int) -> None:
        if change is not ClockChange.ROS_TIME_NO_CHANGE:
            self._next_call_ns += after - before
            self._last_call_ns += after - before
            self._arm()
        elif self._waiting and self._next_call_ns <= after:
            self._become_ready()
        elif after < self._last_call_ns:
            self._last_call_ns = after
            self._next_call_ns = after + self._period_ns
            self._arm()

    def _execute(self, data: Any) -> Any:
        with LOCK:
            if self._cancelled or self._destroyed:
                return None
            now = self._clock._now_ns()
            self._last_call_ns = now
            following = self._next_call_ns + self._period_ns
            if following < now:
                missed = 0 if not self._period_ns else -((following - now) // self._period_ns)
                following = following + missed * self._period_ns if self._period_ns else now
            self._next_call_ns = following
            self._arm()
        return self.callback() if self.callback is not None else None

    # For users

    @property
    def clock(self) -> Clock:
        """The clock that it follows."""
        return self._clock

    @property
    def timer_period_ns(self) -> int:
        """The period; setting it takes effect at the next call."""
        return self._period_ns

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        with LOCK:
            self._period_ns = int(value)

    def is_ready(self) -> bool:
        """Return whether a call is due."""
        self._check()
        with LOCK:
            return not self._cancelled and self._next_call_ns <= self._clock._now_ns()

    def is_canceled(self) -> bool:
        """Return whether it was cancelled."""
        self._check()
        return self._cancelled

    def cancel(self) -> None:
        """Stop it until reset."""
        self._check()
        with LOCK:
            self._cancelled = True
            self._armed = None
            self._waiting = False
            if self._items:
                self._items.clear()
                self._inbox.ready.pop(self, None)

    def reset(self) -> None:
        """Start it, or start its period anew."""
        self._check()
        with LOCK:
            self._cancelled = False
            if self._items:
                self._items.clear()
                self._inbox.ready.pop(self, None)
            self._last_call_ns = self._clock._now_ns()
            self._next_call_ns = self._last_call_ns + self._period_ns
            self._arm()

    def time_since_last_call(self) -> int:
        """Return nanoseconds since the last call, or since the start."""
        self._check()
        return self._clock._now_ns() - self._last_call_ns

    def time_until_next_call(self) -> int | None:
        """Return nanoseconds to the next call (negative where it is late); None if cancelled."""
        self._check()
        return None if self._cancelled else self._next_call_ns - self._clock._now_ns()

    def _check(self) -> None:
        if self._destroyed:
            raise InvalidHandle("the timer was destroyed")

    def destroy(self) -> None:
        """Stop it for good."""
        self._discard_items()
        with LOCK:
            self._armed = None
            self._waiting = False
            self._clock._timers.discard(self)


class Rate:
    """Sleeps in a loop so that it turns at a frequency; the node must be spun elsewhere."""

    def __init__(self, timer: Timer, *, context: Context) -> None:
        self._timer = timer
        self._context = context
        self._event = threading.Event()
        self._destroyed = False
        timer.callback = self._event.set
        context._add_sleeper(self._event.set)

    def sleep(self) -> None:
        """Block until the timer fires; ROSInterruptException on shutdown or destruction."""
        if self._destroyed:
            raise RuntimeError("Rate cannot sleep because it has been destroyed")
        self._event.wait()
        self._event.clear()
        if self._destroyed or not self._context.ok():
            self.destroy()
            raise ROSInterruptException

    def destroy(self) -> None:
        """Release whoever sleeps."""
        self._destroyed = True
        self._context._remove_sleeper(self._event.set)
        self._event.set()
