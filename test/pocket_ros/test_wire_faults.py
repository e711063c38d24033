"""Faults: processes that are killed or stopped, a router that dies, joiners that come late."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from pocket_ros.router import ensure_router, private_environment

DEADLINE_SEC = 20.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ROOT = Path(__file__).resolve().parents[2]

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")

# Repeats what it hears under its own name, and tells its name as a service.
ECHO = """
    import sys
    import rclpy
    from std_msgs.msg import String
    from std_srvs.srv import Trigger
    rclpy.init()
    node = rclpy.create_node(sys.argv[1])
    publisher = node.create_publisher(String, "echo", 10)
    node.create_subscription(
        String, "say", lambda m: publisher.publish(String(data=f"{sys.argv[1]} {m.data}")), 10
    )
    def tell(request, response):
        response.message = sys.argv[1]
        return response
    node.create_service(Trigger, sys.argv[1] + "/tell", tell)
    print("ready", flush=True)
    rclpy.spin(node)
"""


class Talk:
    """A node here that says things and hears the echoes of processes."""

    def __init__(self, ros) -> None:
        self._ros = ros
        self.node = ros.node("talk")
        self._publisher = self.node.create_publisher(String, "say", 10)
        self._echoes = queue.Queue()
        self.node.create_subscription(String, "echo", lambda m: self._echoes.put(m.data), 100)
        self.graph = self.node.context._live_graph()
        ros.spin(self.node)

    def until_echoed_by(self, *names) -> None:
        """Say things until everybody named has echoed one of them."""
        silent = set(names)
        end = time.monotonic() + DEADLINE_SEC
        while silent:
            assert time.monotonic() < end, f"no echo of {silent}"
            self._publisher.publish(String(data=str(time.monotonic())))
            try:
                silent.discard(self._echoes.get(timeout=0.1).split()[0])
            except queue.Empty:
                continue


@pytest.fixture
def talk(ros):
    return Talk(ros)


def test_killed_process_leaves_the_graph_and_the_others_go_on(ros, peer, talk):
    victim, survivor = peer(ECHO, "victim"), peer(ECHO, "survivor")
    talk.until_echoed_by("victim", "survivor")
    client = talk.node.create_client(Trigger, "victim/tell")
    assert client.wait_for_service(DEADLINE_SEC)
    victim.kill()
    assert talk.graph.wait(lambda: not client.service_is_ready(), DEADLINE_SEC)
    assert talk.graph.wait(lambda: "victim" not in talk.node.get_node_names(), DEADLINE_SEC)
    talk.until_echoed_by("survivor")
    assert survivor.process.poll() is None
    again = peer(ECHO, "victim")
    assert again.line() == "ready"
    talk.until_echoed_by("victim")
    assert ros.call(talk.node, Trigger, "victim/tell", Trigger.Request()).message == "victim"


@posix_only
def test_stopped_process_holds_nobody_up_and_goes_on_afterwards(ros, peer, talk):
    sleeper, _ = peer(ECHO, "sleeper"), peer(ECHO, "other")
    talk.until_echoed_by("sleeper", "other")
    client = talk.node.create_client(Trigger, "sleeper/tell")
    assert client.wait_for_service(DEADLINE_SEC)
    sleeper.signal(signal.SIGSTOP)
    future = client.call_async(Trigger.Request())
    # Far more than the buffers on the way to it hold.
    flood = talk.node.create_publisher(String, "say", 10)
    block = String(data="x" * 100_000)
    for _ in range(200):
        flood.publish(block)
    talk.until_echoed_by("other")
    assert not future.done()
    sleeper.signal(signal.SIGCONT)
    assert ros.result(future).message == "sleeper"
    talk.until_echoed_by("sleeper", "other")


def test_call_of_a_server_that_is_killed_stays_pending_and_a_new_server_is_found(ros, peer, talk):
    script = """
        import os
        import rclpy
        from std_srvs.srv import Trigger
        rclpy.init()
        node = rclpy.create_node("server")
        node.create_service(Trigger, "go", lambda *_: os.kill(os.getpid(), 9))
        rclpy.spin(node)
    """
    server = peer(script)
    client = talk.node.create_client(Trigger, "go")
    assert client.wait_for_service(DEADLINE_SEC)
    future = client.call_async(Trigger.Request())
    assert server.exit_code() == -signal.SIGKILL
    assert talk.graph.wait(lambda: not client.service_is_ready(), DEADLINE_SEC)
    assert not future.done()
    talk.node.create_service(Trigger, "go", lambda request, response: response)
    assert client.wait_for_service(DEADLINE_SEC)
    assert ros.result(client.call_async(Trigger.Request())) == Trigger.Response()


def test_late_joiners_get_the_latest_of_each_latched_publisher(ros, peer):
    node = ros.node("early")
    publishers = [node.create_publisher(String, "state", LATCHED) for _ in range(2)]
    for number, publisher in enumerate(publishers):
        for text in ("old", "new"):
            publisher.publish(String(data=f"{text} {number}"))
    late = peer("""
        import rclpy
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("late")
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(String, "state", lambda m: print(m.data, flush=True), 10)
        node.create_subscription(String, "state", lambda m: print(m.data, flush=True), latched)
        rclpy.spin(node)
    """)
    assert {late.line(), late.line()} == {"new 0", "new 1"}
    publishers[0].publish(String(data="newest"))
    assert {late.line(), late.line()} == {"newest"}


@pytest.fixture
def own_router(monkeypatch):
    """A router of the test's own, that it may kill: a function that starts (another) one."""
    environment = private_environment()
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", environment["ZENOH_CONFIG_OVERRIDE"])
    monkeypatch.setenv("ROS_DOMAIN_ID", "89")
    routers = []

    def start():
        routers.append(ensure_router())
        return routers[-1]

    yield start
    for router in routers:
        router.stop()


