"""Which instrument a station has is a line in its lab's file: every driver, and one of your own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

from matlab_ros.instruments import registry
from matlab_ros.instruments.mixing import MixerState
from matlab_ros.instruments.plugs import PARTS, plug_of
from matlab_ros.instruments.wire_check import wires_of
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import load_lab
from matlab_ros.nodes.arm_console import ArmConsole
from matlab_ros.nodes.dispenser import DispenserNode, _Work
from matlab_ros.nodes.furnace import FurnaceNode
from matlab_ros.nodes.gripper import GripperNode
from matlab_ros.virtual.emulators import EMULATORS, Place, Plugged, Wire, plug_serial, plug_tcp
from matlab_ros_interfaces.action import Dispense
from matlab_ros_interfaces.msg import Dose

LAB_FILE = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"
DEADLINE_S = 30.0
OWNERS = {
    "controller": "furnace_1",
    "door": "furnace_1",
    "balance": "dispenser",
    "magazine": "dispenser",
    "mixer": "dispenser",
    "capper": "dispenser",
    "diffractometer": "characterisation",
    "dashboard": "arm",
    "gripper": "arm",
}
EVERY = [(part, name) for part, (drivers, _) in PARTS.items() for name in drivers]


class Benches:
    """Emulated instruments on their wires, and lab files that name them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plugged: list[Plugged] = []
        self.devices: dict[str, Any] = {}

    def plug(self, name: str) -> str:
        """Put an instrument on a wire of its own; its address."""
        emulator = EMULATORS[name]
        device = emulator.make(Place(np.random.default_rng(1), 1, self._folder / "share"))
        device.advance_to(1.0)
        self.devices[name] = device
        if emulator.wire is Wire.SERIAL:
            path = self._folder / f"{name}-{len(self._plugged)}"
            self._plugged.append(plug_serial(device, path))
            return f"serial://{path}?silence_ms=0"
        plug = plug_tcp(emulator, device, "127.0.0.1", 0)
        self._plugged.append(plug)
        return plug.url

    def lab_file(self, changes: Mapping[str, Mapping[str, object]]) -> Path:
        """The virtual lab's file with further keys of some devices."""
        content = yaml.safe_load(LAB_FILE.read_text())
        for device in content["devices"]:
            device |= changes.get(device["name"], {})
        path = self._folder / f"lab-{len(list(self._folder.glob('lab-*')))}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    def close(self) -> None:
        for plugged in self._plugged:
            plugged.close()


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[Benches]:
    made = Benches(tmp_path)
    yield made
    made.close()


MakeNode = Callable[[Callable[[], Any], Path], Any]


@pytest.fixture
def node_of(graph: None, tmp_path: Path) -> Iterator[MakeNode]:
    """Makes a node that reads a lab's file, and spins it."""
    running: list[tuple[MultiThreadedExecutor, threading.Thread, Node]] = []

    def make(kind: Callable[[], Any], lab_file: Path) -> Any:
        arguments = ["-p", f"lab_file:={lab_file}", "-p", f"state_dir:={tmp_path / 'devices'}"]
        rclpy.init(args=["--ros-args", *arguments, "-r", "furnace:__node:=furnace_1"])
        node = kind()
        executor = MultiThreadedExecutor(num_threads=4)
        executor.add_node(node)

        def spin() -> None:
            with contextlib.suppress(ExternalShutdownException):
                executor.spin()

        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        running.append((executor, thread, node))
        return node

    yield make
    for executor, thread, node in running:
        rclpy.try_shutdown()
        executor.shutdown(timeout_sec=2.0)
        thread.join(DEADLINE_S)
        node.destroy_node()


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_every_driver_is_named_by_a_line_and_answers(
    benches: Benches, part: Any, name: str
) -> None:
    port = benches.plug(name)
    change: dict[str, object] = {"ports": {part: port}}
    if part == "door":
        change["door"] = {"driver": name, "letter": "A"}
    else:
        change["drivers"] = {part: name}
    lab = load_lab(benches.lab_file({OWNERS[part]: change}))
    (wire,) = wires_of(lab)
    assert wire.driver_name == name
    assert wire.answers(wire.address, 5.0)


def test_the_main_instrument_is_named_by_driver_too() -> None:
    lab = load_lab(LAB_FILE)
    for part, owner in (("controller", "furnace_1"), ("balance", "dispenser")):
        device = lab.device(owner).model_copy(update={"driver": "unknown"})
        with pytest.raises(ConfigError, match="unknown driver 'unknown'"):
            plug_of(device, part)  # type: ignore[arg-type]


