"""A furnace's node: runs temperature profiles on the controller and watches them to their end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Temperature

from matlab_ros.instruments.guarded_furnace import GuardedFurnace, MakeDoor
from matlab_ros.instruments.heat_controller import (
    ControllerStatus,
    HeatController,
    ProgramState,
    Reading,
)
from matlab_ros.instruments.heat_program import HeatSegment, program_duration_min
from matlab_ros.instruments.plugs import plug_of
from matlab_ros.instruments.registry import connect
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.nodes.device_node import Attempt, AttemptCanceled, DeviceNode, run_node
from matlab_ros.nodes.ros_time import to_msg
from matlab_ros_interfaces.action import Heat
from matlab_ros_interfaces.msg import SampleOutcome
from matlab_ros_interfaces.srv import ReachIn

STARTED = "program started"
"""Note of an attempt whose program the controller has been told to run."""

FAILED = "failed"
CANCELED, STOPPED = "cancelled", "stopped"
"""Notes of an attempt that ends early, and is over when the furnace is cold."""

ROOM_C = 25.0
LATE_SHARE, LATE_S = 0.2, 3600.0
"""A program may take longer than planned by this share of it and this time: a furnace that cannot
follow its ramp is waited for by the controller."""
UNSEEN_S = 3600.0
"""A furnace that was not looked at for so long may have followed its profile all the same."""
HOT_C = 200.0
"""A furnace that is still this hot takes no further program."""

IDLE_READING_S = 5.0
IDLE_FAILURES = 3
"""Readings in a row without an answer after which an idle furnace has a fault: one may be missed
for no more than a busy computer."""
DOOR_PATIENCE_S, DOOR_LOOK_S = 1800.0, 10.0
"""ROS time in which a furnace has to be empty and its door closed, and between looks at it."""
DWELL_BAND_C = 10.0
SHORTFALL_C = 25.0
"""A profile whose highest reading stays this far below its highest target was not followed."""

_RUNNING = (ProgramState.RUN, ProgramState.HOLD)


class FurnaceNode(DeviceNode):
    """Offers ``heat`` and ``reach_in``, and publishes ``temperature``.

    The whole profile is written into the controller before it is started, so it is brought to its
    end and cools even when this process or the computer is gone.

    Parameters: ``port`` (address, see `open_transport`), ``unit`` (Modbus address), ``driver`` and
    ``record`` (instead of the lab's configuration: what controls it, see `registry.FURNACES`, and
    the file that the traffic is written to),
    ``poll_period_s`` (ROS time between readings while heating), ``contact_patience_s`` (ROS time
    without an answer after which contact counts as lost), ``reply_patience_s`` (steady seconds for
    one answer of the controller), ``door_address`` (where the door's controller is, for a furnace
    whose configuration has a door).
    """

    def __init__(self) -> None:
        super().__init__("furnace")
        limits = self.device.furnace
        if limits is None:
            raise ConfigError("lab file", self.device.name, "is no furnace", "a furnace's name")
        self._limits = limits
        self._unit: int = self.parameter("unit", 1)
        self._poll_s: float = self.parameter("poll_period_s", 5.0)
        self._patience_s: float = self.parameter("contact_patience_s", 60.0)
        self._reply_s: float = self.parameter("reply_patience_s", 0.5)
        self._idle_failures = 0
        record: str = self.parameter("record", "")
        self._controller = plug_of(
            self.device,
            "controller",
            name=self.parameter("driver", ""),
            port=self.parameter("port", ""),
            record=record,
        )
        self._door = plug_of(
            self.device, "door", port=self.parameter("door_address", ""), record=record
        )
        if (self.device.door is not None) != bool(self._door):
            raise ConfigError(
                "parameters",
                "door_address",
                f"is {self._door.url!r}, and {self.device.name} has "
                f"{'a' if self.device.door is not None else 'no'} door in the lab file",
                "both or neither",
            )
        self._occupants = self.state_dir / f"{self.device.name}.inside"
        self._furnace: GuardedFurnace | None = None
        self._lost: Fault | None = None
        """Contact was lost while it was heating, and has not come back."""
        self._temperature = self.create_publisher(Temperature, "~/temperature", 10)
        self._setpoint = self.create_publisher(Temperature, "~/setpoint", 10)
        self.offer(
            Heat,
            "~/heat",
            self._run,
            lambda goal: list(zip(goal.sample_ids, goal.positions, strict=False)),
        )
        self.create_service(
            ReachIn, "~/reach_in", self._on_reach_in, callback_group=ReentrantCallbackGroup()
        )
        self.create_timer(
            IDLE_READING_S,
            self._read_while_idle,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def connect(self) -> None:
        """Open the wire, read the controller's own limits and lower its alarm to those here."""
        self.disconnect()
        controller: HeatController = self._controller.open(
            self._limits, unit=self._unit, deadline_s=self._reply_s
        )
        try:
            controller.lower_cut()
            door = self.device.door
            self._furnace = GuardedFurnace(
                self.device.name,
                controller,
                self._limits,
                make_door=self._make_door() if self._door else None,
                letter=door.letter if door is not None else "",
                inside=self._read_occupants(),
                corrected=self.corrected,
                on_inside=self._write_occupants,
            )
        except BaseException:
            controller.close()
            raise

    def _make_door(self) -> MakeDoor:
        """Opens the wire of the door; its driver is made by whoever says whether it may open."""
        plug = self._door
        wire = connect(plug.driver, plug.url, record=plug.record, title=plug.name)
        return lambda may_open: plug.driver.make(wire, may_open=may_open)

    def _read_occupants(self) -> tuple[str, ...]:
        try:
            return tuple(self._occupants.read_text(encoding="utf-8").split())
        except FileNotFoundError:
            return ()

    def _write_occupants(self, arms: Collection[str]) -> None:
        """Whoever is inside is inside for the next process too."""
        fresh = self._occupants.with_suffix(".new")
        try:
            fresh.write_text("".join(f"{arm}\n" for arm in arms), encoding="utf-8")
            fresh.replace(self._occupants)
        except OSError as error:
            raise DeviceError(
                Fault.of(
                    FaultCode.INTERNAL_ERROR,
                    f"{self._occupants} cannot be written ({error.strerror}), so nobody would know "
                    "who is inside; look at the disk",
                )
            ) from error

    def _on_reach_in(self, request: ReachIn.Request, response: ReachIn.Response) -> Any:
        """An arm asks to reach in, or says that it has left."""
        furnace = self._furnace
        try:
            if furnace is None:
                raise DeviceError(
                    Fault.of(
                        FaultCode.DEVICE_NOT_ACTIVE,
                        f"{self.device.name} is not configured, so nobody knows how hot it is",
                    )
                )
            if not request.enter:
                furnace.left(request.arm)
                response.granted = True
            elif self.estopped:
                raise DeviceError(
                    Fault.of(
                        FaultCode.EMERGENCY_STOP,
                        f"an emergency stop is latched on {self.device.name}; release it",
                    )
                )
            else:
                response.granted = furnace.admit(request.arm)
                response.ask_again = not response.granted
        except DeviceError as error:
            response.error_code = int(error.fault.code)
            response.error_message = error.fault.message
        return response

    def disconnect(self) -> None:
        """Close the wire; the controller goes on with its program."""
        if self._furnace is not None:
            self._furnace.close()
            self._furnace = None

    def make_safe(self) -> None:
        """Heater off: the program is reset, the furnace cools. The door stays as it is."""
        if self._furnace is not None:
            self._furnace.controller.reset()

    def _cool(self, controller: HeatController) -> None:
        """Switch the heater off after a fault; a second fault does not hide the first."""
        try:
            controller.reset()
        except DeviceError as error:
            self.get_logger().error(f"the program could not be reset: {error}")

    def _read_while_idle(self) -> None:
        """Notice a controller that is gone before somebody needs it."""
        furnace = self._furnace
        if furnace is None or self.busy:
            return
        try:
            reading = furnace.read()
        except DeviceError as error:
            self._idle_failures += 1
            if self._lost is not None or self._idle_failures >= IDLE_FAILURES:
                self.fault(self._lost or error.fault)
            return
        self._idle_failures = 0
        self._lost = None
        self.fault(None)
        self._publish_temperature(reading)

    def _publish_temperature(self, reading: Reading) -> None:
        """Say what is wanted, then what is measured; nothing is wanted of a furnace at rest."""
        for publisher, celsius in (
            (self._setpoint, reading.setpoint_c),
            (self._temperature, reading.measured_c),
        ):
            message = Temperature(temperature=celsius, variance=0.0)
            message.header.stamp = self.time.now_msg()
            message.header.frame_id = self.device.station or ""
            publisher.publish(message)

    def _run(self, attempt: Attempt, goal: Heat.Goal, result: Heat.Result) -> None:
        furnace = self._furnace
        assert furnace is not None, "an active furnace has its controller"
        result.max_measured_c = math.nan
        profile = tuple(
            HeatSegment(segment.target_c, segment.ramp_c_per_min, segment.dwell_min)
            for segment in goal.profile
        )
        run = _Run(self, furnace, self._limits, attempt, goal, result, profile)
        try:
            if attempt.resumed and attempt.note in (CANCELED, STOPPED):
                attempt.cancel(emergency=attempt.note == STOPPED)
                raise AttemptCanceled("cancelled")
            failed = read_failure(attempt.note) if attempt.resumed else None
            if failed is not None:
                raise DeviceError(failed)
            if attempt.resumed and attempt.note == STARTED:
                run.require_started()
            else:
                run.start()
            run.follow(self._poll_s, self._patience_s)
        except AttemptCanceled:
            run.end_early(self._limits.max_ramp_c_per_min, self._poll_s, self._patience_s)
            raise
        except DeviceError as error:
            if error.fault.code is FaultCode.HEAT_CONTACT_LOST:
                self._lost = error.fault
            elif run.is_begun:
                # Cooling takes hours: a process that comes back meanwhile must not take the run
                # for a good one.
                attempt.remember(write_failure(error.fault))
                self._cool(furnace.controller)
                # Nobody must reach into it before.
                run.await_cold(self._poll_s, self._patience_s)
            raise
        finally:
            run.summarise()

    def seen(self, status: ControllerStatus) -> None:
        """Publish a reading taken while a profile runs."""
        self._publish_temperature(status.reading)


