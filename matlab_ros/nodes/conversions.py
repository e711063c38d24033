"""Between ROS messages and the values of `model` and `lab`: one function each way for each kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matlab_ros.lab.experiment_values import (
    CampaignPlan,
    Mixture,
    Observation,
    Setting,
    Suggestion,
)
from matlab_ros.lab.goals import (
    AnalyseGoal,
    AnalyseOutcome,
    AttemptReport,
    CalibrationMark,
    DispenseGoal,
    DispenseOutcome,
    DoseReading,
    FitQuality,
    Goal,
    HeatGoal,
    HeatOutcome,
    MeasureGoal,
    MeasureOutcome,
    Outcome,
    PhaseFraction,
    RawFile,
    SampleOutcome,
    TemperatureTrace,
    TransferGoal,
    TransferOutcome,
)
from matlab_ros.model.campaign_config import (
    BudgetConfig,
    CampaignConfig,
)
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_words import ObservationKind, SampleFate, Verdict
from matlab_ros.model.yaml_file import parse
from matlab_ros.nodes.analysis_messages import findings_from, scan_program_to
from matlab_ros.nodes.objective_messages import (
    outcomes_from,
    outcomes_to,
    wanted_from,
    wanted_to,
)
from matlab_ros.nodes.ros_time import to_msg, to_ns
from matlab_ros.nodes.space_messages import space_from, space_to
from matlab_ros_interfaces import action, msg

DEFINITION = "campaign definition"
"""Word for the message in errors, where a file would be named."""


def nan(value: float | None) -> float:
    """A message's number: NaN where nothing is known."""
    return math.nan if value is None else value


def known(value: float) -> float | None:
    """A value's number: None where the message holds NaN or an infinity."""
    return value if math.isfinite(value) else None


# --- settings, suggestions, observations ------------------------------------------------------


def settings_from(messages: Iterable[Any]) -> dict[str, float | str]:
    """ParameterSetting messages as a mapping from names to numbers and words."""
    return {
        item.name: item.choice if math.isnan(item.value) else float(item.value) for item in messages
    }


def settings_to(values: Mapping[str, float | str]) -> list[Any]:
    """The messages that `settings_from` reads."""
    return [
        msg.ParameterSetting(name=name, value=math.nan, choice=value)
        if isinstance(value, str)
        else msg.ParameterSetting(name=name, value=float(value))
        for name, value in values.items()
    ]


def lab_settings_from(messages: Iterable[Any]) -> tuple[Setting, ...]:
    """ParameterSetting messages as the lab's values."""
    return tuple(Setting(item.name, known(item.value), item.choice) for item in messages)


def lab_settings_to(settings: Sequence[Setting]) -> list[Any]:
    """The messages that `lab_settings_from` reads."""
    return [
        msg.ParameterSetting(name=item.name, value=nan(item.value), choice=item.choice)
        for item in settings
    ]


def suggestion_from(message: Any) -> Suggestion:
    """The planner's proposal."""
    return Suggestion(
        experiment_id=message.experiment_id,
        settings=lab_settings_from(message.settings),
        predicted_mean=known(message.predicted_mean),
        predicted_sigma=known(message.predicted_sigma),
        acquisition_value=known(message.acquisition_value),
        method=message.method,
    )


def suggestion_to(suggestion: Suggestion) -> Any:
    """The message that `suggestion_from` reads."""
    return msg.Suggestion(
        experiment_id=suggestion.experiment_id,
        settings=lab_settings_to(suggestion.settings),
        predicted_mean=nan(suggestion.predicted_mean),
        predicted_sigma=nan(suggestion.predicted_sigma),
        acquisition_value=nan(suggestion.acquisition_value),
        method=suggestion.method,
    )


def observation_from(message: Any) -> Observation:
    """What an experiment taught."""
    return Observation(
        experiment_id=message.experiment_id,
        settings=lab_settings_from(message.settings),
        requested=lab_settings_from(message.requested),
        status=ObservationKind(message.status),
        objective=known(message.objective),
        sigma=known(message.sigma),
        outcomes=outcomes_from(message.outcomes),
        phases=tuple(phase_fraction_from(item) for item in message.phases),
        simulated=message.simulated,
        stamp_ns=to_ns(message.stamp),
    )


