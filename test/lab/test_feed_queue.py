"""Who is prepared next: the longest way first, small runs first while furnaces are idle."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.lab.feed_queue import Feed, FeedQueue

LONG, SHORT = ("long",), ("short",)


def _queue(long, short, room=8):
    queue = FeedQueue()
    for number in range(long):
        queue.add(f"long-{number:02d}", Feed(0, LONG, 17, room, number))
    for number in range(short):
        queue.add(f"short-{number:02d}", Feed(0, SHORT, 6, room, number))
    return queue


def test_the_longest_way_goes_first():
    order = list(_queue(2, 3).in_order())
    assert order == ["long-00", "long-01", "short-00", "short-01", "short-02"]


def test_while_furnaces_are_idle_the_run_that_cannot_be_full_goes_first():
    order = list(_queue(16, 11).in_order(hungry=True))
    assert order[:3] == ["short-00", "short-01", "short-02"]
    assert all(name.startswith("long") for name in order[3:19])


def test_a_run_that_was_begun_is_made_full_before_another_is_begun():
    queue = _queue(16, 16)
    assert queue.first(hungry=True) == ("long-00",)
    queue.discard("long-00")
    for name in queue.in_order(hungry=True):
        assert name.startswith("long")
        if name == "long-07":
            break


def test_an_earlier_stretch_goes_first_whatever_else():
    queue = _queue(1, 0)
    queue.add("old", Feed(-1, SHORT, 1, 8, 99))
    assert queue.first() == queue.first(hungry=True) == ("old",)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    feeds=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 80), st.integers(1, 5)), max_size=120
    ),
    gone=st.sets(st.integers(0, 119)),
    hungry=st.booleans(),
)
def test_everybody_who_waits_is_in_the_order_once(feeds, gone, hungry):
    queue = FeedQueue()
    for number, (stretch, group, room) in enumerate(feeds):
        queue.add(f"{number}", Feed(stretch, (group,), group, room, number))
    for number in gone:
        queue.discard(f"{number}")
    left = {f"{number}" for number in range(len(feeds)) if number not in gone}
    order = list(queue.in_order(hungry))
    assert len(order) == len(queue) == len(left)
    assert set(order) == left
    assert queue.first(hungry) == tuple(order[:1])
    for group in range(81):
        assert queue.count((group,)) == sum(feeds[int(name)][1] == group for name in left)
