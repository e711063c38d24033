"""What an enclave may do: a small YAML file, read once into values.

    nodes:
      /cell/scanner:
        publishes: [~/state]
        subscribes: [/clock]
        services: [~/reset]          # that it offers
        clients: [/cell/store/put]   # services that it calls
        actions: [~/measure]         # that it offers
        action_clients: []           # that it sends goals to
        parameters: true             # its parameter services and events; true unless said
        lifecycle: false             # the services and events of a managed node

Names are what the node writes: `~/x` is below the node, `x` in its namespace. /rosout is always
allowed. A file that says `everything: true` instead makes a trusted enclave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pocket_ros.security.errors import SecurityError

_LISTS = ("publishes", "subscribes", "services", "clients", "actions", "action_clients")
_FLAGS = {"parameters": True, "lifecycle": False}
_PARAMETER_SERVICES = (
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
    "get_type_description",
)
_LIFECYCLE_SERVICES = (
    "change_state",
    "get_available_states",
    "get_available_transitions",
    "get_state",
    "get_transition_graph",
)
_ACTION_SERVICES = ("send_goal", "cancel_goal", "get_result")
_ACTION_TOPICS = ("feedback", "status")


@dataclass(frozen=True)
class NodePolicy:
    """What one node may do. Names are fully qualified; actions are services and topics here."""

    name: str
    namespace: str
    publishes: frozenset[str]
    subscribes: frozenset[str]
    services: frozenset[str]
    clients: frozenset[str]


@dataclass(frozen=True)
class Policy:
    """What an enclave may do."""

    everything: bool
    nodes: tuple[NodePolicy, ...] = ()


TRUSTED = Policy(everything=True)


def read_policy(path: Path) -> Policy:
    """Read a policy file; SecurityError where it is none."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SecurityError(f"the policy {path} cannot be read: {error}") from None
    return parse_policy(document, str(path))


def parse_policy(document: Any, origin: str) -> Policy:
    """Make a policy of what stands in a file; `origin` is its name in errors."""
    if not isinstance(document, dict):
        raise SecurityError(f"{origin}: expected 'nodes:' or 'everything: true'")
    if document == {"everything": True}:
        return TRUSTED
    nodes = document.get("nodes")
    if set(document) != {"nodes"} or not isinstance(nodes, dict) or not nodes:
        raise SecurityError(
            f"{origin}: expected 'nodes:' with the full names of nodes below it, "
            "or 'everything: true', and nothing else"
        )
    return Policy(
        everything=False,
        nodes=tuple(_parse_node(name, entry or {}, origin) for name, entry in nodes.items()),
    )


def _parse_node(full_name: Any, entry: Any, origin: str) -> NodePolicy:
    from pocket_ros.rclpy._core import names
    from pocket_ros.rclpy.exceptions import NameValidationException

    where = f"{origin}: node {full_name}"
    if not isinstance(full_name, str) or not full_name.startswith("/"):
        raise SecurityError(f"{where}: a node needs its full name, as /cell/scanner")
    if not isinstance(entry, dict):
        raise SecurityError(f"{where}: expected 'publishes:', 'subscribes:' and so on")
    known = (*_LISTS, *_FLAGS)
    if unknown := [key for key in entry if key not in known]:
        raise SecurityError(f"{where}: {unknown[0]!r} is not one of {', '.join(known)}")
    namespace, _, name = full_name.rpartition("/")
    namespace = namespace or "/"
    try:
        names.check_node_name(name)
        names.check_namespace(namespace)
        given = {
            key: {names.expand(item, name, namespace) for item in _strings(entry, key, where)}
            for key in _LISTS
        }
    except NameValidationException as error:
        raise SecurityError(f"{where}: {error.name!r}: {error.error_msg}") from None
    flags = {key: _flag(entry, key, default, where) for key, default in _FLAGS.items()}
    return _with_implied(name, namespace, full_name, given, flags)


def _strings(entry: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = entry.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SecurityError(f"{where}: '{key}' must be a list of names")
    return value


def _flag(entry: Mapping[str, Any], key: str, default: bool, where: str) -> bool:
    value = entry.get(key, default)
    if not isinstance(value, bool):
        raise SecurityError(f"{where}: '{key}' must be true or false")
    return value


def _with_implied(
    name: str, namespace: str, full: str, given: dict[str, set[str]], flags: dict[str, bool]
) -> NodePolicy:
    """A node's policy with the services and topics that actions and parameters are made of."""

    def parts(actions: set[str], of: tuple[str, ...]) -> set[str]:
        return {f"{action}/_action/{part}" for action in actions for part in of}

    offered, used = given["actions"], given["action_clients"]
    publishes = given["publishes"] | parts(offered, _ACTION_TOPICS) | {"/rosout"}
    subscribes = given["subscribes"] | parts(used, _ACTION_TOPICS)
    services = given["services"] | parts(offered, _ACTION_SERVICES)
    if flags["parameters"]:
        publishes |= {"/parameter_events"}
        services |= {f"{full}/{service}" for service in _PARAMETER_SERVICES}
    if flags["lifecycle"]:
        publishes |= {f"{full}/transition_event"}
        services |= {f"{full}/{service}" for service in _LIFECYCLE_SERVICES}
    return NodePolicy(
        name=name,
        namespace=namespace,
        publishes=frozenset(publishes),
        subscribes=frozenset(subscribes),
        services=frozenset(services),
        clients=frozenset(given["clients"] | parts(used, _ACTION_SERVICES)),
    )
