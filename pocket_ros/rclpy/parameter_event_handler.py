"""Callbacks for changes of parameters, of this node's and of others'."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..idl import load
from .qos import QoSProfile, qos_profile_parameter_events

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .event_handler import SubscriptionEventCallbacks
    from .node import Node
    from .qos_overriding_options import QoSOverridingOptions


class ParameterCallbackHandle:
    """A callback for one parameter of one node."""

    def __init__(self, parameter_name: str, node_name: str, callback: Callable[[Any], Any]) -> None:
        self.parameter_name = parameter_name
        self.node_name = node_name
        self.callback = callback


class ParameterEventCallbackHandle:
    """A callback for all events."""

    def __init__(self, callback: Callable[[Any], Any]) -> None:
        self.callback = callback


class ParameterEventHandler:
    """Follows ``/parameter_events``. The callback that was added last is called first."""

    def __init__(
        self,
        node: Node,
        qos_profile: QoSProfile = qos_profile_parameter_events,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
    ) -> None:
        self.node = node
        self.qos_profile = qos_profile
        self._rclpy_lock = threading.Lock()
        self._rclpy_of_parameters: list[ParameterCallbackHandle] = []
        self._rclpy_of_events: list[ParameterEventCallbackHandle] = []
        self.parameter_event_subscription = node.create_subscription(
            load("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            self._rclpy_on_event,
            qos_profile,
            callback_group=callback_group,
            event_callbacks=event_callbacks,
            qos_overriding_options=qos_overriding_options,
            raw=raw,
        )

    def _rclpy_on_event(self, event: Any) -> None:
        with self._rclpy_lock:
            of_parameters, of_events = list(self._rclpy_of_parameters), list(self._rclpy_of_events)
        for handle in of_parameters:
            parameter = self.get_parameter_from_event(
                event, handle.parameter_name, handle.node_name
            )
            if parameter is not None:
                handle.callback(parameter)
        for event_handle in of_events:
            event_handle.callback(event)

    def add_parameter_callback(
        self, parameter_name: str, node_name: str, callback: Callable[[Any], Any]
    ) -> ParameterCallbackHandle:
        """Call back with the ``rcl_interfaces/msg/Parameter`` when it is new or changed.

        ``node_name`` may be relative to this node's namespace; empty means this node.
        """
        handle = ParameterCallbackHandle(parameter_name, self._rclpy_full_name(node_name), callback)
        with self._rclpy_lock:
            self._rclpy_of_parameters.insert(0, handle)
        return handle

    def remove_parameter_callback(self, handle: ParameterCallbackHandle) -> None:
        """Call back no more; RuntimeError where the handle is not known."""
        self._rclpy_remove(self._rclpy_of_parameters, handle)

    def add_parameter_event_callback(
        self, callback: Callable[[Any], Any]
    ) -> ParameterEventCallbackHandle:
        """Call back with every ``rcl_interfaces/msg/ParameterEvent``."""
        handle = ParameterEventCallbackHandle(callback)
        with self._rclpy_lock:
            self._rclpy_of_events.insert(0, handle)
        return handle

    def remove_parameter_event_callback(self, handle: ParameterEventCallbackHandle) -> None:
        """Call back no more; RuntimeError where the handle is not known."""
        self._rclpy_remove(self._rclpy_of_events, handle)

    def _rclpy_remove(self, handles: list[Any], handle: Any) -> None:
        with self._rclpy_lock:
            if handle not in handles:
                raise RuntimeError("Callback doesn't exist")
            handles.remove(handle)

    @staticmethod
    def get_parameter_from_event(event: Any, parameter_name: str, node_name: str) -> Any | None:
        """Return a parameter of a node from an event, None where it is not in it."""
        if event.node == node_name:
            for parameter in ParameterEventHandler.get_parameters_from_event(event):
                if parameter.name == parameter_name:
                    return parameter
        return None

    @staticmethod
    def get_parameters_from_event(event: Any) -> Iterable[Any]:
        """Return the new and the changed parameters of an event."""
        yield from event.new_parameters
        yield from event.changed_parameters

    def _rclpy_full_name(self, node_name: str) -> str:
        if not node_name:
            return self.node.get_fully_qualified_name()
        if node_name.startswith("/"):
            return node_name
        return f"{self.node.get_namespace().rstrip('/')}/{node_name}"

    def destroy(self) -> None:
        """Follow no more."""
        self.node.destroy_subscription(self.parameter_event_subscription)
