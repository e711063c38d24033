"""Which station limits a lab, and what speeding one up would bring: asymptotic bounds.

Operational analysis of closed systems (Denning and Buzen, "The operational analysis of queueing
network models", ACM Computing Surveys 10, 1978, 225-261): no lab finishes more samples in a time
than its busiest station has time for, nor more than its samples in flight could if none of them
ever waited,

    X <= min(min_k 1 / D_k, N / R),

with D_k the demand of station k (its working time per finished sample, shared by equal devices),
N the samples in flight and R the time of one sample without any waiting. Assumed is that the mix of
work stays as it was, that there is always a next sample, and that a lab keeps the distance from its
bound that it had: it is an estimate from above of what a faster station would bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

IN_FLIGHT = "samples in flight"
"""Name of the limit that no station is."""


@dataclass(frozen=True)
class Demand:
    """What one finished sample asks of a pool of equal devices."""

    pool: str
    devices: int
    busy_s: float
    """Working time of all its devices together per finished sample; a shared run counts once."""
    stay_s: float
    """Time of work that one sample spends there; a shared run counts fully."""

    @property
    def per_device_s(self) -> float:
        """D_k of the formula."""
        return self.busy_s / self.devices


@dataclass(frozen=True)
class Bound:
    """The most samples that a lab can finish."""

    per_day: float
    limited_by: str
    """A pool, or `IN_FLIGHT`."""


def bound(demands: Sequence[Demand], in_flight: int) -> Bound | None:
    """The asymptotic bound of a lab's throughput; None where nothing was done.

    Args:
        demands: of its pools.
        in_flight: samples that may be under way at once.
    """
    limits = [
        (86400.0 / demand.per_device_s, demand.pool)
        for demand in demands
        if demand.per_device_s > 0.0
    ]
    stay_s = sum(demand.stay_s for demand in demands)
    if not limits or stay_s <= 0.0:
        return None
    limits.append((86400.0 * in_flight / stay_s, IN_FLIGHT))
    return Bound(*min(limits))


def gain(demands: Sequence[Demand], in_flight: int, pool: str, factor: float = 2.0) -> float:
    """By what share the bound rises when one pool becomes faster; 0.1 is a tenth more samples.

    Args:
        demands: of all pools.
        in_flight: samples that may be under way at once.
        pool: the one that becomes faster, or `IN_FLIGHT` for more samples under way.
        factor: by which.
    """
    before = bound(demands, in_flight)
    if before is None:
        return 0.0
    if pool == IN_FLIGHT:
        after = bound(demands, round(factor * in_flight))
    else:
        faster = [
            Demand(item.pool, item.devices, item.busy_s / factor, item.stay_s / factor)
            if item.pool == pool
            else item
            for item in demands
        ]
        after = bound(faster, in_flight)
    return 0.0 if after is None else after.per_day / before.per_day - 1.0
