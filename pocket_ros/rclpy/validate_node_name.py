"""Check of node names."""

from ._core.names import check_node_name


def validate_node_name(node_name: str) -> bool:
    """Return True; InvalidNodeNameException where the name breaks the rules."""
    check_node_name(node_name)
    return True
