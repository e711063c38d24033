"""Check of namespaces."""

from ._core.names import check_namespace


def validate_namespace(namespace: str) -> bool:
    """Return True; InvalidNamespaceException where the namespace breaks the rules."""
    check_namespace(namespace)
    return True
