"""What the report's script draws from, as plain values that fit into JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from matlab_ros.lab.metrics_values import LabMetrics
from matlab_ros.monitor import wording
from matlab_ros.monitor.record import (
    AttemptRecord,
    BeliefRecord,
    CampaignRecord,
    ExperimentRecord,
    HeatingRecord,
    ParameterRecord,
    PatternRecord,
)

Json = object

MAX_POINTS_PER_PATTERN = 4000
MAX_POINTS_OF_ALL = 400_000
"""Three columns of four bytes in base64: about 6 MB of page."""

MAX_POINTS_PER_TRACE = 400
_UNIFORM = 1e-4
"""Deviation from equal steps, in steps, up to which a pattern's angles are not written out."""


def page_data(data: CampaignRecord) -> dict[str, Json]:
    """Everything that is drawn."""
    patterns = sum(item.pattern is not None for item in data.experiments)
    points = min(MAX_POINTS_PER_PATTERN, MAX_POINTS_OF_ALL // max(patterns, 1))
    drawn = {item.experiment_id: details(item, points) for item in data.experiments}
    return {
        "target": data.target_phase,
        "convergence": _convergence(data),
        "parameters": [_parameter(data, item) for item in data.parameters],
        "gantt": chart(data),
        "metrics": None if data.metrics is None else _metrics(data.metrics),
        "details": {key: value for key, value in drawn.items() if value},
    }


def _convergence(data: CampaignRecord) -> Json:
    """Every measured experiment by its number, and the best up to it, in per cent."""
    rows: list[tuple[int, ExperimentRecord, float]] = [
        (number, item, item.objective)
        for number, item in enumerate(data.experiments, start=1)
        if item.objective is not None
    ]
    better = max if data.maximize else min
    best: list[float] = []
    for _, _, value in rows:
        best.append(value if not best else better(best[-1], value))
    return {
        "number": [number for number, _, _ in rows],
        "value": [_rounded(100 * value) for _, _, value in rows],
        "sigma": [_rounded(100 * (item.sigma or 0.0)) for _, item, _ in rows],
        "best": [_rounded(100 * value) for value in best],
        "method": [item.suggestion.method if item.suggestion else "" for _, item, _ in rows],
        "text": [_hover(item) for _, item, _ in rows],
    }


def _parameter(data: CampaignRecord, parameter: ParameterRecord) -> Json:
    best = data.best()
    shown = [item for item in data.measured() if parameter.name in item.settings]
    values = [item.carried_out.get(parameter.name, item.settings[parameter.name]) for item in shown]
    kind = "category" if parameter.choices else "log" if parameter.log else "linear"
    return {
        "label": wording.label(parameter.name),
        "kind": kind,
        "choices": list(parameter.choices),
        "x": [value if isinstance(value, str) else _rounded(value) for value in values],
        "y": [_rounded(100 * (item.objective or 0.0)) for item in shown],
        "best": [best is not None and item.experiment_id == best.experiment_id for item in shown],
        "text": [_hover(item) for item in shown],
        "curve": _curve(data.beliefs, parameter.name),
    }


def _curve(beliefs: BeliefRecord | None, name: str) -> Json:
    """What the model expects along a parameter, in per cent."""
    for curve in () if beliefs is None else beliefs.curves:
        if curve.name == name:
            return {
                "x": [item if isinstance(item, str) else _rounded(item) for item in curve.at],
                "mean": [_rounded(100 * value) for value in curve.mean],
                "low": [_rounded(100 * value) for value in curve.low],
                "high": [_rounded(100 * value) for value in curve.high],
            }
    return None


def _metrics(found: LabMetrics) -> Json:
    """Bars of the stations' use, and of the time for each kind of step."""
    limiting = next((item.devices for item in found.pools if item.name == found.bottleneck), ())
    largest_s = max(
        (item.working.median_s + item.waiting.median_s for item in found.steps), default=0.0
    )
    unit, unit_s = ("h", 3600.0) if largest_s > 7200.0 else ("min", 60.0)
    return {
        "stations": [_safe(item.device) for item in found.stations],
        "used": [_rounded(100 * item.utilisation) for item in found.stations],
        "limits": [item.device in limiting for item in found.stations],
        "steps": [_safe(item.kind) for item in found.steps],
        "working": [_rounded(item.working.median_s / unit_s) for item in found.steps],
        "waiting": [_rounded(item.waiting.median_s / unit_s) for item in found.steps],
        "unit": unit,
    }


def chart(data: CampaignRecord) -> Json:
    """Bars by action; what overlaps on one station stands in lanes of their own."""
    known = list(data.stations) + sorted({item.station for item in data.attempts})
    stations = list(dict.fromkeys(known))
    days = data.duration_s > 5 * 86400
    unit_s = 86400.0 if days else 3600.0
    actions: dict[str, dict[str, list[Json]]] = {}
    for station in stations:
        own = [item for item in data.attempts if item.station == station]
        for item, lane, lanes in _lanes(own, data.duration_s):
            end = item.ended_s if item.ended_s is not None else data.duration_s
            height = 0.78 / lanes
            columns = actions.setdefault(
                item.action,
                {
                    key: []
                    for key in ("start", "length", "station", "offset", "width", "text", "failed")
                },
            )
            columns["start"].append(_rounded(item.began_s / unit_s))
            columns["length"].append(_rounded(max(end - item.began_s, 0.0) / unit_s))
            columns["station"].append(_safe(station))
            columns["offset"].append(_rounded(-0.39 + (lane + 0.1) * height))
            columns["width"].append(_rounded(0.8 * height))
            columns["text"].append(_attempt_hover(item))
            columns["failed"].append(bool(item.error))
    return {
        "unit": "d" if days else "h",
        "stations": [_safe(station) for station in stations],
        "actions": [{"name": name, **columns} for name, columns in actions.items()],
    }


def _lanes(attempts: Iterable[AttemptRecord], now_s: float) -> list[tuple[AttemptRecord, int, int]]:
    """Each attempt with its lane and how many lanes its station needs."""
    ends: list[float] = []
    placed: list[tuple[AttemptRecord, int]] = []
    for item in sorted(attempts, key=lambda each: (each.began_s, each.attempt_id)):
        end = item.ended_s if item.ended_s is not None else now_s
        free = next((lane for lane, busy in enumerate(ends) if busy <= item.began_s), len(ends))
        if free == len(ends):
            ends.append(end)
        else:
            ends[free] = end
        placed.append((item, free))
    return [(item, lane, len(ends)) for item, lane in placed]


def details(item: ExperimentRecord, points: int) -> dict[str, Json]:
    """An experiment's pattern, of at most so many points, and its firing, where it has them."""
    found: dict[str, Json] = {}
    if item.pattern is not None and item.pattern.counts:
        found["pattern"] = _pattern(item.pattern, points)
    if item.heating is not None and item.heating.elapsed_s:
        found["trace"] = _trace(item.heating)
    return found


def _pattern(pattern: PatternRecord, points: int) -> Json:
    """Columns of a pattern; neighbouring points are averaged where there are too many."""
    angles = np.asarray(pattern.two_theta_deg, dtype=np.float64)
    together = max(math.ceil(len(angles) / max(points, 1)), 1)
    shown = _averaged(angles, together)
    steps = np.diff(shown)
    columns: dict[str, Json] = {"counts": _packed(_averaged(pattern.counts, together))}
    if len(steps) and np.abs(steps - steps.mean()).max() <= _UNIFORM * abs(steps.mean()):
        columns["start"] = float(shown[0])
        columns["step"] = float(steps.mean())
    else:
        columns["x"] = _packed(shown)
    if len(pattern.calculated) == len(angles):
        columns["calculated"] = _packed(_averaged(pattern.calculated, together))
        if len(pattern.background) == len(angles):
            columns["background"] = _packed(_averaged(pattern.background, together))
    return columns


def _trace(heating: HeatingRecord) -> Json:
    every = max(math.ceil(len(heating.elapsed_s) / MAX_POINTS_PER_TRACE), 1)
    # The last reading is always among those shown.
    chosen = sorted({*range(0, len(heating.elapsed_s), every), len(heating.elapsed_s) - 1})
    return {
        "elapsed_s": [_rounded(heating.elapsed_s[index]) for index in chosen],
        "measured_c": [_reading(heating.measured_c, index) for index in chosen],
        "setpoint_c": [_reading(heating.setpoint_c, index) for index in chosen],
    }


def _reading(values: Sequence[float | None], index: int) -> float | None:
    value = values[index] if index < len(values) else None
    return None if value is None else _rounded(value)


def _averaged(
    values: Sequence[float] | npt.NDArray[np.float64], together: int
) -> npt.NDArray[np.float64]:
    """Means of so many neighbours each; the last group may be smaller."""
    array = np.asarray(values, dtype=np.float64)
    if together == 1 or not len(array):
        return array
    starts = np.arange(0, len(array), together)
    counts = np.diff(np.append(starts, len(array)))
    return np.asarray(np.add.reduceat(array, starts) / counts, dtype=np.float64)


def _packed(values: npt.NDArray[np.float64]) -> str:
    """Little-endian 32-bit floats in base64."""
    return base64.b64encode(np.nan_to_num(values).astype("<f4").tobytes()).decode("ascii")


def _hover(item: ExperimentRecord) -> str:
    lines = [f"<b>{_safe(item.experiment_id)}</b>: {wording.percent(item.objective, item.sigma)}"]
    lines += [
        f"{_safe(wording.label(name))}: {_safe(wording.setting(value))}"
        for name, value in item.settings.items()
    ]
    return "<br>".join(lines)


def _attempt_hover(item: AttemptRecord) -> str:
    end = item.ended_s
    length = "under way" if end is None else wording.duration(end - item.began_s)
    lines = [f"<b>{_safe(item.station)}</b>: {_safe(item.action)}, {length}"]
    lines.append(_safe(", ".join(item.experiments)))
    if item.error:
        lines.append(_safe(item.error.replace("_", " ").lower()))
    return "<br>".join(line for line in lines if line)


def _safe(text: str) -> str:
    """Plotly reads a few tags in hover texts; names from files must not be among them."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _rounded(value: float) -> float | None:
    """Six digits are more than any screen shows; None where there is no number."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
