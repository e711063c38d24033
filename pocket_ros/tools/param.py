"""`pocket-ros param`: reading and setting the parameters of nodes."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from pocket_ros import idl
from pocket_ros.tools.command import (
    ToolError,
    add_subject,
    add_verb,
    call,
    node_names,
    require_node,
)
from pocket_ros.tools.values import to_plain

# Type number: field of ParameterValue, name in `describe`, words of `get`.
_TYPES = {
    1: ("bool_value", "boolean", "Boolean value is:"),
    2: ("integer_value", "integer", "Integer value is:"),
    3: ("double_value", "double", "Double value is:"),
    4: ("string_value", "string", "String value is:"),
    5: ("byte_array_value", "byte array", "Byte values are:"),
    6: ("bool_array_value", "boolean array", "Boolean values are:"),
    7: ("integer_array_value", "integer array", "Integer values are:"),
    8: ("double_array_value", "double array", "Double values are:"),
    9: ("string_array_value", "string array", "String values are:"),
}
_NOT_SET = "not set"


def add_commands(commands: Any) -> None:
    """Add `param` and its verbs."""
    verbs = add_subject(commands, "param", "list, get, set, dump and load parameters")
    parser = add_verb(verbs, "list", list_parameters)
    parser.add_argument("node_name", nargs="?", help="otherwise all nodes")
    parser.add_argument("--include-hidden-nodes", action="store_true", help="also hidden nodes")
    parser.add_argument("--filter", metavar="REGEX", help="only names that match")
    parser.add_argument("--param-prefixes", nargs="+", default=[], metavar="PREFIX")
    parser.add_argument("--param-type", action="store_true", help="with types")
    parser = _of_node(verbs, "get", get)
    parser.add_argument("parameter_name")
    parser.add_argument("--hide-type", action="store_true", help="only the value")
    parser = _of_node(verbs, "set", set_)
    parser.add_argument("parameter_name")
    parser.add_argument("value", help="YAML")
    _of_node(verbs, "delete", delete).add_argument("parameter_name")
    _of_node(verbs, "describe", describe).add_argument("parameter_names", nargs="+")
    _of_node(verbs, "dump", dump)
    parser = _of_node(verbs, "load", load)
    parser.add_argument("parameter_file", type=Path)
    parser.add_argument("--no-use-wildcard", action="store_true", help="leave out '/**'")


def _of_node(verbs: Any, name: str, function: Any) -> Any:
    parser = add_verb(verbs, name, function)
    parser.add_argument("node_name")
    parser.add_argument(
        "--timeout", type=float, default=1.0, metavar="SECONDS", help="longest wait for the node"
    )
    parser.add_argument("--include-hidden-nodes", action="store_true", help="as always here")
    return parser


def _ask(node: Any, of: str, service: str, **fields: Any) -> Any:
    """The response of one of a node's parameter services."""
    cls = idl.load(f"rcl_interfaces/srv/{service}")
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", service).lower()
    return call(node, cls, f"{of}/{name}", cls.Request(**fields))


def _names(node: Any, of: str, prefixes: list[str]) -> list[str]:
    found = _ask(node, of, "ListParameters", prefixes=prefixes, depth=0)
    return sorted(found.result.names)


def _value(value: Any) -> Any:
    """A ParameterValue as a plain value; None where it is not set."""
    if value.type not in _TYPES:
        return None
    field = getattr(value, _TYPES[value.type][0])
    # Bytes stand as Python shows them, which is what ros2 prints.
    return list(field) if value.type == 5 else to_plain(field)


def list_parameters(node: Any, options: argparse.Namespace) -> None:
    """print the names of parameters"""
    if options.node_name:
        nodes = [require_node(node, options.node_name)]
    else:
        nodes = sorted(set(node_names(node, options.include_hidden_nodes)))
        offered = {name for name, _ in node.get_service_names_and_types()}
        nodes = [name for name in nodes if f"{name}/list_parameters" in offered]
    pattern = re.compile(options.filter or "")
    for of in nodes:
        names = [name for name in _names(node, of, options.param_prefixes) if pattern.match(name)]
        if names and not options.node_name:
            print(f"{of}:")
        types: dict[str, str] = {}
        if options.param_type and names:
            described = _ask(node, of, "DescribeParameters", names=names).descriptors
            types = {item.name: _TYPES.get(item.type, ("", _NOT_SET))[1] for item in described}
        for name in names:
            print(f"  {name} (type: {types[name]})" if name in types else f"  {name}")


