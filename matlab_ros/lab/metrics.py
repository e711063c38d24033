"""From the journal's entries, one by one, to the figures that self-driving labs are judged by.

Everything is counted as it comes, so that the lab manager can have it at any moment of a campaign
without reading the journal again. Nothing here decides anything.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime

from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.lab.goals import HeatProfile
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.lab.metrics_counts import NS_PER_S, CampaignCounts
from matlab_ros.lab.metrics_tallies import DeviceTally, FaultTally, ProfileTally
from matlab_ros.lab.metrics_values import (
    Autonomy,
    FaultMetrics,
    LabMetrics,
    MaterialMetrics,
    PoolMetrics,
    StationMetrics,
    StepMetrics,
)
from matlab_ros.lab.throughput_bounds import IN_FLIGHT, Bound, Demand, bound, gain
from matlab_ros.model.campaign_config import (
    CampaignConfig,
    CategoricalParameter,
    DiscreteParameter,
    IntegerParameter,
)
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import LabConfig

_S_PER_DAY = 86400.0


class CampaignMetrics:
    """The figures of one campaign, at any moment of it.

    Args:
        campaign: its name; None: the last one that began.
    """

    def __init__(self, campaign: str | None = None) -> None:
        self._counts = CampaignCounts(campaign)

    @property
    def plan(self) -> CampaignPlan | None:
        """Of the campaign; None before its beginning was seen."""
        return self._counts.plan

    def take(self, entry: JournalEntry) -> None:
        """Count the next entry."""
        self._counts.take(entry)

    def metrics(self, lab: LabConfig | None = None) -> LabMetrics:
        """The figures up to the last entry.

        Args:
            lab: its configuration, for supplies and sizes of batches; None where it is not known.

        Raises:
            LabError: no such campaign has begun.
        """
        return _Figures(self._counts, lab).metrics()


class _Figures:
    """Works the figures out of the counts."""

    def __init__(self, counts: CampaignCounts, lab: LabConfig | None) -> None:
        self._counts = counts
        self._lab = lab

    def metrics(self) -> LabMetrics:
        """See `CampaignMetrics.metrics`."""
        counts = self._counts
        plan = counts.plan
        if plan is None:
            named = f" {counts.name!r}" if counts.name else ""
            raise LabError(f"The journal holds no campaign{named}.")
        span_s = (counts.now_ns - counts.began_ns) / NS_PER_S
        wall_s = self._wall_s()
        pools = self._pools()
        demands = self._demands(pools)
        in_flight = plan.config.budget.max_in_flight
        limit = bound(demands, in_flight)
        ideal = self._ideal(demands)
        supply, lifetime_s = self._first_supply(span_s)
        decided = [item for item in counts.faults.values() if not item.is_open]
        alone = sum(item.is_recovered and not item.by_person for item in decided)
        residence_s = counts.residence_s + sum(
            (counts.now_ns - run.started_ns) / NS_PER_S for run in counts.experiments.values()
        )
        return LabMetrics(
            campaign=plan.name,
            simulated=plan.simulated,
            span_s=span_s,
            wall_s=wall_s,
            autonomy=self._autonomy(),
            experiments_by_planner=counts.by_planner,
            experiments_by_person=counts.by_person,
            operator_acts=counts.acts,
            unassisted_lifetime_s=max(counts.longest_ns, counts.now_ns - counts.last_act_ns)
            / NS_PER_S,
            assisted_lifetime_s=span_s,
            unassisted_now_s=(counts.now_ns - counts.last_act_ns) / NS_PER_S,
            theoretical_unassisted_lifetime_s=lifetime_s,
            first_supply_to_end=supply,
            manager_restarts=counts.restarts,
            samples_ended=counts.ended,
            samples_succeeded=counts.succeeded,
            throughput_per_day=_per_day(counts.succeeded, span_s) or 0.0,
            wall_throughput_per_day=_per_day(counts.succeeded, wall_s),
            theoretical_throughput_per_day=None if ideal is None else ideal.per_day,
            bottleneck="" if limit is None else limit.limited_by,
            in_flight_mean=residence_s / span_s if span_s > 0.0 else 0.0,
            in_flight_allowed=in_flight,
            gain_if_twice_in_flight=gain(demands, in_flight, IN_FLIGHT),
            attempts=sum(device.attempts for device in counts.devices.values()),
            attempts_failed=sum(device.failures for device in counts.devices.values()),
            faults=self._fault_metrics(),
            recovery_rate=alone / len(decided) if decided else None,
            mtbf_s=span_s / len(counts.faults) if counts.faults else None,
            mttr_s=counts.repair_s / counts.repairs if counts.repairs else None,
            stations=tuple(
                self._station(name, device, span_s)
                for name, device in sorted(counts.devices.items())
            ),
            pools=tuple(
                self._pool(name, names, demands, in_flight, span_s) for name, names in pools.items()
            ),
            steps=tuple(
                StepMetrics(
                    kind, step.attempts, step.failures, step.working.times(), step.waiting.times()
                )
                for kind, step in sorted(counts.steps.items())
            ),
            materials=tuple(
                MaterialMetrics(
                    name,
                    item.doses,
                    item.requested_mg,
                    item.dispensed_mg,
                    item.wasted_mg,
                    item.unmeasured,
                )
                for name, item in sorted(counts.materials.items())
            ),
            precision=self._precision(),
            precision_freedom=counts.pooled_freedom,
            reported_sigma=counts.sigmas.mean if counts.sigmas.count else None,
            parameters_continuous=sum(
                not isinstance(item, CategoricalParameter) for item in plan.config.parameters
            ),
            parameters_categorical=sum(
                isinstance(item, CategoricalParameter) for item in plan.config.parameters
            ),
            settings_accessible=_accessible(plan.config),
            settings_tried=len(counts.replicates),
            best_objective=counts.improvements[-1][1] if counts.improvements else None,
            experiments_to_best=counts.improvements[-1][0] if counts.improvements else 0,
            experiments_to_95_percent=self._experiments_to(0.05),
            mean_objective_without_model=(
                counts.without_model.mean if counts.without_model.count else None
            ),
        )

    def _autonomy(self) -> Autonomy:
        if self._counts.by_person and not self._counts.by_planner:
            return Autonomy.PIECEWISE
        return Autonomy.SEMI_CLOSED_LOOP if self._counts.acts else Autonomy.CLOSED_LOOP

    def _wall_s(self) -> float | None:
        if not self._counts.began_wall or not self._counts.last_wall:
            return None
        first, last = map(datetime.fromisoformat, (self._counts.began_wall, self._counts.last_wall))
        return (last - first).total_seconds()

    def _busy_s(self, name: str) -> float:
        """Working time of a device up to now, what it does at present included."""
        device = self._counts.devices[name]
        begun = [item[1] for item in self._counts.open.values() if item[0] == name]
        since = max(min(begun, default=self._counts.now_ns), device.busy_until_ns)
        return device.busy_s + max(0, self._counts.now_ns - since) / NS_PER_S

    def _station(self, name: str, device: DeviceTally, span_s: float) -> StationMetrics:
        failures = device.failures + device.goings
        busy_s = self._busy_s(name)
        down_s = device.down_s
        if device.gone_ns is not None:
            down_s += (self._counts.now_ns - device.gone_ns) / NS_PER_S
        return StationMetrics(
            device=name,
            busy_s=busy_s,
            utilisation=busy_s / span_s if span_s > 0.0 else 0.0,
            attempts=device.attempts,
            failures=device.failures,
            samples_per_attempt=device.samples / device.attempts if device.attempts else 0.0,
            down_s=down_s,
            mtbf_s=busy_s / failures if failures else None,
        )

    # --- bottleneck ---------------------------------------------------------------------------

    def _pools(self) -> dict[str, tuple[str, ...]]:
        """Devices that do the same kinds of steps; one alone is a pool with its own name."""
        by_kinds: dict[str, list[str]] = {}
        for name, device in sorted(self._counts.devices.items()):
            if device.kinds:
                by_kinds.setdefault(min(device.kinds), []).append(name)
        return {
            names[0] if len(names) == 1 else f"{kind} ({len(names)} devices)": tuple(names)
            for kind, names in by_kinds.items()
        }

    def _demands(self, pools: Mapping[str, tuple[str, ...]]) -> list[Demand]:
        """What a finished sample asks of each pool."""
        finished = max(1, self._counts.succeeded)
        return [
            Demand(
                name,
                len(names),
                self._least_busy_s(names) / finished,
                sum(self._counts.devices[item].stay_s for item in names) / finished,
            )
            for name, names in pools.items()
        ]

    def _least_busy_s(self, names: tuple[str, ...]) -> float:
        """Working time of a pool for what it did, in runs as full as their profiles allow.

        A furnace that runs half empty although equal profiles would fill it is none that limits:
        it fills when more samples come.
        """
        merged: dict[HeatProfile, ProfileTally] = {}
        saved_s = 0.0
        for name in names:
            for profile, firing in self._counts.devices[name].profiles.items():
                same = merged.setdefault(profile, ProfileTally())
                same.runs += firing.runs
                same.samples += firing.samples
                same.busy_s += firing.busy_s
        capacity = max(self._capacity(name) for name in names)
        for firing in merged.values():
            needed = math.ceil(firing.samples / capacity)
            saved_s += firing.busy_s * (1.0 - needed / firing.runs)
        return max(0.0, sum(self._counts.devices[name].busy_s for name in names) - saved_s)

    def _capacity(self, name: str) -> int:
        """Samples that a device takes at once; where the lab is unknown, the most it ever took."""
        device = self._counts.devices[name]
        if self._lab is not None and "heat" in device.kinds:
            for known in self._lab.devices:
                if known.name == name and known.station is not None:
                    return self._lab.station(known.station).grid.count
        return max(1, device.most_samples)

    def _ideal(self, demands: list[Demand]) -> Bound | None:
        """The bound with as many samples under way as there is work for."""
        busiest_s = max((item.per_device_s for item in demands), default=0.0)
        if not self._counts.succeeded or busiest_s <= 0.0:
            return None
        plenty = math.ceil(sum(item.stay_s for item in demands) / busiest_s)
        return bound(demands, max(1, plenty))

    def _pool(
        self,
        name: str,
        names: tuple[str, ...],
        demands: list[Demand],
        in_flight: int,
        span_s: float,
    ) -> PoolMetrics:
        demand = next(item for item in demands if item.pool == name)
        busy_s = sum(self._busy_s(item) for item in names)
        return PoolMetrics(
            name=name,
            devices=names,
            utilisation=busy_s / len(names) / span_s if span_s > 0.0 else 0.0,
            demand_s=demand.per_device_s,
            limit_per_day=_S_PER_DAY / demand.per_device_s if demand.per_device_s > 0.0 else None,
            gain_if_twice_as_fast=gain(demands, in_flight, name),
        )

    # --- faults, supplies, results ------------------------------------------------------------

    def _fault_metrics(self) -> tuple[FaultMetrics, ...]:
        by_code: dict[str, list[FaultTally]] = {}
        for fault in self._counts.faults.values():
            by_code.setdefault(fault.code, []).append(fault)
        return tuple(
            FaultMetrics(
                code=code,
                count=len(faults),
                recovered_alone=sum(f.is_recovered and not f.by_person for f in faults),
                recovered_by_person=sum(f.is_recovered and f.by_person for f in faults),
                came_again=sum(f.came_again for f in faults),
                given_up=sum(not (f.is_recovered or f.came_again or f.is_open) for f in faults),
                open=sum(f.is_open and not f.came_again for f in faults),
            )
            for code, faults in sorted(by_code.items(), key=lambda item: (-len(item[1]), item[0]))
        )

    def _first_supply(self, span_s: float) -> tuple[str, float | None]:
        """Which supply runs out first at the pace that was seen, and after how long."""
        if self._lab is None or span_s <= 0.0:
            return "", None
        used = self._counts.ended + len(self._counts.experiments)
        shares = [(self._lab.containers.count / used, "containers")] if used else []
        for item in self._lab.stock:
            material = self._counts.materials.get(item.name)
            if material is not None and material.dispensed_mg > 0.0:
                shares.append((1000.0 * item.mass_g / material.dispensed_mg, item.name))
        if not shares:
            return "", None
        share, name = min(shares)
        return name, share * span_s

    def _precision(self) -> float | None:
        counts = self._counts
        if not counts.pooled_freedom:
            return None
        return math.sqrt(max(0.0, counts.pooled_squares) / counts.pooled_freedom)

    def _experiments_to(self, share: float) -> int:
        """Measured experiments until the objective was that near to the best."""
        if not self._counts.improvements:
            return 0
        assert self._counts.plan is not None
        best = self._counts.improvements[-1][1]
        sign = 1.0 if self._counts.plan.config.direction == "maximize" else -1.0
        values = [sign * value for _, value in self._counts.improvements]
        return self._counts.improvements[bisect_left(values, sign * best - share * abs(best))][0]


def metrics_of(
    entries: Iterable[JournalEntry], lab: LabConfig | None = None, campaign: str | None = None
) -> LabMetrics:
    """The figures of a campaign.

    Args:
        entries: of the journal, from its beginning.
        lab: its configuration; None where it is not known.
        campaign: its name; None: the last one.

    Raises:
        LabError: the journal holds no such campaign.
    """
    counted = CampaignMetrics(campaign)
    for entry in entries:
        counted.take(entry)
    return counted.metrics(lab)


def _per_day(count: int, span_s: float | None) -> float | None:
    return None if span_s is None or span_s <= 0.0 else _S_PER_DAY * count / span_s


def _accessible(config: CampaignConfig) -> int | None:
    """Different settings within a search space; None where a number has no smallest step.

    Constraints, mixtures and conditions are not counted out.
    """
    if config.candidates:
        return len(config.candidates)
    product = 1
    for item in config.parameters:
        if isinstance(item, CategoricalParameter):
            product *= len(item.choices)
        elif isinstance(item, DiscreteParameter):
            product *= len(item.values)
        elif isinstance(item, IntegerParameter):
            product *= item.high - item.low + 1
        elif item.step > 0:
            product *= math.floor((item.high - item.low) / item.step + 1e-9) + 1
        else:
            return None
    return product
