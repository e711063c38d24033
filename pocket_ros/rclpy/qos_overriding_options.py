"""QoS of single publishers and subscriptions, set by read-only parameters of their node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..idl import load
from . import qos as policies
from .duration import Duration
from .exceptions import ParameterAlreadyDeclaredException
from .qos import QoSPolicyKind, QoSProfile

if TYPE_CHECKING:
    from .node import Node

_ENUMS: dict[QoSPolicyKind, Any] = {
    QoSPolicyKind.HISTORY: policies.HistoryPolicy,
    QoSPolicyKind.RELIABILITY: policies.ReliabilityPolicy,
    QoSPolicyKind.DURABILITY: policies.DurabilityPolicy,
    QoSPolicyKind.LIVELINESS: policies.LivelinessPolicy,
}
_DURATIONS = (
    QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIFESPAN,
    QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)


class InvalidQosOverridesError(Exception):
    """The callback of the options refused what the parameters made of a QoS."""


def __getattr__(name: str) -> Any:
    if name == "QosCallbackResult":
        return load("rcl_interfaces/msg/SetParametersResult")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class QoSOverridingOptions:
    """Which policies get a parameter ``qos_overrides.<topic>.<publisher|subscription>.<policy>``.

    ``entity_id`` tells several endpoints of one topic apart. ``callback`` judges the QoS that
    comes out: it returns a :data:`QosCallbackResult`, which may refuse it.
    """

    def __init__(
        self,
        policy_kinds: Iterable[QoSPolicyKind],
        *,
        callback: Callable[[QoSProfile], Any] | None = None,
        entity_id: str | None = None,
    ) -> None:
        self.policy_kinds = tuple(policy_kinds)
        self.callback = callback
        self.entity_id = entity_id

    @classmethod
    def with_default_policies(
        cls,
        *,
        callback: Callable[[QoSProfile], Any] | None = None,
        entity_id: str | None = None,
    ) -> QoSOverridingOptions:
        """Return options for history, depth and reliability."""
        return cls(
            (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY),
            callback=callback,
            entity_id=entity_id,
        )


def overridden(
    node: Node, end: str, topic: str, qos: QoSProfile, options: QoSOverridingOptions
) -> QoSProfile:
    """Declare the parameters of an endpoint and return the QoS that they make.

    ``end`` is "publisher" or "subscription". Raises InvalidQosOverridesError where the callback
    refuses, RuntimeError for a policy that does not exist.
    """
    suffix = "" if options.entity_id is None else f"_{options.entity_id}"
    prefix = f"qos_overrides.{topic}.{end}{suffix}"
    changes: dict[str, Any] = {}
    for kind in options.policy_kinds:
        if kind is QoSPolicyKind.LIFESPAN and end == "subscription":
            continue
        policy = kind.name.lower()
        changes[policy] = _from_parameter(
            kind, _declared(node, f"{prefix}.{policy}", _to_parameter(kind, getattr(qos, policy)))
        )
    qos = qos._replaced(**changes)
    if options.callback is not None:
        result = options.callback(qos)
        if not result.successful:
            raise InvalidQosOverridesError(
                f"Provided QoS overrides for {end} `{topic}` with id `{options.entity_id}`, "
                f"are not valid: {result.reason}"
            )
    return qos


def _declared(node: Node, name: str, default: Any) -> Any:
    descriptor = load("rcl_interfaces/msg/ParameterDescriptor")(read_only=True)
    try:
        return node.declare_parameter(name, default, descriptor).value
    except ParameterAlreadyDeclaredException:
        return node.get_parameter(name).value


def _to_parameter(kind: QoSPolicyKind, value: Any) -> Any:
    if kind in _ENUMS:
        return value.short_key
    return value.nanoseconds if kind in _DURATIONS else value


def _from_parameter(kind: QoSPolicyKind, value: Any) -> Any:
    if kind in _DURATIONS:
        return Duration(nanoseconds=value)
    if kind not in _ENUMS:
        return value
    try:
        return _ENUMS[kind][value.upper()]
    except KeyError:
        raise RuntimeError(
            f"Unexpected QoS override for policy `{kind.name.lower()}`: `{value}`"
        ) from None
