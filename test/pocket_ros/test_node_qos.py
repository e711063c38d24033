"""Quality of service: who talks with whom, what is told of it, and how parameters change it."""

from __future__ import annotations

import queue
import signal
import sys

import pytest
from rcl_interfaces.msg import Log
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
)
from rclpy.qos_overriding_options import (
    InvalidQosOverridesError,
    QosCallbackResult,
    QoSOverridingOptions,
)
from std_msgs.msg import String
from std_srvs.srv import SetBool

DEADLINE_SEC = 20.0
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=10)
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def within(seconds):
    return Duration(seconds=seconds)


# What the publisher offers, what the subscription requests, and the policy at fault.
INCOMPATIBLE = [
    pytest.param(BEST_EFFORT, RELIABLE, QoSPolicyKind.RELIABILITY, id="reliability"),
    pytest.param(RELIABLE, LATCHED, QoSPolicyKind.DURABILITY, id="durability"),
    pytest.param(
        QoSProfile(depth=10, deadline=within(20)),
        QoSProfile(depth=10, deadline=within(10)),
        QoSPolicyKind.DEADLINE,
        id="deadline",
    ),
    pytest.param(
        RELIABLE,
        QoSProfile(depth=10, deadline=within(10)),
        QoSPolicyKind.DEADLINE,
        id="no-deadline",
    ),
    pytest.param(
        QoSProfile(
            depth=10,
            liveliness=LivelinessPolicy.AUTOMATIC,
            liveliness_lease_duration=within(10),
        ),
        QoSProfile(
            depth=10,
            liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
            liveliness_lease_duration=within(10),
        ),
        QoSPolicyKind.LIVELINESS,
        id="liveliness",
    ),
    pytest.param(
        QoSProfile(depth=10, liveliness_lease_duration=within(20)),
        QoSProfile(depth=10, liveliness_lease_duration=within(10)),
        QoSPolicyKind.LIVELINESS,
        id="lease",
    ),
]


@pytest.mark.parametrize(("offered", "requested", "policy"), INCOMPATIBLE)
def test_incompatible_ends_are_told_and_do_not_talk(ros, dds_rules, offered, requested, policy):
    node = ros.node("both")
    of_publisher, of_subscription, received = queue.Queue(), queue.Queue(), queue.Queue()
    node.create_subscription(
        String,
        "x",
        lambda message: received.put(message.data),
        requested,
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=of_subscription.put),
    )
    refused = node.create_publisher(
        String,
        "x",
        offered,
        event_callbacks=PublisherEventCallbacks(incompatible_qos=of_publisher.put),
    )
    accepted = node.create_publisher(
        String,
        "x",
        QoSProfile(
            depth=10,
            durability=requested.durability,
            deadline=requested.deadline,
            liveliness=requested.liveliness,
            liveliness_lease_duration=requested.liveliness_lease_duration,
        ),
    )
    ros.spin(node)
    for events in (of_publisher, of_subscription):
        event = events.get(timeout=DEADLINE_SEC)
        assert (event.total_count, event.total_count_change) == (1, 1)
        assert event.last_policy_kind == policy
    ros.until(node, lambda: accepted.get_subscription_count() == 1)
    assert refused.get_subscription_count() == 0
    for publisher, text in ((refused, "withheld"), (accepted, "delivered")):
        publisher.publish(String(data=text))
    assert received.get(timeout=DEADLINE_SEC) == "delivered"
    assert received.empty()


