"""Fills a buffer from the topics /tf and /tf_static."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from pocket_ros.rclpy.callback_groups import ReentrantCallbackGroup
from pocket_ros.rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from pocket_ros.rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from pocket_ros.tf2_ros.buffer import Buffer

if TYPE_CHECKING:
    from pocket_ros.rclpy.node import Node

_AUTHORITY = "default_authority"


class TransformListener:
    """Hears transforms for a buffer.

    Args:
        buffer: to be filled.
        node: that subscribes.
        spin_thread: spin the node in a thread of the listener's.
        qos: of the subscription to /tf.
        static_qos: of the subscription to /tf_static.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        from pocket_ros import idl

        message = idl.load("tf2_msgs/msg/TFMessage")
        self.buffer, self.node = buffer, node
        # Whoever waits for a transform in a callback must not keep it from coming.
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            message,
            "/tf",
            self.callback,
            _profile(DurabilityPolicy.VOLATILE) if qos is None else qos,
            callback_group=self.group,
        )
        self.tf_static_sub = node.create_subscription(
            message,
            "/tf_static",
            self.static_callback,
            _profile(DurabilityPolicy.TRANSIENT_LOCAL) if static_qos is None else static_qos,
            callback_group=self.group,
        )
        self._executor: SingleThreadedExecutor | None = None
        if spin_thread:
            self._executor = SingleThreadedExecutor(context=node.context)
            self._executor.add_node(node)
            self._thread = threading.Thread(
                target=_spin, args=(self._executor,), name="tf2 listener", daemon=True
            )
            self._thread.start()

    def unregister(self) -> None:
        """Hear no more."""
        if self._executor is not None:
            self._executor.shutdown()
            self._thread.join()
            self._executor = None
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: Any) -> None:
        """Take a message of /tf."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, _AUTHORITY)

    def static_callback(self, data: Any) -> None:
        """Take a message of /tf_static."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, _AUTHORITY)


def _profile(durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=100, durability=durability, history=HistoryPolicy.KEEP_LAST)


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()
