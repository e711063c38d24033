"""Checks that a class is an interface, of the kind that is needed."""

from __future__ import annotations

from typing import Any

from ._core.endpoint import check_type


def check_for_type_support(msg_or_srv_type: Any) -> None:
    """Return if it is an interface; NoTypeSupportImportedException otherwise."""
    check_type(msg_or_srv_type)


def check_is_valid_msg_type(msg_type: Any) -> None:
    """Return if it is a message; RuntimeError if it is a service or action."""
    check_type(msg_type)
    if hasattr(msg_type, "Request") or hasattr(msg_type, "Goal"):
        raise RuntimeError(f"{msg_type} is not a message: it may be a service or an action")


def check_is_valid_srv_type(srv_type: Any) -> None:
    """Return if it is a service; RuntimeError if it is a message or action."""
    check_type(srv_type)
    if not (hasattr(srv_type, "Request") and hasattr(srv_type, "Response")):
        raise RuntimeError(f"{srv_type} is not a service: it may be a message or an action")
