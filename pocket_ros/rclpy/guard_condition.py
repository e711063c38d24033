"""Guard conditions: callbacks that another thread triggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._core.ready import Executable

if TYPE_CHECKING:
    from ._core.ready import Inbox
    from .callback_groups import CallbackGroup


class GuardCondition(Executable):
    """Lets an executor call back once after one or more triggers."""

    def __init__(
        self,
        callback: Callable[[], Any] | None,
        callback_group: CallbackGroup | None,
        *,
        inbox: Inbox,
    ) -> None:
        super().__init__(inbox, callback_group, depth=1)
        self.callback = callback

    def trigger(self) -> None:
        """Make it ready."""
        self._post(None)

    def _execute(self, data: Any) -> Any:
        return self.callback() if self.callback is not None else None

    def destroy(self) -> None:
        """Never call back again."""
        self._discard_items()