def observation_to(observation: Observation) -> Any:
    """The message that `observation_from` reads."""
    return msg.Observation(
        experiment_id=observation.experiment_id,
        settings=lab_settings_to(observation.settings),
        requested=lab_settings_to(observation.requested),
        status=int(observation.status),
        objective=nan(observation.objective),
        sigma=nan(observation.sigma),
        outcomes=outcomes_to(observation.outcomes),
        phases=[phase_fraction_to(item) for item in observation.phases],
        simulated=observation.simulated,
        stamp=to_msg(observation.stamp_ns),
    )


# --- campaigns --------------------------------------------------------------------------------


def campaign_to_message(plan: CampaignPlan) -> Any:
    """A checked campaign as its message."""
    config = plan.config
    definition = msg.CampaignDefinition
    return definition(
        name=config.name,
        seed=config.seed,
        simulated=plan.simulated,
        target_formula=config.target.formula,
        target_phase=config.target.phase,
        sample_mass_mg=config.sample_mass_mg,
        precursor_sets=[
            msg.PrecursorSet(
                name=item.name,
                substances=list(item.substances),
                mass_fractions=list(item.mass_fractions),
                price_per_g=nan(item.price_per_g),
            )
            for item in plan.mixtures
        ],
        **space_to(config),
        direction=definition.MAXIMIZE if config.direction == "maximize" else definition.MINIMIZE,
        **wanted_to(plan),
        max_experiments=config.budget.experiments,
        max_in_flight=config.budget.max_in_flight,
        planner_method=config.planner.method,
        planner_options=settings_to(config.planner.options),
        initial_experiments=config.planner.initial_experiments,
        batch_size=config.planner.batch_size,
        recipe_name=plan.recipe.name,
        recipe_sha256=plan.recipe.sha256,
        elements=list(plan.elements),
    )


def campaign_from_message(message: Any, lab: str = "") -> CampaignConfig:
    """A campaign's definition as its configuration.

    Args:
        message: CampaignDefinition.
        lab: name of the lab, which the message does not hold.

    Raises:
        ConfigError: it contradicts itself; the key is that of a campaign's file.
    """
    directions = {message.MAXIMIZE: "maximize", message.MINIMIZE: "minimize"}
    if message.direction not in directions:
        raise ConfigError(
            DEFINITION, "direction", f"is {message.direction}", "MAXIMIZE (1) or MINIMIZE (2)"
        )
    data: dict[str, Any] = {
        "name": message.name,
        "seed": message.seed,
        "target": {"formula": message.target_formula, "phase": message.target_phase},
        "direction": directions[message.direction],
        "sample_mass_mg": message.sample_mass_mg,
        "recipe": message.recipe_name,
        "precursor_sets": [
            {"name": item.name, "substances": tuple(item.substances)}
            for item in message.precursor_sets
        ],
        **space_from(message, DEFINITION),
        **wanted_from(message, DEFINITION),
        "budget": {
            "experiments": message.max_experiments,
            "max_in_flight": message.max_in_flight or BudgetConfig(experiments=1).max_in_flight,
        },
        "planner": {
            "method": message.planner_method,
            "options": settings_from(message.planner_options),
            "initial_experiments": message.initial_experiments,
            "batch_size": message.batch_size,
        },
    }
    if lab:
        data["lab"] = lab
    return parse(DEFINITION, data, CampaignConfig)


def mixtures_from_message(message: Any) -> tuple[Mixture, ...]:
    """Shares of the powders that a definition gives itself; sets without shares are left out."""
    return tuple(
        Mixture(
            item.name,
            tuple(item.substances),
            tuple(float(x) for x in item.mass_fractions),
            known(item.price_per_g),
        )
        for item in message.precursor_sets
        if len(item.mass_fractions)
    )


# --- goals ------------------------------------------------------------------------------------

ACTIONS: dict[str, Any] = {
    DispenseGoal.TAG: action.Dispense,
    TransferGoal.TAG: action.TransferSample,
    HeatGoal.TAG: action.Heat,
    MeasureGoal.TAG: action.MeasureXrd,
    AnalyseGoal.TAG: action.AnalysePattern,
}
"""Type of the action for each kind of goal."""