@pytest.mark.parametrize(
    ("offered", "requested"),
    [
        (RELIABLE, RELIABLE),
        (RELIABLE, BEST_EFFORT),
        (RELIABLE, qos_profile_sensor_data),
        (LATCHED, RELIABLE),
        (LATCHED, LATCHED),
        (QoSProfile(depth=10, deadline=within(10)), RELIABLE),
        (QoSProfile(depth=10, deadline=within(10)), QoSProfile(depth=1, deadline=within(20))),
    ],
)
def test_compatible_ends_talk_and_are_told_of_each_other(ros, offered, requested):
    node = ros.node("both")
    matched, refusals, received = queue.Queue(), queue.Queue(), queue.Queue()
    node.create_subscription(
        String,
        "x",
        lambda message: received.put(message.data),
        requested,
        event_callbacks=SubscriptionEventCallbacks(
            matched=matched.put, incompatible_qos=refusals.put
        ),
    )
    publisher = node.create_publisher(String, "x", offered)
    ros.spin(node)
    event = matched.get(timeout=DEADLINE_SEC)
    assert (event.total_count, event.current_count, event.current_count_change) == (1, 1, 1)
    ros.until(node, lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data="hello"))
    assert received.get(timeout=DEADLINE_SEC) == "hello"
    assert node.destroy_publisher(publisher)
    event = matched.get(timeout=DEADLINE_SEC)
    assert (event.total_count, event.current_count, event.current_count_change) == (1, 0, -1)
    assert refusals.empty()


def test_publisher_is_told_of_subscriptions_that_come_and_go(ros):
    node = ros.node("talker")
    matched = queue.Queue()
    node.create_publisher(
        String, "x", 10, event_callbacks=PublisherEventCallbacks(matched=matched.put)
    )
    ros.spin(node)
    subscription = node.create_subscription(String, "x", lambda message: None, 10)
    assert matched.get(timeout=DEADLINE_SEC).current_count == 1
    assert node.destroy_subscription(subscription)
    event = matched.get(timeout=DEADLINE_SEC)
    assert (event.current_count, event.current_count_change) == (0, -1)


def test_publisher_of_another_process_that_dies_is_told(ros, peer):
    node = ros.node("listener")
    matched = queue.Queue()
    node.create_subscription(
        String,
        "x",
        lambda message: None,
        10,
        event_callbacks=SubscriptionEventCallbacks(matched=matched.put),
    )
    ros.spin(node)
    other = peer("""
        import rclpy
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("talker")
        publisher = node.create_publisher(String, "x", 10)
        rclpy.spin(node)
    """)
    assert matched.get(timeout=DEADLINE_SEC).current_count == 1
    other.kill()
    assert matched.get(timeout=DEADLINE_SEC).current_count == 0


def until(events, holds):
    """Return the first event that is as wanted."""
    while not holds(event := events.get(timeout=DEADLINE_SEC)):
        pass
    return event


def test_both_ends_are_told_of_every_deadline_that_is_missed(ros, dds_rules):
    node = ros.node("both")
    offered, requested, received = queue.Queue(), queue.Queue(), queue.Queue()
    node.create_subscription(
        String,
        "x",
        received.put,
        QoSProfile(depth=10, deadline=within(0.2)),
        event_callbacks=SubscriptionEventCallbacks(deadline=requested.put),
    )
    publisher = node.create_publisher(
        String,
        "x",
        QoSProfile(depth=10, deadline=within(0.1)),
        event_callbacks=PublisherEventCallbacks(deadline=offered.put),
    )
    ros.meet(publisher)
    publisher.publish(String())
    ros.spin(node)
    received.get(timeout=DEADLINE_SEC)
    for events in (offered, requested):
        total = 0
        while total < 3:
            event = events.get(timeout=DEADLINE_SEC)
            assert event.total_count == total + event.total_count_change
            assert event.total_count_change > 0
            total = event.total_count


