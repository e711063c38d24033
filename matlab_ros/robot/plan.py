"""What a planned transfer is made of, and where the robot and the container are meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from matlab_ros.model.errors import LabError
from matlab_ros.robot.mobile_arm import MOBILE_ARM
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.trajectory import JointTrajectory

GRIPPER_POSITION = "gripper"
"""The position of a container that the arm itself holds: ``<name of the arm>/gripper``."""
_OPEN_TOLERANCE_M = 0.003
_CLOSED_TOLERANCE_M = 0.002


class StageKind(IntEnum):
    """What a stage is part of; the numbers are those of the interfaces' feedback."""

    PLANNING = 1
    APPROACHING = 2
    GRASPING = 3
    CARRYING = 4
    PLACING = 5
    RETREATING = 6


class Whereabouts(str, Enum):
    """Where the container is while a stage runs, and if the stage is broken off."""

    SOURCE = "source"
    GRIPPER = "gripper"
    TARGET = "target"


@dataclass(frozen=True)
class Drive:
    """The base goes to a pose."""

    pose: BasePose
    duration_s: float
    """Expected, NaN where nobody knows; the base keeps its own time."""


@dataclass(frozen=True)
class Move:
    """The arm follows a trajectory."""

    trajectory: JointTrajectory

    @property
    def duration_s(self) -> float:
        """Of the trajectory."""
        return self.trajectory.duration_s


@dataclass(frozen=True)
class Grip:
    """The gripper opens or closes."""

    closed: bool
    gap_m: float
    """Between the fingers, as commanded; a container in between stops them earlier."""
    duration_s: float


@dataclass(frozen=True)
class Stage:
    """One movement of a transfer, done by one of the robot's controllers."""

    kind: StageKind
    step: str
    """For people, such as "drive to furnace_1"."""
    action: Drive | Move | Grip
    container: Whereabouts
    station: str = ""
    """That the arm reaches into meanwhile; empty: none."""


@dataclass(frozen=True)
class TransferPlan:
    """A whole transfer.

    Attributes:
        source: position the container is taken from.
        target: position it is put to.
        stages: in their order.
        path_length_m: way of the tool in the map, without drives from an unknown place.
    """

    source: str
    target: str
    stages: tuple[Stage, ...]
    path_length_m: float

    @property
    def duration_s(self) -> float:
        """Of all stages, as planned; NaN where that of a drive is not known."""
        return sum(stage.action.duration_s for stage in self.stages)

    def remaining_s(self, index: int) -> float:
        """Of the stages from `index` on."""
        return sum(stage.action.duration_s for stage in self.stages[index:])


class GripperReading(str, Enum):
    """What the gap between the fingers means."""

    OPEN = "open"
    CLOSED = "closed"
    """On nothing."""
    HOLDING = "holding"
    """Something between the fingers keeps them apart."""


@dataclass(frozen=True)
class RobotState:
    """Where the robot is before a transfer."""

    base: BasePose | None
    """None where it is not known: then it drives, and nobody knows how long."""
    joints_rad: tuple[float, ...] = MOBILE_ARM.tucked_rad
    gripper_gap_m: float = MOBILE_ARM.gripper_open_m

    @property
    def gripper(self) -> GripperReading:
        """What the gap between the fingers means."""
        if self.gripper_gap_m >= MOBILE_ARM.gripper_open_m - _OPEN_TOLERANCE_M:
            return GripperReading.OPEN
        if self.gripper_gap_m <= _CLOSED_TOLERANCE_M:
            return GripperReading.CLOSED
        return GripperReading.HOLDING


class NoPlan(LabError):
    """No safe movement does this transfer; nothing was moved.

    Attributes:
        source: where from.
        target: where to.
        reason: why there is none.
    """

    def __init__(self, source: str, target: str, reason: str) -> None:
        self.source = source
        self.target = target
        self.reason = reason
        super().__init__(f"No plan from {source} to {target}: {reason}.")


def is_gripper(position: str) -> bool:
    """Whether a position is that of a container the arm holds."""
    return position.rpartition("/")[2] == GRIPPER_POSITION
