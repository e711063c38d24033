"""The two services through which others see and set the levels of a process's loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..idl import load
from .logging import get_logger_level, set_logger_level

if TYPE_CHECKING:
    from .node import Node


class LoggingService:
    """Serves ``~/get_logger_levels`` and ``~/set_logger_levels`` for one node."""

    def __init__(self, node: Node) -> None:
        self._level = load("rcl_interfaces/msg/LoggerLevel")
        self._result = load("rcl_interfaces/msg/SetLoggerLevelsResult")
        node.create_service(
            load("rcl_interfaces/srv/GetLoggerLevels"), "~/get_logger_levels", self._get
        )
        node.create_service(
            load("rcl_interfaces/srv/SetLoggerLevels"), "~/set_logger_levels", self._set
        )

    def _get(self, request: Any, response: Any) -> Any:
        response.levels = [
            self._level(name=name, level=int(get_logger_level(name))) for name in request.names
        ]
        return response

    def _set(self, request: Any, response: Any) -> Any:
        for level in request.levels:
            result = self._result(successful=True)
            try:
                set_logger_level(level.name, level.level, detailed_error=True)
            except ValueError:
                result.successful = False
                result.reason = f"{level.level} is not a level of loggers"
            response.results.append(result)
        return response
