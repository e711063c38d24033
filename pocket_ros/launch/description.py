"""What a launch file comes to: processes to run, messages to print, timers to wait for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process, ready to be started."""

    name: str
    """Name without number, as in "[name-3] line of output"."""
    command: tuple[str, ...]
    environment: dict[str, str]
    directory: str | None = None
    output: str = "log"
    """"screen", "log" or "both"."""
    respawn: bool = False
    respawn_delay_s: float = 0.0
    respawn_max_retries: int = -1
    """Negative: without end."""
    shutdown_on_exit: bool = False
    sigterm_timeout_s: float = 5.0
    """From SIGINT to SIGTERM."""
    sigkill_timeout_s: float = 5.0
    """From SIGTERM to SIGKILL."""
    owner: object | None = field(default=None, compare=False, repr=False)
    """Whoever asked for it, for those that follow the launch's events."""


@dataclass(frozen=True, slots=True)
class Message:
    """A line to print."""

    text: str


@dataclass(frozen=True, slots=True)
class Delay:
    """Things to do after a while of wall time."""

    period_s: float
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """End of the whole launch."""

    reason: str


@dataclass(frozen=True, slots=True)
class Call:
    """Something in Python, done in the launch's thread when its turn comes."""

    function: Callable[[], None]


Item = ProcessSpec | Message | Delay | Stop | Call


@dataclass(frozen=True, slots=True)
class Argument:
    """A launch argument that a file declares."""

    name: str
    default: str | None
    description: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """All that a launch file says, with its arguments filled in."""

    items: tuple[Item, ...] = ()
    arguments: tuple[Argument, ...] = field(default=())

    def processes(self) -> list[ProcessSpec]:
        """Every process, also those behind timers, in the order of the file."""
        return _processes(self.items)


def _processes(items: tuple[Item, ...]) -> list[ProcessSpec]:
    found: list[ProcessSpec] = []
    for item in items:
        if isinstance(item, ProcessSpec):
            found.append(item)
        elif isinstance(item, Delay):
            found += _processes(item.items)
    return found
