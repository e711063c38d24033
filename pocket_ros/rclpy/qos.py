"""Quality of service: policies, profiles and rclpy's presets."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Any

from .duration import Duration, Infinite


class InvalidQoSProfileException(Exception):
    """A QoS profile is incomplete."""

    def __init__(self, *args: object) -> None:
        super().__init__("Invalid QoSProfile", *args)


class _Policy(IntEnum):
    @property
    def short_key(self) -> str:
        """The policy's name on a command line."""
        return self.name.lower()

    @classmethod
    def short_keys(cls) -> list[str]:
        """All names for a command line."""
        return [policy.short_key for policy in cls if policy.name != "UNKNOWN"]

    @classmethod
    def get_from_short_key(cls, name: str) -> int:
        """Return the policy of a command line's name; KeyError where there is none."""
        return cls[name.upper()].value


QoSPolicyEnum = _Policy


class QoSPolicyKind(IntEnum):
    """The policies themselves, as events name them."""

    INVALID = 1
    DURABILITY = 2
    DEADLINE = 4
    LIVELINESS = 8
    RELIABILITY = 16
    HISTORY = 32
    LIFESPAN = 64
    DEPTH = 128
    LIVELINESS_LEASE_DURATION = 256
    AVOID_ROS_NAMESPACE_CONVENTIONS = 512


def qos_policy_name_from_kind(policy_kind: QoSPolicyKind | int) -> str:
    """Return the name of a policy."""
    return QoSPolicyKind(policy_kind).name


class HistoryPolicy(_Policy):
    """How many messages are kept for somebody who is slow."""

    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class ReliabilityPolicy(_Policy):
    """Whether messages may be lost."""

    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class DurabilityPolicy(_Policy):
    """Whether late joiners get the last messages."""

    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class LivelinessPolicy(_Policy):
    """Who asserts that a publisher is alive."""

    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4
    BEST_AVAILABLE = 5


QoSHistoryPolicy = HistoryPolicy
QoSReliabilityPolicy = ReliabilityPolicy
QoSDurabilityPolicy = DurabilityPolicy
QoSLivelinessPolicy = LivelinessPolicy

DurationInfinite = Infinite


class QoSProfile:
    """A set of policies. Needs ``history``, ``depth`` or both, as rclpy does."""

    __slots__ = (
        "_avoid_ros_namespace_conventions",
        "_deadline",
        "_depth",
        "_durability",
        "_history",
        "_lifespan",
        "_liveliness",
        "_liveliness_lease_duration",
        "_reliability",
    )

    def __init__(self, **kwargs: Any) -> None:
        unknown = set(kwargs) - {slot[1:] for slot in self.__slots__}
        if unknown:
            raise AssertionError(f"Invalid arguments passed to constructor: {sorted(unknown)}")
        if "history" not in kwargs:
            if "depth" not in kwargs:
                raise InvalidQoSProfileException("History and/or depth settings are required.")
            kwargs["history"] = HistoryPolicy.KEEP_LAST
        self.history = kwargs["history"]
        if self.history is HistoryPolicy.KEEP_LAST and "depth" not in kwargs:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        self.depth = kwargs.get("depth", 0)
        self.reliability = kwargs.get("reliability", ReliabilityPolicy.RELIABLE)
        self.durability = kwargs.get("durability", DurabilityPolicy.VOLATILE)
        self.lifespan = kwargs.get("lifespan", Duration())
        self.deadline = kwargs.get("deadline", Duration())
        self.liveliness = kwargs.get("liveliness", LivelinessPolicy.SYSTEM_DEFAULT)
        self.liveliness_lease_duration = kwargs.get("liveliness_lease_duration", Duration())
        self.avoid_ros_namespace_conventions = kwargs.get("avoid_ros_namespace_conventions", False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QoSProfile):
            return NotImplemented
        return all(getattr(self, slot) == getattr(other, slot) for slot in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{slot[1:]}={getattr(self, slot)!r}" for slot in self.__slots__)
        return f"{type(self).__name__}({values})"

    def _replaced(self, **changes: Any) -> QoSProfile:
        values = {slot[1:]: getattr(self, slot) for slot in self.__slots__}
        return QoSProfile(**{**values, **changes})


def _policy_property(name: str, convert: Any, doc: str) -> property:
    slot = f"_{name}"

    def read(self: QoSProfile) -> Any:
        return getattr(self, slot)

    def write(self: QoSProfile, value: Any) -> None:
        object.__setattr__(self, slot, convert(value))

    return property(read, write, doc=doc)


def _duration(value: Duration) -> Duration:
    if not isinstance(value, Duration):
        raise AssertionError("a duration of a QoS profile must be a rclpy.duration.Duration")
    return value


def _depth(value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise AssertionError("depth must be an int")
    if value < 0:
        raise ValueError("depth must be greater than or equal to zero")
    return value


QoSProfile.history = _policy_property("history", HistoryPolicy, "Keep last or keep all.")
QoSProfile.depth = _policy_property("depth", _depth, "Messages kept with KEEP_LAST.")
QoSProfile.reliability = _policy_property("reliability", ReliabilityPolicy, "May it be lost?")
QoSProfile.durability = _policy_property("durability", DurabilityPolicy, "For late joiners?")
QoSProfile.lifespan = _policy_property("lifespan", _duration, "Age at which messages expire.")
QoSProfile.deadline = _policy_property("deadline", _duration, "Expected greatest period.")
QoSProfile.liveliness = _policy_property("liveliness", LivelinessPolicy, "Who asserts it.")
QoSProfile.liveliness_lease_duration = _policy_property(
    "liveliness_lease_duration", _duration, "Within what time liveliness is asserted."
)
QoSProfile.avoid_ros_namespace_conventions = _policy_property(
    "avoid_ros_namespace_conventions", bool, "Accepted, without effect on this wire."
)

qos_profile_unknown = QoSProfile(
    history=HistoryPolicy.UNKNOWN,
    depth=0,
    reliability=ReliabilityPolicy.UNKNOWN,
    durability=DurabilityPolicy.UNKNOWN,
    liveliness=LivelinessPolicy.UNKNOWN,
)
qos_profile_default = QoSProfile(depth=10)
qos_profile_system_default = QoSProfile(
    history=HistoryPolicy.SYSTEM_DEFAULT,
    depth=0,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
    liveliness=LivelinessPolicy.SYSTEM_DEFAULT,
)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)
qos_profile_action_status_default = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
qos_profile_best_available = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.BEST_AVAILABLE,
    durability=DurabilityPolicy.BEST_AVAILABLE,
    liveliness=LivelinessPolicy.BEST_AVAILABLE,
)


