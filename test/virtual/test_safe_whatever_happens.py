"""Random actions and faults on a whole virtual lab, with the real drivers: nothing is hotter than
it may be, no hot door opens, no arm is in a closed or a hot furnace.

The wires carry their faults without time: what is answered is there at once, and what is not never
comes. So the same steps do the same, however busy the computer is.
"""

from __future__ import annotations

import contextlib
import functools
import math
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from matlab_ros.instruments.door import DoorController
from matlab_ros.instruments.guarded_furnace import GuardedFurnace
from matlab_ros.instruments.heat_controller import HeatController
from matlab_ros.instruments.heat_program import HeatSegment
from matlab_ros.instruments.plugs import plug_of
from matlab_ros.instruments.registry import DOORS
from matlab_ros.instruments.transport import unreachable
from matlab_ros.model.faults import DeviceError
from matlab_ros.model.lab_config import DoorConfig, LabConfig, load_lab, position_points
from matlab_ros.robot.mobile_arm import ARM_JOINTS
from matlab_ros.robot.plan import Drive, Move, NoPlan, RobotState, TransferPlan
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.scene import UnknownPosition
from matlab_ros.robot.transfer import is_tucked, plan_transfer
from matlab_ros.virtual import bench
from matlab_ros.virtual.bench import VirtualBench
from matlab_ros.virtual.instruments.furnace_controller import ProgramFate
from matlab_ros.virtual.instruments.wire import WireFaults
from matlab_ros.virtual.robot import Motion, RobotRefused, TrajectoryPoint

CONFIG = Path(__file__).parents[2] / "config"
ARM = "arm"
FURNACES = ("furnace_1", "furnace_2")
LIMIT_C = 1000.0
AT_ONCE_S, SOON_S = 0.0, 30.0
"""Deadlines: of answers that are there at once or never, and of those that are there at once."""
INSIDE_M = 0.15
"""A tool this near to where a crucible stands in a furnace is in the furnace."""
NOISE_C = 3.0
"""Of the thermocouple, at most; a door may open where the truth is this much above its limit."""


def _lab() -> LabConfig:
    lab = load_lab(CONFIG / "labs" / "virtual_lab.yaml")
    devices = []
    for device in lab.devices:
        if device.furnace is not None:
            limits = device.furnace.model_copy(
                update={"max_temperature_c": LIMIT_C, "cut_alarm": 1}
            )
            letter = "AB"[FURNACES.index(device.name)]
            driver = {"A": "eurotherm_3216", "B": "eurotherm_2416"}[letter]
            device = device.model_copy(
                update={"furnace": limits, "door": DoorConfig(letter=letter), "driver": driver}
            )
        devices.append(device)
    return lab.model_copy(update={"devices": tuple(devices)})


LAB = _lab()
POINTS = position_points(LAB)
OPEN_BELOW_C = 200.0


class Line:
    """A wire without time.

    Args:
        name: for people.
        answer: gives what the other end says to some bytes; None: nothing.
        faults: of the wire.
        hangs_up: whether the other end does so after each answer.
    """

    silence_s = 0.0

    def __init__(
        self,
        name: str,
        answer: Callable[[bytes], bytes | None],
        faults: WireFaults,
        *,
        hangs_up: bool = False,
    ) -> None:
        self.name = name
        self.pulled_out = False
        self.is_open = self.ended = False
        self._answer, self._faults, self._hangs_up = answer, faults, hangs_up
        self._coming = b""

    def open(self) -> None:
        if not self.is_open:
            self.is_open, self.ended, self._coming = True, False, b""

    def close(self) -> None:
        self.is_open = False

    def write(self, data: bytes) -> None:
        if self.pulled_out:
            self.pulled_out = self.is_open = False
        if not self.is_open:
            raise unreachable(self.name, "the adapter is gone")
        reply = self._answer(data)
        self._coming += self._faults.applied(reply) if reply else b""

    def read(self, wait_s: float) -> bytes:
        data, self._coming = self._coming, b""
        self.ended = self._hangs_up and not data
        return data

    def discard_input(self) -> None:
        self._coming = b""


