"""Quality of service: who talks with whom, what is told of it, and how parameters change it."""

from __future__ import annotations

import queue

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
    qos_profile_rosout_default,
    qos_profile_sensor_data,
)
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from std_msgs.msg import String

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


def test_without_a_callback_both_ends_warn(ros, dds_rules):
    listener, node = ros.node("listener"), ros.node("both")
    warnings = queue.Queue()

    def note(log):
        if log.name == "both" and log.level == Log.WARN and "RELIABILITY" in log.msg:
            warnings.put(log.msg)

    listener.create_subscription(Log, "/rosout", note, qos_profile_rosout_default)
    node.create_publisher(String, "careless", BEST_EFFORT)
    node.create_subscription(String, "careless", lambda message: None, RELIABLE)
    ros.spin(listener)
    ros.spin(node)
    told = [warnings.get(timeout=DEADLINE_SEC) for _ in range(2)]
    assert all("/careless" in text for text in told)


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
    assert qos_check_compatible(LATCHED, BEST_EFFORT) == (QoSCompatibility.OK, "")
    unsettled = QoSPresetProfiles.SYSTEM_DEFAULT.value
    assert qos_check_compatible(unsettled, RELIABLE)[0] == QoSCompatibility.WARNING


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
    node.create_publisher(String, "x", RELIABLE, qos_overriding_options=allowed)
    node.create_publisher(String, "y", RELIABLE)
    ros.spin(node)
    ros.until(node, lambda: node.count_publishers("x") + node.count_publishers("y") == 2)
    (changed,) = node.get_publishers_info_by_topic("x")
    (unchanged,) = node.get_publishers_info_by_topic("y")
    assert changed.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert unchanged.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    seen = []

    def judge(qos):
        seen.append(qos.depth)
        return True

    options = QoSOverridingOptions([QoSPolicyKind.DEPTH], callback=judge, entity_id="slow")
    node.create_subscription(
        String, "x", lambda message: None, BEST_EFFORT, qos_overriding_options=options
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
    strict = QoSOverridingOptions([QoSPolicyKind.DEPTH], callback=lambda qos: False)
    with pytest.raises(InvalidQosOverridesError):
        node.create_publisher(String, "x", 10, qos_overriding_options=strict)
    with pytest.raises(RuntimeError, match="nonsense"):
        node.create_publisher(
            String, "y", 10, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
