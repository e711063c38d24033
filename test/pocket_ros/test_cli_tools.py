"""The command line's tools: they see and reach a node of another process, with ros2's words."""

import queue
import re
import signal
import subprocess
import sys
import threading

import pytest
import yaml

from pocket_ros import cli
from pocket_ros.router import ensure_router, private_environment

NODE = """
from pocket_ros import hook
hook.install()
import rclpy
from example_interfaces.action import Fibonacci
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool

def set_it(request, response):
    response.success, response.message = request.data, "done"
    return response

def execute(handle):
    handle.publish_feedback(Fibonacci.Feedback(sequence=[1]))
    if handle.request.order == 13:
        handle.abort()
    elif handle.request.order == 99:
        print("executing", flush=True)
        clock = node.get_clock()
        while not handle.is_cancel_requested:
            clock.sleep_for(rclpy.duration.Duration(seconds=0.02))
        handle.canceled()
        print("cancelled", flush=True)
    else:
        handle.succeed()
    return Fibonacci.Result(sequence=[handle.request.order])

rclpy.init()
node = Node("demo", namespace="/lab")
limits = ParameterDescriptor(
    description="how fast",
    floating_point_range=[FloatingPointRange(from_value=0.0, to_value=9.0, step=0.5)],
)
node.declare_parameter("speed", 2.5, limits)
node.declare_parameter("arm.joints", ["a", "b"])
publisher = node.create_publisher(String, "chatter", 10)
node.create_timer(0.05, lambda: publisher.publish(String(data="hello")))
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
joints = node.create_publisher(JointState, "joints", latched)
joints.publish(JointState(name=["a"], position=[float(i) for i in range(200)]))
node.create_subscription(String, "heard", lambda m: print("heard", m.data, flush=True), 10)
node.create_subscription(Header, "stamped", lambda m: print(m.stamp.sec > 0, flush=True), 10)
node.create_service(SetBool, "set", set_it)
server = ActionServer(
    node, Fibonacci, "count", execute,
    goal_callback=lambda goal: GoalResponse.REJECT if goal.order < 0 else GoalResponse.ACCEPT,
    cancel_callback=lambda handle: CancelResponse.ACCEPT,
)
managed = LifecycleNode("managed")
Node("_hidden")
executor = MultiThreadedExecutor(4)
executor.add_node(node)
executor.add_node(managed)
print("ready", flush=True)
executor.spin()
"""
DEADLINE_S = 20.0
FIBONACCI = ("/lab/count", "example_interfaces/action/Fibonacci")


@pytest.fixture(scope="module")
def environ():
    environ = private_environment()
    with ensure_router(environ):
        yield environ


