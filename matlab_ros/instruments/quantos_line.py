"""The line to a Quantos dosing unit: which answer belongs to which command.

Jobs (dosing, moving the front door or the head's pin) answer ``B`` at once and ``A`` or
``I <code>`` when they end, seconds to minutes later and unasked. Every line is sorted by the
command it names, so a job's end never passes for the answer to a later command.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from matlab_ros.instruments.line_reader import LineReader
from matlab_ros.instruments.quantos_codes import quantos_fault
from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

_LOG = logging.getLogger(__name__)

_ANSWER = re.compile(r"(Q(?:RA|RD)(?: \d{1,4})+) (?:(B|A|L)|I (\d{1,3}))")
_SYNTAX_ERRORS = ("ES", "ET", "EL")
_LATE_REPLY_S = 0.05
"""How long the line must be silent after a missed answer, before the next command."""
_STRAGGLER_S = 0.1
"""How long to look for the ``B`` behind an error that may belong to an older job."""


class Job(Enum):
    """What the dosing unit does for longer than an exchange; the value is the command's name."""

    DOSE = "QRA 61 1"
    HEAD_PIN = "QRA 60 2"
    DOOR = "QRA 60 7"


class JobState(Enum):
    """How far a job is."""

    NONE = "none"
    """Not begun, or refused at once."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The command was sent and nobody answered: it may run or not. An end that comes later is
    taken."""


@dataclass(frozen=True)
class JobStatus:
    """How a job goes.

    Attributes:
        job: which.
        state: how far it is.
        fault: why it failed or is unknown; None otherwise.
    """

    job: Job
    state: JobState
    fault: Fault | None = None


@dataclass(frozen=True)
class Answer:
    """A line that names the command it answers.

    Attributes:
        command: as the line repeats it, with what else stands before the answer's word.
        word: ``A``, ``B``, ``L``, or ``I``.
        code: behind an ``I``; 0 otherwise.
    """

    command: str
    word: str
    code: int = 0


def parse_answer(line: str) -> Answer | None:
    """A Quantos answer; None where the line is none."""
    found = _ANSWER.fullmatch(line)
    if found is None:
        return None
    if found[3] is not None:
        return Answer(found[1], "I", int(found[3]))
    return Answer(found[1], found[2])


def is_answer_to(line: str, command: str) -> bool:
    """Whether a line answers exactly this command, or refuses its parameters (``QRD 1 1 L``)."""
    answer = parse_answer(line)
    if answer is None:
        return False
    if answer.word == "L" and answer.command == command.rpartition(" ")[0]:
        return True
    return answer.command == command


