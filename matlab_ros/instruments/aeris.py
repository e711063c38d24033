"""Malvern Panalytical Aeris diffractometer: text messages over TCP, results on a file share.

Messages as in A-Lab's published driver (alab_control, diffractometer_aeris): fields between ``@``,
ended by ``@END``; one connection for each message; a reply that contains "fatal" is a refusal.
A slot's state is its proximity sensor's: a holder that the instrument has fetched to measure it is
not in its slot. That tells whose measurement is under way, which no reply does.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path

from matlab_ros.instruments.agreement import agreed
from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

MAX_REPLY_BYTES = 4096
_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_FATAL = re.compile(
    "|".join(f"{'fatal'[:k]}.{{0,2}}{'fatal'[k + 1 :]}" for k in range(5)), re.I | re.S
)
"""The word of a refusal, or what one damaged byte may have made of it."""
_AGREE_WITHIN = 3.0
"""Deadlines of one answer in which several have to agree."""
_END_OF_FILE = b"</xrdMeasurements>"

_Stamp = tuple[int, int, int]


class Aeris:
    """Driver of the diffractometer. Measurements are begun here and seen to end by `is_ready`.

    Args:
        transport: a TCP transport to its port (702); every message opens and closes it.
        results: folder of the share where it writes ``<sample id>.xrdml``.
        deadline_s: steady seconds for one message and its reply.
    """

    def __init__(self, transport: Transport, results: Path, *, deadline_s: float = 2.0) -> None:
        self._transport = transport
        self._results = results
        self._deadline_s = deadline_s
        self._lock = threading.RLock()
        self._older: dict[str, _Stamp | None] = {}
        transport.close()

    @property
    def name(self) -> str:
        """Its address, for people."""
        return self._transport.name

    def close(self) -> None:
        """Give the wire back. A measurement under way goes on."""
        with self._lock:
            self._transport.close()

    def is_ready(self) -> bool:
        """Whether the diffractometer is idle.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        value = self._field("@STATUS_REQUEST@UNIT=xrd@END", "READY")
        if value not in ("yes", "no"):
            raise self._error(FaultCode.PROTOCOL_ERROR, f"READY has the value {value!r}")
        return value == "yes"

    def is_remote(self) -> bool:
        """Whether it takes orders from here, and not from its own screen.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        value = self._field("@STATUS_REQUEST@SYSTEM@END", "SYSTEM")
        if value not in ("remote", "local"):
            raise self._error(FaultCode.PROTOCOL_ERROR, f"SYSTEM has the value {value!r}")
        return value == "remote"

    def is_occupied(self, slot: int) -> bool:
        """Whether its sensor sees a sample in a slot; several answers agree.

        While a sample is measured it is not in its slot: see that it has left, before a measurement
        counts as this sample's.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return agreed(
            lambda: self._sees(int(slot)),
            who=self.name,
            what=f"slot {slot}",
            within_s=_AGREE_WITHIN * self._deadline_s,
        )

    def _sees(self, slot: int) -> bool:
        """One answer of a slot's sensor."""
        reply = self._query(f"@STATUS_REQUEST@LOCATION=0,{slot}@END")
        value = parse_field(reply, "STATE")
        named = parse_field(reply, "LOCATION")
        if value not in ("free", "occupied") or named not in (None, f"0,{slot}"):
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"no state of slot {slot} in the reply {reply[:120]!r}"
            )
        return value == "occupied"

    def add_sample(self, sample_id: str, slot: int, program: str) -> None:
        """Tell it which sample stands in a slot. Sent once, and told back by nobody: see
        `is_occupied`.

        Raises:
            DeviceError: MEASURE_DEVICE_FAILED (refused), INVALID_GOAL (a name it cannot take), or
                no contact.
        """
        self._require_words(sample_id, program)
        self._order(
            f"@SAMPLE@ADD@APPLICATION={program}@SAMPLE_ID={sample_id}@AT=0,{int(slot)}@END",
            f"adding sample {sample_id}",
            (sample_id, program),
        )

    def start_measurement(self, sample_id: str, program: str) -> None:
        """Begin to measure a sample that was added. Sent once: see `is_ready` how it goes.

        Raises:
            DeviceError: MEASURE_NOT_REMOTE, DEVICE_BUSY, MEASURE_DEVICE_FAILED (refused),
                INVALID_GOAL, or DEADLINE_EXCEEDED (no reply: it may have begun) or no contact.
        """
        self._require_words(sample_id, program)
        if not self.is_remote():
            raise self._error(
                FaultCode.MEASURE_NOT_REMOTE,
                "it is under local control; switch it to remote on its screen",
            )
        if not self.is_ready():
            raise self._error(FaultCode.DEVICE_BUSY, "it is busy")
        self._older[sample_id] = _stamp(self._file(sample_id))
        self._order(
            f"@SAMPLE@MEASURE@SAMPLE_ID={sample_id}@APPLICATION={program}@END",
            f"measuring sample {sample_id} with {program}",
            (sample_id, program),
        )

    def remove_sample(self, sample_id: str) -> None:
        """Make it forget a sample. Sent once.

        Raises:
            DeviceError: MEASURE_DEVICE_FAILED (refused), INVALID_GOAL, or no contact.
        """
        self._require_words(sample_id)
        self._order(
            f"@SAMPLE@REMOVE@SAMPLE_ID={sample_id}@END",
            f"removing sample {sample_id}",
            (sample_id,),
        )

    def result_path(self, sample_id: str) -> Path | None:
        """The sample's result, once it is there in full.

        A file that stood there before this driver began the measurement does not count.

        Raises:
            DeviceError: INVALID_GOAL (no name of a sample), DEVICE_UNREACHABLE (the share is gone).
        """
        self._require_words(sample_id)
        if not self._results.is_dir():
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_UNREACHABLE,
                    f"{self.name}: the results folder {self._results} is not there; mount it.",
                )
            )
        path = self._file(sample_id)
        stamp = _stamp(path)
        if stamp is None or stamp == self._older.get(sample_id):
            return None
        try:
            with path.open("rb") as file:
                file.seek(max(0, stamp[1] - 256))
                return path if _END_OF_FILE in file.read() else None
        except OSError:
            return None

    def _file(self, sample_id: str) -> Path:
        return self._results / f"{sample_id}.xrdml"

    def _field(self, message: str, key: str) -> str:
        """One field of the reply to a question; asked twice before it counts as unanswered."""
        try:
            reply = self._query(message)
        except DeviceError:
            reply = self._query(message)
        value = parse_field(reply, key)
        if value is None:
            raise self._error(FaultCode.PROTOCOL_ERROR, f"no {key} in the reply {reply[:120]!r}")
        return value

    def _order(self, message: str, what: str, names: Sequence[str]) -> None:
        """Give an order; `names` are those in it, which a reply may repeat."""
        reply = self._query(message)
        if is_refusal(reply, names):
            raise self._error(FaultCode.MEASURE_DEVICE_FAILED, f"{what}: refused with {reply!r}")

    def _query(self, message: str) -> str:
        with self._lock:
            self._transport.open()
            try:
                self._transport.write(message.encode("ascii"))
                return self._reply(message)
            finally:
                self._transport.close()

    def _reply(self, message: str) -> str:
        deadline = Deadline(self._deadline_s)
        heard = b""
        while True:
            heard += self._transport.read(deadline.remaining_s)
            if b"@END" in heard or (heard and self._transport.ended):
                return heard[:MAX_REPLY_BYTES].decode("ascii", "replace")
            if self._transport.ended or deadline.over or len(heard) > MAX_REPLY_BYTES:
                raise self._error(
                    FaultCode.DEADLINE_EXCEEDED,
                    f"no whole reply to {message} within {self._deadline_s:g} s",
                )

    def _require_words(self, *words: str) -> None:
        for word in words:
            if not _WORD.fullmatch(word):
                raise self._error(
                    FaultCode.INVALID_GOAL,
                    f"{word!r} is no name for it; expected up to 64 letters, digits, and _ . + -",
                )

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name}: {problem}."))


def parse_field(reply: str, key: str) -> str | None:
    """Value of ``key`` among the ``@``-separated fields of a reply; None where it has none."""
    for field in reply.split("@"):
        name, equals, value = field.partition("=")
        if equals and name.strip() == key:
            return value.strip()
    return None


def is_refusal(reply: str, names: Sequence[str] = ()) -> bool:
    """Whether a reply says "fatal", or a word that one damaged byte may have made of it.

    Args:
        reply: of the diffractometer.
        names: that it may repeat, and that say nothing.
    """
    for name in sorted(names, key=len, reverse=True):
        reply = reply.replace(name, " ")
    return _FATAL.search(reply) is not None


def _stamp(path: Path) -> _Stamp | None:
    """What tells one version of a file from the next; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
