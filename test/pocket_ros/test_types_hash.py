"""Type hashes: those that real ROS 2 machines print, and those of other implementations."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket_ros.idl import InterfaceNotFoundError, interface_names, load
from pocket_ros.idl.catalog import BUNDLED, KINDS
from pocket_ros.idl.hashing import type_hash

KNOWN = dict(
    line.split()
    for line in (Path(__file__).parent / "data" / "known_type_hashes.txt").read_text().splitlines()
    if not line.startswith("#")
)
CONTAINS_CHAR = {"service_msgs/msg/ServiceEventInfo", "std_msgs/msg/Char"}
NOT_BUNDLED = {"rmw_dds_common", "rosbag2_interfaces"}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_hash_is_that_of_a_ros_2_installation(name):
    assert type_hash(name) == f"RIHS01_{KNOWN[name]}"


def test_hashes_equal_those_of_rosbags():
    typesys = pytest.importorskip("rosbags.typesys", reason="rosbags is a development dependency")
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    names = [n for n in store.fielddefs if n.split("/")[0] not in NOT_BUNDLED]
    differing = {
        name for name in names if not load(name)._type_hash.endswith(store.hash_rihs01(name)[-64:])
    }
    # rosbags gives `char` an identifier of its own; ROS 2 describes it as uint8.
    assert differing == CONTAINS_CHAR
    assert len(names) > 150


def test_every_bundled_interface_is_compared_with_somebody_elses_hash():
    typesys = pytest.importorskip("rosbags.typesys", reason="rosbags is a development dependency")
    in_store = set(typesys.get_typestore(typesys.Stores.ROS2_JAZZY).fielddefs)
    bundled = {
        f"{folder.name}/{kind}/{name}"
        for folder in BUNDLED.iterdir()
        for kind in KINDS
        for name in interface_names(folder.name, kind)
    }
    assert bundled - in_store - set(KNOWN) == set()
    assert len(bundled) > 250


def test_hashes_of_messages_and_services_equal_those_of_ros2_pyterfaces(monkeypatch):
    # It takes its types from the distribution that this names.
    monkeypatch.setenv("DISTRO", "jazzy")
    core = pytest.importorskip(
        "ros2_pyterfaces.core",
        reason="ros2-pyterfaces is a development dependency, from Python 3.11 on",
    )
    theirs = {
        core.get_type_name(schema): core.hash_rihs01(schema)
        for module in (core.all_msgs, core.all_srvs)
        for schema in vars(module).values()
        if isinstance(schema, dict) and core.TYPENAME_KEY in schema
    }
    ours = {}
    for name in theirs:
        try:
            ours[name] = type_hash(name)
        except InterfaceNotFoundError:
            continue
    assert ours == {name: theirs[name] for name in ours}
    assert sum("/msg/" in name for name in ours) > 120
    assert sum("/srv/" in name for name in ours) > 80


def test_the_parts_of_services_and_actions_have_names_on_the_wire():
    trigger = load("std_srvs/srv/Trigger")
    assert trigger._type_name == "std_srvs/srv/Trigger"
    assert trigger._dds_name == "std_srvs::srv::dds_::Trigger_"
    assert trigger.Request._dds_name == "std_srvs::srv::dds_::Trigger_Request_"
    impl = load("example_interfaces/action/Fibonacci").Impl
    assert impl.SendGoalService._dds_name == "example_interfaces::action::dds_::Fibonacci_SendGoal_"
    assert impl.FeedbackMessage._type_name == "example_interfaces/action/Fibonacci_FeedbackMessage"
    assert impl.CancelGoalService is load("action_msgs/srv/CancelGoal")
    assert impl.GoalStatusMessage is load("action_msgs/msg/GoalStatusArray")
    parts = (trigger, trigger.Request, trigger.Event, impl.GetResultService, impl.FeedbackMessage)
    hashes = {part._type_hash for part in parts}
    assert len(hashes) == len(parts)
    assert all(len(value) == 7 + 64 and value.startswith("RIHS01_") for value in hashes)
