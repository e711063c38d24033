"""Both ends of a NIMO loop: our planner as its algorithm, and our lab as its robot."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from pathlib import Path

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.campaign import Campaign, CampaignPlan, Method
from matlab_ros.planning.nimo_files import (
    START,
    Candidates,
    read_proposals,
    settings_of,
    space_of_candidates,
    write_results,
)
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.plugins import no_options
from matlab_ros.planning.proposer import Direction, Proposal, Request
from matlab_ros.planning.settings import Settings, Value
from matlab_ros.planning.space import Key, SearchSpace
from matlab_ros.planning.tried import without_model

LOOK_S = 0.2
"""Steady seconds between two looks for a file."""


def propose_actions(
    candidates: Candidates,
    count: int,
    *,
    method: str = Method.BAYESIAN.value,
    direction: Direction = Direction.MAXIMIZE,
    seed: int = 0,
    initial_experiments: int = 6,
) -> list[int]:
    """The candidates that one of our planners wants measured next.

    Args:
        candidates: with one objective.
        count: how many are wanted.
        method: of ours, or a plug-in.
        direction: of the objective.
        seed: equal candidates and an equal seed give equal proposals.
        initial_experiments: space-filling ones before a model is used.

    Returns:
        Their numbers, fewer than `count` where nothing else is left.

    Raises:
        PlanningError: there are several objectives, or no such method.
    """
    if len(candidates.objectives) != 1:
        raise PlanningError(
            f"The candidates have {len(candidates.objectives)} objectives; expected one."
        )
    space, rows = space_of_candidates(candidates)
    plan = CampaignPlan(space, direction, method, initial_experiments, seed)
    campaign = Campaign(plan)
    free: dict[Key, int] = {}
    for action, settings in enumerate(rows):
        if candidates.is_measured(action):
            campaign.report(
                Observation(
                    f"action-{action:09d}",
                    settings,
                    ObservationStatus.MEASURED,
                    candidates.values[action][0],
                )
            )
        else:
            free.setdefault(space.key(settings), action)
    found = campaign.suggest(count)
    return [free[key] for item in found if (key := space.key(item.settings)) in free]


class LoopProposer:
    """The robot's end: proposes what NIMO has written, and writes what came of it.

    The files are its only memory: inputend.txt stands in the folder from when NIMO asks for a batch
    until its last result is known. A planner that starts again reads them and goes on.

    Args:
        folder: NIMO's folder of the robot, where the signals and results go.
        proposals: NIMO's proposals.csv.
    """

    packages = ()

    def __init__(self, folder: Path, proposals: Path) -> None:
        self._folder = folder
        self._proposals = proposals

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`. Waits for NIMO until the deadline.

        Raises:
            PlanningError: NIMO wrote nothing in time, or the batch before is still under way.
            DataError: the proposals cannot be read.
        """
        self.reported(request)
        waiting = threading.Event()
        while not (self._folder / START).exists():
            if request.deadline.is_over:
                raise PlanningError(
                    f"NIMO has proposed nothing: {START} did not appear in {self._folder}; start "
                    "its loop with machine STAN and this folder."
                )
            waiting.wait(LOOK_S)
        batch = self._batch(request.space)
        done = {request.space.key(_asked(item)) for item in request.observations}
        free = [
            settings
            for settings in dict.fromkeys(batch)
            if request.space.key(settings) not in request.taken
        ]
        if not free:
            left = sum(request.space.key(settings) not in done for settings in batch)
            raise PlanningError(
                f"{left} of NIMO's {len(batch)} proposals are still under way; make batch_size and "
                "max_in_flight equal to its number of proposals."
            )
        return [without_model(item, "nimo-loop") for item in free[: request.count]]

    def reported(self, request: Request) -> None:
        """Write the results of NIMO's batch once all of them are known.

        What did not work has the worst value measured so far, because NIMO has no word for it and
        would propose it again for ever; before there is any, and for what was abandoned, nothing.
        """
        if not (self._folder / START).exists():
            return
        known: dict[Key, Observation] = {
            request.space.key(_asked(item)): item for item in request.observations
        }
        found = [known.get(request.space.key(item)) for item in self._batch(request.space)]
        batch = [item for item in found if item is not None]
        if len(batch) < len(found):
            return
        sign = request.direction.sign
        measured = [item.objective for item in request.observations if item.has_value]
        worst = min(measured, key=lambda value: sign * value, default=math.nan)
        (self._folder / START).unlink()
        write_results(self._folder, [[_result(item, worst)] for item in batch])

    def _batch(self, space: SearchSpace) -> list[Settings]:
        return [settings_of(space, item) for item in read_proposals(self._proposals)]


def nimo_loop(options: Mapping[str, Value]) -> LoopProposer:
    """A lab that is the robot of a NIMO loop.

    Raises:
        PlanningError: the options ``folder`` and ``proposals`` do not name what is there.
    """
    no_options("nimo-loop", options, ("folder", "proposals"))
    folder = Path(str(options.get("folder", "")))
    if "folder" not in options or not folder.is_dir():
        raise PlanningError(
            f"The planner 'nimo-loop' has the folder {str(options.get('folder', ''))!r}; expected "
            "the folder of NIMO's robot, as option folder."
        )
    return LoopProposer(folder, Path(str(options.get("proposals", folder / "proposals.csv"))))


def _asked(observation: Observation) -> Settings:
    return observation.requested or observation.settings


def _result(observation: Observation, worst: float) -> float:
    if observation.has_value:
        return observation.objective
    return worst if observation.status is ObservationStatus.INFEASIBLE else math.nan
