"""A finite list of experiments to choose from, for planners that want one."""

from __future__ import annotations

import numpy as np

from matlab_ros.planning.proposer import Request, derived_seed
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.tried import first_free

SAMPLE = 500
"""Settings of a search space without end."""


def free_settings(request: Request) -> list[Settings]:
    """What is neither done nor under way: of a table all of it, otherwise a sample.

    The order of a table is random, because its own may carry knowledge that nobody should have. A
    sample is another one for each request.
    """
    rng = np.random.default_rng(derived_seed(request.seed, "pool"))
    table = request.space.table
    if table is not None:
        taken = request.taken
        left = [row for row in table if request.space.key(row) not in taken]
        return [left[index] for index in rng.permutation(len(left))]
    return first_free(request, request.space.sample(SAMPLE, rng), SAMPLE)
