"""An arm's way into furnaces: it asks each before it reaches in, and tells it when it has left."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.clock import Clock, ClockType

from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import DeviceKind
from matlab_ros.nodes.device_node import Attempt, DeviceNode
from matlab_ros.nodes.robot_clients import within
from matlab_ros_interfaces.srv import ReachIn

ANSWER_S = 30.0
"""Steady seconds for a furnace's answer: its process may be starting anew."""
LOOK_AGAIN_S = 30.0
"""ROS time between two questions while a furnace says no."""
_TELL_AGAIN_S = 1.0
_TOLD_S = 5.0


class FurnaceEntry:
    """Where the arm is allowed to reach in.

    After its own restart an arm does not know into which furnace it reaches, so it may be any,
    until it stands tucked.

    Args:
        node: the arm's.
        patience_s: ROS time for which the arm waits in front of a furnace that says no.
    """

    def __init__(self, node: DeviceNode, patience_s: float) -> None:
        self._node = node
        self._patience_s = patience_s
        self._group = ReentrantCallbackGroup()
        self._clients: dict[str, Client] = {}
        for furnace in node.lab.devices_of(DeviceKind.FURNACE):
            assert furnace.station is not None, "a furnace has a station"
            self._clients[furnace.station] = node.create_client(
                ReachIn, f"{furnace.name}/reach_in", callback_group=self._group
            )
        self._calling = threading.Lock()
        """One question at a time: what is said first is heard first."""
        self._lock = threading.Lock()
        self._to_tell: set[str] = set()
        self._admitted: set[str] = set()
        self._unsure = set(self._clients)
        """Of an earlier process it may be known there that it reaches in."""
        node.create_timer(
            _TELL_AGAIN_S,
            self._tell,
            callback_group=self._group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def enter(self, attempt: Attempt, station: str) -> None:
        """Wait until the arm may reach into a station; at once where that is no furnace.

        Raises:
            AttemptCanceled: the attempt was cancelled; the arm stands outside.
            DeviceError: TRANSFER_INTERLOCKED; the arm stands outside.
        """
        client = self._clients.get(station)
        if client is None or station in self._admitted:
            return
        limit_ns = self._node.time.now_ns() + round(self._patience_s * 1e9)
        while True:
            refusal = self._ask(client, station)
            if refusal is None:
                with self._lock:
                    self._admitted.add(station)
                    self._to_tell.discard(station)
                return
            if self._node.time.now_ns() >= limit_ns:
                raise DeviceError(Fault.of(FaultCode.TRANSFER_INTERLOCKED, refusal))
            attempt.step(f"waiting in front of {station}: {refusal}")
            attempt.wait(LOOK_AGAIN_S)

    def outside(self, *, at_once: bool = True) -> None:
        """The arm stands tucked: it reaches into nothing. Every furnace that may think otherwise
        is told, again and again where it does not answer; not by this call where
        ``at_once=False``."""
        with self._lock:
            self._to_tell |= self._admitted | self._unsure
            self._admitted.clear()
            self._unsure.clear()
        if at_once:
            self._tell()

    def _ask(self, client: Client, station: str) -> str | None:
        """None where the arm may reach in, else why not yet."""
        request = ReachIn.Request(arm=self._node.device.name, enter=True)
        done = None
        if client.wait_for_service(timeout_sec=ANSWER_S):
            with self._calling:
                done = self._answer(client, request, ANSWER_S)
        if done is None:
            return f"{station} does not say whether it can be reached into; look at its node"
        if done.granted:
            return None
        return "its door is opening" if done.ask_again else str(done.error_message)

    def _tell(self) -> None:
        request = ReachIn.Request(arm=self._node.device.name, enter=False)
        with self._lock:
            waiting = sorted(self._to_tell)
        for station in waiting:
            client = self._clients[station]
            with self._calling:
                if station not in self._to_tell or not client.service_is_ready():
                    continue
                answer = self._answer(client, request, _TOLD_S)
                if answer is not None and answer.granted:
                    with self._lock:
                        self._to_tell.discard(station)

    @staticmethod
    def _answer(client: Client, request: Any, seconds: float) -> Any | None:
        future = client.call_async(request)
        return future.result() if within(future, seconds) else None
