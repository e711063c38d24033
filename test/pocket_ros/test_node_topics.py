"""Topics: between nodes and processes, latched, raw, in order, and through rubbish on the wire."""

from __future__ import annotations

import queue
import threading

import pytest
from rclpy.exceptions import InvalidTopicNameException
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.topic_endpoint_info import TopicEndpointTypeEnum
from rclpy.wait_for_message import wait_for_message
from std_msgs.msg import Int32, String

DEADLINE_SEC = 20.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

ECHO = """
    import rclpy
    from std_msgs.msg import String
    rclpy.init()
    node = rclpy.create_node("echo")
    publisher = node.create_publisher(String, "reply", 10)
    node.create_subscription(
        String, "call", lambda m: publisher.publish(String(data=m.data + "!")), 10
    )
    print("ready")
    rclpy.spin(node)
"""


def wait_for_matches(node, topic, publishers=0, subscriptions=0):
    """Wait until the graph shows the endpoints; on a timer, for want of a graph event in rclpy."""
    found = threading.Event()

    def look():
        if (
            node.count_publishers(topic) >= publishers
            and node.count_subscribers(topic) >= subscriptions
        ):
            found.set()

    timer = node.create_timer(0.01, look)
    assert found.wait(DEADLINE_SEC), f"{topic} has too few endpoints"
    node.destroy_timer(timer)


def test_message_goes_to_another_process_and_back(ros, peer):
    other = peer(ECHO)
    assert other.line() == "ready"
    node = ros.node("caller")
    replies = queue.Queue()
    node.create_subscription(String, "reply", lambda m: replies.put(m.data), 10)
    publisher = node.create_publisher(String, "call", 10)
    ros.spin(node)
    wait_for_matches(node, "call", subscriptions=1)
    wait_for_matches(node, "reply", publishers=1)
    ros.meet(publisher)
    publisher.publish(String(data="hello"))
    assert replies.get(timeout=DEADLINE_SEC) == "hello!"


def test_late_joiner_gets_the_latched_message_of_another_process(ros, peer):
    other = peer("""
        import rclpy
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("latcher")
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = node.create_publisher(String, "state", qos)
        publisher.publish(String(data="old"))
        publisher.publish(String(data="last"))
        print("ready")
        rclpy.spin(node)
    """)
    assert other.line() == "ready"
    node = ros.node("late")
    received = queue.Queue()
    node.create_subscription(String, "state", lambda m: received.put(m.data), LATCHED)
    ros.spin(node)
    assert received.get(timeout=DEADLINE_SEC) == "last"
    assert received.empty()


def test_volatile_joiner_of_a_latched_topic_gets_only_what_comes_later(ros):
    node = ros.node("both")
    publisher = node.create_publisher(String, "state", LATCHED)
    publisher.publish(String(data="before"))
    received = queue.Queue()
    node.create_subscription(String, "state", lambda m: received.put(m.data), 10)
    ros.meet(publisher)
    ros.spin(node)
    publisher.publish(String(data="after"))
    assert received.get(timeout=DEADLINE_SEC) == "after"
    assert received.empty()


def test_queue_keeps_the_newest_messages(ros):
    node = ros.node("slow")
    received = queue.Queue()
    node.create_subscription(Int32, "fast", lambda m: received.put(m.data), 3)
    publisher = node.create_publisher(Int32, "fast", 3)
    ros.meet(publisher)
    for number in range(10):
        publisher.publish(Int32(data=number))
    ros.spin(node)
    assert [received.get(timeout=DEADLINE_SEC) for _ in range(3)] == [7, 8, 9]
    assert received.empty()


def test_callback_with_two_arguments_gets_the_message_info(ros):
    node = ros.node("informed")
    infos = queue.Queue()
    node.create_subscription(String, "x", lambda message, info: infos.put(info), 10)
    publisher = node.create_publisher(String, "x", 10)
    ros.meet(publisher)
    ros.spin(node)
    publisher.publish(String())
    publisher.publish(String())
    first, second = (infos.get(timeout=DEADLINE_SEC) for _ in range(2))
    assert 0 < first["source_timestamp"] <= first["received_timestamp"]
    numbers = [info["publication_sequence_number"] for info in (first, second)]
    # None where a middleware does not count.
    assert numbers == [None, None] or numbers[1] == numbers[0] + 1


def test_raw_subscription_gets_the_bytes_and_a_publisher_takes_them(ros):
    node = ros.node("raw")
    received = queue.Queue()
    node.create_subscription(String, "x", received.put, 10, raw=True)
    publisher = node.create_publisher(String, "x", 10)
    ros.meet(publisher)
    ros.spin(node)
    publisher.publish(serialize_message(String(data="bytes")))
    raw = received.get(timeout=DEADLINE_SEC)
    assert isinstance(raw, bytes)
    assert deserialize_message(raw, String).data == "bytes"


