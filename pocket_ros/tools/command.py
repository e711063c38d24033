"""What all commands share: their place on the command line, a node in the graph, their errors."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from pocket_ros import hook, idl
from pocket_ros.session import ConfigurationError, open_observer

Verb = Callable[[Any, argparse.Namespace], None]
NamesAndTypes = list[tuple[str, list[str]]]

ANSWER_S = 10.0
"""How long a service may take before a command gives up."""
_LONGEST_DISCOVERY_S = 2.0
_MATCH_S = 1.0
_ASK_AGAIN_S = 0.1


class ToolError(RuntimeError):
    """A command cannot do what it should; the message is the sentence that says why."""


def add_subject(commands: Any, name: str, help_: str) -> Any:
    """Add a subject (as `topic`) to the command line; returns the subparsers of its verbs."""
    parser = commands.add_parser(name, help=help_, description=help_)
    return parser.add_subparsers(required=True, metavar="VERB")


def add_verb(verbs: Any, name: str, function: Verb, *, joins: bool = True) -> Any:
    """Add a verb; its help is the function's docstring. Returns its parser.

    `joins`: the function gets a node in the graph; otherwise None.
    """
    summary = (function.__doc__ or "").splitlines()[0]
    parser = verbs.add_parser(name, help=summary, description=summary)
    if joins:
        parser.add_argument(
            "--spin-time", type=float, default=_LONGEST_DISCOVERY_S, metavar="SECONDS",
            help="longest time to get to know the graph (default %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--no-daemon", action="store_true", help="as always here: there is no daemon"
        )
        parser.add_argument(
            "-s", "--use-sim-time", action="store_true", help="take the time from /clock"
        )
    parser.set_defaults(run=_runner(function, joins))
    return parser


def _runner(function: Verb, joins: bool) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        try:
            if joins:
                with _joined(options) as node:
                    function(node, options)
            else:
                function(None, options)
            sys.stdout.flush()
        except KeyboardInterrupt:
            return 0
        except BrokenPipeError:
            # Whoever read our output has had enough; the interpreter would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Exception as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
            print(sentence, file=sys.stderr)
            return 1
        return 0

    return run


def _sentence(error: Exception) -> str | None:
    """What to tell of an error that a wrong name, value or setting makes; None for any other."""
    from pocket_ros.rclpy.exceptions import NameValidationException, RCLError

    if isinstance(error, NameValidationException):
        return f"Invalid {error.name_type} '{error.name}': {error.error_msg}"
    expected = (ToolError, ConfigurationError, RCLError, *_BY_VALUES)
    return str(error) if isinstance(error, expected) else None


_BY_VALUES = (
    idl.InterfaceNotFoundError,
    idl.InterfaceSyntaxError,
    idl.FieldError,
    idl.CdrError,
    ValueError,
    TypeError,
    RuntimeError,
)


@contextlib.contextmanager
def _joined(options: argparse.Namespace) -> Iterator[Any]:
    """A node of our own, with the graph known to it."""
    hook.install()
    from pocket_ros import rclpy
    from pocket_ros.rclpy.parameter import Parameter
    from pocket_ros.rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node(
            f"_pocket_ros_{os.getpid()}",
            start_parameter_services=False,
            enable_rosout=False,
            parameter_overrides=[Parameter("use_sim_time", value=options.use_sim_time)],
        )
        try:
            _await_graph(node, options.spin_time)
            yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _await_graph(node: Any, longest_s: float) -> None:
    """Wait until the node knows everybody that the router knows now."""
    import zenoh

    from pocket_ros.rclpy._core.graph import parse_token
    from pocket_ros.rclpy._core.wire import LIVELINESS_SPACE

    deadline = time.monotonic() + longest_s
    everybody = f"{LIVELINESS_SPACE}/{node.context.get_domain_id()}/**"
    graph = node.context._live_graph()
    try:
        with open_observer() as observer:
            while time.monotonic() < deadline:
                replies = observer.liveliness().get(everybody, timeout=longest_s)
                tokens = {str(reply.ok.key_expr) for reply in replies if reply.ok is not None}
                living = {token for token in tokens if parse_token(token) is not None}
                # Again after a while, since one of them may leave before the node hears of it.
                if graph.wait(
                    lambda living=living: living <= {entity.token for entity in graph.entities()},
                    _ASK_AGAIN_S,
                ):
                    return
    except zenoh.ZError:
        # Without a router there is nobody to ask; a session without one has said so.
        return


def absolute(name: str) -> str:
    """A name as given on a command line, with its leading slash."""
    return name if name.startswith("/") else f"/{name}"


def interface(name: str, kind: str) -> Any:
    """The class of an interface; `pkg/Name` means `pkg/<kind>/Name`, as for ros2.

    Raises InterfaceNotFoundError, or ToolError where it is of another kind.
    """
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, kind)
    if len(parts) == 3 and parts[1] != kind:
        raise ToolError(f"{name} is not a {kind} interface: expected package/{kind}/Name")
    return idl.load("/".join(parts))


def visible(known: NamesAndTypes, include_hidden: bool) -> NamesAndTypes:
    """Names without those that have a part that begins with an underscore, unless wanted."""
    from pocket_ros.rclpy._core.names import is_hidden

    return sorted(item for item in known if include_hidden or not is_hidden(item[0]))


def types_of(known: NamesAndTypes, name: str, what: str) -> list[str]:
    """Types of a topic, service or action; ToolError where the graph does not have it."""
    for other, types in known:
        if other == name:
            return types
    raise ToolError(f"Unknown {what} '{name}'")


def print_names(known: NamesAndTypes, *, count: bool, types: bool) -> None:
    """Print names as `ros2 ... list` does: one a line, with types, or only how many."""
    if count:
        print(len(known))
        return
    for name, its_types in known:
        print(f"{name} [{', '.join(its_types)}]" if types else name)


def one_or_all(types: list[str]) -> str:
    """One type as it is; several as Python shows a list, which is what ros2 prints."""
    return types[0] if len(types) == 1 else str(types)


def wait_for(node: Any, future: Any, what: str, longest_s: float | None = ANSWER_S) -> Any:
    """The result of a future; ToolError where it does not come."""
    from pocket_ros import rclpy

    rclpy.spin_until_future_complete(node, future, timeout_sec=longest_s)
    if not future.done():
        raise ToolError(f"{what} did not answer within {longest_s:g} s")
    return future.result()


def call(node: Any, cls: Any, name: str, request: Any) -> Any:
    """Call a service; ToolError where it is not there or does not answer."""
    client = node.create_client(cls, name)
    if not client.wait_for_service(timeout_sec=ANSWER_S):
        raise ToolError(f"the service {name} is not available")
    try:
        return wait_for(node, client.call_async(request), f"the service {name}")
    finally:
        node.destroy_client(client)


def node_names(node: Any, include_hidden: bool) -> list[str]:
    """Full names of the nodes, sorted, our own left out; a name that is there twice is twice."""
    own = node.get_fully_qualified_name()
    return sorted(
        full
        for name, namespace in node.get_node_names_and_namespaces()
        if (full := f"{namespace.rstrip('/')}/{name}") != own
        and (include_hidden or not name.startswith("_"))
    )


def require_node(node: Any, name: str, longest_s: float = 1.0) -> str:
    """The full name of a node that is there; ToolError("Node not found") otherwise."""
    full = absolute(name)
    if not node.context._live_graph().wait(lambda: full in node_names(node, True), longest_s):
        raise ToolError("Node not found")
    return full


def await_subscribers(node: Any, publisher: Any) -> None:
    """Wait, not for long, until zenoh would deliver a message to those whom the graph shows."""

    from pocket_ros.rclpy._core.graph import MATCH_POLL_SEC

    # The graph may know of a subscriber before its declaration has come: then nothing is sent.
    def reaches() -> bool:
        status = publisher._rclpy_publisher.matching_status
        return bool(getattr(status, "matching", status))

    with contextlib.suppress(AttributeError):
        node.context._live_graph().wait(reaches, _MATCH_S, MATCH_POLL_SEC)
