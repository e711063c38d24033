"""A dispenser that comes back takes up its dose where the dosing unit has it; none falls twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)

pytest.importorskip("rclpy", reason="there is neither ROS 2 nor pocket_ros")

from matlab_ros.instruments.plugs import plug_of
from matlab_ros.instruments.quantos import DoorState, DoseRequest, Job, JobState, QuantosBalance
from matlab_ros.instruments.transport import open_transport
from matlab_ros.lab.goals import CalibrationMark
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.model.lab_config import load_lab
from matlab_ros.nodes.conversions import dose_reading_from, dose_reading_to
from matlab_ros.nodes.dispenser import (
    JOB_PATIENCE_S,
    DispenserNode,
    _Work,
    read_note,
    write_note,
)
from matlab_ros.nodes.ros_time import to_msg
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.quantos import DosingHead
from matlab_ros.virtual.instruments.quantos import QuantosBalance as Emulator
from matlab_ros.virtual.instruments.wire import PseudoTerminal
from matlab_ros_interfaces.action import Dispense
from matlab_ros_interfaces.msg import Calibration, Dose, DoseReading

LAB = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"
TARGET_MG = 200.0


class Scene:
    """A balance on its wire, and the little that `_Work` needs of a node."""

    def __init__(self, folder: Path) -> None:
        self.fell: list[tuple[str, float]] = []
        self.crucible_mg = 12_000.0
        self.factor = 1.0
        self.now_s = 1.0
        self.emulator = Emulator(
            {1: DosingHead("MgO", 5000.0), 2: DosingHead("TiO2-rutile", 5000.0)},
            presented=lambda: 1,
            load=lambda: self.crucible_mg + sum(mass for _, mass in self.fell),
            on_dosed=lambda substance, mass: self.fell.append((substance, mass)),
            rng=np.random.default_rng(3),
        )
        self.emulator.advance_to(self.now_s)
        self._wire = PseudoTerminal(folder / "balance", self.emulator)
        self.balance = QuantosBalance(open_transport(self._wire.url), deadline_s=2.0)
        self.goal = Dispense.Goal(
            attempt_id="c-e0001/dispense/1",
            sample_id="c-e0001-s1",
            container_id="crucible-01",
            position="dispenser/1",
            doses=[Dose(substance="MgO", mass_mg=TARGET_MG, tolerance_mg=4.0)] * 2,
        )
        self.result = Dispense.Result()

    def wait(self, seconds: float, **_: Any) -> None:
        """Let virtual time pass."""
        self.now_s += seconds
        self.emulator.advance_to(self.now_s)

    def finish(self, job: Job) -> None:
        while self.balance.poll(job).state is JobState.RUNNING:
            self.wait(0.5)

    def begin_dose(self) -> None:
        """What an earlier process did: head, door, tare, and the command to dose."""
        self.balance.lock_head()
        self.finish(Job.HEAD_PIN)
        self.balance.close_door()
        self.finish(Job.DOOR)
        self.wait(5.0)
        self.balance.tare()
        self.balance.prepare_dose(DoseRequest(TARGET_MG, 4.0, "c-e0001-s1"))

    def resumed(self, note: str) -> _Work:
        """The work of a new process that finds this note; its driver knows of no job."""
        self.balance.close()
        self.balance = QuantosBalance(open_transport(self._wire.url), deadline_s=2.0)
        return self.work(note)

    def work(self, note: str = "") -> _Work:
        """The work of an attempt."""
        attempt = SimpleNamespace(
            note=note, wait=self.wait, step=lambda *_: None, feedback=lambda _: None
        )
        node = SimpleNamespace(
            balance=self.balance,
            lab=load_lab(LAB),
            device=SimpleNamespace(name="dispenser"),
            poll_s=0.5,
            reject_percent=10.0,
            corrected=lambda mg: self.factor * mg,
            calibration=lambda: Calibration(certificate_id="B-3", factor=self.factor, valid=True),
            time=SimpleNamespace(now_ns=lambda: round(self.now_s * 1e9), now_msg=lambda: to_msg(0)),
            make_safe=lambda: self.balance.stop_dosing(),
        )
        return _Work(node, attempt, self.goal, self.result)  # type: ignore[arg-type]

    def close(self) -> None:
        self.balance.close()
        self._wire.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def test_a_dose_that_went_on_meanwhile_is_weighed_and_counts(scene: Scene) -> None:
    scene.begin_dose()
    scene.balance.start_dosing()
    scene.wait(5.0)
    assert scene.resumed(write_note([], under_way=True)).resume() == 1
    ((_, mass_mg),) = scene.fell
    (reading,) = scene.result.doses
    assert reading.measured_mg == pytest.approx(mass_mg, abs=0.1)


def test_a_dose_is_corrected_by_the_balance_s_certificate_and_says_so(scene: Scene) -> None:
    scene.factor = 1.01
    scene.begin_dose()
    scene.balance.start_dosing()
    scene.wait(5.0)
    scene.resumed(write_note([], under_way=True)).resume()
    ((_, mass_mg),) = scene.fell
    (reading,) = scene.result.doses
    assert reading.measured_mg == pytest.approx(1.01 * mass_mg, abs=0.1)
    read = dose_reading_from(reading)
    assert read.calibration == CalibrationMark("B-3", factor=1.01, valid=True)
    assert dose_reading_from(dose_reading_to(read)) == read


def test_a_dose_that_never_began_may_be_begun(scene: Scene) -> None:
    scene.begin_dose()
    work = scene.resumed(write_note([], under_way=True))
    assert work.resume() == 0
    assert not work.is_spoilt
    assert scene.result.doses == []


def test_doses_that_were_weighed_are_not_weighed_in_again(scene: Scene) -> None:
    reading = DoseReading(substance="MgO", requested_mg=TARGET_MG, measured_mg=200.3)
    work = scene.resumed(write_note([reading], under_way=False))
    assert work.resume() == 1
    assert [dose.measured_mg for dose in scene.result.doses] == [200.3]
    assert scene.fell == []


def test_a_load_that_is_not_the_one_tared_says_that_nobody_knows(scene: Scene) -> None:
    scene.begin_dose()
    scene.crucible_mg = 0.0
    work = scene.resumed(write_note([], under_way=True))
    with pytest.raises(DeviceError) as caught:
        work.resume()
    assert caught.value.fault.code is FaultCode.INTERRUPTED
    assert caught.value.fault.sample_compromised


@pytest.mark.parametrize("note", ["dosing", "{}", json.dumps({"done": ["zz"], "under_way": True})])
def test_a_note_of_other_software_says_that_nobody_knows(scene: Scene, note: str) -> None:
    assert read_note(note) is None
    with pytest.raises(DeviceError) as caught:
        scene.resumed(note).resume()
    assert caught.value.fault.code is FaultCode.INTERRUPTED


def test_a_start_that_failed_leaves_no_port_locked(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.balance.close()
    wire = PseudoTerminal(tmp_path / "magazine", DhRail(travel_mm=420.0))
    wire.faults.mute = True
    device = load_lab(LAB).device("dispenser")
    dispenser: Any = SimpleNamespace(
        disconnect=lambda: None,
        _open=lambda part: None,
        _plugs={
            "balance": plug_of(device, "balance", port=str(tmp_path / "balance")),
            "magazine": plug_of(device, "magazine", port=wire.url),
        },
        _reply_s=0.5,
        _pitch_mm=60.0,
        _slots=8,
    )
    try:
        with pytest.raises(DeviceError):
            DispenserNode.connect(dispenser)
        wire.faults.mute = False
        DispenserNode.connect(dispenser)
        assert dispenser._balance.identify()
    finally:
        dispenser._balance.close()
        dispenser._magazine.rail.close()
        wire.close()
        scene.close()


def test_an_attempt_that_follows_a_stopped_one_at_once_waits_for_the_door(scene: Scene) -> None:
    scene.balance.close_door()
    scene.finish(Job.DOOR)
    # What a stopped attempt does last, and nobody waited for.
    scene.balance.open_door()
    scene.work().prepare()
    assert scene.balance.door() is DoorState.CLOSED


def test_a_stopped_attempt_is_over_when_the_door_is_open(scene: Scene) -> None:
    scene.balance.close_door()
    scene.finish(Job.DOOR)
    scene.work().leave()
    assert scene.balance.door() is DoorState.OPEN


def test_a_door_that_stays_busy_ends_the_attempt_in_time(scene: Scene) -> None:
    scene.balance.close_door()
    scene.emulator.advance_to = lambda t: None  # type: ignore[method-assign]
    began_s = scene.now_s
    with pytest.raises(DeviceError) as caught:
        scene.work().prepare()
    assert caught.value.fault.code is FaultCode.DEADLINE_EXCEEDED
    assert scene.now_s - began_s < 2 * JOB_PATIENCE_S