def test_publish_refuses_another_type(ros):
    publisher = ros.node("strict").create_publisher(String, "x", 10)
    with pytest.raises(TypeError):
        publisher.publish(Int32())


@pytest.mark.parametrize("name", ["", "a//b", "1a", "a/", "a b", "a~"])
def test_topic_names_against_the_rules_are_refused(ros, name):
    with pytest.raises(InvalidTopicNameException):
        ros.node("strict").create_publisher(String, name, 10)


def test_many_threads_may_publish_on_one_publisher(ros):
    node = ros.node("crowd")
    received = []
    complete = threading.Event()

    def on_message(message):
        received.append(message.data)
        if len(received) == 400:
            complete.set()

    node.create_subscription(Int32, "x", on_message, 400)
    publisher = node.create_publisher(Int32, "x", 400)
    ros.meet(publisher)
    ros.spin(node)

    def publish(start):
        for number in range(start, start + 100):
            publisher.publish(Int32(data=number))

    threads = [threading.Thread(target=publish, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    ros.wait(complete)
    assert sorted(received) == list(range(400))
    for start in range(0, 400, 100):
        mine = [number for number in received if start <= number < start + 100]
        assert mine == sorted(mine)


def test_graph_shows_endpoints_with_their_qos(ros):
    node = ros.node("one", namespace="/lab")
    node.create_publisher(String, "state", LATCHED)
    ros.spin(node)
    wait_for_matches(node, "state", publishers=1)
    assert ("/lab/state", ["std_msgs/msg/String"]) in node.get_topic_names_and_types()
    (info,) = node.get_publishers_info_by_topic("state")
    assert (info.node_name, info.node_namespace) == ("one", "/lab")
    assert info.topic_type == "std_msgs/msg/String"
    assert info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert ("one", "/lab") in node.get_node_names_and_namespaces()


def test_destroyed_subscription_gets_nothing(ros):
    node = ros.node("leaver")
    gone, stays = queue.Queue(), queue.Queue()
    subscription = node.create_subscription(String, "x", gone.put, 10)
    node.create_subscription(String, "x", stays.put, 10)
    publisher = node.create_publisher(String, "x", 10)
    ros.meet(publisher)
    assert node.destroy_subscription(subscription)
    ros.spin(node)
    publisher.publish(String())
    stays.get(timeout=DEADLINE_SEC)
    assert gone.empty()


def test_endpoints_are_known_in_full(ros):
    node = ros.node("one", namespace="/lab")
    node.create_publisher(String, "state", LATCHED)
    node.create_subscription(String, "state", lambda message: None, 10)
    ros.spin(node)
    wait_for_matches(node, "state", publishers=1, subscriptions=1)
    (publisher,) = node.get_publishers_info_by_topic("/lab/state")
    (subscription,) = node.get_subscriptions_info_by_topic("state")
    assert publisher.endpoint_type == TopicEndpointTypeEnum.PUBLISHER
    assert subscription.endpoint_type == TopicEndpointTypeEnum.SUBSCRIPTION
    assert str(publisher.topic_type_hash) == (
        "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
    )
    assert len(publisher.endpoint_gid) == 16
    assert list(publisher.endpoint_gid) != list(subscription.endpoint_gid)
    assert subscription.qos_profile.durability == DurabilityPolicy.VOLATILE
    assert subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert "Node namespace: /lab" in str(publisher)


def test_two_nodes_of_one_name_work_side_by_side(ros):
    twins = [ros.node("twin"), ros.node("twin")]
    received = queue.Queue()
    for twin in twins:
        twin.create_subscription(String, "x", lambda message: received.put(message.data), 10)
    publisher = ros.node("talker").create_publisher(String, "x", 10)
    ros.spin(*twins)
    wait_for_matches(twins[0], "x", subscriptions=2)
    ros.until(twins[0], lambda: twins[0].get_node_names().count("twin") == 2)
    ros.until(twins[0], lambda: publisher.get_subscription_count() == 2)
    publisher.publish(String(data="both"))
    assert [received.get(timeout=DEADLINE_SEC) for _ in range(2)] == ["both", "both"]
    twins.pop().destroy_node()
    ros.until(twins[0], lambda: twins[0].get_node_names().count("twin") == 1)
    ros.until(twins[0], lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data="one"))
    assert received.get(timeout=DEADLINE_SEC) == "one"


def test_next_message_can_be_waited_for_without_an_executor(ros):
    node, talker = ros.node("waiting"), ros.node("talker")
    publisher = talker.create_publisher(String, "x", 10)
    talker.create_timer(0.02, lambda: publisher.publish(String(data="tick")))
    ros.spin(talker)
    found, message = wait_for_message(String, node, "x", time_to_wait=DEADLINE_SEC)
    assert found
    assert message.data == "tick"
    assert wait_for_message(String, node, "silence", time_to_wait=0.05) == (False, None)
