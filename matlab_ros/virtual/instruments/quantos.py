"""An emulated Mettler Toledo balance with Quantos dosing unit, in virtual time.

Source: Quantos Command Set 30348483A and the MT-SICS manual (levels 0 and 1). Jobs answer ``B`` at
once; their ``A`` or ``I <code>`` is put on the wire while virtual time is advanced to their end.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from xml.sax.saxutils import escape

import numpy as np

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S, Send
from matlab_ros.virtual.instruments.weighing_cell import WeighingCell
from matlab_ros.virtual.physical_log import Tell, say_nothing

NOT_MOUNTED, OTHER_JOB, NOT_ALLOWED, POWDER_FLOW, STOPPED, HEAD_LIMIT = 1, 2, 5, 7, 8, 11
DOOR_CLOSED, DOOR_OPEN, DOOR_RUNNING = 2, 3, 9

_SERIAL_NUMBER = "B428123456"


@dataclass
class DosingHead:
    """A dosing head with powder in it.

    Attributes:
        substance: as its chip says.
        content_mg: of powder that is really in it.
        flow: how well the powder flows: 1 as usual; below 0.15 hardly, and dosing gives up.
        declared_mg: content by the chip's bookkeeping; None: the same as the real one.
        lot: of the substance.
        max_doses: after which the head wants service.
        doses: made so far.
    """

    substance: str
    content_mg: float
    flow: float = 1.0
    declared_mg: float | None = None
    lot: str = "1"
    max_doses: int = 9999
    doses: int = 0

    def __post_init__(self) -> None:
        if self.declared_mg is None:
            self.declared_mg = self.content_mg
        self.filled_mg = self.declared_mg


@dataclass(frozen=True)
class DosingHabits:
    """How the dosing unit behaves.

    Attributes:
        rate_mg_per_s: of powder that flows as usual.
        start_s: from the command to the first grain.
        settle_s: from the last grain, or a change of the load, to a stable weight.
        spread_of_tolerance: standard deviation of a dose, in tolerances.
        least_spread_mg: and not less than this: grains are not cut.
        overshoot_probability: of a lump that falls beside this.
        overshoot_mg: mean mass of such a lump.
        patience_s: until powder that does not flow is given up.
        pin_s: to lock or unlock a head.
        door_s: to open or close the front door.
        readability_mg: last digit of the balance.
        repeatability_mg: standard deviation of a weighing.
    """

    rate_mg_per_s: float = 5.0
    start_s: float = 3.0
    settle_s: float = 2.0
    spread_of_tolerance: float = 0.25
    least_spread_mg: float = 0.05
    overshoot_probability: float = 0.02
    overshoot_mg: float = 3.0
    patience_s: float = 60.0
    pin_s: float = 2.0
    door_s: float = 3.0
    readability_mg: float = 0.01
    repeatability_mg: float = 0.015


class DoseFate(Enum):
    """What becomes of a dose."""

    NORMAL = "normal"
    NO_FLOW = "no flow"
    """The powder hardly flows, and the unit gives up."""
    SLOW = "slow"
    NEVER_ENDS = "never ends"
    """Powder falls as usual, and the unit goes on dosing until it is stopped."""
    LIES = "lies"
    """Half of the powder falls, and the unit says that it is done."""


@dataclass(frozen=True)
class _Dose:
    """A dose under way: what will have fallen, and how it will end."""

    head: DosingHead
    mass_mg: float
    began: float
    flows_until: float
    ends: float
    code: int | None

    def fallen_mg(self, t: float, start_s: float) -> float:
        begins = self.began + start_s
        if t <= begins:
            return 0.0
        return self.mass_mg * min(1.0, (t - begins) / max(self.flows_until - begins, 1e-9))


@dataclass(frozen=True)
class _Move:
    """The pin or the door under way."""

    reply: str
    ends: float
    finish: Callable[[], int | None]


class QuantosBalance:
    """Balance, dosing unit and the magazine's heads.

    The callbacks are called with the device locked, from the thread that advances time or from the
    wire's: they must not call back, nor wait for a thread that does.

    Fault switches: `cell.unstable` (draught: no weight is stable), `cell.pan_missing`; and each
    head's `flow` and `content_mg`; `next_dose` (of one dose).

    Args:
        heads: the dosing heads by magazine slot.
        presented: slot whose head stands before the dosing unit now; None where there is none.
        load: mass of what stands on the pan, in mg, with the powder that `on_dosed` reported; None
            where nothing stands there.
        on_dosed: told substance and true mass in mg when powder has fallen, once for each dose,
            before the dose's end is on the wire.
        rng: source of what doses and weighings do.
        habits: of the dosing unit.
        tell: is told when a dose begins and ends.
    """

    def __init__(
        self,
        heads: Mapping[int, DosingHead],
        *,
        presented: Callable[[], int | None],
        load: Callable[[], float | None],
        on_dosed: Callable[[str, float], None],
        rng: np.random.Generator,
        habits: DosingHabits | None = None,
        tell: Tell = say_nothing,
    ) -> None:
        self.next_dose = DoseFate.NORMAL
        self._tell = tell
        self.heads = dict(heads)
        self._presented = presented
        self._on_dosed = on_dosed
        # Two streams, so that looking at the weight changes no dose.
        self._dose_rng, weight_rng = rng.spawn(2)
        self._habits = habits if habits is not None else DosingHabits()
        self.cell = WeighingCell(
            load,
            weight_rng,
            readability_mg=self._habits.readability_mg,
            repeatability_mg=self._habits.repeatability_mg,
            settle_s=self._habits.settle_s,
        )
        self._lock = threading.RLock()
        self._send: Send = lambda data: None
        self._heard = b""
        self._now = 0.0
        self._job: _Dose | _Move | None = None
        self._mounted: int | None = None
        self._door = DOOR_CLOSED
        self._target_mg = 0.0
        self._tolerance_percent = 1.0
        self._sample_id = ""
        self._last_dose: tuple[str, float, str] | None = None

    # The device in virtual time

    def advance_to(self, t: float) -> None:
        """Dose and move up to virtual second `t`; ends are on the wire when this returns."""
        with self._lock:
            while self._job is not None and self._job.ends <= t + MOMENT_TOLERANCE_S:
                self._now = max(self._now, self._job.ends)
                self._end_job()
            self._now = max(self._now, t)
            self.cell.look(self._now)

    def next_moment(self) -> float | None:
        """When the job under way ends, or else the weight becomes stable."""
        with self._lock:
            if self._job is not None:
                return None if math.isinf(self._job.ends) else self._job.ends
            return self.cell.settles_at(self._now)

    def connect(self, send: Send) -> None:
        """Be given the way to report the ends of jobs."""
        self._send = send

    def receive(self, data: bytes) -> bytes:
        """Answer whole command lines as of the present moment."""
        with self._lock:
            *lines, self._heard = re.split(rb"\r?\n", self._heard + data)
            self._heard = self._heard[-256:]
            answers = [self._answer(line.decode("latin-1").strip()) for line in lines if line]
            return "".join(f"{answer}\r\n" for reply in answers for answer in reply).encode(
                "latin-1", "replace"
            )

    def restart(self) -> None:
        """Its power was gone for a moment: a dose stops where it is, and it says who it is."""
        with self._lock:
            self._heard = b""
            job, self._job = self._job, None
            if isinstance(job, _Dose):
                self._account(job.head, job.fallen_mg(self._now, self._habits.start_s))
            self._send(f'I4 A "{_SERIAL_NUMBER}"\r\n'.encode("ascii"))

    @property
    def head_locked(self) -> bool:
        """Whether a head is held by the dosing unit, so that the magazine cannot move.

        Takes no lock: a rail may ask while this device asks it which head it presents.
        """
        return self._mounted is not None

    @property
    def now_s(self) -> float:
        """Virtual second up to which it acted. Takes no lock."""
        return self._now

    @property
    def mounted(self) -> int | None:
        """Slot of the head that the dosing unit holds. Takes no lock."""
        return self._mounted

    # Commands

    def _answer(self, line: str) -> list[str]:
        if line in ("@", "I4"):
            return [f'I4 A "{_SERIAL_NUMBER}"']
        if line in ("S", "SI", "T", "TI", "Z", "ZI"):
            return [self.cell.answer(line, self._now, self._falling_mg())]
        if line == "QRA 61 1":
            return [self._start_dose()]
        if line == "QRA 61 4":
            return self._stop_dose()
        for command, answer in (
            (r"QRA 60 2 ([34])", self._start_pin),
            (r"QRA 60 7 ([23])", self._start_door),
            (r"QRD 1 1 5 (\d{1,6}(?:\.\d{1,2})?)", self._set_target),
            (r"QRD 1 1 6 (\d{1,2}(?:\.\d)?)", self._set_tolerance),
            (r"QRD 1 1 7 ([01])", self._set_nothing_else("QRD 1 1 7")),
            (r"QRD 1 1 8 (.{1,20})", self._set_sample_id),
            (r"QRD 1 1 14 ([01])", self._set_nothing_else("QRD 1 1 14")),
        ):
            found = re.fullmatch(command, line)
            if found:
                return [answer(found.group(1))]
        if line == "QRD 2 2 9":
            return [f"QRD 2 2 9 {int(self.cell.loaded)} A"]
        if line == "QRD 2 3 7":
            return [f"QRD 2 3 7 {self._door} A"]
        if line == "QRD 2 4 11":
            return self._head_data()
        if line == "QRD 2 4 12":
            return self._dose_data()
        found = re.match(r"(QR[AD] \d+(?: \d+)?)( |$)", line)
        return [f"{found.group(1)} L"] if found else ["ES"]

    def _set_target(self, value: str) -> str:
        if self._job is not None:
            return f"QRD 1 1 5 I {OTHER_JOB}"
        if not 0.10 <= float(value) <= 250000.0:
            return "QRD 1 1 L"
        self._target_mg = float(value)
        return "QRD 1 1 5 A"

    def _set_tolerance(self, value: str) -> str:
        if self._job is not None:
            return f"QRD 1 1 6 I {OTHER_JOB}"
        if not 0.1 <= float(value) <= 40.0:
            return "QRD 1 1 L"
        self._tolerance_percent = float(value)
        return "QRD 1 1 6 A"

    def _set_sample_id(self, value: str) -> str:
        self._sample_id = value
        return "QRD 1 1 8 A"

    @staticmethod
    def _set_nothing_else(command: str) -> Callable[[str], str]:
        """A setting that is stored and changes nothing here."""
        return lambda value: f"{command} A"

    # Dosing

    def _falling_mg(self) -> float | None:
        if not isinstance(self._job, _Dose):
            return None
        return self._job.fallen_mg(self._now, self._habits.start_s)

    def _start_dose(self) -> str:
        refusal = self._dose_refusal()
        if refusal is not None:
            return f"QRA 61 1 I {refusal}"
        assert self._mounted is not None
        head = self.heads[self._mounted]
        habits, rng = self._habits, self._dose_rng
        tolerance_mg = self._target_mg * self._tolerance_percent / 100
        spread_mg = max(habits.spread_of_tolerance * tolerance_mg, habits.least_spread_mg)
        # The same number of draws for every dose, whatever becomes of it.
        error, lump, lump_size, gives_up = rng.normal(), rng.random(), rng.random(), rng.random()
        wanted_mg = max(0.0, self._target_mg + spread_mg * float(error))
        if lump < habits.overshoot_probability:
            wanted_mg += -habits.overshoot_mg * float(np.log1p(-lump_size))
        fate, self.next_dose = self.next_dose, DoseFate.NORMAL
        flows_at = self._now + habits.start_s
        flow = head.flow
        if fate is DoseFate.NO_FLOW:
            flow = 0.0
        elif fate is DoseFate.SLOW:
            flow = 0.16
        elif fate is DoseFate.LIES:
            wanted_mg /= 2
        code: int | None = None
        if flow < 0.15:
            mass_mg = min(head.content_mg, wanted_mg * 0.5 * float(gives_up))
            flows_until, code = flows_at + habits.patience_s, POWDER_FLOW
        else:
            mass_mg = min(head.content_mg, wanted_mg)
            flows_until = flows_at + mass_mg / (habits.rate_mg_per_s * flow)
            if mass_mg < wanted_mg:
                flows_until, code = flows_until + habits.patience_s, POWDER_FLOW
        ends = math.inf if fate is DoseFate.NEVER_ENDS else flows_until + habits.settle_s
        self._job = _Dose(head, mass_mg, self._now, flows_until, ends, code)
        self._tell(
            self._now,
            "dose begun",
            substance=head.substance,
            target_mg=self._target_mg,
            sample=self._sample_id,
        )
        return "QRA 61 1 B"

    def _dose_refusal(self) -> int | None:
        if self._job is not None:
            return OTHER_JOB
        if self._mounted is None:
            return NOT_MOUNTED
        if self._door != DOOR_CLOSED or not self.cell.loaded or self._target_mg <= 0:
            return NOT_ALLOWED
        head = self.heads[self._mounted]
        return HEAD_LIMIT if head.doses >= head.max_doses else None

    def _stop_dose(self) -> list[str]:
        if not isinstance(self._job, _Dose):
            return [f"QRA 61 4 I {NOT_ALLOWED}"]
        dose, self._job = self._job, None
        self._account(dose.head, dose.fallen_mg(self._now, self._habits.start_s))
        return ["QRA 61 4 B", f"QRA 61 1 I {STOPPED}", "QRA 61 4 A"]

    def _account(self, head: DosingHead, mass_mg: float) -> None:
        """Powder has fallen."""
        head.doses += 1
        head.content_mg = max(0.0, head.content_mg - mass_mg)
        assert head.declared_mg is not None
        head.declared_mg = max(0.0, head.declared_mg - mass_mg)
        self._last_dose = (head.substance, mass_mg, self._sample_id)
        self._tell(self._now, "dose over", substance=head.substance, mass_mg=mass_mg)
        if mass_mg > 0:
            self._on_dosed(head.substance, mass_mg)
        self.cell.look(self._now)

    # Jobs

    def _start_pin(self, position: str) -> str:
        if self._job is not None:
            return f"QRA 60 2 I {OTHER_JOB}"

        def unlock() -> int | None:
            self._mounted = None
            return None

        def lock() -> int | None:
            slot = self._presented()
            if slot not in self.heads:
                return NOT_MOUNTED
            self._mounted = slot
            return None

        finish = unlock if position == "3" else lock
        self._job = _Move("QRA 60 2", self._now + self._habits.pin_s, finish)
        return "QRA 60 2 B"

    def _start_door(self, position: str) -> str:
        if self._job is not None:
            return f"QRA 60 7 I {OTHER_JOB}"

        def finish() -> int | None:
            self._door = int(position)
            return None

        self._door = DOOR_RUNNING
        self._job = _Move("QRA 60 7", self._now + self._habits.door_s, finish)
        return "QRA 60 7 B"

    def _end_job(self) -> None:
        job, self._job = self._job, None
        if isinstance(job, _Dose):
            self._account(job.head, job.mass_mg)
            # The dosing unit waits for a stable weight before it says that it is done.
            self.cell.look(self._now, settled=True)
            reply, code = "QRA 61 1", job.code
        else:
            assert job is not None
            reply, code = job.reply, job.finish()
        end = f"{reply} A" if code is None else f"{reply} I {code}"
        self._send(f"{end}\r\n".encode("ascii"))

    # Data

    def _head_data(self) -> list[str]:
        if self._job is not None:
            return [f"QRD 2 4 11 I {OTHER_JOB}"]
        if self._mounted is None:
            return [f"QRD 2 4 11 I {NOT_MOUNTED}"]
        head = self.heads[self._mounted]
        return _dataset(
            "QRD 2 4 11",
            [
                f"<Substance>{escape(head.substance)}</Substance>",
                f"<Lot_ID>{escape(head.lot)}</Lot_ID>",
                f'<Content Unit="mg">{head.filled_mg:.2f}</Content>',
                f"<Head_ID>{1000 + self._mounted}</Head_ID>",
                f"<Dose_limit>{head.max_doses}</Dose_limit>",
                f"<Dosing_counter>{head.doses}</Dosing_counter>",
                f'<Rem._quantity Unit="mg">{head.declared_mg:.2f}</Rem._quantity>',
            ],
        )

    def _dose_data(self) -> list[str]:
        if self._job is not None:
            return [f"QRD 2 4 12 I {OTHER_JOB}"]
        if self._last_dose is None:
            return [f"QRD 2 4 12 I {NOT_ALLOWED}"]
        substance, mass_mg, sample_id = self._last_dose
        return _dataset(
            "QRD 2 4 12",
            [
                f"<Substance>{escape(substance)}</Substance>",
                f'<Content Unit="mg">{mass_mg:.2f}</Content>',
                f"<Sample_ID>{escape(sample_id)}</Sample_ID>",
            ],
        )


def _dataset(command: str, elements: list[str]) -> list[str]:
    return [
        f"{command} B",
        '<?xml version="1.0" encoding="ISO-8859-1"?>',
        '<Info_head xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:noNamespaceSchemaLocation="Info_head.xsd">',
        *elements,
        "</Info_head>",
        f"{command} A",
    ]