class _Run:
    """One profile on its way through one furnace."""

    def __init__(
        self,
        node: FurnaceNode,
        furnace: GuardedFurnace,
        limits: FurnaceLimits,
        attempt: Attempt,
        goal: Heat.Goal,
        result: Heat.Result,
        profile: tuple[HeatSegment, ...],
    ) -> None:
        self._node = node
        self._furnace = furnace
        self._controller = furnace.controller
        self._unload_below_c = min(goal.unload_below_c, limits.open_below_c)
        self._attempt = attempt
        self._goal = goal
        self._result = result
        self._profile = profile
        self._target_c = max(segment.target_c for segment in profile) if profile else math.nan
        self._began_ns = node.time.now_ns()
        # What an earlier process of this node read belongs to the same run.
        earlier = node.memory.readings(attempt.attempt_id)
        self._trace_ns = earlier[0][0] if earlier else self._began_ns
        result.trace.start = to_msg(self._trace_ns)
        for stamp_ns, (measured_c, setpoint_c) in earlier:
            self._trace(stamp_ns, measured_c, setpoint_c)
        self.is_begun = attempt.note != ""
        """Whether the controller may have been told anything for this attempt."""

    def start(self) -> None:
        """Write the program and start it."""
        if self._goal.atmosphere != Heat.Goal.AIR:
            raise DeviceError(
                Fault.of(
                    FaultCode.INVALID_GOAL,
                    f"{self._node.device.name} has no gas supply; expected the atmosphere air",
                )
            )
        self._furnace.check(self._profile)
        self._shut()
        status = self._furnace.read_status()
        if status.state in _RUNNING or status.reading.measured_c >= HOT_C:
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_BUSY,
                    f"{self._node.device.name} is at {status.reading.measured_c:.0f} C from an "
                    "earlier program; wait until it is cold",
                )
            )
        self.is_begun = True
        self._attempt.step("writing the program", 0.0)
        self._profile = self._controller.write_program(self._profile)
        self._attempt.remember(STARTED)
        self._furnace.start()

    def _shut(self) -> None:
        """Have nobody inside and the door closed.

        Raises:
            AttemptCanceled, DeviceError: HEAT_INTERLOCKED.
        """
        limit_ns = self._node.time.now_ns() + round(DOOR_PATIENCE_S * 1e9)
        refused = DeviceError(
            Fault.of(
                FaultCode.HEAT_INTERLOCKED,
                f"the door of {self._node.device.name} does not close; look at it",
            )
        )
        while self._node.time.now_ns() <= limit_ns:
            self._attempt.step("closing the door", 0.0)
            try:
                if self._furnace.shut():
                    return
            except DeviceError as error:
                refused = error
            self._attempt.wait(DOOR_LOOK_S)
        raise refused

    def require_started(self) -> None:
        """After a restart: see that the program which was to be started was.

        Raises:
            DeviceError: INTERRUPTED; no program runs and the furnace is cold, so it either never
                began or ended long ago, and nothing here can tell which.
        """
        status = self._furnace.read_status()
        hot = status.reading.measured_c >= self._unload_below_c
        if status.state not in _RUNNING and not hot:
            raise DeviceError(
                Fault.of(
                    FaultCode.INTERRUPTED,
                    f"{self._node.device.name} restarted around the start of its program and is "
                    "cold; whether it ran is not known",
                    sample_compromised=True,
                )
            )

    def follow(self, poll_s: float, patience_s: float) -> None:
        """Watch the program to its end and the furnace until it can be unloaded.

        Raises:
            AttemptCanceled, DeviceError.
        """
        time = self._node.time
        silent_since_ns = 0
        end_ns = self._began_ns
        while True:
            try:
                status = self._furnace.read_status()
            except DeviceError as error:
                now = time.now_ns()
                silent_since_ns = silent_since_ns or now
                if now - silent_since_ns > patience_s * 1e9:
                    raise DeviceError(
                        Fault.of(
                            FaultCode.HEAT_CONTACT_LOST,
                            f"{error.fault.message} No contact for {patience_s:g} s; the program "
                            "goes on in the controller, which was given all of it before the "
                            f"start and ends it cold{self._by_when(end_ns)}. Do not open "
                            f"{self._node.device.name} before somebody read its temperature.",
                            sample_compromised=True,
                        )
                    ) from error
                self._attempt.wait(min(poll_s, patience_s / 4))
                continue
            silent_since_ns = 0
            self._note(status)
            self._furnace.guard(status)
            running = status.state in _RUNNING
            self._require_on_time(running, end_ns)
            if end_ns == self._began_ns:
                minutes = program_duration_min(self._profile, status.reading.setpoint_c)
                end_ns = self._began_ns + round(60e9 * minutes)
            if not running:
                self._require_followed()
                if status.reading.measured_c < self._unload_below_c:
                    return
            self._tell(status, running, end_ns)
            wait_s = poll_s
            if running:
                # A reading close to the program's end, where the dwell is decided.
                left_s = (end_ns - time.now_ns()) * 1e-9
                wait_s = min(poll_s, left_s + 1.0) if left_s > 0 else min(poll_s, 30.0)
            self._attempt.wait(wait_s)

    def _by_when(self, end_ns: int) -> str:
        """When the program ends, for people."""
        left_min = (end_ns - self._node.time.now_ns()) / 60e9
        return f", in {left_min:.0f} min" if left_min > 0 else ""

    def end_early(self, ramp_c_per_min: float, poll_s: float, patience_s: float) -> None:
        """Bring the furnace to the state that a cancel or stop asks for; only then it is told.

        Args:
            ramp_c_per_min: at which it cools where it is to ramp down.
            poll_s: between readings while it cools.
            patience_s: without an answer after which contact counts as lost.

        Raises:
            DeviceError: the controller does not take it, or contact is lost.
        """
        attempt, controller = self._attempt, self._controller
        attempt.touched_all(SampleOutcome.PARTIAL)
        attempt.remember(STOPPED if attempt.stopped else CANCELED)
        # Cooling takes its time, whatever the deadline of the whole was.
        attempt.deadline_ns = 0
        if attempt.stopped or self._goal.on_cancel == Heat.Goal.ON_CANCEL_OFF:
            controller.reset()
        elif self._goal.on_cancel == Heat.Goal.ON_CANCEL_HOLD:
            controller.hold()
            return
        else:
            controller.reset()
            controller.write_program((HeatSegment(ROOM_C, ramp_c_per_min, 0.0),))
            controller.start()
        self.await_cold(poll_s, patience_s)

    def await_cold(self, poll_s: float, patience_s: float) -> None:
        """Watch the furnace until its crucibles can be taken out.

        Raises:
            DeviceError: HEAT_CONTACT_LOST, nobody knows how hot it is.
        """
        self._attempt.deadline_ns = 0
        silent_since_ns = 0
        while True:
            now = self._node.time.now_ns()
            try:
                status = self._furnace.read_status()
            except DeviceError as error:
                silent_since_ns = silent_since_ns or now
                if now - silent_since_ns > patience_s * 1e9:
                    raise DeviceError(
                        Fault.of(
                            FaultCode.HEAT_CONTACT_LOST,
                            f"{error.fault.message} No contact for {patience_s:g} s while the "
                            "furnace cools.",
                            sample_compromised=True,
                        )
                    ) from error
                self._attempt.wait(min(poll_s, patience_s / 4), cancelable=False)
                continue
            silent_since_ns = 0
            self._note(status)
            if status.reading.measured_c < self._unload_below_c:
                return
            self._attempt.step("cooling after its end was asked for")
            if self._attempt.stopped and status.state in _RUNNING:
                self._controller.reset()
            self._attempt.wait(poll_s, cancelable=False)

    def _note(self, status: ControllerStatus) -> None:
        now_ns, reading = self._node.time.now_ns(), status.reading
        self._trace(now_ns, reading.measured_c, reading.setpoint_c)
        with self._node.remembering():
            self._node.memory.add_reading(
                self._attempt.attempt_id, now_ns, (reading.measured_c, reading.setpoint_c)
            )
        self._node.seen(status)

    def _trace(self, stamp_ns: int, measured_c: float, setpoint_c: float) -> None:
        trace = self._result.trace
        trace.elapsed_s.append((stamp_ns - self._trace_ns) * 1e-9)
        trace.measured_c.append(measured_c)
        trace.setpoint_c.append(setpoint_c)

    def _tell(self, status: ControllerStatus, running: bool, end_ns: int) -> None:
        remaining_s = max(0.0, (end_ns - self._node.time.now_ns()) * 1e-9) if running else math.nan
        total_s = max(1.0, (end_ns - self._began_ns) * 1e-9)
        progress = 1.0 - remaining_s / total_s if running else 1.0
        step = "cooling"
        if running:
            dwelling = abs(status.reading.setpoint_c - self._target_c) < 0.5
            step = f"{'dwell at' if dwelling else 'ramp to'} {self._target_c:.0f} C"
        self._attempt.step(step, progress, end_ns if running else 0)
        self._attempt.feedback(
            Heat.Feedback(
                step=step,
                measured_c=status.reading.measured_c,
                setpoint_c=status.reading.setpoint_c,
                progress=progress,
                remaining_s=remaining_s,
            )
        )

    def _require_on_time(self, running: bool, end_ns: int) -> None:
        """A program that goes on long after its end is held up, and would be for ever."""
        planned_ns = end_ns - self._began_ns
        late_ns = self._node.time.now_ns() - end_ns
        if running and planned_ns > 0 and late_ns > LATE_SHARE * planned_ns + LATE_S * 1e9:
            raise DeviceError(
                Fault.of(
                    FaultCode.HEAT_PROFILE_NOT_FOLLOWED,
                    f"{self._node.device.name}: the program should have ended {late_ns / 60e9:.0f} "
                    "min ago and still runs; look at the controller",
                    sample_compromised=True,
                )
            )

    def _require_followed(self) -> None:
        measured = [value for value in self._result.trace.measured_c if not math.isnan(value)]
        highest = max(measured, default=math.nan)
        if highest > self._target_c - SHORTFALL_C:
            return
        if self._attempt.resumed and self._unseen_s() > UNSEEN_S:
            # Long enough to have been there and back while nobody looked.
            return
        raise DeviceError(
            Fault.of(
                FaultCode.HEAT_PROFILE_NOT_FOLLOWED,
                f"{self._node.device.name} reached {highest:.0f} C of the {self._target_c:.0f} C "
                "that were asked for; check heater and thermocouple",
                sample_compromised=True,
            )
        )

    def _unseen_s(self) -> float:
        """The longest time between two readings."""
        elapsed_s = list(self._result.trace.elapsed_s)
        return max((after - before for before, after in itertools.pairwise(elapsed_s)), default=0.0)

    def summarise(self) -> None:
        """Fill the result's figures from the trace."""
        trace = self._result.trace
        self._result.calibration = self._node.calibration()
        measured = list(trace.measured_c)
        known = [value for value in measured if not math.isnan(value)]
        if not known:
            return
        self._result.max_measured_c = max(known)
        self._result.dwell_min = dwell_minutes(
            list(trace.elapsed_s), measured, self._target_c - DWELL_BAND_C
        )


