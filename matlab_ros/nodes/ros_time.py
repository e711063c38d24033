"""A node's ROS time, made so that it can be waited for and never runs behind its messages."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable

from builtin_interfaces.msg import Time as TimeMsg
from rclpy.clock import ClockChange, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

TICK_NS = 1_000_000
"""Nodes act on whole milliseconds plus a phase of their own below one."""

_LOOK_AGAIN_S = 1.0
"""Steady seconds after which a waiter looks again even if nobody told it to."""


def to_ns(stamp: TimeMsg) -> int:
    """Nanoseconds of a time message."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def to_msg(nanoseconds: int) -> TimeMsg:
    """Time message of nanoseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return TimeMsg(sec=seconds, nanosec=rest)


class RosTime:
    """ROS time of one node.

    With simulated time, a message can arrive before the /clock message of the moment it was sent
    at, because the two travel on different ways. `observe` takes the stamp of such a message, so
    that `now_ns` is never before a cause of what is being done. With system time it changes
    nothing: clocks of different machines are not pulled along by each other.

    Args:
        node: whose clock it is.
    """

    def __init__(self, node: Node) -> None:
        self._clock = node.get_clock()
        self._context = node.context
        self._seen_ns = 0
        self._phase_ns = zlib.crc32(node.get_fully_qualified_name().encode()) % TICK_NS
        self._condition = threading.Condition()
        self._generation = 0
        self._awaited: dict[int, int] = {}
        """Moments that threads wait for, by the thread's number."""
        self._jumps = self._clock.create_jump_callback(
            JumpThreshold(
                min_forward=Duration(nanoseconds=1),
                min_backward=Duration(nanoseconds=-1),
                on_clock_change=True,
            ),
            post_callback=self._on_jump,
        )

    @property
    def is_simulated(self) -> bool:
        """Whether it follows /clock."""
        return bool(self._clock.ros_time_is_active)

    def now_ns(self) -> int:
        """ROS time now, in nanoseconds."""
        now: int = self._clock.now().nanoseconds
        return max(now, self._seen_ns) if self._clock.ros_time_is_active else now

    def now_msg(self) -> TimeMsg:
        """ROS time now, as a message."""
        return to_msg(self.now_ns())

    def observe(self, stamp: TimeMsg) -> None:
        """Take note of the stamp of a message that is a cause of what follows."""
        nanoseconds = to_ns(stamp)
        with self._condition:
            self._seen_ns = max(self._seen_ns, nanoseconds)

    def tick_after(self, nanoseconds: int) -> int:
        """The first moment after `nanoseconds` that belongs to this node alone.

        No two nodes have the same phase below a millisecond, so that in simulated time no two of
        them act at the same instant and a campaign repeats itself exactly.
        """
        tick = nanoseconds - nanoseconds % TICK_NS + self._phase_ns
        return tick if tick > nanoseconds else tick + TICK_NS

    def _on_jump(self, jump: TimeJump) -> None:
        """Wake whose moment has come; most moments of simulated time concern somebody else."""
        now_ns = self.now_ns()
        with self._condition:
            is_due = any(moment_ns <= now_ns for moment_ns in self._awaited.values())
        if is_due or jump.clock_change is not ClockChange.ROS_TIME_NO_CHANGE:
            self.notify()

    def notify(self) -> None:
        """Have every waiter look again."""
        with self._condition:
            self._generation += 1
            self._condition.notify_all()

    def wait_until(self, when_ns: int, wake: Callable[[], bool] = lambda: False) -> bool:
        """Block this thread until ROS time reaches `when_ns` or `wake` says so.

        Whoever makes `wake` true calls `notify`.

        Returns:
            True when the time has come, False when woken before.

        Raises:
            ExternalShutdownException: this process is about to end.
        """
        thread = threading.get_ident()
        with self._condition:
            self._awaited[thread] = when_ns
        try:
            return self._wait_until(when_ns, wake)
        finally:
            with self._condition:
                del self._awaited[thread]

    def _wait_until(self, when_ns: int, wake: Callable[[], bool]) -> bool:
        while True:
            # Read the generation before the time: a notice between the two is not missed, and the
            # clock is never asked while the lock is held that its jump callback wants.
            with self._condition:
                generation = self._generation
            if wake():
                return False
            if not self._context.ok():
                raise ExternalShutdownException
            remaining_ns = when_ns - self.now_ns()
            if remaining_ns <= 0:
                return True
            timeout = _LOOK_AGAIN_S
            if not self._clock.ros_time_is_active:
                timeout = min(timeout, remaining_ns * 1e-9)
            with self._condition:
                if generation == self._generation:
                    self._condition.wait(timeout)
