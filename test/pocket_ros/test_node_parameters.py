"""Parameters: declarations, types, ranges, files with wildcards, services, clients and events."""

from __future__ import annotations

import queue

import pytest
import rclpy
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterEvent,
    ParameterType,
    SetParametersResult,
)
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.parameter_event_handler import ParameterEventHandler

DEADLINE_SEC = 20.0
PARAMETERS_OF_EVERY_NODE = ("use_sim_time", "start_type_description_service")

YAML = """
/**:
  ros__parameters:
    everywhere: 1
    overridden: first
/lab/furnace_1:
  ros__parameters:
    overridden: second
    port: /dev/ttyX
    gains: {p: 1.5, i: 2.0}
    limits: [1, 2, 3]
lab:
  "*":
    ros__parameters:
      for_lab: true
/**/dispenser:
  ros__parameters:
    doses: [0.5, 1.0]
other:
  ros__parameters:
    mine: no
"""


@pytest.fixture
def node(ros):
    return ros.node("holder")


@pytest.fixture
def files(wire, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(YAML)
    rclpy.init(args=["--ros-args", "--params-file", str(path), "-p", "dispenser:late:=7"])
    yield
    rclpy.try_shutdown()


def values(name, namespace):
    node = rclpy.create_node(
        name,
        namespace=namespace,
        automatically_declare_parameters_from_overrides=True,
    )
    found = {key: parameter.value for key, parameter in node.get_parameters_by_prefix("").items()}
    node.destroy_node()
    return {key: value for key, value in found.items() if key not in PARAMETERS_OF_EVERY_NODE}


def test_files_reach_the_nodes_that_their_patterns_mean(files):
    assert values("furnace_1", "/lab") == {
        "everywhere": 1,
        "overridden": "second",
        "port": "/dev/ttyX",
        "gains.p": 1.5,
        "gains.i": 2.0,
        "limits": [1, 2, 3],
        "for_lab": True,
    }
    assert values("furnace_1", "") == {"everywhere": 1, "overridden": "first"}
    assert values("dispenser", "/a/b") == {
        "everywhere": 1,
        "overridden": "first",
        "doses": [0.5, 1.0],
    }
    # A node's name on the command line has no namespace.
    assert values("dispenser", "")["late"] == 7
    assert values("other", "")["mine"] is False


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("3.0", 3.0),
        ("1e-3", 0.001),
        ("-2.", -2.0),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("on", True),
        ("true", True),
        ("word", "word"),
        ("'3'", "3"),
        ("[1, 2]", [1, 2]),
        ("[a, b]", ["a", "b"]),
    ],
)
def test_command_line_gives_values_the_type_that_yaml_has(wire, text, value):
    rclpy.init(args=["--ros-args", "-p", f"x:={text}"])
    node = rclpy.create_node("typed")
    declared = node.declare_parameter("x", type(value)() if not isinstance(value, list) else value)
    assert declared.value == value
    assert type(declared.value) is type(value)
    node.destroy_node()
    rclpy.shutdown()


def test_override_of_another_type_than_declared_is_refused(wire):
    rclpy.init(args=["--ros-args", "-p", "x:=word"])
    node = rclpy.create_node("typed")
    with pytest.raises(InvalidParameterTypeException):
        node.declare_parameter("x", 1.0)
    assert not node.has_parameter("x")
    node.destroy_node()
    rclpy.shutdown()


def test_undeclared_parameters_do_not_exist(node):
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter("x")
    with pytest.raises(ParameterNotDeclaredException):
        node.set_parameters([Parameter("x", value=1)])
    with pytest.raises(ParameterNotDeclaredException):
        node.undeclare_parameter("x")


def test_parameter_is_declared_once(node):
    node.declare_parameter("x", 1)
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("x", 1)


def test_parameter_declared_by_type_has_no_value_before_it_is_set(node):
    node.declare_parameter("x", Parameter.Type.DOUBLE)
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("x")
    assert node.get_parameter_or("x", Parameter("x", value=2.5)).value == 2.5
    assert node.set_parameters([Parameter("x", value=1.5)])[0].successful
    assert node.get_parameter("x").value == 1.5


