"""The doctor hears the devices of a lab that is up, and how far their clocks are off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node

from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.graph_check import listen
from matlab_ros.nodes.ros_time import to_msg
from matlab_ros_interfaces.msg import DeviceState

LAB_FILE = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"
LATE_S = 30.0


@pytest.fixture
def lab() -> LabConfig:
    lab = load_lab(LAB_FILE)
    return lab.model_copy(update={"devices": lab.devices[:2]})


@pytest.fixture
def late_arm(graph: None) -> Iterator[None]:
    """An arm whose machine's clock is late, and that goes on saying so."""
    context = Context()
    rclpy.init(context=context)
    node = Node("arm", context=context)
    publisher = node.create_publisher(DeviceState, "arm/state", LATCHED)
    over = threading.Event()

    def speak() -> None:
        while not over.wait(0.05):
            state = DeviceState(device="arm", software_version="1.2.3")
            state.header.stamp = to_msg(time.time_ns() - round(LATE_S * 1e9))
            publisher.publish(state)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join(30.0)
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_who_is_heard_is_told_with_version_and_clock(lab: LabConfig, late_arm: None) -> None:
    heard = listen(lab, 5.0)
    # Nobody speaks for the dispenser.
    assert set(heard) == {"arm"}
    assert heard["arm"].version == "1.2.3"
    assert LATE_S - 1e-3 <= heard["arm"].behind_s < LATE_S + 60.0
