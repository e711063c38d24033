"""The command line's tools: they see and reach a node of another process."""

import subprocess
import sys

import pytest
import yaml

from pocket_ros.router import ensure_router, private_environment

NODE = """
from pocket_ros import hook
hook.install()
import rclpy
from example_interfaces.action import Fibonacci
from rclpy.action import ActionServer
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import SetBool

def set_it(request, response):
    response.success, response.message = request.data, "done"
    return response

def execute(handle):
    handle.succeed()
    return Fibonacci.Result(sequence=[handle.request.order])

rclpy.init()
node = Node("demo", namespace="/lab")
node.declare_parameter("speed", 2.5)
publisher = node.create_publisher(String, "chatter", 10)
node.create_timer(0.1, lambda: publisher.publish(String(data="hello")))
node.create_subscription(String, "heard", lambda m: print("heard", m.data, flush=True), 10)
node.create_service(SetBool, "set", set_it)
server = ActionServer(node, Fibonacci, "count", execute)
print("ready", flush=True)
rclpy.spin(node)
"""


@pytest.fixture(scope="module")
def environ():
    environ = private_environment()
    with ensure_router(environ):
        yield environ


@pytest.fixture(scope="module")
def node(environ):
    process = subprocess.Popen(
        [sys.executable, "-c", NODE], env=environ, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def run(environ, node):
    def run(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "pocket_ros.cli", *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def test_the_graph_is_listed(run):
    assert run("node", "list") == "/lab/demo\n"
    assert "/lab/chatter [std_msgs/msg/String]\n" in run("topic", "list", "-t")
    assert "/lab/set [std_srvs/srv/SetBool]\n" in run("service", "list", "-t")
    assert run("action", "list") == "/lab/count\n"


def test_topics_are_heard_and_spoken_to(run, node):
    assert run("topic", "echo", "/lab/chatter", "--once") == "data: hello\n---\n"
    run("topic", "pub", "--once", "/lab/heard", "std_msgs/msg/String", "data: there")
    assert node.stdout.readline() == "heard there\n"


def test_services_and_actions_answer(run):
    answer = run("service", "call", "/lab/set", "std_srvs/srv/SetBool", "data: true")
    assert yaml.safe_load(answer) == {"success": True, "message": "done"}
    goal = ("/lab/count", "example_interfaces/action/Fibonacci", "order: 7")
    assert run("action", "send_goal", *goal) == "sequence:\n- 7\n# SUCCEEDED\n"


def test_parameters_are_read_and_set(run):
    assert "speed\n" in run("param", "list", "/lab/demo")
    run("param", "set", "/lab/demo", "speed", "4.5")
    assert run("param", "get", "/lab/demo", "speed") == "4.5\n"
    assert "no parameter 'sped'" in run("param", "get", "/lab/demo", "sped", code=1)


def test_mistakes_are_sentences(run):
    words = ("topic", "pub", "--once", "/x", "std_msgs/msg/String", "dat: there")
    assert run(*words, code=1) == (
        "pocket-ros: std_msgs/msg/String has no field 'dat' (it has: data)\n"
    )
    assert "type is not known" in run("topic", "echo", "/nowhere", "--once", code=1)
    assert "was not found" in run("service", "call", "/a", "nobody/srv/X", code=1)