def test_nodes_outlive_their_router_and_new_ones_join_with_the_next(own_router, peer, request):
    router = own_router()
    peer(ECHO, "first")
    # Not before: its context belongs to this router.
    ros = request.getfixturevalue("ros")
    talk = Talk(ros)
    latched = talk.node.create_publisher(String, "state", LATCHED)
    latched.publish(String(data="still here"))
    talk.until_echoed_by("first")
    router.process.kill()
    router.process.wait()
    talk.until_echoed_by("first")
    assert ros.call(talk.node, Trigger, "first/tell", Trigger.Request()).message == "first"
    assert own_router() is not None
    newcomer = peer(ECHO, "second")
    assert newcomer.line() == "ready"
    talk.until_echoed_by("first", "second")
    assert ros.call(talk.node, Trigger, "second/tell", Trigger.Request()).message == "second"
    late = peer("""
        import rclpy
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("late")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(String, "state", lambda m: print(m.data, flush=True), latched)
        rclpy.spin(node)
    """)
    assert late.line() == "still here"


def test_nodes_that_start_before_their_router_meet_when_it_comes(own_router, peer, request):
    peer(ECHO, "first")
    ros = request.getfixturevalue("ros")
    talk = Talk(ros)
    assert own_router() is not None
    talk.until_echoed_by("first")


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise ZeroDivisionError"])
def test_process_in_the_middle_of_everything_ends_at_once_without_shutdown(wire, peer, end):
    process = peer(f"""
        import sys, threading
        import rclpy
        from example_interfaces.action import Fibonacci
        from rclpy.action import ActionClient, ActionServer
        from rclpy.callback_groups import ReentrantCallbackGroup
        from rclpy.executors import MultiThreadedExecutor
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        from std_srvs.srv import Trigger
        rclpy.init()
        node = rclpy.create_node("careless")
        group = ReentrantCallbackGroup()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        never = threading.Event()
        node.create_service(Trigger, "never", lambda *_: never.wait(), callback_group=group)
        server = ActionServer(
            node, Fibonacci, "fib", lambda goal: never.wait(), callback_group=group
        )
        caller, client = node.create_client(Trigger, "never"), ActionClient(node, Fibonacci, "fib")
        publisher = node.create_publisher(String, "x", latched)
        node.create_subscription(String, "x", lambda m: publisher.publish(m), latched)
        publisher.publish(String())
        executor = MultiThreadedExecutor(6)
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        caller.wait_for_service()
        client.wait_for_server()
        call = caller.call_async(Trigger.Request())
        accepted = threading.Event()
        client.send_goal_async(Fibonacci.Goal()).add_done_callback(lambda _: accepted.set())
        accepted.wait(10)
        print("done", flush=True)
        {end}
    """)
    assert process.line() == "done"
    expected = {"": 0, "sys.exit(3)": 3}.get(end, 1)
    assert process.exit_code() == expected, "".join(process.stderr)


def loopback_only(*command):
    """A command line that runs in a network namespace in which only loopback is up."""
    inside = 'ip link set lo up && exec "$@"'
    return ["unshare", "--net", "--map-root-user", "sh", "-c", inside, "sh", *command]


def test_nodes_meet_where_there_is_only_loopback():
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip, tools of Linux, to make a network namespace")
    trial = subprocess.run(loopback_only("true"), capture_output=True, text=True)
    if trial.returncode:
        pytest.skip(f"no network namespace may be made here: {trial.stderr.strip()}")
    script = f"""
        import subprocess, sys
        import pocket_ros.hook; pocket_ros.hook.install()
        from pocket_ros.router import ensure_router
        with ensure_router():
            echo = subprocess.Popen([sys.executable, "-c", '''{_in_a_script(ECHO)}''', "echo"])
            import rclpy
            from std_msgs.msg import String
            rclpy.init()
            node = rclpy.create_node("talk")
            heard = []
            node.create_subscription(String, "echo", lambda m: heard.append(m.data), 10)
            publisher = node.create_publisher(String, "say", 10)
            node.create_timer(0.05, lambda: publisher.publish(String(data="hello")))
            while not heard:
                rclpy.spin_once(node, timeout_sec=1.0)
            echo.kill()
            echo.wait()
            rclpy.shutdown()
            print(heard[0], flush=True)
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("ZENOH_CONFIG_OVERRIDE", None)
    done = subprocess.run(
        loopback_only(sys.executable, "-c", textwrap.dedent(script)),
        env=environment,
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE_SEC,
    )
    assert done.stdout.splitlines()[-1:] == ["echo hello"], done.stderr


def _in_a_script(text: str) -> str:
    install = "import pocket_ros.hook; pocket_ros.hook.install()\n"
    return (install + textwrap.dedent(text)).replace("\n", "\\n")