class SafeLab(RuleBasedStateMachine):
    """The lab, whatever is done to it. What a refusal is for, nobody here knows: the truth is asked
    of the physical world."""

    guarded: type[GuardedFurnace] = GuardedFurnace

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.bench = VirtualBench(
            LAB,
            CONFIG / "chemistry",
            CONFIG / "structures",
            folder / "wires",
            folder / "share",
            0,
            0,
            {},
            1,
        )
        self.inside: dict[str, tuple[str, ...]] = dict.fromkeys(FURNACES, ())
        self.faults = {name: WireFaults() for name in FURNACES}
        self.lines: dict[str, Line] = {}
        self.furnaces = {name: self._connect(name) for name in FURNACES}
        self.plan: TransferPlan | None = None
        self.at_stage = 0
        self.admitted: set[str] = set()

    def _connect(self, name: str) -> GuardedFurnace:
        device = LAB.device(name)
        assert device.furnace is not None
        assert device.door is not None
        assert device.driver is not None
        driver = DOORS[device.door.driver]

        def remember(arms: Collection[str]) -> None:
            self.inside[name] = tuple(arms)

        def door(may_open: object) -> DoorController:
            wire = Line("doors", self.bench.doors.answer, WireFaults(), hangs_up=True)
            return driver.make(wire, may_open=may_open, deadline_s=SOON_S)

        line = Line(name, self.bench.furnaces[name].receive, self.faults[name])
        line.open()
        self.lines[name] = line
        made = plug_of(device, "controller").driver
        controller: HeatController = made.make(line, device.furnace, deadline_s=AT_ONCE_S)
        made.ask(controller)
        controller.lower_cut()
        return self.guarded(
            name,
            controller,
            device.furnace,
            make_door=door,
            letter=device.door.letter,
            inside=self.inside[name],
            on_inside=remember,
        )

    def teardown(self) -> None:
        for furnace in self.furnaces.values():
            furnace.close()
        self.bench.close()
        self._folder.cleanup()

    # What people, nodes and the lab manager do

    @rule(
        name=st.sampled_from(FURNACES),
        target_c=st.sampled_from([150.0, 400.0, 999.0, 1000.0, 1001.0, 1390.0, 2000.0]),
        ramp=st.sampled_from([0.5, 10.0, 50.0]),
        dwell_min=st.sampled_from([0.0, 30.0, 600.0]),
        shuts=st.booleans(),
    )
    def heat(self, name: str, target_c: float, ramp: float, dwell_min: float, shuts: bool) -> None:
        furnace = self.furnaces[name]
        program = [HeatSegment(target_c, ramp, dwell_min)]
        with contextlib.suppress(DeviceError):
            if shuts:
                furnace.shut()
            furnace.controller.write_program(program)
            furnace.start()

    @rule(name=st.sampled_from(FURNACES))
    def shut(self, name: str) -> None:
        with contextlib.suppress(DeviceError):
            self.furnaces[name].shut()

    @rule(name=st.sampled_from(FURNACES), how=st.sampled_from(["hold", "resume", "reset"]))
    def command(self, name: str, how: str) -> None:
        with contextlib.suppress(DeviceError):
            getattr(self.furnaces[name].controller, how)()

    @rule(name=st.sampled_from(FURNACES))
    def open_door_by_hand(self, name: str) -> None:
        with contextlib.suppress(DeviceError):
            self.furnaces[name].admit("somebody")
        self.furnaces[name].left("somebody")

    @rule(name=st.sampled_from(FURNACES))
    def begin_anew(self, name: str) -> None:
        """The furnace's process ends and another begins."""
        self.furnaces[name].close()
        for _ in range(20):
            with contextlib.suppress(DeviceError):
                self.furnaces[name] = self._connect(name)
                return
            self.faults[name].mute = False

    @rule(
        crucible=st.sampled_from(["crucible-01", "crucible-02"]),
        to=st.sampled_from(["furnace_1/1", "furnace_1/4", "furnace_2/2", "rack/40"]),
    )
    def plan_a_transfer(self, crucible: str, to: str) -> None:
        if self.plan is not None:
            return
        robot = self.bench.robot
        reading = robot.joint_state()
        joints = dict(zip(reading.names, reading.positions, strict=True))
        start = RobotState(
            BasePose(*robot.base_pose()),
            tuple(joints[name] for name in ARM_JOINTS),
            robot.gripper_gap_m(),
        )
        source = self.bench.world.position_of(crucible)
        if self.bench.world.held() is not None:
            source = f"{ARM}/gripper"
        with contextlib.suppress(NoPlan, UnknownPosition):
            self.plan = plan_transfer(LAB, source, to, start)
            self.at_stage = 0
        if is_tucked(start):
            self._left()

    @rule(breaks_off=st.integers(0, 9), stages=st.integers(1, 12))
    def move_the_arm(self, breaks_off: int, stages: int) -> None:
        for number in range(stages):
            if self.plan is None or not self._stage(breaks_off == number):
                return

    def _stage(self, breaks_off: bool) -> bool:
        """Do the next movement, or break it off in its middle; False where the arm waits."""
        assert self.plan is not None
        stage, robot = self.plan.stages[self.at_stage], self.bench.robot
        if isinstance(stage.action, Drive):
            self._left()
        elif stage.station in FURNACES and stage.station not in self.admitted:
            try:
                if not self.furnaces[stage.station].admit(ARM):
                    return False
            except DeviceError:
                return False
            self.admitted.add(stage.station)
        now = robot.now_s
        motion: Motion
        try:
            if isinstance(stage.action, Drive):
                pose = stage.action.pose
                motion = robot.start_drive((pose.x_m, pose.y_m, pose.yaw_rad), now)
            elif isinstance(stage.action, Move):
                path = stage.action.trajectory
                points = [
                    TrajectoryPoint(float(t), tuple(map(float, q)), tuple(map(float, v)))
                    for t, q, v in zip(
                        path.times_s, path.positions_rad, path.velocities_rad_s, strict=True
                    )
                ]
                motion = robot.start_trajectory(path.joints, points, now)
            else:
                motion = robot.command_gripper(stage.action.closed, now)
        except RobotRefused:
            self.plan = None
            return False
        for share in (0.4, 0.8) if breaks_off else (0.25, 0.5, 0.75, 1.0):
            self.bench.advance_to(motion.began_s + share * (motion.ends_s - motion.began_s) + 1e-3)
            self.look()
        if breaks_off:
            robot.cancel_trajectory(robot.now_s)
            robot.cancel_drive(robot.now_s)
            robot.end_stroke()
            self.plan = None
            return False
        self.at_stage += 1
        if self.at_stage == len(self.plan.stages):
            self.plan = None
            self._left()
            return False
        return True

    def _left(self) -> None:
        for station in FURNACES:
            self.furnaces[station].left(ARM)
        self.admitted.clear()

    @rule(minutes=st.sampled_from([0.2, 1.0, 45.0, 300.0]), watched=st.booleans())
    def let_time_pass(self, minutes: float, watched: bool) -> None:
        self.bench.advance_to(self.bench.now_s + 60 * minutes)
        for furnace in self.furnaces.values() if watched else ():
            try:
                furnace.guard(furnace.controller.read_status())
            except DeviceError:
                with contextlib.suppress(DeviceError):
                    furnace.controller.reset()

    @rule()
    def emergency_stop(self) -> None:
        self.bench.robot.cancel_trajectory(self.bench.robot.now_s)
        self.plan = None
        for furnace in self.furnaces.values():
            with contextlib.suppress(DeviceError):
                furnace.controller.reset()

    # What goes wrong

    @rule(name=st.sampled_from(FURNACES), broken=st.booleans())
    def thermocouple(self, name: str, broken: bool) -> None:
        self.bench.furnaces[name].sensor_break = broken

    @rule(name=st.sampled_from(FURNACES))
    def heater(self, name: str) -> None:
        """Its switch is welded: from now on it heats, whatever the controller wants."""
        self.bench.furnaces[name].heater_stuck = True

    @rule(name=st.sampled_from(FURNACES))
    def front(self, name: str) -> None:
        """Somebody sets a temperature at the controller's front."""
        furnace = self.bench.furnaces[name]
        if self.bench.is_closed(name):
            furnace._words[24] = 13_900

    @rule(name=st.sampled_from(FURNACES))
    def adapter(self, name: str) -> None:
        """Pulled out and put in again."""
        self.lines[name].pulled_out = True

    @rule(name=st.sampled_from(FURNACES), mute=st.booleans())
    def cable(self, name: str, mute: bool) -> None:
        self.faults[name].mute = mute

    @rule(
        name=st.sampled_from(FURNACES),
        kind=st.sampled_from(["corrupt_replies", "drop_replies", "halve_replies"]),
        count=st.integers(1, 4),
    )
    def wire(self, name: str, kind: str, count: int) -> None:
        setattr(self.faults[name], kind, count)

    @rule(letter=st.sampled_from("AB"), stuck=st.booleans())
    def door(self, letter: str, stuck: bool) -> None:
        self.bench.doors.stuck.discard(letter)
        if stuck:
            self.bench.doors.stuck.add(letter)

    @rule(name=st.sampled_from(FURNACES), fate=st.sampled_from(list(ProgramFate)))
    def program(self, name: str, fate: ProgramFate) -> None:
        self.bench.furnaces[name].next_program = fate

    # What must hold

    @invariant()
    def look(self) -> None:
        tool = self.bench.robot.tool_point()
        for station, furnace in self.bench.furnaces.items():
            hot_c = furnace.crucible_c
            assert hot_c < LIMIT_C + 25.0, f"{station} is at {hot_c:.0f} C"
            # That a switch welds while the door is open is nothing that software can prevent.
            if not self.bench.is_closed(station) and not furnace.heater_stuck:
                assert hot_c < OPEN_BELOW_C + NOISE_C, f"{station} is open at {hot_c:.0f} C"
                assert not furnace.is_heating, f"{station} heats with its door open"
            near = min(math.dist(tool, POINTS[f"{station}/{n}"]) for n in range(1, 5))
            if near < INSIDE_M:
                assert not self.bench.is_closed(station), f"the arm is in the closed {station}"


