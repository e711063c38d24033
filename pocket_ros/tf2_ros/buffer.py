"""The buffer: transforms by frame and time, for several threads."""

from __future__ import annotations

import math
import threading
import time as steady
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pocket_ros.rclpy.clock import Clock, JumpThreshold
from pocket_ros.rclpy.duration import Duration
from pocket_ros.rclpy.logging import get_logger
from pocket_ros.rclpy.task import Future
from pocket_ros.rclpy.time import Time
from pocket_ros.tf2_ros.exceptions import InvalidArgumentException, TransformException
from pocket_ros.tf2_ros.geometry import Rigid, compose, normalized
from pocket_ros.tf2_ros.tree import FrameTree

if TYPE_CHECKING:
    from pocket_ros.rclpy.node import Node

_CACHE_S = 10.0
_UNIT_TOLERANCE = 1e-2
_NOW = Duration()
"""No timeout."""


class Buffer:
    """Holds transforms and answers where a frame was in another.

    Args:
        cache_time: how long transforms are kept, back from each frame's latest; 10 s by default.
        node: whose clock it follows, and which offers the service tf2_frames. When the clock jumps
            back, all that is not static is forgotten.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        self._cache = Duration(seconds=_CACHE_S) if cache_time is None else cache_time
        self._tree = FrameTree(self._cache.nanoseconds)
        self._authorities: dict[str, str] = {}
        self._changed = threading.Condition(threading.RLock())
        self._waiting: list[Callable[[], None]] = []
        self._log = get_logger("tf2_buffer")
        self.clock = Clock() if node is None else node.get_clock()
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jump_handle = self.clock.create_jump_callback(threshold, post_callback=self._on_jump)
        if node is not None:
            from pocket_ros import idl

            frame_graph = idl.load("tf2_msgs/srv/FrameGraph")
            self.srv = node.create_service(frame_graph, "tf2_frames", self._answer)

    def set_transform(self, transform: Any, authority: str) -> None:
        """Add a TransformStamped; one that is wrong or too old is dropped with a warning."""
        self._set(transform, authority, is_static=False)

    def set_transform_static(self, transform: Any, authority: str) -> None:
        """Add a TransformStamped that holds at all times."""
        self._set(transform, authority, is_static=True)

    def clear(self) -> None:
        """Forget all but what is static."""
        with self._changed:
            self._tree.clear()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Any, timeout: Duration = _NOW
    ) -> Any:
        """What takes coordinates in `source_frame` to those in `target_frame`.

        Args:
            target_frame: in which the result is.
            source_frame: what it describes.
            time: a Time; zero asks for the latest.
            timeout: how long to wait for it, in steady time. Who waits must not be the only thread
                that spins the listener.

        Returns a TransformStamped. Raises LookupException, ConnectivityException or
        ExtrapolationException.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Any) -> Any:
        """`lookup_transform` without waiting."""
        target, source = _valid(target_frame), _valid(source_frame)
        with self._changed:
            stamp, transform = self._tree.lookup(target, source, _nanoseconds(time))
        return _message(target, source, stamp, transform)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration = _NOW,
    ) -> Any:
        """The same between two times, with a frame that did not move in between."""
        self.can_transform_full(
            target_frame, target_time, source_frame, source_time, fixed_frame, timeout
        )
        return self.lookup_transform_full_core(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def lookup_transform_full_core(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> Any:
        """`lookup_transform_full` without waiting."""
        target, source, fixed = _valid(target_frame), _valid(source_frame), _valid(fixed_frame)
        with self._changed:
            _, first = self._tree.lookup(fixed, source, _nanoseconds(source_time))
            stamp, second = self._tree.lookup(target, fixed, _nanoseconds(target_time))
        return _message(target, source, stamp, compose(second, first))

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Any,
        timeout: Duration = _NOW,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Whether `lookup_transform` would succeed within the timeout; with the reason if asked."""
        return self._can(
            lambda: self.can_transform_core(target_frame, source_frame, time),
            timeout,
            return_debug_tuple,
        )

    def can_transform_core(
        self, target_frame: str, source_frame: str, time: Any
    ) -> tuple[bool, str]:
        """Whether `lookup_transform_core` would succeed, and if not, why."""
        return _try(lambda: self.lookup_transform_core(target_frame, source_frame, time))

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration = _NOW,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Whether `lookup_transform_full` would succeed within the timeout."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return self._can(
            lambda: self.can_transform_full_core(*arguments), timeout, return_debug_tuple
        )

    def can_transform_full_core(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> tuple[bool, str]:
        """Whether `lookup_transform_full_core` would succeed, and if not, why."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return _try(lambda: self.lookup_transform_full_core(*arguments))

    async def lookup_transform_async(self, target_frame: str, source_frame: str, time: Any) -> Any:
        """`lookup_transform`, when it becomes possible."""
        await self.wait_for_transform_async(target_frame, source_frame, time)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Any) -> Future:
        """A future with the transform, done when it becomes possible."""
        future = Future()

        def look() -> None:
            if future.done() or not self.can_transform_core(target_frame, source_frame, time)[0]:
                return
            future.set_result(self.lookup_transform_core(target_frame, source_frame, time))

        with self._changed:
            look()
            if not future.done():
                self._waiting.append(look)
                future.add_done_callback(lambda _: self._forget(look))
        return future

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """The time that a lookup with time zero would use."""
        with self._changed:
            stamp, _ = self._tree.lookup(_valid(target_frame), _valid(source_frame), 0)
        return Time(nanoseconds=stamp, clock_type=self.clock.clock_type)

    def all_frames_as_yaml(self) -> str:
        """Every frame with its parent, who told of it, and the times known."""
        lines = []
        with self._changed:
            for name, track in sorted(self._tree.tracks.items()):
                lines += [
                    f"{name}: ",
                    f"  parent: '{track.parents[-1]}'",
                    f"  broadcaster: '{self._authorities.get(name, '')}'",
                    f"  most_recent_transform: {track.times[-1] / 1e9:.6f}",
                    f"  oldest_transform: {track.times[0] / 1e9:.6f}",
                    f"  buffer_length: {(track.times[-1] - track.times[0]) / 1e9:.3f}",
                ]
        return "\n".join(lines) + "\n" if lines else "[]"

    def all_frames_as_string(self) -> str:
        """Every frame with its parent, in sentences."""
        with self._changed:
            return "".join(
                f"Frame {name} exists with parent {track.parents[-1]}.\n"
                for name, track in sorted(self._tree.tracks.items())
            )

    def _set(self, message: Any, authority: str, *, is_static: bool) -> None:
        child, parent = _stripped(message.child_frame_id), _stripped(message.header.frame_id)
        stamp = _nanoseconds(message.header.stamp)
        try:
            transform = _checked(message, child, parent)
        except InvalidArgumentException as error:
            self._log.error(f"dropped a transform of {authority}: {error}")
            return
        with self._changed:
            is_kept = self._tree.insert(child, parent, stamp, transform, is_static=is_static)
            self._authorities[child] = authority
            self._changed.notify_all()
            waiting = list(self._waiting)
        if not is_kept:
            self._log.warning(
                f"TF_OLD_DATA ignoring data from the past for frame {child} at time "
                f"{stamp / 1e9:.6f} according to authority {authority}",
                throttle_duration_sec=10.0,
            )
        for look in waiting:
            look()

    def _can(
        self, question: Callable[[], tuple[bool, str]], timeout: Duration, with_reason: bool
    ) -> Any:
        deadline = steady.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            answer = question()
            while not answer[0] and (left := deadline - steady.monotonic()) > 0:
                self._changed.wait(left)
                answer = question()
        return answer if with_reason else answer[0]

    def _forget(self, look: Callable[[], None]) -> None:
        with self._changed:
            if look in self._waiting:
                self._waiting.remove(look)

    def _on_jump(self, _jump: Any) -> None:
        self._log.warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

    def _answer(self, _request: Any, response: Any) -> Any:
        response.frame_yaml = self.all_frames_as_yaml()
        return response


def _nanoseconds(time: Any) -> int:
    """Nanoseconds of a Time or of its message."""
    if hasattr(time, "nanoseconds"):
        return int(time.nanoseconds)
    return int(time.sec) * 10**9 + int(time.nanosec)


def _stripped(frame: str) -> str:
    return frame[1:] if frame.startswith("/") else frame


def _valid(frame: str) -> str:
    """A frame's name in a question. Raises InvalidArgumentException."""
    if not frame:
        raise InvalidArgumentException("frame_id cannot be empty")
    if frame.startswith("/"):
        raise InvalidArgumentException(f'frame_id "{frame}" cannot start with a slash like "/..."')
    return frame


def _checked(message: Any, child: str, parent: str) -> Rigid:
    """The message's transform. Raises InvalidArgumentException."""
    if not child or not parent:
        raise InvalidArgumentException("frame_id and child_frame_id must be set")
    if child == parent:
        raise InvalidArgumentException(f'the frame "{child}" is its own parent')
    t, q = message.transform.translation, message.transform.rotation
    numbers = (t.x, t.y, t.z, q.x, q.y, q.z, q.w)
    if not all(map(math.isfinite, numbers)):
        raise InvalidArgumentException(f'the transform of "{child}" holds nan or infinity')
    rotation = (q.x, q.y, q.z, q.w)
    if abs(math.fsum(part * part for part in rotation) - 1.0) > _UNIT_TOLERANCE:
        raise InvalidArgumentException(f'the rotation of "{child}" is no unit quaternion')
    return Rigid((t.x, t.y, t.z), normalized(rotation))


def _message(target: str, source: str, stamp: int, transform: Rigid) -> Any:
    from pocket_ros import idl

    message = idl.load("geometry_msgs/msg/TransformStamped")()
    message.header.frame_id = target
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    message.child_frame_id = source
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = transform.translation
    rotation.x, rotation.y, rotation.z, rotation.w = transform.rotation
    return message


def _try(lookup: Callable[[], object]) -> tuple[bool, str]:
    try:
        lookup()
    except TransformException as error:
        return False, str(error)
    return True, ""
