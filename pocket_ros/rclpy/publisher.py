"""Publishers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import zenoh
from zenoh import ext

from ..idl import serialize
from ._core import wire
from ._core.endpoint import Endpoint
from ._core.liveliness import own_lease
from ._core.matching import Matching
from ._core.watches import Deadline
from .event_handler import EventHandler, PublisherEventCallbacks, QoSPublisherEventType
from .exceptions import InvalidHandle, RCLError
from .qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    has_manual_lease,
    is_limited,
)

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .node import Node

MsgT = TypeVar("MsgT")

_HEARTBEAT_SEC = 0.5


def _declare(endpoint: Endpoint, qos: QoSProfile) -> Any:
    reliable = qos.reliability is ReliabilityPolicy.RELIABLE
    block = reliable and qos.history is HistoryPolicy.KEEP_ALL
    options: dict[str, Any] = {
        "congestion_control": zenoh.CongestionControl.BLOCK
        if block
        else zenoh.CongestionControl.DROP,
        "reliability": zenoh.Reliability.RELIABLE if reliable else zenoh.Reliability.BEST_EFFORT,
    }
    if qos.durability is not DurabilityPolicy.TRANSIENT_LOCAL:
        return endpoint.session.declare_publisher(endpoint.key, **options)
    return ext.declare_advanced_publisher(
        endpoint.session,
        endpoint.key,
        publisher_detection=True,
        cache=ext.CacheConfig(max_samples=max(1, qos.depth)),
        sample_miss_detection=ext.MissDetectionConfig(
            heartbeat=None, sporadic_heartbeat=_HEARTBEAT_SEC
        )
        if reliable
        else None,
        **options,
    )


class Publisher(Generic[MsgT]):
    """Sends messages to a topic. :meth:`publish` may be called from any thread."""

    def __init__(
        self,
        node: Node,
        msg_type: type[MsgT],
        topic: str,
        qos: QoSProfile,
        event_callbacks: PublisherEventCallbacks | None = None,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self._rclpy_node = node
        self.msg_type = msg_type
        self.topic = topic
        self.qos_profile = qos
        self._rclpy_endpoint = Endpoint(node, wire.PUBLISHER, topic, msg_type, qos)
        self._rclpy_publisher = _declare(self._rclpy_endpoint, qos)
        self._rclpy_lock = threading.Lock()
        self._rclpy_sequence_number = 0
        self._rclpy_destroyed = False
        self.event_handlers: list[EventHandler] = (
            []
            if event_callbacks is None
            else event_callbacks.create_event_handlers(callback_group, self, topic)
        )
        self._rclpy_matching = Matching(
            node.context._live_graph(),
            wire.PUBLISHER,
            topic,
            self._rclpy_endpoint.type_hash,
            qos,
            self.event_handlers,
        )
        self._rclpy_has_lease = has_manual_lease(qos)
        self._rclpy_lease = own_lease(
            self._rclpy_handler(QoSPublisherEventType.RCL_PUBLISHER_LIVELINESS_LOST),
            node._rclpy_inbox,
            qos,
        )
        late = self._rclpy_handler(QoSPublisherEventType.RCL_PUBLISHER_OFFERED_DEADLINE_MISSED)
        self._rclpy_deadline = None
        if late is not None and is_limited(qos.deadline):
            self._rclpy_deadline = Deadline(
                node._rclpy_inbox,
                qos.deadline.nanoseconds,
                lambda count: late._happened_locked(total_count=count),
            )
        self._rclpy_watches = [
            w for w in (self._rclpy_lease, self._rclpy_deadline) if w is not None
        ]
        self._rclpy_endpoint.announce()

    def _rclpy_handler(self, event_type: QoSPublisherEventType) -> EventHandler | None:
        return next((h for h in self.event_handlers if h.event_type is event_type), None)

    def publish(self, msg: MsgT | bytes) -> None:
        """Send a message, or one that is serialised already.

        Raises TypeError for a message of another type, RCLError after the context's shutdown.
        """
        if isinstance(msg, self.msg_type):
            raw = serialize(msg)
        elif isinstance(msg, bytes):
            raw = msg
        else:
            raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")
        if self._rclpy_destroyed:
            raise InvalidHandle(f"the publisher of {self.topic} was destroyed")
        for watch in self._rclpy_watches:
            watch.note()
        gid = self._rclpy_endpoint.gid
        with self._rclpy_lock:
            self._rclpy_sequence_number += 1
            try:
                self._rclpy_publisher.put(
                    raw, attachment=wire.pack_attachment(self._rclpy_sequence_number, gid)
                )
            except zenoh.ZError as error:
                raise RCLError(f"Failed to publish on {self.topic}: {error}") from error

    def _rclpy_publish_unless_down(self, msg: MsgT | bytes) -> None:
        """Send a message of the runtime's own, which nobody misses after a shutdown."""
        try:
            self.publish(msg)
        except RCLError:
            if self._rclpy_node.context.ok():
                raise

    def get_subscription_count(self) -> int:
        """Return how many subscriptions of its topic and type may get its messages."""
        return len(self._rclpy_matching.matched)

    @property
    def topic_name(self) -> str:
        """The topic's full name."""
        return self.topic

    def assert_liveliness(self) -> None:
        """Say that it is alive, where that is not automatic: within each lease, or publish."""
        if not self._rclpy_has_lease or self._rclpy_destroyed:
            return
        if self._rclpy_lease is not None:
            self._rclpy_lease.note()
        endpoint = self._rclpy_endpoint
        try:
            endpoint.session.put(wire.assertion_key(endpoint.key, endpoint.gid), b"")
        except zenoh.ZError as error:
            raise RCLError(f"Failed to assert liveliness on {self.topic}: {error}") from error

    def wait_for_all_acked(self, timeout: Any = None) -> bool:
        """Return True: this wire has no acknowledgements (rmw_zenoh says the same)."""
        return True

    def destroy(self) -> None:
        """Leave the topic."""
        if not self._rclpy_destroyed:
            self._rclpy_destroyed = True
            self._rclpy_matching.close()
            for watch in self._rclpy_watches:
                watch.close()
            self._rclpy_endpoint.withdraw(self._rclpy_publisher)

    def __enter__(self) -> Publisher[MsgT]:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()
