"""Subscriptions."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

from zenoh import ext, handlers

from ..idl import CdrError, deserialize
from ._core import wire
from ._core.endpoint import Endpoint
from ._core.matching import LossCounter, Matching
from ._core.ready import Executable, Once
from ._core.watches import Deadline
from .event_handler import EventHandler, QoSSubscriptionEventType, SubscriptionEventCallbacks
from .qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, is_limited

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .node import Node

MsgT = TypeVar("MsgT")


class MessageInfo(TypedDict):
    """What is known about how a message came. Stamps in nanoseconds since the epoch."""

    source_timestamp: int
    received_timestamp: int
    publication_sequence_number: int | None
    reception_sequence_number: int | None


def declare_subscriber(endpoint: Endpoint, qos: QoSProfile, callback: Callable[[Any], Any]) -> Any:
    """Subscribe on the wire; ``callback(sample)`` runs in a thread of zenoh."""
    # Indirect callbacks would run in threads that keep a process from ending.
    handler = handlers.Callback(callback, indirect=False)
    if qos.durability is not DurabilityPolicy.TRANSIENT_LOCAL:
        return endpoint.session.declare_subscriber(endpoint.key, handler)
    reliable = qos.reliability is ReliabilityPolicy.RELIABLE
    return ext.declare_advanced_subscriber(
        endpoint.session,
        endpoint.key,
        handler,
        subscriber_detection=True,
        history=ext.HistoryConfig(detect_late_publishers=True, max_samples=max(1, qos.depth)),
        recovery=ext.RecoveryConfig(periodic_queries=None, heartbeat=True) if reliable else None,
    )


def _takes_info(callback: Callable[..., Any]) -> bool:
    """Return whether a callback wants (message, info) rather than (message)."""
    try:
        inspect.signature(callback).bind(object())
    except TypeError:
        pass
    except ValueError:
        return False
    else:
        return False
    try:
        inspect.signature(callback).bind(object(), object())
    except TypeError:
        raise RuntimeError(
            "Subscription.__init__(): callback should be either be callable with one argument"
            "(to get only the message) or two (to get message and message info)"
        ) from None
    return True


class Subscription(Executable, Generic[MsgT]):
    """Receives a topic's messages, the oldest dropped where the queue is full."""

    class CallbackType(Enum):
        """What the callback wants."""

        MessageOnly = 0
        WithMessageInfo = 1

    def __init__(
        self,
        node: Node,
        msg_type: type[MsgT],
        topic: str,
        callback: Callable[..., Any],
        callback_group: CallbackGroup | None,
        qos: QoSProfile,
        raw: bool,
        event_callbacks: SubscriptionEventCallbacks | None = None,
    ) -> None:
        depth = None if qos.history is HistoryPolicy.KEEP_ALL else max(1, qos.depth)
        super().__init__(node._rclpy_inbox, callback_group, depth)
        self._node = node
        self.msg_type = msg_type
        self.topic = topic
        self.qos_profile = qos
        self.raw = raw
        self.callback = callback
        self._complain = Once(node.get_logger().error)
        self._received = 0
        self._endpoint = Endpoint(node, wire.SUBSCRIPTION, topic, msg_type, qos)
        self.event_handlers: list[EventHandler] = (
            []
            if event_callbacks is None
            else event_callbacks.create_event_handlers(callback_group, self, topic)
        )
        handlers_by_type = {handler.event_type: handler for handler in self.event_handlers}
        kinds = QoSSubscriptionEventType
        loses = handlers_by_type.get(kinds.RCL_SUBSCRIPTION_MESSAGE_LOST)
        self._losses = None if loses is None else LossCounter(loses)
        late = handlers_by_type.get(kinds.RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED)
        self._deadline = None
        if late is not None and is_limited(qos.deadline):
            self._deadline = Deadline(
                node._rclpy_inbox,
                qos.deadline.nanoseconds,
                lambda count: late._happened_locked(total_count=count),
            )
        # Before the first message comes, it must be known whose messages are withheld.
        self._matching = Matching(
            node.context._live_graph(),
            wire.SUBSCRIPTION,
            topic,
            self._endpoint.type_hash,
            qos,
            self.event_handlers,
        )
        # Tells who is alive: liveliness that is asserted, and messages too, which assert it.
        self._alive = self._matching.alive
        self._assertions = (
            None
            if self._alive is None
            else self._endpoint.session.declare_subscriber(
                wire.assertion_key(self._endpoint.key),
                handlers.Callback(self._on_assertion, indirect=False),
            )
        )
        self._looks_at_attachments = self._losses is not None or self._alive is not None
        self._subscriber = declare_subscriber(self._endpoint, qos, self._on_sample)
        self._endpoint.announce()

    @property
    def callback(self) -> Callable[..., Any]:
        """What is called with each message, and its MessageInfo where it takes two arguments."""
        return self._callback

    @callback.setter
    def callback(self, value: Callable[..., Any]) -> None:
        with_info = _takes_info(value)
        self._callback = value
        self._callback_type = (
            Subscription.CallbackType.WithMessageInfo
            if with_info
            else Subscription.CallbackType.MessageOnly
        )

    def _on_sample(self, sample: Any) -> None:
        attachment = sample.attachment
        if (self._matching.withheld or self._looks_at_attachments) and attachment is not None:
            # An attachment that cannot be read is complained of where messages are.
            with contextlib.suppress(ValueError):
                meta = wire.unpack_attachment(attachment.to_bytes())
                if meta.gid in self._matching.withheld:
                    return
                if self._losses is not None:
                    self._losses.note(meta)
                if self._alive is not None:
                    self._alive.asserted(meta.gid)
        if self._deadline is not None:
            self._deadline.note()
        self._post((sample.payload, attachment, time.time_ns()))

    def _on_assertion(self, sample: Any) -> None:
        with contextlib.suppress(ValueError):
            gid = bytes.fromhex(str(sample.key_expr).rpartition("/")[2])
            if self._alive is not None:
                self._alive.asserted(gid)

    def _execute(self, data: Any) -> Any:
        payload, attachment, received_ns = data
        try:
            meta = wire.unpack_attachment(b"" if attachment is None else attachment.to_bytes())
            if meta.gid in self._matching.withheld:
                return None
            raw = payload.to_bytes()
            message = raw if self.raw else deserialize(raw, self.msg_type)
        except (CdrError, ValueError) as error:
            self._complain(f"dropped a message on '{self.topic}' that cannot be read: {error}")
            return None
        if self._callback_type is Subscription.CallbackType.MessageOnly:
            return self._callback(message)
        self._received += 1
        info: MessageInfo = {
            "source_timestamp": meta.source_timestamp,
            "received_timestamp": received_ns,
            "publication_sequence_number": meta.sequence_number,
            "reception_sequence_number": self._received,
        }
        return self._callback(message, info)

    def get_publisher_count(self) -> int:
        """Return how many publishers of its topic and type it may get messages from."""
        return len(self._matching.matched)

    @property
    def topic_name(self) -> str:
        """The topic's full name."""
        return self.topic

    def destroy(self) -> None:
        """Leave the topic; messages that wait are dropped."""
        if not self._destroyed:
            self._discard_items()
            self._matching.close()
            if self._deadline is not None:
                self._deadline.close()
            self._endpoint.withdraw(self._subscriber, self._assertions)

    def __enter__(self) -> Subscription[MsgT]:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()