SHORT = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    # To make a failure shorter takes longer than to read it.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _chemistry_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "load_chemistry", functools.cache(bench.load_chemistry))


def test_the_lab_is_safe_whatever_is_done_and_goes_wrong() -> None:
    run_state_machine_as_test(SafeLab, settings=SHORT)


@pytest.mark.slow
def test_the_lab_is_safe_whatever_is_done_and_goes_wrong_for_longer() -> None:
    run_state_machine_as_test(
        SafeLab, settings=settings(SHORT, max_examples=1500, stateful_step_count=80)
    )


class Blind(GuardedFurnace):
    """One that does not look how hot it is."""

    def _require_cool(self) -> None:
        return


class Forgetful(GuardedFurnace):
    """One that closes its door whoever is inside."""

    def _require_empty(self) -> None:
        return


class Careless(GuardedFurnace):
    """One that heats whatever its door does."""

    def _require_closed(self) -> None:
        return


def _open_when_hot(lab: SafeLab) -> None:
    lab.heat("furnace_1", 400.0, 10.0, 600.0, True)
    lab.let_time_pass(300.0, False)
    lab.open_door_by_hand("furnace_1")


def _shut_on_the_arm(lab: SafeLab) -> None:
    lab.plan_a_transfer("crucible-01", "furnace_1/1")
    place = POINTS["furnace_1/1"]
    while lab.plan is not None and math.dist(lab.bench.robot.tool_point(), place) > INSIDE_M / 2:
        lab.move_the_arm(breaks_off=9, stages=1)
        lab.let_time_pass(0.2, False)
    lab.shut("furnace_1")


def _heat_when_open(lab: SafeLab) -> None:
    lab.open_door_by_hand("furnace_1")
    lab.let_time_pass(1.0, False)
    lab.heat("furnace_1", 400.0, 10.0, 30.0, False)


@pytest.mark.parametrize(
    ("careless", "misdeed", "seen"),
    [
        (Blind, _open_when_hot, "is open at"),
        (Forgetful, _shut_on_the_arm, "the arm is in the closed"),
        (Careless, _heat_when_open, "heats with its door open"),
    ],
)
def test_a_furnace_that_does_not_look_is_found_out(
    careless: type[GuardedFurnace], misdeed: Callable[[SafeLab], None], seen: str
) -> None:
    class Lab(SafeLab):
        guarded = careless

    def tried(kind: type[SafeLab]) -> None:
        lab = kind()
        try:
            misdeed(lab)
            lab.let_time_pass(1.0, False)
            lab.look()
        finally:
            lab.teardown()

    tried(SafeLab)
    with pytest.raises(AssertionError, match=seen):
        tried(Lab)
