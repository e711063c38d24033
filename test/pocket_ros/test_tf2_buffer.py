"""The transform buffer: what it knows between stamps, and why it does not know more."""

from __future__ import annotations

import math
import threading

import pytest
import rclpy.time
import tf2_ros
from geometry_msgs.msg import TransformStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.duration import Duration
from rclpy.time import Time

ANGLES = st.floats(-math.pi, math.pi)
PLACES = st.floats(-10, 10)
LATEST = Time()


def transform(parent, child, seconds, x=0.0, y=0.0, z=0.0, yaw=0.0, pitch=0.0):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = rclpy.time.Time(nanoseconds=round(seconds * 1e9)).to_msg()
    place, turn = message.transform.translation, message.transform.rotation
    place.x, place.y, place.z = float(x), float(y), float(z)
    # Rotation about z by yaw, then about the new y by pitch.
    cy, sy, cp, sp = math.cos(yaw / 2), math.sin(yaw / 2), math.cos(pitch / 2), math.sin(pitch / 2)
    turn.x, turn.y, turn.z, turn.w = -sy * sp, cy * sp, sy * cp, cy * cp
    return message


def at(seconds):
    return Time(nanoseconds=round(seconds * 1e9))


def buffer_of(*transforms, **kwargs):
    buffer = tf2_ros.Buffer(**kwargs)
    for one in transforms:
        buffer.set_transform(one, "test")
    return buffer


def place(message):
    t = message.transform.translation
    return (t.x, t.y, t.z)


def yaw_of(message):
    q = message.transform.rotation
    return 2 * math.atan2(q.z, q.w)


def test_the_result_is_the_pose_of_the_source_in_the_target():
    buffer = buffer_of(
        transform("map", "base", 1, x=1.0, yaw=math.pi / 2), transform("base", "tool", 1, x=2.0)
    )
    found = buffer.lookup_transform("map", "tool", LATEST)
    assert place(found) == pytest.approx((1.0, 2.0, 0.0))
    assert (found.header.frame_id, found.child_frame_id) == ("map", "tool")
    assert place(buffer.lookup_transform("tool", "map", LATEST)) == pytest.approx((-2.0, 1.0, 0.0))


def test_siblings_are_found_through_their_parent_even_if_its_own_place_is_old():
    buffer = buffer_of(
        transform("map", "base", 1, x=50.0),
        transform("base", "left", 5, y=1.0),
        transform("base", "right", 5, y=-1.0),
    )
    assert place(buffer.lookup_transform("left", "right", at(5))) == pytest.approx((0, -2, 0))


def test_between_stamps_place_and_rotation_are_interpolated():
    buffer = buffer_of(
        transform("a", "b", 1, x=1.0, yaw=0.2), transform("a", "b", 3, x=2.0, yaw=1.0)
    )
    found = buffer.lookup_transform("a", "b", at(1.5))
    assert place(found) == pytest.approx((1.25, 0, 0))
    assert yaw_of(found) == pytest.approx(0.4)
    assert found.header.stamp == at(1.5).to_msg()


def test_rotation_goes_the_short_way_round():
    buffer = buffer_of(transform("a", "b", 1, yaw=3.0), transform("a", "b", 2, yaw=-3.0))
    yaw = yaw_of(buffer.lookup_transform("a", "b", at(1.5)))
    assert math.cos(yaw) == pytest.approx(-1.0)


@given(PLACES, PLACES, ANGLES, ANGLES, PLACES, ANGLES, st.floats(0, 1))
def test_there_and_back_is_nowhere(x, y, yaw, pitch, far, turn, ratio):
    buffer = buffer_of(
        transform("a", "b", 1, x, y, 1.0, yaw, pitch),
        transform("a", "b", 2, y, x, far, turn, -pitch),
        transform("b", "c", 1, far, y, x, pitch, turn),
        transform("b", "c", 2, x, far, y, turn, yaw),
    )
    when = at(1 + ratio)
    there = buffer.lookup_transform("a", "c", when)
    back = buffer.lookup_transform("c", "a", when)
    both = buffer_of(there, transform("elsewhere", "a", 0))
    back.header.frame_id, back.child_frame_id = "c", "again"
    both.set_transform(back, "test")
    both.set_transform_static(there, "test")
    both.set_transform_static(back, "test")
    found = both.lookup_transform("a", "again", LATEST)
    assert place(found) == pytest.approx((0, 0, 0), abs=1e-6)
    assert abs(found.transform.rotation.w) == pytest.approx(1.0, abs=1e-9)


