"""Check of names of parameters."""

from .exceptions import InvalidParameterException


def validate_parameter_name(name: str) -> bool:
    """Return True; InvalidParameterException where there is no name."""
    if not name:
        raise InvalidParameterException(name)
    return True
