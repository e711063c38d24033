"""The service by which others learn the types that a node uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..idl import load
from ._core.parameter_store import default_descriptor
from .parameter import Parameter
from .type_hash import TypeHash

if TYPE_CHECKING:
    from .node import Node

START_TYPE_DESCRIPTION_SERVICE_PARAM = "start_type_description_service"


class TypeDescriptionService:
    """Serves ``~/get_type_description``, unless a parameter says no."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.service_name = f"{node.get_name()}/get_type_description"
        name = START_TYPE_DESCRIPTION_SERVICE_PARAM
        if not node.has_parameter(name):
            descriptor = default_descriptor(
                name,
                type=Parameter.Type.BOOL.value,
                description="If true, the node serves ~/get_type_description.",
                read_only=True,
            )
            node.declare_parameter(name, True, descriptor)
        parameter = node.get_parameter(name)
        self.enabled = parameter.type_ is Parameter.Type.BOOL and parameter.value
        if parameter.type_ not in (Parameter.Type.BOOL, Parameter.Type.NOT_SET):
            node.get_logger().error(f"The parameter '{name}' should be a bool")
        if self.enabled:
            node.create_service(
                load("type_description_interfaces/srv/GetTypeDescription"),
                "~/get_type_description",
                self._answer,
            )

    def _answer(self, request: Any, response: Any) -> Any:
        # Few nodes are ever asked.
        from ..idl.description import type_description, type_sources

        if str(TypeHash._read(request.type_hash)) == "INVALID":
            response.failure_reason = "Failed to parse type hash"
            return response
        name = next(
            (t._type_name for t in self._types_in_use() if t._type_hash == request.type_hash), None
        )
        if name is None:
            response.failure_reason = "Type not currently in use by this node"
            return response
        response.type_description = type_description(name)
        if request.include_type_sources:
            response.type_sources = type_sources(name)
        response.successful = True
        return response

    def _types_in_use(self) -> Iterator[Any]:
        node = self._node
        for topic_end in (*node.publishers, *node.subscriptions):
            yield topic_end.msg_type
        for service_end in (*node.services, *node.clients):
            yield service_end.srv_type
        if node._rclpy_rosout is not None:
            yield load("rcl_interfaces/msg/Log")
        for waitable in node.waitables:
            action = waitable._rclpy_action_type
            yield action
            yield from (getattr(action.Impl, part) for part in action.Impl._parts)
