"""Events of publishers and subscriptions: matched, incompatible, lost."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from ._core.ready import LOCK, Executable
from .qos import QoSPolicyKind, qos_policy_name_from_kind

if TYPE_CHECKING:
    from ._core.ready import Inbox
    from .callback_groups import CallbackGroup
    from .node import Node
    from .publisher import Publisher
    from .subscription import Subscription


class UnsupportedEventTypeError(RuntimeError):
    """Exists for rclpy's sake: every type of event is accepted here."""


class QoSPublisherEventType(IntEnum):
    """What can happen to a publisher."""

    RCL_PUBLISHER_OFFERED_DEADLINE_MISSED = 0
    RCL_PUBLISHER_LIVELINESS_LOST = 1
    RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS = 2
    RCL_PUBLISHER_INCOMPATIBLE_TYPE = 3
    RCL_PUBLISHER_MATCHED = 4


class QoSSubscriptionEventType(IntEnum):
    """What can happen to a subscription."""

    RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED = 0
    RCL_SUBSCRIPTION_LIVELINESS_CHANGED = 1
    RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS = 2
    RCL_SUBSCRIPTION_MESSAGE_LOST = 3
    RCL_SUBSCRIPTION_INCOMPATIBLE_TYPE = 4
    RCL_SUBSCRIPTION_MATCHED = 5


@dataclass(frozen=True)
class _Counted:
    """How often it happened, in all and since the callback was called last."""

    total_count: int = 0
    total_count_change: int = 0


class QoSRequestedDeadlineMissedInfo(_Counted):
    """Messages came later than the subscription's deadline."""


class QoSOfferedDeadlineMissedInfo(_Counted):
    """Messages were published later than the publisher's deadline."""


class QoSLivelinessLostInfo(_Counted):
    """A publisher did not assert in time that it is alive."""


class QoSMessageLostInfo(_Counted):
    """Messages of a publisher did not arrive."""


class IncompatibleTypeInfo(_Counted):
    """Endpoints of another type were found on the topic."""


@dataclass(frozen=True)
class QoSRequestedIncompatibleQoSInfo(_Counted):
    """Endpoints were found that DDS would not let talk with this one."""

    last_policy_kind: QoSPolicyKind = QoSPolicyKind.INVALID


QoSOfferedIncompatibleQoSInfo = QoSRequestedIncompatibleQoSInfo


@dataclass(frozen=True)
class QoSSubscriptionMatchedInfo(_Counted):
    """Endpoints that this one talks with came or went."""

    current_count: int = 0
    current_count_change: int = 0


QoSPublisherMatchedInfo = QoSSubscriptionMatchedInfo


@dataclass(frozen=True)
class QoSLivelinessChangedInfo:
    """Publishers became alive or not."""

    alive_count: int = 0
    not_alive_count: int = 0
    alive_count_change: int = 0
    not_alive_count_change: int = 0


_INFOS: dict[IntEnum, type[Any]] = {
    QoSPublisherEventType.RCL_PUBLISHER_OFFERED_DEADLINE_MISSED: QoSOfferedDeadlineMissedInfo,
    QoSPublisherEventType.RCL_PUBLISHER_LIVELINESS_LOST: QoSLivelinessLostInfo,
    QoSPublisherEventType.RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS: QoSOfferedIncompatibleQoSInfo,
    QoSPublisherEventType.RCL_PUBLISHER_INCOMPATIBLE_TYPE: IncompatibleTypeInfo,
    QoSPublisherEventType.RCL_PUBLISHER_MATCHED: QoSPublisherMatchedInfo,
}
_SUBSCRIPTION_INFOS: dict[IntEnum, type[Any]] = {
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED: (
        QoSRequestedDeadlineMissedInfo
    ),
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_LIVELINESS_CHANGED: QoSLivelinessChangedInfo,
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS: (
        QoSRequestedIncompatibleQoSInfo
    ),
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST: QoSMessageLostInfo,
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_INCOMPATIBLE_TYPE: IncompatibleTypeInfo,
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_MATCHED: QoSSubscriptionMatchedInfo,
}


class EventHandler(Executable):
    """Calls back with what happened; what happens before the callback runs is told in one call."""

    def __init__(
        self,
        *,
        callback_group: CallbackGroup | None,
        callback: Callable[[Any], Any],
        event_type: IntEnum,
        inbox: Inbox,
    ) -> None:
        super().__init__(inbox, callback_group)
        self.callback = callback
        self.event_type = event_type
        is_publishers = isinstance(event_type, QoSPublisherEventType)
        self._info_type = (_INFOS if is_publishers else _SUBSCRIPTION_INFOS)[event_type]
        self._values: dict[str, Any] = {}

    def _happened(self, last_policy_kind: QoSPolicyKind | None = None, **counts: int) -> None:
        with LOCK:
            self._happened_locked(last_policy_kind, **counts)

    def _happened_locked(
        self, last_policy_kind: QoSPolicyKind | None = None, **counts: int
    ) -> None:
        values = self._values
        if last_policy_kind is not None:
            values["last_policy_kind"] = last_policy_kind
        for name, amount in counts.items():
            for field in (name, f"{name}_change"):
                values[field] = values.get(field, 0) + amount
        if not self._items:
            self._post_locked(None)

    def _execute(self, data: Any) -> Any:
        with LOCK:
            info = self._info_type(**self._values)
            for name in self._values:
                if name.endswith("_change"):
                    self._values[name] = 0
        outcome = self.callback(info)
        return outcome if inspect.iscoroutine(outcome) else None

    def destroy(self) -> None:
        """Call back no more."""
        self._discard_items()


