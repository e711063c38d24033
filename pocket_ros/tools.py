"""Commands that look at a running graph and talk to it: topic, service, action, param, node."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from pocket_ros import hook, idl
from pocket_ros.idl.catalog import structure
from pocket_ros.idl.definitions import FLOATS, Container

_DISCOVERY_S = 0.5
_ANSWER_S = 10.0
_PARAMETER_FIELDS = {
    1: "bool_value", 2: "integer_value", 3: "double_value", 4: "string_value",
    5: "byte_array_value", 6: "bool_array_value", 7: "integer_array_value",
    8: "double_array_value", 9: "string_array_value",
}  # fmt: skip


class ToolError(RuntimeError):
    """A command cannot do what it should; the message says why."""


def add_commands(commands: Any) -> None:
    """Add the commands of this module to the command line's subparsers."""
    for subject, verbs in _COMMANDS.items():
        parser = commands.add_parser(subject, help=f"{', '.join(verbs)}")
        below = parser.add_subparsers(required=True, metavar="VERB")
        for verb, (function, arguments) in verbs.items():
            command = below.add_parser(verb, help=(function.__doc__ or "").splitlines()[0])
            for name, options in arguments.items():
                command.add_argument(name, **options)
            command.set_defaults(run=_runner(function))


def _runner(function: Callable[[Any, argparse.Namespace], None]) -> Callable[..., int]:
    def run(options: argparse.Namespace) -> int:
        try:
            with _node() as node:
                function(node, options)
        except KeyboardInterrupt:
            return 0
        except (ToolError, ValueError, TypeError, idl.InterfaceNotFoundError) as error:
            print(f"pocket-ros: {error}", file=sys.stderr)
            return 1
        return 0

    return run


@contextlib.contextmanager
def _node() -> Iterator[Any]:
    """A node of our own, with the graph known to it."""
    hook.install()
    from pocket_ros import rclpy
    from pocket_ros.rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node(f"_pocket_ros_{os.getpid()}", start_parameter_services=False)
        try:
            _await_graph(node)
            yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _await_graph(node: Any) -> None:
    """Wait until the graph has not changed for a while: there is no sign for its being whole."""
    known: Any = None
    deadline = time.monotonic() + _ANSWER_S
    while time.monotonic() < deadline:
        before = known
        known = (
            node.get_node_names_and_namespaces(),
            node.get_topic_names_and_types(),
            node.get_service_names_and_types(),
        )
        if known == before:
            return
        time.sleep(_DISCOVERY_S)


def to_plain(value: Any) -> Any:
    """A message as dictionaries, lists and plain values."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: to_plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, array) or hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return value[0] if isinstance(value, bytes) and len(value) == 1 else value


def fill(message: Any, values: Any) -> Any:
    """Set a message's fields from dictionaries, lists and plain values; returns the message."""
    if values is None:
        return message
    if not isinstance(values, dict):
        raise ToolError(f"expected the fields of {message._type_name} as 'name: value'")
    definition = {field.name: field for field in structure(message._type_name).fields}
    for name, value in values.items():
        field = definition.get(name)
        if field is None:
            known = ", ".join(definition) or "none"
            raise ToolError(f"{message._type_name} has no field {name!r} (it has: {known})")
        many = field.container is not Container.ONE
        if field.is_nested and many:
            value = [fill(idl.load(field.base)(), item) for item in value]
        elif field.is_nested:
            value = fill(getattr(message, name), value)
        elif field.base in FLOATS and isinstance(value, int):
            value = float(value)
        elif field.base == "byte" and not many and isinstance(value, int):
            value = bytes([value])
        setattr(message, name, value)
    return message


def _parse(text: str | None) -> Any:
    try:
        return yaml.safe_load(text or "{}")
    except yaml.YAMLError as error:
        raise ToolError(f"{text!r} is no YAML: {str(error).splitlines()[0]}") from None


def _show(message: Any) -> None:
    print(
        yaml.safe_dump(to_plain(message), sort_keys=False, allow_unicode=True), end="", flush=True
    )


def _type_of(known: list[tuple[str, list[str]]], name: str, given: str | None) -> str:
    if given:
        return given
    for other, types in known:
        if other == name and types:
            return types[0]
    raise ToolError(f"{name} is not in the graph, so its type is not known: give it")


