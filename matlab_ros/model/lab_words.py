"""States and kinds that the whole lab speaks of, as enumerations; values are journal words."""

from __future__ import annotations

from enum import Enum, IntEnum


class StepAction(str, Enum):
    """What a step of a recipe does."""

    DISPENSE = "dispense"
    MIX = "mix"
    GRIND = "grind"
    TRANSFER = "transfer"
    HEAT = "heat"
    COOL = "cool"
    WAIT = "wait"
    MEASURE = "measure"
    ANALYSE = "analyse"
    STORE = "store"
    DISCARD = "discard"


class Remedy(str, Enum):
    """What a recipe's policy does when the attempts of a step are used up."""

    ABORT_EXPERIMENT = "abort_experiment"
    """The experiment does no further step; its crucible goes home."""
    SKIP = "skip"
    """The step is passed over, where the sample is still what it was."""
    ABORT_SAMPLE = "abort_sample"
    """The sample does no further step; an experiment ends with its last sample."""
    STOP_LAB = "stop_lab"
    """The whole campaign is brought to a safe end."""
    OTHER_DEVICE = "other_device"
    """The step is tried at another device of the kind, while one is to be had."""
    ASK = "ask"
    """The fault stays open until an operator decides, or the question's deadline passes."""

    @property
    def ends(self) -> bool:
        """Whether nothing follows it."""
        return self not in (Remedy.OTHER_DEVICE, Remedy.ASK)


class TaskState(str, Enum):
    """One step of one experiment."""

    PENDING = "pending"
    """Steps it needs are not done."""
    READY = "ready"
    """Waits for its station and device."""
    RUNNING = "running"
    """An attempt of it is under way."""
    AWAITING_RESOLUTION = "awaiting_resolution"
    """An attempt failed, and nobody decided yet what follows."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in (
            TaskState.SUCCEEDED,
            TaskState.FAILED,
            TaskState.CANCELED,
            TaskState.SKIPPED,
        )

    @property
    def satisfies(self) -> bool:
        """Whether a step that needs this one may begin."""
        return self in (TaskState.SUCCEEDED, TaskState.SKIPPED)


class ExperimentState(IntEnum):
    """One experiment; the numbers are those of the interface ExperimentState."""

    PLANNED = 0
    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3
    CANCELED = 4

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self >= ExperimentState.SUCCEEDED


class SampleState(IntEnum):
    """How a sample is; the numbers are those of the interface SampleState."""

    PLANNED = 0
    ACTIVE = 1
    AT_REST = 2
    COMPROMISED = 3
    LOST = 4
    DONE = 5
    DISPOSED = 6


class SampleFate(IntEnum):
    """What an attempt means for a sample; the numbers are those of the interface SampleOutcome."""

    UNTOUCHED = 0
    DONE = 1
    PARTIAL = 2
    COMPROMISED = 3
    LOST = 4


class PositionState(IntEnum):
    """A named slot; the numbers are those of the interface PositionState."""

    EMPTY = 0
    RESERVED = 1
    OCCUPIED = 2
    BLOCKED = 3
    UNKNOWN = 4


class Resolution(IntEnum):
    """What was decided about a fault; the numbers are those of the interface Fault."""

    OPEN = 0
    RETRY = 1
    SKIP = 2
    ASSUME_DONE = 3
    ABORT_SAMPLE = 4
    ABORT_EXPERIMENT = 5


class ObservationKind(IntEnum):
    """What an experiment taught; the numbers are those of the interface Observation."""

    MEASURED = 1
    INFEASIBLE = 2
    ABANDONED = 3


class Scope(IntEnum):
    """What an operator's command is about; the numbers are those of the services."""

    LAB = 0
    CAMPAIGN = 1
    EXPERIMENT = 2
    SAMPLE = 3


class Atmosphere(IntEnum):
    """Gas in a furnace; the numbers are those of the action Heat."""

    AIR = 0
    NITROGEN = 1
    OXYGEN = 2
    ARGON = 3


class CancelMode(IntEnum):
    """What a cancelled furnace does; the numbers are those of the action Heat."""

    COOL = 0
    """Ramp down."""
    HOLD = 1
    """Stay at the present temperature, for somebody to decide."""
    OFF = 2
    """Heater off."""


class Verdict(IntEnum):
    """How far an analysis is to be trusted; the numbers are those of the action AnalysePattern."""

    UNKNOWN = 0
    CONFIRMED = 1
    PROVISIONAL = 2
    NEEDS_HUMAN = 3


class Confirm(IntEnum):
    """When a second refinement is made; the numbers are those of the action AnalysePattern."""

    NEVER = 0
    WHEN_SUCCESS = 1
    ALWAYS = 2


class SecondOutcome(IntEnum):
    """What a second refinement says; the numbers are those of the message SecondRefinement."""

    NOT_ASKED = 0
    AGREES = 1
    DISAGREES = 2
    FAILED = 3
    NOT_INSTALLED = 4


class Order(IntEnum):
    """Whether the data show a phase's order; the numbers are those of the message OrderTest."""

    UNDECIDED = 0
    ORDERED = 1
    DISORDERED = 2
