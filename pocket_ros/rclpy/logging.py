"""Logging as rclpy does it: named loggers on stderr, with once, throttle and skip-first."""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple


class LoggingSeverity(IntEnum):
    """Levels of severity."""

    UNSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


_COLOURS = {
    LoggingSeverity.DEBUG: "\033[32m",
    LoggingSeverity.INFO: "\033[0m",
    LoggingSeverity.WARN: "\033[33m",
    LoggingSeverity.ERROR: "\033[31m",
    LoggingSeverity.FATAL: "\033[31m",
}
_FORMAT = "[{severity}] [{time}] [{name}]: {message}"
_levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}


class Record(NamedTuple):
    """One message and where it was logged."""

    name: str
    severity: LoggingSeverity
    message: str
    stamp_ns: int
    file: str
    function: str
    line: int


_Listener = Callable[[Record], None]
_listeners: dict[str, list[_Listener]] = {}
_outputs = {"stdout": True}
_lock = threading.Lock()
_write_lock = threading.Lock()


def _coloured() -> bool:
    wish = os.environ.get("RCUTILS_COLORIZED_OUTPUT", "")
    return wish == "1" if wish else sys.stderr.isatty()


def _add_listener(name: str, listener: _Listener) -> None:
    """Call back with all that the logger ``name`` and its children log.

    Where nodes share a name, the oldest of them that lives speaks for all.
    """
    with _lock:
        _listeners.setdefault(name, []).append(listener)


def _remove_listener(name: str, listener: _Listener) -> None:
    with _lock:
        listeners = _listeners.get(name, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            _listeners.pop(name, None)


def _tell(record: Record) -> None:
    name = record.name if _listeners else ""
    while name:
        for listener in _listeners.get(name, ())[:1]:
            listener(record)
            return
        name = name.rpartition(".")[0]


def _emit(record: Record) -> None:
    stamp = record.stamp_ns
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    severity = record.severity
    text = os.environ.get("RCUTILS_CONSOLE_OUTPUT_FORMAT", _FORMAT)
    for field, value in (
        ("{severity}", severity.name),
        ("{time_as_nanoseconds}", str(stamp)),
        ("{time}", f"{seconds}.{nanoseconds:09d}"),
        ("{name}", record.name),
        ("{function_name}", record.function),
        ("{file_name}", record.file),
        ("{line_number}", str(record.line)),
        ("{message}", record.message),
    ):
        text = text.replace(field, value)
    if _coloured():
        text = f"{_COLOURS[severity]}{text}\033[0m"
    with _write_lock:
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            # Whoever read it has gone; a node goes on without its log.
            return


class RcutilsLogger:
    """A logger with a name; levels are inherited along the dots of names."""

    _sites: dict[Any, dict[str, Any]]

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._sites = {}

    def get_child(self, name: str) -> RcutilsLogger:
        """Return the logger of ``<this name>.<name>``."""
        if not name:
            raise ValueError("Need a name for the child logger")
        return RcutilsLogger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: int) -> None:
        """Log from this level on."""
        set_logger_level(self.name, level)

    def get_effective_level(self) -> LoggingSeverity:
        """Return its own level or the nearest ancestor's."""
        return get_logger_effective_level(self.name)

    def is_enabled_for(self, severity: int) -> bool:
        """Return whether a message of that level would be logged."""
        return severity >= get_logger_effective_level(self.name)

    def log(self, message: str, severity: int, **kwargs: Any) -> bool:
        """Log a message; return whether it went out.

        ``once``, ``skip_first`` and ``throttle_duration_sec`` (with ``throttle_time_source_type``,
        a clock) count for each line of code that logs.
        """
        severity = LoggingSeverity(severity)
        caller: Any = inspect.currentframe()
        while caller is not None and caller.f_code.co_filename == __file__:
            caller = caller.f_back
        if kwargs and not self._passes(caller, kwargs):
            return False
        name = kwargs.get("name", self.name)
        if severity < get_logger_effective_level(name):
            return False
        record = Record(
            name,
            severity,
            str(message),
            time.time_ns(),
            caller.f_code.co_filename,
            caller.f_code.co_name,
            caller.f_lineno,
        )
        if _outputs["stdout"]:
            _emit(record)
        _tell(record)
        return True

    def _passes(self, caller: Any, kwargs: dict[str, Any]) -> bool:
        allowed = {
            "once",
            "skip_first",
            "throttle_duration_sec",
            "throttle_time_source_type",
            "name",
        }
        strange = set(kwargs) - allowed
        if strange:
            raise TypeError(f"Unknown logging arguments: {sorted(strange)}")
        site = self._sites.setdefault((caller.f_code, caller.f_lineno), {})
        if kwargs.get("skip_first") and not site.get("seen"):
            site["seen"] = True
            return False
        if kwargs.get("once"):
            if site.get("logged"):
                return False
            site["logged"] = True
        throttle = kwargs.get("throttle_duration_sec")
        if throttle:
            source = kwargs.get("throttle_time_source_type")
            now = (
                source.now().nanoseconds if hasattr(source, "now") else time.monotonic_ns()
            ) * 1e-9
            last = site.get("last")
            if last is not None and 0 <= now - last < throttle:
                return False
            site["last"] = now
        return True

    def debug(self, message: str, **kwargs: Any) -> bool:
        """Log what only a developer wants to see."""
        return self.log(message, LoggingSeverity.DEBUG, **kwargs)

    def info(self, message: str, **kwargs: Any) -> bool:
        """Log what an operator may want to see."""
        return self.log(message, LoggingSeverity.INFO, **kwargs)

    def warning(self, message: str, **kwargs: Any) -> bool:
        """Log what may become a problem."""
        return self.log(message, LoggingSeverity.WARN, **kwargs)

    warn = warning

    def error(self, message: str, **kwargs: Any) -> bool:
        """Log what went wrong."""
        return self.log(message, LoggingSeverity.ERROR, **kwargs)

    def fatal(self, message: str, **kwargs: Any) -> bool:
        """Log what ends the process."""
        return self.log(message, LoggingSeverity.FATAL, **kwargs)