def _absolute(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def _wait(node: Any, future: Any, what: str) -> Any:
    from pocket_ros import rclpy

    rclpy.spin_until_future_complete(node, future, timeout_sec=_ANSWER_S)
    if not future.done():
        raise ToolError(f"{what} did not answer within {_ANSWER_S:g} s")
    return future.result()


def _call(node: Any, cls: Any, name: str, request: Any) -> Any:
    client = node.create_client(cls, name)
    if not client.wait_for_service(timeout_sec=_ANSWER_S):
        raise ToolError(f"there is no service {name}")
    return _wait(node, client.call_async(request), name)


def _list(known: list[tuple[str, list[str]]], show_types: bool) -> None:
    for name, types in sorted(known):
        print(f"{name} [{', '.join(types)}]" if show_types else name)


def node_list(node: Any, _options: argparse.Namespace) -> None:
    """print the nodes"""
    names = {f"{ns.rstrip('/')}/{name}" for name, ns in node.get_node_names_and_namespaces()}
    print(*sorted(name for name in names if "/_" not in name), sep="\n")


def topic_list(node: Any, options: argparse.Namespace) -> None:
    """print the topics"""
    _list(node.get_topic_names_and_types(), options.show_types)


def _subscribe(node: Any, options: argparse.Namespace, callback: Callable[[Any], None]) -> None:
    from pocket_ros.rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    name = _absolute(options.topic)
    cls = idl.load(_type_of(node.get_topic_names_and_types(), name, options.type))
    publishers = node.get_publishers_info_by_topic(name)
    # Latched topics are heard from their last message on, as `ros2 topic echo` does.
    latched = bool(publishers) and all(
        p.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in publishers
    )
    best_effort = any(
        p.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for p in publishers
    )
    profile = QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    node.create_subscription(cls, name, callback, profile)


def topic_echo(node: Any, options: argparse.Namespace) -> None:
    """print a topic's messages"""
    from pocket_ros import rclpy

    done = threading.Event()

    def show(message: Any) -> None:
        if not done.is_set():
            _show(message)
            print("---", flush=True)
        if options.once:
            done.set()

    _subscribe(node, options, show)
    while not done.is_set():
        rclpy.spin_once(node, timeout_sec=0.2)


def topic_hz(node: Any, options: argparse.Namespace) -> None:
    """print how often messages come"""
    from pocket_ros import rclpy

    arrivals: deque[float] = deque(maxlen=options.window)
    _subscribe(node, options, lambda _message: arrivals.append(time.monotonic()))
    told = time.monotonic()
    while True:
        rclpy.spin_once(node, timeout_sec=0.2)
        if time.monotonic() - told >= 1.0:
            told = time.monotonic()
            if len(arrivals) < 2:
                print("no messages", flush=True)
                continue
            periods = [b - a for a, b in zip(arrivals, list(arrivals)[1:], strict=False)]
            mean = sum(periods) / len(periods)
            print(
                f"{1 / mean:.3f} Hz (period {min(periods):.4f} to {max(periods):.4f} s, "
                f"{len(arrivals)} messages)",
                flush=True,
            )


def topic_pub(node: Any, options: argparse.Namespace) -> None:
    """publish a message: TOPIC TYPE 'field: value'"""
    cls = idl.load(options.type)
    message = fill(cls(), _parse(options.values))
    publisher = node.create_publisher(cls, _absolute(options.topic), 10)
    deadline = time.monotonic() + _ANSWER_S
    while options.once and not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            raise ToolError(f"nobody listens to {options.topic}")
        time.sleep(0.05)
    # Subscribers learn of us through their own session; give the last of them a moment.
    time.sleep(_DISCOVERY_S)
    while True:
        publisher.publish(message)
        if options.once:
            time.sleep(_DISCOVERY_S)
            return
        time.sleep(1.0 / options.rate)


def service_list(node: Any, options: argparse.Namespace) -> None:
    """print the services"""
    _list(node.get_service_names_and_types(), options.show_types)


def service_call(node: Any, options: argparse.Namespace) -> None:
    """call a service: NAME TYPE 'field: value'"""
    name = _absolute(options.service)
    cls = idl.load(options.type)
    _show(_call(node, cls, name, fill(cls.Request(), _parse(options.values))))


def action_list(node: Any, options: argparse.Namespace) -> None:
    """print the actions"""
    from pocket_ros.rclpy.action import get_action_names_and_types

    _list(get_action_names_and_types(node), options.show_types)


def action_send_goal(node: Any, options: argparse.Namespace) -> None:
    """send a goal and print its result: NAME TYPE 'field: value'"""
    from pocket_ros import rclpy
    from pocket_ros.rclpy.action import ActionClient

    name = _absolute(options.action)
    cls = idl.load(options.type)
    goal = fill(cls.Goal(), _parse(options.values))
    client = ActionClient(node, cls, name)
    if not client.wait_for_server(timeout_sec=_ANSWER_S):
        raise ToolError(f"there is no action {name}")
    feedback = (lambda message: _show(message.feedback)) if options.feedback else None
    handle = _wait(node, client.send_goal_async(goal, feedback_callback=feedback), name)
    if not handle.accepted:
        raise ToolError(f"{name} has rejected the goal")
    result = handle.get_result_async()
    rclpy.spin_until_future_complete(node, result)
    statuses = {4: "SUCCEEDED", 5: "CANCELED", 6: "ABORTED"}
    _show(result.result().result)
    print(f"# {statuses.get(result.result().status, 'UNKNOWN')}")
    if result.result().status != 4:
        raise ToolError(f"the goal of {name} has not succeeded")


def _parameter_service(node: Any, options: argparse.Namespace, name: str, **fields: Any) -> Any:
    cls = idl.load(f"rcl_interfaces/srv/{name}")
    service = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]
    return _call(node, cls, f"{_absolute(options.node)}/{service}", cls.Request(**fields))


