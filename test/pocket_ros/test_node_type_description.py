"""Type descriptions: every node tells what the types that it uses look like."""

from __future__ import annotations

import pytest
from example_interfaces.action import Fibonacci
from geometry_msgs.msg import QuaternionStamped
from rclpy.action import ActionServer
from rclpy.exceptions import ParameterImmutableException
from rclpy.parameter import Parameter
from std_msgs.msg import String
from type_description_interfaces.msg import FieldType
from type_description_interfaces.srv import GetTypeDescription


@pytest.fixture
def node(ros):
    node = ros.node("talker", namespace="/lab")
    ros.spin(node)
    return node


def ask(ros, node, **request):
    asker = ros.node("asker")
    ros.spin(asker)
    return ros.call(
        asker,
        GetTypeDescription,
        f"{node.get_fully_qualified_name()}/get_type_description",
        GetTypeDescription.Request(**request),
    )


def type_hash(ros, node, topic):
    ros.until(node, lambda: node.count_publishers(topic) == 1)
    return str(node.get_publishers_info_by_topic(topic)[0].topic_type_hash)


def test_message_is_described_with_all_that_it_holds_and_its_text(ros, node):
    node.create_publisher(QuaternionStamped, "turned", 1)
    answer = ask(
        ros,
        node,
        type_name="geometry_msgs/msg/QuaternionStamped",
        type_hash=type_hash(ros, node, "turned"),
    )
    assert answer.successful, answer.failure_reason
    described = answer.type_description.type_description
    assert described.type_name == "geometry_msgs/msg/QuaternionStamped"
    assert [field.name for field in described.fields] == ["header", "quaternion"]
    assert described.fields[1].type.type_id == FieldType.FIELD_TYPE_NESTED_TYPE
    assert described.fields[1].type.nested_type_name == "geometry_msgs/msg/Quaternion"
    others = {each.type_name: each for each in answer.type_description.referenced_type_descriptions}
    assert list(others) == [
        "builtin_interfaces/msg/Time",
        "geometry_msgs/msg/Quaternion",
        "std_msgs/msg/Header",
    ]
    turn = others["geometry_msgs/msg/Quaternion"].fields
    assert [field.default_value for field in turn] == ["0.0", "0.0", "0.0", "1.0"]
    assert {field.type.type_id for field in turn} == {FieldType.FIELD_TYPE_DOUBLE}
    sources = {source.type_name: source for source in answer.type_sources}
    assert set(sources) == {described.type_name, *others}
    assert sources[described.type_name].encoding == "msg"
    assert "Quaternion quaternion" in sources[described.type_name].raw_file_contents


def test_sources_are_told_only_where_they_are_asked_for(ros, node):
    node.create_publisher(String, "x", 1)
    answer = ask(ros, node, type_hash=type_hash(ros, node, "x"), include_type_sources=False)
    assert answer.successful
    assert list(answer.type_sources) == []


def test_types_of_actions_are_described(ros, node):
    server = ActionServer(node, Fibonacci, "fibonacci", lambda goal: Fibonacci.Result())
    topic = "fibonacci/_action/feedback"
    answer = ask(ros, node, type_hash=type_hash(ros, node, topic))
    assert answer.successful, answer.failure_reason
    described = answer.type_description.type_description
    assert described.type_name == "example_interfaces/action/Fibonacci_FeedbackMessage"
    encodings = {source.type_name: source.encoding for source in answer.type_sources}
    assert encodings["example_interfaces/action/Fibonacci_Feedback"] == "implicit"
    server.destroy()


def test_types_that_the_node_does_not_use_and_nonsense_are_refused(ros, node):
    unused = ask(ros, node, type_hash="RIHS01_" + 64 * "0")
    assert not unused.successful
    assert "not currently in use" in unused.failure_reason
    for nonsense in ("", "RIHS01_xyz", "RIHS01_00"):
        refused = ask(ros, node, type_hash=nonsense)
        assert not refused.successful
        assert "parse" in refused.failure_reason


def test_service_is_shown_as_any_other_and_its_parameter_cannot_be_changed(ros, node):
    name = "/lab/talker/get_type_description"
    ros.until(node, lambda: node.count_services(name) == 1)
    assert (name, ["type_description_interfaces/srv/GetTypeDescription"]) in (
        node.get_service_names_and_types_by_node("talker", "/lab")
    )
    assert node.get_parameter("start_type_description_service").value is True
    assert node.describe_parameter("start_type_description_service").read_only
    with pytest.raises(ParameterImmutableException):
        node.undeclare_parameter("start_type_description_service")


def test_node_may_keep_its_types_to_itself(ros):
    silent = ros.node(
        "silent",
        parameter_overrides=[Parameter("start_type_description_service", value=False)],
    )
    shown = [service.srv_name for service in silent.services]
    assert not any("get_type_description" in name for name in shown)
    assert any("get_parameters" in name for name in shown)