def test_the_latest_time_is_the_one_that_all_frames_know():
    buffer = buffer_of(
        transform("a", "b", 1), transform("a", "b", 4), transform("b", "c", 2, x=1.0),
        transform("b", "c", 3, x=2.0),
    )  # fmt: skip
    assert buffer.lookup_transform("a", "c", LATEST).header.stamp == at(3).to_msg()
    assert buffer.get_latest_common_time("a", "c").nanoseconds == 3 * 10**9


def test_static_transforms_hold_at_all_times():
    buffer = buffer_of(transform("a", "b", 100, x=1.0))
    buffer.set_transform_static(transform("b", "c", 1, x=1.0), "test")
    assert place(buffer.lookup_transform("a", "c", at(100))) == pytest.approx((2, 0, 0))
    assert place(buffer.lookup_transform("b", "c", at(9))) == pytest.approx((1, 0, 0))


@pytest.mark.parametrize(("when", "words"), [(0.5, "into the past"), (9, "into the future")])
def test_times_outside_what_is_known_are_refused(when, words):
    buffer = buffer_of(transform("a", "b", 1), transform("a", "b", 2))
    with pytest.raises(tf2_ros.ExtrapolationException, match=words):
        buffer.lookup_transform("a", "b", at(when))


def test_unknown_frames_and_separate_trees_are_told_apart():
    buffer = buffer_of(transform("a", "b", 1), transform("c", "d", 1))
    with pytest.raises(tf2_ros.LookupException, match='"nowhere" passed to'):
        buffer.lookup_transform("nowhere", "b", LATEST)
    with pytest.raises(tf2_ros.ConnectivityException, match="two or more unconnected trees"):
        buffer.lookup_transform("a", "d", LATEST)
    with pytest.raises(tf2_ros.ConnectivityException):
        buffer.lookup_transform("a", "d", at(1))
    with pytest.raises(tf2_ros.InvalidArgumentException):
        buffer.lookup_transform("", "d", LATEST)
    assert issubclass(tf2_ros.LookupException, tf2_ros.TransformException)
    assert buffer.can_transform("a", "d", LATEST) is False
    assert "unconnected" in buffer.can_transform("a", "d", LATEST, return_debug_tuple=True)[1]


def test_a_loop_is_refused():
    buffer = buffer_of(transform("a", "b", 1), transform("b", "a", 1), transform("x", "y", 1))
    for when in (LATEST, at(1)):
        with pytest.raises(tf2_ros.LookupException, match="loop"):
            buffer.lookup_transform("y", "a", when)


def test_ten_seconds_are_kept():
    buffer = buffer_of(*(transform("a", "b", s, x=s) for s in range(1, 31)))
    assert place(buffer.lookup_transform("a", "b", at(20)))[0] == pytest.approx(20)
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("a", "b", at(19))
    buffer.set_transform(transform("a", "b", 5, x=5), "test")
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("a", "b", at(5))
    longer = buffer_of(
        *(transform("a", "b", s) for s in range(1, 31)), cache_time=Duration(seconds=100)
    )
    longer.lookup_transform("a", "b", at(2))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m.transform.translation, "x", math.nan),
        lambda m: setattr(m.transform.rotation, "w", 2.0),
        lambda m: setattr(m, "child_frame_id", "a"),
        lambda m: setattr(m, "child_frame_id", ""),
    ],
)
def test_transforms_that_are_none_are_dropped(change):
    wrong = transform("a", "b", 2)
    change(wrong)
    buffer = buffer_of(transform("a", "b", 1), wrong)
    assert buffer.lookup_transform("a", "b", LATEST).header.stamp == at(1).to_msg()


def test_between_two_times_through_a_frame_that_stood_still():
    buffer = buffer_of(transform("map", "car", 1, x=1.0), transform("map", "car", 2, x=3.0))
    found = buffer.lookup_transform_full("car", at(2), "car", at(1), "map")
    assert place(found) == pytest.approx((-2, 0, 0))


def test_waiting_ends_when_the_transform_comes():
    buffer = buffer_of(transform("a", "b", 1))
    asked = threading.Event()
    found = []

    def wait():
        asked.set()
        found.append(buffer.lookup_transform("a", "b", at(2), timeout=Duration(seconds=30)))

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked.wait(10)
    buffer.set_transform(transform("a", "b", 3), "test")
    thread.join(20)
    assert found


def test_waiting_in_vain_says_why():
    with pytest.raises(tf2_ros.LookupException):
        tf2_ros.Buffer().lookup_transform("a", "b", LATEST, timeout=Duration(seconds=0.05))


def test_a_future_is_done_when_the_transform_comes():
    buffer = buffer_of(transform("a", "b", 1))
    future = buffer.wait_for_transform_async("a", "b", at(2))
    assert not future.done()
    buffer.set_transform(transform("a", "b", 2, x=7.0), "test")
    assert place(future.result()) == pytest.approx((7, 0, 0))
