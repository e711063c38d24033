"""Which actions there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._names import FEEDBACK

if TYPE_CHECKING:
    from ..node import Node

_SUFFIX = "_FeedbackMessage"


def _actions(topics: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    return [
        (name[: -len(FEEDBACK)], [type_.removesuffix(_SUFFIX) for type_ in types])
        for name, types in topics
        if name.endswith(FEEDBACK)
    ]


def get_action_names_and_types(node: Node) -> list[tuple[str, list[str]]]:
    """Return all actions with their types."""
    return _actions(node.get_topic_names_and_types())


def get_action_server_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> list[tuple[str, list[str]]]:
    """Return the actions that a node serves."""
    return _actions(
        node.get_publisher_names_and_types_by_node(remote_node_name, remote_node_namespace)
    )


def get_action_client_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> list[tuple[str, list[str]]]:
    """Return the actions that a node may call."""
    return _actions(
        node.get_subscriber_names_and_types_by_node(remote_node_name, remote_node_namespace)
    )
