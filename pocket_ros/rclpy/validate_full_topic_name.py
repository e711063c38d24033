"""Check of fully qualified names of topics and services."""

from ._core.names import check_full_name


def validate_full_topic_name(name: str, *, is_service: bool = False) -> bool:
    """Return True; Invalid{Topic,Service}NameException where the name breaks the rules."""
    check_full_name(name, is_service=is_service)
    return True
