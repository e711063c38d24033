"""One device each, with the other end of its wire, brought to where a stop matters."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matlab_ros.virtual.instruments.aeris import AerisDiffractometer
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.quantos import DosingHead, QuantosBalance
from matlab_ros.virtual.instruments.wire import LoopbackServer, PseudoTerminal
from safe_stop_kit.bench import PATIENCE_S, Bench, Tap

LATEST_S = 0.05
"""A stop comes at most so long after the work began."""


class Rig:
    """A device whose work can be begun and stopped again and again."""

    device: str
    command: str
    """What counts as the safe command, for people."""
    began: bytes
    safe: bytes

    def __init__(self, bench: Bench) -> None:
        from matlab_ros_interfaces.srv import EmergencyStop

        self.bench = bench
        self.tap = Tap()
        self._wires: list[Any] = []
        self.set_up()
        self._stop_type = EmergencyStop
        self._emergency = bench.node.create_client(EmergencyStop, f"{self.device}/emergency_stop")
        assert self._emergency.wait_for_service(PATIENCE_S)

    def set_up(self) -> None:
        """Start the instruments and the node."""
        raise NotImplementedError

    def goal(self, number: str) -> Any:
        """What is to be stopped."""
        raise NotImplementedError

    client: Any

    def settle(self) -> None:
        """Wait until the instrument has come to rest."""

    def stop(self, number: int, cancel: bool, chance: random.Random) -> float:
        """Begin, stop, and end; seconds from the call to the safe command."""
        self.tap.expect(self.began)
        goal = self.goal(f"{'cancel' if cancel else 'estop'}/{number}")
        handle = self.bench.done(self.client.send_goal_async(goal))
        ended = handle.get_result_async()
        ended.add_done_callback(lambda done: self.tap.give_up(done.result().result.error_message))
        self.tap.wait()
        threading.Event().wait(chance.uniform(0.0, LATEST_S))
        self.tap.expect(self.safe)
        called = time.monotonic()
        if cancel:
            handle.cancel_goal_async()
        else:
            answer = self._emergency.call_async(self._stop_type.Request(engage=True))
        seen = self.tap.wait()
        self.bench.done(ended)
        if not cancel:
            self.bench.done(answer)
            self.bench.call(self._emergency, self._stop_type.Request(engage=False))
        self.settle()
        return seen - called

    def close(self) -> None:
        """Take everything off its wire."""
        for wire in self._wires:
            wire.close()

    def serial(self, name: str, device: Any) -> str:
        """A tapped serial line; its address."""
        receive = device.receive

        def tapped(data: bytes) -> bytes:
            self.tap.heard(data)
            return bytes(receive(data))

        device.receive = tapped
        path = self.bench.folder / name
        self._wires.append(PseudoTerminal(path, device))
        return f"serial://{path}?baudrate=19200&silence_ms=0"


class FurnaceRig(Rig):
    """A furnace that heats."""

    device = "furnace_1"
    command = "programmer: reset (register 23)"
    began, safe = bytes.fromhex("010600170001"), bytes.fromhex("010600170000")

    def set_up(self) -> None:
        from rclpy.action import ActionClient

        from matlab_ros_interfaces.action import Heat

        controller = Eurotherm3216(np.random.default_rng(1))
        port = self.serial("furnace", controller)
        self.bench.tick(controller.advance_to, 1.0)
        self.client = ActionClient(self.bench.node, Heat, "furnace_1/heat")
        self.bench.start("furnace", self.device, port=port, poll_period_s=0.2)

    def goal(self, number: str) -> Any:
        from matlab_ros_interfaces.action import Heat
        from matlab_ros_interfaces.msg import HeatSegment

        return Heat.Goal(
            attempt_id=number,
            sample_ids=["s"],
            positions=["furnace_1/1"],
            profile=[HeatSegment(target_c=900.0, ramp_c_per_min=5.0, dwell_min=60.0)],
            unload_below_c=150.0,
            on_cancel=Heat.Goal.ON_CANCEL_OFF,
        )


class DispenserRig(Rig):
    """A dispenser while powder falls. Its instruments are hurried up until then."""

    device = "dispenser"
    command = "stop dosing (QRA 61 4)"
    began, safe = b"QRA 61 1\r\n", b"QRA 61 4\r\n"

    def set_up(self) -> None:
        from rclpy.action import ActionClient

        from matlab_ros_interfaces.action import Dispense

        rail = DhRail(travel_mm=420.0, blocked=lambda: balance.head_locked)
        balance = QuantosBalance(
            {1: DosingHead("MgO", 1e9)},
            presented=lambda: rail.slot_at_unit(pitch_mm=60.0, slots=8),
            load=lambda: 12_000.0,
            on_dosed=lambda substance, mass_mg: None,
            rng=np.random.default_rng(1),
        )
        self._balance = balance
        ports = {
            "balance_port": self.serial("balance", balance),
            "magazine_port": self.serial("magazine", rail),
        }

        def advance(t: float) -> None:
            rail.advance_to(t)
            balance.advance_to(t)

        self.bench.tick(advance, 40.0)
        self.client = ActionClient(self.bench.node, Dispense, "dispenser/dispense")
        self.bench.start("dispenser", self.device, poll_period_s=0.02, **ports)

    def goal(self, number: str) -> Any:
        from matlab_ros_interfaces.action import Dispense
        from matlab_ros_interfaces.msg import Dose

        return Dispense.Goal(
            attempt_id=number,
            sample_id="s",
            container_id="crucible-01",
            position="dispenser/1",
            doses=[Dose(substance="MgO", mass_mg=2500.0)],
        )

    def settle(self) -> None:
        while self._balance.next_moment() is not None:
            threading.Event().wait(0.01)


class DiffractometerRig(Rig):
    """A diffractometer that scans."""

    device = "characterisation"
    command = "no further order (asks whether it is idle)"
    began, safe = b"@SAMPLE@MEASURE", b"@STATUS_REQUEST@UNIT=xrd"

    def set_up(self) -> None:
        from rclpy.action import ActionClient

        from matlab_ros_interfaces.action import MeasureXrd

        share = self.bench.folder / "share"
        share.mkdir()
        aeris = AerisDiffractometer(
            share,
            scan=lambda sample, program, slot: b"",
            occupied=lambda slot: True,
            slots=range(1, 2),
            programs={"10-100_2-minutes": 127.0},
        )

        def answer(heard: bytes) -> bytes | None:
            reply = aeris.answer(heard)
            if reply is not None:
                self.tap.heard(heard)
            return reply

        server = LoopbackServer(answer)
        self._wires.append(server)
        self.bench.tick(aeris.advance_to, 1500.0)
        self.client = ActionClient(self.bench.node, MeasureXrd, "characterisation/measure_xrd")
        self.bench.start(
            "characterisation",
            self.device,
            aeris_address=server.url.removeprefix("tcp://"),
            share_dir=share,
            data_dir=self.bench.folder / "data",
            structures_dir=Path(__file__).parents[2] / "config" / "structures",
            poll_period_s=0.1,
        )

    def goal(self, number: str) -> Any:
        from matlab_ros_interfaces.action import MeasureXrd

        return MeasureXrd.Goal(
            attempt_id=number,
            sample_id="s",
            position="diffractometer/1",
            program="10-100_2-minutes",
        )


class ArmRig(Rig):
    """An arm on its way; its wire is the trajectory controller's action."""

    device = "arm"
    command = "cancel of the trajectory"
    began, safe = b"goal", b"cancel"

    def set_up(self) -> None:
        from control_msgs.action import FollowJointTrajectory, GripperCommand
        from nav2_msgs.action import NavigateToPose
        from rclpy.action import ActionClient, ActionServer, CancelResponse
        from rclpy.callback_groups import ReentrantCallbackGroup
        from sensor_msgs.msg import JointState

        from matlab_ros.robot.mobile_arm import ARM_JOINTS, BASE_JOINTS, FINGER_JOINTS, MOBILE_ARM
        from matlab_ros_interfaces.action import TransferSample

        node, group = self.bench.node, ReentrantCallbackGroup()
        canceled = threading.Event()

        def execute(handle: Any) -> Any:
            canceled.clear()
            self.tap.heard(b"goal")
            canceled.wait(PATIENCE_S)
            handle.canceled()
            return FollowJointTrajectory.Result()

        def cancel(_: Any) -> Any:
            self.tap.heard(b"cancel")
            canceled.set()
            return CancelResponse.ACCEPT

        names = {
            "arm_controller/follow_joint_trajectory": FollowJointTrajectory,
            "gripper_controller/gripper_cmd": GripperCommand,
            "navigate_to_pose": NavigateToPose,
        }
        self._servers = [
            ActionServer(node, kind, name, execute, cancel_callback=cancel, callback_group=group)
            for name, kind in names.items()
        ]
        joints = node.create_publisher(JointState, "joint_states", 10)
        base = (0.0, 0.0, 1.5708)
        half = MOBILE_ARM.gripper_open_m / 2
        message = JointState(
            name=[*BASE_JOINTS, *ARM_JOINTS, *FINGER_JOINTS],
            position=[*base, *MOBILE_ARM.tucked_rad, *([half] * len(FINGER_JOINTS))],
            velocity=[0.0] * (len(BASE_JOINTS) + len(ARM_JOINTS) + len(FINGER_JOINTS)),
        )

        def tell() -> None:
            message.header.stamp = node.get_clock().now().to_msg()
            joints.publish(message)

        node.create_timer(0.02, tell, callback_group=group)
        self.client = ActionClient(node, TransferSample, "transfer_sample")
        self.bench.start("arm", self.device)

    def goal(self, number: str) -> Any:
        from matlab_ros_interfaces.action import TransferSample

        return TransferSample.Goal(
            attempt_id=number,
            sample_id="s",
            container_id="crucible-01",
            source="rack/1",
            target="rack/40",
        )


RIGS: Mapping[str, type[Rig]] = {
    "furnace": FurnaceRig,
    "dispenser": DispenserRig,
    "arm": ArmRig,
    "diffractometer": DiffractometerRig,
}
