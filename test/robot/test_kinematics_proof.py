"""Inverse kinematics on many poses, and beside pinocchio where it is installed."""

import math
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.robot.kinematics import forward, inverse, jacobian, wrapped
from matlab_ros.robot.mobile_arm import ARM_JOINTS, MOBILE_ARM
from matlab_ros.robot.poses import placed

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_random_reachable_poses_are_reached_to_a_nanometre(count: int) -> None:
    joints = np.random.default_rng(count).uniform(-math.pi, math.pi, (count, 6))
    poses = forward(joints)
    for begin in range(0, count, 5_000):
        pose, origin = poses[begin : begin + 5_000], joints[begin : begin + 5_000]
        solutions = inverse(pose)
        found = np.isfinite(solutions[..., 0])
        assert found.any(axis=1).all()
        miss = forward(np.nan_to_num(solutions))[..., :3, 3] - pose[:, None, :3, 3]
        assert np.linalg.norm(miss, axis=-1)[found].max() < 1e-9
        apart = np.abs(wrapped(solutions - origin[:, None])).max(axis=-1)
        assert np.nanmin(apart, axis=1).max() < 1e-4


class Pinocchio:
    """The description as pinocchio reads it, with the base at the map's origin."""

    def __init__(self) -> None:
        self.pin = pytest.importorskip("pinocchio", reason="pinocchio is not installed")
        xacro = pytest.importorskip("xacro", reason="xacro is not installed")
        text = xacro.process_file(str(ROOT / "urdf" / "mobile_arm.urdf.xacro")).toxml()
        self.model = self.pin.buildModelFromXML(text)
        self.data = self.model.createData()
        joints = [self.model.joints[self.model.getJointId(name)] for name in ARM_JOINTS]
        self.at, self.speed = [j.idx_q for j in joints], [j.idx_v for j in joints]
        self.flange = self.model.getFrameId("flange")
        self.foot = placed(MOBILE_ARM.mount_m)

    def pose(self, joints: np.ndarray) -> np.ndarray:
        """Of the flange in the arm's foot."""
        q = self.pin.neutral(self.model)
        q[self.at] = joints
        self.pin.computeJointJacobians(self.model, self.data, q)
        self.pin.updateFramePlacements(self.model, self.data)
        return np.linalg.inv(self.foot) @ self.data.oMf[self.flange].homogeneous

    def jacobian(self, joints: np.ndarray) -> np.ndarray:
        self.pose(joints)
        frame = self.pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        return self.pin.getFrameJacobian(self.model, self.data, self.flange, frame)[:, self.speed]

    def solved(self, pose: np.ndarray, start: np.ndarray) -> np.ndarray | None:
        """Damped least squares from a start, as pinocchio's documentation does it."""
        joints = start.copy()
        for _ in range(200):
            here = self.pose(joints)
            turn = pose[:3, :3] @ here[:3, :3].T
            error = np.concatenate((pose[:3, 3] - here[:3, 3], self.pin.log3(turn)))
            if np.linalg.norm(error) < 1e-10:
                return joints
            matrix = self.jacobian(joints)
            step = matrix.T @ np.linalg.solve(matrix @ matrix.T + 1e-8 * np.eye(6), error)
            joints = joints + step * min(1.0, 0.5 / np.abs(step).max())
        return None


def test_forward_kinematics_and_jacobian_are_pinocchios() -> None:
    other = Pinocchio()
    for joints in np.random.default_rng(8).uniform(-math.pi, math.pi, (200, 6)):
        assert other.pose(joints) == pytest.approx(forward(joints), abs=1e-9)
        assert other.jacobian(joints) == pytest.approx(jacobian(joints), abs=1e-9)


@pytest.mark.parametrize("count", [30, pytest.param(1_000, marks=pytest.mark.slow)])
def test_no_solution_that_pinocchios_numerical_solver_finds_is_missed(count: int) -> None:
    other, rng = Pinocchio(), np.random.default_rng(9)
    found = 0
    for joints in rng.uniform(-math.pi, math.pi, (count, 6)):
        pose = forward(joints)
        solution = other.solved(pose, rng.uniform(-math.pi, math.pi, 6))
        if solution is None:
            continue
        found += 1
        # Near singularities a pose fixes the joints less well than the solver's own error.
        slack = 1e-6 + 1e-9 / np.linalg.svd(jacobian(solution))[1][-1]
        apart = np.abs(wrapped(inverse(pose[None])[0] - solution)).max(axis=-1)
        assert np.nanmin(apart) < slack
    assert found > 0.5 * count
