"""A lab whose journal is on a PostgreSQL server outlives that server's restart and its own."""

from __future__ import annotations

import threading
import time
from collections import Counter

from sqlalchemy.engine import make_url

from matlab_ros.lab.events import AttemptIntended, ManagerRestarted
from matlab_ros.model.lab_words import ExperimentState
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros_interfaces.msg import LabMetrics

LOST = "The journal's connection is lost"
DEADLINE_S = 120.0


def wait_for_log(campaign, words: str) -> None:
    """Wait until the lab's processes said something."""
    until = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while words not in campaign.log:
        assert time.monotonic() < until, f"never: {words}\n{campaign.told()}"
        pause.wait(0.1)


def test_a_campaign_goes_on_when_its_database_server_and_its_lab_manager_died(
    start, look_at, own_postgres, new_database
):
    url = make_url(own_postgres.url).set(database=make_url(new_database()).database)
    campaign = start("--set", f"journal_url:={url.render_as_string()}")
    onlooker = look_at(campaign)
    heard: list[LabMetrics] = []
    onlooker.node.create_subscription(LabMetrics, "lab_metrics", heard.append, LATCHED)
    onlooker.wait_for_work("furnace_1", "heat")
    own_postgres.stop()
    try:
        wait_for_log(campaign, LOST)
    finally:
        own_postgres.start()
    campaign.kill("lab_manager")
    assert campaign.end() == 0, campaign.told()
    assert not (campaign.path / "run" / "journal.sqlite").exists()
    assert campaign.events(ManagerRestarted)
    ids = Counter(event.attempt_id for event in campaign.events(AttemptIntended))
    assert set(ids.values()) == {1}
    runs = campaign.state().experiments.values()
    assert [run.state for run in runs] == [ExperimentState.SUCCEEDED] * 4
    # Figures are published at every milestone, and the new process counted the old one's too.
    assert heard[0].samples_ended == 0
    assert heard[-1].samples_ended >= 1
    assert heard[-1].manager_restarts >= 1
    assert heard[-1].attempts > heard[-1].samples_ended
