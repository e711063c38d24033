"""Algorithms of NIMO (https://github.com/NIMS-DA/nimo, MIT) as planners, where it is installed."""

from __future__ import annotations

import contextlib
import io
import math
import random
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import nimo as package
import numpy as np

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.nimo_files import (
    Candidates,
    read_proposals,
    write_candidates,
)
from matlab_ros.planning.plugins import no_options
from matlab_ros.planning.pool import free_settings
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.settings import Value
from matlab_ros.planning.tried import FAILED, tried, without_model

ALGORITHMS = ("PHYSBO", "RE", "BLOX", "PTR")
"""Random exploration, Bayesian optimisation, objective-free exploration, and the probability to hit
a range; those of NIMO that need nothing but candidates and one objective."""

SCORES = ("EI", "PI", "TS")


class NimoProposer:
    """Writes candidates.csv, has NIMO choose, reads proposals.csv.

    NIMO knows no experiment in flight and none that failed: these are left out of its candidates.
    Of a search space without end it is offered a sample.

    Args:
        algorithm: of NIMO.
        arguments: for it.
    """

    def __init__(self, algorithm: str, arguments: Mapping[str, object]) -> None:
        self._algorithm = algorithm
        self._arguments = dict(arguments)

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        free = free_settings(request)
        known = [item for item in tried(request) if item.value != FAILED]
        count = min(request.count, len(free))
        if not count:
            return []
        algorithm = self._algorithm
        if len(known) < 2 or len(known) + len(request.pending) < request.initial_experiments:
            # As NIMO's own examples do: its models cannot be fitted to nothing.
            algorithm = "RE"
        settings = [*free, *(item.settings for item in known)]
        features = request.space.features(settings)
        names = tuple(f"x{n}" for n in range(features.shape[1]))
        sign = request.direction.sign if self._algorithm == "PTR" else 1.0
        values = [(math.nan,)] * len(free) + [(sign * item.value,) for item in known]
        candidates = Candidates(
            names, ("objective",), tuple(map(tuple, features.tolist())), tuple(values)
        )
        chosen = self._select(algorithm, candidates, count, derived_seed(request.seed, "nimo"))
        method = f"NIMO {algorithm}"
        return [without_model(settings[action], method) for action in chosen if action < len(free)]

    def _select(self, algorithm: str, candidates: Candidates, count: int, seed: int) -> list[int]:
        arguments = {} if algorithm == "RE" else self._arguments
        with tempfile.TemporaryDirectory() as folder, _seeded(seed):
            asked, answered = Path(folder, "candidates.csv"), Path(folder, "proposals.csv")
            write_candidates(asked, candidates)
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                # Its forests complain of few experiments, which nobody can help.
                warnings.simplefilter("ignore")
                package.selection(
                    method=algorithm,
                    input_file=str(asked),
                    output_file=str(answered),
                    num_objectives=1,
                    num_proposals=count,
                    re_seed=seed,
                    **arguments,
                )
            return [item.action for item in read_proposals(answered)]


def nimo(options: Mapping[str, Value]) -> NimoProposer:
    """The algorithm that the options name.

    Args:
        options: ``algorithm`` (PHYSBO unless given), ``score`` of PHYSBO (EI, PI or TS), ``low``
            and ``high`` of PTR's range, in the objective's unit.

    Raises:
        PlanningError: they mean nothing to NIMO.
    """
    no_options("nimo", options, ("algorithm", "score", "low", "high"))
    algorithm = str(options.get("algorithm", "PHYSBO"))
    if algorithm not in ALGORITHMS:
        raise PlanningError(
            f"The planner 'nimo' has the algorithm {algorithm!r}; expected one of "
            f"{', '.join(ALGORITHMS)}."
        )
    if algorithm == "PHYSBO":
        score = str(options.get("score", "EI"))
        if score not in SCORES:
            raise PlanningError(
                f"The planner 'nimo' has the score {score!r}; expected one of {', '.join(SCORES)}."
            )
        return NimoProposer(algorithm, {"physbo_score": score})
    if algorithm == "PTR":
        low, high = options.get("low"), options.get("high")
        if not isinstance(low, float) or not isinstance(high, float) or low >= high:
            raise PlanningError(
                "NIMO's PTR looks for a range; expected the options low and high, low below high."
            )
        return NimoProposer(algorithm, {"ptr_ranges": [[low, high]]})
    return NimoProposer(algorithm, {})


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """NIMO draws from the generators that all share; they are left as they were."""
    before, before_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)
