"""Security on real routers: who has no certificate stays out, and a policy holds both ways."""

import json
import queue
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("cryptography", reason="certificates need the package 'cryptography'")

import zenoh
from zenoh import handlers

from pocket_ros import cli, router, session
from pocket_ros.rclpy._core import wire

DEADLINE_S = 20.0
DOMAIN = 7
HASH = "RIHS01_" + "0" * 64
POLICY = """
nodes:
  /lab/xrd:
    publishes: [~/state]
    subscribes: [/clock]
    services: [~/reset]
    clients: [/store/put]
    actions: [~/measure]
"""
ALLOWED_OUT = f"{DOMAIN}/lab/xrd/state/std_msgs::msg::dds_::String_/{HASH}"
ALLOWED_IN = f"{DOMAIN}/clock/rosgraph_msgs::msg::dds_::Clock_/{HASH}"
FORBIDDEN = f"{DOMAIN}/lab/furnace/heat/std_msgs::msg::dds_::String_/{HASH}"
RESET = f"{DOMAIN}/lab/xrd/reset/std_srvs::srv::dds_::Trigger_/{HASH}"
PUT = f"{DOMAIN}/store/put/std_srvs::srv::dds_::Trigger_/{HASH}"
OTHER_SERVICE = f"{DOMAIN}/lab/furnace/stop/std_srvs::srv::dds_::Trigger_/{HASH}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make(folder, port, *enclaves):
    words = [word for enclave in enclaves for word in ("--enclave", enclave)]
    place = ["--host", "127.0.0.1", "--port", str(port), "--domain-id", str(DOMAIN)]
    assert cli.main(["security", "init", str(folder), *words, *place]) == 0


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab's folder, with its router running."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "xrd.yaml").write_text(POLICY)
    make(folder / "keys", free_port(), "lab", f"xrd={folder / 'xrd.yaml'}")
    process = subprocess.Popen(
        router.router_command([]),
        env={"ZENOH_ROUTER_CONFIG_URI": str(folder / "keys/router/router.json5")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert router.READY in process.stdout.readline()
    yield folder / "keys"
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    process.stdout.close()


@pytest.fixture
def opened(lab):
    """Open sessions of enclaves as their machines would."""
    sessions = []

    def opened(enclave, folder=lab, override=""):
        environ = {
            "ZENOH_SESSION_CONFIG_URI": str(folder / "enclaves" / enclave / "session.json5"),
            "ZENOH_CONFIG_OVERRIDE": override,
        }
        sessions.append(zenoh.open(session.session_config(environ)))
        return sessions[-1]

    yield opened
    for one in sessions:
        one.close()


class Ear:
    """What a session hears on a key."""

    def __init__(self, opened, key):
        self.heard = queue.Queue()
        self.subscriber = opened.declare_subscriber(
            key, handlers.Callback(self._put, indirect=False)
        )

    def _put(self, sample):
        self.heard.put(sample.payload.to_string())

    def next(self):
        return self.heard.get(timeout=DEADLINE_S)


def say_until_heard(publish, ear, text):
    """Repeat until the declaration of a subscription has gone round."""
    ended = threading.Event()

    def say():
        while not ended.wait(0.02):
            publish(text)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        return ear.next()
    finally:
        ended.set()
        thread.join()


def answers(opened, key):
    replies = opened.get(key, target=zenoh.QueryTarget.ALL_COMPLETE, timeout=DEADLINE_S)
    return [reply.ok.payload.to_string() for reply in replies if reply.ok is not None]


def serve(opened, key):
    return opened.declare_queryable(
        key,
        handlers.Callback(lambda query: query.reply(key, "answer"), indirect=False),
        complete=True,
    )


def await_service(opened, key):
    querier = opened.declare_querier(key, target=zenoh.QueryTarget.ALL_COMPLETE)
    found = threading.Event()

    def look(status):
        if status.matching:
            found.set()

    listener = querier.declare_matching_listener(handlers.Callback(look, indirect=False))
    if querier.matching_status.matching:
        found.set()
    assert found.wait(DEADLINE_S)
    listener.undeclare()
    querier.undeclare()


def test_keys_are_for_their_owner_only(lab):
    private = [lab / "authority/ca.key", lab / "router/router.json5"]
    private += list(lab.glob("enclaves/*/session.json5"))
    assert len(private) == 4
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_certified_enclave_is_let_in(opened):
    assert opened("lab").info.routers_zid()
    assert opened("xrd").info.routers_zid()


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_a_peer_without_a_certificate_is_refused(lab, protocol):
    document = json.loads((lab / "enclaves/lab/session.json5").read_text().split("\n", 1)[1])
    endpoint = document["connect"]["endpoints"][0].replace("tls", protocol)
    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", json.dumps([endpoint]))
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("transport/unicast/open_timeout", "3000")
    if protocol == "tls":
        authority = document["transport"]["link"]["tls"]["root_ca_certificate_base64"]
        config.insert_json5("transport/link/tls/root_ca_certificate_base64", json.dumps(authority))
    with pytest.raises(zenoh.ZError):
        zenoh.open(config)


def test_a_certificate_of_another_authority_is_refused(lab, opened, tmp_path):
    port = session.tcp_address(
        session.config_endpoints(
            session.session_config(
                {"ZENOH_SESSION_CONFIG_URI": str(lab / "enclaves/lab/session.json5")}
            ),
            "connect",
        )[0]
    )[1]
    make(tmp_path / "other", port, "lab")
    # It trusts the router, so that only the router can be the one who refuses.
    ours = json.loads((lab / "enclaves/lab/session.json5").read_text().split("\n", 1)[1])
    trusted = ours["transport"]["link"]["tls"]["root_ca_certificate_base64"]
    override = (
        f'transport/link/tls/root_ca_certificate_base64="{trusted}";'
        "transport/unicast/open_timeout=3000"
    )
    with pytest.raises(zenoh.ZError):
        opened("lab", tmp_path / "other", override)


def test_an_allowed_key_is_delivered_and_a_forbidden_one_is_silent(opened):
    trusted, instrument = opened("lab"), opened("xrd")
    allowed, forbidden = Ear(trusted, ALLOWED_OUT), Ear(trusted, FORBIDDEN)

    def publish(text):
        # In this order on one link: had it passed, it would have been heard first.
        instrument.put(FORBIDDEN, text)
        instrument.put(ALLOWED_OUT, text)

    assert say_until_heard(publish, allowed, "up") == "up"
    assert forbidden.heard.empty()


def test_liveliness_may_be_asserted_where_a_topic_may_be_published(opened):
    trusted, instrument = opened("lab"), opened("xrd")
    allowed = Ear(trusted, wire.assertion_key(ALLOWED_OUT))
    forbidden = Ear(trusted, wire.assertion_key(FORBIDDEN))

    def assert_alive(text):
        for key in (FORBIDDEN, ALLOWED_OUT):
            instrument.put(wire.assertion_key(key, bytes(16)), text)

    assert say_until_heard(assert_alive, allowed, "alive") == "alive"
    assert forbidden.heard.empty()


def test_a_forbidden_key_cannot_be_heard(opened):
    trusted, instrument = opened("lab"), opened("xrd")
    allowed, forbidden = Ear(instrument, ALLOWED_IN), Ear(instrument, FORBIDDEN)
    everything = Ear(instrument, f"{DOMAIN}/**")

    def publish(text):
        trusted.put(FORBIDDEN, text)
        trusted.put(ALLOWED_IN, text)

    assert say_until_heard(publish, allowed, "tick") == "tick"
    assert forbidden.heard.empty()
    # A wider subscription hears what is allowed, and nothing else.
    assert set(everything.heard.queue) <= {"tick"}
    assert sum(1 for _ in everything.heard.queue) <= allowed.heard.qsize() + 1


def test_services_pass_in_the_directions_of_the_policy(opened):
    trusted, instrument = opened("lab"), opened("xrd")
    kept = [serve(instrument, RESET), serve(instrument, OTHER_SERVICE), serve(trusted, PUT)]
    await_service(trusted, RESET)
    await_service(instrument, PUT)
    assert answers(trusted, RESET) == ["answer"]
    assert answers(instrument, PUT) == ["answer"]
    # What the instrument must not offer is not there; what it must not call does not answer.
    assert answers(trusted, OTHER_SERVICE) == []
    kept.append(serve(trusted, OTHER_SERVICE))
    await_service(trusted, OTHER_SERVICE)
    # Asked by another session: its own queryables a session finds without the router.
    assert answers(opened("xrd"), OTHER_SERVICE) == []


def test_an_enclave_shows_only_its_own_nodes_in_the_graph(opened):
    trusted, instrument = opened("lab"), opened("xrd")
    seen = queue.Queue()
    watcher = trusted.liveliness().declare_subscriber(
        f"@ros2_lv/{DOMAIN}/**",
        handlers.Callback(lambda sample: seen.put(str(sample.key_expr)), indirect=False),
        history=True,
    )
    zid = instrument.zid()
    impostor = f"@ros2_lv/{DOMAIN}/{zid}/0/0/NN/%/%lab/furnace"
    honest = f"@ros2_lv/{DOMAIN}/{zid}/1/1/NN/%/%lab/xrd"
    kept = [instrument.liveliness().declare_token(token) for token in (impostor, honest)]
    assert seen.get(timeout=DEADLINE_S) == honest
    assert seen.empty()
    other = trusted.liveliness().declare_token(f"@ros2_lv/{DOMAIN}/x/0/0/NN/%/%/furnace")
    # The token is on its way through the router while the instrument asks.
    deadline = time.monotonic() + DEADLINE_S
    known: list[str] = []
    while f"@ros2_lv/{DOMAIN}/x/0/0/NN/%/%/furnace" not in known:
        assert time.monotonic() < deadline, known
        known = [str(r.ok.key_expr) for r in instrument.liveliness().get(f"@ros2_lv/{DOMAIN}/**")]
    assert len(kept) == 2
    assert watcher is not None
    assert other is not None


NODE = """
from pocket_ros import hook
hook.install()
import rclpy
from example_interfaces.action import Fibonacci
from rclpy.action import ActionServer
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

def execute(handle):
    handle.publish_feedback(Fibonacci.Feedback(sequence=[5]))
    handle.succeed()
    return Fibonacci.Result(sequence=[8])

rclpy.init()
node = Node("xrd", namespace="/lab")
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
state = node.create_publisher(String, "~/state", latched)
state.publish(String(data="latched"))
secret = node.create_publisher(String, "/lab/furnace/heat", latched)
secret.publish(String(data="burn"))
node.create_service(Trigger, "~/reset", lambda request, response: response)
server = ActionServer(node, Fibonacci, "~/measure", execute)
executor = MultiThreadedExecutor(2)
executor.add_node(node)
print("ready", flush=True)
executor.spin()
"""


def test_a_whole_node_works_within_its_policy(lab, monkeypatch, capsys):
    # What another test's graph left in the environment of this process is not of this lab.
    monkeypatch.delenv("ZENOH_CONFIG_OVERRIDE", raising=False)

    def environ(enclave):
        return {
            "ZENOH_SESSION_CONFIG_URI": str(lab / "enclaves" / enclave / "session.json5"),
            "ROS_DOMAIN_ID": str(DOMAIN),
        }

    def run(*words, code=0):
        returned = cli.main(list(words))
        out, err = capsys.readouterr()
        assert returned == code, out + err
        return out + err

    node = subprocess.Popen(
        [sys.executable, "-c", NODE], env=environ("xrd"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert node.stdout.readline() == "ready\n"
        for name, value in environ("lab").items():
            monkeypatch.setenv(name, value)
        assert run("node", "list") == "/lab/xrd\n"
        assert run("topic", "echo", "/lab/xrd/state", "--once") == "data: latched\n---\n"
        assert "/lab/furnace/heat" not in run("topic", "list")
        assert "success=False" in run("service", "call", "/lab/xrd/reset", "std_srvs/srv/Trigger")
        fibonacci = ("/lab/xrd/measure", "example_interfaces/action/Fibonacci", "order: 5")
        text = run("action", "send_goal", *fibonacci, "--feedback")
        assert "Feedback:\n    sequence:\n- 5\n" in text
        assert "SUCCEEDED" in text
        assert run("param", "get", "/lab/xrd", "use_sim_time") == "Boolean value is: False\n"
    finally:
        node.kill()
        node.wait()
        node.stdout.close()


def test_without_security_the_router_listens_on_loopback_only():
    environ = router.private_environment({})
    endpoint = router.missing_router(environ)[0]
    with router.ensure_router(environ):
        _, port = session.tcp_address(endpoint)
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        # Another address of this machine, which a listener on all of them would answer.
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
