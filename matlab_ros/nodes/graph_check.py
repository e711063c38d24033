"""Listening to a lab's devices for a few seconds: who is there, and what its clock says."""

from __future__ import annotations

import functools
import threading

from rclpy.clock import Clock, ClockType

from matlab_ros.doctor_graph import Heard
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.operator_client import OperatorClient
from matlab_ros.nodes.ros_time import to_ns
from matlab_ros_interfaces.msg import DeviceState

ENOUGH = 3
"""Words of each device, beside the first: that one may have been kept for whoever comes late."""


def listen(lab: LabConfig, patience_s: float) -> dict[str, Heard]:
    """Listen until every device of a lab has said something, for some steady seconds at most."""
    heard: dict[str, Heard] = {}
    count = {device.name: 0 for device in lab.devices}
    changed = threading.Condition()
    here = Clock(clock_type=ClockType.SYSTEM_TIME)

    def hear(name: str, state: DeviceState) -> None:
        behind_s = (here.now().nanoseconds - to_ns(state.header.stamp)) * 1e-9
        with changed:
            count[name] += 1
            # What comes later was longer on its way: the least is nearest to the truth.
            before = heard[name].behind_s if count[name] > 2 else behind_s
            fault = state.fault_message if state.faulted else ""
            heard[name] = Heard(min(before, behind_s), state.software_version, fault)
            changed.notify_all()

    with OperatorClient(patience_s, "doctor") as client:
        for device in lab.devices:
            client.node.create_subscription(
                DeviceState,
                f"{device.name}/state",
                functools.partial(hear, device.name),
                LATCHED,
            )
        with changed:
            changed.wait_for(lambda: min(count.values()) > ENOUGH, patience_s)
            return dict(heard)
