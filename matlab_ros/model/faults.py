"""What can go wrong with a device or a step, typed, so that policies can decide about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from matlab_ros.model.errors import LabError


class FaultDomain(str, Enum):
    """Who is concerned by a fault."""

    DEVICE = "device"
    """The instrument or its wire: somebody must look at hardware."""
    MATERIAL = "material"
    """The sample or its container."""
    REQUEST = "request"
    """What was asked for cannot be done; asking again gives the same answer."""
    LAB = "lab"
    """The software between the devices."""


class Severity(IntEnum):
    """How far the fault reaches."""

    WARNING = 0
    """The result stands, with a remark."""
    STEP = 1
    """The step failed."""
    DEVICE = 2
    """The device is not to be used until somebody looked at it."""
    LAB = 3
    """The lab stops."""


class FaultCode(IntEnum):
    """What went wrong. The numbers are those of the interfaces' ``error_code`` fields.

    Each action has a range of its own: 0 is success, 1-99 are shared by all of them, 1xx
    dispense, 2xx transfer, 3xx heat, 4xx measure, 5xx analyse, 6xx lab manager, 7xx planner.
    """

    NONE = 0
    UNKNOWN = 1
    CANCELED = 2
    DEADLINE_EXCEEDED = 3
    DEVICE_UNREACHABLE = 4
    DEVICE_BUSY = 5
    DEVICE_NOT_ACTIVE = 6
    EMERGENCY_STOP = 7
    INVALID_GOAL = 8
    INTERRUPTED = 9
    PROTOCOL_ERROR = 10
    PROCESS_DIED = 11
    ATTEMPT_CONFLICT = 12
    INTERNAL_ERROR = 13

    DISPENSE_OUT_OF_TOLERANCE = 101
    DISPENSE_HEAD_EMPTY = 102
    DISPENSE_WRONG_SUBSTANCE = 103
    DISPENSE_NO_CONTAINER = 104
    DISPENSE_POWDER_FLOW = 105
    DISPENSE_UNSTABLE_BALANCE = 106
    DISPENSE_UNKNOWN_SUBSTANCE = 107

    TRANSFER_SOURCE_EMPTY = 201
    TRANSFER_TARGET_OCCUPIED = 202
    TRANSFER_NO_PLAN = 203
    TRANSFER_DROPPED = 204
    TRANSFER_TRAJECTORY_FAILED = 205
    TRANSFER_UNKNOWN_POSITION = 206
    TRANSFER_GRIPPER_FAILED = 207
    TRANSFER_INTERLOCKED = 208

    HEAT_OUT_OF_RANGE = 301
    HEAT_SENSOR_BREAK = 302
    HEAT_OVER_TEMPERATURE = 303
    HEAT_PROFILE_NOT_FOLLOWED = 304
    HEAT_CONTROLLER_REFUSED = 305
    HEAT_CONTACT_LOST = 306
    HEAT_INTERLOCKED = 307

    MEASURE_NO_SAMPLE = 401
    MEASURE_FILE_MISSING = 402
    MEASURE_DEVICE_FAILED = 403
    MEASURE_NOT_REMOTE = 404

    ANALYSE_FILE_UNREADABLE = 501
    ANALYSE_NO_CANDIDATES = 502
    ANALYSE_DIVERGED = 503

    CAMPAIGN_INVALID = 601
    CAMPAIGN_RUNNING = 602
    DEVICE_MISSING = 603
    RECIPE_UNKNOWN = 604
    STOCK_EXHAUSTED = 605
    CONTAINERS_EXHAUSTED = 606
    SAMPLE_UNKNOWN = 607
    LEASE_EXPIRED = 608
    POSITION_UNKNOWN = 609

    SUGGEST_SPACE_INVALID = 701
    SUGGEST_HISTORY_INCOMPLETE = 702
    SUGGEST_EXHAUSTED = 703
    SUGGEST_SUPERSEDED = 704


_RETRYABLE = frozenset(
    {
        FaultCode.DEVICE_UNREACHABLE,
        FaultCode.DEVICE_BUSY,
        FaultCode.DISPENSE_UNSTABLE_BALANCE,
        FaultCode.TRANSFER_TRAJECTORY_FAILED,
        FaultCode.TRANSFER_INTERLOCKED,
        FaultCode.HEAT_INTERLOCKED,
        FaultCode.MEASURE_FILE_MISSING,
        FaultCode.MEASURE_DEVICE_FAILED,
    }
)


@dataclass(frozen=True)
class Fault:
    """One thing that went wrong, with everything a policy or an operator needs.

    Attributes:
        code: what.
        message: a sentence for a person.
        domain: who is concerned.
        severity: how far it reaches.
        retryable: whether the same step may be tried again as it is.
        sample_compromised: whether the material may no longer be what the recipe assumes.
    """

    code: FaultCode
    message: str
    domain: FaultDomain = FaultDomain.DEVICE
    severity: Severity = Severity.STEP
    retryable: bool = False
    sample_compromised: bool = False

    @classmethod
    def of(cls, code: int, message: str, *, sample_compromised: bool = False) -> Fault:
        """A fault with the usual domain, severity and retry rule of its code."""
        try:
            known = FaultCode(code)
        except ValueError:
            known = FaultCode.UNKNOWN
        domain = FaultDomain.DEVICE
        if known in (FaultCode.INVALID_GOAL, FaultCode.HEAT_OUT_OF_RANGE):
            domain = FaultDomain.REQUEST
        elif known in (FaultCode.TRANSFER_DROPPED, FaultCode.ANALYSE_DIVERGED):
            domain = FaultDomain.MATERIAL
        elif known >= FaultCode.CAMPAIGN_INVALID or known is FaultCode.PROCESS_DIED:
            domain = FaultDomain.LAB
        severity = Severity.STEP
        if known in (
            FaultCode.HEAT_SENSOR_BREAK,
            FaultCode.HEAT_OVER_TEMPERATURE,
            FaultCode.HEAT_CONTACT_LOST,
            FaultCode.TRANSFER_DROPPED,
        ):
            severity = Severity.DEVICE
        elif known is FaultCode.EMERGENCY_STOP:
            severity = Severity.LAB
        return cls(known, message, domain, severity, known in _RETRYABLE, sample_compromised)


class DeviceError(LabError):
    """A driver's typed failure: carries the fault it stands for.

    Attributes:
        fault: what went wrong; its message is the exception's text.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.message)
