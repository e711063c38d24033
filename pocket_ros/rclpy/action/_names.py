"""Names of the three services and two topics of an action."""

from __future__ import annotations

from typing import Any

from ..exceptions import NoTypeSupportImportedException

SEND_GOAL = "/_action/send_goal"
CANCEL_GOAL = "/_action/cancel_goal"
GET_RESULT = "/_action/get_result"
FEEDBACK = "/_action/feedback"
STATUS = "/_action/status"


def check_action_type(action_type: Any) -> None:
    """Raise NoTypeSupportImportedException where a class is not an action."""
    if not hasattr(action_type, "Impl") or not hasattr(action_type, "Goal"):
        raise NoTypeSupportImportedException(f"{action_type!r} is not an action type")
