"""The lab's launch file brings every device to work, and every process to a clean end.

A launch test in ROS 2's own form: it needs rclpy, launch and the lab's interfaces, whoever provides
them.
"""

from __future__ import annotations

import signal
import socket
import tempfile
import time
import unittest
from typing import Any

import launch_testing
import launch_testing.asserts
import pytest
import rclpy
import rclpy.executors
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
from launch_testing.actions import ReadyToTest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from launch import LaunchDescription
from matlab_ros_interfaces.msg import LabState

DEVICES = {"dispenser", "arm", "furnace_1", "furnace_2", "characterisation"}
DEADLINE_S = 90.0
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# A node that misses its first signals is ended by the launcher's later ones, but never by force.
ENDED_AS_ASKED = [0, -signal.SIGINT, -signal.SIGTERM]


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.launch_test
def generate_test_description() -> tuple[LaunchDescription, dict[str, Any]]:
    folder = tempfile.TemporaryDirectory(prefix="virtual_lab_")
    file = PathJoinSubstitution(
        [FindPackageShare("matlab_ros"), "launch", "virtual_lab.launch.xml"]
    )
    lab = IncludeLaunchDescription(
        AnyLaunchDescriptionSource(file),
        launch_arguments={
            "run_dir": folder.name,
            "aeris_port": _free_port(),
            "shaker_port": _free_port(),
        }.items(),
    )
    # The folder lives as long as somebody holds it: the tests' arguments do.
    return LaunchDescription([lab, ReadyToTest()]), {"folder": folder}


class TestLabAtWork(unittest.TestCase):
    def setUp(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("launch_test_onlooker", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def tearDown(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def test_every_device_becomes_active(self) -> None:
        ready: dict[str, bool] = {}

        def on_lab(message: LabState) -> None:
            # Ready is: heard of, active, without fault and not stopped.
            ready.update({device.device: device.ready for device in message.devices})

        self.node.create_subscription(LabState, "lab_state", on_lab, LATCHED)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=1.0)
            if {name for name, is_ready in ready.items() if is_ready} == DEVICES:
                return
        self.fail(f"after {DEADLINE_S:g} s the lab manager sees these devices ready: {ready}")


@launch_testing.post_shutdown_test()
class TestLabAtItsEnd(unittest.TestCase):
    def test_every_process_ended_as_it_was_asked_to(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info, ENDED_AS_ASKED)
        assert len(proc_info.processes()) == len(DEVICES) + 3
