"""Where ROS time comes from: the system, or ``/clock`` when ``use_sim_time`` is set."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Any

from ..idl import load
from ._core import wire
from ._core.endpoint import Endpoint
from ._core.ready import Once
from .clock import ROSClock
from .constants import S_TO_NS
from .parameter import Parameter
from .qos import QoSProfile, ReliabilityPolicy
from .subscription import declare_subscriber

if TYPE_CHECKING:
    from .node import Node

CLOCK_TOPIC = "/clock"
USE_SIM_TIME_NAME = "use_sim_time"
_CDR_LITTLE_ENDIAN = 1


def _read_clock(raw: bytes) -> int:
    """Return the nanoseconds of a serialised Clock message; ValueError where it is none."""
    if len(raw) < 12:
        raise ValueError(f"{len(raw)} bytes are no Clock message")
    order = "<" if raw[1] & 1 == _CDR_LITTLE_ENDIAN else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", raw, 4)
    if seconds < 0:
        raise ValueError("a Clock message with a negative time")
    return seconds * S_TO_NS + nanoseconds


class TimeSource:
    """Sets clocks to what ``/clock`` says, in the very thread that receives it.

    So nothing that a peer sent after a clock message is handled with an older clock.
    """

    def __init__(self, *, node: Node | None = None) -> None:
        self._node: Node | None = None
        self._clocks: list[ROSClock] = []
        self._active = False
        self._last_ns = 0
        # A clock may be attached while a message arrives.
        self._lock = threading.RLock()
        self._endpoint: Endpoint | None = None
        self._subscriber: Any = None
        self._complain: Once | None = None
        if node is not None:
            self.attach_node(node)

    @property
    def ros_time_is_active(self) -> bool:
        """Whether clocks follow ``/clock``."""
        return self._active

    @ros_time_is_active.setter
    def ros_time_is_active(self, enabled: bool) -> None:
        if self._active == enabled:
            return
        self._active = enabled
        for clock in self._clocks:
            clock._set_ros_time_is_active(enabled)
        if enabled:
            self._subscribe()
        else:
            self._unsubscribe()

    def attach_node(self, node: Node) -> None:
        """Follow the node's parameter ``use_sim_time``."""
        self._node = node
        self._complain = Once(node.get_logger().error)
        if not node.has_parameter(USE_SIM_TIME_NAME):
            node.declare_parameter(USE_SIM_TIME_NAME, False)
        value = node.get_parameter(USE_SIM_TIME_NAME)
        if value.type_ is Parameter.Type.BOOL:
            self.ros_time_is_active = value.value
        else:
            node.get_logger().error(
                f"Invalid type for parameter '{USE_SIM_TIME_NAME}' {value.type_!r} should be bool"
            )
        node.add_on_set_parameters_callback(self._on_parameters)

    def detach_node(self) -> None:
        """Stop following; clocks stay as they are."""
        self._unsubscribe()
        self._node = None

    def attach_clock(self, clock: ROSClock) -> None:
        """Set this clock too."""
        if not isinstance(clock, ROSClock):
            raise ValueError("Only clocks with type ROS_TIME can be attached.")
        with self._lock:
            clock._set_ros_time_is_active(self._active)
            if self._active and self._last_ns:
                clock._override(self._last_ns)
            self._clocks.append(clock)

    def _subscribe(self) -> None:
        if self._node is None or self._subscriber is not None:
            return
        interface = load("rosgraph_msgs/msg/Clock")
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        name = self._node.resolve_topic_name(CLOCK_TOPIC)
        self._endpoint = Endpoint(self._node, wire.SUBSCRIPTION, name, interface, qos)
        self._subscriber = declare_subscriber(self._endpoint, qos, self._on_clock)
        self._endpoint.announce()

    def _unsubscribe(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        subscriber, self._subscriber = self._subscriber, None
        if endpoint is not None:
            endpoint.withdraw(subscriber)

    def _on_clock(self, sample: Any) -> None:
        try:
            now_ns = _read_clock(sample.payload.to_bytes())
        except ValueError as error:
            if self._complain is not None:
                self._complain(f"dropped a message on '{CLOCK_TOPIC}': {error}")
            return
        with self._lock:
            self._last_ns = now_ns
            for clock in self._clocks:
                clock._override(now_ns)

    def _on_parameters(self, parameters: list[Parameter]) -> Any:
        result = load("rcl_interfaces/msg/SetParametersResult")(successful=True)
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME_NAME:
                if parameter.type_ is not Parameter.Type.BOOL:
                    result.successful = False
                    result.reason = "use_sim_time parameter set to something besides a bool"
                    break
                self.ros_time_is_active = parameter.value
        return result
