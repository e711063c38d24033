"""Any process may die at any moment: the campaign goes on, nothing is lost, nothing done twice."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from rclpy.serialization import deserialize_message

from matlab_ros.lab.events import AttemptEnded, AttemptIntended, DeviceGone, ManagerRestarted
from matlab_ros.model.lab_words import ExperimentState
from matlab_ros_interfaces.action import Dispense

INTERRUPTED = 130


def _dispensed(campaign: Any) -> dict[str, list[tuple[str, float]]]:
    """What the dispenser itself remembers: by attempt, substances and measured masses."""
    file = campaign.path / "run" / "devices" / "dispenser.attempts.sqlite"
    database = sqlite3.connect(file)
    try:
        rows = database.execute("SELECT id, result FROM attempts ORDER BY number").fetchall()
    finally:
        database.close()
    return {
        attempt: [
            (dose.substance, dose.measured_mg)
            for dose in deserialize_message(result, Dispense.Result).doses
        ]
        for attempt, result in rows
        if result
    }


def _check_nothing_twice(campaign: Any, experiments: int) -> None:
    intended = [event.attempt_id for event in campaign.events(AttemptIntended)]
    ended = [event.attempt_id for event in campaign.events(AttemptEnded)]
    assert len(set(intended)) == len(intended)
    assert sorted(ended) == sorted(intended)

    remembered = _dispensed(campaign)
    journal = {
        event.attempt_id: [(dose.substance, dose.measured_mg) for dose in event.outcome.doses]
        for event in campaign.events(AttemptEnded)
        if event.outcome.TAG == "dispense"
    }
    assert remembered == journal
    doses = Counter(
        (attempt.partition("/")[0], substance)
        for attempt, found in remembered.items()
        for substance, _ in found
    )
    assert set(doses.values()) == {1}, f"a dose was repeated: {doses}"
    assert len(doses) == 2 * experiments

    state = campaign.state()
    assert not state.campaign.running
    assert not state.attempts
    assert not state.open_faults()
    assert len(state.experiments) == experiments
    assert {run.state for run in state.experiments.values()} == {ExperimentState.SUCCEEDED}
    assert campaign.remaining() == {}


def test_a_lab_manager_that_is_killed_goes_on_from_its_journal(
    start: Callable[..., Any], look_at: Callable[[Any], Any]
) -> None:
    campaign = start()
    onlooker = look_at(campaign)
    # A sample is in the furnace and powder is being weighed for another.
    onlooker.wait_for_work("furnace_1", "heat")
    onlooker.wait_for_work("dispenser", "dispense")
    killed = campaign.kill("lab_manager")
    assert campaign.end() == 0, campaign.told()
    assert killed in campaign.pids()
    assert len(campaign.events(ManagerRestarted)) == 1
    _check_nothing_twice(campaign, 4)


def test_a_furnace_and_the_planner_may_die_in_mid_heat(
    start: Callable[..., Any], look_at: Callable[[Any], Any]
) -> None:
    # The fifth experiment is suggested when one of the first four is over.
    campaign = start("--experiments", "5")
    onlooker = look_at(campaign)
    attempt = onlooker.wait_for_work("furnace_1", "heat")
    campaign.kill("furnace_1")
    campaign.kill("planner")
    assert campaign.end() == 0, campaign.told()
    assert "furnace_1" in [event.device for event in campaign.events(DeviceGone)]
    # The controller went on by itself, and the node that came back brought the attempt to its end.
    (outcome,) = [
        event.outcome for event in campaign.events(AttemptEnded) if event.attempt_id == attempt
    ]
    assert outcome.report.succeeded
    _check_nothing_twice(campaign, 5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_campaign_that_is_interrupted_leaves_no_process_behind(
    start: Callable[..., Any], look_at: Callable[[Any], Any], number: int
) -> None:
    # So slow that the heating is under way for as long as the test lasts.
    campaign = start("--speed", "600")
    look_at(campaign).wait_for_work("furnace_1", "heat")
    campaign.interrupt(number)
    assert campaign.end() == INTERRUPTED, campaign.told()
    assert "Traceback" not in campaign.err
    assert campaign.remaining() == {}
