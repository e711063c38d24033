"""Crucible shaker of the A-Lab: a motor behind an Arduino that answers HTTP GET with JSON.

Paths ``/start``, ``/stop`` and ``/state``, as in A-Lab's published firmware (alab_control,
gripper_shaker). It shakes until it is stopped, so whoever starts it minds the time.
"""

from __future__ import annotations

from matlab_ros.instruments.http_json import HttpJson
from matlab_ros.instruments.mixing import MixerState
from matlab_ros.instruments.transport import Transport


class Shaker:
    """Driver of the shaker: a `Mixer`. Each call is one or two short exchanges.

    Args:
        transport: a TCP transport to the Arduino's web server.
        deadline_s: steady seconds for one exchange.
    """

    def __init__(self, transport: Transport, *, deadline_s: float = 2.0) -> None:
        self._server = HttpJson(transport, "shaker", deadline_s=deadline_s)

    @property
    def name(self) -> str:
        """Its address, for people."""
        return self._server.name

    def close(self) -> None:
        """Give the wire back. The motor goes on with what it does."""
        self._server.close()

    def read_state(self) -> MixerState:
        """What the motor does.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return self._server.state(MixerState)

    def start(self) -> None:
        """Begin to shake, and see that it does.

        Raises:
            DeviceError: no contact, or the motor does not run.
        """
        self._server.order("/start", MixerState.RUNNING, self.read_state)

    def stop(self) -> None:
        """Stop shaking, and see that it did. Safe to repeat.

        Raises:
            DeviceError: no contact, or the motor still runs.
        """
        self._server.order("/stop", MixerState.STOPPED, self.read_state)
