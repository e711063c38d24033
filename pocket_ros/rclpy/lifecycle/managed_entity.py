"""Entities that follow their managed node."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ._state_machine import TransitionCallbackReturn


class ManagedEntity:
    """Base of entities that follow their node; each callback returns SUCCESS."""

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Follow the node's configuration."""
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Follow the node's clean-up."""
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Follow the node's end."""
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Follow the node's activation."""
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Follow the node's deactivation."""
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Follow the node's handling of an error."""
        return TransitionCallbackReturn.SUCCESS


class SimpleManagedEntity(ManagedEntity):
    """Enabled while its node is active."""

    def __init__(self) -> None:
        self._rclpy_enabled = False

    @property
    def is_activated(self) -> bool:
        """Whether it does its work."""
        return self._rclpy_enabled

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        self._rclpy_enabled = True
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        self._rclpy_enabled = False
        return TransitionCallbackReturn.SUCCESS

    @staticmethod
    def when_enabled(
        wrapped: Callable[..., Any] | None = None,
        *,
        when_not_enabled: Callable[..., Any] | None = None,
    ) -> Callable[..., Any]:
        """Decorate a method to do its work (else call ``when_not_enabled``) while enabled only."""

        def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(method)
            def only_when_enabled(self: SimpleManagedEntity, *args: Any, **kwargs: Any) -> Any:
                if self._rclpy_enabled:
                    return method(self, *args, **kwargs)
                return None if when_not_enabled is None else when_not_enabled(*args, **kwargs)

            return only_when_enabled

        return decorate if wrapped is None else decorate(wrapped)
