"""The dispenser's node: brings the right dosing head, weighs powders in, reports the weights."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message

from matlab_ros.instruments.capper import Capper
from matlab_ros.instruments.dh_rail import HeadMagazine, LinearRail
from matlab_ros.instruments.mixing import Mixer
from matlab_ros.instruments.plugs import Plug, plug_of
from matlab_ros.instruments.quantos import DoseRequest, Job, JobState, QuantosBalance
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import InstrumentPart, StockItem
from matlab_ros.nodes.device_node import Attempt, AttemptCanceled, DeviceNode, run_node
from matlab_ros_interfaces.action import Dispense
from matlab_ros_interfaces.msg import Dose, DoseReading, SampleOutcome

NOTHING_FELL_MG = 0.1
"""A net weight within this of zero is an empty weighing: drift and the balance's last digits."""

HTTP_REPLY_S = 2.0
"""Least steady seconds for an answer of the shaker, which has to be connected to for each."""

STABLE_TRIES = 30
JOB_PATIENCE_S = 120.0
DOSE_PATIENCE_S = 1800.0
SAFE_PATIENCE_S = 1800.0
"""For the instruments to confirm that they stand still, after something went wrong."""


class DispenserNode(DeviceNode):
    """Offers ``dispense``.

    A dose is begun once, ever. The dosing unit goes on by itself while this process is away: the
    next one waits for the dose's end and takes its mass from the balance, which was tared before.
    Where that does not tell how much fell, the attempt ends and says so, and the crucible counts
    as compromised.

    Parameters, each instead of what the lab's file says: ``balance_port``, ``magazine_port``,
    ``shaker_address``, ``capper_address`` (device paths or addresses, see `open_transport`; without
    one of the last two nothing is mixed, or capped), ``balance_driver``, ``magazine_driver``,
    ``mixer_driver``, ``capper_driver`` (what is there, see `registry`), ``record`` (file that the
    traffic is written to, one for each instrument: ``x.balance.traffic``);
    ``magazine_pitch_mm``, ``magazine_slots``, ``poll_period_s`` (ROS time between looks),
    ``reject_percent`` (a dose further off than this ends the attempt), ``reply_patience_s`` (steady
    seconds for one answer of an instrument).
    """

    def __init__(self) -> None:
        super().__init__("dispenser")
        self._pitch_mm: float = self.parameter("magazine_pitch_mm", 60.0)
        self._slots: int = self.parameter("magazine_slots", 8)
        self._poll_s: float = self.parameter("poll_period_s", 0.5)
        self._reject_percent: float = self.parameter("reject_percent", 10.0)
        self._reply_s: float = self.parameter("reply_patience_s", 0.5)
        record: str = self.parameter("record", "")

        def plug(part: InstrumentPart, port: str, driver: str) -> Plug[Any]:
            port, driver = self.parameter(port, ""), self.parameter(driver, "")
            return plug_of(self.device, part, name=driver, port=port, record=record)

        self._plugs: Mapping[InstrumentPart, Plug[Any]] = {
            "balance": plug("balance", "balance_port", "balance_driver"),
            "magazine": plug("magazine", "magazine_port", "magazine_driver"),
            "mixer": plug("mixer", "shaker_address", "mixer_driver"),
            "capper": plug("capper", "capper_address", "capper_driver"),
        }
        self._shaker: Mixer | None = None
        self._capper: Capper | None = None
        self._balance: QuantosBalance | None = None
        self._magazine: HeadMagazine | None = None
        self._mounted: int | None = None
        self.offer(
            Dispense, "~/dispense", self._run, lambda goal: [(goal.sample_id, goal.position)]
        )

    def connect(self) -> None:
        """Open balance and magazine, and bring the rail to its zero."""
        self.disconnect()
        # A port that stayed open after a failure would be locked against the next try.
        with contextlib.ExitStack() as undo:
            balance: QuantosBalance = self._plugs["balance"].open(deadline_s=self._reply_s)
            undo.callback(balance.close)
            travel_mm = self._pitch_mm * (self._slots - 1)
            rail: LinearRail = self._plugs["magazine"].open(travel_mm, deadline_s=self._reply_s)
            undo.callback(rail.close)
            shaker: Mixer | None = self._open("mixer")
            if shaker is not None:
                undo.callback(shaker.close)
                shaker.stop()
            capper: Capper | None = self._open("capper")
            undo.pop_all()
        self._shaker, self._capper = shaker, capper
        self._balance = balance
        self._magazine = HeadMagazine(rail, pitch_mm=self._pitch_mm, slots=self._slots)
        self._mounted = None

    def _open(self, part: InstrumentPart) -> Any:
        """An instrument behind a web server or a slow line; None where there is none."""
        plug = self._plugs[part]
        return plug.open(deadline_s=max(HTTP_REPLY_S, self._reply_s)) if plug else None

    def disconnect(self) -> None:
        """Close the wires."""
        if self._balance is not None:
            self._balance.close()
        if self._magazine is not None:
            self._magazine.rail.close()
        for other in (self._shaker, self._capper):
            if other is not None:
                other.close()
        self._balance = self._magazine = self._shaker = self._capper = None

    def make_safe(self) -> None:
        """No powder falls any more, and nothing shakes."""
        if self._balance is not None:
            self._balance.stop_dosing()
        if self._shaker is not None:
            self._shaker.stop()

    def _run(self, attempt: Attempt, goal: Dispense.Goal, result: Dispense.Result) -> None:
        work = _Work(self, attempt, goal, result)
        items = [self._stock_item(dose) for dose in goal.doses]
        whole_mg, room_mg = (
            sum(dose.mass_mg for dose in goal.doses),
            self.lab.containers.capacity_mg,
        )
        if whole_mg > room_mg:
            raise DeviceError(
                Fault.of(
                    FaultCode.INVALID_GOAL,
                    f"{whole_mg:g} mg asked for; {goal.container_id or 'a container'} takes "
                    f"{room_mg:g} mg",
                )
            )
        if goal.mix_min > 0 and self._shaker is None:
            raise DeviceError(
                Fault.of(
                    FaultCode.INVALID_GOAL,
                    f"{self.device.name} has no mixer; expected mix_min 0",
                )
            )
        try:
            done = work.resume() if attempt.resumed else 0
            work.prepare()
            if self._capper is not None:
                work.uncap(self._capper)
            for dose, item in list(zip(goal.doses, items, strict=True))[done:]:
                work.bring_head(item)
                work.dose(dose, item)
            if self._capper is not None:
                work.cap(self._capper)
            if goal.mix_min > 0 and self._shaker is not None:
                work.mix(self._shaker, goal.mix_min)
            work.release()
        except AttemptCanceled:
            work.leave(self._capper)
            if result.doses or work.is_spoilt:
                attempt.touched(goal.sample_id, SampleOutcome.PARTIAL, goal.position)
            raise
        except DeviceError as error:
            work.leave(self._capper)
            # A container with powder in it is not weighed into anew.
            spoilt = error.fault.sample_compromised or work.is_spoilt or bool(result.doses)
            raise DeviceError(replace(error.fault, sample_compromised=spoilt)) from error

    def _stock_item(self, dose: Dose) -> StockItem:
        item = self.lab.stock_item(dose.substance)
        if item is None:
            raise DeviceError(
                Fault.of(
                    FaultCode.DISPENSE_UNKNOWN_SUBSTANCE,
                    f"{dose.substance} is not in the stock of {self.lab.name}",
                )
            )
        limits = self.lab.dispenser
        if not limits.min_dose_mg <= dose.mass_mg <= limits.max_dose_mg:
            raise DeviceError(
                Fault.of(
                    FaultCode.INVALID_GOAL,
                    f"{dose.mass_mg:g} mg of {dose.substance} asked for; the heads dose "
                    f"{limits.min_dose_mg:g} to {limits.max_dose_mg:g} mg",
                )
            )
        return item

    @property
    def balance(self) -> QuantosBalance:
        """The balance of an active dispenser."""
        assert self._balance is not None, "an active dispenser has its balance"
        return self._balance

    @property
    def magazine(self) -> HeadMagazine:
        """The magazine of an active dispenser."""
        assert self._magazine is not None, "an active dispenser has its magazine"
        return self._magazine

    @property
    def poll_s(self) -> float:
        """ROS time between looks at an instrument."""
        return self._poll_s

    @property
    def reject_percent(self) -> float:
        """A dose further off than this ends the attempt."""
        return self._reject_percent

    @property
    def mounted(self) -> int | None:
        """Magazine slot of the head in the dosing unit, None where that is not known."""
        return self._mounted

    @mounted.setter
    def mounted(self, slot: int | None) -> None:
        self._mounted = slot


