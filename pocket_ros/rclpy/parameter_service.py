"""The six services through which others see and set a node's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..idl import load
from .exceptions import ParameterNotDeclaredException, ParameterUninitializedException
from .parameter import Parameter
from .qos import qos_profile_parameters

if TYPE_CHECKING:
    from .node import Node


class ParameterService:
    """Serves ``~/describe_parameters`` and its five siblings for one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        for name, interface, callback in (
            ("describe_parameters", "DescribeParameters", self._describe),
            ("get_parameters", "GetParameters", self._get),
            ("get_parameter_types", "GetParameterTypes", self._get_types),
            ("list_parameters", "ListParameters", self._list),
            ("set_parameters", "SetParameters", self._set),
            ("set_parameters_atomically", "SetParametersAtomically", self._set_atomically),
        ):
            node.create_service(
                load(f"rcl_interfaces/srv/{interface}"),
                f"~/{name}",
                callback,
                qos_profile=qos_profile_parameters,
            )

    def _describe(self, request: Any, response: Any) -> Any:
        try:
            response.descriptors = [self._node.describe_parameter(name) for name in request.names]
        except ParameterNotDeclaredException as error:
            response.descriptors = []
            self._warn("describe", error)
        return response

    def _get(self, request: Any, response: Any) -> Any:
        unset = Parameter("_").get_parameter_value()
        for name in request.names:
            try:
                value = self._node.get_parameter(name).get_parameter_value()
            except ParameterUninitializedException:
                value = unset
            except ParameterNotDeclaredException as error:
                self._warn("get", error)
                response.values = []
                return response
            response.values.append(value)
        return response

    def _get_types(self, request: Any, response: Any) -> Any:
        try:
            response.types = [
                self._node._rclpy_parameters.type_of(name).value for name in request.names
            ]
        except ParameterNotDeclaredException as error:
            response.types = []
            self._warn("get types of", error)
        return response

    def _list(self, request: Any, response: Any) -> Any:
        response.result = self._node._rclpy_parameters.listed(list(request.prefixes), request.depth)
        return response

    def _set(self, request: Any, response: Any) -> Any:
        response.results = self._node._rclpy_parameters.set_one_by_one(
            [Parameter.from_parameter_msg(message) for message in request.parameters],
            raising=False,
        )
        return response

    def _set_atomically(self, request: Any, response: Any) -> Any:
        response.result = self._node._rclpy_parameters.set_atomically(
            [Parameter.from_parameter_msg(message) for message in request.parameters],
            raising=False,
        )
        return response

    def _warn(self, what: str, error: Exception) -> None:
        self._node.get_logger().warning(f"Failed to {what} parameters: {error}")
