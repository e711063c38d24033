"""Mettler Toledo balance with Quantos dosing unit: one line of text commands for both.

Source: Quantos Command Set 30348483A and the MT-SICS manual, levels 0 and 1. The line has no
checksum: masses and states count when several readings agree. Settings cannot be read back: a dose
whose target was damaged on its way is found by weighing it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import Enum

from matlab_ros.instruments.agreement import agreed
from matlab_ros.instruments.mt_sics import Weight, WeightState, parse_weight
from matlab_ros.instruments.quantos_codes import HeadData, parse_head_data
from matlab_ros.instruments.quantos_line import (
    Job,
    JobState,
    JobStatus,
    QuantosLine,
    is_answer_to,
    parse_answer,
)
from matlab_ros.instruments.transport import Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

__all__ = ["DoorState", "DoseRequest", "Job", "JobState", "JobStatus", "QuantosBalance"]

MIN_TARGET_MG, MAX_TARGET_MG = 0.10, 250000.00
MIN_TOLERANCE_PERCENT, MAX_TOLERANCE_PERCENT = 0.1, 40.0
MAX_ID_CHARACTERS = 20
_AGREE_WITHIN = 4
"""Deadlines of one answer, after which no further reading is begun."""

_VALUE = re.compile(r"(QRD \d{1,4} \d{1,4} \d{1,4}) (\d{1,3}) A")


class DoorState(Enum):
    """The front door, values of QRD 2 3 7."""

    CLOSED = 2
    OPEN = 3
    UNDETECTABLE = 8
    RUNNING = 9


@dataclass(frozen=True)
class DoseRequest:
    """What the dosing unit is to do.

    Attributes:
        target_mg: mass to dispense, 0.10 to 250000, taken to 0.01 mg.
        tolerance_mg: accepted deviation both ways; the device takes it in tenths of a percent of
            the target, rounded towards the stricter, within 0.1 to 40 %.
        sample_id: kept with the dose's data; its last 20 characters.
    """

    target_mg: float
    tolerance_mg: float
    sample_id: str


class QuantosBalance:
    """Driver of the balance and its dosing unit. Thread-safe; no method waits for a job.

    Args:
        transport: the line to the balance.
        deadline_s: steady seconds for a command and its immediate answer.
    """

    def __init__(self, transport: Transport, *, deadline_s: float = 0.5) -> None:
        self._line = QuantosLine(transport, deadline_s)
        self._deadline_s = deadline_s

    @property
    def name(self) -> str:
        """The line, for people."""
        return self._line.name

    def close(self) -> None:
        """Give the line back. A dose under way goes on."""
        self._line.close()

    # Weighing

    def identify(self) -> str:
        """The balance's serial number (I4): that somebody is there.

        Raises:
            DeviceError: nobody answers, or no balance.
        """
        what = "reading the serial number"
        with self._line.lock:
            line = self._line.ask("I4", what, lambda heard: heard.startswith("I4 "))
        found = re.fullmatch(r'I4 A "([^"]*)"', line)
        if found is None:
            raise self._line.unexpected(what, line)
        return found[1]

    def weigh(self) -> Weight:
        """The weight now (SI): stable, dynamic, or why there is none. Never waits for stability.
        One reading, to look at: what counts comes from `stable_mass_mg`.

        Raises:
            DeviceError: nobody answers, or not in MT-SICS.
        """
        return self._weight("SI", "weighing")

    def stable_mass_mg(self) -> float:
        """The mass now, net of the tare, if it is stable: several readings agree.

        Raises:
            DeviceError: DISPENSE_UNSTABLE_BALANCE where it is not (ask again later),
                PROTOCOL_ERROR (readings do not agree), or no contact.
        """

        def reading() -> float:
            weight = self.weigh()
            if not weight.stable:
                raise self._no_weight(weight)
            return weight.mass_mg

        with self._line.lock:
            return agreed(
                reading, who=self.name, what="the weight", within_s=_AGREE_WITHIN * self._deadline_s
            )

    def tare(self) -> None:
        """Make the present load zero. Only a stable load is tared.

        Raises:
            DeviceError: DISPENSE_UNSTABLE_BALANCE where it is not stable (ask again later), or no
                contact.
        """
        with self._line.lock:
            self.stable_mass_mg()
            weight = self._weight("TI", "taring")
        if not weight.stable:
            raise self._no_weight(weight)

    def container_present(self) -> bool:
        """Whether something stands on the pan (QRD 2 2 9).

        Raises:
            DeviceError: no contact, or the device refuses.
        """
        return self._number("QRD 2 2 9", "reading the pan's state") == 1

    # Dosing

    def head_data(self) -> HeadData:
        """What the mounted dosing head's chip says (QRD 2 4 11).

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (no head), DEVICE_BUSY (a job runs) or no contact.
        """
        return self._dataset("QRD 2 4 11", "reading the dosing head")

    def last_dose(self) -> HeadData:
        """The device's record of the last dose (QRD 2 4 12).

        Raises:
            DeviceError: there is none, DEVICE_BUSY (a job runs) or no contact.
        """
        return self._dataset("QRD 2 4 12", "reading the last dose")

    def prepare_dose(self, request: DoseRequest) -> None:
        """Set target, tolerance and sample id. Nothing is dispensed.

        Raises:
            DeviceError: INVALID_GOAL (outside what the device takes), DEVICE_BUSY or no contact.
        """
        target_mg, tolerance_mg = request.target_mg, request.tolerance_mg
        if not MIN_TARGET_MG <= target_mg <= MAX_TARGET_MG:
            raise self._invalid(
                f"a dose of {target_mg:g} mg; the dosing unit takes {MIN_TARGET_MG:g} to "
                f"{MAX_TARGET_MG:g} mg"
            )
        if not 0 < tolerance_mg < math.inf:
            raise self._invalid(f"a tolerance of {tolerance_mg:g} mg; expected more than 0")
        if not re.fullmatch(r"[\x21-\x7e]+", request.sample_id):
            raise self._invalid(f"the sample id {request.sample_id!r}; expected printable ASCII")
        percent = math.floor(1000 * tolerance_mg / target_mg + 1e-9) / 10
        percent = min(max(percent, MIN_TOLERANCE_PERCENT), MAX_TOLERANCE_PERCENT)
        with self._line.lock:
            self._set("QRD 1 1 5", f"{target_mg:.2f}", "setting the target")
            self._set("QRD 1 1 6", f"{percent:.1f}", "setting the tolerance")
            self._set("QRD 1 1 7", "0", "setting the tolerance mode")
            self._set("QRD 1 1 8", request.sample_id[-MAX_ID_CHARACTERS:], "setting the sample id")

    def start_dosing(self) -> None:
        """Begin the prepared dose; `poll` says how it goes. The command is sent once, ever.

        Raises:
            DeviceError: the device refused, and nothing was dispensed; or nobody answered, and the
                dose may be running: that fault is not retryable, and `poll` still takes the end if
                it comes. Until such a dose has ended or was stopped: DEVICE_BUSY.
        """
        with self._line.lock:
            self._line.collect()
            if self._line.status(Job.DOSE).state in (JobState.RUNNING, JobState.UNKNOWN):
                raise DeviceError(
                    Fault.of(FaultCode.DEVICE_BUSY, f"{self.name}: a dose is not over yet.")
                )
            self._line.begin(Job.DOSE, "QRA 61 1", "dosing")

    def stop_dosing(self) -> None:
        """Stop a dose (QRA 61 4). Safe to repeat.

        `poll` then says that it failed: as CANCELED when the device stopped it, as INTERRUPTED
        when it had ended unheard. A dose whose start was not answered counts as over then.

        Raises:
            DeviceError: no contact: stop it at the instrument.
        """
        command = "QRA 61 4"
        with self._line.lock:
            line = self._line.ask(
                command, "stopping the dose", lambda heard: is_answer_to(heard, command)
            )
            answer = parse_answer(line)
            stopping = answer is not None and answer.word in ("A", "B")
            dose = self._line.status(Job.DOSE)
            if dose.state is JobState.UNKNOWN:
                self._line.settle(replace(dose, state=JobState.FAILED))
            elif dose.state is JobState.RUNNING and not stopping:
                message = f"{self.name}: no dose runs any more, and its end was not heard."
                fault = Fault.of(FaultCode.INTERRUPTED, message, sample_compromised=True)
                self._line.settle(JobStatus(Job.DOSE, JobState.FAILED, fault))

    def unlock_head(self) -> None:
        """Begin to release the dosing head, so that it can be changed; see `poll`.

        Raises:
            DeviceError: the device refused, or no contact.
        """
        self._begin(Job.HEAD_PIN, "QRA 60 2 3", "unlocking the dosing head")

    def lock_head(self) -> None:
        """Begin to take hold of the dosing head that stands before the unit; see `poll`.

        Raises:
            DeviceError: the device refused, or no contact.
        """
        self._begin(Job.HEAD_PIN, "QRA 60 2 4", "locking the dosing head")

    def open_door(self) -> None:
        """Begin to open the front door; see `poll`.

        Raises:
            DeviceError: the device refused, or no contact.
        """
        self._begin(Job.DOOR, "QRA 60 7 3", "opening the front door")

    def close_door(self) -> None:
        """Begin to close the front door; see `poll`.

        Raises:
            DeviceError: the device refused, or no contact.
        """
        self._begin(Job.DOOR, "QRA 60 7 2", "closing the front door")

    def door(self) -> DoorState:
        """Where the front door is.

        Raises:
            DeviceError: the device refused, or no contact.
        """
        what = "reading the front door"
        value = self._number("QRD 2 3 7", what)
        try:
            return DoorState(value)
        except ValueError:
            raise self._line.unexpected(what, str(value)) from None

    def poll(self, job: Job = Job.DOSE) -> JobStatus:
        """Take what has arrived, without waiting, and say how a job goes.

        Raises:
            DeviceError: no contact. The job may go on, and its end may be missed.
        """
        with self._line.lock:
            self._line.collect()
            return self._line.status(job)

    def _begin(self, job: Job, command: str, what: str) -> None:
        with self._line.lock:
            self._line.begin(job, command, what)

    def _weight(self, command: str, what: str) -> Weight:
        def is_reply(heard: str) -> bool:
            return parse_weight(heard, command) is not None or heard == f"{command} L"

        with self._line.lock:
            line = self._line.ask(command, what, is_reply)
        weight = parse_weight(line, command)
        if weight is None:
            raise self._line.unexpected(what, line)
        return weight

    def _set(self, command: str, value: str, what: str) -> None:
        line = self._line.ask(
            f"{command} {value}", what, lambda heard: is_answer_to(heard, command)
        )
        answer = parse_answer(line)
        if answer is None or answer.word != "A":
            raise self._refusal(what, line)

    def _number(self, command: str, what: str) -> int:
        """The number in ``<command> <number> A``."""

        def is_reply(heard: str) -> bool:
            value = _VALUE.fullmatch(heard)
            return (value is not None and value[1] == command) or is_answer_to(heard, command)

        def reading() -> int:
            line = self._line.ask(command, what, is_reply)
            value = _VALUE.fullmatch(line)
            if value is None:
                raise self._refusal(what, line)
            return int(value[2])

        with self._line.lock:
            return agreed(
                reading, who=self.name, what=command, within_s=_AGREE_WITHIN * self._deadline_s
            )

    def _dataset(self, command: str, what: str) -> HeadData:
        """What the XML between ``<command> B`` and ``<command> A`` says."""

        def is_reply(heard: str) -> bool:
            return is_answer_to(heard, command)

        def reading() -> str:
            line = self._line.ask(command, what, is_reply)
            if line != f"{command} B":
                raise self._refusal(what, line)
            text, line = self._line.text_until(is_reply, what)
            if line != f"{command} A":
                raise self._refusal(what, line)
            return text

        with self._line.lock:
            text = agreed(
                reading,
                who=self.name,
                what=command,
                within_s=_AGREE_WITHIN * self._deadline_s,
                # A few hundred characters: two of them alike are enough.
                times=2,
            )
        return parse_head_data(text, self.name)

    def _refusal(self, what: str, line: str) -> DeviceError:
        answer = parse_answer(line)
        if answer is None:
            return self._line.unexpected(what, line)
        return self._line.refused(what, answer)

    def _no_weight(self, weight: Weight) -> DeviceError:
        words = {
            WeightState.DYNAMIC: "the weight is not stable yet",
            WeightState.BUSY: "the balance is busy or finds no stable weight",
            WeightState.OVERLOAD: "the balance is overloaded",
            WeightState.UNDERLOAD: "the balance is underloaded: its pan may be missing",
            WeightState.STABLE: "the weight is stable",
        }[weight.state]
        fault = Fault.of(FaultCode.DISPENSE_UNSTABLE_BALANCE, f"{self.name}: {words}.")
        if weight.state in (WeightState.OVERLOAD, WeightState.UNDERLOAD):
            fault = replace(fault, retryable=False)
        return DeviceError(fault)

    def _invalid(self, problem: str) -> DeviceError:
        return DeviceError(Fault.of(FaultCode.INVALID_GOAL, f"{self.name}: {problem}."))
