"""`pocket-ros action`: which actions there are, and goals for them."""

from __future__ import annotations

import argparse
from typing import Any

from pocket_ros.tools.command import (
    ToolError,
    absolute,
    add_subject,
    add_verb,
    interface,
    print_names,
    types_of,
    wait_for,
)
from pocket_ros.tools.values import fill, parse_yaml, to_yaml

_STATUS = {4: "SUCCEEDED", 5: "CANCELED", 6: "ABORTED"}
_ENDED = frozenset(_STATUS)


def add_commands(commands: Any) -> None:
    """Add `action` and its verbs."""
    verbs = add_subject(commands, "action", "list actions and send goals")
    parser = add_verb(verbs, "list", list_actions)
    parser.add_argument("-t", "--show-types", action="store_true", help="with types")
    parser.add_argument("-c", "--count-actions", action="store_true", help="only how many")
    parser = add_verb(verbs, "info", info)
    parser.add_argument("action_name")
    parser.add_argument("-t", "--show-types", action="store_true", help="with types")
    parser.add_argument("-c", "--count", action="store_true", help="only how many")
    add_verb(verbs, "type", show_type).add_argument("action_name")
    parser = add_verb(verbs, "send_goal", send_goal)
    parser.add_argument("action_name")
    parser.add_argument("action_type")
    parser.add_argument("goal", nargs="?", default="{}", help="YAML, as '{order: 10}'")
    parser.add_argument("-f", "--feedback", action="store_true", help="print feedback")


def list_actions(node: Any, options: argparse.Namespace) -> None:
    """print the names of the actions"""
    from pocket_ros.rclpy.action import get_action_names_and_types

    known = sorted(get_action_names_and_types(node))
    print_names(known, count=options.count_actions, types=options.show_types)


def info(node: Any, options: argparse.Namespace) -> None:
    """print an action's clients and servers"""
    from pocket_ros.rclpy.action import (
        get_action_client_names_and_types_by_node,
        get_action_server_names_and_types_by_node,
    )

    action = absolute(options.action_name)
    print(f"Action: {action}")
    for title, by_node in (
        ("Action clients", get_action_client_names_and_types_by_node),
        ("Action servers", get_action_server_names_and_types_by_node),
    ):
        found = [
            (f"{namespace.rstrip('/')}/{name}", types)
            for name, namespace in sorted(set(node.get_node_names_and_namespaces()))
            for other, types in by_node(node, name, namespace)
            if other == action
        ]
        print(f"{title}: {len(found)}")
        if not options.count:
            for name, types in sorted(found):
                print(f"    {name} [{', '.join(types)}]" if options.show_types else f"    {name}")


def show_type(node: Any, options: argparse.Namespace) -> None:
    """print an action's type"""
    from pocket_ros.rclpy.action import get_action_names_and_types

    name = absolute(options.action_name)
    print(*types_of(get_action_names_and_types(node), name, "action"), sep="\n")


def send_goal(node: Any, options: argparse.Namespace) -> None:
    """send a goal and print its result"""
    from pocket_ros.rclpy.action import ActionClient

    name = absolute(options.action_name)
    cls = interface(options.action_type, "action")
    goal = cls.Goal()
    for stamp in fill(goal, parse_yaml(options.goal)):
        stamp(node.get_clock().now().to_msg())
    client = ActionClient(node, cls, name)
    print("Waiting for an action server to become available...", flush=True)
    client.wait_for_server()
    print(f"Sending goal:\n     {to_yaml(goal)}", flush=True)

    def on_feedback(message: Any) -> None:
        print(f"Feedback:\n    {to_yaml(message.feedback)}", flush=True)

    sent = client.send_goal_async(goal, on_feedback if options.feedback else None)
    handle = wait_for(node, sent, name)
    if not handle.accepted:
        print("Goal was rejected.", flush=True)
        raise ToolError(f"{name} has rejected the goal")
    try:
        print(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n", flush=True)
        result = wait_for(node, handle.get_result_async(), name, longest_s=None)
    except KeyboardInterrupt:
        _cancel(node, handle, name)
        raise
    print(f"Result:\n    {to_yaml(result.result)}")
    print(f"Goal finished with status: {_STATUS.get(result.status, 'UNKNOWN')}", flush=True)
    if _STATUS.get(result.status) != "SUCCEEDED":
        raise ToolError(f"the goal of {name} has not succeeded")


def _cancel(node: Any, handle: Any, name: str) -> None:
    """Cancel a goal that nobody waits for any more."""
    if handle.status in _ENDED:
        return
    print("Canceling goal...", flush=True)
    response = wait_for(node, handle.cancel_goal_async(), name)
    if not response.goals_canceling:
        raise ToolError("Failed to cancel goal")
    print("Goal canceled.", flush=True)
