"""Telling people of alerts: on a topic, in the log, and to a web server where one is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from matlab_ros.lab.alerts import Alert, AlertLevel
from matlab_ros.nodes.ros_time import to_msg
from matlab_ros.nodes.webhook import Webhook
from matlab_ros_interfaces import msg

ALERTS = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Who comes later sees the last hundred too."""


class AlertBoard:
    """Passes alerts on.

    Args:
        node: the lab manager's.
        webhook: address that each alert of at least a warning is posted to; empty: none.
        now_ns: ROS time.

    Raises:
        ConfigError: the address is none.
    """

    def __init__(self, node: Node, webhook: str, now_ns: Callable[[], int]) -> None:
        self._log = node.get_logger()
        self._now_ns = now_ns
        self._publisher = node.create_publisher(msg.Alert, "alerts", ALERTS)
        self._webhook = Webhook(webhook, self._log.warning) if webhook else None

    def tell(self, alert: Alert) -> None:
        """Pass an alert on; returns at once."""
        self._publisher.publish(alert_message(alert))
        text = f"{alert.text} {alert.to_do}".rstrip()
        if alert.level >= AlertLevel.ERROR:
            self._log.error(text)
        elif alert.level is AlertLevel.WARNING:
            self._log.warning(text)
        else:
            self._log.info(text)
        if self._webhook is not None and alert.level >= AlertLevel.WARNING:
            self._webhook.post({**asdict(alert), "level": alert.level.name.lower()})

    def tell_of(self, what: str, text: str, to_do: str = "", device: str = "") -> None:
        """Pass on what is not in the journal: an error where there is something to do about it."""
        level = AlertLevel.ERROR if to_do else AlertLevel.NOTICE
        self.tell(Alert(level, what, text, to_do, device=device, stamp_ns=self._now_ns()))

    def close(self) -> None:
        """Send what waits if that is quick."""
        if self._webhook is not None:
            self._webhook.close()


def alert_message(alert: Alert) -> Any:
    """Alert."""
    return msg.Alert(
        stamp=to_msg(alert.stamp_ns),
        sequence=alert.sequence,
        level=int(alert.level),
        what=alert.what,
        campaign=alert.campaign,
        experiment_id=alert.experiment_id,
        sample_id=alert.sample_id,
        device=alert.device,
        fault_id=alert.fault_id,
        text=alert.text,
        to_do=alert.to_do,
    )
