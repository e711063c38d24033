"""Choosing experiments by an acquisition: one by one, or for furnace runs where there are such."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matlab_ros.planning.furnace_batches import choose_runs
from matlab_ros.planning.optimise import Acquisition, choose
from matlab_ros.planning.proposer import Request
from matlab_ros.planning.settings import Settings


def choose_for(
    request: Request,
    acquisition: Acquisition,
    near: Sequence[Settings],
    rng: np.random.Generator,
) -> list[tuple[Settings, float]]:
    """As many experiments as a request wants.

    Args:
        request: what is pending in it is known to the acquisition.
        acquisition: to be made large.
        near: good experiments that are looked around; what no suggestion may be is left out.
        rng: everything random follows from it.

    Returns:
        Settings and their worth; fewer than wanted where a finite space has nothing left.
    """
    space = request.space
    inside = [item for item in map(space.repair, near) if item is not None]
    if request.furnace is not None:
        return choose_runs(
            space,
            request.furnace,
            acquisition,
            request.count,
            taken=request.taken,
            pending=request.pending,
            near=inside,
            rng=rng,
            deadline=request.deadline,
        )
    return choose(
        space,
        acquisition,
        request.count,
        taken=request.taken,
        pending=[item.settings for item in request.pending],
        near=inside,
        rng=rng,
        deadline=request.deadline,
    )