def get(node: Any, options: argparse.Namespace) -> None:
    """print a parameter's value"""
    of = require_node(node, options.node_name, options.timeout)
    values = _ask(node, of, "GetParameters", names=[options.parameter_name]).values
    # rclpy answers with nothing at all where a name is not declared.
    if not values or values[0].type not in _TYPES:
        raise ToolError(f"Parameter not set: {of} has no parameter '{options.parameter_name}'")
    label = _TYPES[values[0].type][2]
    value = _value(values[0])
    print(value if options.hide_type else f"{label} {value}")


def set_(node: Any, options: argparse.Namespace) -> None:
    """set a parameter"""
    from pocket_ros.rclpy.parameter import get_parameter_value

    value = get_parameter_value(options.value)
    _set_one(node, options, value, "Set parameter successful", "Setting parameter failed")


def delete(node: Any, options: argparse.Namespace) -> None:
    """take a parameter's value away"""
    value = idl.load("rcl_interfaces/msg/ParameterValue")()
    _set_one(node, options, value, "Deleted parameter successfully", "Deleting parameter failed")


def _set_one(node: Any, options: argparse.Namespace, value: Any, good: str, bad: str) -> None:
    of = require_node(node, options.node_name, options.timeout)
    parameter = idl.load("rcl_interfaces/msg/Parameter")(name=options.parameter_name, value=value)
    [result] = _ask(node, of, "SetParameters", parameters=[parameter]).results
    reason = f": {result.reason}" if result.reason else ""
    if not result.successful:
        raise ToolError(f"{bad}{reason}")
    print(f"{good}{reason}")


def describe(node: Any, options: argparse.Namespace) -> None:
    """print what is known about parameters"""
    of = require_node(node, options.node_name, options.timeout)
    found = _ask(node, of, "DescribeParameters", names=options.parameter_names).descriptors
    if not found:
        raise ToolError(f"{of} has none of the parameters {', '.join(options.parameter_names)}")
    for item in found:
        print(f"Parameter name: {item.name}")
        print(f"  Type: {_TYPES.get(item.type, ('', _NOT_SET))[1]}")
        if item.description:
            print(f"  Description: {item.description}")
        print("  Constraints:")
        if item.read_only:
            print("    Read only: true")
        for bounds in [*item.floating_point_range, *item.integer_range][:1]:
            print(f"    Min value: {bounds.from_value}")
            print(f"    Max value: {bounds.to_value}")
            if bounds.step:
                print(f"    Step: {bounds.step}")
        if item.additional_constraints:
            print(f"    Additional constraints: {item.additional_constraints}")


def dump(node: Any, options: argparse.Namespace) -> None:
    """print a node's parameters as a YAML file"""
    of = require_node(node, options.node_name, options.timeout)
    names = _names(node, of, [])
    values = _ask(node, of, "GetParameters", names=names).values if names else []
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *groups, last = name.split(".")
        below = tree
        for group in groups:
            below = below.setdefault(group, {})
        below[last] = _value(value)
    print(yaml.safe_dump({of: {"ros__parameters": tree}}, default_flow_style=False))


def load(node: Any, options: argparse.Namespace) -> None:
    """set a node's parameters from a YAML file"""
    from pocket_ros.rclpy._core import arguments
    from pocket_ros.rclpy.parameter import Parameter

    of = require_node(node, options.node_name, options.timeout)
    entries = arguments.load_parameter_file(str(options.parameter_file))
    if options.no_use_wildcard:
        entries = [entry for entry in entries if entry.pattern != "/**"]
    wanted = arguments.overrides_for([arguments.RosArguments(overrides=entries)], of)
    if not wanted:
        raise ToolError(f"{options.parameter_file} has no parameters for {of}")
    parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in wanted.items()]
    results = _ask(node, of, "SetParameters", parameters=parameters).results
    for name, result in zip(wanted, results, strict=True):
        reason = f": {result.reason}" if result.reason else ""
        if result.successful:
            print(f"Set parameter {name} successful{reason}")
        else:
            print(f"Set parameter {name} failed{reason}", file=sys.stderr)
    if not all(result.successful for result in results):
        raise ToolError(f"{of} has not taken all parameters")
