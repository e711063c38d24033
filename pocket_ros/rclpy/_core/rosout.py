"""``/rosout``: what a node's loggers say, for whoever listens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ...idl import CdrError, FieldError, load
from .. import logging
from ..duration import Duration
from ..exceptions import InvalidHandle, RCLError
from ..publisher import Publisher
from ..qos import DurabilityPolicy, QoSProfile

if TYPE_CHECKING:
    from ..node import Node

# rclpy has no name for it either; it is rcl's.
_QOS = QoSProfile(
    depth=1000,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    lifespan=Duration(seconds=10),
)


def _in_utf8(text: str) -> str:
    """Replace what a path or message may have that UTF-8 has not."""
    return text.encode(errors="replace").decode()


class Rosout:
    """Publishes what the loggers of one node and their children log."""

    def __init__(self, node: Node) -> None:
        self._name = node.get_logger().name
        self._stamp = load("builtin_interfaces/msg/Time")
        self._publisher: Publisher[Any] = Publisher(
            node,
            load("rcl_interfaces/msg/Log"),
            node.resolve_topic_name("/rosout"),
            _QOS,
        )
        logging._add_listener(self._name, self._publish)

    def _publish(self, record: logging.Record) -> None:
        seconds, nanoseconds = divmod(record.stamp_ns, 1_000_000_000)
        # To log must never fail: neither in a shutdown nor where a message cannot be sent.
        with contextlib.suppress(RCLError, InvalidHandle, CdrError, FieldError):
            self._publisher.publish(
                self._publisher.msg_type(
                    stamp=self._stamp(sec=seconds, nanosec=nanoseconds),
                    level=int(record.severity),
                    name=record.name,
                    msg=_in_utf8(record.message),
                    file=_in_utf8(record.file),
                    function=record.function,
                    line=record.line,
                )
            )

    def destroy(self) -> None:
        """Listen no more."""
        logging._remove_listener(self._name, self._publish)
        self._publisher.destroy()
