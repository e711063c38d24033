"""Files that hold several scans: repeats are summed, others must be told apart by a person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.pattern import Pattern

MAX_BYTES = 64 * 1024 * 1024
MAX_POINTS = 2_000_000
_SAME_ANGLE_DEG = 1e-4
_MOST_LISTED = 6


def combined(path: str | Path, scans: Sequence[Pattern], scan: int | None = None) -> Pattern:
    """The scan asked for; without one the only scan, or the sum of repeats.

    Args:
        path: the file, for the message.
        scans: all of it, at least one.
        scan: which one, from 1.

    Raises:
        DataError: there is no such scan, or none was asked for and they cover different angles.
    """
    if scan is not None:
        if not 1 <= scan <= len(scans):
            raise DataError(path, f"it has no scan {scan}", f"ask for one of 1 to {len(scans)}")
        return scans[scan - 1]
    first = scans[0]
    angles = first.two_theta_deg
    for other in scans[1:]:
        same = other.two_theta_deg.shape == angles.shape and np.allclose(
            other.two_theta_deg, angles, rtol=0.0, atol=_SAME_ANGLE_DEG
        )
        if not same:
            raise DataError(
                path,
                f"its {len(scans)} scans cover different angles ({_listed(scans)})",
                "say which one is meant (--scan), or split it into one file per scan",
            )
    if len(scans) == 1:
        return first
    counts = np.sum([each.counts for each in scans], axis=0)
    sigma = None
    if any(each.sigma is not None for each in scans):
        sigma = np.sqrt(np.sum([each.uncertainty() ** 2 for each in scans], axis=0))
    remarks = tuple(dict.fromkeys(remark for each in scans for remark in each.remarks))
    return replace(
        first,
        counts=counts,
        sigma=sigma,
        counting_time_s=math.fsum(each.counting_time_s for each in scans),
        remarks=(*remarks, f"{len(scans)} scans over the same angles were summed."),
    )


def _listed(scans: Sequence[Pattern]) -> str:
    parts = [
        f"{i}: {each.two_theta_deg[0]:g} to {each.two_theta_deg[-1]:g}"
        for i, each in enumerate(scans[:_MOST_LISTED], start=1)
    ]
    return ", ".join(parts) + (", ..." if len(scans) > _MOST_LISTED else "")
