"""Rubbish on the keys of live nodes: it is told, dropped, and nobody falls over."""

from __future__ import annotations

import queue
import threading
import time

import pytest
import zenoh
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from example_interfaces.action import Fibonacci
from example_interfaces.srv import AddTwoInts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient, ActionServer

from pocket_ros.idl import CdrError, deserialize, serialize
from pocket_ros.rclpy._core import wire as format_
from pocket_ros.session import session_config

DEADLINE_SEC = 20.0
GOOD = format_.pack_attachment(1, bytes(16))
MESSAGE = DiagnosticArray(
    status=[
        DiagnosticStatus(name="x", values=[KeyValue(key=str(n), value="v" * n)]) for n in range(3)
    ]
)
hostile = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
attachments = st.one_of(
    st.none(),
    st.just(GOOD),
    st.integers(0, len(GOOD)).map(lambda n: GOOD[:n]),
    st.binary(max_size=100),
    st.binary(min_size=33, max_size=33),
    st.binary(min_size=62, max_size=62).map(lambda rest: b"\x0fsequence_number" + rest),
)


def payloads(good: bytes):
    """Truncated, damaged and random bytes in place of good ones."""
    damaged = st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)).map(
        lambda change: good[: change[0]] + bytes([change[1]]) + good[change[0] + 1 :]
    )
    return st.one_of(
        st.integers(0, len(good)).map(lambda n: good[:n]),
        damaged,
        st.binary(max_size=64),
        st.binary(max_size=64).map(lambda rest: b"\x00\x01\x00\x00" + rest),
    )


def key(name, interface):
    return format_.topic_key(87, name, interface._dds_name, interface._type_hash)


@pytest.fixture
def intruder(ros):
    """A session at the same router that may put whatever it likes."""
    with zenoh.open(session_config()) as session:
        yield session


@pytest.fixture
def ask(intruder):
    """Query a service with raw bytes; what it replied within the deadline."""

    def get(service_key, payload, attachment):
        ended = threading.Event()
        replies = []
        intruder.get(
            service_key,
            zenoh.handlers.Callback(replies.append, ended.set, indirect=False),
            payload=payload,
            attachment=attachment,
            target=zenoh.QueryTarget.ALL,
        )
        assert ended.wait(DEADLINE_SEC), "the query was never ended"
        return [reply.ok.payload.to_bytes() for reply in replies if reply.ok is not None]

    return get


def readable(raw, interface):
    try:
        deserialize(raw, interface)
    except CdrError:
        return False
    return True


def attached(attachment):
    try:
        format_.unpack_attachment(attachment or b"")
    except ValueError:
        return False
    return True


def test_subscription_takes_what_is_a_message_and_nothing_else(ros, intruder):
    node = ros.node("victim")
    heard = queue.Queue()
    node.create_subscription(DiagnosticArray, "x", lambda m: heard.put(m.header.frame_id), 1000)
    ros.spin(node)
    publisher = intruder.declare_publisher(key("/x", DiagnosticArray))
    end = time.monotonic() + DEADLINE_SEC
    mark = 0

    def put_mark():
        nonlocal mark
        mark += 1
        marked = DiagnosticArray()
        marked.header.frame_id = f"mark {mark}"
        publisher.put(serialize(marked), attachment=GOOD)
        return f"mark {mark}"

    while heard.empty() and time.monotonic() < end:
        put_mark()
        time.sleep(0.01)

    @hostile
    @given(payloads(serialize(MESSAGE)), attachments)
    def attack(payload, attachment):
        publisher.put(payload, attachment=attachment)
        expected = readable(payload, DiagnosticArray) and attached(attachment)
        last = put_mark()
        seen = []
        while not seen or seen[-1] != last:
            seen.append(heard.get(timeout=DEADLINE_SEC))
        assert sum(not text.startswith("mark") for text in seen) == expected

    attack()
    assert ros.errors.empty()


def test_service_answers_what_is_a_request_and_ends_what_is_none(ros, ask):
    node = ros.node("victim")

    def add(request, response):
        response.sum = (request.a + request.b) % 2**62
        return response

    node.create_service(AddTwoInts, "add", add)
    ros.spin(node)
    good = serialize(AddTwoInts.Request(a=40, b=2))
    ros.call(node, AddTwoInts, "add", AddTwoInts.Request())

    @hostile
    @given(payloads(good), attachments)
    def attack(payload, attachment):
        replies = ask(key("/add", AddTwoInts), payload, attachment)
        valid = readable(payload, AddTwoInts.Request) and attached(attachment)
        assert len(replies) == valid

    attack()
    assert ros.call(node, AddTwoInts, "add", AddTwoInts.Request(a=40, b=2)).sum == 42
    assert ros.errors.empty()