def write_failure(fault: Fault) -> str:
    """Note of an attempt that failed, and is over when the furnace is cold."""
    return f"{FAILED} {int(fault.code)} {int(fault.sample_compromised)} {fault.message}"


def read_failure(note: str) -> Fault | None:
    """The fault that `write_failure` noted; None where the note says something else."""
    word, _, rest = note.partition(" ")
    if word != FAILED:
        return None
    code, compromised, message = rest.split(" ", 2)
    return Fault.of(int(code), message, sample_compromised=compromised == "1")


def dwell_minutes(elapsed_s: list[float], measured_c: list[float], above_c: float) -> float:
    """Minutes at or above a temperature, with straight lines between the readings.

    Args:
        elapsed_s: (n,) seconds, increasing.
        measured_c: (n,) degrees Celsius; intervals that touch a NaN do not count.
        above_c: threshold.
    """
    total = 0.0
    points = list(zip(elapsed_s, measured_c, strict=True))
    for (t0, c0), (t1, c1) in itertools.pairwise(points):
        if math.isnan(c0) or math.isnan(c1):
            continue
        low, high = min(c0, c1), max(c0, c1)
        if low >= above_c:
            total += t1 - t0
        elif high > above_c:
            total += (t1 - t0) * (high - above_c) / (high - low)
    return total / 60.0


def main() -> int:
    """Run one furnace."""
    return run_node(FurnaceNode)
