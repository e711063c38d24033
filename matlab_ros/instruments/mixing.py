"""What everything that mixes powders offers: it begins, and goes on until it is stopped."""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class MixerState(Enum):
    """What the motor does."""

    RUNNING = "RUNNING"
    """It turns, be it still slowing down."""
    STOPPED = "STOPPED"


class Mixer(Protocol):
    """A mixer. It runs until it is stopped, so whoever starts it minds the time. Methods are short
    exchanges and raise DeviceErrors."""

    @property
    def name(self) -> str:
        """Its address, for people."""

    def read_state(self) -> MixerState:
        """What the motor does."""

    def start(self) -> None:
        """Begin to mix, and see that it does."""

    def stop(self) -> None:
        """Stop mixing. Safe to repeat; `read_state` tells when it stands."""

    def close(self) -> None:
        """Give the wire back."""
