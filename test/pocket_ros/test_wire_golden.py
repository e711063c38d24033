"""The wire as a stranger sees it: keys, tokens, attachments and bytes of live nodes.

The golden texts are those of rmw_zenoh's design document and of a ROS 2 Jazzy graph.
"""

from __future__ import annotations

import queue
import struct
import time

import pytest
import xxhash
import zenoh
from example_interfaces.action import Fibonacci
from example_interfaces.srv import AddTwoInts
from hypothesis import given
from hypothesis import strategies as st
from rclpy.action import ActionClient, ActionServer
from std_msgs.msg import String

from pocket_ros.idl import deserialize, serialize
from pocket_ros.rclpy._core import wire as format_
from pocket_ros.rclpy._core.graph import parse_token
from pocket_ros.rclpy.duration import Duration
from pocket_ros.rclpy.qos import LivelinessPolicy, QoSProfile
from pocket_ros.session import session_config

DEADLINE_SEC = 20.0
STRING = (
    "std_msgs::msg::dds_::String_/"
    "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
)
ADD_TWO_INTS = (
    "example_interfaces::srv::dds_::AddTwoInts_/"
    "RIHS01_e118de6bf5eeb66a2491b5bda11202e7b68f198d6f67922cf30364858239c81a"
)
LISTENER = "@ros2_lv/2/aac3178e146ba6f1fc6e6a4085e77f21/0/0/NN/%/%/listener"
DOCUMENTED = [
    f"@ros2_lv/2/aac3178e146ba6f1fc6e6a4085e77f21/0/10/MS/%/%/listener/%chatter/{STRING}/::,10:,:,:,,",
    f"@ros2_lv/2/8b20917502ee955ac4476e0266340d5c/0/10/MP/%/%/talker/%chatter/{STRING}/::,7:,:,:,,",
    "@ros2_lv/2/f9980ee0495eaafb3e38f0d19e2eae12/0/10/SS/%/%/add_two_ints_server/%add_two_ints/"
    f"{ADD_TWO_INTS}/::,10:,:,:,,",
    "@ros2_lv/2/e1dc8d1b45ae8717fce78689cc655685/0/10/SC/%/%/add_two_ints_client/%add_two_ints/"
    f"{ADD_TWO_INTS}/::,10:,:,:,,",
]
CAPTURED = [
    "@ros2_lv/0/943f9ebc32acd3e072bfda12ce8c7ed2/0/1/MP/%/%/_ros2cli_31/%rosout/"
    "rcl_interfaces::msg::dds_::Log_/"
    "RIHS01_e28ce254ca8abc06abf92773b74602cdbf116ed34fbaf294fb9f81da9f318eac/:1:,1000:,:10,0:,,",
    "@ros2_lv/0/943f9ebc32acd3e072bfda12ce8c7ed2/0/2/MP/%/%/_ros2cli_31/%parameter_events/"
    "rcl_interfaces::msg::dds_::ParameterEvent_/"
    "RIHS01_043e627780fcad87a22d225bc2a037361dba713fca6a6b9f4b869a5aa0393204/::,1000:,:,:,,",
    "@ros2_lv/0/943f9ebc32acd3e072bfda12ce8c7ed2/0/4/MS/%/%/_ros2cli_31/%cmd_vel/"
    "geometry_msgs::msg::dds_::TwistStamped_/"
    "RIHS01_5f0fcd4f81d5d06ad9b4c4c63e3ea51b82d6ae4d0558f1d475229b1121db6f64/2::,1:,:,:,,",
]


@pytest.mark.parametrize(
    ("domain_id", "name", "type_", "key"),
    [
        (0, "/chatter", STRING, f"0/chatter/{STRING}"),
        (0, "/robot1/chatter", STRING, f"0/robot1/chatter/{STRING}"),
        (2, "/add_two_ints", ADD_TWO_INTS, f"2/add_two_ints/{ADD_TWO_INTS}"),
    ],
)
def test_keys_are_those_of_the_design_document(domain_id, name, type_, key):
    assert format_.topic_key(domain_id, name, *type_.split("/")) == key


def test_node_token_is_that_of_the_design_document():
    zid = LISTENER.split("/")[2]
    assert format_.node_token(2, zid, 0, "/", "/", "listener") == LISTENER
    assert parse_token(LISTENER).node_fqn == "/listener"


