"""A node of ours never takes a name that rclpy's own Node needs for itself.

pocket_ros keeps its private names apart; a real rclpy does not, and a node whose `_services` is
something else stops there at its first wait.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

NODES = Path(__file__).parents[2] / "matlab_ros" / "nodes"
# What Node and LifecycleNode of rclpy 7.1 assign or define below `self`.
_NAMES = """
_allow_undeclared_parameters _apply_descriptor _apply_descriptor_and_set _apply_descriptors
_apply_floating_point_range _apply_integer_range _call_post_set_parameters_callback
_call_pre_set_parameters_callback _callbacks _check_undeclared_parameters _clients _clock
_context _count_clients_or_servers _count_publishers_or_subscribers _declare_parameter_common
_default_callback_group _descriptors _get_info_by_topic _guards _logger _logger_service
_managed_entities _on_set_parameter_callbacks _on_set_parameters_callbacks
_parameter_callbacks _parameter_event_publisher _parameter_overrides _parameter_service
_parameters _post_set_parameter_callbacks _post_set_parameters_callbacks
_pre_set_parameter_callbacks _pre_set_parameters_callbacks _publishers _rate_group
_service_change_state _service_get_available_states _service_get_available_transitions
_service_get_state _service_get_transition_graph _services _set_parameters_atomically
_set_parameters_atomically_common _state_machine _subscriptions _time_source _timers
_type_description_service _validate_qos_or_depth_parameter _validate_topic_or_service_name
_wake_executor handle executor waitables publishers subscriptions clients services timers
guards context default_callback_group
"""
TAKEN = frozenset(_NAMES.split())


def _node_classes() -> list[tuple[str, ast.ClassDef]]:
    classes = {
        each.name: (path.name, each)
        for path in sorted(NODES.glob("*.py"))
        for each in ast.parse(path.read_text()).body
        if isinstance(each, ast.ClassDef)
    }
    nodes = {"Node", "LifecycleNode"}
    while True:
        more = {
            name
            for name, (_, each) in classes.items()
            if name not in nodes
            and any(isinstance(base, ast.Name) and base.id in nodes for base in each.bases)
        }
        if not more:
            return [classes[name] for name in sorted(nodes & classes.keys())]
        nodes |= more


def _own_names(node: ast.ClassDef) -> set[str]:
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    stored = {
        item.attr
        for item in ast.walk(node)
        if isinstance(item, ast.Attribute)
        and isinstance(item.ctx, ast.Store)
        and isinstance(item.value, ast.Name)
        and item.value.id == "self"
    }
    return methods | stored


@pytest.mark.parametrize(
    ("file", "node"), _node_classes(), ids=lambda each: getattr(each, "name", each)
)
def test_no_node_takes_a_name_of_rclpy_s_own(file: str, node: ast.ClassDef) -> None:
    assert not _own_names(node) & TAKEN, f"{node.name} in {file}"


def test_all_the_lab_s_nodes_are_looked_at() -> None:
    names = {node.name for _, node in _node_classes()}
    assert {"LabManagerNode", "PlannerNode", "FurnaceNode", "VirtualLabNode"} <= names
