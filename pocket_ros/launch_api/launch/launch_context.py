"""What actions and substitutions see of a running launch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_ros.launch.interpreter import Scope
from pocket_ros.launch_api.launch.event import Event
from pocket_ros.launch_api.launch.event_handler import BaseEventHandler
from pocket_ros.launch_api.launch.substitution import Substitution

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_service import LaunchService


class Locals:
    """Values that hold while one event is handled, as attributes."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"there is no local {name!r} in this context") from None


class LaunchContext:
    """Configurations, environment and event handlers of a launch.

    The environment is a copy: unlike a real launch, this one leaves `os.environ` as it is.
    """

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv or [])
        self.noninteractive = noninteractive
        self.scope = Scope(Path("<script>"), {}, dict(os.environ))
        """Shared with XML and YAML files; a scoped group puts a copy in its place."""
        self.service: LaunchService | None = None
        """What runs this launch; None for a context that only performs substitutions."""
        self.handlers: list[BaseEventHandler] = []
        self._locals: dict[str, Any] = {}

    @property
    def launch_configurations(self) -> dict[str, str]:
        """Values by name; to be changed in place."""
        return self.scope.variables

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the processes to come; to be changed in place."""
        return self.scope.environment

    @property
    def is_shutdown(self) -> bool:
        """Whether the launch is ending."""
        return self.service is not None and self.service.is_shutting_down

    @property
    def locals(self) -> Locals:
        """Values that hold while an event is handled, for example `locals.event`."""
        return Locals(self._locals)

    def get_locals_as_dict(self) -> dict[str, Any]:
        """The same as a dictionary."""
        return self._locals

    def extend_locals(self, extensions: dict[str, Any]) -> None:
        """Add values until the event at hand is done with."""
        self._locals.update(extensions)

    def replace_locals(self, values: dict[str, Any]) -> dict[str, Any]:
        """Put other locals in place; returns those before."""
        before, self._locals = self._locals, values
        return before

    def perform_substitution(self, substitution: Substitution) -> str:
        """The text of a substitution."""
        return substitution.perform(self)

    def register_event_handler(self, event_handler: BaseEventHandler, append: bool = False) -> None:
        """Add an event handler: before the others, or behind them."""
        self.handlers.insert(len(self.handlers) if append else 0, event_handler)

    def unregister_event_handler(self, event_handler: BaseEventHandler) -> None:
        """Remove an event handler; raises ValueError if it is not there."""
        self.handlers.remove(event_handler)

    def emit_event_sync(self, event: Event) -> None:
        """Have an event handled soon."""
        self.running().emit_event(event)

    def running(self) -> LaunchService:
        """What runs this launch; raises RuntimeError for a context by itself."""
        if self.service is None:
            raise RuntimeError("this context does not belong to a running launch")
        return self.service
