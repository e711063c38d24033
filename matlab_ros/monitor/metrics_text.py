"""A campaign's figures as text for a terminal, as rows for the report, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from matlab_ros.lab.metrics_values import Autonomy, LabMetrics
from matlab_ros.monitor import wording

_AUTONOMY = {
    Autonomy.PIECEWISE: "piecewise",
    Autonomy.SEMI_CLOSED_LOOP: "semi-closed-loop",
    Autonomy.CLOSED_LOOP: "closed-loop",
}


@dataclass(frozen=True)
class Figure:
    """One figure with its standard name."""

    group: str
    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Table:
    """Figures of several things of one kind; the first column names them."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures_of(found: LabMetrics) -> tuple[Figure, ...]:
    """The figures of the whole lab, in the order of `docs/metrics.md`."""
    planned = found.experiments_by_planner + found.experiments_by_person
    bound = found.theoretical_throughput_per_day
    settings = found.settings_accessible
    groups: list[tuple[str, list[tuple[str, str, str]]]] = [
        (
            "Degree of autonomy",
            [
                ("level", _AUTONOMY[found.autonomy], f"{found.operator_acts} acts of operators"),
                (
                    "suggested by the planner",
                    f"{found.experiments_by_planner} of {planned}",
                    "experiments",
                ),
            ],
        ),
        (
            "Operational lifetime",
            [
                (
                    "demonstrated unassisted",
                    wording.duration(found.unassisted_lifetime_s),
                    "longest time between two acts of operators",
                ),
                ("demonstrated assisted", wording.duration(found.assisted_lifetime_s), ""),
                (
                    "theoretical unassisted",
                    wording.duration(found.theoretical_unassisted_lifetime_s),
                    f"until {found.first_supply_to_end} run out"
                    if found.first_supply_to_end
                    else "",
                ),
                ("restarts of the lab manager", str(found.manager_restarts), ""),
            ],
        ),
        (
            "Throughput",
            [
                (
                    "demonstrated",
                    _per_day(found.throughput_per_day),
                    f"{found.samples_succeeded} of {found.samples_ended} samples with a result",
                ),
                (
                    "theoretical",
                    _per_day(bound),
                    "by the busiest station, in runs as full as can be",
                ),
                (
                    "bottleneck",
                    found.bottleneck or wording.DASH,
                    f"{found.in_flight_mean:.1f} of {found.in_flight_allowed} samples under way",
                ),
                (
                    "twice the samples under way",
                    _gain(found.gain_if_twice_in_flight),
                    "at most, of throughput",
                ),
            ],
        ),
        (
            "Failures and recoveries",
            [
                (
                    "failed attempts",
                    f"{found.attempts_failed} of {found.attempts}",
                    wording.percent(found.attempts_failed / found.attempts)
                    if found.attempts
                    else "",
                ),
                (
                    "recovered without a person",
                    wording.percent(found.recovery_rate),
                    "of the decided faults",
                ),
                ("mean time between failures", wording.duration(found.mtbf_s), ""),
                ("mean time to repair", wording.duration(found.mttr_s), "of a device's absence"),
            ],
        ),
        (
            "Experimental precision",
            [
                (
                    "demonstrated",
                    wording.percent(found.precision),
                    f"{found.precision_freedom} degrees of freedom"
                    if found.precision_freedom
                    else "no replicates",
                ),
                ("stated by the analysis", wording.percent(found.reported_sigma), "on the mean"),
            ],
        ),
        (
            "Accessible parameter space",
            [
                (
                    "parameters",
                    f"{found.parameters_continuous} + {found.parameters_categorical}",
                    "numbers + choices",
                ),
                (
                    "settings tried",
                    str(found.settings_tried),
                    "of uncountably many" if settings is None else f"of {settings}",
                ),
            ],
        ),
        (
            "Optimization efficiency",
            [
                (
                    "best",
                    wording.percent(found.best_objective),
                    f"at experiment {found.experiments_to_best}"
                    if found.experiments_to_best
                    else "",
                ),
                (
                    "within 5% of it",
                    f"{found.experiments_to_95_percent}" if found.experiments_to_best else "–",
                    "experiments",
                ),
                (
                    "chosen without a model",
                    wording.percent(found.mean_objective_without_model),
                    "on the mean",
                ),
            ],
        ),
    ]
    return tuple(Figure(group, *row) for group, rows in groups for row in rows)