@pytest.fixture(scope="module")
def node(environ):
    """A node's process; the value returns the next line that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", NODE], env=environ, stdout=subprocess.PIPE, text=True
    )
    lines = queue.Queue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stdout])
    reader.start()
    assert lines.get(timeout=DEADLINE_S) == "ready\n"
    yield lambda: lines.get(timeout=DEADLINE_S)
    process.kill()
    process.wait()
    reader.join()
    process.stdout.close()


@pytest.fixture
def run(environ, node, monkeypatch, capsys):
    """Run a command in this process; returns what it prints, or its error where it fails."""
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", environ["ZENOH_CONFIG_OVERRIDE"])

    def run(*words, code=0):
        returned = cli.main(list(words))
        out, err = capsys.readouterr()
        assert returned == code, out + err
        return out if code == 0 else err

    return run


@pytest.fixture
def start(environ, node):
    """Start a command as a process of its own."""
    processes = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "pocket_ros.cli", *words],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_fresh_process_sees_the_whole_graph_at_once(run):
    assert run("node", "list") == "/lab/demo\n/managed\n"
    assert run("node", "list", "-a") == "/_hidden\n/lab/demo\n/managed\n"
    assert run("node", "list", "-c") == "2\n"
    topics = run("topic", "list", "-t").splitlines()
    assert "/lab/chatter [std_msgs/msg/String]" in topics
    assert not any("_action" in topic for topic in topics)
    assert "/lab/count/_action/status" in run("topic", "list", "--include-hidden-topics")
    assert "/lab/set [std_srvs/srv/SetBool]\n" in run("service", "list", "-t")
    assert run("action", "list", "-t") == "/lab/count [example_interfaces/action/Fibonacci]\n"
    assert run("topic", "find", "std_msgs/msg/String") == "/lab/chatter\n/lab/heard\n"


def test_topic_list_verbose_counts_both_ends(run):
    text = run("topic", "list", "-v")
    published, subscribed = text.split("Subscribed topics:\n")
    assert published.startswith("Published topics:\n")
    assert " * /lab/chatter [std_msgs/msg/String] 1 publisher\n" in published
    assert " * /lab/heard [std_msgs/msg/String] 1 subscriber\n" in subscribed


def test_node_info_groups_what_a_node_offers_and_uses(run):
    lines = run("node", "info", "/lab/demo").splitlines()
    assert lines[:2] == ["/lab/demo", "  Subscribers:"]
    assert "    /lab/heard: std_msgs/msg/String" in lines
    titles = [line.strip() for line in lines if re.fullmatch(r"  \S.*:", line)]
    assert titles == [
        "Subscribers:",
        "Publishers:",
        "Service Servers:",
        "Service Clients:",
        "Action Servers:",
        "Action Clients:",
    ]
    servers = lines.index("  Action Servers:")
    assert lines[servers + 1] == "    /lab/count: example_interfaces/action/Fibonacci"


def test_topic_info_tells_types_hashes_and_qos(run):
    assert run("topic", "info", "/lab/chatter") == (
        "Type: std_msgs/msg/String\nPublisher count: 1\nSubscription count: 0\n"
    )
    text = run("topic", "info", "-v", "/lab/joints")
    block = text.split("\n\n")[2].splitlines()
    assert block[:3] == [
        "Node name: demo",
        "Node namespace: /lab",
        "Topic type: sensor_msgs/msg/JointState",
    ]
    assert re.fullmatch(r"Topic type hash: RIHS01_[0-9a-f]{64}", block[3])
    assert block[4] == "Endpoint type: PUBLISHER"
    assert re.fullmatch(r"GID: ([0-9a-f]{2}\.){15}[0-9a-f]{2}", block[5])
    assert block[6:] == [
        "QoS profile:",
        "  Reliability: RELIABLE",
        "  History (Depth): KEEP_LAST (1)",
        "  Durability: TRANSIENT_LOCAL",
        "  Lifespan: Infinite",
        "  Deadline: Infinite",
        "  Liveliness: AUTOMATIC",
        "  Liveliness lease duration: Infinite",
    ]


def test_echo_prints_yaml_fields_and_csv(run):
    assert run("topic", "echo", "/lab/chatter", "--once") == "data: hello\n---\n"
    assert run("topic", "echo", "/lab/chatter", "--once", "--field", "data") == "hello\n---\n"
    assert run("topic", "echo", "/lab/chatter", "--once", "--csv") == "hello\n"
    told = run("topic", "echo", "/lab/chatter", "--once", "--include-message-info")
    assert yaml.safe_load(told.split("---")[0])["source_timestamp"] > 0
    assert run("topic", "echo", "/lab/chatter", "--once", "--raw").startswith("b'\\x00\\x01")


def test_echo_hears_a_latched_topic_and_cuts_long_arrays(run):
    echo = ("topic", "echo", "/lab/joints", "--once")
    message = yaml.safe_load(run(*echo).removesuffix("---\n"))
    assert message["name"] == ["a"]
    assert len(message["position"]) == 129
    assert message["position"][-1] == "..."
    assert len(yaml.safe_load(run(*echo, "-f").removesuffix("---\n"))["position"]) == 200
    assert "position: '<sequence type: double, length: 200>'\n" in run(*echo, "--no-arr")


def test_pub_reaches_a_subscription_with_the_first_message(run, node):
    said = run("topic", "pub", "--once", "/lab/heard", "std_msgs/msg/String", "data: there")
    assert node() == "heard there\n"
    assert said == (
        "publisher: beginning loop\npublishing #1: std_msgs.msg.String(data='there')\n\n"
    )
    run("topic", "pub", "-t", "2", "-r", "50", "/lab/heard", "std_msgs/String", "{data: twice}")
    assert [node() for _ in range(2)] == ["heard twice\n"] * 2


def test_pub_puts_the_time_where_it_is_asked_to(run, node):
    run("topic", "pub", "--once", "/lab/stamped", "std_msgs/msg/Header", "stamp: now")
    assert node() == "True\n"


@pytest.mark.parametrize(
    ("verb", "first"),
    [
        ("hz", r"average rate: \d+\.\d{3}\n"),
        ("bw", r"Subscribed to \[/lab/chatter\]\n"),
    ],
)
def test_measurements_have_the_form_of_ros2(start, verb, first):
    process = start("topic", verb, "/lab/chatter")
    assert re.fullmatch(first, process.stdout.readline())
    second = process.stdout.readline()
    if verb == "bw":
        assert re.fullmatch(r"[\d.]+ K?B/s from \d+ messages\n", second)
        second = process.stdout.readline()
        assert re.fullmatch(r"\tMessage size mean: .* min: .* max: .*\n", second)
    else:
        assert re.fullmatch(r"\tmin: [\d.]+s max: [\d.]+s std dev: [\d.]+s window: \d+\n", second)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stderr.read() == ""


def test_a_reader_that_goes_away_ends_echo_quietly(start):
    process = start("topic", "echo", "/lab/chatter")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == ""


def test_services_answer(run):
    answer = run("service", "call", "/lab/set", "std_srvs/srv/SetBool", "data: true")
    assert answer == (
        "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n"
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='done')\n\n"
    )
    assert run("service", "type", "/lab/set") == "std_srvs/srv/SetBool\n"
    assert run("service", "find", "std_srvs/srv/SetBool") == "/lab/set\n"
    assert run("service", "info", "/lab/set") == (
        "Type: std_srvs/srv/SetBool\nClients count: 0\nServices count: 1\n"
    )


def test_goals_are_sent_and_their_end_is_told(run):
    text = run("action", "send_goal", *FIBONACCI, "order: 7", "--feedback")
    assert re.sub("[0-9a-f]{32}", "ID", text) == (
        "Waiting for an action server to become available...\n"
        "Sending goal:\n     order: 7\n\n"
        "Goal accepted with ID: ID\n\n"
        "Feedback:\n    sequence:\n- 1\n\n"
        "Result:\n    sequence:\n- 7\n\n"
        "Goal finished with status: SUCCEEDED\n"
    )
    assert "rejected" in run("action", "send_goal", *FIBONACCI, "order: -1", code=1)
    assert "not succeeded" in run("action", "send_goal", *FIBONACCI, "order: 13", code=1)
    assert run("action", "info", "/lab/count") == (
        "Action: /lab/count\nAction clients: 0\nAction servers: 1\n    /lab/demo\n"
    )


def test_an_interrupted_goal_is_cancelled(start, node):
    process = start("action", "send_goal", *FIBONACCI, "order: 99")
    assert node() == "executing\n"
    assert any(line.startswith("Goal accepted") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    assert node() == "cancelled\n"
    out, err = process.communicate(timeout=20)
    assert out.endswith("Canceling goal...\nGoal canceled.\n")
    assert err == ""


def test_parameters_are_listed_read_and_set(run):
    names = run("param", "list", "/lab/demo").splitlines()
    assert {"  speed", "  arm.joints"} <= set(names)
    assert "  speed (type: double)\n" in run("param", "list", "/lab/demo", "--param-type")
    everybody = run("param", "list").splitlines()
    assert everybody.index("/lab/demo:") < everybody.index("/managed:")
    assert run("param", "set", "/lab/demo", "speed", "4.5") == "Set parameter successful\n"
    assert run("param", "get", "/lab/demo", "speed") == "Double value is: 4.5\n"
    assert run("param", "get", "--hide-type", "lab/demo", "arm.joints") == "['a', 'b']\n"
    assert "no parameter 'sped'" in run("param", "get", "/lab/demo", "sped", code=1)
    refused = run("param", "set", "/lab/demo", "speed", "99.0", code=1)
    assert refused.startswith("Setting parameter failed: ")


def test_parameters_are_described_dumped_and_loaded(run, tmp_path):
    assert run("param", "describe", "/lab/demo", "speed") == (
        "Parameter name: speed\n  Type: double\n  Description: how fast\n  Constraints:\n"
        "    Min value: 0.0\n    Max value: 9.0\n    Step: 0.5\n"
    )
    run("param", "set", "/lab/demo", "speed", "1.5")
    document = yaml.safe_load(run("param", "dump", "/lab/demo"))
    parameters = document["/lab/demo"]["ros__parameters"]
    assert parameters["speed"] == 1.5
    assert parameters["arm"] == {"joints": ["a", "b"]}
    file = tmp_path / "parameters.yaml"
    file.write_text("/lab/demo: {ros__parameters: {speed: 3.0}}")
    assert run("param", "load", "/lab/demo", str(file)) == "Set parameter speed successful\n"
    assert run("param", "get", "/lab/demo", "speed") == "Double value is: 3.0\n"


def test_lifecycles_are_told_and_changed(run):
    assert run("lifecycle", "nodes") == "/managed\n"
    assert run("lifecycle", "get", "/managed") == "unconfigured [1]\n"
    transitions = run("lifecycle", "list", "/managed")
    assert "- configure [1]\n\tStart: unconfigured\n\tGoal: configuring\n" in transitions
    assert run("lifecycle", "set", "/managed", "configure") == "Transitioning successful\n"
    assert run("lifecycle", "get") == "/managed: inactive [2]\n"
    wrong = run("lifecycle", "set", "/managed", "fly", code=1)
    assert wrong.startswith("Unknown transition requested, available ones are:\n- ")
    assert run("lifecycle", "get", "/lab/demo", code=1) == "Node not found\n"


def test_mistakes_are_sentences(run):
    words = ("topic", "pub", "--once", "/x", "std_msgs/msg/String", "dat: there")
    assert run(*words, code=1) == "std_msgs/msg/String has no field 'dat' (it has: data)\n"
    assert "Could not determine the type" in run("topic", "echo", "/nowhere", "--once", code=1)
    assert "was not found" in run("service", "call", "/a", "nobody/srv/X", code=1)
    spaced = run("topic", "echo", "/a b", "std_msgs/msg/String", code=1)
    assert spaced.startswith("Invalid topic name '/a b': ")
    assert len(spaced.splitlines()) == 1
    assert run("topic", "info", "/nowhere", code=1) == "Unknown topic '/nowhere'\n"
    assert run("node", "info", "/nobody", code=1) == "Unable to find node '/nobody'\n"
    assert run("param", "get", "/nobody", "x", code=1) == "Node not found\n"
    field = run("topic", "echo", "/lab/chatter", "--field", "dada", code=1)
    assert "Invalid field 'dada'" in field
    assert "no YAML" in run("topic", "pub", "/x", "std_msgs/msg/String", "{data", code=1)
    nobody = ("topic", "pub", "-1", "--max-wait-time-secs", "0.1", "/x", "std_msgs/msg/String")
    assert "Timed out waiting for subscribers" in run(*nobody, code=1)


@pytest.mark.parametrize("words", [["topic", "fly"], ["topic", "info"], ["nonsense"], []])
def test_bad_usage_is_code_2(words, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(words)
    assert raised.value.code == 2
    assert "usage: pocket-ros" in capsys.readouterr().err


def test_interfaces_are_listed_and_shown(capsys):
    def run(*words):
        assert cli.main(["interface", *words]) == 0
        return capsys.readouterr().out

    listed = run("list", "-s")
    assert listed.startswith("Services:\n")
    assert "    std_srvs/srv/Trigger\n" in listed
    assert "Messages:" not in listed
    assert "std_msgs\n" in run("packages")
    assert run("package", "std_srvs") == (
        "std_srvs/srv/Empty\nstd_srvs/srv/SetBool\nstd_srvs/srv/Trigger\n"
    )
    assert run("show", "--no-comments", "geometry_msgs/msg/PointStamped") == (
        "std_msgs/Header header\n"
        "\tbuiltin_interfaces/Time stamp\n\t\tint32 sec\n\t\tuint32 nanosec\n\tstring frame_id\n"
        "Point point\n\tfloat64 x\n\tfloat64 y\n\tfloat64 z\n"
    )
    assert "---\n" in run("show", "std_srvs/srv/SetBool")
    assert yaml.safe_load(run("proto", "--no-quotes", "geometry_msgs/msg/Point")) == {
        "x": 0.0,
        "y": 0.0,
        "z": 0.0,
    }
    assert cli.main(["interface", "show", "std_msgs/msg/Nothing"]) == 1
    assert "Could not find the interface" in capsys.readouterr().err
