"""Virtual time jumps when everybody waits for a known moment, and never from silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.virtual.stepping import AttemptView, LabView, next_moment

GOAL = b"0123456789abcdef"
HEATING = AttemptView("e1/heat/1", waiting=True, waits_until_ns=100)


def quiescent(*in_flight: tuple[str, str], wakes_at_ns: int = 0) -> LabView:
    return LabView(True, in_flight, wakes_at_ns)


def test_time_jumps_to_the_earliest_known_moment() -> None:
    other = AttemptView("e2/heat/1", waiting=True, waits_until_ns=60)
    lab = quiescent(("e1/heat/1", "furnace_1"), ("e2/heat/1", "furnace_2"), wakes_at_ns=500)
    devices = {"furnace_1": [HEATING], "furnace_2": [other]}
    assert next_moment(10, lab, devices, set(), None) == 60


def test_time_is_held_before_the_lab_manager_has_spoken() -> None:
    assert next_moment(10, None, {"furnace_1": [HEATING]}, set(), None) is None


def test_time_is_held_while_the_lab_manager_can_act() -> None:
    lab = LabView(False, (("e1/heat/1", "furnace_1"),))
    assert next_moment(10, lab, {"furnace_1": [HEATING]}, set(), None) is None


def test_time_is_held_while_a_goal_is_on_its_way_to_a_device() -> None:
    lab = quiescent(("e1/heat/1", "furnace_1"), ("e2/dispense/1", "dispenser"))
    devices = {"furnace_1": [HEATING], "dispenser": []}
    assert next_moment(10, lab, devices, set(), None) is None


def test_time_is_held_while_a_device_acts() -> None:
    acting = AttemptView("e1/heat/1", waiting=False, waits_until_ns=0)
    lab = quiescent(("e1/heat/1", "furnace_1"))
    assert next_moment(10, lab, {"furnace_1": [acting]}, set(), None) is None


def test_time_is_held_when_a_moment_has_come_and_its_owner_has_not_spoken_since() -> None:
    lab = quiescent(("e1/heat/1", "furnace_1"))
    assert next_moment(100, lab, {"furnace_1": [HEATING]}, set(), None) is None


def test_time_is_held_when_a_trajectory_has_ended_and_the_arm_does_not_know_it_yet() -> None:
    carrying = AttemptView("e1/transfer/1", True, 1000, awaited_goals=(GOAL,))
    lab = quiescent(("e1/transfer/1", "arm"))
    assert next_moment(10, lab, {"arm": [carrying]}, set(), None) is None
    assert next_moment(10, lab, {"arm": [carrying]}, {GOAL}, 40) == 40


def test_time_stands_still_while_nothing_is_under_way() -> None:
    assert next_moment(10, quiescent(), {"furnace_1": []}, set(), 40) is None


@given(
    now=st.integers(0, 50),
    moments=st.lists(st.integers(1, 100), min_size=1, max_size=5),
    wakes=st.integers(0, 100),
)
def test_no_known_moment_is_ever_jumped_over(now: int, moments: list[int], wakes: int) -> None:
    views = [AttemptView(f"a{i}", True, moment) for i, moment in enumerate(moments)]
    lab = LabView(True, tuple((view.attempt_id, "d") for view in views), wakes)
    step = next_moment(now, lab, {"d": views}, set(), None)
    known = moments + ([wakes] if wakes else [])
    assert step is None or (now < step and all(step <= moment for moment in known))
    assert (step is None) == (min(known) <= now)
