"""Type hashes: those that real ROS 2 machines print."""

import pytest

from pocket_ros.idl import load

# From `ros2 topic info -v`, `ros2 action info` and the .json files of ROS 2 Jazzy.
KNOWN = {
    "std_msgs/msg/String": "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
}
CONTAINS_CHAR = {"service_msgs/msg/ServiceEventInfo", "std_msgs/msg/Char"}
NOT_BUNDLED = {"actionlib_msgs", "rmw_dds_common", "rosbag2_interfaces"}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_hashes(name):
    assert load(name)._type_hash == f"RIHS01_{KNOWN[name]}"


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