def test_parameter_keeps_its_type_unless_declared_dynamic(node):
    node.declare_parameter("fixed", 1)
    node.declare_parameter("free", 1, ParameterDescriptor(dynamic_typing=True))
    assert not node.set_parameters([Parameter("fixed", value="a")])[0].successful
    assert node.set_parameters([Parameter("free", value="a")])[0].successful
    assert node.get_parameter("fixed").value == 1
    assert node.get_parameter("free").value == "a"


@pytest.mark.parametrize(
    ("value", "fits"), [(0, True), (4, True), (10, True), (3, False), (-2, False), (12, False)]
)
def test_integer_range_is_kept(node, value, fits):
    bounds = IntegerRange(from_value=0, to_value=10, step=2)
    node.declare_parameter("x", 0, ParameterDescriptor(integer_range=[bounds]))
    assert node.set_parameters([Parameter("x", value=value)])[0].successful is fits


@pytest.mark.parametrize(
    ("value", "fits"), [(0.0, True), (0.3, True), (1.0, True), (0.25, False), (1.5, False)]
)
def test_floating_point_range_is_kept(node, value, fits):
    bounds = FloatingPointRange(from_value=0.0, to_value=1.0, step=0.1)
    node.declare_parameter("x", 0.0, ParameterDescriptor(floating_point_range=[bounds]))
    assert node.set_parameters([Parameter("x", value=value)])[0].successful is fits


def test_default_outside_its_range_is_refused(node):
    bounds = IntegerRange(from_value=0, to_value=10)
    with pytest.raises(InvalidParameterValueException):
        node.declare_parameter("x", 11, ParameterDescriptor(integer_range=[bounds]))


def test_read_only_parameter_keeps_its_value(node):
    node.declare_parameter("x", 1, ParameterDescriptor(read_only=True))
    outcome = node.set_parameters([Parameter("x", value=2)])[0]
    assert not outcome.successful
    assert "read-only" in outcome.reason
    assert node.get_parameter("x").value == 1


def test_callback_may_refuse_and_then_nothing_changes(node):
    node.declare_parameters("", [("a", 1), ("b", 1)])

    def judge(parameters):
        bad = [p.name for p in parameters if p.value > 5]
        return SetParametersResult(successful=not bad, reason=f"too much: {bad}")

    node.add_on_set_parameters_callback(judge)
    both = [Parameter("a", value=2), Parameter("b", value=6)]
    assert node.set_parameters_atomically(both).reason == "too much: ['b']"
    assert [p.value for p in node.get_parameters(["a", "b"])] == [1, 1]
    assert [o.successful for o in node.set_parameters(both)] == [True, False]
    assert [p.value for p in node.get_parameters(["a", "b"])] == [2, 1]
    node.remove_on_set_parameters_callback(judge)
    assert node.set_parameters_atomically(both).successful


def test_declaring_in_a_namespace_puts_it_before_the_names(node):
    node.declare_parameters("gains", [("p", 1.0), ("i", 2.0, ParameterDescriptor())])
    assert {k: p.value for k, p in node.get_parameters_by_prefix("gains").items()} == {
        "p": 1.0,
        "i": 2.0,
    }


