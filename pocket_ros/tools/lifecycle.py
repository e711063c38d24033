"""`pocket-ros lifecycle`: managed nodes, their states and their transitions."""

from __future__ import annotations

import argparse
from typing import Any

from pocket_ros import idl
from pocket_ros.tools.command import ToolError, absolute, add_subject, add_verb, call, node_names

_GET_STATE = "lifecycle_msgs/srv/GetState"


def add_commands(commands: Any) -> None:
    """Add `lifecycle` and its verbs."""
    verbs = add_subject(commands, "lifecycle", "list managed nodes and change their states")
    parser = add_verb(verbs, "nodes", nodes)
    parser.add_argument("-a", "--all", action="store_true", help="also hidden nodes")
    parser.add_argument("-c", "--count-nodes", action="store_true", help="only how many")
    parser = add_verb(verbs, "get", get)
    parser.add_argument("node_name", nargs="?", help="otherwise all managed nodes")
    parser = add_verb(verbs, "list", list_transitions)
    parser.add_argument("node_name")
    parser.add_argument("-a", "--all", action="store_true", help="from every state")
    parser = add_verb(verbs, "set", set_)
    parser.add_argument("node_name")
    parser.add_argument("transition", help="its label or number")
    for verb in verbs.choices.values():
        verb.add_argument("--include-hidden-nodes", action="store_true", help="also hidden nodes")


def _managed(node: Any, include_hidden: bool) -> list[str]:
    """Names of the nodes that offer a lifecycle."""
    services = dict(node.get_service_names_and_types())
    return [
        name
        for name in sorted(set(node_names(node, include_hidden)))
        if _GET_STATE in services.get(f"{name}/get_state", [])
    ]


def _require(node: Any, options: argparse.Namespace) -> str:
    name = absolute(options.node_name)
    # A node that was named may be hidden: nobody names one by mistake.
    if name not in _managed(node, include_hidden=True):
        raise ToolError("Node not found")
    return name


def _state(node: Any, name: str) -> Any:
    cls = idl.load(_GET_STATE)
    return call(node, cls, f"{name}/get_state", cls.Request()).current_state


def _transitions(node: Any, name: str, *, everything: bool) -> list[Any]:
    cls = idl.load("lifecycle_msgs/srv/GetAvailableTransitions")
    service = "get_transition_graph" if everything else "get_available_transitions"
    return list(call(node, cls, f"{name}/{service}", cls.Request()).available_transitions)


def nodes(node: Any, options: argparse.Namespace) -> None:
    """print the names of the nodes with a lifecycle"""
    names = _managed(node, options.all or options.include_hidden_nodes)
    if options.count_nodes:
        print(len(names))
        return
    for name in names:
        print(name)


def get(node: Any, options: argparse.Namespace) -> None:
    """print the state of one node or of all"""
    if options.node_name:
        state = _state(node, _require(node, options))
        print(f"{state.label} [{state.id}]")
        return
    for name in _managed(node, options.include_hidden_nodes):
        state = _state(node, name)
        print(f"{name}: {state.label} [{state.id}]", flush=True)


def list_transitions(node: Any, options: argparse.Namespace) -> None:
    """print the transitions that a node can make now"""
    name = _require(node, options)
    for item in _transitions(node, name, everything=options.all):
        print(
            f"- {item.transition.label} [{item.transition.id}]\n"
            f"\tStart: {item.start_state.label}\n"
            f"\tGoal: {item.goal_state.label}"
        )


def set_(node: Any, options: argparse.Namespace) -> None:
    """make a node change its state"""
    name = _require(node, options)
    available = [item.transition for item in _transitions(node, name, everything=False)]
    chosen = [t for t in available if options.transition in (t.label, str(t.id))]
    if not chosen:
        known = "".join(f"\n- {t.label} [{t.id}]" for t in available)
        raise ToolError(f"Unknown transition requested, available ones are:{known}")
    cls = idl.load("lifecycle_msgs/srv/ChangeState")
    request = cls.Request(transition=chosen[0])
    if not call(node, cls, f"{name}/change_state", request).success:
        raise ToolError("Transitioning failed")
    print("Transitioning successful")
