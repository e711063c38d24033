"""Messages of the lab as values that a page draws."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from matlab_ros.model.lab_config import LabConfig, position_points
from matlab_ros.model.lab_words import ExperimentState, PositionState, Resolution, SampleState
from matlab_ros.nodes.conversions import settings_from
from matlab_ros.nodes.ros_time import to_ns
from matlab_ros_interfaces import msg

Json = dict[str, Any]

_PROGRAM = ["matlab-ros", "lab"]
_LEVELS = {
    msg.Alert.NOTICE: "notice",
    msg.Alert.WARNING: "warning",
    msg.Alert.ERROR: "error",
    msg.Alert.CRITICAL: "critical",
}


def number(value: float) -> float | None:
    """A number, None where there is none."""
    return float(value) if math.isfinite(value) else None


def seconds(stamp: Any) -> float:
    """ROS time of a stamp."""
    return to_ns(stamp) * 1e-9


def lab_values(state: Any) -> Json:
    """The lab as a whole."""
    return {
        "lab": state.lab,
        "time_s": seconds(state.header.stamp),
        "campaign": state.campaign,
        "budget": state.experiments_budget,
        "succeeded": state.experiments_succeeded,
        "failed": state.experiments_failed,
        "in_flight": state.experiments_in_flight,
        "best": number(state.best_objective),
        "best_id": state.best_experiment_id,
        "paused": bool(state.paused),
        "paused_names": list(state.paused_names),
        "canceling": bool(state.canceling),
        "estopped": bool(state.estopped),
        "open_faults": state.open_faults,
        "questions": state.questions,
    }


def device_values(summary: Any) -> Json:
    """One device as the lab manager knows it."""
    return {
        "kind": summary.kind,
        "present": bool(summary.present),
        "ready": bool(summary.ready),
        "attempt": summary.attempt_id,
        "step": summary.step,
        "progress": number(summary.progress),
    }


def experiment_values(item: Any) -> Json:
    """One experiment's row."""
    return {
        "state": ExperimentState(item.state).name.lower(),
        "settings": {
            name: value if isinstance(value, str) else number(value)
            for name, value in settings_from(item.settings).items()
        },
        "step": item.step,
        "objective": number(item.objective),
        "paused": bool(item.paused),
        "canceling": bool(item.canceling),
        "asking": bool(item.asking),
    }


def position_values(item: Any) -> Json:
    """What stands at a position."""
    return {
        "station": item.station,
        "state": PositionState(item.state).name.lower(),
        "container": item.container_id,
        "proposals": proposals(item.to_do),
    }


def sample_values(item: Any) -> Json:
    """One sample."""
    return {
        "experiment": item.experiment_id,
        "container": item.container_id,
        "position": item.position,
        "state": SampleState(item.state).name.lower(),
        "step": item.step,
    }


def fault_values(item: Any) -> Json:
    """A fault, with what can be decided about it."""
    return {
        "device": item.device,
        "experiment": item.experiment_id,
        "step": item.step,
        "message": item.message,
        "code": item.error_code,
        "resolution": Resolution(item.resolution).name.lower(),
        "resolved_by": item.resolved_by,
        "raised_s": seconds(item.raised),
        "asked": bool(item.asked),
        "ask_until_s": seconds(item.ask_until) or None,
        "without_answer": item.without_answer.replace("_", " "),
        "proposals": proposals(item.to_do),
    }


def alert_values(item: Any) -> Json:
    """An alert."""
    return {
        "time_s": seconds(item.stamp),
        "level": _LEVELS.get(item.level, "notice"),
        "what": item.what,
        "text": item.text,
        "to_do": item.to_do,
    }


def planner_values(item: Any) -> Json:
    """What the planner does."""
    return {
        "thinking": bool(item.thinking),
        "observations": item.observations,
        "suggestions": item.suggestions,
        "method": item.method,
        "model": item.model,
        "last_suggestion_s": number(item.last_suggestion_s),
    }


def slice_values(item: Any) -> Json:
    """What the model believes along one parameter; where nothing is allowed it says nothing."""
    chosen = [index for index, allowed in enumerate(item.allowed) if allowed]
    along = list(item.choices) or list(item.values)
    return {
        "at": [along[index] for index in chosen],
        **{
            name: [number(getattr(item, name)[index]) for index in chosen]
            for name in ("mean", "low", "high")
        },
    }


def belief_values(item: Any) -> Json:
    """What the model rests on, what matters, how often it was right."""
    return {
        "model": item.model,
        "observations": item.observations,
        "level": number(item.level),
        "importance": [[each.name, number(each.total)] for each in item.importance],
        "forecasts": item.forecasts,
        "forecasts_inside": item.forecasts_inside,
    }


def suggestion_values(item: Any) -> Json:
    """Why an experiment was asked for: what was known nearby when it was suggested."""
    return {
        "near": [
            {
                "experiment": near.experiment_id,
                "distance": number(near.distance),
                "objective": number(near.objective),
            }
            for near in item.nearest
        ],
        "pending": list(item.pending),
    }


def proposals(lines: Iterable[str]) -> list[Json]:
    """Commands that the lab manager offers, as words and what each is for."""
    found = []
    for line in lines:
        command, _, when = line.partition("#")
        words = shlex.split(command)
        if words[:2] == _PROGRAM and len(words) > 2:
            found.append({"words": words[2:], "when": when.strip()})
    return found


def snapshot_values(snapshot: Any) -> Json:
    """Everything that the lab manager knows."""
    return {
        "lab": lab_values(snapshot.lab),
        "devices": {item.device: device_values(item) for item in snapshot.lab.devices},
        "experiments": {i.experiment_id: experiment_values(i) for i in snapshot.experiments},
        "samples": {item.sample_id: sample_values(item) for item in snapshot.samples},
        "positions": {item.position: position_values(item) for item in snapshot.positions},
        "faults": {item.fault_id: fault_values(item) for item in snapshot.faults},
    }


def map_values(lab: LabConfig) -> Json:
    """Where stations, positions and the places of the base are, in metres."""
    points = position_points(lab)
    return {
        "simulated": lab.simulated,
        "stations": [
            {
                "name": station.name,
                "kind": station.kind.value,
                "base": list(station.base_pose),
                "positions": {
                    name: [round(points[name][0], 4), round(points[name][1], 4)]
                    for name in points
                    if name.rpartition("/")[0] == station.name
                },
            }
            for station in lab.stations
        ],
        "furnaces": {
            device.name: {
                "max_c": device.furnace.max_temperature_c,
                "open_below_c": device.furnace.open_below_c,
            }
            for device in lab.devices
            if device.furnace is not None
        },
    }


def arm_values(joints: Mapping[str, float], tool: tuple[float, float] | None) -> Json:
    """Where the base stands and the tool is, from above."""
    return {
        "x": round(joints["x"], 3),
        "y": round(joints["y"], 3),
        "yaw": round(joints["yaw"], 3),
        "tool": None if tool is None else [round(tool[0], 3), round(tool[1], 3)],
    }
