"""Furnaces are planned ahead: neither half empty when the next is minutes away, nor for ever."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.lab.heat_plan import plan_heat
from matlab_ros.lab.heat_values import Arrival, Furnace, Outlook, Visit

MIN = 60_000_000_000
A, B = ("a",), ("b",)


def _outlook(stations, hours=8.0, follow_min=10):
    fits = frozenset(stations)
    length = round(hours * 60 * MIN)
    return Outlook(0, {A: length, B: length}, {A: fits, B: fits}, MIN, follow_min * MIN)


def test_a_furnace_waits_for_one_who_is_minutes_away():
    furnaces = [Furnace("f1", 4, 0, A, 3)]
    plan = plan_heat(furnaces, [Arrival(5 * MIN, A)], _outlook(["f1"]))
    assert [batch.size for batch in plan] == [4]


def test_a_furnace_does_not_wait_longer_than_a_run_would_take():
    furnaces = [Furnace("f1", 4, 0, A, 3)]
    plan = plan_heat(furnaces, [Arrival(20 * 60 * MIN, A)], _outlook(["f1"]))
    assert [batch.size for batch in plan] == [3, 1]


def test_those_who_are_ready_share_a_run_where_furnaces_are_few():
    plan = plan_heat([Furnace("f1", 4, 0)], [Arrival(0, A)] * 4, _outlook(["f1"]))
    assert [batch.size for batch in plan] == [4]


def test_different_profiles_never_share_a_run():
    arrivals = [Arrival(0, A), Arrival(0, B)]
    plan = plan_heat([Furnace("f1", 4, 0)], arrivals, _outlook(["f1"]))
    assert sorted(batch.group for batch in plan) == [A, B]


def test_a_sample_that_fits_no_furnace_is_left_out():
    outlook = Outlook(0, {A: MIN}, {A: frozenset()}, MIN, 0)
    assert plan_heat([Furnace("f1", 4, 0)], [Arrival(0, A)], outlook) == ()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    slots=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    arrivals=st.lists(
        st.tuples(st.integers(0, 600), st.sampled_from([A, B])), min_size=1, max_size=20
    ),
)
def test_every_sample_is_heated_once_and_no_furnace_holds_more_than_it_can(slots, arrivals):
    furnaces = [Furnace(f"f{index}", count, 0) for index, count in enumerate(slots)]
    stations = [item.station for item in furnaces]
    given_ = [Arrival(minute * MIN, group) for minute, group in arrivals]
    plan = plan_heat(furnaces, given_, _outlook(stations))
    for group in (A, B):
        count = sum(batch.size for batch in plan if batch.group == group)
        assert count == sum(item.group == group for item in given_)
    for furnace in furnaces:
        runs = [batch for batch in plan if batch.station == furnace.station]
        assert all(batch.size <= furnace.slots for batch in runs)
        for one, other in pairwise(runs):
            assert other.start_ns >= one.end_ns


def test_the_run_that_cannot_be_full_starts_first_where_a_full_load_takes_hours():
    arrivals = [Arrival(60 * number * MIN, A) for number in range(1, 10)]
    plan = plan_heat([Furnace("f1", 4, 0)], arrivals, _outlook(["f1"], hours=6.0))
    assert [batch.size for batch in plan] == [1, 4, 4]


def test_those_who_may_have_to_come_again_go_first():
    fits = frozenset({"f1"})
    outlook = Outlook(
        0, {A: MIN, B: MIN}, {A: fits, B: fits}, carry_ns=0, follow_ns=0, rest_ns={B: 2 * MIN}
    )
    plan = plan_heat([Furnace("f1", 1, 0)], [Arrival(0, A), Arrival(0, B)], outlook)
    assert [batch.group for batch in plan] == [B, A]


def test_a_furnace_waits_for_those_who_come_again_from_another():
    running_out = [Arrival(30 * MIN, B)] * 3
    plan = plan_heat([Furnace("f1", 4, 0)], [Arrival(0, B), *running_out], _outlook(["f1"]))
    assert [batch.size for batch in plan] == [4]


def test_a_sample_that_comes_again_is_fired_as_often_as_expected():
    later = (Visit(60 * MIN, B), Visit(60 * MIN, A))
    plan = plan_heat([Furnace("f1", 4, 0)], [Arrival(0, A, later)] * 3, _outlook(["f1"]))
    assert [(batch.group, batch.size) for batch in plan] == [(A, 3), (B, 3), (A, 3)]
    for one, other in pairwise(plan):
        assert other.start_ns >= one.end_ns + 60 * MIN


def test_furnaces_that_wait_for_each_others_samples_start_without_them():
    furnaces = [
        Furnace("f1", 2, 0, A, 1, ((Visit(MIN, B),),)),
        Furnace("f2", 2, 0, B, 1, ((Visit(MIN, A),),)),
    ]
    plan = plan_heat(furnaces, [], _outlook(["f1", "f2"]))
    assert sum(batch.size for batch in plan) == 4


def test_what_no_furnace_could_do_later_is_left_out():
    outlook = Outlook(0, {A: MIN, B: MIN}, {A: frozenset({"f1"}), B: frozenset()}, MIN, 0)
    plan = plan_heat([Furnace("f1", 4, 0)], [Arrival(0, A, (Visit(MIN, B),))], outlook)
    assert [batch.group for batch in plan] == [A]
