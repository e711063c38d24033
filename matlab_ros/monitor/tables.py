"""A campaign's record as tables: a row for each experiment, powder, phase, attempt and fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matlab_ros.monitor.record import CampaignRecord, ExperimentRecord

Cell = str | float | int | bool | None


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: of its file.
        about: what a row is.
        columns: name to a description with the unit, in their order.
        rows: as many cells as columns; None where nothing was measured.
    """

    name: str
    about: str
    columns: Mapping[str, str]
    rows: tuple[tuple[Cell, ...], ...]


def tables(data: CampaignRecord) -> tuple[Table, ...]:
    """All tables of a campaign."""
    return (
        _experiments(data),
        _doses(data),
        _phases(data),
        _files(data),
        _attempts(data),
        _faults(data),
    )


def _experiments(data: CampaignRecord) -> Table:
    names = [parameter.name for parameter in data.parameters]
    columns = {
        "experiment": "id",
        "state": "how far it came",
        "objective": f"measured weight fraction of {data.target_phase}, 0 to 1",
        "sigma": "its standard uncertainty",
        **{f"requested_{name}": "as suggested" for name in names},
        **{f"carried_out_{name}": "as measured, else as suggested" for name in names},
        "method": "how it was suggested",
        "predicted_mean": "objective that the model expected",
        "predicted_sigma": "standard deviation of that",
        "heated_to_requested_c": "highest set point, degrees Celsius",
        "heated_to_measured_c": "highest temperature measured, degrees Celsius",
        "dwell_requested_min": "time at the highest set point, minutes",
        "dwell_measured_min": "the same as measured",
        "verdict": "how far the analysis is to be trusted",
        "rwp_percent": "weighted profile residual of the fit",
        "goodness_of_fit": "that over what counting noise alone gives",
        "began_s": "seconds of ROS time since the campaign's start",
        "ended_s": "the same",
        "message": "why it failed",
    }
    return Table(
        "experiments",
        "one experiment",
        columns,
        tuple(_experiment(item, names) for item in data.experiments),
    )


def _experiment(item: ExperimentRecord, names: list[str]) -> tuple[Cell, ...]:
    suggestion, heating, analysis = item.suggestion, item.heating, item.analysis
    return (
        item.experiment_id,
        item.state.name.lower(),
        item.objective,
        item.sigma,
        *(item.settings.get(name) for name in names),
        *(item.carried_out.get(name) for name in names),
        None if suggestion is None else suggestion.method,
        None if suggestion is None else suggestion.predicted_mean,
        None if suggestion is None else suggestion.predicted_sigma,
        None if heating is None else heating.requested_max_c,
        None if heating is None else heating.measured_max_c,
        None if heating is None else heating.requested_dwell_min,
        None if heating is None else heating.measured_dwell_min,
        None if analysis is None else analysis.verdict.name.lower(),
        None if analysis is None else analysis.rwp_percent,
        None if analysis is None else analysis.goodness_of_fit,
        item.began_s,
        item.ended_s,
        item.message,
    )


def _doses(data: CampaignRecord) -> Table:
    columns = {
        "experiment": "id",
        "substance": "name in the lab's stock",
        "requested_mg": "mass asked for, milligrams",
        "measured_mg": "balance reading, milligrams",
        "uncertainty_mg": "standard uncertainty of that",
        "within_tolerance": "whether the reading is near enough to the request",
        "calibrated": "whether the balance had a valid calibration",
    }
    rows = tuple(
        (
            item.experiment_id,
            dose.substance,
            dose.requested_mg,
            dose.measured_mg,
            dose.uncertainty_mg,
            dose.within_tolerance,
            dose.calibrated,
        )
        for item in data.experiments
        for dose in item.doses
    )
    return Table("doses", "one powder in one sample", columns, rows)


def _phases(data: CampaignRecord) -> Table:
    columns = {
        "experiment": "id",
        "phase": "name of the structure",
        "formula": "its composition",
        "weight_fraction": "of the crystalline part, 0 to 1",
        "sigma": "its standard uncertainty",
    }
    rows = tuple(
        (item.experiment_id, phase.phase, phase.formula, phase.weight_fraction, phase.sigma)
        for item in data.experiments
        if item.analysis is not None
        for phase in item.analysis.phases
    )
    return Table("phases", "one crystalline phase in one sample", columns, rows)


def _files(data: CampaignRecord) -> Table:
    columns = {
        "experiment": "id",
        "what": "pattern: the last measured; fit: of that pattern",
        "sha256": "of the file, the name of which begins with it",
    }
    rows = tuple(
        (item.experiment_id, what, sha256)
        for item in data.experiments
        for what, sha256 in item.files.items()
    )
    return Table("raw_files", "one raw file of one sample", columns, rows)


def _attempts(data: CampaignRecord) -> Table:
    columns = {
        "attempt": "id, never used twice",
        "station": "device that did it",
        "action": "what was done",
        "experiments": "whom it served, separated by blanks",
        "began_s": "seconds of ROS time since the campaign's start",
        "ended_s": "the same",
        "error": "the fault's name; empty on success",
    }
    rows = tuple(
        (
            item.attempt_id,
            item.station,
            item.action,
            " ".join(item.experiments),
            item.began_s,
            item.ended_s,
            item.error,
        )
        for item in data.attempts
    )
    return Table("attempts", "one attempt of one device", columns, rows)


def _faults(data: CampaignRecord) -> Table:
    columns = {
        "raised_s": "seconds of ROS time since the campaign's start",
        "device": "where",
        "code": "the fault's name",
        "message": "what happened",
        "experiments": "whom it concerned, separated by blanks",
        "resolution": "what was decided",
        "resolved_by": "who decided: policy, or a person's name",
    }
    rows = tuple(
        (
            item.raised_s,
            item.device,
            item.code,
            item.message,
            " ".join(item.experiments),
            item.resolution.name.lower(),
            item.resolved_by,
        )
        for item in data.faults
    )
    return Table("faults", "one fault", columns, rows)
