"""Small helpers that rclpy offers by this name."""

from __future__ import annotations

import sys
import threading

from ._core.arguments import strip_ros_arguments
from .constants import S_TO_NS
from .context import Context

_default_context: Context | None = None
_default_lock = threading.Lock()


def get_default_context(*, shutting_down: bool = False) -> Context:
    """Return the context that is meant where none is named."""
    global _default_context
    with _default_lock:
        if _default_context is None:
            _default_context = Context()
        return _default_context


def remove_ros_args(args: list[str] | None = None) -> list[str]:
    """Return the arguments without the parts between ``--ros-args`` and ``--``."""
    return strip_ros_arguments(sys.argv if args is None else list(args))


def ok(*, context: Context | None = None) -> bool:
    """Return whether the context was initialised and not shut down since."""
    return (get_default_context() if context is None else context).ok()


def shutdown(*, context: Context | None = None) -> None:
    """Shut a context down; RuntimeError if it is not up."""
    (get_default_context() if context is None else context).shutdown()


def try_shutdown(*, context: Context | None = None) -> None:
    """Shut a context down if it is up."""
    (get_default_context() if context is None else context).try_shutdown()


def get_rmw_implementation_identifier() -> str:
    """Return the name of the middleware whose wire this is."""
    return "rmw_zenoh_cpp"


def get_available_rmw_implementations() -> set[str]:
    """Return the names of all middlewares: there is one."""
    return {get_rmw_implementation_identifier()}


def timeout_sec_to_nsec(timeout_sec: float | None) -> int:
    """Convert seconds to nanoseconds; None and negative mean for ever, -1."""
    if timeout_sec is None or timeout_sec < 0:
        return -1
    return int(float(timeout_sec) * S_TO_NS)