class _Work:
    """One container at the balance."""

    def __init__(
        self, node: DispenserNode, attempt: Attempt, goal: Dispense.Goal, result: Dispense.Result
    ) -> None:
        self._node = node
        self._attempt = attempt
        self._goal = goal
        self._result = result
        self._done = 0
        self.is_spoilt = False
        """Whether powder fell of which no reading tells."""

    def resume(self) -> int:
        """Take up what an earlier process left, once the instruments have come to rest.

        Returns:
            How many doses are in the container.

        Raises:
            DeviceError: INTERRUPTED, nobody knows how much fell; or what ended the dose.
        """
        progress = read_note(self._attempt.note) if self._attempt.note else Progress((), False)
        if progress is None or len(progress.done) + progress.under_way > len(self._goal.doses):
            raise self._interrupted()
        self._result.doses.extend(progress.done)
        self._done = len(progress.done)
        self.is_spoilt = progress.under_way
        self._say("waiting for the instruments to come to rest", "")
        self._poll(self._is_at_rest, "what was under way", DOSE_PATIENCE_S)
        if progress.under_way:
            dose = self._goal.doses[self._done]
            mass_mg = self._stable(self._node.balance.stable_mass_mg)
            if mass_mg < -NOTHING_FELL_MG:
                # Lighter than when it was tared: that is another load than the one dosed into.
                raise self._interrupted()
            if mass_mg > NOTHING_FELL_MG:
                reading = self._reading(dose)
                self._result.doses.append(reading)
                self._weighed(reading, dose, mass_mg)
            self.is_spoilt = False
        return self._done

    def _is_at_rest(self) -> bool:
        """Whether it is certain that no job of an earlier process is under way."""
        try:
            self._node.balance.head_data()
        except DeviceError as error:
            # There is no head in the unit: then it does not dose.
            return error.fault.code is FaultCode.DEVICE_NOT_ACTIVE
        return True

    def _interrupted(self) -> DeviceError:
        return DeviceError(
            Fault.of(
                FaultCode.INTERRUPTED,
                f"{self._node.device.name} restarted while powder was dosed into "
                f"{self._goal.container_id}; how much fell is not known",
                sample_compromised=True,
            )
        )

    def prepare(self) -> None:
        """A container must be there; then the door is closed."""
        self._say("looking for the container", "")
        if not self._node.balance.container_present():
            raise DeviceError(
                Fault.of(
                    FaultCode.DISPENSE_NO_CONTAINER,
                    f"no container stands at {self._goal.position}; expected "
                    f"{self._goal.container_id}",
                )
            )
        # After a stopped attempt it may still be opening.
        self._poll(self._begins_to_close, "the balance's door")
        self._finish(Job.DOOR)

    def _begins_to_close(self) -> bool:
        balance = self._node.balance
        try:
            balance.close_door()
        except DeviceError as error:
            if error.fault.code is not FaultCode.DEVICE_BUSY:
                raise
            return False
        return True

    def uncap(self, capper: Capper) -> None:
        """Have the capper hold the container's cap while powder is weighed in."""
        self._say("taking the cap", "")
        capper.grip()

    def cap(self, capper: Capper) -> None:
        """Let go of the cap, onto the container, before anything is shaken or carried."""
        self._say("putting the cap back", "")
        capper.release()

    def release(self) -> None:
        """Open the door, so that the arm can take the container."""
        self._say("opening the door", "")
        self._node.balance.open_door()
        self._finish(Job.DOOR)

    def leave(self, capper: Capper | None = None) -> None:
        """See that nothing falls or shakes any more, put the cap back, then open the door.

        Until the instruments say so the attempt is not over: the container must stay.

        Raises:
            DeviceError: they did not say so for `SAFE_PATIENCE_S`; the device has that fault then.
        """
        node = self._node
        self._say("stopping", "")
        limit = node.time.now_ns() + round(SAFE_PATIENCE_S * 1e9)
        while True:
            try:
                node.make_safe()
                break
            except DeviceError as error:
                if node.time.now_ns() > limit:
                    fault = replace(error.fault, sample_compromised=True)
                    node.fault(fault)
                    raise DeviceError(fault) from error
            self._attempt.wait(node.poll_s, cancelable=False)
        try:
            if capper is not None:
                capper.release()
            node.balance.open_door()
            # The arm comes once the attempt is over.
            limit = node.time.now_ns() + round(JOB_PATIENCE_S * 1e9)
            while node.balance.poll(Job.DOOR).state is JobState.RUNNING:
                if node.time.now_ns() > limit:
                    break
                self._attempt.wait(node.poll_s, cancelable=False)
        except DeviceError as error:
            node.get_logger().warning(f"cap and door stay as they are: {error}")

    def bring_head(self, item: StockItem) -> None:
        """Have the head with this substance in the dosing unit, and see that it is the one.

        Raises:
            DeviceError: DISPENSE_WRONG_SUBSTANCE, or the magazine's or the balance's own.
        """
        node = self._node
        if node.mounted != item.slot:
            self._say("changing the dosing head", item.name)
            node.mounted = None
            node.balance.unlock_head()
            self._finish(Job.HEAD_PIN)
            rail = node.magazine.rail
            if not rail.read_status().homed:
                rail.home()
                self._poll(lambda: rail.read_status().homed, "homing the head magazine")
            node.magazine.bring(item.slot)
            self._poll(lambda: node.magazine.has_brought(item.slot), "the head magazine")
            node.balance.lock_head()
            self._finish(Job.HEAD_PIN)
            node.mounted = item.slot
        head = node.balance.head_data()
        if head.substance != item.name:
            node.mounted = None
            raise DeviceError(
                Fault.of(
                    FaultCode.DISPENSE_WRONG_SUBSTANCE,
                    f"the head in slot {item.slot} says it holds {head.substance!r}; expected "
                    f"{item.name!r}: check the magazine",
                )
            )

    def dose(self, dose: Dose, item: StockItem) -> None:
        """Weigh one powder in and note what the balance says.

        Raises:
            DeviceError: DISPENSE_HEAD_EMPTY before anything fell; else the dosing unit's own, or
                DISPENSE_OUT_OF_TOLERANCE.
        """
        balance = self._node.balance
        remaining_mg = balance.head_data().remaining_mg
        if remaining_mg < dose.mass_mg:
            raise DeviceError(
                Fault.of(
                    FaultCode.DISPENSE_HEAD_EMPTY,
                    f"the head with {item.name} holds {remaining_mg:.0f} mg; "
                    f"{dose.mass_mg:.0f} mg are needed: fill it",
                )
            )
        self._say("taring", item.name)
        # Before the balance is tared anew, the last dose is weighed for good.
        self._attempt.remember(write_note(self._result.doses, under_way=False))
        self._stable(balance.tare)
        request = DoseRequest(dose.mass_mg, self._tolerance_mg(dose), self._goal.sample_id)
        balance.prepare_dose(request)
        self._say("dosing", item.name)
        # From here on powder may fall, and whatever falls is what the balance says.
        self._attempt.remember(write_note(self._result.doses, under_way=True))
        reading = self._reading(dose)
        self._result.doses.append(reading)
        try:
            balance.start_dosing()
        except DeviceError as error:
            if not error.fault.sample_compromised:
                # Refused: nothing fell.
                self._result.doses.pop()
            raise
        failed = self._finish(Job.DOSE, DOSE_PATIENCE_S, required=False)
        mass_mg = self._stable(balance.stable_mass_mg)
        self._weighed(reading, dose, mass_mg, failed)

    def _tolerance_mg(self, dose: Dose) -> float:
        percent = self._node.lab.dispenser.tolerance_percent
        return float(dose.tolerance_mg or dose.mass_mg * percent / 100)

    @staticmethod
    def _reading(dose: Dose) -> DoseReading:
        """Of a dose that nobody weighed yet."""
        return DoseReading(
            substance=dose.substance, requested_mg=dose.mass_mg, measured_mg=math.nan
        )

    def _weighed(
        self, reading: DoseReading, dose: Dose, mass_mg: float, failed: Fault | None = None
    ) -> None:
        """Note what fell, and judge it.

        Raises:
            DeviceError: why the dosing unit failed, or DISPENSE_OUT_OF_TOLERANCE.
        """
        tolerance_mg = self._tolerance_mg(dose)
        mass_mg = self._node.corrected(mass_mg)
        reading.measured_mg = mass_mg
        reading.calibration = self._node.calibration()
        reading.uncertainty_mg = READABILITY_MG / math.sqrt(12.0)
        reading.within_tolerance = abs(mass_mg - dose.mass_mg) <= tolerance_mg
        reading.stamp = self._node.time.now_msg()
        self._done += 1
        if failed is not None:
            raise DeviceError(replace(failed, sample_compromised=mass_mg > READABILITY_MG))
        off = abs(mass_mg - dose.mass_mg)
        if off > max(tolerance_mg, dose.mass_mg * self._node.reject_percent / 100):
            raise DeviceError(
                Fault.of(
                    FaultCode.DISPENSE_OUT_OF_TOLERANCE,
                    f"{mass_mg:.2f} mg of {dose.substance} were weighed in; expected "
                    f"{dose.mass_mg:.2f} mg",
                    sample_compromised=True,
                )
            )

    def mix(self, shaker: Mixer, minutes: float) -> None:
        """Shake the container, and note for how long it was."""
        self._say(f"mixing for {minutes:g} min", "")
        began_ns = self._node.time.now_ns()
        shaker.start()
        try:
            self._attempt.wait(60.0 * minutes)
        finally:
            shaker.stop()
            self._result.mixed_min = (self._node.time.now_ns() - began_ns) / 60e9

    def _say(self, step: str, substance: str) -> None:
        progress = self._done / max(1, len(self._goal.doses))
        self._attempt.step(f"{step} {substance}".strip(), progress)
        last = self._result.doses[-1].measured_mg if self._result.doses else math.nan
        self._attempt.feedback(
            Dispense.Feedback(
                step=step,
                progress=progress,
                substance=substance,
                measured_mg=last,
                remaining_s=math.nan,
            )
        )

    def _stable(self, ask: Any) -> Any:
        """Ask the balance until it is stable."""
        for _ in range(STABLE_TRIES):
            try:
                return ask()
            except DeviceError as error:
                if error.fault.code is not FaultCode.DISPENSE_UNSTABLE_BALANCE:
                    raise
                self._attempt.wait(self._node.poll_s)
        return ask()

    def _poll(self, done: Any, what: str, patience_s: float = JOB_PATIENCE_S) -> None:
        """Look again and again until `done`."""
        limit = self._node.time.now_ns() + round(patience_s * 1e9)
        while not done():
            if self._node.time.now_ns() > limit:
                raise DeviceError(
                    Fault.of(
                        FaultCode.DEADLINE_EXCEEDED,
                        f"{self._node.device.name}: {what} did not end within {patience_s:g} s",
                    )
                )
            self._attempt.wait(self._node.poll_s)

    def _finish(
        self, job: Job, patience_s: float = JOB_PATIENCE_S, *, required: bool = True
    ) -> Fault | None:
        """Wait for a job's end.

        Returns:
            Why it failed where ``required=False``; None when it succeeded.
        """
        balance = self._node.balance

        def over() -> bool:
            return balance.poll(job).state is not JobState.RUNNING

        self._poll(over, job.name.lower().replace("_", " "), patience_s)
        status = balance.poll(job)
        if status.state is JobState.DONE:
            return None
        fault = status.fault or Fault.of(
            FaultCode.PROTOCOL_ERROR, f"{balance.name}: {job.name} ended as {status.state.value}"
        )
        if required:
            raise DeviceError(fault)
        return fault


@dataclass(frozen=True)
class Progress:
    """How far an attempt was when it was noted.

    Attributes:
        done: doses that were weighed.
        under_way: the balance was tared for one more, and it may have been begun.
    """

    done: tuple[DoseReading, ...]
    under_way: bool


def write_note(done: Sequence[DoseReading], *, under_way: bool) -> str:
    """How far an attempt is, as a device remembers it; see `Progress`."""
    readings = [bytes(serialize_message(reading)).hex() for reading in done]
    return json.dumps({"done": readings, "under_way": under_way})


def read_note(note: str) -> Progress | None:
    """What `write_note` wrote; None where it is nothing that this software understands."""
    try:
        content = json.loads(note)
        done = tuple(
            deserialize_message(bytes.fromhex(text), DoseReading) for text in content["done"]
        )
        return Progress(done, bool(content["under_way"]))
    except (ValueError, KeyError, TypeError):
        return None


READABILITY_MG = 0.01
"""Of the balance; the last digit of its display."""


def main() -> int:
    """Run the dispenser."""
    return run_node(DispenserNode)
