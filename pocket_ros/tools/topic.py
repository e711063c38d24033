"""`pocket-ros topic`: which topics there are, what is said on them, and saying something."""

from __future__ import annotations

import argparse
from typing import Any

from pocket_ros.tools.command import (
    absolute,
    add_subject,
    add_verb,
    one_or_all,
    print_names,
    types_of,
    visible,
)
from pocket_ros.tools.topic_data import (
    add_publishing_options,
    add_subscribing_options,
    bandwidth,
    delay,
    echo,
    publish,
    rate,
)
from pocket_ros.tools.values import TRUNCATE_LENGTH


def add_commands(commands: Any) -> None:
    """Add `topic` and its verbs."""
    verbs = add_subject(commands, "topic", "list, hear, publish and measure topics")
    parser = add_verb(verbs, "list", list_topics)
    parser.add_argument("-t", "--show-types", action="store_true", help="with types")
    parser.add_argument("-c", "--count-topics", action="store_true", help="only how many")
    parser.add_argument("-v", "--verbose", action="store_true", help="with everything known")
    _hidden(parser)
    parser = add_verb(verbs, "info", info)
    parser.add_argument("topic_name")
    parser.add_argument("-v", "--verbose", action="store_true", help="with every endpoint")
    _hidden(add_verb(verbs, "type", show_type)).add_argument("topic_name")
    parser = _hidden(add_verb(verbs, "find", find))
    parser.add_argument("topic_type")
    parser.add_argument("-c", "--count-topics", action="store_true", help="only how many")

    parser = add_verb(verbs, "echo", echo)
    add_subscribing_options(parser)
    parser.add_argument("message_type", nargs="?", help="as std_msgs/msg/String")
    parser.add_argument("--once", action="store_true", help="one message, then stop")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="then stop")
    parser.add_argument("--field", help="only this field, as pose.position.x")
    parser.add_argument("--csv", action="store_true", help="values, separated by commas")
    parser.add_argument("--flow-style", action="store_true", help="YAML in one line")
    parser.add_argument("--no-arr", action="store_true", help="without arrays")
    parser.add_argument("--no-str", action="store_true", help="without strings")
    parser.add_argument("-f", "--full-length", action="store_true", help="cut nothing short")
    parser.add_argument("-l", "--truncate-length", type=int, default=TRUNCATE_LENGTH, metavar="N")
    parser.add_argument("--raw", action="store_true", help="the bytes as they came")
    parser.add_argument("--include-message-info", action="store_true", help="when and as which")

    parser = add_verb(verbs, "hz", rate)
    add_subscribing_options(parser)
    parser.add_argument("-w", "--window", type=_positive, default=10000, metavar="N")
    parser.add_argument("--wall-time", action="store_true", help="by the machine's clock")
    parser = add_verb(verbs, "bw", bandwidth)
    add_subscribing_options(parser)
    parser.add_argument("-w", "--window", type=_positive, default=100, metavar="N")
    parser = add_verb(verbs, "delay", delay)
    add_subscribing_options(parser)
    parser.add_argument("-w", "--window", type=_positive, default=10000, metavar="N")

    parser = add_verb(verbs, "pub", publish)
    add_publishing_options(parser)


def _hidden(parser: Any) -> Any:
    parser.add_argument("--include-hidden-topics", action="store_true", help="also hidden ones")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("value must be a positive integer")
    return value


def list_topics(node: Any, options: argparse.Namespace) -> None:
    """print the names of the topics"""
    known = visible(node.get_topic_names_and_types(), options.include_hidden_topics)
    if not options.verbose or options.count_topics:
        print_names(known, count=options.count_topics, types=options.show_types)
        return
    for title, noun, count_of in (
        ("Published", "publisher", node.count_publishers),
        ("Subscribed", "subscriber", node.count_subscribers),
    ):
        print(f"{title} topics:")
        for name, types in known:
            if count := count_of(name):
                plural = "s" if count > 1 else ""
                print(f" * {name} [{', '.join(types)}] {count} {noun}{plural}")
        print()


def info(node: Any, options: argparse.Namespace) -> None:
    """print a topic's type and its publishers and subscriptions"""
    name = absolute(options.topic_name)
    types = types_of(node.get_topic_names_and_types(), name, "topic")
    end = "\n\n" if options.verbose else "\n"
    print(f"Type: {one_or_all(types)}", end=end)
    for title, count, endpoints in (
        ("Publisher", node.count_publishers(name), node.get_publishers_info_by_topic),
        ("Subscription", node.count_subscribers(name), node.get_subscriptions_info_by_topic),
    ):
        print(f"{title} count: {count}", end=end)
        if options.verbose:
            for endpoint in endpoints(name):
                print(_endpoint_text(endpoint), end=end)


def _endpoint_text(endpoint: Any) -> str:
    """An endpoint as rclpy of Jazzy prints it."""
    qos = endpoint.qos_profile
    history = qos.history.name
    if history == "KEEP_LAST":
        history += f" ({qos.depth})"
    return "\n".join(
        [
            f"Node name: {endpoint.node_name}",
            f"Node namespace: {endpoint.node_namespace}",
            f"Topic type: {endpoint.topic_type}",
            f"Topic type hash: {endpoint.topic_type_hash}",
            f"Endpoint type: {endpoint.endpoint_type.name}",
            f"GID: {'.'.join(f'{byte:02x}' for byte in endpoint.endpoint_gid)}",
            "QoS profile:",
            f"  Reliability: {qos.reliability.name}",
            f"  History (Depth): {history}",
            f"  Durability: {qos.durability.name}",
            f"  Lifespan: {_duration(qos.lifespan)}",
            f"  Deadline: {_duration(qos.deadline)}",
            f"  Liveliness: {qos.liveliness.name}",
            f"  Liveliness lease duration: {_duration(qos.liveliness_lease_duration)}",
        ]
    )


def _duration(value: Any) -> str:
    from pocket_ros.rclpy.duration import Infinite

    return "Infinite" if value == Infinite else f"{value.nanoseconds} nanoseconds"


def show_type(node: Any, options: argparse.Namespace) -> None:
    """print a topic's type"""
    name = absolute(options.topic_name)
    print(*types_of(node.get_topic_names_and_types(), name, "topic"), sep="\n")


def find(node: Any, options: argparse.Namespace) -> None:
    """print the topics of a type"""
    known = visible(node.get_topic_names_and_types(), options.include_hidden_topics)
    found = [item for item in known if options.topic_type in item[1]]
    print_names(found, count=options.count_topics, types=False)
