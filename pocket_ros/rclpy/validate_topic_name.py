"""Check of names of topics and services before expansion."""

from ._core.names import check_relative_name

TOPIC_SEPARATOR_STRING = "/"


def validate_topic_name(name: str, *, is_service: bool = False) -> bool:
    """Return True; Invalid{Topic,Service}NameException where the name breaks the rules."""
    check_relative_name(name, is_service=is_service)
    return True
