"""Random transfers with faults: nothing is hit, no container is in two places, nothing is shaken.

Looked at every millisecond of what the kinematic robot really does, with the description's own
chain and bodies, sampled as points: no code of the planner's.
"""

from __future__ import annotations

import functools
import itertools
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from transforms3d.euler import euler2mat

from matlab_ros.model.lab_config import LabConfig, load_lab, position_points
from matlab_ros.robot.mobile_arm import ARM_JOINTS, BASE_JOINTS, MotionLimits
from matlab_ros.robot.plan import Drive, Grip, Move, RobotState
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.scene import Solid, container_solid, station_solids
from matlab_ros.robot.transfer import plan_transfer
from matlab_ros.virtual.robot import KinematicRobot, MotionFate, MotionOutcome, TrajectoryPoint

xacro = pytest.importorskip("xacro", reason="xacro is not installed")

ROOT = Path(__file__).parents[2]
STEP_S = 0.001
TOUCH_M = 0.0005
"""Points this deep inside a body are still on its surface."""
LIMITS = MotionLimits()
CARRIED = "carried"
Vectors = np.ndarray


@dataclass(frozen=True, eq=False)
class Body:
    """Points of a link's surface, in its frame, and the test whether a point is inside."""

    link: str
    points: Vectors
    rotation: Vectors
    origin: Vectors
    size: tuple[float, ...]
    """A box's three sides, or a cylinder's radius and length."""

    @functools.cached_property
    def middle(self) -> Vectors:
        return (self.points.min(axis=0) + self.points.max(axis=0)) / 2

    @functools.cached_property
    def around(self) -> Vectors:
        return np.ptp(self.points, axis=0) / 2

    def contains(self, points: Vectors) -> Vectors:
        local = (points - self.origin) @ self.rotation
        if len(self.size) == 3:
            return (np.abs(local) < np.array(self.size) / 2 - TOUCH_M).all(axis=-1)
        radius, length = self.size
        inside = np.hypot(local[..., 0], local[..., 1]) < radius - TOUCH_M
        return inside & (np.abs(local[..., 2]) < length / 2 - TOUCH_M)


def _grid(size: Vectors, step: float = 0.02) -> Vectors:
    """Points on the surface of a box around the origin."""
    lines = [np.linspace(-s / 2, s / 2, max(2, math.ceil(s / step) + 1)) for s in size]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[(np.abs(np.abs(points) - np.array(size) / 2) < 1e-9).any(axis=1)]


@functools.cache
def _solid_points(solid: Solid) -> Vectors:
    return _grid(np.array(solid.size_m)) + np.array(solid.centre_m)


def _round(radius: float, length: float, step: float = 0.02) -> Vectors:
    """Points on the surface of a cylinder around z."""
    found = []
    turns = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    ring = np.column_stack((np.cos(turns), np.sin(turns)))
    for z in np.linspace(-length / 2, length / 2, math.ceil(length / step) + 1):
        at_end = abs(abs(z) - length / 2) < 1e-9
        for r in np.linspace(0, radius, 4)[1:] if at_end else [radius]:
            found.append(np.column_stack((r * ring, np.full(len(ring), z))))
    return np.concatenate(found)


