"""Kinematics of the arm: every branch is right, none is missed, singularities are told."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.robot.kinematics import (
    BRANCHES,
    Singularity,
    forward,
    inverse,
    jacobian,
    nearest_turn,
    singularities,
    wrapped,
)

angles = st.floats(-math.pi, math.pi, allow_nan=False)


def test_forward_gives_the_published_reach_of_the_stretched_arm() -> None:
    flange = forward(np.zeros(6))
    assert flange[:3, 3] == pytest.approx([-0.8172, -0.2329, 0.0628], abs=1e-12)


def test_every_solution_reaches_the_pose_and_the_original_is_among_them() -> None:
    joints = np.random.default_rng(1).uniform(-math.pi, math.pi, (20_000, 6))
    poses = forward(joints)
    solutions = inverse(poses)
    found = np.isfinite(solutions[..., 0])
    errors = np.abs(forward(np.nan_to_num(solutions)) - poses[:, None]).max(axis=(-1, -2))
    assert errors[found].max() < 1e-9
    apart = np.abs(wrapped(solutions - joints[:, None])).max(axis=-1)
    assert (np.nanmin(apart, axis=1) < 1e-5).all()


@given(st.tuples(*[angles] * 6))
@settings(max_examples=300, deadline=None)
def test_inverse_undoes_forward_also_at_special_angles(joints: tuple[float, ...]) -> None:
    pose = forward(np.array(joints))
    solutions = inverse(pose[None])[0]
    found = solutions[np.isfinite(solutions[:, 0])]
    if not singularities(np.array(joints), 1e-3):
        assert len(found) > 0
    for solution in found:
        assert np.abs(forward(solution) - pose).max() < 1e-6


def test_branches_stay_the_same_along_a_path() -> None:
    joints = np.linspace([0.3, -1.2, 1.0, -1.3, -1.4, 0.2], [0.9, -1.6, 1.5, -1.0, -1.8, 0.9], 50)
    solutions = inverse(forward(joints))
    apart = np.abs(wrapped(solutions - joints[:, None])).max(axis=-1)
    assert len(set(np.nanargmin(apart, axis=1))) == 1
    assert len(set(BRANCHES)) == 8


def test_a_pose_out_of_reach_has_no_solution() -> None:
    pose = forward(np.zeros(6))
    pose[0, 3] -= 0.5
    assert np.isnan(inverse(pose[None])).all()


def test_a_free_last_joint_takes_the_value_it_is_given() -> None:
    pose = forward(np.array([0.4, -1.0, 1.2, -0.5, 0.0, 0.7]))
    solutions = inverse(pose[None], wrist_3_rad=0.25)[0]
    free = np.abs(solutions[:, 4]) < 1e-7
    assert free.any()
    assert solutions[free, 5] == pytest.approx(np.full(free.sum(), 0.25))


def test_jacobian_is_the_derivative_of_forward() -> None:
    step = 1e-6
    for joints in np.random.default_rng(2).uniform(-math.pi, math.pi, (20, 6)):
        matrix = jacobian(joints)
        for index in range(6):
            moved = joints.copy()
            moved[index] += step
            before, after = forward(joints), forward(moved)
            assert matrix[:3, index] == pytest.approx(
                (after[:3, 3] - before[:3, 3]) / step, abs=1e-5
            )
            spin = (after[:3, :3] - before[:3, :3]) / step @ before[:3, :3].T
            turned = [spin[2, 1], spin[0, 2], spin[1, 0]]
            assert matrix[3:, index] == pytest.approx(turned, abs=1e-5)


@pytest.mark.parametrize(
    ("joints", "expected"),
    [
        ([0.4, -1.0, 1.2, -0.5, 0.0, 0.7], Singularity.WRIST),
        ([0.4, -1.0, 0.0, -0.5, 1.0, 0.7], Singularity.ELBOW),
    ],
)
def test_singularities_are_where_the_jacobian_loses_rank(
    joints: list[float], expected: Singularity
) -> None:
    assert expected in singularities(np.array(joints))
    assert np.linalg.svd(jacobian(np.array(joints)))[1][-1] < 1e-9


def test_the_wrist_above_the_shoulder_is_a_singularity() -> None:
    # Aim the centre of the wrist at the first joint's axis, offset by d4 as it must be.
    base = np.array([0.3, -1.0, 1.9, -0.5, 1.0, 0.2])
    lifts = np.linspace(-3.0, 0.0, 30_001)
    candidates = np.repeat(base[None], len(lifts), axis=0)
    candidates[:, 1] = lifts
    ranks = np.linalg.svd(jacobian(candidates), compute_uv=False)[:, -1]
    worst = candidates[int(np.argmin(ranks))]
    assert ranks.min() < 1e-3
    assert Singularity.SHOULDER in singularities(worst)


@given(angles, st.floats(-6.2, 6.2))
def test_the_nearest_turn_is_the_same_angle_and_at_most_half_a_turn_away_where_allowed(
    angle: float, target: float
) -> None:
    lower, upper = np.full(6, -2 * math.pi), np.full(6, 2 * math.pi)
    turned = nearest_turn(np.full(6, angle), np.full(6, target), lower, upper)
    assert np.cos(turned) == pytest.approx(np.cos(np.full(6, angle)), abs=1e-9)
    assert (turned >= lower - 1e-9).all()
    assert (turned <= upper + 1e-9).all()
    if abs(target) < math.pi:
        assert np.abs(turned - target).max() <= math.pi + 1e-9
