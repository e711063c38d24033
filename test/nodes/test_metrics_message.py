"""Every figure of a campaign stands in the message, under its standard name."""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from pathlib import Path

import pytest

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)

pytest.importorskip("rclpy", reason="there is neither ROS 2 nor pocket_ros")

from rclpy.serialization import deserialize_message, serialize_message

from matlab_ros.lab.journal import JournalReader
from matlab_ros.lab.metrics import metrics_of
from matlab_ros.lab.metrics_values import LabMetrics as Figures
from matlab_ros.model.lab_config import load_lab
from matlab_ros.nodes.lab_manager_metrics import metrics_message
from matlab_ros_interfaces.msg import LabMetrics

DATA = Path(__file__).parents[1] / "lab" / "data"
RENAMED = {
    "throughput_per_day": "demonstrated_throughput_per_day",
    "wall_throughput_per_day": "demonstrated_throughput_per_wall_day",
    "unassisted_lifetime_s": "demonstrated_unassisted_lifetime_s",
    "assisted_lifetime_s": "demonstrated_assisted_lifetime_s",
    "precision_freedom": "precision_degrees_of_freedom",
}


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> Figures:
    """Of a campaign with faults and operators."""
    file = tmp_path_factory.mktemp("old") / "journal.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript((DATA / "journal_1.sql").read_text())
    connection.close()
    reader = JournalReader(f"sqlite:///{file}")
    found = metrics_of(reader.read(), load_lab(DATA / "journal_1.lab.yaml"), "first")
    reader.close()
    return found


def test_every_figure_is_in_the_message_and_survives_the_wire(figures):
    sent = metrics_message(figures, 5_000_000_007)
    heard = deserialize_message(serialize_message(sent), LabMetrics)
    assert (heard.stamp.sec, heard.stamp.nanosec) == (5, 7)
    for field in dataclasses.fields(figures):
        ours = getattr(figures, field.name)
        theirs = getattr(heard, RENAMED.get(field.name, field.name))
        if isinstance(ours, tuple):
            assert len(theirs) == len(ours)
        elif ours is None:
            assert theirs == 0 or math.isnan(theirs), field.name
        else:
            assert theirs == ours, field.name
    assert heard.stations
    assert heard.faults[0].name == figures.faults[0].code
    assert heard.steps[0].working_median_s == figures.steps[0].working.median_s
