"""One counted run of a policy in a world, and a file that remembers runs."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.proposer import Direction, Request
from precursors_kit.policies import Policy
from precursors_kit.worlds import World


@dataclass(frozen=True)
class Run:
    """What is remembered of a run.

    Attributes:
        world: name.
        policy: name.
        seed: of the policy, of the world's scatter and of errors of energies.
        wanted_at: numbers of the experiments, from 1, that were looked for.
        best: for every experiment the best objective until then.
        seconds: processor seconds per suggestion.
    """

    world: str
    policy: str
    seed: int
    wanted_at: list[int]
    best: list[float]
    seconds: float

    @property
    def first(self) -> int | None:
        """Number of the first experiment that was looked for."""
        return self.wanted_at[0] if self.wanted_at else None


def run(
    world: World, name: str, policy: Policy, seed: int, most: int, wanted: int | None = None
) -> Run:
    """Experiment until enough is found.

    Args:
        world: to experiment on.
        name: of the policy.
        policy: chooses.
        seed: of the policy.
        most: experiments at the most.
        wanted: ends when so many were found; None: goes on to `most`.
    """
    seen: list[Observation] = []
    found: list[int] = []
    best: list[float] = []
    spent = 0.0
    while len(seen) < most and (wanted is None or len(found) < wanted):
        request = Request(
            world.space, Direction.MAXIMIZE, tuple(seen), (), 1, 4, seed, world.synthesis
        )
        began = time.process_time()
        settings = policy(request)
        spent += time.process_time() - began
        if settings is None:
            break
        answer = world.answer(settings)
        number = len(seen) + 1
        seen.append(
            Observation(
                f"e{number:04d}",
                settings,
                ObservationStatus.MEASURED,
                answer.objective,
                answer.sigma,
                phases=answer.phases,
            )
        )
        if answer.wanted:
            found.append(number)
        best.append(max(answer.objective, best[-1] if best else 0.0))
    return Run(world.name, name, seed, found, best, spent / max(len(seen), 1))


class Memory:
    """Runs that were made, in a file of one JSON object a line; a benchmark may be cut in pieces.

    Args:
        path: of the file; None: nothing outlives the process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._runs: dict[tuple[str, str, int], Run] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._keep(Run(**json.loads(line)))

    def get(self, world: str, policy: str, seed: int) -> Run | None:
        """A run that was made."""
        return self._runs.get((world, policy, seed))

    def add(self, made: Run) -> None:
        """Remember a run."""
        self._keep(made)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(made)) + "\n")

    def _keep(self, made: Run) -> None:
        self._runs[made.world, made.policy, made.seed] = made