def test_services_list_get_describe_and_set(ros, node):
    node.declare_parameter("gains.p", 1.5, ParameterDescriptor(description="proportional"))
    node.declare_parameter("name", "x")
    ros.spin(node)
    caller = ros.node("caller")
    ros.spin(caller)

    def call(srv_type, name, **fields):
        return ros.call(caller, srv_type, f"/holder/{name}", srv_type.Request(**fields))

    listed = call(ListParameters, "list_parameters").result
    assert {"gains.p", "name", "use_sim_time"} <= set(listed.names)
    assert list(listed.prefixes) == ["gains"]
    assert list(call(ListParameters, "list_parameters", prefixes=["gains"]).result.names) == [
        "gains.p"
    ]
    got = call(GetParameters, "get_parameters", names=["gains.p", "name"]).values
    assert (got[0].double_value, got[1].string_value) == (1.5, "x")
    assert not call(GetParameters, "get_parameters", names=["missing"]).values
    types = call(GetParameterTypes, "get_parameter_types", names=["gains.p"]).types
    assert list(types) == [ParameterType.PARAMETER_DOUBLE]
    described = call(DescribeParameters, "describe_parameters", names=["gains.p"]).descriptors
    assert described[0].description == "proportional"
    assert described[0].type == ParameterType.PARAMETER_DOUBLE

    wanted = [Parameter("name", value="y"), Parameter("missing", value=1)]
    messages = [parameter.to_parameter_msg() for parameter in wanted]
    results = call(SetParameters, "set_parameters", parameters=messages).results
    assert [outcome.successful for outcome in results] == [True, False]
    assert node.get_parameter("name").value == "y"
    outcome = call(
        SetParametersAtomically,
        "set_parameters_atomically",
        parameters=[Parameter("name", value="z").to_parameter_msg(), messages[1]],
    ).result
    assert not outcome.successful
    assert node.get_parameter("name").value == "y"


def test_node_lists_its_parameters_by_prefix_and_depth(node):
    node.declare_parameters("", [("a.b.c", 1), ("a.d", 2.0), ("e", "x")])

    def listed(*asked):
        result = node.list_parameters(*asked)
        return sorted(set(result.names) - set(PARAMETERS_OF_EVERY_NODE)), list(result.prefixes)

    assert listed([], 0) == (["a.b.c", "a.d", "e"], ["a.b", "a"])
    assert listed([], 1) == (["e"], [])
    assert listed([], 2) == (["a.d", "e"], ["a"])
    assert listed(["a"], 1) == (["a.d"], ["a"])
    assert listed(["a", "e"], 0) == (["a.b.c", "a.d", "e"], ["a.b", "a"])
    for wrong, error in ((("a",), TypeError), ([1], TypeError)):
        with pytest.raises(error):
            node.list_parameters(wrong, 0)
    with pytest.raises(ValueError):
        node.list_parameters([], -1)


def test_node_tells_the_types_of_its_parameters(ros, node):
    node.declare_parameters("", [("a", 1), ("b", 2.0)])
    types = node.get_parameter_types(["a", "b"])
    assert types == [ParameterType.PARAMETER_INTEGER, ParameterType.PARAMETER_DOUBLE]
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter_types(["a", "unknown"])
    liberal = ros.node("liberal", allow_undeclared_parameters=True)
    assert liberal.get_parameter_types(["unknown"]) == [Parameter.Type.NOT_SET]


def test_changes_are_announced(ros, node):
    watcher = ros.node("watcher")
    events = queue.Queue()
    watcher.create_subscription(ParameterEvent, "/parameter_events", events.put, 100)
    ros.spin(watcher)
    node.declare_parameter("x", 1)
    node.set_parameters([Parameter("x", value=2)])
    new = events.get(timeout=DEADLINE_SEC)
    while not new.new_parameters or new.new_parameters[0].name != "x":
        new = events.get(timeout=DEADLINE_SEC)
    changed = events.get(timeout=DEADLINE_SEC)
    assert new.node == "/holder"
    assert changed.changed_parameters[0].value.integer_value == 2


@pytest.mark.parametrize("text", ["- a", "node: 3", "ros__parameters: {a: 1}", "a: [", "\tx: 1"])
def test_malformed_file_is_refused_by_name(wire, tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RuntimeError, match=r"bad\.yaml"):
        rclpy.init(args=["--ros-args", "--params-file", str(path)])
    assert not rclpy.ok()


@pytest.fixture
def remote(ros, node):
    """A client of the holder's parameters, on a node of its own."""
    node.declare_parameter("speed", 1.5, ParameterDescriptor(description="in mm/s"))
    node.declare_parameter("gains.p", 2)
    node.declare_parameter("anything", 1, ParameterDescriptor(dynamic_typing=True))
    caller = ros.node("caller")
    client = AsyncParameterClient(caller, "holder")
    ros.spin(node)
    ros.spin(caller)
    assert client.wait_for_services(DEADLINE_SEC)
    return client


