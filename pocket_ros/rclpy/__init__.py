"""rclpy's API (Jazzy) on Zenoh: initialisation, spinning and shutdown.

Modules have the names that they have in rclpy, so code written for it finds what it imports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import signals
from .context import Context
from .parameter import Parameter
from .signals import (
    SignalHandlerOptions,
    install_signal_handlers,
    uninstall_signal_handlers,
)
from .task import Future
from .utilities import (
    get_default_context,
    get_rmw_implementation_identifier,
    ok,
)

if TYPE_CHECKING:
    from .executors import Executor
    from .node import Node

__all__ = [
    "Context",
    "Future",
    "Parameter",
    "SignalHandlerOptions",
    "create_node",
    "get_default_context",
    "get_global_executor",
    "get_rmw_implementation_identifier",
    "init",
    "install_signal_handlers",
    "ok",
    "shutdown",
    "spin",
    "spin_once",
    "spin_until_future_complete",
    "try_shutdown",
    "uninstall_signal_handlers",
]

_global_executor: Executor | None = None


def init(
    *,
    args: list[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> None:
    """Join the ROS graph. ``args`` are those of the command line, ``sys.argv`` where None.

    The default context takes SIGINT and SIGTERM unless told otherwise.
    """
    if signal_handler_options is None:
        signal_handler_options = (
            SignalHandlerOptions.ALL if context is None else SignalHandlerOptions.NO
        )
    (get_default_context() if context is None else context).init(args, domain_id=domain_id)
    signals.install_signal_handlers(signal_handler_options)


def get_global_executor() -> Executor:
    """Return the executor that spins where none is named."""
    global _global_executor
    from .executors import SingleThreadedExecutor

    if _global_executor is None:
        _global_executor = SingleThreadedExecutor()
        get_default_context().on_shutdown(_forget_global_executor)
    return _global_executor


def _forget_global_executor() -> None:
    global _global_executor
    _global_executor = None


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leave the ROS graph; RuntimeError if the context is not up."""
    default = context is None
    (get_default_context() if context is None else context).shutdown()
    if uninstall_handlers or (uninstall_handlers is None and default):
        signals.uninstall_signal_handlers()


def try_shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leave the ROS graph, if the context is up."""
    default = context is None
    (get_default_context() if context is None else context).try_shutdown()
    if uninstall_handlers or (uninstall_handlers is None and default):
        signals.uninstall_signal_handlers()


def create_node(
    node_name: str,
    *,
    context: Context | None = None,
    cli_args: list[str] | None = None,
    namespace: str | None = None,
    use_global_arguments: bool = True,
    enable_rosout: bool = True,
    start_parameter_services: bool = True,
    parameter_overrides: list[Parameter] | None = None,
    allow_undeclared_parameters: bool = False,
    automatically_declare_parameters_from_overrides: bool = False,
    enable_logger_service: bool = False,
) -> Node:
    """Make a node; see :class:`rclpy.node.Node`."""
    from .node import Node

    return Node(
        node_name,
        context=context,
        cli_args=cli_args,
        namespace=namespace,
        use_global_arguments=use_global_arguments,
        enable_rosout=enable_rosout,
        start_parameter_services=start_parameter_services,
        parameter_overrides=parameter_overrides,
        allow_undeclared_parameters=allow_undeclared_parameters,
        automatically_declare_parameters_from_overrides=(
            automatically_declare_parameters_from_overrides
        ),
        enable_logger_service=enable_logger_service,
    )


def _with_node(node: Node, executor: Executor | None, action: Callable[[Executor], Any]) -> None:
    executor = get_global_executor() if executor is None else executor
    added = False
    try:
        added = executor.add_node(node)
        action(executor)
    finally:
        if added:
            executor.remove_node(node)


def spin_once(
    node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Execute one callback, or return after ``timeout_sec``."""
    _with_node(node, executor, lambda chosen: chosen.spin_once(timeout_sec=timeout_sec))


def spin(node: Node, executor: Executor | None = None) -> None:
    """Execute callbacks until shutdown; ExternalShutdownException if it comes while waiting."""
    _with_node(node, executor, lambda chosen: chosen.spin())


def spin_until_future_complete(
    node: Node,
    future: Future[Any],
    executor: Executor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Execute callbacks until the future is done, or ``timeout_sec`` passed."""
    _with_node(
        node,
        executor,
        lambda chosen: chosen.spin_until_future_complete(future, timeout_sec),
    )