class QoSPresetProfiles(Enum):
    """The presets by name."""

    UNKNOWN = qos_profile_unknown
    DEFAULT = qos_profile_default
    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events
    ACTION_STATUS_DEFAULT = qos_profile_action_status_default
    BEST_AVAILABLE = qos_profile_best_available

    @staticmethod
    def short_keys() -> list[str]:
        """All names for a command line."""
        return [preset.name.lower() for preset in QoSPresetProfiles]

    @staticmethod
    def get_from_short_key(name: str) -> QoSProfile:
        """Return the preset of a command line's name; KeyError where there is none."""
        return QoSPresetProfiles[name.upper()].value


class QoSCompatibility(IntEnum):
    """Outcome of :func:`qos_check_compatible`."""

    OK = 0
    WARNING = 1
    ERROR = 2


def _is_shorter(requested: Duration, offered: Duration) -> bool:
    """Return whether a subscription asks for more than is offered; zero stands for never."""
    return (requested.nanoseconds or Infinite.nanoseconds) < (
        offered.nanoseconds or Infinite.nanoseconds
    )


def is_limited(duration: Duration) -> bool:
    """Return whether a deadline, lifespan or lease ever ends; zero stands for never."""
    return 0 < duration.nanoseconds < Infinite.nanoseconds


def has_manual_lease(qos: QoSProfile) -> bool:
    """Return whether a publisher must assert that it is alive."""
    return qos.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC and is_limited(
        qos.liveliness_lease_duration
    )


def incompatibilities(
    publisher_qos: QoSProfile, subscription_qos: QoSProfile
) -> list[tuple[QoSPolicyKind, str]]:
    """Return the policies for which DDS would not let the two talk, each with a sentence."""
    offered, requested = publisher_qos, subscription_qos
    rules = (
        (
            QoSPolicyKind.RELIABILITY,
            "Best effort publisher and reliable subscription",
            offered.reliability is ReliabilityPolicy.BEST_EFFORT
            and requested.reliability is ReliabilityPolicy.RELIABLE,
        ),
        (
            QoSPolicyKind.DURABILITY,
            "Volatile publisher and transient local subscription",
            offered.durability is DurabilityPolicy.VOLATILE
            and requested.durability is DurabilityPolicy.TRANSIENT_LOCAL,
        ),
        (
            QoSPolicyKind.DEADLINE,
            "Subscription deadline is less than publisher deadline",
            _is_shorter(requested.deadline, offered.deadline),
        ),
        (
            QoSPolicyKind.LIVELINESS,
            "Publisher's liveliness is automatic and subscription's is manual by topic",
            offered.liveliness is LivelinessPolicy.AUTOMATIC
            and requested.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC,
        ),
        (
            QoSPolicyKind.LIVELINESS,
            "Subscription's liveliness lease is less than publisher's",
            _is_shorter(requested.liveliness_lease_duration, offered.liveliness_lease_duration),
        ),
    )
    return [(kind, sentence) for kind, sentence, broken in rules if broken]