def goal_to(goal: Goal) -> Any:
    """A goal as the goal message of its action."""
    common = {
        "attempt_id": goal.attempt_id,
        "issued": to_msg(goal.issued_ns),
        "deadline": to_msg(goal.deadline_ns),
    }
    if isinstance(goal, DispenseGoal):
        return action.Dispense.Goal(
            **common,
            sample_id=goal.sample_id,
            container_id=goal.container_id,
            position=goal.position,
            doses=[
                msg.Dose(
                    substance=dose.substance,
                    mass_mg=dose.mass_mg,
                    tolerance_mg=dose.tolerance_mg,
                )
                for dose in goal.doses
            ],
            mix_min=goal.mix_min,
        )
    if isinstance(goal, TransferGoal):
        return action.TransferSample.Goal(
            **common,
            sample_id=goal.sample_id,
            container_id=goal.container_id,
            source=goal.source,
            target=goal.target,
            keep_upright=goal.keep_upright,
        )
    if isinstance(goal, HeatGoal):
        return action.Heat.Goal(
            **common,
            sample_ids=list(goal.sample_ids),
            positions=list(goal.positions),
            profile=[
                msg.HeatSegment(
                    target_c=segment.target_c,
                    ramp_c_per_min=segment.ramp_c_per_min,
                    dwell_min=segment.dwell_min,
                )
                for segment in goal.profile.segments
            ],
            unload_below_c=goal.profile.unload_below_c,
            atmosphere=int(goal.profile.atmosphere),
            on_cancel=int(goal.on_cancel),
        )
    if isinstance(goal, MeasureGoal):
        return action.MeasureXrd.Goal(
            **common,
            sample_id=goal.sample_id,
            position=goal.position,
            program=goal.program,
            first_deg=0.0 if goal.scan is None else goal.scan.first_deg,
            last_deg=0.0 if goal.scan is None else goal.scan.last_deg,
            duration_s=0.0 if goal.scan is None else goal.scan.duration_s,
        )
    return action.AnalysePattern.Goal(
        **common,
        sample_id=goal.sample_id,
        pattern=raw_file_to(goal.pattern),
        elements=list(goal.elements),
        phases=list(goal.phases),
        target_phase=goal.target_phase,
        scan=scan_program_to(goal.scan),
        earlier=[raw_file_to(each) for each in goal.earlier],
        earlier_scans=[scan_program_to(each) for each in goal.earlier_scans],
        dispensed=[
            msg.ElementAmount(
                element=each.element, amount_mmol=each.amount_mmol, sigma_mmol=each.sigma_mmol
            )
            for each in goal.dispensed
        ],
        confirm=int(goal.confirm),
        success_fraction=goal.success_fraction,
        programs=[scan_program_to(each) for each in goal.programs],
        budget_s=goal.budget_s,
    )


def raw_file_to(raw: RawFile) -> Any:
    """A raw file's reference as its message."""
    return msg.RawFile(
        uri=raw.uri, sha256=raw.sha256, size_bytes=raw.size_bytes, media_type=raw.media_type
    )


def raw_file_from(message: Any) -> RawFile | None:
    """A raw file's reference, None where the message names none."""
    if not message.uri:
        return None
    return RawFile(message.uri, message.sha256, int(message.size_bytes), message.media_type)


# --- outcomes ---------------------------------------------------------------------------------


def report_from(message: Any) -> AttemptReport:
    """How an attempt ended."""
    return AttemptReport(
        code=int(message.error_code),
        message=message.error_message,
        began_ns=to_ns(message.began),
        ended_ns=to_ns(message.ended),
        samples=tuple(
            SampleOutcome(item.sample_id, SampleFate(item.outcome), item.position)
            for item in message.samples
        ),
        device=message.device,
        software_version=message.software_version,
        simulated=message.simulated,
        recalled=message.recalled,
    )


def outcome_from(goal: Goal, result: Any) -> Outcome:
    """The outcome of a goal from its action's result message."""
    report = report_from(result.report)
    if isinstance(goal, DispenseGoal):
        return DispenseOutcome(
            report, tuple(dose_reading_from(item) for item in result.doses), result.mixed_min
        )
    if isinstance(goal, TransferGoal):
        return TransferOutcome(report, result.final_position, known(result.path_length_m))
    if isinstance(goal, HeatGoal):
        trace = _trace_from(result.trace)
        # A result without a trace has zeros where nothing was measured, unless it says success.
        is_measured = report.succeeded or trace is not None
        return HeatOutcome(
            report,
            trace,
            known(result.max_measured_c) if is_measured else None,
            known(result.dwell_min) if is_measured else None,
            calibration_from(result.calibration) if is_measured else None,
        )
    if isinstance(goal, MeasureGoal):
        return MeasureOutcome(report, raw_file_from(result.pattern), goal.program)
    has_fraction = report.succeeded
    return AnalyseOutcome(
        report,
        phases=tuple(phase_fraction_from(item) for item in result.phases),
        target_fraction=known(result.target_fraction) if has_fraction else None,
        target_sigma=known(result.target_sigma) if has_fraction else None,
        quality=_quality_from(result.quality),
        verdict=Verdict(result.verdict),
        remarks=tuple(result.remarks),
        fit=raw_file_from(result.fit),
        **findings_from(result),
    )