def test_client_reads_another_nodes_parameters(ros, remote):
    (value,) = ros.result(remote.get_parameters(["speed"])).values
    assert value.double_value == 1.5
    listed = ros.result(remote.list_parameters()).result
    assert {"speed", "gains.p"} <= set(listed.names)
    assert list(ros.result(remote.list_parameters(["gains"])).result.names) == ["gains.p"]
    types = ros.result(remote.get_parameter_types(["speed", "gains.p"])).types
    assert list(types) == [ParameterType.PARAMETER_DOUBLE, ParameterType.PARAMETER_INTEGER]
    (descriptor,) = ros.result(remote.describe_parameters(["speed"])).descriptors
    assert descriptor.description == "in mm/s"


def test_client_sets_and_deletes_another_nodes_parameters(ros, node, remote):
    called = queue.Queue()
    future = remote.set_parameters(
        [Parameter("speed", value=3.5), Parameter("gains.p", value="no number").to_parameter_msg()],
        callback=called.put,
    )
    assert [outcome.successful for outcome in ros.result(future).results] == [True, False]
    assert called.get(timeout=DEADLINE_SEC) is future
    assert node.get_parameter("speed").value == 3.5
    both = [Parameter("speed", value=4.5), Parameter("gains.p", value="no number")]
    assert not ros.result(remote.set_parameters_atomically(both)).result.successful
    assert node.get_parameter("speed").value == 3.5
    outcomes = ros.result(remote.delete_parameters(["anything", "speed"])).results
    assert [outcome.successful for outcome in outcomes] == [True, False]
    assert node.get_parameter("speed").value == 3.5


def test_client_loads_a_file(ros, node, remote, tmp_path):
    path = tmp_path / "holder.yaml"
    path.write_text("/holder: {ros__parameters: {speed: 7.5, gains: {p: 4}}}")
    outcomes = ros.result(remote.load_parameter_file(str(path))).results
    assert [outcome.successful for outcome in outcomes] == [True, True]
    assert (node.get_parameter("speed").value, node.get_parameter("gains.p").value) == (7.5, 4)
    with pytest.raises(FileNotFoundError):
        remote.load_parameter_file(str(tmp_path / "missing.yaml"))


def test_client_of_a_missing_node_is_not_ready(ros):
    client = AsyncParameterClient(ros.node("lonely"), "nobody")
    assert not client.services_are_ready()
    assert not client.wait_for_services(timeout_sec=0.05)


def test_handler_calls_back_for_one_parameter_of_one_node(ros, node):
    watcher, other = ros.node("watcher"), ros.node("other")
    speeds, events = queue.Queue(), queue.Queue()
    handler = ParameterEventHandler(watcher)
    ros.spin(watcher)
    ros.until(watcher, lambda: watcher.count_publishers("/parameter_events") == 3)
    of_speed = handler.add_parameter_callback("speed", "holder", speeds.put)
    of_events = handler.add_parameter_event_callback(events.put)
    for one, value in ((other, 1), (node, 2)):
        one.declare_parameter("unwatched", value)
        one.declare_parameter("speed", value)
    assert speeds.get(timeout=DEADLINE_SEC).value.integer_value == 2
    told = [events.get(timeout=DEADLINE_SEC) for _ in range(4)]
    assert {event.node for event in told} == {"/holder", "/other"}
    handler.remove_parameter_callback(of_speed)
    node.set_parameters([Parameter("speed", value=3)])
    changed = events.get(timeout=DEADLINE_SEC)
    assert handler.get_parameter_from_event(changed, "speed", "/holder").value.integer_value == 3
    assert handler.get_parameter_from_event(changed, "speed", "/other") is None
    assert [parameter.name for parameter in handler.get_parameters_from_event(changed)] == ["speed"]
    assert speeds.empty()
    handler.remove_parameter_event_callback(of_events)
    with pytest.raises(RuntimeError):
        handler.remove_parameter_callback(of_speed)
    handler.destroy()