_UNSETTLED = ("SYSTEM_DEFAULT", "UNKNOWN")
# The least that may be offered, and the most that may be requested.
_LEAST_AND_MOST = {
    "reliability": (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE),
    "durability": (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL),
    "liveliness": (LivelinessPolicy.AUTOMATIC, LivelinessPolicy.MANUAL_BY_TOPIC),
}


def qos_check_compatible(
    publisher_qos: QoSProfile, subscription_qos: QoSProfile
) -> tuple[QoSCompatibility, str]:
    """Judge as DDS would, and warn where a policy is not settled."""
    problems = incompatibilities(publisher_qos, subscription_qos)
    if problems:
        text = "".join(f"ERROR: {sentence};" for _, sentence in problems)
        return QoSCompatibility.ERROR, text
    doubts = "".join(
        f"WARNING: Publisher {name} is {offered.name.lower()} and subscription {name} is "
        f"{requested.name.lower()};"
        for name, (least, most) in _LEAST_AND_MOST.items()
        for offered, requested in [(getattr(publisher_qos, name), getattr(subscription_qos, name))]
        if _is_doubtful(offered, requested, least, most)
    )
    return (QoSCompatibility.WARNING, doubts) if doubts else (QoSCompatibility.OK, "")


def _is_doubtful(offered: Any, requested: Any, least: Any, most: Any) -> bool:
    """Return whether a policy that is not settled might turn out incompatible."""
    if offered.name in _UNSETTLED:
        return requested.name in _UNSETTLED or requested is most
    return offered is least and requested.name in _UNSETTLED


def best_available(qos: QoSProfile, offered: Sequence[QoSProfile] | None) -> QoSProfile:
    """Settle "best available": the most that all ``offered`` profiles allow.

    ``offered`` are those of a topic's publishers for a subscription, None for a publisher, which
    offers the most there is.
    """

    def settle(name: str, most: Any, least: Any) -> Any:
        policy = getattr(qos, name)
        if policy.name != "BEST_AVAILABLE":
            return policy
        if offered is None or (offered and all(getattr(other, name) is most for other in offered)):
            return most
        return least

    nobody_yet = offered is not None and not offered
    return qos._replaced(
        reliability=settle(
            "reliability",
            ReliabilityPolicy.RELIABLE,
            ReliabilityPolicy.RELIABLE if nobody_yet else ReliabilityPolicy.BEST_EFFORT,
        ),
        durability=settle(
            "durability", DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE
        ),
        liveliness=settle("liveliness", LivelinessPolicy.AUTOMATIC, LivelinessPolicy.AUTOMATIC),
    )


def as_profile(qos: QoSProfile | int) -> QoSProfile:
    """Return the profile that a depth stands for, or the profile itself."""
    if isinstance(qos, int):
        return QoSProfile(depth=_depth(qos))
    if not isinstance(qos, QoSProfile):
        raise TypeError(f"Expected QoSProfile or int, but received {type(qos)!r}")
    return qos


def resolve(qos: QoSProfile | int) -> QoSProfile:
    """Replace a depth by its profile, and "system default" by what it means."""
    qos = as_profile(qos)
    keep_all = qos.history is HistoryPolicy.KEEP_ALL
    return qos._replaced(
        history=HistoryPolicy.KEEP_ALL if keep_all else HistoryPolicy.KEEP_LAST,
        depth=qos.depth or (0 if keep_all else 42 if qos.history == 0 else 1),
        reliability=ReliabilityPolicy.BEST_EFFORT
        if qos.reliability is ReliabilityPolicy.BEST_EFFORT
        else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if qos.durability is DurabilityPolicy.TRANSIENT_LOCAL
        else DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC
        if qos.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC
        else LivelinessPolicy.AUTOMATIC,
    )
