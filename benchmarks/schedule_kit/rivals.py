"""Simple ways to schedule, to compare with: in order, at random, and greedily."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import replace

from matlab_ros.lab.allocator import Request
from matlab_ros.lab.feed_queue import Feed, FeedQueue
from matlab_ros.lab.floor import Floor
from matlab_ros.lab.furnaces import FurnaceOrders, Furnaces, Load
from matlab_ros.lab.heat_values import Group
from matlab_ros.lab.run_queue import RunQueue
from matlab_ros.lab.scheduler import Scheduler, Task
from matlab_ros.lab.state import ExperimentRun, LabState
from matlab_ros.lab.wants import Want


class GreedyFurnaces(Furnaces):
    """Whoever is ready goes to the next furnace that takes him; it starts when nobody who is ready
    could join: this repository's rule before it planned ahead."""

    def orders(
        self,
        state: LabState,
        wants: dict[str, Want],
        waiting: dict[Group, RunQueue],
        others: dict[str, FeedQueue],
        fired: Collection[str],
        now_ns: int,
    ) -> FurnaceOrders:
        """See `Furnaces.orders`."""
        orders = FurnaceOrders()
        ready = self._ready(state, wants, waiting)
        for load in self.idle(state, wants):
            if load.strangers:
                if ready:
                    orders.wanted.add(load.station)
            elif load.group is None:
                for group in ready:
                    orders.loadable.setdefault(group, []).append(load.station)
            elif load.held < load.slots and self.is_awaited(load, ready, others):
                orders.loadable.setdefault(load.group, []).insert(0, load.station)
            elif load.members and not load.coming:
                orders.starts.append(load)
        return orders

    def is_awaited(
        self, load: Load, ready: dict[Group, list[ExperimentRun]], others: dict[str, FeedQueue]
    ) -> bool:
        """Whether a furnace with room waits for more."""
        assert load.group is not None
        return bool(ready.get(load.group))


class GreedyScheduler(Scheduler):
    """Those who are furthest go first."""

    def __init__(self, floor: Floor, is_usable: Callable[[str], bool]) -> None:
        super().__init__(floor, is_usable)
        self._furnaces = GreedyFurnaces(floor, is_usable, self._groups)

    def _feed(self, state: LabState, want: Want) -> Feed:
        return Feed(0, (), 0, 1, want.run.ordinal)

    def requests(self, state: LabState, now_ns: int) -> list[Request[Task]]:
        """See `Scheduler.requests`."""
        return [self.ranked(state, item) for item in super().requests(state, now_ns)]

    def ranked(self, state: LabState, request: Request[Task]) -> Request[Task]:
        """The request with this rival's priority."""
        run = self.run_of(state, request)
        done = sum(task.state.satisfies for task in run.steps)
        return replace(request, priority=done, deadline_ns=0, since_ns=2**62)

    def run_of(self, state: LabState, request: Request[Task]) -> ExperimentRun:
        """Whose request it is."""
        task = request.alternatives[0].task
        name = getattr(task, "experiment_id", "") or task.works[0][0]  # type: ignore[union-attr]
        return state.experiments[name]


class FifoScheduler(GreedyScheduler):
    """Those who came first go first, whatever it is."""

    def ranked(self, state: LabState, request: Request[Task]) -> Request[Task]:
        """See `GreedyScheduler.ranked`."""
        return replace(request, priority=0, deadline_ns=0, since_ns=2**62)


class RandomScheduler(GreedyScheduler):
    """Whoever is drawn goes first; seeded."""

    def __init__(self, floor: Floor, is_usable: Callable[[str], bool]) -> None:
        super().__init__(floor, is_usable)
        self._chance = random.Random(7)

    def _feed(self, state: LabState, want: Want) -> Feed:
        return Feed(0, (), 0, 1, self._chance.randrange(2**62))

    def ranked(self, state: LabState, request: Request[Task]) -> Request[Task]:
        """See `GreedyScheduler.ranked`."""
        return replace(
            request, priority=self._chance.randrange(1000), deadline_ns=0, since_ns=2**62
        )


RIVALS: dict[str, Callable[[Floor, Callable[[str], bool]], Scheduler]] = {
    "planned ahead": Scheduler,
    "greedy": GreedyScheduler,
    "FIFO": FifoScheduler,
    "random": RandomScheduler,
}