class Description:
    """The robot as its URDF says it: bodies, and where they are."""

    def __init__(self) -> None:
        text = xacro.process_file(str(ROOT / "urdf" / "mobile_arm.urdf.xacro")).toxml()
        robot = ElementTree.fromstring(text)
        self.joints = {}
        for joint in robot.findall("joint"):
            origin, axis = joint.find("origin"), joint.find("axis")
            frame = np.eye(4)
            if origin is not None:
                frame[:3, :3] = euler2mat(*_numbers(origin.get("rpy")))
                frame[:3, 3] = _numbers(origin.get("xyz"))
            self.joints[joint.find("child").get("link")] = (
                joint.find("parent").get("link"),
                joint.get("name"),
                joint.get("type"),
                frame,
                _numbers(None if axis is None else axis.get("xyz")),
            )
        self.bodies = [
            self._body(link) for link in robot.findall("link") if link.find("collision") is not None
        ]
        # The planner's carried container: what the fingers hold 25 mm above its bottom.
        standing = np.array([0.0, 0.0, 0.16 + 0.025 - 0.02])
        points = _round(0.015, 0.04, 0.005) + standing
        self.bodies.append(Body(CARRIED, points, np.eye(3), standing, (0.015, 0.04)))
        self.joints[CARRIED] = ("gripper_link", None, "fixed", np.eye(4), np.zeros(3))

    @staticmethod
    def _body(link: ElementTree.Element) -> Body:
        origin = link.find("collision/origin")
        rotation = np.array(euler2mat(*_numbers(origin.get("rpy"))))
        centre = _numbers(origin.get("xyz"))
        box, tube = link.find("collision/geometry/box"), link.find("collision/geometry/cylinder")
        if box is not None:
            size = tuple(_numbers(box.get("size")))
            points = _grid(np.array(size))
        else:
            size = (float(tube.get("radius")), float(tube.get("length")))
            points = _round(*size)
        name = link.get("name")
        return Body(name, points @ rotation.T + centre, rotation, centre, size)

    def frames(self, states: dict[str, Vectors]) -> dict[str, Vectors]:
        """Pose of every body's link; states of shape (n,) to frames of shape (n, 4, 4)."""
        count = len(next(iter(states.values())))
        known: dict[str, Vectors] = {"map": np.broadcast_to(np.eye(4), (count, 4, 4))}

        def frame(link: str) -> Vectors:
            if link not in known:
                parent, name, kind, origin, axis = self.joints[link]
                step = np.broadcast_to(np.eye(4), (count, 4, 4)).copy()
                value = states.get(name, np.zeros(count))
                if kind in ("revolute", "continuous"):
                    assert tuple(axis) == (0, 0, 1)
                    step[:, 0, 0] = step[:, 1, 1] = np.cos(value)
                    step[:, 1, 0] = np.sin(value)
                    step[:, 0, 1] = -step[:, 1, 0]
                elif kind == "prismatic":
                    step[:, :3, 3] = value[:, None] * axis
                known[link] = frame(parent) @ origin @ step
            return known[link]

        return {body.link: frame(body.link) for body in self.bodies}

    @functools.cached_property
    def pairs(self) -> list[tuple[Body, Body]]:
        """Bodies with two joints of the arm or more between them."""
        return [
            (body, other)
            for body, other in itertools.combinations(self.bodies, 2)
            if abs(self._depth(body.link) - self._depth(other.link)) >= 2
        ]

    def _depth(self, link: str) -> int:
        depth = 0
        while link in self.joints:
            link, name, _, _, _ = self.joints[link]
            depth += name in ARM_JOINTS
        return depth


def _numbers(text: str | None) -> Vectors:
    return np.array([float(word) for word in (text or "0 0 0").split()])


@dataclass
class Watch:
    """Looks at every motion as it was made."""

    description: Description
    fixed: list[Solid]
    hits: list[str] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    milliseconds: int = 0

    def look(self, states: dict[str, Vectors], holds: bool, standing: list[Solid]) -> None:
        """One motion: states of shape (n,) at steps of a millisecond."""
        solids = self.fixed + standing
        key = b"".join(
            [np.round(value, 7).tobytes() for value in states.values()]
            + [str(holds).encode(), *(solid.name.encode() for solid in standing)]
        )
        self.milliseconds += len(next(iter(states.values())))
        if key in self.seen:
            return
        self.seen.add(key)
        lower = np.array([solid.lower_m for solid in solids])
        upper = np.array([solid.upper_m for solid in solids])
        for begin in range(0, len(next(iter(states.values()))), 100):
            part = {name: value[begin : begin + 100] for name, value in states.items()}
            self._look(part, holds, solids, lower, upper)

    def _look(
        self,
        states: dict[str, Vectors],
        holds: bool,
        solids: list[Solid],
        lower: Vectors,
        upper: Vectors,
    ) -> None:
        frames = self.description.frames(states)
        bodies = [body for body in self.description.bodies if holds or body.link != CARRIED]
        boxes = {}
        for body in bodies:
            frame = frames[body.link]
            middle = frame[:, :3, :3] @ body.middle + frame[:, :3, 3]
            reach = np.abs(frame[:, :3, :3]) @ body.around
            low, high = (middle - reach).min(axis=0), (middle + reach).max(axis=0)
            boxes[body.link] = low, high
            close = np.flatnonzero(((lower < high) & (upper > low)).all(axis=1))
            for index in close:
                self._touch(body, frame, solids[index], low, high)
        for body, other in self.description.pairs:
            if body.link not in boxes or other.link not in boxes:
                continue
            (low, high), (low_2, high_2) = boxes[body.link], boxes[other.link]
            if (low < high_2).all() and (low_2 < high).all():
                self._touch_each_other(body, other, frames)

    def _touch(self, body: Body, frame: Vectors, solid: Solid, low: Vectors, high: Vectors) -> None:
        points = np.einsum("nij,pj->npi", frame[:, :3, :3], body.points) + frame[:, None, :3, 3]
        inner_low, inner_high = np.array(solid.lower_m) + TOUCH_M, np.array(solid.upper_m) - TOUCH_M
        inside = ((points > inner_low) & (points < inner_high)).all(axis=-1).any()
        corners = _solid_points(solid)
        corners = corners[((corners > low) & (corners < high)).all(axis=1)]
        back = np.einsum("nji,npj->npi", frame[:, :3, :3], corners[None] - frame[:, None, :3, 3])
        if inside or body.contains(back).any():
            self.hits.append(f"{body.link} hit {solid.name}")

    def _touch_each_other(self, body: Body, other: Body, frames: dict[str, Vectors]) -> None:
        for one, two in ((body, other), (other, body)):
            back = np.linalg.inv(frames[two.link]) @ frames[one.link]
            middle = back[:, :3, :3] @ one.middle + back[:, :3, 3]
            reach = np.abs(back[:, :3, :3]) @ one.around + two.around
            close = back[(np.abs(middle - two.middle) < reach).all(axis=1)]
            points = one.points @ np.swapaxes(close[:, :3, :3], 1, 2) + close[:, None, :3, 3]
            if two.contains(points).any():
                self.hits.append(f"{one.link} hit {two.link}")


