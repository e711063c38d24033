"""Tells of transforms on the topics /tf and /tf_static."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pocket_ros.rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile

if TYPE_CHECKING:
    from pocket_ros.rclpy.node import Node


class TransformBroadcaster:
    """Tells of transforms that change."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        self._kind = _tf_message()
        self.pub_tf = node.create_publisher(
            self._kind, "/tf", QoSProfile(depth=100) if qos is None else qos
        )

    def sendTransform(self, transform: Any) -> None:
        """Publish a TransformStamped, or several."""
        self.pub_tf.publish(self._kind(transforms=_listed(transform)))


class StaticTransformBroadcaster:
    """Tells of transforms that hold for good: latched, all of this broadcaster's together."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        latched = QoSProfile(
            depth=1,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
            history=HistoryPolicy.KEEP_LAST,
        )
        self._kind = _tf_message()
        self.pub_tf = node.create_publisher(
            self._kind, "/tf_static", latched if qos is None else qos
        )
        self._by_child: dict[str, Any] = {}

    def sendTransform(self, transform: Any) -> None:
        """Publish a TransformStamped, or several, with those before; a newer one replaces its own.

        A real tf2_ros of Jazzy goes on with the first one of each child frame.
        """
        for one in _listed(transform):
            self._by_child[one.child_frame_id] = one
        self.pub_tf.publish(self._kind(transforms=list(self._by_child.values())))


def _tf_message() -> Any:
    from pocket_ros import idl

    return idl.load("tf2_msgs/msg/TFMessage")


def _listed(transform: Any) -> list[Any]:
    return list(transform) if isinstance(transform, Iterable) else [transform]
