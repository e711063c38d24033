"""Message classes: what code written for rclpy expects of them."""

import copy
import pickle
import threading
from array import array
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pocket_ros import hook
from pocket_ros.idl import FieldError, InterfaceNotFoundError, load


def test_defaults_are_those_of_the_interface():
    quaternion = load("geometry_msgs/msg/Quaternion")()
    assert (quaternion.x, quaternion.w) == (0.0, 1.0)
    assert load("sensor_msgs/msg/NavSatStatus")().status == -2
    assert load("diagnostic_msgs/msg/DiagnosticStatus")().level == b"\0"
    request = load("type_description_interfaces/srv/GetTypeDescription").Request()
    assert request.include_type_sources is True


def test_constants_are_class_attributes():
    assert load("diagnostic_msgs/msg/DiagnosticStatus").WARN == b"\x01"
    assert load("action_msgs/srv/CancelGoal").Response.ERROR_REJECTED == 1
    assert load("visualization_msgs/msg/Marker").CUBE == 1


def test_numeric_sequences_are_arrays():
    state = load("sensor_msgs/msg/JointState")(position=[1, 2.5])
    assert state.position == array("d", [1.0, 2.5])
    state.velocity = np.array([3.0, 4.0])
    assert state.velocity == array("d", [3.0, 4.0])
    state.position.append(3.0)
    assert len(state.position) == 3


def test_fixed_arrays_are_numpy_arrays_of_their_size():
    uuid = load("unique_identifier_msgs/msg/UUID")(uuid=bytes(range(16)))
    assert isinstance(uuid.uuid, np.ndarray)
    assert uuid.uuid.dtype == np.uint8
    with pytest.raises(FieldError, match=r"'uuid' of unique_identifier_msgs/msg/UUID.*15 element"):
        uuid.uuid = bytes(15)
    with pytest.raises(FieldError):
        uuid.uuid = [256] * 16
    assert list(uuid.uuid) == list(range(16))


@pytest.mark.parametrize("value", ["1.0", b"12345678", ["a"], 3.0, None])
def test_what_holds_no_numbers_is_refused_at_once(value):
    state = load("sensor_msgs/msg/JointState")()
    with pytest.raises(FieldError, match="'position' of sensor_msgs/msg/JointState"):
        state.position = value


def test_instances_share_nothing():
    cls = load("sensor_msgs/msg/JointState")
    first, second = cls(), cls()
    first.name.append("a")
    first.position.append(1.0)
    first.header.stamp.sec = 1
    assert second == cls()
    assert first != second


def test_constructors_take_keywords_only():
    point = load("geometry_msgs/msg/Point")
    with pytest.raises(TypeError):
        point(1.0, 2.0, 3.0)
    with pytest.raises(TypeError, match="radius"):
        point(radius=1.0)
    with pytest.raises(AttributeError):
        point().radius = 1.0


def test_repr_reads_like_rclpys():
    point = load("geometry_msgs/msg/Point")(x=1.0)
    assert repr(point) == "geometry_msgs.msg.Point(x=1.0, y=0.0, z=0.0)"
    array_message = load("std_msgs/msg/UInt8MultiArray")(data=[1, 2])
    assert repr(array_message).endswith("data=[1, 2])")


def test_field_types_are_spelled_like_rclpys():
    types = load("sensor_msgs/msg/JointState").get_fields_and_field_types()
    assert types == {
        "header": "std_msgs/Header",
        "name": "sequence<string>",
        "position": "sequence<double>",
        "velocity": "sequence<double>",
        "effort": "sequence<double>",
    }
    solid = load("shape_msgs/msg/SolidPrimitive").get_fields_and_field_types()
    assert solid["dimensions"] == "sequence<double, 3>"


def test_bounded_sequences_keep_their_bound():
    solid = load("shape_msgs/msg/SolidPrimitive")(dimensions=[1.0, 2.0, 3.0])
    with pytest.raises(FieldError, match="dimensions"):
        solid.dimensions = [1.0] * 4


def test_services_and_actions_are_no_messages():
    with pytest.raises(NotImplementedError, match="Request"):
        load("std_srvs/srv/Trigger")()
    with pytest.raises(AttributeError, match="Goal"):
        _ = load("std_srvs/srv/Trigger").Goal


def test_messages_can_be_copied_and_pickled():
    hook.install()
    message = load("geometry_msgs/msg/PoseStamped")()
    message.pose.position.x = 4.0
    assert copy.deepcopy(message) == message
    assert copy.deepcopy(message).pose is not message.pose
    assert pickle.loads(pickle.dumps(message)) == message


def test_a_class_exists_once():
    pose = load("geometry_msgs/msg/PoseStamped")()
    assert type(pose.pose) is load("geometry_msgs/msg/Pose")


def test_threads_that_load_at_once_get_the_same_class():
    name = "control_msgs/action/FollowJointTrajectory_Feedback"
    barrier = threading.Barrier(8)

    def first_load(_index):
        barrier.wait()
        return load(name)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(first_load, range(8)))) == 1


@pytest.mark.parametrize(
    "name", ["std_msgs/msg/Nothing", "nobody_msgs/msg/String", "String", "std_msgs/msg/../String"]
)
def test_unknown_interfaces_are_named(name):
    with pytest.raises(InterfaceNotFoundError, match=name.replace(".", r"\.")):
        load(name)
