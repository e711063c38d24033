"""Actions on the launch itself: groups, includes, timers, event handlers, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pocket_ros.launch.description import Call, Delay, Message, Stop
from pocket_ros.launch.interpreter import Scope
from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.event import Event
from pocket_ros.launch_api.launch.event_handler import BaseEventHandler
from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity
from pocket_ros.launch_api.launch.launch_description_source import LaunchDescriptionSource
from pocket_ros.launch_api.launch.some_entities_type import SomeEntitiesType
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.utilities import (
    Number,
    Text,
    normalize_to_list_of_entities,
)

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class LogInfo(Action):
    """Print a message."""

    def __init__(self, *, msg: SomeSubstitutionsType, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._msg = Text(msg)

    def execute(self, context: LaunchContext) -> None:
        """Print it."""
        context.running().do(Message(self._msg.value(context)))


class Shutdown(Action):
    """End the launch."""

    def __init__(
        self,
        *,
        reason: str = "reason not given",
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._reason = reason

    def execute(self, context: LaunchContext) -> None:
        """End it."""
        context.running().do(Stop(self._reason))


class EmitEvent(Action):
    """Have an event handled."""

    def __init__(self, *, event: Event, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        if not isinstance(event, Event):
            raise RuntimeError(f"EmitEvent() takes an event, not {event!r}")
        self.event = event

    def execute(self, context: LaunchContext) -> None:
        """Emit it."""
        context.emit_event_sync(self.event)


class OpaqueFunction(Action):
    """Call a function with the context; it may return entities to visit."""

    def __init__(
        self,
        *,
        function: Callable[..., SomeEntitiesType | None],
        args: Iterable[Any] = (),
        kwargs: dict[str, Any] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not callable(function):
            raise TypeError(f"OpaqueFunction takes a callable, not {function!r}")
        self._function, self._args, self._kwargs = function, list(args), dict(kwargs or {})

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity]:
        """Call it; returns what it returns."""
        result = self._function(context, *self._args, **self._kwargs)
        return normalize_to_list_of_entities(result)


class RegisterEventHandler(Action):
    """Let an event handler take events from now on."""

    def __init__(
        self, event_handler: BaseEventHandler, *, condition: Condition | None = None
    ) -> None:
        super().__init__(condition=condition)
        if not isinstance(event_handler, BaseEventHandler):
            raise TypeError(f"RegisterEventHandler takes an event handler, not {event_handler!r}")
        self.event_handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        """Register it."""
        context.register_event_handler(self.event_handler)

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """What the handler may lead to."""
        return [self.event_handler.describe()]


class UnregisterEventHandler(Action):
    """Let an event handler take no more events."""

    def __init__(
        self, event_handler: BaseEventHandler, *, condition: Condition | None = None
    ) -> None:
        super().__init__(condition=condition)
        self.event_handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        """Unregister it."""
        context.unregister_event_handler(self.event_handler)


class TimerAction(Action):
    """Visit actions after a while of wall time, if it is not cancelled and the launch goes on."""

    def __init__(
        self,
        *,
        period: float | SomeSubstitutionsType,
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: bool = True,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not cancel_on_shutdown:
            raise ValueError("timers that outlive a shutdown are not implemented")
        self._period = Number(period)
        self.actions = normalize_to_list_of_entities(actions)
        self._cancelled = False

    def cancel(self) -> None:
        """Let nothing happen when the time is over."""
        self._cancelled = True

    def execute(self, context: LaunchContext) -> None:
        """Begin to wait."""

        def fire() -> None:
            if not self._cancelled:
                context.running().visit(self.actions)

        context.running().do(Delay(self._period.value(context), (Call(fire),)))

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """The actions."""
        return [("the time passes without being cancelled", self.actions)]


class _Restore(LaunchDescriptionEntity):
    """Stands behind the actions of a scoped group, and ends its scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def visit(self, context: LaunchContext) -> None:
        context.scope = self._scope


class GroupAction(Action):
    """Actions that share a scope: what they set is gone behind the group if it is scoped."""

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: dict[SomeSubstitutionsType, SomeSubstitutionsType] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not scoped and not forwarding:
            raise ValueError("a group that is not scoped must be forwarding")
        self._actions = normalize_to_list_of_entities(actions)
        self._scoped, self._forwarding = scoped, forwarding
        self._values = [
            (Text(name), Text(value)) for name, value in (launch_configurations or {}).items()
        ]

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """The actions."""
        return self._actions

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity]:
        """Enter the scope; returns the actions and what leaves the scope again."""
        outer = context.scope
        values = {name.value(context): value.value(context) for name, value in self._values}
        if self._scoped:
            context.scope = outer.copy()
            if not self._forwarding:
                context.scope.clear()
        context.launch_configurations.update(values)
        return [*self._actions, _Restore(outer)] if self._scoped else self._actions


class _LeaveFile(LaunchDescriptionEntity):
    def __init__(self, scope: Scope) -> None:
        self._file = scope.file

    def visit(self, context: LaunchContext) -> None:
        context.scope.file = self._file


class IncludeLaunchDescription(Action):
    """Visit another description, in the same scope."""

    def __init__(
        self,
        launch_description_source: LaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]
        | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            from pocket_ros.launch_api.launch.launch_description_sources import (
                AnyLaunchDescriptionSource,
            )

            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        self.launch_description_source = launch_description_source
        self._arguments = [(Text(name), Text(value)) for name, value in launch_arguments or ()]

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """The description, if it is known before the launch runs."""
        known = self.launch_description_source.try_get_launch_description_without_context()
        return [] if known is None else [known]

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity]:
        """Set the arguments; returns the description."""
        description = self.launch_description_source.get_launch_description(context)
        values = {name.value(context): value.value(context) for name, value in self._arguments}
        context.launch_configurations.update(values)
        leave = _LeaveFile(context.scope)
        if self.launch_description_source.is_file:
            context.scope.file = self.launch_description_source.location(context)
        return [description, leave]