def tables_of(found: LabMetrics) -> tuple[Table, ...]:
    """The figures of stations, pools, steps, faults and powders; empty ones are left out."""
    duration = wording.duration
    tables = (
        Table(
            "Utilisation of stations",
            ("station", "busy", "used", "attempts", "failed", "samples each", "gone", "MTBF"),
            tuple(
                (
                    item.device,
                    duration(item.busy_s),
                    wording.percent(item.utilisation),
                    str(item.attempts),
                    str(item.failures),
                    f"{item.samples_per_attempt:.1f}",
                    duration(item.down_s) if item.down_s else wording.DASH,
                    duration(item.mtbf_s),
                )
                for item in found.stations
            ),
        ),
        Table(
            "Bottleneck",
            ("pool", "used", "a sample asks for", "could do", "if twice as fast"),
            tuple(
                (
                    item.name,
                    wording.percent(item.utilisation),
                    duration(item.demand_s),
                    _per_day(item.limit_per_day),
                    _gain(item.gain_if_twice_as_fast),
                )
                for item in sorted(found.pools, key=lambda item: -item.demand_s)
            ),
        ),
        Table(
            "Time per kind of step",
            ("step", "attempts", "works: median", "95%", "is waited for: median", "95%"),
            tuple(
                (
                    item.kind,
                    str(item.attempts),
                    duration(item.working.median_s) if item.working.count else wording.DASH,
                    duration(item.working.p95_s) if item.working.count else wording.DASH,
                    duration(item.waiting.median_s) if item.waiting.count else wording.DASH,
                    duration(item.waiting.p95_s) if item.waiting.count else wording.DASH,
                )
                for item in found.steps
            ),
        ),
        Table(
            "Faults",
            ("code", "number", "alone", "by a person", "came again", "given up", "open"),
            tuple(
                (
                    item.code.replace("_", " ").lower(),
                    *(
                        str(number)
                        for number in (
                            item.count,
                            item.recovered_alone,
                            item.recovered_by_person,
                            item.came_again,
                            item.given_up,
                            item.open,
                        )
                    ),
                )
                for item in found.faults
            ),
        ),
        Table(
            "Material usage",
            ("powder", "doses", "requested (mg)", "dispensed (mg)", "wasted (mg)"),
            tuple(
                (
                    item.substance,
                    str(item.doses),
                    f"{item.requested_mg:.1f}",
                    f"{item.dispensed_mg:.1f}",
                    f"{item.wasted_mg:.1f}",
                )
                for item in found.materials
            ),
        ),
    )
    return tuple(table for table in tables if table.rows)


def metrics_text(found: LabMetrics) -> str:
    """Everything as text of fixed width."""
    kind = "simulated" if found.simulated else "real"
    wall = f", {wording.duration(found.wall_s)} by the wall's clock" if found.wall_s else ""
    lines = [f"{found.campaign} ({kind}): {wording.duration(found.span_s)}{wall}"]
    group = ""
    for figure in figures_of(found):
        if figure.group != group:
            group = figure.group
            lines += ["", group]
        lines.append(f"  {figure.name:<28}{figure.value:>18}  {figure.remark}".rstrip())
    for table in tables_of(found):
        lines += ["", table.title, *_aligned(table.heads, table.rows)]
    return "\n".join(lines)


def metrics_json(found: LabMetrics) -> str:
    """Everything as JSON; null where nothing can be known yet."""
    return json.dumps(dataclasses.asdict(found, dict_factory=_plain), indent=2, allow_nan=False)


def _plain(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {
        name: value.name.lower()
        if isinstance(value, Enum)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in pairs
    }


def _aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    return [
        "  "
        + "  ".join(
            f"{cell:<{width}}" if column == 0 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *rows)
    ]


def _per_day(value: float | None) -> str:
    return wording.DASH if value is None else f"{value:.1f} / day"


def _gain(share: float) -> str:
    return f"+{100 * share:.0f} %" if share >= 0.005 else "nothing"