class QuantosLine:
    """Sends commands and sorts what comes back. Hold `lock` over a command and its answers.

    Args:
        transport: the wire; it is opened when needed.
        deadline_s: steady seconds for a command and its immediate answer.
    """

    def __init__(self, transport: Transport, deadline_s: float) -> None:
        self.lock = threading.RLock()
        self._transport = transport
        self._deadline_s = deadline_s
        self._reader = LineReader(transport)
        self._jobs = {job: JobStatus(job, JobState.NONE) for job in Job}
        self._late_reply_possible = False

    @property
    def name(self) -> str:
        """The wire, for people."""
        return self._transport.name

    def close(self) -> None:
        """Give the wire back. A job under way goes on."""
        with self.lock:
            self._transport.close()

    def status(self, job: Job) -> JobStatus:
        """How a job goes, as far as lines were taken."""
        return self._jobs[job]

    def settle(self, status: JobStatus) -> None:
        """Note how a job goes, known from elsewhere."""
        self._jobs[status.job] = status

    def collect(self) -> None:
        """Sort what has arrived, without waiting.

        After a missed answer it waits a little, so that a late one is not taken for the next.

        Raises:
            DeviceError: no contact.
        """
        if not self._transport.is_open:
            self._reader.clear()
            self._transport.open()
        limit = Deadline(self._deadline_s)
        wait_s = _LATE_REPLY_S if self._late_reply_possible else 0.0
        while (line := self._reader.next_line(wait_s)) is not None:
            self._sort(line)
            if limit.over:
                break
        self._late_reply_possible = False

    def ask(self, command: str, what: str, is_reply: Callable[[str], bool]) -> str:
        """Send a command and return its answer.

        Raises:
            DeviceError: DEVICE_UNREACHABLE, or PROTOCOL_ERROR (the device does not know it).
        """
        self.collect()
        self._write(command)
        deadline = Deadline(self._deadline_s)
        while True:
            line = self._next(deadline, what)
            if is_reply(line):
                return line
            if line in _SYNTAX_ERRORS:
                raise self.unexpected(what, line)
            self._sort(line)

    def text_until(self, is_end: Callable[[str], bool], what: str) -> tuple[str, str]:
        """The text lines up to the answer that ends them.

        Returns:
            The text, and the answer.

        Raises:
            DeviceError: DEVICE_UNREACHABLE, it does not end in time.
        """
        lines: list[str] = []
        deadline = Deadline(self._deadline_s)
        while True:
            line = self._next(deadline, what)
            if is_end(line):
                return "\n".join(lines), line
            if parse_answer(line) is None:
                lines.append(line)
            else:
                self._sort(line)

    def begin(self, job: Job, command: str, what: str) -> None:
        """Send a job's command, once, and take its first answer.

        Raises:
            DeviceError: the device refused, and nothing was begun; or nobody answered, and nobody
                knows: then a dose's fault is not retryable.
        """
        self.collect()
        before = self._jobs[job]
        self._jobs[job] = JobStatus(job, JobState.UNKNOWN)
        try:
            self._write(command)
            answer = self._first_answer(job)
        except DeviceError as error:
            fault = self._unanswered(job, error.fault)
            raise DeviceError(fault) from error
        if answer is None:
            self._late_reply_possible = True
            message = (
                f"{self.name}: {what}: no answer within {self._deadline_s:g} s; it may have begun."
            )
            raise DeviceError(self._unanswered(job, Fault.of(FaultCode.DEADLINE_EXCEEDED, message)))
        if answer.word == "B":
            self._jobs[job] = JobStatus(job, JobState.RUNNING)
            return
        went_on = before.state is JobState.RUNNING
        self._jobs[job] = before if went_on else JobStatus(job, JobState.NONE)
        raise self.refused(what, answer)

    def refused(self, what: str, answer: Answer) -> DeviceError:
        """The error of an answer that says no, before anything was begun."""
        if answer.word == "I":
            return DeviceError(
                quantos_fault(self.name, what, answer.code, powder_may_have_fallen=False)
            )
        return self.unexpected(what, f"{answer.command} {answer.word}")

    def unexpected(self, what: str, line: str) -> DeviceError:
        """The error of an answer that the protocol does not have here."""
        return DeviceError(
            Fault.of(FaultCode.PROTOCOL_ERROR, f"{self.name}: {what}: answered {line[:80]!r}.")
        )

    def _write(self, command: str) -> None:
        self._transport.write(f"{command}\r\n".encode("ascii"))

    def _next(self, deadline: Deadline, what: str) -> str:
        while True:
            line = self._reader.next_line(deadline.remaining_s)
            if line is not None:
                return line
            if deadline.over:
                self._late_reply_possible = True
                raise DeviceError(
                    Fault.of(
                        FaultCode.DEVICE_UNREACHABLE,
                        f"{self.name}: {what}: no answer within {self._deadline_s:g} s; check "
                        "power, cable and baud rate of the balance.",
                    )
                )

    def _first_answer(self, job: Job) -> Answer | None:
        """``B``, a refusal, or None when nothing came in time.

        An ``A`` before the ``B`` is the end of an older job of this name, and so may an error be.
        """
        deadline = Deadline(self._deadline_s)
        refusal: Answer | None = None
        while True:
            line = self._reader.next_line(deadline.remaining_s)
            if line is None:
                if deadline.over:
                    return refusal
                continue
            if job is Job.DOSE and line == "QRA 61 L":
                return Answer("QRA 61", "L")
            answer = parse_answer(line)
            if answer is None or not _belongs(answer.command, job):
                self._sort(line)
            elif answer.word == "I":
                refusal = answer
                deadline = Deadline(min(_STRAGGLER_S, deadline.remaining_s))
            elif answer.word == "A":
                _LOG.warning("%s: an older job's end, %r, was dropped", self.name, line)
            else:
                return answer

    def _unanswered(self, job: Job, fault: Fault) -> Fault:
        """Note that nobody knows whether a job was begun; a dose must not be repeated by itself."""
        if job is Job.DOSE:
            fault = replace(fault, retryable=False, sample_compromised=True)
        self._jobs[job] = JobStatus(job, JobState.UNKNOWN, fault)
        return fault

    def _sort(self, line: str) -> None:
        """Give a line that nobody waits for to its job, or drop it."""
        answer = parse_answer(line)
        if answer is not None:
            for job, status in self._jobs.items():
                if _belongs(answer.command, job):
                    self._jobs[job] = self._after(status, answer)
                    return
        _LOG.debug("%s: dropped the line %r", self.name, line[:80])

    def _after(self, status: JobStatus, answer: Answer) -> JobStatus:
        """A job's status after a line of its own."""
        job = status.job
        if answer.word == "B":
            # The answer that was missed: it did begin.
            return JobStatus(job, JobState.RUNNING)
        if status.state not in (JobState.RUNNING, JobState.UNKNOWN):
            _LOG.warning("%s: an older job's end (%s) was dropped", self.name, job.value)
            return status
        if answer.word == "A":
            return JobStatus(job, JobState.DONE)
        if answer.word == "L":
            return status
        fault = quantos_fault(
            self.name,
            {Job.DOSE: "dosing", Job.HEAD_PIN: "moving the head's pin", Job.DOOR: "the door"}[job],
            answer.code,
            powder_may_have_fallen=job is Job.DOSE,
        )
        return JobStatus(job, JobState.FAILED, fault)


def _belongs(command: str, job: Job) -> bool:
    """Whether an answer naming `command` is about this job.

    Moves answer with or without their position (``QRA 60 2`` or ``QRA 60 2 3``).
    """
    name: str = job.value
    return command == name or (job is not Job.DOSE and command.startswith(f"{name} "))