@pytest.mark.parametrize("token", DOCUMENTED + CAPTURED)
def test_endpoint_tokens_of_real_nodes_are_read_and_written(token):
    entity = parse_token(token)
    _, domain_id, zid, node_id, entity_id = token.split("/")[:5]
    written = format_.endpoint_token(
        int(domain_id), zid, int(node_id), int(entity_id), entity.kind, entity.enclave,
        entity.namespace, entity.node_name, entity.name, entity.dds_type, entity.type_hash,
        format_.decode_qos(entity.qos_text),
    )  # fmt: skip
    assert written == token


durations = st.one_of(
    st.integers(1, 2**63 - 1).map(lambda n: Duration(nanoseconds=n)),
    st.just(Duration(seconds=10)),
)


@given(durations, durations, durations, st.sampled_from([1, 3]))
def test_durations_and_liveliness_of_a_profile_survive_the_token(deadline, lifespan, lease, kind):
    qos = QoSProfile(
        depth=3,
        deadline=deadline,
        lifespan=lifespan,
        liveliness=LivelinessPolicy(kind),
        liveliness_lease_duration=lease,
    )
    assert format_.decode_qos(format_.encode_qos(qos)) == qos


@given(st.text(alphabet="0123456789:,-²x", max_size=30))
def test_any_text_reads_as_a_profile(text):
    assert format_.decode_qos(text).depth >= 0


@pytest.fixture
def stranger(ros):
    """A session that knows nothing of pocket_ros, at the same router."""
    with zenoh.open(session_config()) as session:
        yield session


def tokens_seen(session, complete):
    """All tokens of the domain, once they are complete (a test of the set) or too late."""
    end = time.monotonic() + DEADLINE_SEC
    while True:
        replies = session.liveliness().get("@ros2_lv/87/**", timeout=DEADLINE_SEC)
        seen = {str(reply.ok.key_expr) for reply in replies}
        if complete(seen) or time.monotonic() > end:
            return seen


def without_session(tokens):
    """What a token says of its node and endpoint; the hashes of parameter services left out."""
    ends = (token.split("/", 5)[5] for token in tokens)
    return {end.rsplit("/", 2)[0] if "rcl_interfaces::srv" in end else end for end in ends}


def test_tokens_of_a_live_node_and_its_action_are_those_of_rclpys(ros, stranger):
    node = ros.node("n", namespace="/lab")
    server = ActionServer(node, Fibonacci, "fib", lambda goal: None)
    client = ActionClient(node, Fibonacci, "fib")
    hashes = Fibonacci.Impl
    status, cancel = hashes.GoalStatusMessage, hashes.CancelGoalService
    qos = {"status": ":1:,1:,:,:,,"}
    parts = {
        "send_goal": hashes.SendGoalService,
        "get_result": hashes.GetResultService,
        "cancel_goal": cancel,
        "feedback": hashes.FeedbackMessage,
        "status": status,
    }
    expected = {
        f"{kind}/%/%lab/n/%lab%fib%_action%{part}/{type_._dds_name}/{type_._type_hash}/"
        + qos.get(part, "::,10:,:,:,,")
        for part, type_ in parts.items()
        for kind in (("MP", "MS") if part in ("feedback", "status") else ("SS", "SC"))
    }
    expected |= {
        token.split("/", 5)[5].replace("%/%/_ros2cli_31", "%/%lab/n") for token in CAPTURED[:2]
    }
    expected |= {
        f"SS/%/%lab/n/%lab%n%{name}/rcl_interfaces::srv::dds_::{type_}_"
        for name, type_ in {
            "describe_parameters": "DescribeParameters",
            "get_parameters": "GetParameters",
            "get_parameter_types": "GetParameterTypes",
            "list_parameters": "ListParameters",
            "set_parameters": "SetParameters",
            "set_parameters_atomically": "SetParametersAtomically",
        }.items()
    }
    expected |= {"NN/%/%lab/n"}
    # A node has tokens beyond these (~/get_type_description), so their number says nothing.
    seen = without_session(tokens_seen(stranger, lambda all_: expected <= without_session(all_)))
    assert expected <= seen
    client.destroy()
    server.destroy()


