"""Nodes: they make and own publishers, subscriptions, services, clients, timers, parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import zenoh

from ..idl import load
from . import qos as qos_module
from ._core import arguments, graph_queries, names, wire
from ._core.endpoint import check_type
from ._core.parameter_store import ParameterStore
from ._core.ready import Inbox
from ._core.rosout import Rosout
from .callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from .client import Client
from .clock import Clock, ROSClock
from .constants import S_TO_NS
from .context import Context
from .event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from .exceptions import NotInitializedException
from .executors import Executor
from .guard_condition import GuardCondition
from .logging import RcutilsLogger, get_logger
from .logging_service import LoggingService
from .parameter import Parameter
from .parameter_service import ParameterService
from .publisher import Publisher
from .qos import (
    QoSProfile,
    qos_profile_parameter_events,
    qos_profile_services_default,
)
from .qos_overriding_options import QoSOverridingOptions, overridden
from .service import Service
from .subscription import Subscription
from .time_source import TimeSource
from .timer import Rate, Timer
from .topic_endpoint_info import TopicEndpointInfo
from .type_description_service import TypeDescriptionService
from .utilities import get_default_context

HIDDEN_NODE_PREFIX = "_"


class NodeNameNonExistentError(Exception):
    """No node of that name is known."""


class Node:
    """A node of the ROS graph.

    What the runtime needs of it has names that begin with ``_rclpy_``, so that a subclass may
    give its own attributes any other private name.
    """

    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: list[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        start_parameter_services: bool = True,
        parameter_overrides: list[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
        enable_logger_service: bool = False,
    ) -> None:
        self._rclpy_context = get_default_context() if context is None else context
        if not self._rclpy_context.ok():
            raise NotInitializedException("cannot create node")
        self._rclpy_arguments = [arguments.parse(["--ros-args", *cli_args] if cli_args else [])]
        if cli_args and "--ros-args" in cli_args:
            self._rclpy_arguments = [arguments.parse(cli_args)]
        if use_global_arguments:
            self._rclpy_arguments.append(self._rclpy_context._arguments)
        self._rclpy_name = arguments.remapped_node_name(self._rclpy_arguments, node_name)
        names.check_node_name(self._rclpy_name)
        self._rclpy_namespace = _absolute(
            arguments.remapped_namespace(self._rclpy_arguments, node_name, namespace or "/")
        )
        names.check_namespace(self._rclpy_namespace)

        self._rclpy_inbox = Inbox()
        self._rclpy_destroyed = False
        self._rclpy_publishers: list[Publisher[Any]] = []
        self._rclpy_subscriptions: list[Subscription[Any]] = []
        self._rclpy_clients: list[Client] = []
        self._rclpy_services: list[Any] = []
        self._rclpy_timers: list[Timer] = []
        self._rclpy_guards: list[GuardCondition] = []
        self._rclpy_waitables: list[Any] = []
        self._rclpy_rates: list[Rate] = []
        self._rclpy_default_callback_group = MutuallyExclusiveCallbackGroup()
        self._rclpy_logger = get_logger(
            self.get_fully_qualified_name().strip("/").replace("/", ".")
        )
        self._rclpy_parameter_events: Publisher[Any] | None = None

        session = self._rclpy_context._live_session()
        self._rclpy_id = next(self._rclpy_context._ids)
        self._rclpy_token = session.liveliness().declare_token(
            wire.node_token(
                self._rclpy_context.get_domain_id(),
                self._rclpy_context._zid,
                self._rclpy_id,
                self._rclpy_context._arguments.enclave,
                self._rclpy_namespace,
                self._rclpy_name,
            )
        )
        self._rclpy_parameters = ParameterStore(
            self._rclpy_overrides(parameter_overrides),
            allow_undeclared_parameters,
            self._rclpy_announce_parameters,
        )
        self._rclpy_rosout = (
            Rosout(self)
            if enable_rosout and self._rclpy_context._arguments.logs_to("rosout")
            else None
        )
        self._rclpy_parameter_events = self.create_publisher(
            load("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            qos_profile_parameter_events,
        )
        if automatically_declare_parameters_from_overrides:
            for parameter in self._rclpy_parameters.overrides.values():
                self.declare_parameter(parameter.name, parameter.value, ignore_override=True)
        self._rclpy_clock = ROSClock()
        self._rclpy_time_source = TimeSource(node=self)
        self._rclpy_time_source.attach_clock(self._rclpy_clock)
        self._rclpy_show_as_in_rclpy()
        if start_parameter_services:
            self._rclpy_parameter_service = ParameterService(self)
        if enable_logger_service:
            self._rclpy_logging_service = LoggingService(self)
        self._rclpy_type_description_service = TypeDescriptionService(self)

    def _rclpy_show_as_in_rclpy(self) -> None:
        """Set the private names of rclpy that others' code reads. Nothing here depends on them."""
        store = self._rclpy_parameters
        self._context = self._rclpy_context
        self._default_callback_group = self._rclpy_default_callback_group
        self._logger = self._rclpy_logger
        self._clock = self._rclpy_clock
        self._time_source = self._rclpy_time_source
        self._publishers = self._rclpy_publishers
        self._subscriptions = self._rclpy_subscriptions
        self._clients = self._rclpy_clients
        self._services = self._rclpy_services
        self._timers = self._rclpy_timers
        self._guards = self._rclpy_guards
        self._parameters = store.parameters
        self._descriptors = store.descriptors
        self._parameter_overrides = store.overrides
        self._allow_undeclared_parameters = store.allow_undeclared
        self._parameter_event_publisher = self._rclpy_parameter_events

    def _rclpy_overrides(self, given: list[Parameter] | None) -> dict[str, Parameter]:
        # The command line of the process speaks before the node's own, so that the latter wins.
        from_arguments = arguments.overrides_for(
            reversed(self._rclpy_arguments), self.get_fully_qualified_name()
        )
        overrides = {
            name: Parameter(name, Parameter.Type.STRING_ARRAY if value == [] else None, value)
            for name, value in from_arguments.items()
        }
        return {**overrides, **{parameter.name: parameter for parameter in given or ()}}

    # The node itself

    def get_name(self) -> str:
        """Return its name without namespace."""
        return self._rclpy_name

    def get_namespace(self) -> str:
        """Return its namespace, which begins with a slash."""
        return self._rclpy_namespace

    def get_fully_qualified_name(self) -> str:
        """Return namespace and name."""
        return f"{self._rclpy_namespace.rstrip('/')}/{self._rclpy_name}"

    def get_clock(self) -> Clock:
        """Return its clock, which shows ROS time."""
        return self._rclpy_clock

    def get_logger(self) -> RcutilsLogger:
        """Return its logger."""
        return self._rclpy_logger

    @property
    def context(self) -> Context:
        """The context that it belongs to."""
        return self._rclpy_context

    @property
    def default_callback_group(self) -> CallbackGroup:
        """The mutually exclusive group of what is created without one."""
        return self._rclpy_default_callback_group

    @property
    def executor(self) -> Executor | None:
        """The executor that has it; setting it moves the node."""
        return self._rclpy_inbox.executor

    @executor.setter
    def executor(self, new_executor: Executor | None) -> None:
        current = self._rclpy_inbox.executor
        if current is new_executor:
            return
        if current is not None:
            current.remove_node(self)
        if new_executor is not None:
            new_executor.add_node(self)

    @property
    def publishers(self) -> list[Publisher[Any]]:
        """Its publishers."""
        return list(self._rclpy_publishers)

    @property
    def subscriptions(self) -> list[Subscription[Any]]:
        """Its subscriptions."""
        return list(self._rclpy_subscriptions)

    @property
    def clients(self) -> list[Client]:
        """Its clients."""
        return list(self._rclpy_clients)

    @property
    def services(self) -> list[Any]:
        """Its services."""
        return list(self._rclpy_services)

    @property
    def timers(self) -> list[Timer]:
        """Its timers."""
        return list(self._rclpy_timers)

    @property
    def guards(self) -> list[GuardCondition]:
        """Its guard conditions."""
        return list(self._rclpy_guards)

    @property
    def waitables(self) -> list[Any]:
        """Its action servers and clients."""
        return list(self._rclpy_waitables)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy_node()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.get_fully_qualified_name()}>"

    def destroy_node(self) -> None:
        """Destroy all that it owns and leave the graph. A second call does nothing."""
        if self._rclpy_destroyed:
            return
        self._rclpy_destroyed = True
        self.executor = None
        self._rclpy_time_source.detach_node()
        for rate in self._rclpy_rates:
            rate.destroy()
        for owned in (
            self._rclpy_waitables,
            self._rclpy_timers,
            self._rclpy_guards,
            self._rclpy_services,
            self._rclpy_clients,
            self._rclpy_subscriptions,
            self._rclpy_publishers,
        ):
            for entity in list(owned):
                entity.destroy()
            owned.clear()
        if self._rclpy_rosout is not None:
            self._rclpy_rosout.destroy()
        if self._rclpy_context.ok():
            with contextlib.suppress(zenoh.ZError):
                self._rclpy_token.undeclare()

    # Names

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """Return the full name of a topic, remapped unless ``only_expand``."""
        return self._rclpy_resolve(topic, only_expand, is_service=False)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """Return the full name of a service, remapped unless ``only_expand``."""
        return self._rclpy_resolve(service, only_expand, is_service=True)

    def _rclpy_resolve(self, name: str, only_expand: bool, *, is_service: bool) -> str:
        full = names.expand(name, self._rclpy_name, self._rclpy_namespace, is_service=is_service)
        if only_expand:
            return full
        return arguments.remapped_name(
            self._rclpy_arguments,
            full,
            self._rclpy_name,
            self._rclpy_namespace,
            is_service=is_service,
        )

    # Making and destroying

    def create_publisher(
        self,
        msg_type: Any,
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: PublisherEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        publisher_class: type[Publisher[Any]] = Publisher,
    ) -> Publisher[Any]:
        """Make a publisher; without event callbacks of yours it warns of incompatible ends."""
        check_type(msg_type)
        full_topic = self.resolve_topic_name(topic)
        qos = self._rclpy_qos("publisher", full_topic, qos_profile, qos_overriding_options)
        publisher = publisher_class(
            self,
            msg_type,
            full_topic,
            qos_module.resolve(qos_module.best_available(qos, None)),
            event_callbacks or PublisherEventCallbacks(),
            callback_group or self._rclpy_default_callback_group,
        )
        self._rclpy_publishers.append(publisher)
        return publisher

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
    ) -> Subscription[Any]:
        """Make a subscription; its callback takes (message) or (message, info).

        Without event callbacks of yours it warns of incompatible publishers.
        """
        check_type(msg_type)
        full_topic = self.resolve_topic_name(topic)
        qos = self._rclpy_qos("subscription", full_topic, qos_profile, qos_overriding_options)
        publishers = self._rclpy_context._live_graph().entities(wire.PUBLISHER, full_topic)
        offered = [wire.decode_qos(publisher.qos_text) for publisher in publishers]
        subscription: Subscription[Any] = Subscription(
            self,
            msg_type,
            full_topic,
            callback,
            callback_group or self._rclpy_default_callback_group,
            qos_module.resolve(qos_module.best_available(qos, offered)),
            raw,
            event_callbacks or SubscriptionEventCallbacks(),
        )
        self._rclpy_subscriptions.append(subscription)
        return subscription

    def _rclpy_qos(
        self,
        end: str,
        topic: str,
        qos: QoSProfile | int,
        options: QoSOverridingOptions | None,
    ) -> QoSProfile:
        qos = qos_module.as_profile(qos)
        return qos if options is None else overridden(self, end, topic, qos, options)

    def create_client(
        self,
        srv_type: Any,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        """Make a client of a service."""
        check_type(srv_type)
        client = Client(
            self,
            srv_type,
            self.resolve_service_name(srv_name),
            qos_module.resolve(qos_profile),
            callback_group or self._rclpy_default_callback_group,
        )
        self._rclpy_clients.append(client)
        return client

    def create_service(
        self,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        """Make a service; its callback takes (request, response) and returns the response."""
        check_type(srv_type)
        service = Service(
            self,
            srv_type,
            self.resolve_service_name(srv_name),
            callback,
            callback_group or self._rclpy_default_callback_group,
            qos_module.resolve(qos_profile),
        )
        self._rclpy_services.append(service)
        return service

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[[], Any] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Make a timer, on the node's clock unless another is given."""
        timer = Timer(
            callback,
            callback_group or self._rclpy_default_callback_group,
            int(float(timer_period_sec) * S_TO_NS),
            clock or self._rclpy_clock,
            inbox=self._rclpy_inbox,
            context=self._rclpy_context,
            autostart=autostart,
        )
        self._rclpy_timers.append(timer)
        return timer

    def create_guard_condition(
        self, callback: Callable[[], Any] | None, callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        """Make a guard condition."""
        guard = GuardCondition(
            callback, callback_group or self._rclpy_default_callback_group, inbox=self._rclpy_inbox
        )
        self._rclpy_guards.append(guard)
        return guard

    def create_rate(self, frequency: float, clock: Clock | None = None) -> Rate:
        """Make a rate; ValueError unless the frequency is positive."""
        if frequency <= 0:
            raise ValueError("frequency must be > 0")
        group = MutuallyExclusiveCallbackGroup()
        timer = self.create_timer(1.0 / frequency, None, group, clock)
        rate = Rate(timer, context=self._rclpy_context)
        self._rclpy_rates.append(rate)
        return rate

    def add_waitable(self, waitable: Any) -> None:
        """Own an action server or client."""
        self._rclpy_waitables.append(waitable)

    def remove_waitable(self, waitable: Any) -> None:
        """Own it no more."""
        if waitable in self._rclpy_waitables:
            self._rclpy_waitables.remove(waitable)

    def _rclpy_destroy(self, owned: list[Any], entity: Any) -> bool:
        if entity not in owned:
            return False
        owned.remove(entity)
        entity.destroy()
        return True

    def destroy_publisher(self, publisher: Publisher[Any]) -> bool:
        """Destroy a publisher of this node; False if it is none."""
        return self._rclpy_destroy(self._rclpy_publishers, publisher)

    def destroy_subscription(self, subscription: Subscription[Any]) -> bool:
        """Destroy a subscription of this node; False if it is none."""
        return self._rclpy_destroy(self._rclpy_subscriptions, subscription)

    def destroy_client(self, client: Client) -> bool:
        """Destroy a client of this node; False if it is none."""
        return self._rclpy_destroy(self._rclpy_clients, client)

    def destroy_service(self, service: Any) -> bool:
        """Destroy a service of this node; False if it is none."""
        return self._rclpy_destroy(self._rclpy_services, service)

    def destroy_timer(self, timer: Timer) -> bool:
        """Destroy a timer of this node; False if it is none."""
        return self._rclpy_destroy(self._rclpy_timers, timer)

    def destroy_guard_condition(self, guard: GuardCondition) -> bool:
        """Destroy a guard condition of this node; False if it is none."""
        return self._rclpy_destroy(self._rclpy_guards, guard)

    def destroy_rate(self, rate: Rate) -> bool:
        """Destroy a rate of this node; False if it is none."""
        if not self._rclpy_destroy(self._rclpy_rates, rate):
            return False
        return self.destroy_timer(rate._timer)

    # Parameters

    def declare_parameter(
        self,
        name: str,
        value: Any = None,
        descriptor: Any = None,
        ignore_override: bool = False,
    ) -> Parameter:
        """Declare a parameter by default value or by type; overrides come before the default."""
        return self._rclpy_parameters.declare(name, value, descriptor, ignore_override)

    def declare_parameters(
        self,
        namespace: str,
        parameters: Iterable[tuple[Any, ...]],
        ignore_override: bool = False,
    ) -> list[Parameter]:
        """Declare (name[, value[, descriptor]]) each, below ``namespace``."""
        prefix = f"{namespace}." if namespace else ""
        return [
            self._rclpy_parameters.declare(
                prefix + entry[0],
                entry[1] if len(entry) > 1 else None,
                entry[2] if len(entry) > 2 else None,
                ignore_override,
            )
            for entry in parameters
        ]

    def undeclare_parameter(self, name: str) -> None:
        """Forget a parameter."""
        self._rclpy_parameters.undeclare(name)

    def has_parameter(self, name: str) -> bool:
        """Return whether a parameter is declared."""
        return self._rclpy_parameters.has(name)

    def get_parameter(self, name: str) -> Parameter:
        """Return a parameter."""
        return self._rclpy_parameters.get(name)

    def get_parameters(self, names: list[str]) -> list[Parameter]:
        """Return several parameters."""
        return [self._rclpy_parameters.get(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Any = None) -> Parameter:
        """Return a parameter, or the alternative where it has no value."""
        return self._rclpy_parameters.get_or(name, alternative_value)

    def get_parameter_type(self, name: str) -> int | Parameter.Type:
        """Return the number of a parameter's type; as rclpy, NOT_SET itself where undeclared."""
        type_ = self._rclpy_parameters.type_of(name)
        return type_.value if self.has_parameter(name) else type_

    def get_parameter_types(self, names: list[str]) -> list[int | Parameter.Type]:
        """Return the types of several parameters."""
        if not all(isinstance(name, str) for name in names):
            raise TypeError("All names must be instances of type str")
        return [self.get_parameter_type(name) for name in names]

    def list_parameters(self, prefixes: list[str], depth: int) -> Any:
        """Return a ListParametersResult: names within ``depth`` levels of a prefix (0: any)."""
        if not isinstance(prefixes, list) or not all(isinstance(p, str) for p in prefixes):
            raise TypeError("The prefixes argument must be a list of str")
        if not isinstance(depth, int):
            raise TypeError("The depth must be instance of type int")
        if depth < 0:
            raise ValueError("The depth must be greater than or equal to zero")
        return self._rclpy_parameters.listed(prefixes, depth)

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Return the parameters below a prefix, by the rest of their names."""
        return self._rclpy_parameters.by_prefix(prefix)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[Any]:
        """Set parameters one by one; return a SetParametersResult for each."""
        return self._rclpy_parameters.set_one_by_one(parameter_list, raising=True)

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> Any:
        """Set all parameters or none; return the SetParametersResult."""
        return self._rclpy_parameters.set_atomically(parameter_list, raising=True)

    def describe_parameter(self, name: str) -> Any:
        """Return the descriptor of a parameter."""
        return self._rclpy_parameters.describe(name)

    def describe_parameters(self, names: list[str]) -> list[Any]:
        """Return the descriptors of several parameters."""
        return [self._rclpy_parameters.describe(name) for name in names]

    def set_descriptor(self, name: str, descriptor: Any, alternative_value: Any = None) -> Any:
        """Replace the descriptor of a parameter and, if given, its value."""
        return self._rclpy_parameters.set_descriptor(name, descriptor, alternative_value)

    def add_pre_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Let ``callback(parameters)`` return what to set instead."""
        self._rclpy_parameters.pre_set.insert(0, callback)

    def add_on_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Let ``callback(parameters)`` judge every change with a SetParametersResult."""
        self._rclpy_parameters.validate.insert(0, callback)

    def add_post_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(parameters)`` after every change."""
        self._rclpy_parameters.post_set.insert(0, callback)

    def remove_pre_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Take such a callback back."""
        self._rclpy_parameters.pre_set.remove(callback)

    def remove_on_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Take such a callback back."""
        self._rclpy_parameters.validate.remove(callback)

    def remove_post_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """Take such a callback back."""
        self._rclpy_parameters.post_set.remove(callback)

    def _rclpy_announce_parameters(
        self, new: list[Parameter], changed: list[Parameter], deleted: list[Parameter]
    ) -> None:
        publisher = self._rclpy_parameter_events
        if publisher is None or not self._rclpy_context.ok():
            return
        clock = getattr(self, "_rclpy_clock", None)
        event = publisher.msg_type(node=self.get_fully_qualified_name())
        if clock is not None:
            event.stamp = clock.now().to_msg()
        event.new_parameters = [parameter.to_parameter_msg() for parameter in new]
        event.changed_parameters = [parameter.to_parameter_msg() for parameter in changed]
        event.deleted_parameters = [
            load("rcl_interfaces/msg/Parameter")(name=parameter.name) for parameter in deleted
        ]
        publisher._rclpy_publish_unless_down(event)

    # The graph

    def get_node_names(self) -> list[str]:
        """Return the names of all nodes."""
        return [node.node_name for node in graph_queries.nodes(self._rclpy_context._live_graph())]

    def get_fully_qualified_node_names(self) -> list[str]:
        """Return the full names of all nodes."""
        return [node.node_fqn for node in graph_queries.nodes(self._rclpy_context._live_graph())]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """Return (name, namespace) of all nodes."""
        found = graph_queries.nodes(self._rclpy_context._live_graph())
        return [(node.node_name, node.namespace) for node in found]

    def get_node_names_and_namespaces_with_enclaves(self) -> list[tuple[str, str, str]]:
        """Return (name, namespace, enclave) of all nodes."""
        found = graph_queries.nodes(self._rclpy_context._live_graph())
        return [(node.node_name, node.namespace, node.enclave) for node in found]

    def get_topic_names_and_types(self, no_demangle: bool = False) -> graph_queries.NamesAndTypes:
        """Return all topics with their types."""
        return graph_queries.names_and_types(
            self._rclpy_context._live_graph(), (wire.PUBLISHER, wire.SUBSCRIPTION)
        )

    def get_service_names_and_types(self) -> graph_queries.NamesAndTypes:
        """Return all services with their types."""
        return graph_queries.names_and_types(self._rclpy_context._live_graph(), (wire.SERVICE,))

    def get_publisher_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> graph_queries.NamesAndTypes:
        """Return what a node publishes; NodeNameNonExistentError where there is none."""
        return self._rclpy_by_node(wire.PUBLISHER, node_name, node_namespace)

    def get_subscriber_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> graph_queries.NamesAndTypes:
        """Return what a node subscribes to; NodeNameNonExistentError where there is none."""
        return self._rclpy_by_node(wire.SUBSCRIPTION, node_name, node_namespace)

    def get_service_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> graph_queries.NamesAndTypes:
        """Return what a node serves; NodeNameNonExistentError where there is none."""
        return self._rclpy_by_node(wire.SERVICE, node_name, node_namespace)

    def get_client_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> graph_queries.NamesAndTypes:
        """Return what a node may call; NodeNameNonExistentError where there is none."""
        return self._rclpy_by_node(wire.CLIENT, node_name, node_namespace)

    def _rclpy_by_node(self, kind: str, name: str, namespace: str) -> graph_queries.NamesAndTypes:
        graph = self._rclpy_context._live_graph()
        wanted = f"{namespace.rstrip('/')}/{name}"
        if not any(node.node_fqn == wanted for node in graph_queries.nodes(graph)):
            raise NodeNameNonExistentError(f"Cannot find node '{wanted}'")
        return graph_queries.names_and_types(
            graph, (kind,), lambda entity: entity.node_fqn == wanted
        )

    def count_publishers(self, topic_name: str) -> int:
        """Return how many publishers a topic has."""
        return self._rclpy_count(wire.PUBLISHER, topic_name)

    def count_subscribers(self, topic_name: str) -> int:
        """Return how many subscriptions a topic has."""
        return self._rclpy_count(wire.SUBSCRIPTION, topic_name)

    def count_services(self, service_name: str) -> int:
        """Return how many servers a service has."""
        return self._rclpy_count(wire.SERVICE, service_name)

    def count_clients(self, service_name: str) -> int:
        """Return how many clients a service has."""
        return self._rclpy_count(wire.CLIENT, service_name)

    def _rclpy_count(self, kind: str, name: str) -> int:
        is_service = kind in (wire.SERVICE, wire.CLIENT)
        full = self._rclpy_resolve(name, True, is_service=is_service)
        return len(self._rclpy_context._live_graph().entities(kind, full))

    def get_publishers_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Return what is known of a topic's publishers."""
        return self._rclpy_infos(wire.PUBLISHER, topic_name)

    def get_subscriptions_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Return what is known of a topic's subscriptions."""
        return self._rclpy_infos(wire.SUBSCRIPTION, topic_name)

    def _rclpy_infos(self, kind: str, topic: str) -> list[TopicEndpointInfo]:
        return graph_queries.endpoints(
            self._rclpy_context._live_graph(), kind, self.resolve_topic_name(topic)
        )

    def wait_for_node(self, fully_qualified_node_name: str, timeout: float) -> bool:
        """Wait until a node is in the graph; False after ``timeout`` seconds."""
        wanted = "/" + fully_qualified_node_name.strip("/")
        return self._rclpy_context._live_graph().wait(
            lambda: wanted in self.get_fully_qualified_node_names(), timeout
        )


def _absolute(namespace: str) -> str:
    return namespace if namespace.startswith("/") else f"/{namespace}"
