"""The one place that decides who gets what."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.lab.allocator import AGING_NS, Alternative, Request, choose, rank


def _request(name, *ways, priority=0, age=0, deadline_ns=0, since_ns=0):
    alternatives = tuple(Alternative(tuple(way), name) for way in ways)
    return Request(priority, age, alternatives, deadline_ns, since_ns)


def test_a_request_is_granted_whole_or_not_at_all():
    request = _request("a", ["arm", "furnace_1/1"])
    assert choose([request], {"arm"}.__contains__) is None
    assert choose([request], {"arm", "furnace_1/1"}.__contains__).task == "a"


def test_an_alternative_is_taken_where_the_first_choice_is_not_free():
    request = _request("a", ["arm", "furnace_1/1"], ["arm", "furnace_2/1"])
    found = choose([request], {"arm", "furnace_2/1"}.__contains__)
    assert found.resources == ("arm", "furnace_2/1")


def test_the_order_is_priority_then_deadline_then_age():
    requests = [
        _request("age 2", ["arm"], age=2),
        _request("age 1", ["arm"], age=1),
        _request("late", ["arm"], age=0, deadline_ns=9),
        _request("important", ["arm"], priority=1, age=9, deadline_ns=9),
    ]
    served = []
    while requests:
        task = choose(requests, {"arm"}.__contains__).task
        served.append(task)
        requests = [item for item in requests if item.alternatives[0].task != task]
    assert served == ["important", "age 1", "age 2", "late"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    priority=st.integers(0, 20),
    since_ns=st.integers(0, 10 * AGING_NS),
    others=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20 * AGING_NS)), max_size=30),
)
def test_nobody_is_overtaken_by_one_who_came_a_stretch_later(priority, since_ns, others):
    mine = _request("mine", ["arm"], priority=priority, age=0, since_ns=since_ns)
    for number, (other_priority, other_since_ns) in enumerate(others):
        other = _request(
            "other", ["arm"], priority=other_priority, age=number + 1, since_ns=other_since_ns
        )
        if rank(other) < rank(mine):
            assert other_since_ns < since_ns + AGING_NS


def test_an_endless_stream_of_important_requests_starves_nobody():
    step_ns = AGING_NS // 20
    mine = _request("mine", ["arm"], age=0)
    waiting = [mine]
    for turn in range(100):
        now_ns = turn * step_ns
        # More comes than can be served.
        for number in range(2):
            age = 1 + 2 * turn + number
            waiting.append(_request(f"{age}", ["arm"], priority=9, age=age, since_ns=now_ns))
        granted = choose(waiting, {"arm"}.__contains__)
        if granted.task == "mine":
            break
        waiting = [item for item in waiting if item.alternatives[0].task != granted.task]
    else:
        raise AssertionError("it was never served")
    # The bound: those who came in the same stretch, and nobody after them.
    assert turn <= 2 * (AGING_NS // step_ns)