def test_a_message_has_its_cdr_and_an_attachment_with_the_gid_of_its_token(ros, stranger):
    samples = queue.Queue()
    subscriber = stranger.declare_subscriber(
        f"87/x/{STRING}", zenoh.handlers.Callback(samples.put, indirect=False)
    )
    node = ros.node("n")
    publisher = node.create_publisher(String, "x", 10)
    before = time.time_ns()
    deadline = time.monotonic() + DEADLINE_SEC
    # The first may go out before the stranger's interest has arrived.
    while samples.empty() and time.monotonic() < deadline:
        publisher.publish(String(data="hello"))
    sample = samples.get(timeout=DEADLINE_SEC)
    assert sample.payload.to_bytes() == b"\x00\x01\x00\x00\x06\x00\x00\x00hello\x00"
    number, stamp, size, gid = struct.unpack("<qqB16s", sample.attachment.to_bytes())
    assert number >= 1
    assert before <= stamp <= time.time_ns()
    assert size == 16

    def publishers(tokens):
        return [token for token in tokens if "/MP/" in token and "/%x/" in token]

    [token] = publishers(tokens_seen(stranger, publishers))
    digest = xxhash.xxh3_128_intdigest(token.encode())
    assert gid == struct.pack("<QQ", digest % 2**64, digest >> 64)
    subscriber.undeclare()


def test_messages_are_numbered_from_one(ros):
    node = ros.node("n")
    numbers = queue.Queue()
    node.create_subscription(
        String, "x", lambda m, info: numbers.put(info["publication_sequence_number"]), 10
    )
    ros.spin(node)
    publisher = node.create_publisher(String, "x", 10)
    for _ in range(3):
        publisher.publish(String())
    assert [numbers.get(timeout=DEADLINE_SEC) for _ in range(3)] == [1, 2, 3]


def test_a_response_repeats_the_number_and_the_gid_of_its_request(ros, stranger):
    node = ros.node("n")

    def add(request, response):
        response.sum = request.a + request.b
        return response

    node.create_service(AddTwoInts, "add", add)
    ros.spin(node)
    ros.call(node, AddTwoInts, "add", AddTwoInts.Request())
    gid = bytes(range(16))
    querier = stranger.declare_querier(
        f"87/add/{ADD_TWO_INTS}",
        target=zenoh.QueryTarget.ALL_COMPLETE,
        consolidation=zenoh.ConsolidationMode.NONE,
        timeout=DEADLINE_SEC,
    )
    # That the service answered another session does not mean that this one has heard of it.
    matched = queue.Queue()
    listener = querier.declare_matching_listener(lambda status: matched.put(status.matching))
    if not querier.matching_status.matching:
        assert matched.get(timeout=DEADLINE_SEC)
    listener.undeclare()
    replies = querier.get(
        payload=b"\x00\x01\x00\x00" + struct.pack("<qq", 40, 2),
        attachment=format_.pack_attachment(7, gid),
    )
    [reply] = list(replies)
    assert reply.ok.payload.to_bytes() == b"\x00\x01\x00\x00" + struct.pack("<q", 42)
    assert format_.unpack_attachment(reply.ok.attachment.to_bytes())[::2] == (7, gid)


def test_a_request_is_a_query_with_cdr_and_the_clients_gid(ros, stranger):
    queries = queue.Queue()

    def answer(query):
        queries.put((query.payload.to_bytes(), query.attachment.to_bytes()))
        request = deserialize(query.payload.to_bytes(), AddTwoInts.Request)
        response = AddTwoInts.Response(sum=request.a + request.b)
        query.reply(query.key_expr, serialize(response), attachment=query.attachment)
        query.drop()

    stranger.declare_queryable(
        f"87/add/{ADD_TWO_INTS}", zenoh.handlers.Callback(answer, indirect=False), complete=True
    )
    token = stranger.liveliness().declare_token(
        f"@ros2_lv/87/{stranger.zid()}/0/10/SS/%/%/stranger/%add/{ADD_TWO_INTS}/::,10:,:,:,,"
    )
    node = ros.node("n")
    ros.spin(node)
    response = ros.call(node, AddTwoInts, "add", AddTwoInts.Request(a=40, b=2))
    assert response.sum == 42
    payload, attachment = queries.get(timeout=DEADLINE_SEC)
    assert payload == b"\x00\x01\x00\x00" + struct.pack("<qq", 40, 2)
    number, _, size, _ = struct.unpack("<qqB16s", attachment)
    assert (number, size) == (1, 16)
    token.undeclare()