def test_publisher_that_asserts_too_late_is_not_alive_until_it_asserts_again(ros, dds_rules):
    manual = QoSProfile(
        depth=10,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=within(0.5),
    )
    listener, talker = ros.node("listener"), ros.node("talker")
    changes, losses, received = queue.Queue(), queue.Queue(), queue.Queue()
    listener.create_subscription(
        String,
        "x",
        received.put,
        manual,
        event_callbacks=SubscriptionEventCallbacks(liveliness=changes.put),
    )
    publisher = talker.create_publisher(
        String, "x", manual, event_callbacks=PublisherEventCallbacks(liveliness=losses.put)
    )
    ros.meet(publisher)
    ros.spin(listener)
    ros.spin(talker)
    for assertion in (publisher.assert_liveliness, lambda: publisher.publish(String())):
        assertion()
        until(changes, lambda c: (c.alive_count, c.not_alive_count) == (1, 0))
        until(changes, lambda c: (c.alive_count, c.not_alive_count) == (0, 1))
        assert losses.get(timeout=DEADLINE_SEC).total_count_change == 1
    received.get(timeout=DEADLINE_SEC)
    assert talker.destroy_publisher(publisher)
    until(changes, lambda c: (c.alive_count, c.not_alive_count) == (0, 0))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_publisher_whose_process_stands_still_is_not_alive(ros, dds_rules, peer):
    changes = queue.Queue()
    node = ros.node("listener")
    node.create_subscription(
        String,
        "x",
        lambda message: None,
        QoSProfile(
            depth=10,
            liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
            liveliness_lease_duration=within(1),
        ),
        event_callbacks=SubscriptionEventCallbacks(liveliness=changes.put),
    )
    ros.spin(node)
    other = peer("""
        import rclpy
        from rclpy.duration import Duration
        from rclpy.qos import LivelinessPolicy, QoSProfile
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("talker")
        qos = QoSProfile(
            depth=10,
            liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
            liveliness_lease_duration=Duration(seconds=1),
        )
        publisher = node.create_publisher(String, "x", qos)
        node.create_timer(0.1, lambda: publisher.publish(String()))
        rclpy.spin(node)
    """)
    until(changes, lambda c: (c.alive_count, c.not_alive_count) == (1, 0))
    other.process.send_signal(signal.SIGSTOP)
    until(changes, lambda c: (c.alive_count, c.not_alive_count) == (0, 1))
    other.process.send_signal(signal.SIGCONT)
    until(changes, lambda c: (c.alive_count, c.not_alive_count) == (1, 0))


@pytest.mark.parametrize(
    ("served", "asked"),
    [
        pytest.param(RELIABLE, BEST_EFFORT, id="careless-client"),
        pytest.param(RELIABLE, LATCHED, id="latched-client"),
        pytest.param(LATCHED, RELIABLE, id="volatile-client"),
    ],
)
def test_service_and_client_of_different_qos_do_not_meet(ros, dds_rules, served, asked):
    node = ros.node("both")
    heard = queue.Queue()

    def answer(request, response):
        heard.put(request.data)
        return response

    node.create_service(SetBool, "switch", answer, qos_profile=served)
    stranger = node.create_client(SetBool, "switch", qos_profile=asked)
    friend = node.create_client(SetBool, "switch", qos_profile=served)
    ros.spin(node)
    assert friend.wait_for_service(DEADLINE_SEC)
    assert not stranger.service_is_ready()
    unanswered = stranger.call_async(SetBool.Request(data=False))
    ros.result(friend.call_async(SetBool.Request(data=True)))
    # DDS lets a request pass whose response it withholds.
    until(heard, lambda data: data)
    assert not unanswered.done()


def test_without_a_callback_both_ends_warn(ros, dds_rules):
    listener, node = ros.node("listener"), ros.node("both")
    warnings = queue.Queue()

    def note(log):
        if log.name == "both" and log.level == Log.WARN and "RELIABILITY" in log.msg:
            warnings.put(log.msg)

    listener.create_subscription(Log, "/rosout", note, LATCHED)
    node.create_publisher(String, "careless", BEST_EFFORT)
    node.create_subscription(String, "careless", lambda message: None, RELIABLE)
    ros.spin(listener)
    ros.spin(node)
    told = [warnings.get(timeout=DEADLINE_SEC) for _ in range(2)]
    assert all("careless" in text for text in told)