def test_parameter_services_survive(ros, ask):
    node = ros.node("victim")
    node.declare_parameter("speed", 2.5)
    ros.spin(node)
    client = ros.node("client")
    ros.spin(client)
    request = SetParameters.Request()
    ros.call(client, SetParameters, "victim/set_parameters", request)

    @hostile
    @given(payloads(serialize(request) + bytes(20)), st.just(GOOD))
    def attack(payload, attachment):
        ask(key("/victim/set_parameters", SetParameters), payload, attachment)

    attack()
    ros.call(client, SetParameters, "victim/set_parameters", request)
    assert ros.errors.empty()


def test_client_drops_responses_that_are_none(ros, intruder):
    node = ros.node("victim")
    ros.spin(node)
    answers = queue.Queue()
    served = key("/add", AddTwoInts)

    def answer(query):
        payload, attachment = answers.get_nowait()
        query.reply(served, payload, attachment=attachment)
        query.drop()

    intruder.declare_queryable(
        served, zenoh.handlers.Callback(answer, indirect=False), complete=True
    )
    # Zenoh forgets a token that nobody holds.
    token = intruder.liveliness().declare_token(
        f"@ros2_lv/87/{intruder.zid()}/0/1/SS/%/%/liar/%add/"
        f"{AddTwoInts._dds_name}/{AddTwoInts._type_hash}/::,10:,:,:,,"
    )
    client = node.create_client(AddTwoInts, "add")
    assert client.wait_for_service(DEADLINE_SEC)
    good = serialize(AddTwoInts.Response(sum=42))

    @hostile
    @given(payloads(good), attachments)
    def attack(payload, attachment):
        answers.put((payload, attachment))
        future = client.call_async(AddTwoInts.Request())
        if readable(payload, AddTwoInts.Response):
            assert ros.result(future).sum is not None
        answers.put((good, GOOD))
        assert ros.result(client.call_async(AddTwoInts.Request())).sum == 42
        client.remove_pending_request(future)

    attack()
    assert ros.errors.empty()
    token.undeclare()


@pytest.mark.parametrize("part", ["send_goal", "get_result", "cancel_goal", "feedback", "status"])
def test_action_server_and_client_survive(ros, intruder, ask, part):
    impl = Fibonacci.Impl
    interface, good = {
        "send_goal": (impl.SendGoalService, impl.SendGoalService.Request()),
        "get_result": (impl.GetResultService, impl.GetResultService.Request()),
        "cancel_goal": (impl.CancelGoalService, impl.CancelGoalService.Request()),
        "feedback": (impl.FeedbackMessage, impl.FeedbackMessage()),
        "status": (impl.GoalStatusMessage, impl.GoalStatusMessage()),
    }[part]
    node = ros.node("victim")

    def execute(goal):
        goal.succeed()
        return Fibonacci.Result(sequence=[1, 2])

    server = ActionServer(node, Fibonacci, "fib", execute)
    client = ActionClient(node, Fibonacci, "fib")
    ros.spin(node)
    assert client.wait_for_server(DEADLINE_SEC)
    where = key(f"/fib/_action/{part}", interface)

    @settings(hostile, max_examples=30)
    @given(payloads(serialize(good) + bytes(8)), attachments)
    def attack(payload, attachment):
        if part in ("feedback", "status"):
            intruder.put(where, payload, attachment=attachment)
        elif part != "get_result" or not readable(payload, interface.Request):
            # Who asks for a result may have to wait for it.
            ask(where, payload, attachment)

    attack()
    goal = ros.result(client.send_goal_async(Fibonacci.Goal(order=2)))
    assert list(ros.result(goal.get_result_async()).result.sequence) == [1, 2]
    assert ros.errors.empty()
    client.destroy()
    server.destroy()


# Not "@", which would make a chunk that no wildcard matches.
chunks = st.text(alphabet="abMPNS%:,_019²-漢", min_size=1, max_size=8)


def test_graph_queries_survive_strange_tokens(ros, intruder):
    node = ros.node("victim")

    @settings(hostile, max_examples=40)
    @given(
        st.sampled_from(["NN", "MP", "MS", "SS", "SC", "XX"]),
        st.lists(chunks, min_size=0, max_size=9),
    )
    def attack(kind, rest):
        text = "/".join(["@ros2_lv/87/abc/0/1", kind, *rest])
        token = intruder.liveliness().declare_token(text)
        expected = len(rest) >= (3 if kind == "NN" else 7)
        seen = node.context._live_graph().wait(
            lambda: any(e.token == text for e in node.context._live_graph().entities()),
            DEADLINE_SEC if expected else 0.0,
        )
        assert seen or not expected
        node.get_node_names_and_namespaces_with_enclaves()
        for name, _ in node.get_topic_names_and_types() + node.get_service_names_and_types():
            assert isinstance(name, str)
        for entity in node.context._live_graph().entities():
            if entity.kind in ("MP", "MS") and entity.name.startswith("/"):
                format_.decode_qos(entity.qos_text)
        node.get_publishers_info_by_topic("/rosout")
        token.undeclare()

    attack()