QoSEventHandler = EventHandler


def _handlers(
    node: Node,
    callback_group: CallbackGroup | None,
    callbacks: dict[IntEnum, Callable[[Any], Any] | None],
) -> list[EventHandler]:
    return [
        EventHandler(
            callback_group=callback_group,
            callback=callback,
            event_type=event_type,
            inbox=node._rclpy_inbox,
        )
        for event_type, callback in callbacks.items()
        if callback is not None
    ]


class SubscriptionEventCallbacks:
    """What to call when something happens to a subscription.

    ``deadline`` counts from the first message on. ``liveliness`` follows the publishers' presence
    in the graph and, where theirs is manual, their lease.
    """

    def __init__(
        self,
        *,
        deadline: Callable[[QoSRequestedDeadlineMissedInfo], Any] | None = None,
        incompatible_qos: Callable[[QoSRequestedIncompatibleQoSInfo], Any] | None = None,
        liveliness: Callable[[QoSLivelinessChangedInfo], Any] | None = None,
        message_lost: Callable[[QoSMessageLostInfo], Any] | None = None,
        incompatible_type: Callable[[IncompatibleTypeInfo], Any] | None = None,
        matched: Callable[[QoSSubscriptionMatchedInfo], Any] | None = None,
        use_default_callbacks: bool = True,
    ) -> None:
        self.deadline = deadline
        self.incompatible_qos = incompatible_qos
        self.liveliness = liveliness
        self.message_lost = message_lost
        self.incompatible_type = incompatible_type
        self.matched = matched
        self.use_default_callbacks = use_default_callbacks

    def create_event_handlers(
        self,
        callback_group: CallbackGroup | None,
        subscription: Subscription[Any],
        topic_name: str,
    ) -> list[EventHandler]:
        """Return the handlers of a subscription, with warnings where nothing else is said."""
        node = subscription._node
        logger = node.get_logger()

        def warn_of_qos(info: QoSRequestedIncompatibleQoSInfo) -> None:
            policy = qos_policy_name_from_kind(info.last_policy_kind)
            logger.warning(
                f"A publisher on topic '{topic_name}' offers a QoS that this subscription cannot "
                f"accept, so none of its messages will be received. Policy: {policy}"
            )

        def warn_of_type(info: IncompatibleTypeInfo) -> None:
            logger.warning(
                f"A publisher on topic '{topic_name}' has another message type than this "
                "subscription, so none of its messages will be received."
            )

        kinds = QoSSubscriptionEventType
        default = self.use_default_callbacks
        return _handlers(
            node,
            callback_group,
            {
                kinds.RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED: self.deadline,
                kinds.RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS: self.incompatible_qos
                or (warn_of_qos if default else None),
                kinds.RCL_SUBSCRIPTION_LIVELINESS_CHANGED: self.liveliness,
                kinds.RCL_SUBSCRIPTION_MESSAGE_LOST: self.message_lost,
                kinds.RCL_SUBSCRIPTION_INCOMPATIBLE_TYPE: self.incompatible_type
                or (warn_of_type if default else None),
                kinds.RCL_SUBSCRIPTION_MATCHED: self.matched,
            },
        )


class PublisherEventCallbacks:
    """What to call when something happens to a publisher.

    ``deadline`` counts from the first message on; ``liveliness`` is lost only where it is manual.
    """

    def __init__(
        self,
        *,
        deadline: Callable[[QoSOfferedDeadlineMissedInfo], Any] | None = None,
        liveliness: Callable[[QoSLivelinessLostInfo], Any] | None = None,
        incompatible_qos: Callable[[QoSOfferedIncompatibleQoSInfo], Any] | None = None,
        incompatible_type: Callable[[IncompatibleTypeInfo], Any] | None = None,
        matched: Callable[[QoSPublisherMatchedInfo], Any] | None = None,
        use_default_callbacks: bool = True,
    ) -> None:
        self.deadline = deadline
        self.liveliness = liveliness
        self.incompatible_qos = incompatible_qos
        self.incompatible_type = incompatible_type
        self.matched = matched
        self.use_default_callbacks = use_default_callbacks

    def create_event_handlers(
        self, callback_group: CallbackGroup | None, publisher: Publisher[Any], topic_name: str
    ) -> list[EventHandler]:
        """Return the handlers of a publisher, with warnings where nothing else is said."""
        node = publisher._rclpy_node
        logger = node.get_logger()

        def warn_of_qos(info: QoSOfferedIncompatibleQoSInfo) -> None:
            policy = qos_policy_name_from_kind(info.last_policy_kind)
            logger.warning(
                f"A subscription on topic '{topic_name}' requests a QoS that this publisher does "
                f"not offer, so no messages will reach it. Policy: {policy}"
            )

        def warn_of_type(info: IncompatibleTypeInfo) -> None:
            logger.warning(
                f"A subscription on topic '{topic_name}' has another message type than this "
                "publisher, so no messages will reach it."
            )

        kinds = QoSPublisherEventType
        default = self.use_default_callbacks
        return _handlers(
            node,
            callback_group,
            {
                kinds.RCL_PUBLISHER_OFFERED_DEADLINE_MISSED: self.deadline,
                kinds.RCL_PUBLISHER_LIVELINESS_LOST: self.liveliness,
                kinds.RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS: self.incompatible_qos
                or (warn_of_qos if default else None),
                kinds.RCL_PUBLISHER_INCOMPATIBLE_TYPE: self.incompatible_type
                or (warn_of_type if default else None),
                kinds.RCL_PUBLISHER_MATCHED: self.matched,
            },
        )