class Lab:
    """Containers, where they stand, and the robot that carries them."""

    def __init__(self, lab: LabConfig, watch: Watch, seed: int) -> None:
        self.lab, self.watch = lab, watch
        self.points = position_points(lab)
        self.rng = np.random.default_rng(seed)
        self.where = lab.container_homes()
        """Container to position, "gripper" or "floor"."""
        self.robot = KinematicRobot(self.points, self._pick, self._place, dropped=self._drop)
        self.now = 0.0
        self.worst_tool_m_s2 = self.worst_joint = self.worst_tilt = 0.0

    def _pick(self, position: str) -> bool:
        found = [name for name, at in self.where.items() if at == position]
        if found:
            self.where[found[0]] = "gripper"
        return bool(found)

    def _place(self, position: str) -> bool:
        if position in self.where.values():
            return False
        self.where[self._held()] = position
        return True

    def _drop(self) -> None:
        self.where[self._held()] = "floor"

    def _held(self) -> str:
        (held,) = [name for name, at in self.where.items() if at == "gripper"]
        return held

    def state(self) -> RobotState:
        joints = self.robot.joint_state()
        at = dict(zip(joints.names, joints.positions, strict=True))
        return RobotState(
            BasePose(*self.robot.base_pose()),
            tuple(at[name] for name in ARM_JOINTS),
            self.robot.gripper_gap_m(),
        )

    def standing(self) -> list[Solid]:
        return [
            container_solid(position, self.points[position])
            for position in self.where.values()
            if position in self.points
        ]

    def transfer(self) -> str:
        """One random transfer, with a random misfortune; how it ended."""
        for name, at in self.where.items():
            if at == "floor":  # a person finds it, and puts it where the gripper is not
                self.where[name] = self._somewhere(away_m=0.1)
        source = "arm/gripper"
        if not self.robot.holds:
            source = str(self.rng.choice(sorted(self.where.values())))
        target = self._somewhere()
        fate = list(MotionFate)[int(self.rng.choice(len(MotionFate), p=(0.6, 0.1, 0.1, 0.1, 0.1)))]
        after = int(self.rng.integers(0, 8))
        plan = plan_transfer(self.lab, source, target, self.state())
        for index, stage in enumerate(plan.stages):
            self.robot.next_fate = fate if index == after else MotionFate.NORMAL
            ending = self._do(stage.action)
            self._check_places()
            if ending in (MotionOutcome.CANCELED, MotionOutcome.NOTHING_THERE):
                return ending.value
            if stage.container.value == "gripper" and not self.robot.holds:
                return "dropped"
        assert target in self.where.values()
        return "done"

    def _somewhere(self, away_m: float = 0.0) -> str:
        tool = self.robot.tool_point()
        empty = set(self.points) - set(self.where.values())
        far = [name for name in empty if math.dist(self.points[name], tool) >= away_m]
        return str(self.rng.choice(sorted(far)))

    def _check_places(self) -> None:
        taken = [at for at in self.where.values() if at != "floor"]
        assert len(taken) == len(set(taken))
        assert ("gripper" in taken) == self.robot.holds

    def _do(self, action: Drive | Move | Grip) -> MotionOutcome:
        if isinstance(action, Grip):
            motion = self.robot.command_gripper(action.closed, self.now)
        elif isinstance(action, Drive):
            pose = action.pose
            motion = self.robot.start_drive((pose.x_m, pose.y_m, pose.yaw_rad), self.now)
            self._watch_drive(motion.began_s, motion.ends_s)
        else:
            way = action.trajectory
            points = [
                TrajectoryPoint(float(t), tuple(q), tuple(v))
                for t, q, v in zip(
                    way.times_s, way.positions_rad, way.velocities_rad_s, strict=True
                )
            ]
            motion = self.robot.start_trajectory(way.joints, points, self.now)
            self._watch_move(motion)
        if math.isinf(motion.ends_s):
            self.now += float(self.rng.uniform(0.1, 3.0))
            self.robot.advance_to(self.now)
            self.robot.cancel_drive(self.now)
        else:
            self.now = motion.ends_s
            self.robot.advance_to(self.now)
        assert motion.outcome is not None
        return motion.outcome

    def _states(self, count: int) -> dict[str, Vectors]:
        reading = self.robot.joint_state()
        return {
            name: np.full(count, value)
            for name, value in zip(reading.names, reading.positions, strict=True)
        }

    def _watch_drive(self, began: float, ends: float) -> None:
        if math.isinf(ends):
            return
        times = np.arange(began, ends, 0.010)  # 9 mm at most
        states = self._states(len(times))
        for name, values in zip(
            BASE_JOINTS, np.array([self.robot.base_pose(t) for t in times]).T, strict=True
        ):
            states[name] = values
        self.watch.look(states, self.robot.holds, self.standing())

    def _watch_move(self, motion: object) -> None:
        times = np.arange(0.0, motion.ends_s - motion.began_s, STEP_S)
        joints = motion.path(times)
        states = self._states(len(times))
        for index, name in enumerate(ARM_JOINTS):
            states[name] = joints[:, index]
        self.watch.look(states, self.robot.holds, self.standing())
        if len(times) < 10:
            return
        speed = np.gradient(joints, STEP_S, axis=0)
        joint = np.abs(np.gradient(speed, STEP_S, axis=0))[2:-2]
        self.worst_joint = max(self.worst_joint, float(joint.max()))
        if self.robot.holds:
            tool = self.watch.description.frames(states)[CARRIED]
            place = tool[:, :3, :3] @ np.array([0, 0, 0.16]) + tool[:, :3, 3]
            speed = np.gradient(place, STEP_S, axis=0)
            shaken = np.linalg.norm(np.gradient(speed, STEP_S, axis=0), axis=1)[2:-2]
            self.worst_tool_m_s2 = max(self.worst_tool_m_s2, float(shaken.max()))
            tilt = np.arctan2(np.hypot(tool[:, 0, 2], tool[:, 1, 2]), -tool[:, 2, 2])
            self.worst_tilt = max(self.worst_tilt, float(tilt.max()))


@pytest.fixture(scope="module")
def description() -> Description:
    return Description()


def _fixed(lab: LabConfig) -> list[Solid]:
    return [solid for station in lab.stations for solid in station_solids(station)]


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_random_transfers_with_faults_hit_nothing(description: Description, count: int) -> None:
    config = load_lab(ROOT / "config" / "labs" / "virtual_lab.yaml")
    watch = Watch(description, _fixed(config))
    lab = Lab(config, watch, seed=count)
    endings = [lab.transfer() for _ in range(count)]
    assert not set(watch.hits)
    assert watch.milliseconds > 1000 * count
    assert endings.count("done") > 0.5 * count
    assert {"done", "canceled", "dropped"} >= set(endings) >= {"done", "canceled"}
    assert lab.worst_tilt <= LIMITS.carried_tilt_rad
    assert lab.worst_joint <= 1.001 * max(
        LIMITS.joint_acceleration_rad_s2
    )  # differences of doubles
    assert lab.worst_tool_m_s2 <= LIMITS.carried_acceleration_m_s2