_root_logger = RcutilsLogger()
_loggers: dict[str, RcutilsLogger] = {"": _root_logger}


def get_logger(name: str) -> RcutilsLogger:
    """Return the logger of a name."""
    if not name:
        raise ValueError("Logger name must not be empty.")
    with _lock:
        return _loggers.setdefault(name, RcutilsLogger(name))


def initialize() -> None:
    """Exists for rclpy's sake: loggers need no preparation."""


def shutdown() -> None:
    """Exists for rclpy's sake."""


def clear_config() -> None:
    """Forget all levels."""
    with _lock:
        _levels.clear()
        _levels[""] = LoggingSeverity.INFO


def set_logger_level(name: str, level: int, detailed_error: bool = False) -> None:
    """Let the logger ``name`` ("" for all) log from ``level`` on."""
    with _lock:
        if level == LoggingSeverity.UNSET and name:
            _levels.pop(name, None)
        else:
            _levels[name] = LoggingSeverity(level)


def get_logger_level(name: str) -> LoggingSeverity:
    """Return the logger's own level, UNSET where it inherits."""
    return _levels.get(name, LoggingSeverity.UNSET)


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """Return the logger's own level or the nearest ancestor's."""
    while name:
        level = _levels.get(name)
        if level is not None:
            return level
        name = name.rpartition(".")[0]
    return _levels[""]


def get_logging_directory() -> Path:
    """Return where a ROS 2 of this machine writes its logs; pocket_ros writes none by itself."""
    if os.environ.get("ROS_LOG_DIR"):
        return Path(os.environ["ROS_LOG_DIR"]).expanduser()
    return Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser() / "log"


def get_logging_severity_from_string(text: str) -> LoggingSeverity:
    """Return the level of a name in any case; RuntimeError where there is none."""
    try:
        return LoggingSeverity[{"WARNING": "WARN"}.get(text.upper(), text.upper())]
    except KeyError:
        raise RuntimeError(f"'{text}' is not a logging level") from None
