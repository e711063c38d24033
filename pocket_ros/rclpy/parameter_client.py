"""A client of another node's parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..idl import load
from ._core.graph import MATCH_POLL_SEC
from .parameter import Parameter, parameter_dict_from_yaml_file
from .qos import QoSProfile, qos_profile_parameter_events, qos_profile_services_default
from .task import Future

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .client import Client
    from .event_handler import SubscriptionEventCallbacks
    from .node import Node
    from .qos_overriding_options import QoSOverridingOptions
    from .subscription import Subscription

Callback = Callable[[Future[Any]], Any]


def _messages(parameters: Sequence[Any]) -> list[Any]:
    return [
        parameter.to_parameter_msg() if isinstance(parameter, Parameter) else parameter
        for parameter in parameters
    ]


class AsyncParameterClient:
    """Reads and sets the parameters of one other node.

    Each method returns the future of the service's response; ``callback`` takes that future when
    it is done. Parameters may be Parameter objects or ``rcl_interfaces/msg/Parameter``.
    """

    def __init__(
        self,
        node: Node,
        remote_node_name: str,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self.node = node
        self.remote_node_name = remote_node_name

        def client(interface: str, name: str) -> Client:
            return node.create_client(
                load(f"rcl_interfaces/srv/{interface}"),
                f"{remote_node_name}/{name}",
                qos_profile=qos_profile,
                callback_group=callback_group,
            )

        self._rclpy_get = client("GetParameters", "get_parameters")
        self._rclpy_list = client("ListParameters", "list_parameters")
        self._rclpy_set = client("SetParameters", "set_parameters")
        self._rclpy_get_types = client("GetParameterTypes", "get_parameter_types")
        self._rclpy_describe = client("DescribeParameters", "describe_parameters")
        self._rclpy_set_atomically = client("SetParametersAtomically", "set_parameters_atomically")

    def services_are_ready(self) -> bool:
        """Return whether all six services would answer."""
        return all(
            client.service_is_ready()
            for client in (
                self._rclpy_get,
                self._rclpy_list,
                self._rclpy_set,
                self._rclpy_get_types,
                self._rclpy_describe,
                self._rclpy_set_atomically,
            )
        )

    def wait_for_services(self, timeout_sec: float | None = None) -> bool:
        """Wait until all six services would answer; False after ``timeout_sec`` or shutdown."""
        return self.node.context._live_graph().wait(
            self.services_are_ready, timeout_sec, MATCH_POLL_SEC
        )

    @staticmethod
    def _rclpy_call(client: Client, callback: Callback | None, **fields: Any) -> Future[Any]:
        future = client.call_async(client.srv_type.Request(**fields))
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def list_parameters(
        self,
        prefixes: list[str] | None = None,
        depth: int | None = None,
        callback: Callback | None = None,
    ) -> Future[Any]:
        """List the names below some prefixes, within ``depth`` levels (None: all)."""
        return self._rclpy_call(
            self._rclpy_list, callback, prefixes=prefixes or [], depth=depth or 0
        )

    def get_parameters(self, names: list[str], callback: Callback | None = None) -> Future[Any]:
        """Get values."""
        return self._rclpy_call(self._rclpy_get, callback, names=list(names))

    def set_parameters(
        self, parameters: Sequence[Any], callback: Callback | None = None
    ) -> Future[Any]:
        """Set values one by one."""
        return self._rclpy_call(self._rclpy_set, callback, parameters=_messages(parameters))

    def set_parameters_atomically(
        self, parameters: Sequence[Any], callback: Callback | None = None
    ) -> Future[Any]:
        """Set all values or none."""
        return self._rclpy_call(
            self._rclpy_set_atomically, callback, parameters=_messages(parameters)
        )

    def delete_parameters(self, names: list[str], callback: Callback | None = None) -> Future[Any]:
        """Take values away, which only dynamically typed parameters allow."""
        return self.set_parameters([Parameter(name) for name in names], callback)

    def describe_parameters(
        self, names: list[str], callback: Callback | None = None
    ) -> Future[Any]:
        """Get descriptors."""
        return self._rclpy_call(self._rclpy_describe, callback, names=list(names))

    def get_parameter_types(
        self, names: list[str], callback: Callback | None = None
    ) -> Future[Any]:
        """Get types, numbers of ``rcl_interfaces/msg/ParameterType``."""
        return self._rclpy_call(self._rclpy_get_types, callback, names=list(names))

    def load_parameter_file(
        self, parameter_file: str, use_wildcard: bool = False, callback: Callback | None = None
    ) -> Future[Any]:
        """Set what a YAML file says, one by one."""
        values = parameter_dict_from_yaml_file(parameter_file, use_wildcard)
        return self.set_parameters(list(values.values()), callback)

    def load_parameter_file_atomically(
        self, parameter_file: str, use_wildcard: bool = False, callback: Callback | None = None
    ) -> Future[Any]:
        """Set all that a YAML file says, or nothing."""
        values = parameter_dict_from_yaml_file(parameter_file, use_wildcard)
        return self.set_parameters_atomically(list(values.values()), callback)

    def on_parameter_event(
        self,
        callback: Callable[..., Any],
        qos_profile: QoSProfile = qos_profile_parameter_events,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
    ) -> Subscription[Any]:
        """Call back with every ``/parameter_events`` message, of whatever node."""
        return self.node.create_subscription(
            load("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            callback,
            qos_profile,
            callback_group=callback_group,
            event_callbacks=event_callbacks,
            qos_overriding_options=qos_overriding_options,
            raw=raw,
        )
