"""What devices are asked for and how it ended: values that mirror the ROS actions.

Where the messages hold NaN or an empty time these hold None. Masses are in milligrams, temperatures
in degrees Celsius, times in nanoseconds of ROS time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from matlab_ros.lab.analysis_values import (
    AlternativePhase,
    ElementAmount,
    ElementBalance,
    LookAgain,
    OrderTest,
    PossiblePhase,
    SecondRefinement,
)
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import Atmosphere, CancelMode, Confirm, SampleFate, Verdict
from matlab_ros.model.scan_program import ScanProgram


@dataclass(frozen=True)
class RawFile:
    """A file as an instrument wrote it, kept by its content."""

    uri: str
    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True)
class Dose:
    """A powder to be dispensed."""

    substance: str
    mass_mg: float
    tolerance_mg: float
    """Accepted deviation, both ways."""


@dataclass(frozen=True)
class HeatSegment:
    """Go to a temperature, then stay."""

    target_c: float
    ramp_c_per_min: float
    dwell_min: float


@dataclass(frozen=True)
class HeatProfile:
    """Everything about a furnace run but the samples; samples with equal ones may share a run."""

    segments: tuple[HeatSegment, ...]
    unload_below_c: float
    atmosphere: Atmosphere = Atmosphere.AIR

    @property
    def highest_c(self) -> float:
        """The highest target."""
        return max(segment.target_c for segment in self.segments)

    @property
    def fastest_ramp_c_per_min(self) -> float:
        """The steepest ramp."""
        return max(segment.ramp_c_per_min for segment in self.segments)

    def programmed_min(self, start_c: float = 20.0) -> float:
        """Minutes that ramps and dwells take from a start temperature; cooling is not in it."""
        total, present = 0.0, start_c
        for segment in self.segments:
            total += abs(segment.target_c - present) / segment.ramp_c_per_min + segment.dwell_min
            present = segment.target_c
        return total


@dataclass(frozen=True)
class DispenseGoal:
    """Weigh powders into the container that stands at a position of the dispenser."""

    TAG: ClassVar[str] = "dispense"

    attempt_id: str
    issued_ns: int
    deadline_ns: int
    sample_id: str
    container_id: str
    position: str
    doses: tuple[Dose, ...]
    mix_min: float = 0.0

    @property
    def sample_ids(self) -> tuple[str, ...]:
        """Samples concerned."""
        return (self.sample_id,)


@dataclass(frozen=True)
class TransferGoal:
    """Carry a container from one position to another."""

    TAG: ClassVar[str] = "transfer"

    attempt_id: str
    issued_ns: int
    deadline_ns: int
    sample_id: str
    container_id: str
    source: str
    target: str
    keep_upright: bool = True

    @property
    def sample_ids(self) -> tuple[str, ...]:
        """Samples concerned."""
        return (self.sample_id,)


@dataclass(frozen=True)
class HeatGoal:
    """Run a temperature profile on the containers that stand in a furnace."""

    TAG: ClassVar[str] = "heat"

    attempt_id: str
    issued_ns: int
    deadline_ns: int
    sample_ids: tuple[str, ...]
    positions: tuple[str, ...]
    """Of the furnace, in the order of the samples."""
    profile: HeatProfile
    on_cancel: CancelMode = CancelMode.COOL


@dataclass(frozen=True)
class MeasureGoal:
    """Measure a powder diffraction pattern of the container at a position."""

    TAG: ClassVar[str] = "measure"

    attempt_id: str
    issued_ns: int
    deadline_ns: int
    sample_id: str
    position: str
    program: str
    scan: ScanProgram | None = None
    """What the program measures, where the lab's configuration says."""

    @property
    def sample_ids(self) -> tuple[str, ...]:
        """Samples concerned."""
        return (self.sample_id,)


@dataclass(frozen=True)
class AnalyseGoal:
    """Find the phases of a measured pattern and their weight fractions."""

    TAG: ClassVar[str] = "analyse"

    attempt_id: str
    issued_ns: int
    deadline_ns: int
    sample_id: str
    pattern: RawFile
    elements: tuple[str, ...]
    phases: tuple[str, ...]
    target_phase: str
    scan: ScanProgram | None = None
    """That the pattern was measured with, where it is known."""
    earlier: tuple[RawFile, ...] = ()
    """Patterns of the same sample, unchanged since, that are added up with it."""
    earlier_scans: tuple[ScanProgram, ...] = ()
    """That they were measured with."""
    dispensed: tuple[ElementAmount, ...] = ()
    """Into the sample; empty where it is not known."""
    confirm: Confirm = Confirm.NEVER
    success_fraction: float = 0.0
    """Of the target, from which `Confirm.WHEN_SUCCESS` asks for a second refinement."""
    programs: tuple[ScanProgram, ...] = ()
    """That a further scan may be made with."""
    budget_s: float = 0.0
    """Longest that a further scan may take; 0: none."""

    @property
    def sample_ids(self) -> tuple[str, ...]:
        """Samples concerned."""
        return (self.sample_id,)


Goal = DispenseGoal | TransferGoal | HeatGoal | MeasureGoal | AnalyseGoal


@dataclass(frozen=True)
class SampleOutcome:
    """What an attempt means for one sample, as the device says."""

    sample_id: str
    fate: SampleFate
    position: str = ""
    """Where it is now; empty where that is not known."""