def param_list(node: Any, options: argparse.Namespace) -> None:
    """print a node's parameters"""
    response = _parameter_service(node, options, "ListParameters")
    print(*sorted(response.result.names), sep="\n")


def param_get(node: Any, options: argparse.Namespace) -> None:
    """print a parameter's value"""
    values = _parameter_service(node, options, "GetParameters", names=[options.name]).values
    # rclpy answers with nothing at all where one name is not declared.
    value = values[0] if values else None
    if value is None or value.type == 0:
        raise ToolError(f"{options.node} has no parameter {options.name!r}")
    print(yaml.safe_dump(to_plain(getattr(value, _PARAMETER_FIELDS[value.type])), width=1000)
          .removesuffix("...\n").strip())  # fmt: skip


def param_set(node: Any, options: argparse.Namespace) -> None:
    """set a parameter: NODE NAME VALUE"""
    from pocket_ros.rclpy.parameter import Parameter

    parameter = Parameter(options.name, value=_parse(options.value)).to_parameter_msg()
    [result] = _parameter_service(node, options, "SetParameters", parameters=[parameter]).results
    if not result.successful:
        raise ToolError(f"{options.node} has refused {options.name}: {result.reason}")


_TYPES: dict[str, Any] = {
    "-t": {"dest": "show_types", "action": "store_true", "help": "with types"}
}
_TOPIC: dict[str, Any] = {"topic": {}, "type": {"nargs": "?"}}
_TALK: dict[str, Any] = {"type": {}, "values": {"nargs": "?", "help": "YAML: '{field: value}'"}}
_ONCE: dict[str, Any] = {"--once": {"action": "store_true", "help": "one message, then stop"}}
_COMMANDS: dict[
    str, dict[str, tuple[Callable[[Any, argparse.Namespace], None], dict[str, Any]]]
] = {
    "node": {"list": (node_list, {})},
    "topic": {
        "list": (topic_list, _TYPES),
        "echo": (topic_echo, _TOPIC | _ONCE),
        "hz": (topic_hz, _TOPIC | {"--window": {"type": int, "default": 1000}}),
        "pub": (
            topic_pub,
            {"topic": {}} | _TALK | _ONCE | {"--rate": {"type": float, "default": 1.0}},
        ),
    },
    "service": {
        "list": (service_list, _TYPES),
        "call": (service_call, {"service": {}} | _TALK),
    },
    "action": {
        "list": (action_list, _TYPES),
        "send_goal": (
            action_send_goal,
            {"action": {}} | _TALK | {"--feedback": {"action": "store_true"}},
        ),
    },
    "param": {
        "list": (param_list, {"node": {}}),
        "get": (param_get, {"node": {}, "name": {}}),
        "set": (param_set, {"node": {}, "name": {}, "value": {}}),
    },
}
