"""The lab's figures on a topic, at every milestone of a campaign."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from matlab_ros.lab.events import CampaignEnded, CampaignStarted, ExperimentEnded, ManagerRestarted
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.lab.metrics import CampaignMetrics
from matlab_ros.lab.metrics_values import LabMetrics
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.nodes.conversions import nan
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.ros_time import to_msg
from matlab_ros_interfaces import msg

_MILESTONES = (CampaignStarted, ExperimentEnded, CampaignEnded, ManagerRestarted)


class MetricsBoard:
    """Counts what the journal gets, and publishes the figures on ``lab_metrics``, latched.

    Args:
        node: that publishes.
        lab: its configuration.
    """

    def __init__(self, node: Node, lab: LabConfig) -> None:
        self._lab = lab
        self._counted = CampaignMetrics()
        self._publisher = node.create_publisher(msg.LabMetrics, "lab_metrics", LATCHED)

    def remember(self, entry: JournalEntry) -> None:
        """Count an entry of before this process began."""
        self._counted.take(entry)

    def take(self, entry: JournalEntry) -> None:
        """Count an entry, and publish where it is a milestone."""
        self._counted.take(entry)
        if isinstance(entry.event, _MILESTONES) and self._counted.plan is not None:
            found = self._counted.metrics(self._lab)
            self._publisher.publish(metrics_message(found, entry.ros_time_ns))


def metrics_message(found: LabMetrics, stamp_ns: int) -> Any:
    """The figures as a message."""
    return msg.LabMetrics(
        stamp=to_msg(stamp_ns),
        campaign=found.campaign,
        simulated=found.simulated,
        span_s=found.span_s,
        wall_s=nan(found.wall_s),
        autonomy=int(found.autonomy),
        experiments_by_planner=found.experiments_by_planner,
        experiments_by_person=found.experiments_by_person,
        operator_acts=found.operator_acts,
        demonstrated_unassisted_lifetime_s=found.unassisted_lifetime_s,
        demonstrated_assisted_lifetime_s=found.assisted_lifetime_s,
        unassisted_now_s=found.unassisted_now_s,
        theoretical_unassisted_lifetime_s=nan(found.theoretical_unassisted_lifetime_s),
        first_supply_to_end=found.first_supply_to_end,
        manager_restarts=found.manager_restarts,
        samples_ended=found.samples_ended,
        samples_succeeded=found.samples_succeeded,
        demonstrated_throughput_per_day=found.throughput_per_day,
        demonstrated_throughput_per_wall_day=nan(found.wall_throughput_per_day),
        theoretical_throughput_per_day=nan(found.theoretical_throughput_per_day),
        bottleneck=found.bottleneck,
        in_flight_mean=found.in_flight_mean,
        in_flight_allowed=found.in_flight_allowed,
        gain_if_twice_in_flight=found.gain_if_twice_in_flight,
        attempts=found.attempts,
        attempts_failed=found.attempts_failed,
        recovery_rate=nan(found.recovery_rate),
        mtbf_s=nan(found.mtbf_s),
        mttr_s=nan(found.mttr_s),
        precision=nan(found.precision),
        precision_degrees_of_freedom=found.precision_freedom,
        reported_sigma=nan(found.reported_sigma),
        parameters_continuous=found.parameters_continuous,
        parameters_categorical=found.parameters_categorical,
        settings_accessible=min(found.settings_accessible or 0, 2**64 - 1),
        settings_tried=found.settings_tried,
        best_objective=nan(found.best_objective),
        experiments_to_best=found.experiments_to_best,
        experiments_to_95_percent=found.experiments_to_95_percent,
        mean_objective_without_model=nan(found.mean_objective_without_model),
        stations=[
            msg.StationMetrics(
                device=item.device,
                busy_s=item.busy_s,
                utilisation=item.utilisation,
                attempts=item.attempts,
                failures=item.failures,
                samples_per_attempt=item.samples_per_attempt,
                down_s=item.down_s,
                mtbf_s=nan(item.mtbf_s),
            )
            for item in found.stations
        ],
        pools=[
            msg.PoolMetrics(
                name=item.name,
                devices=list(item.devices),
                utilisation=item.utilisation,
                demand_s=item.demand_s,
                limit_per_day=nan(item.limit_per_day),
                gain_if_twice_as_fast=item.gain_if_twice_as_fast,
            )
            for item in found.pools
        ],
        steps=[
            msg.StepMetrics(
                kind=item.kind,
                attempts=item.attempts,
                failures=item.failures,
                working_total_s=item.working.total_s,
                working_median_s=item.working.median_s,
                working_p95_s=item.working.p95_s,
                waiting_total_s=item.waiting.total_s,
                waiting_median_s=item.waiting.median_s,
                waiting_p95_s=item.waiting.p95_s,
            )
            for item in found.steps
        ],
        faults=[
            msg.FaultMetrics(
                error_code=int(FaultCode[item.code]),
                name=item.code,
                count=item.count,
                recovered_alone=item.recovered_alone,
                recovered_by_person=item.recovered_by_person,
                came_again=item.came_again,
                given_up=item.given_up,
                open=item.open,
            )
            for item in found.faults
        ],
        materials=[
            msg.MaterialMetrics(
                substance=item.substance,
                doses=item.doses,
                doses_unmeasured=item.unmeasured,
                requested_mg=item.requested_mg,
                dispensed_mg=item.dispensed_mg,
                wasted_mg=item.wasted_mg,
            )
            for item in found.materials
        ],
    )
