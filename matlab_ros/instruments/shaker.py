"""Crucible shaker of the A-Lab: a motor behind an Arduino that answers HTTP GET with JSON.

Paths ``/start``, ``/stop`` and ``/state``, as in A-Lab's published firmware (alab_control,
gripper_shaker). It shakes until it is stopped, so whoever starts it minds the time.
"""

from __future__ import annotations

import http.client
import json
from enum import Enum

from matlab_ros.model.faults import DeviceError, Fault, FaultCode

MAX_REPLY_BYTES = 4096


class ShakerState(Enum):
    """What the motor does; the words of the firmware."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class Shaker:
    """Driver of the shaker. Each call is one short exchange.

    Args:
        host: of the Arduino.
        port: of its HTTP server.
        deadline_s: steady seconds for connecting, and again for the answer.
    """

    def __init__(self, host: str, port: int = 80, *, deadline_s: float = 2.0) -> None:
        self._host = host
        self._port = port
        self._deadline_s = deadline_s

    @property
    def name(self) -> str:
        """Its address, for people."""
        return f"shaker at {self._host}:{self._port}"

    def read_state(self) -> ShakerState:
        """What the motor does.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        reply = self._get("/state")
        try:
            return ShakerState(reply.get("state"))
        except ValueError:
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"says its state is {reply.get('state')!r}"
            ) from None

    def start(self) -> None:
        """Begin to shake, and see that it does.

        Raises:
            DeviceError: no contact, or the motor does not run.
        """
        self._get("/start")
        self._require(ShakerState.RUNNING)

    def stop(self) -> None:
        """Stop shaking, and see that it did. Safe to repeat.

        Raises:
            DeviceError: no contact, or the motor still runs.
        """
        self._get("/stop")
        self._require(ShakerState.STOPPED)

    def _require(self, wanted: ShakerState) -> None:
        state = self.read_state()
        if state is not wanted:
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"was told {wanted.value} and is {state.value}"
            )

    def _get(self, path: str) -> dict[str, object]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._deadline_s)
        try:
            connection.request("GET", path)
            body = connection.getresponse().read(MAX_REPLY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._error(
                FaultCode.DEVICE_UNREACHABLE, f"does not answer ({type(error).__name__}: {error})"
            ) from error
        finally:
            connection.close()
        try:
            reply = json.loads(body)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise self._error(FaultCode.PROTOCOL_ERROR, f"answered {body[:80]!r} to {path}")
        return reply

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name} {problem}."))