@pytest.mark.parametrize("mixer", sorted(registry.MIXERS))
def test_a_dispenser_s_mixer_is_swapped_by_a_line(
    benches: Benches, node_of: MakeNode, mixer: str
) -> None:
    ports = {part: benches.plug(name) for part, name in (("balance", "quantos"),)}
    ports |= {"magazine": benches.plug("dh_rail"), "mixer": benches.plug(mixer)}
    file = benches.lab_file({"dispenser": {"ports": ports, "drivers": {"mixer": mixer}}})
    node = node_of(DispenserNode, file)
    node.connect()
    if mixer == "speedmixer_dac400":
        # It finds its zero after it was switched on.
        node._shaker.home()
        benches.devices[mixer].advance_to(500.0)
    node._shaker.start()
    assert node._shaker.read_state() is MixerState.RUNNING
    node.make_safe()
    device = benches.devices[mixer]
    device.advance_to(1000.0)
    assert node._shaker.read_state() is MixerState.STOPPED
    node.disconnect()


class Stirrer:
    """Somebody's own mixer."""

    def __init__(self, wire: Any, *, deadline_s: float) -> None:
        self.name = wire.name
        self.calls: list[str] = []
        self._wire = wire

    def read_state(self) -> MixerState:
        return MixerState.STOPPED

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self._wire.close()


