"""Runs the tests of a file beside the processes that its description launches."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import unittest
from collections.abc import Iterable, Iterator
from typing import Any

from pocket_ros import router
from pocket_ros.launch_api.launch.actions import IncludeLaunchDescription, RegisterEventHandler
from pocket_ros.launch_api.launch.event_handlers import (
    OnProcessExit,
    OnProcessIO,
    OnProcessStart,
)
from pocket_ros.launch_api.launch.launch_description import LaunchDescription
from pocket_ros.launch_api.launch.launch_description_source import LaunchDescriptionSource
from pocket_ros.launch_api.launch.launch_service import LaunchService
from pocket_ros.launch_api.launch_testing.io_handler import ActiveIoHandler
from pocket_ros.launch_api.launch_testing.loader import TestRun, bind
from pocket_ros.launch_api.launch_testing.proc_info_handler import ActiveProcInfoHandler

_GRAPH_VARIABLES = (
    "ZENOH_CONFIG_OVERRIDE",
    "ZENOH_SESSION_CONFIG_URI",
    "ZENOH_ROUTER_CONFIG_URI",
)
_LATE_TESTS_S = 10.0
"""How long tests may go on when their processes are gone."""


class LaunchTestRunner:
    """Runs one launch after the other.

    Args:
        test_runs: of `load_test_runs`.
        launch_file_arguments: as "name:=value".
        debug: accepted; there is nothing more to say.
    """

    def __init__(
        self,
        test_runs: Iterable[TestRun],
        launch_file_arguments: Iterable[str] = (),
        debug: bool = False,
    ) -> None:
        self._runs = list(test_runs)
        self._arguments = parse_launch_arguments(launch_file_arguments)

    def validate(self) -> None:
        """Raise TypeError if a description's arguments are wrong."""
        for run in self._runs:
            run.validate()

    def run(self) -> dict[TestRun, list[unittest.TestResult]]:
        """Launch and test; the results of each run, before and after its shutdown."""
        results: dict[TestRun, list[unittest.TestResult]] = {}
        with own_graph():
            for run in self._runs:
                if len(self._runs) > 1:
                    print(f"\nStarting test run {run}", file=sys.stderr)
                try:
                    results[run] = _Launch(run, self._arguments).results()
                except unittest.SkipTest as skip:
                    results[run] = [_skipped(run, str(skip))]
        return results


class _Launch:
    """One launch under test: processes in the main thread, tests in another, as in a real one."""

    def __init__(self, run: TestRun, arguments: list[tuple[str, str]]) -> None:
        self._run = run
        self._ready = threading.Event()
        self._service = LaunchService()
        self._before: unittest.TestResult | None = None
        self._info, self._output = ActiveProcInfoHandler(), ActiveIoHandler()
        description, context = run.describe(self._ready.set)
        given = {**context, **run.parameters, "test_args": dict(arguments)}
        active = {"proc_info": self._info, "proc_output": self._output}
        passive = {"proc_info": self._info.handler, "proc_output": self._output.handler}
        bind(run.pre_shutdown_tests, {**given, **active, "launch_service": self._service})
        bind(run.post_shutdown_tests, {**given, **passive})
        info, output = self._info, self._output
        self._service.include_launch_description(
            LaunchDescription(
                [
                    RegisterEventHandler(OnProcessStart(on_start=lambda e, _: info.append(e))),
                    RegisterEventHandler(
                        OnProcessStart(on_start=lambda e, _: output.track(e.process_name))
                    ),
                    RegisterEventHandler(OnProcessExit(on_exit=lambda e, _: info.append(e))),
                    RegisterEventHandler(
                        OnProcessIO(on_stdout=output.append, on_stderr=output.append)
                    ),
                    IncludeLaunchDescription(
                        LaunchDescriptionSource(description), launch_arguments=arguments
                    ),
                ]
            )
        )

    def results(self) -> list[unittest.TestResult]:
        """Launch, test, end, test what is left."""
        over = threading.Event()
        tests = threading.Thread(
            target=self._test, args=(over,), name="test_runner_thread", daemon=True
        )
        tests.start()
        self._service.run(shutdown_when_idle=not self._run.keep_alive)
        over.set()
        if self._before is None:
            self._ready.set()
            tests.join(_LATE_TESTS_S)
            return [_failed(self._run, self._why(), self._told())]
        return [self._before, _unittest(self._run.post_shutdown_tests)]

    def _test(self, over: threading.Event) -> None:
        try:
            if self._ready.wait(self._run.timeout) and not over.is_set():
                result = _unittest(self._run.pre_shutdown_tests)
                if not over.is_set():
                    self._before = result
            else:
                print("Timed out waiting for processes to start up", file=sys.stderr)
        finally:
            self._service.shutdown()

    def _why(self) -> str:
        if self._service.error is not None:
            return f"Caught exception in launch: {self._service.error}"
        return "Launch stopped before the active tests finished."

    def _told(self) -> str:
        """What processes have written that did not end well."""
        told = []
        for event in self._info:
            if getattr(event, "returncode", 0) != 0:
                name = event.process_name
                told.append(f"Process '{name}' exited with {event.returncode}")
                with contextlib.suppress(KeyError):
                    text = b"".join(one.text for one in self._output[name])
                    told.append(text.decode(errors="replace"))
        return "\n".join(told)


@contextlib.contextmanager
def own_graph() -> Iterator[None]:
    """A ROS graph that no other test and no running robot belongs to.

    It is a router at a port of its own, unless the environment says where sessions meet.
    """
    if any(os.environ.get(name) for name in _GRAPH_VARIABLES):
        yield
        return
    name = _GRAPH_VARIABLES[0]
    before = os.environ.get(name)
    os.environ[name] = router.private_environment()[name]
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def parse_launch_arguments(arguments: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs from "name:=value"; of the same name the last. Raises ValueError for other texts."""
    found: dict[str, str] = {}
    for argument in arguments:
        name, sign, value = argument.partition(":=")
        if not (name and sign):
            raise ValueError(f"expected name:=value, got {argument!r}")
        found[name] = value
    return list(found.items())


def was_successful(results: dict[TestRun, list[unittest.TestResult]]) -> bool:
    """Whether every test of every run has passed."""
    return all(result.wasSuccessful() for many in results.values() for result in many)


def _unittest(suite: unittest.TestSuite) -> unittest.TestResult:
    return unittest.TextTestRunner(verbosity=2).run(suite)


def _failed(run: TestRun, why: str, told: str) -> unittest.TestResult:
    print(f"{why}\n{told}", file=sys.stderr)
    result = unittest.TestResult()
    error: Any = (AssertionError, AssertionError("\n".join([why, told]).strip()), None)
    cases = list(run.cases()) or [unittest.FunctionTestCase(lambda: None, description=str(run))]
    for case in cases:
        result.testsRun += 1
        result.addFailure(case, error)
    return result


def _skipped(run: TestRun, why: str) -> unittest.TestResult:
    result = unittest.TestResult()
    for case in run.cases():
        result.testsRun += 1
        result.addSkip(case, why)
    return result
