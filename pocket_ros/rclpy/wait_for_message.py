"""Waiting for one message of a topic."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from . import qos as qos_module
from .qos import QoSProfile
from .subscription import Subscription

if TYPE_CHECKING:
    from .node import Node


class _Awaited(Subscription[Any]):
    """A subscription whose messages go to the thread that waits instead of an executor."""

    def __init__(self, node: Node, msg_type: Any, topic: str, qos: QoSProfile) -> None:
        self.arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.message: Any = None
        super().__init__(node, msg_type, topic, self._keep, None, qos, False)

    def _keep(self, message: Any) -> None:
        self.message = message

    def _post(self, data: Any) -> Any:
        self.arrived.put(data)

    def wake(self) -> None:
        """Let the waiting thread go on without a message."""
        self.arrived.put(None)

    def wait(self, timeout_sec: float | None) -> bool:
        """Wait for a message that can be read."""
        while self.message is None and self.context_is_up():
            try:
                data = self.arrived.get(timeout=timeout_sec)
            except queue.Empty:
                return False
            if data is not None:
                self._execute(data)
        return self.message is not None

    def context_is_up(self) -> bool:
        """Return whether messages can still come."""
        return self._node.context.ok()


def wait_for_message(
    msg_type: Any,
    node: Node,
    topic: str,
    *,
    qos_profile: QoSProfile | int = 1,
    time_to_wait: float = -1,
) -> tuple[bool, Any]:
    """Return (True, message) with the next message of a topic, for which nobody need spin.

    (False, None) after ``time_to_wait`` seconds, where it is not negative, or on shutdown.
    """
    subscription = _Awaited(
        node,
        msg_type,
        node.resolve_topic_name(topic),
        qos_module.resolve(qos_profile),
    )
    node.context._add_sleeper(subscription.wake)
    try:
        found = subscription.wait(None if time_to_wait < 0 else time_to_wait)
    finally:
        node.context._remove_sleeper(subscription.wake)
        subscription.destroy()
    return found, subscription.message
