"""Expansion of topic names."""

from ._core.names import expand


def expand_topic_name(topic_name: str, node_name: str, node_namespace: str) -> str:
    """Return the fully qualified name; InvalidTopicNameException where it breaks the rules."""
    return expand(topic_name, node_name, node_namespace)
