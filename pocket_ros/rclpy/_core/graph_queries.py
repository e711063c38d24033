"""Questions to the ROS graph that nodes answer in rclpy's form."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..topic_endpoint_info import TopicEndpointInfo, TopicEndpointTypeEnum
from ..type_hash import TypeHash
from . import wire
from .graph import Entity, Graph

NamesAndTypes = list[tuple[str, list[str]]]


def names_and_types(
    graph: Graph, kinds: Iterable[str], of_node: Callable[[Entity], bool] | None = None
) -> NamesAndTypes:
    """Return the names and types of all endpoints of the kinds, of one node if given."""
    found: dict[str, set[str]] = {}
    for entity in graph.entities():
        if entity.kind in kinds and (of_node is None or of_node(entity)):
            found.setdefault(entity.name, set()).add(wire.ros_type(entity.dds_type))
    return [(name, sorted(types)) for name, types in sorted(found.items())]


def nodes(graph: Graph) -> list[Entity]:
    """Return all nodes."""
    return sorted(graph.entities(wire.NODE), key=lambda entity: entity.node_fqn)


def endpoints(graph: Graph, kind: str, topic: str) -> list[TopicEndpointInfo]:
    """Return what is known of all publishers or subscriptions of a topic."""
    end = (
        TopicEndpointTypeEnum.PUBLISHER
        if kind == wire.PUBLISHER
        else TopicEndpointTypeEnum.SUBSCRIPTION
    )
    return [
        TopicEndpointInfo(
            node_name=entity.node_name,
            node_namespace=entity.namespace,
            topic_type=wire.ros_type(entity.dds_type),
            topic_type_hash=TypeHash._read(entity.type_hash),
            endpoint_type=end,
            endpoint_gid=list(wire.gid_of(entity.token)),
            qos_profile=wire.decode_qos(entity.qos_text),
        )
        for entity in graph.entities(kind, topic)
    ]
