"""`pocket-ros node`: which nodes there are, and what each of them offers and uses."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pocket_ros.tools.command import (
    NamesAndTypes,
    ToolError,
    absolute,
    add_subject,
    add_verb,
    node_names,
    visible,
)


def add_commands(commands: Any) -> None:
    """Add `node` and its verbs."""
    verbs = add_subject(commands, "node", "list nodes and what they offer and use")
    parser = add_verb(verbs, "list", list_nodes)
    parser.add_argument("-a", "--all", action="store_true", help="also hidden nodes")
    parser.add_argument("-c", "--count-nodes", action="store_true", help="only how many")
    parser = add_verb(verbs, "info", info)
    parser.add_argument("node_name")
    parser.add_argument("--include-hidden", action="store_true", help="also hidden names")


def list_nodes(node: Any, options: argparse.Namespace) -> None:
    """print the names of the nodes"""
    names = node_names(node, options.all)
    if options.count_nodes:
        print(len(names))
        return
    if len(set(names)) < len(names):
        print(
            "WARNING: Be aware that there are nodes in the graph that share an exact name, "
            "which can have unintended side effects.",
            file=sys.stderr,
        )
    for name in names:
        print(name)


def info(node: Any, options: argparse.Namespace) -> None:
    """print a node's topics, services and actions"""
    from pocket_ros.rclpy.action import (
        get_action_client_names_and_types_by_node,
        get_action_server_names_and_types_by_node,
    )

    full = absolute(options.node_name)
    count = node_names(node, include_hidden=True).count(full)
    if not count:
        raise ToolError(f"Unable to find node '{options.node_name}'")
    if count > 1:
        print(
            f"There are {count} nodes in the graph with the exact name {full!r}. You are seeing "
            "information about only one of them.",
            file=sys.stderr,
        )
    namespace, _, name = full.rpartition("/")
    who = (name, namespace or "/")
    hidden = options.include_hidden
    print(full)
    for title, known in (
        ("Subscribers", node.get_subscriber_names_and_types_by_node(*who)),
        ("Publishers", node.get_publisher_names_and_types_by_node(*who)),
        ("Service Servers", node.get_service_names_and_types_by_node(*who)),
        ("Service Clients", node.get_client_names_and_types_by_node(*who)),
        ("Action Servers", get_action_server_names_and_types_by_node(node, *who)),
        ("Action Clients", get_action_client_names_and_types_by_node(node, *who)),
    ):
        _print_group(title, visible(known, hidden))


def _print_group(title: str, known: NamesAndTypes) -> None:
    print(f"  {title}:")
    lines = [f"    {name}: {', '.join(types)}" for name, types in known]
    # ros2 prints an empty line where there is nothing.
    print("\n".join(lines))
