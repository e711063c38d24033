"""Clocks: ROS time (which may follow ``/clock``), system time and steady time."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from ._core.ready import LOCK
from .clock_type import ClockType
from .context import Context
from .duration import Duration
from .exceptions import NotInitializedException
from .time import Time
from .utilities import get_default_context

if TYPE_CHECKING:
    from .timer import Timer

__all__ = [
    "Clock",
    "ClockChange",
    "ClockType",
    "JumpHandle",
    "JumpThreshold",
    "ROSClock",
    "TimeJump",
]


class ClockChange(IntEnum):
    """What happened to the source of ROS time."""

    ROS_TIME_NO_CHANGE = 1
    ROS_TIME_ACTIVATED = 2
    ROS_TIME_DEACTIVATED = 3
    SYSTEM_TIME_NO_CHANGE = 4


class JumpThreshold:
    """From which jump on to call back: forward (> 0), backward (< 0), or a change of source."""

    def __init__(
        self,
        *,
        min_forward: Duration | None,
        min_backward: Duration | None,
        on_clock_change: bool = True,
    ) -> None:
        if min_forward is None and min_backward is None and not on_clock_change:
            raise ValueError(
                "At least one of min_forward, min_backward or on_clock_change must be given."
            )
        if min_forward is not None and min_forward.nanoseconds <= 0:
            raise ValueError("min_forward must be a positive non-zero duration")
        if min_backward is not None and min_backward.nanoseconds >= 0:
            raise ValueError("min_backward must be a negative non-zero duration")
        self.min_forward = min_forward
        self.min_backward = min_backward
        self.on_clock_change = on_clock_change

    def _met_by(self, jump: TimeJump) -> bool:
        if jump.clock_change in (
            ClockChange.ROS_TIME_ACTIVATED,
            ClockChange.ROS_TIME_DEACTIVATED,
        ):
            return self.on_clock_change
        delta = jump.delta.nanoseconds
        if self.min_forward is not None and delta >= self.min_forward.nanoseconds:
            return True
        return self.min_backward is not None and delta <= self.min_backward.nanoseconds


class TimeJump:
    """A jump of a clock."""

    def __init__(self, clock_change: ClockChange, delta: Duration) -> None:
        if not isinstance(clock_change, ClockChange):
            raise TypeError("clock_change must be an instance of rclpy.clock.ClockChange")
        self._clock_change = clock_change
        self._delta = delta

    @property
    def clock_change(self) -> ClockChange:
        """Whether the source changed."""
        return self._clock_change

    @property
    def delta(self) -> Duration:
        """By how much the clock jumped."""
        return self._delta


class JumpHandle:
    """A registered jump callback; keep it as long as it shall be called."""

    def __init__(
        self,
        *,
        clock: Clock,
        threshold: JumpThreshold,
        pre_callback: Callable[[], Any] | None,
        post_callback: Callable[[TimeJump], Any] | None,
    ) -> None:
        if pre_callback is None and post_callback is None:
            raise ValueError("One of pre_callback or post_callback must be callable")
        for callback in (pre_callback, post_callback):
            if callback is not None and not callable(callback):
                raise ValueError("pre_callback and post_callback must be callable if given")
        self._clock: Clock | None = clock
        self._threshold = threshold
        self._pre = pre_callback
        self._post = post_callback

    def unregister(self) -> None:
        """Stop being called."""
        clock, self._clock = self._clock, None
        if clock is not None:
            with LOCK:
                clock._jump_handles.pop(id(self), None)

    def __enter__(self) -> JumpHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.unregister()


class Clock:
    """A clock of one type. ``Clock(clock_type=ClockType.ROS_TIME)`` makes a :class:`ROSClock`."""

    def __new__(cls, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> Clock:
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        if clock_type is ClockType.ROS_TIME and not issubclass(cls, ROSClock):
            cls = ROSClock
        clock = super().__new__(cls)
        clock._clock_type = clock_type
        clock._jump_handles = {}
        clock._timers = weakref.WeakSet()
        clock._override_ns = None
        return clock

    _clock_type: ClockType
    _jump_handles: dict[int, weakref.ref[JumpHandle]]
    _timers: weakref.WeakSet[Timer]
    _override_ns: int | None

    @property
    def clock_type(self) -> ClockType:
        """Its type."""
        return self._clock_type

    def __repr__(self) -> str:
        return f"Clock(clock_type={self._clock_type.name})"

    def _now_ns(self) -> int:
        if self._override_ns is not None:
            return self._override_ns
        return time.monotonic_ns() if self._clock_type == 3 else time.time_ns()

    def now(self) -> Time:
        """Return its time."""
        return Time(nanoseconds=self._now_ns(), clock_type=self._clock_type)

    def create_jump_callback(
        self,
        threshold: JumpThreshold,
        *,
        pre_callback: Callable[[], Any] | None = None,
        post_callback: Callable[[TimeJump], Any] | None = None,
    ) -> JumpHandle:
        """Call back before and after jumps.

        The callbacks run in the thread that receives ``/clock`` and so must be brief: set an
        event, trigger a guard condition.
        """
        handle = JumpHandle(
            clock=self,
            threshold=threshold,
            pre_callback=pre_callback,
            post_callback=post_callback,
        )
        with LOCK:
            self._jump_handles[id(handle)] = weakref.ref(handle)
        return handle

    def sleep_until(self, until: Time, context: Context | None = None) -> bool:
        """Sleep until the clock shows ``until``.

        Returns False where the context was shut down or the source of time changed meanwhile.
        Raises ValueError for a time of another type of clock.
        """
        context = get_default_context() if context is None else context
        if not context.ok():
            raise NotInitializedException
        if until.clock_type != self._clock_type:
            raise ValueError("until's clock type does not match this clock's type")
        woken = threading.Condition()
        changed = False

        def wake(jump: TimeJump | None = None) -> None:
            nonlocal changed
            with woken:
                if jump is not None and jump.clock_change in (
                    ClockChange.ROS_TIME_ACTIVATED,
                    ClockChange.ROS_TIME_DEACTIVATED,
                ):
                    changed = True
                woken.notify_all()

        threshold = JumpThreshold(
            min_forward=Duration(nanoseconds=1),
            min_backward=Duration(nanoseconds=-1),
            on_clock_change=True,
        )
        context._add_sleeper(wake)
        try:
            with self.create_jump_callback(threshold, post_callback=wake), woken:
                while context.ok() and not changed:
                    remaining = until.nanoseconds - self._now_ns()
                    if remaining <= 0:
                        return True
                    simulated = self._override_ns is not None
                    woken.wait(None if simulated else remaining * 1e-9)
        finally:
            context._remove_sleeper(wake)
        return False

    def sleep_for(self, rel_time: Duration, context: Context | None = None) -> bool:
        """Sleep for a time of this clock; see :meth:`sleep_until`."""
        return self.sleep_until(self.now() + rel_time, context)

    def _jump(self, change: ClockChange, override_ns: int | None) -> None:
        """Set the override, let timers follow and call the jump callbacks."""
        with LOCK:
            before = self._now_ns()
            after = time.time_ns() if override_ns is None else override_ns
            jump = TimeJump(change, Duration(nanoseconds=after - before))
            handles = [
                handle
                for reference in self._jump_handles.values()
                if (handle := reference()) is not None and handle._threshold._met_by(jump)
            ]
        for handle in handles:
            if handle._pre is not None:
                handle._pre()
        with LOCK:
            self._override_ns = override_ns
            for timer in list(self._timers):
                timer._follow_jump(change, before, after)
        for handle in handles:
            if handle._post is not None:
                handle._post(jump)


class ROSClock(Clock):
    """ROS time: the system's, or that of ``/clock`` when the override is enabled."""

    def __new__(cls) -> ROSClock:
        return super().__new__(cls, clock_type=ClockType.ROS_TIME)  # type: ignore[return-value]

    @property
    def ros_time_is_active(self) -> bool:
        """Whether it follows ``/clock``."""
        return self._override_ns is not None

    def _set_ros_time_is_active(self, enabled: bool) -> None:
        if enabled and self._override_ns is None:
            self._jump(ClockChange.ROS_TIME_ACTIVATED, 0)
        elif not enabled and self._override_ns is not None:
            self._jump(ClockChange.ROS_TIME_DEACTIVATED, None)

    def set_ros_time_override(self, time: Time) -> None:
        """Let it show ``time``, while the override is enabled."""
        if not isinstance(time, Time):
            raise TypeError("Time must be specified as rclpy.time.Time.")
        self._override(time.nanoseconds)

    def _override(self, nanoseconds: int) -> None:
        if self._override_ns is not None and nanoseconds != self._override_ns:
            self._jump(ClockChange.ROS_TIME_NO_CHANGE, nanoseconds)
