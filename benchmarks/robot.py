"""How fast and how exactly the arm's kinematics are solved, and how fast transfers are planned.

    python benchmarks/robot.py [--poses 100000] [--transfers 300] [--seed 0]

Where pinocchio and coal are installed (pip install pin), their answers stand beside ours. Writes
benchmarks/results/robot.md beside this file and prints the same.
"""

from __future__ import annotations

import argparse
import importlib
import math
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from matlab_ros.model.lab_config import load_lab, position_points
from matlab_ros.robot import clearance, transfer
from matlab_ros.robot.bodies import blocks, placed_bodies
from matlab_ros.robot.collision import box_gap, capsule_box_gap
from matlab_ros.robot.kinematics import forward, inverse, jacobian, wrapped
from matlab_ros.robot.mobile_arm import ARM_JOINTS
from matlab_ros.robot.plan import RobotState
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.reach import reach
from matlab_ros.robot.scene import scene_of

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).resolve().parent / "results" / "robot.md"


def seconds(call: Callable[[], object]) -> float:
    """Of the processor."""
    began = time.process_time()
    call()
    return time.process_time() - began


def inverse_rows(count: int, seed: int) -> list[str]:
    """Error, completeness and time of the inverse kinematics."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform(-math.pi, math.pi, (count, 6))
    poses = forward(joints)
    solutions = np.concatenate([inverse(poses[i : i + 5000]) for i in range(0, count, 5000)])
    stacked = min(
        seconds(lambda: [inverse(poses[i : i + 5000]) for i in range(0, count, 5000)])
        for _ in range(3)
    )
    found = np.isfinite(solutions[..., 0])
    miss = np.concatenate(
        [
            np.linalg.norm(
                forward(np.nan_to_num(solutions[i : i + 5000]))[..., :3, 3]
                - poses[i : i + 5000, None, :3, 3],
                axis=-1,
            )
            for i in range(0, count, 5000)
        ]
    )[found]
    apart = np.nanmin(np.abs(wrapped(solutions - joints[:, None])).max(axis=-1), axis=1)
    single = [seconds(lambda i=i: inverse(poses[i : i + 1])) for i in range(min(count, 2000))]
    return [
        f"| poses | {count} |",
        f"| solutions a pose, mean | {found.sum() / count:.2f} |",
        f"| poses without the joints they were made from (within 1e-4 rad) | "
        f"{int((apart > 1e-4).sum())} |",
        f"| largest error of position, m | {miss.max():.1e} |",
        f"| time a pose (all branches), 5000 at once, us | {stacked / count * 1e6:.1f} |",
        f"| time a solution, 5000 at once, us | {stacked / found.sum() * 1e6:.2f} |",
        f"| time of one pose alone (all branches), median, us | {np.median(single) * 1e6:.0f} |",
    ]


def pinocchio_rows(count: int, seed: int) -> list[str]:
    """Beside pinocchio: forward kinematics, Jacobian, and what its numerical solver finds."""
    try:
        pin = importlib.import_module("pinocchio")
        xacro = importlib.import_module("xacro")
    except ImportError:
        return ["| pinocchio or xacro is not installed | |"]
    text = xacro.process_file(str(ROOT / "urdf" / "mobile_arm.urdf.xacro")).toxml()
    model = pin.buildModelFromXML(text)
    data = model.createData()
    arm = [model.joints[model.getJointId(name)] for name in ARM_JOINTS]
    flange, foot = model.getFrameId("flange"), model.getFrameId("arm_foot")

    def pose(joints: np.ndarray) -> np.ndarray:
        q = pin.neutral(model)
        q[[joint.idx_q for joint in arm]] = joints
        pin.computeJointJacobians(model, data, q)
        pin.updateFramePlacements(model, data)
        return (data.oMf[foot].inverse() * data.oMf[flange]).homogeneous

    def rates() -> np.ndarray:
        frame = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        return pin.getFrameJacobian(model, data, flange, frame)[:, [joint.idx_v for joint in arm]]

    rng = np.random.default_rng(seed)
    forward_gap = jacobian_gap = 0.0
    solved = missed = 0
    times = []
    for joints in rng.uniform(-math.pi, math.pi, (count, 6)):
        goal = forward(joints)
        forward_gap = max(forward_gap, float(np.abs(pose(joints) - goal).max()))
        jacobian_gap = max(jacobian_gap, float(np.abs(rates() - jacobian(joints)).max()))
        guess, began = rng.uniform(-math.pi, math.pi, 6), time.process_time()
        for _ in range(200):
            here = pose(guess)
            turn = pin.log3(goal[:3, :3] @ here[:3, :3].T)
            error = np.concatenate((goal[:3, 3] - here[:3, 3], turn))
            if np.linalg.norm(error) < 1e-10:
                break
            matrix = rates()
            step = matrix.T @ np.linalg.solve(matrix @ matrix.T + 1e-8 * np.eye(6), error)
            guess = guess + step * min(1.0, 0.5 / np.abs(step).max())
        else:
            continue
        times.append(time.process_time() - began)
        solved += 1
        slack = 1e-6 + 1e-9 / np.linalg.svd(jacobian(guess))[1][-1]
        apart = np.abs(wrapped(inverse(goal[None])[0] - guess)).max(axis=-1)
        missed += int(np.nanmin(apart) > slack)
    return [
        f"| largest difference of forward kinematics, {count} configurations | {forward_gap:.1e} |",
        f"| largest difference of the Jacobian | {jacobian_gap:.1e} |",
        f"| solved by its damped least squares from one random start | {solved} of {count} |",
        f"| its solutions that ours do not have | {missed} |",
        f"| its time for one solution (loop in Python), us | {np.median(times) * 1e6:.0f} |",
    ]


def forget() -> None:
    """What was planned before."""
    reach.cache_clear()
    transfer._way_parts.cache_clear()
    clearance.contact_on_drive.cache_clear()
    scene_of.cache_clear()


def planning_row(name: str, count: int, seed: int) -> str:
    """Times of whole plans in a lab, each from nothing and again."""
    lab = load_lab(ROOT / "config" / "labs" / f"{name}.yaml")
    positions, rng = sorted(position_points(lab)), np.random.default_rng(seed)
    start = RobotState(BasePose(*lab.stations[0].base_pose))
    first, again = [], []
    for _ in range(count):
        source, target = (str(position) for position in rng.choice(positions, 2, replace=False))
        forget()
        for times in (first, again):
            times.append(
                seconds(lambda s=source, t=target: transfer.plan_transfer(lab, s, t, start)) * 1e3
            )
    columns = [
        f"{np.percentile(times, at):.1f}" for times in (first, again) for at in (50, 95, 100)
    ]
    return f"| {name} | {len(positions)} | {count} | " + " | ".join(columns) + " |"


def kernel_rows(seed: int) -> list[str]:
    """Times of the distances."""
    rng = np.random.default_rng(seed)
    bodies = placed_bodies(rng.uniform(-3, 3, (10_000, 6)), np.eye(4), blocks(0.05, 0.05))
    boxes = rng.uniform(-1, 1, (10_000, 3)), np.broadcast_to(np.eye(3), (10_000, 3, 3))
    half = rng.uniform(0.01, 0.3, (10_000, 3))
    tube = seconds(
        lambda: capsule_box_gap(bodies.ends[:, 1], bodies.radii[1], boxes[0], boxes[1], half)
    )
    box = seconds(
        lambda: box_gap(
            bodies.centres[:, 2], bodies.axes[:, 2], bodies.halves[2], boxes[0], boxes[1], half
        )
    )
    return [
        f"| capsule and box, exact distance | {tube * 100:.1f} |",
        f"| box and box, 15 axes | {box * 100:.1f} |",
    ]


def installed(package: str) -> str:
    """Its version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=100_000)
    parser.add_argument("--transfers", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    versions = ", ".join(installed(name) for name in ("numpy", "scipy", "ruckig", "pin", "coal"))
    two = ["| | |", "|---|---|"]
    lines = [
        "## Robot",
        "",
        f"Python {platform.python_version()}, {versions}; {platform.machine()}, shared cores; "
        f"seed {arguments.seed}. Times are of the processor, one thread.",
        "",
        "### Inverse kinematics of the UR5e, closed form, numpy",
        "",
        *two,
        *inverse_rows(arguments.poses, arguments.seed),
        "",
        "### Beside pinocchio",
        "",
        *two,
        *pinocchio_rows(1000, arguments.seed),
        "",
        "### Whole plans, ms",
        "",
        "Every movement of a transfer with its collision checks, between random positions; first "
        "with nothing remembered, then once more.",
        "",
        "| lab | positions | plans | median | 95 % | most | again: median | 95 % | most |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            planning_row(name, arguments.transfers, arguments.seed)
            for name in ("virtual_lab", "a_lab")
        ),
        "",
        "### Distances, us a pair, 10000 at once",
        "",
        *two,
        *kernel_rows(arguments.seed),
        "",
        "Distances of boxes are those along the axes that part them: never more than the true one. "
        "Stations, furnaces and robot are drawn from boxes and capsules of our own; a real lab is "
        "checked only as well as its file says where things stand.",
        "",
    ]
    text = "\n".join(lines)
    RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