@dataclass(frozen=True)
class AttemptReport:
    """How an attempt ended."""

    code: int
    message: str
    began_ns: int
    ended_ns: int
    samples: tuple[SampleOutcome, ...]
    device: str
    software_version: str = ""
    simulated: bool = False
    recalled: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the device did what was asked."""
        return self.code == FaultCode.NONE

    def fate(self, sample_id: str) -> SampleFate | None:
        """What the device says about one sample, if it says anything."""
        return next((item.fate for item in self.samples if item.sample_id == sample_id), None)


@dataclass(frozen=True)
class CalibrationMark:
    """The calibration that was applied to a reading.

    Attributes:
        certificate_id: empty where the instrument has none.
        calibrated_ns: when it was made.
        valid_until_ns: when it ends.
        offset: that was added, in the reading's unit.
        factor: that was multiplied with before.
        valid: whether it counted at the moment of the reading.
    """

    certificate_id: str = ""
    calibrated_ns: int = 0
    valid_until_ns: int = 0
    offset: float = 0.0
    factor: float = 1.0
    valid: bool = False


@dataclass(frozen=True)
class DoseReading:
    """What was really dispensed, read from the balance."""

    substance: str
    requested_mg: float
    measured_mg: float | None
    uncertainty_mg: float | None
    within_tolerance: bool
    stamp_ns: int = 0
    calibration: CalibrationMark | None = None
    """Of the balance; None where nobody said anything about it."""


@dataclass(frozen=True)
class TemperatureTrace:
    """A temperature over time as the controller reported it."""

    start_ns: int
    elapsed_s: tuple[float, ...]
    measured_c: tuple[float | None, ...]
    setpoint_c: tuple[float | None, ...]


@dataclass(frozen=True)
class PhaseFraction:
    """One crystalline phase found in a pattern; fractions are of the crystalline part, 0 to 1."""

    phase: str
    formula: str
    weight_fraction: float
    sigma: float | None
    cell_shift: float | None = None
    """Largest relative change of a cell length against the library's structure."""


@dataclass(frozen=True)
class FitQuality:
    """How well the calculated pattern explains the measured one."""

    rwp_percent: float | None = None
    rexp_percent: float | None = None
    goodness_of_fit: float | None = None
    unexplained_fraction: float | None = None
    unexplained_peaks_deg: tuple[float, ...] = ()
    unexplained_peak_shares: tuple[float, ...] = ()
    bounds_hit: tuple[str, ...] = ()
    converged: bool | None = None


@dataclass(frozen=True)
class DispenseOutcome:
    """Result of a `DispenseGoal`."""

    TAG: ClassVar[str] = "dispense"

    report: AttemptReport
    doses: tuple[DoseReading, ...] = ()
    mixed_min: float = 0.0


@dataclass(frozen=True)
class TransferOutcome:
    """Result of a `TransferGoal`."""

    TAG: ClassVar[str] = "transfer"

    report: AttemptReport
    final_position: str = ""
    """Where the container is; empty: unknown."""
    path_length_m: float | None = None


@dataclass(frozen=True)
class HeatOutcome:
    """Result of a `HeatGoal`."""

    TAG: ClassVar[str] = "heat"

    report: AttemptReport
    trace: TemperatureTrace | None = None
    max_measured_c: float | None = None
    dwell_min: float | None = None
    """Time within 10 degrees of the highest target, as measured."""
    calibration: CalibrationMark | None = None
    """Of the thermocouple; None where nobody said anything about it."""


@dataclass(frozen=True)
class MeasureOutcome:
    """Result of a `MeasureGoal`."""

    TAG: ClassVar[str] = "measure"

    report: AttemptReport
    pattern: RawFile | None = None
    program: str = ""
    """That it was measured with."""


@dataclass(frozen=True)
class AnalyseOutcome:
    """Result of an `AnalyseGoal`."""

    TAG: ClassVar[str] = "analyse"

    report: AttemptReport
    phases: tuple[PhaseFraction, ...] = ()
    target_fraction: float | None = None
    target_sigma: float | None = None
    quality: FitQuality = field(default_factory=FitQuality)
    verdict: Verdict = Verdict.UNKNOWN
    remarks: tuple[str, ...] = ()
    fit: RawFile | None = None
    possible: tuple[PossiblePhase, ...] = ()
    """Second tier: not identified."""
    alternatives: tuple[AlternativePhase, ...] = ()
    balance: tuple[ElementBalance, ...] = ()
    order: tuple[OrderTest, ...] = ()
    second: SecondRefinement = field(default_factory=SecondRefinement)
    again: LookAgain = field(default_factory=LookAgain)


Outcome = DispenseOutcome | TransferOutcome | HeatOutcome | MeasureOutcome | AnalyseOutcome

_OUTCOMES: dict[str, type[Outcome]] = {
    "dispense": DispenseOutcome,
    "transfer": TransferOutcome,
    "heat": HeatOutcome,
    "measure": MeasureOutcome,
    "analyse": AnalyseOutcome,
}


def never_begun(goal: Goal, device: str, fault: Fault, now_ns: int) -> Outcome:
    """Outcome of a goal that its device refused, so that every sample is as it was before."""
    report = AttemptReport(
        code=fault.code,
        message=fault.message,
        began_ns=now_ns,
        ended_ns=now_ns,
        samples=tuple(SampleOutcome(name, SampleFate.UNTOUCHED) for name in goal.sample_ids),
        device=device,
    )
    if isinstance(goal, TransferGoal):
        return TransferOutcome(report, final_position=goal.source)
    return _OUTCOMES[goal.TAG](report)


def unknown_end(goal: Goal, device: str, fault: Fault, now_ns: int) -> Outcome:
    """Outcome of a goal whose device gives no answer any more: nothing is known of its samples."""
    report = AttemptReport(
        code=fault.code,
        message=fault.message,
        began_ns=now_ns,
        ended_ns=now_ns,
        samples=(),
        device=device,
    )
    return _OUTCOMES[goal.TAG](report)