def dose_reading_from(message: Any) -> DoseReading:
    """What was really dispensed."""
    return DoseReading(
        substance=message.substance,
        requested_mg=message.requested_mg,
        measured_mg=known(message.measured_mg),
        uncertainty_mg=known(message.uncertainty_mg),
        within_tolerance=message.within_tolerance,
        stamp_ns=to_ns(message.stamp),
        calibration=calibration_from(message.calibration),
    )


def calibration_from(message: Any) -> CalibrationMark:
    """The calibration that was applied to a reading."""
    return CalibrationMark(
        certificate_id=message.certificate_id,
        calibrated_ns=to_ns(message.calibrated),
        valid_until_ns=to_ns(message.valid_until),
        offset=message.offset,
        factor=message.factor,
        valid=message.valid,
    )


def calibration_to(mark: CalibrationMark) -> Any:
    """The message that `calibration_from` reads."""
    return msg.Calibration(
        certificate_id=mark.certificate_id,
        calibrated=to_msg(mark.calibrated_ns),
        valid_until=to_msg(mark.valid_until_ns),
        offset=mark.offset,
        factor=mark.factor,
        valid=mark.valid,
    )


def dose_reading_to(reading: DoseReading) -> Any:
    """The message that `dose_reading_from` reads."""
    return msg.DoseReading(
        substance=reading.substance,
        requested_mg=reading.requested_mg,
        measured_mg=nan(reading.measured_mg),
        uncertainty_mg=nan(reading.uncertainty_mg),
        within_tolerance=reading.within_tolerance,
        stamp=to_msg(reading.stamp_ns),
        calibration=calibration_to(reading.calibration or CalibrationMark()),
    )


def phase_fraction_from(message: Any) -> PhaseFraction:
    """A phase that was found."""
    return PhaseFraction(
        message.phase,
        message.formula,
        message.weight_fraction,
        known(message.sigma),
        known(message.cell_shift),
    )


def phase_fraction_to(found: PhaseFraction) -> Any:
    """A phase that was found, as its message."""
    return msg.PhaseFraction(
        phase=found.phase,
        formula=found.formula,
        weight_fraction=found.weight_fraction,
        sigma=nan(found.sigma),
        cell_shift=nan(found.cell_shift),
    )


def quality_to(quality: FitQuality) -> Any:
    """How well a fit explains its pattern, as its message."""
    return msg.FitQuality(
        rwp_percent=nan(quality.rwp_percent),
        rexp_percent=nan(quality.rexp_percent),
        goodness_of_fit=nan(quality.goodness_of_fit),
        unexplained_fraction=nan(quality.unexplained_fraction),
        unexplained_peaks_deg=list(quality.unexplained_peaks_deg),
        unexplained_peak_shares=list(quality.unexplained_peak_shares),
        bounds_hit=list(quality.bounds_hit),
        converged=bool(quality.converged),
    )


def _trace_from(message: Any) -> TemperatureTrace | None:
    if not len(message.elapsed_s):
        return None
    return TemperatureTrace(
        start_ns=to_ns(message.start),
        elapsed_s=tuple(float(value) for value in message.elapsed_s),
        measured_c=tuple(known(float(value)) for value in message.measured_c),
        setpoint_c=tuple(known(float(value)) for value in message.setpoint_c),
    )


def _quality_from(message: Any) -> FitQuality:
    return FitQuality(
        rwp_percent=known(message.rwp_percent),
        rexp_percent=known(message.rexp_percent),
        goodness_of_fit=known(message.goodness_of_fit),
        unexplained_fraction=known(message.unexplained_fraction),
        unexplained_peaks_deg=tuple(float(value) for value in message.unexplained_peaks_deg),
        unexplained_peak_shares=tuple(float(value) for value in message.unexplained_peak_shares),
        bounds_hit=tuple(message.bounds_hit),
        converged=bool(message.converged),
    )
