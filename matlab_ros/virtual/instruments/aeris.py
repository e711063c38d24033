"""An emulated Aeris diffractometer: samples, measurements that take their time, result files.

Messages as in A-Lab's published driver; replies are in the same form, and the driver's authors say
of them only which words they look for (READY=, SYSTEM=, STATE=, fatal). A slot's state is that of
its proximity sensor, whatever is in the instrument's books; a sample that is measured is not in its
slot.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S
from matlab_ros.virtual.physical_log import Tell, say_nothing
from matlab_ros.virtual.scan_programs import PROGRAMS

PROGRAMS_S: Mapping[str, float] = {name: p.duration_s for name, p in PROGRAMS.items()}


class ScanFate(Enum):
    """What becomes of a measurement."""

    NORMAL = "normal"
    LOST = "lost"
    """It measures and writes nothing."""
    HALF = "half"
    """It writes a file without its end."""
    SLOW = "slow"
    NEVER_ENDS = "never ends"


@dataclass(frozen=True)
class _Measurement:
    sample_id: str
    program: str
    slot: int
    fetched_at: float
    file_at: float
    put_back_at: float
    ready_at: float


class AerisDiffractometer:
    """The diffractometer in virtual time. `answer` goes into a `LoopbackServer`.

    Fault switches: `local_control` (somebody works at its screen), `lose_next_file` (it measures
    and writes nothing), `halve_next_file` (it writes a file without its end), `next_scan` (what
    becomes of the measurement that is begun next).

    Args:
        share: folder where ``<sample id>.xrdml`` appears.
        scan: gives the file for a sample id, program and slot; called when the measurement ends,
            in the thread that advances virtual time, with the device locked.
        occupied: whether a container stands in a slot. Called with the device locked.
        slots: numbers of its slots; 1 is the belt.
        programs: seconds that each measurement program takes.
        handling_s: time to load the sample, and again to put it back; in the middle of it the
            sample leaves its slot, and comes back.
        tell: is told when a measurement begins.
    """

    def __init__(
        self,
        share: Path,
        *,
        scan: Callable[[str, str, int], bytes],
        occupied: Callable[[int], bool],
        slots: range = range(1, 7),
        programs: Mapping[str, float] = PROGRAMS_S,
        handling_s: float = 20.0,
        tell: Tell = say_nothing,
    ) -> None:
        self.next_scan = ScanFate.NORMAL
        self.hangs_since: float | None = None
        """Virtual second since which it hangs in a measurement that never ends."""
        self._tell = tell
        self.local_control = False
        self.lose_next_file = False
        self.halve_next_file = False
        self._share = share
        self._scan = scan
        self._occupied = occupied
        self._slots = slots
        self._programs = dict(programs)
        self._handling_s = handling_s
        self._lock = threading.RLock()
        self._now = 0.0
        self._samples: dict[str, int] = {}
        self._running: _Measurement | None = None
        self._written = False
        share.mkdir(parents=True, exist_ok=True)

    def advance_to(self, t: float) -> None:
        """Measure up to virtual second `t`; the result file is there when this returns."""
        with self._lock:
            self._now = max(self._now, t)
            running = self._running
            if running is None:
                return
            if not self._written and self._reached(running.file_at):
                self._written = True
                self._write(running)
            if self._reached(running.ready_at):
                self._running = None

    def next_moment(self) -> float | None:
        """When the file is written, then when it is ready again."""
        with self._lock:
            if self._running is None:
                return None
            moment = self._running.ready_at if self._written else self._running.file_at
            return None if math.isinf(moment) else moment

    def switch_off_and_on(self) -> None:
        """Somebody restarted it, where it hung; it knows its samples again."""
        with self._lock:
            if self.hangs_since is not None:
                self._running = self.hangs_since = None

    def answer(self, heard: bytes) -> bytes | None:
        """The reply to a message; None while the message is not complete."""
        end = heard.find(b"@END")
        if end < 0:
            return None
        message = heard[:end].decode("ascii", "replace")
        with self._lock:
            return self._reply(message.strip().strip("@")).encode("ascii", "replace")

    def _stands_in(self, slot: int) -> bool:
        """What a slot's sensor sees."""
        running = self._running
        away = (
            running is not None
            and running.slot == slot
            and self._reached(running.fetched_at)
            and not self._reached(running.put_back_at)
        )
        return self._occupied(slot) and not away

    def _reached(self, moment: float) -> bool:
        return self._now >= moment - MOMENT_TOLERANCE_S

    def _reply(self, message: str) -> str:
        if message == "STATUS_REQUEST@UNIT=xrd":
            ready = "no" if self._running is not None else "yes"
            return f"@STATUS_REPORT@UNIT=xrd@READY={ready}@END"
        if message == "STATUS_REQUEST@SYSTEM":
            control = "local" if self.local_control else "remote"
            return f"@STATUS_REPORT@SYSTEM={control}@END"
        found = re.fullmatch(r"STATUS_REQUEST@LOCATION=0,(\d{1,3})", message)
        if found:
            slot = int(found.group(1))
            if slot not in self._slots:
                return _fatal(f"no location 0,{slot}")
            state = "occupied" if self._stands_in(slot) else "free"
            return f"@STATUS_REPORT@LOCATION=0,{slot}@STATE={state}@END"
        if message.startswith("SAMPLE@") and self.local_control:
            return _fatal("not under remote control")
        found = re.fullmatch(
            r"SAMPLE@ADD@APPLICATION=([^@]+)@SAMPLE_ID=([^@]+)@AT=0,(\d{1,3})", message
        )
        if found:
            return self._add(found.group(1), found.group(2), int(found.group(3)))
        found = re.fullmatch(r"SAMPLE@MEASURE@SAMPLE_ID=([^@]+)@APPLICATION=([^@]+)", message)
        if found:
            return self._measure(found.group(1), found.group(2))
        found = re.fullmatch(r"SAMPLE@REMOVE@SAMPLE_ID=([^@]+)", message)
        if found:
            return self._remove(found.group(1))
        return _fatal("message not understood")

    def _add(self, program: str, sample_id: str, slot: int) -> str:
        if program not in self._programs:
            return _fatal(f"unknown application {program}")
        if slot not in self._slots:
            return _fatal(f"no location 0,{slot}")
        if sample_id in self._samples or slot in self._samples.values():
            return _fatal("sample or location already in use")
        self._samples[sample_id] = slot
        return f"@SAMPLE@ADDED@SAMPLE_ID={sample_id}@END"

    def _measure(self, sample_id: str, program: str) -> str:
        if self._running is not None:
            return _fatal("busy")
        if sample_id not in self._samples:
            return _fatal(f"unknown sample {sample_id}")
        if program not in self._programs:
            return _fatal(f"unknown application {program}")
        slot = self._samples[sample_id]
        if not self._stands_in(slot):
            return _fatal(f"nothing at location 0,{slot}")
        seconds = self._handling_s + self._programs[program]
        fate, self.next_scan = self.next_scan, ScanFate.NORMAL
        self.lose_next_file = self.lose_next_file or fate is ScanFate.LOST
        self.halve_next_file = self.halve_next_file or fate is ScanFate.HALF
        file_at = self._now + seconds * {ScanFate.SLOW: 5.0}.get(fate, 1.0)
        if fate is ScanFate.NEVER_ENDS:
            file_at, self.hangs_since = math.inf, self._now
        self._tell(self._now, "measurement begun", sample=sample_id, slot=slot)
        half_s = self._handling_s / 2
        self._running = _Measurement(
            sample_id,
            program,
            slot,
            fetched_at=self._now + half_s,
            file_at=file_at,
            put_back_at=file_at + half_s,
            ready_at=file_at + self._handling_s,
        )
        self._written = False
        return f"@SAMPLE@MEASURING@SAMPLE_ID={sample_id}@END"

    def _remove(self, sample_id: str) -> str:
        if sample_id not in self._samples:
            return _fatal(f"unknown sample {sample_id}")
        if self._running is not None and self._running.sample_id == sample_id:
            return _fatal("sample is being measured")
        del self._samples[sample_id]
        return f"@SAMPLE@REMOVED@SAMPLE_ID={sample_id}@END"

    def _write(self, done: _Measurement) -> None:
        if self.lose_next_file:
            self.lose_next_file = False
            return
        data = self._scan(done.sample_id, done.program, done.slot)
        if self.halve_next_file:
            self.halve_next_file = False
            data = data[: len(data) // 2]
        fresh = self._share / f".{done.sample_id}.part"
        fresh.write_bytes(data)
        os.replace(fresh, self._share / f"{done.sample_id}.xrdml")


def _fatal(why: str) -> str:
    return f"@ERROR=fatal@MESSAGE={why}@END"