def test_best_available_takes_what_is_offered(ros):
    node = ros.node("both")
    received = queue.Queue()
    latched = node.create_publisher(String, "state", LATCHED)
    latched.publish(String(data="state"))
    lossy = node.create_publisher(String, "image", BEST_EFFORT)
    ros.spin(node)
    ros.until(node, lambda: node.count_publishers("state") + node.count_publishers("image") == 2)
    best = QoSPresetProfiles.BEST_AVAILABLE.value
    node.create_subscription(String, "state", lambda message: received.put(message.data), best)
    assert received.get(timeout=DEADLINE_SEC) == "state"
    node.create_subscription(String, "image", lambda message: received.put(message.data), best)
    ros.until(node, lambda: lossy.get_subscription_count() == 1)
    lossy.publish(String(data="image"))
    assert received.get(timeout=DEADLINE_SEC) == "image"


@pytest.mark.parametrize(("offered", "requested", "policy"), INCOMPATIBLE)
def test_incompatible_profiles_are_found_beforehand(dds_rules, offered, requested, policy):
    compatibility, reason = qos_check_compatible(offered, requested)
    assert compatibility == QoSCompatibility.ERROR
    assert reason


def test_compatible_profiles_are_found_beforehand(dds_rules):
    settled = QoSProfile(depth=10, liveliness=LivelinessPolicy.AUTOMATIC)
    assert qos_check_compatible(settled, settled) == (QoSCompatibility.OK, "")
    system = QoSPresetProfiles.SYSTEM_DEFAULT.value
    weakest = QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        liveliness=LivelinessPolicy.AUTOMATIC,
    )
    assert qos_check_compatible(system, weakest) == (QoSCompatibility.OK, "")
    # Liveliness is the system's default where nothing is said of it.
    for offered, requested in (
        (RELIABLE, RELIABLE),
        (settled, RELIABLE),
        (system, settled),
        (system, LATCHED),
        (weakest, system),
    ):
        compatibility, reason = qos_check_compatible(offered, requested)
        assert compatibility == QoSCompatibility.WARNING
        assert reason


def test_parameters_change_the_qos_of_what_allows_it(ros):
    node = ros.node(
        "tuned",
        parameter_overrides=[
            Parameter("qos_overrides./x.publisher.reliability", value="best_effort"),
            Parameter("qos_overrides./x.subscription_slow.depth", value=2),
            Parameter("qos_overrides./y.publisher.reliability", value="best_effort"),
        ],
    )
    allowed = QoSOverridingOptions.with_default_policies()
    # rclpy may write into the profile: each has its own.
    node.create_publisher(String, "x", QoSProfile(depth=10), qos_overriding_options=allowed)
    node.create_publisher(String, "y", QoSProfile(depth=10))
    ros.spin(node)
    ros.until(node, lambda: node.count_publishers("x") + node.count_publishers("y") == 2)
    (changed,) = node.get_publishers_info_by_topic("x")
    (unchanged,) = node.get_publishers_info_by_topic("y")
    assert changed.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert unchanged.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    seen = []

    def judge(qos):
        seen.append(qos.depth)
        return QosCallbackResult(successful=True)

    options = QoSOverridingOptions([QoSPolicyKind.DEPTH], callback=judge, entity_id="slow")
    slow = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(
        String, "x", lambda message: None, slow, qos_overriding_options=options
    )
    assert seen == [2]
    assert node.describe_parameter("qos_overrides./x.subscription_slow.depth").read_only


def test_overrides_that_a_callback_refuses_or_nobody_knows_are_errors(ros):
    node = ros.node(
        "tuned",
        parameter_overrides=[
            Parameter("qos_overrides./y.publisher.reliability", value="nonsense"),
        ],
    )
    strict = QoSOverridingOptions(
        [QoSPolicyKind.DEPTH],
        callback=lambda qos: QosCallbackResult(successful=False, reason="too deep"),
    )
    with pytest.raises(InvalidQosOverridesError, match="too deep"):
        node.create_publisher(String, "x", 10, qos_overriding_options=strict)
    with pytest.raises(RuntimeError, match="nonsense"):
        node.create_publisher(
            String, "y", 10, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