def test_an_instrument_of_your_own_is_a_file_and_an_entry(
    benches: Benches, node_of: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = registry.Driver("a stirrer", Stirrer, lambda driver: driver.read_state(), port=80)
    monkeypatch.setitem(registry.MIXERS, "stirrer", entry)  # type: ignore[arg-type]
    ports = {"balance": benches.plug("quantos"), "magazine": benches.plug("dh_rail")}
    ports["mixer"] = benches.plug("crucible_shaker")
    file = benches.lab_file({"dispenser": {"ports": ports, "drivers": {"mixer": "stirrer"}}})
    node = node_of(DispenserNode, file)
    node.connect()
    node.make_safe()
    assert node._shaker.calls == ["stop", "stop"]
    node.disconnect()


def test_a_capper_holds_the_cap_while_powder_is_weighed_in(
    benches: Benches, node_of: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = {"balance": benches.plug("quantos"), "magazine": benches.plug("dh_rail")}
    ports |= {"mixer": benches.plug("crucible_shaker"), "capper": benches.plug("capper")}
    node = node_of(DispenserNode, benches.lab_file({"dispenser": {"ports": ports}}))
    node.connect()
    held: list[tuple[str, str]] = []

    class Work(_Work):
        """Everything but the cap is only written down, with what the capper does then."""

        def uncap(self, capper: Any) -> None:
            super().uncap(capper)
            held.append(("uncap", capper.read_state().value))

        def cap(self, capper: Any) -> None:
            super().cap(capper)
            held.append(("cap", capper.read_state().value))

        def __getattribute__(self, name: str) -> Any:
            if name in ("prepare", "bring_head", "dose", "mix", "release"):
                state = node._capper.read_state().value
                return lambda *_: held.append((name, state))
            return super().__getattribute__(name)

    monkeypatch.setattr("matlab_ros.nodes.dispenser._Work", Work)
    goal = Dispense.Goal(doses=[Dose(substance="MgO", mass_mg=100.0)], mix_min=1.0)
    attempt: Any = SimpleNamespace(
        resumed=False, note="", step=lambda *_: None, feedback=lambda _: None
    )
    node._run(attempt, goal, Dispense.Result())
    assert held == [
        ("prepare", "open"),
        ("uncap", "close"),
        ("bring_head", "close"),
        ("dose", "close"),
        ("cap", "open"),
        ("mix", "open"),
        ("release", "open"),
    ]
    node.disconnect()


@pytest.mark.parametrize("mass_mg", [1.0, 9000.0])
def test_a_mass_outside_the_limits_is_refused_by_the_node(
    node_of: MakeNode, mass_mg: float
) -> None:
    node = node_of(DispenserNode, LAB_FILE)
    with pytest.raises(DeviceError) as caught:
        node._stock_item(Dose(substance="MgO", mass_mg=mass_mg))
    assert caught.value.fault.code is FaultCode.INVALID_GOAL


@pytest.mark.parametrize("controller", sorted(registry.FURNACES))
def test_a_furnace_s_controller_is_swapped_by_a_line(
    benches: Benches, node_of: MakeNode, controller: str
) -> None:
    change = {"driver": controller, "ports": {"controller": benches.plug(controller)}}
    node = node_of(FurnaceNode, benches.lab_file({"furnace_1": change}))
    node.connect()
    assert node._furnace.read().measured_c == pytest.approx(25, abs=3)
    node.make_safe()
    node.disconnect()


class ArmHost(Node):
    """The little that a console needs of the arm's node."""

    def __init__(self, device: Any) -> None:
        super().__init__("arm")
        self.device = device
        self.faults: list[Fault | None] = []
        self.told = threading.Event()

    def parameter(self, name: str, default: Any) -> Any:
        self.declare_parameter(name, default)
        return self.get_parameter(name).value

    def fault(self, fault: Fault | None) -> None:
        self.faults.append(fault)
        self.told.set()


def test_the_arm_s_console_tells_why_the_arm_cannot_move(
    benches: Benches, node_of: MakeNode
) -> None:
    file = benches.lab_file({"arm": {"ports": {"dashboard": benches.plug("ur_dashboard")}}})
    arm = benches.devices["ur_dashboard"]
    host = node_of(lambda: ArmHost(load_lab(file).device("arm")), file)
    console = ArmConsole(host)
    with pytest.raises(DeviceError, match="power POWER_OFF"):
        console.connect()
    arm._mode = "RUNNING"
    console.connect()
    console.require_ready()
    arm.protective_stop()
    assert host.told.wait(DEADLINE_S)
    fault = host.faults[-1]
    assert fault is not None
    assert fault.code is FaultCode.DEVICE_NOT_ACTIVE
    assert "PROTECTIVE_STOP" in fault.message
    with pytest.raises(DeviceError, match="PROTECTIVE_STOP"):
        console.require_ready()
    assert console.stop()
    host.told.clear()
    arm._safety = "NORMAL"
    assert host.told.wait(DEADLINE_S)
    assert host.faults[-1] is None
    console.disconnect()


def test_an_arm_is_powered_up_where_that_is_wanted(benches: Benches, node_of: MakeNode) -> None:
    file = benches.lab_file({"arm": {"ports": {"dashboard": benches.plug("ur_dashboard")}}})
    arm = benches.devices["ur_dashboard"]
    host = node_of(lambda: ArmHost(load_lab(file).device("arm")), file)
    console = ArmConsole(host)
    console._powers_up = True
    asked = arm._power_on

    def power_on() -> str:
        said: str = asked()
        arm.advance_to(arm._now + 10.0)
        return said

    released = arm._release_brakes

    def release() -> str:
        said: str = released()
        arm.advance_to(arm._now + 10.0)
        return said

    arm._power_on, arm._release_brakes = power_on, release
    console.connect()
    console.require_ready()
    console.disconnect()


def test_a_gripper_with_a_wire_of_its_own_takes_gripper_commands(
    benches: Benches, node_of: MakeNode
) -> None:
    file = benches.lab_file({"arm": {"ports": {"gripper": benches.plug("dh_gripper")}}})
    device = benches.devices["dh_gripper"]
    over = threading.Event()

    def run() -> None:
        # The gripper's time is the test's: it goes on while somebody waits for it.
        while not over.wait(0.01):
            device.advance_to(device._now + 0.05)

    clock = threading.Thread(target=run, daemon=True)
    clock.start()
    node = node_of(GripperNode, file)
    client = ActionClient(node, GripperCommand, "gripper_controller/gripper_cmd")
    try:
        assert client.wait_for_server(DEADLINE_S)
        opened = _grip(client, 0.050)
        assert opened.reached_goal
        assert opened.position == pytest.approx(0.050, abs=0.001)
        closed = _grip(client, 0.0)
        assert closed.stalled
        assert not closed.reached_goal
        assert closed.position == pytest.approx(0.021, abs=0.001)
    finally:
        over.set()
        clock.join(DEADLINE_S)


def _grip(client: Any, position: float) -> Any:
    goal = GripperCommand.Goal()
    goal.command.position = position
    handle = _wait(client.send_goal_async(goal))
    assert handle.accepted
    return _wait(handle.get_result_async()).result


def _wait(future: Any) -> Any:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(DEADLINE_S), "nothing came back"
    return future.result()
