"""pytest plugin: collects launch tests as the plugin of a real launch_testing does.

A file whose `generate_test_description` is marked with `pytest.mark.launch_test` is one test item.
Where a real launch_testing is installed, its own plugin does this, and this one does nothing.
"""

from __future__ import annotations

import itertools
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import unittest
    from collections.abc import Iterable

    from pocket_ros.launch_api.launch_testing.loader import TestRun

_ENTRY = "generate_test_description"
_MARK = "launch_test"


class LaunchTestFailure(Exception):
    """Tests beside the processes, or after them, have failed."""

    def __init__(self, results: dict[TestRun, list[unittest.TestResult]]) -> None:
        super().__init__("some test cases have failed")
        self.results = results

    def told(self) -> str:
        """Every failure, with its test."""
        return "\n".join(
            f"FAIL: {run}: {case.id()}\n{text}"
            for run, many in self.results.items()
            for result in many
            for case, text in [*result.errors, *result.failures]
        )


class LaunchTestItem(pytest.Item):
    """All launches of a file."""

    module: Any

    def runtest(self) -> None:
        """Launch and test; raises LaunchTestFailure."""
        from pocket_ros.launch_api.launch_testing.loader import load_test_runs
        from pocket_ros.launch_api.launch_testing.test_runner import (
            LaunchTestRunner,
            was_successful,
        )

        arguments = itertools.chain.from_iterable(self.config.getoption("launch_args"))
        runner = LaunchTestRunner(load_test_runs(self.module), arguments)
        runner.validate()
        results = runner.run()
        if not was_successful(results):
            raise LaunchTestFailure(results)
        skipped = [reason for many in results.values() for r in many for _, reason in r.skipped]
        if skipped and len(skipped) == sum(r.testsRun for many in results.values() for r in many):
            pytest.skip(skipped[0])

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The failures of the tests inside."""
        if isinstance(excinfo.value, LaunchTestFailure):
            return excinfo.value.told()
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """How it is named."""
        return self.path, 0, f"launch tests: {self.name}"


class LaunchTestModule(pytest.Module):
    """A file that is one launch test; without the mark an ordinary file of tests."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The one item."""
        marks = getattr(getattr(self.obj, _ENTRY, None), "pytestmark", [])
        if all(mark.name != _MARK for mark in marks):
            return super().collect()
        item = LaunchTestItem.from_parent(self, name=self.path.stem)
        item.module = self.obj
        for mark in marks:
            item.add_marker(getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs))
        return [item]


def _is_real_here() -> bool:
    spec = PathFinder.find_spec("launch_testing")
    return spec is not None and spec.origin is not None


if not _is_real_here():

    def pytest_addoption(parser: pytest.Parser) -> None:
        """The option for launch arguments."""
        parser.addoption(
            "--launch-args",
            action="append",
            nargs="*",
            default=[],
            help="arguments of launch tests, as name:=value",
        )

    def pytest_configure(config: pytest.Config) -> None:
        """Make the mark known."""
        config.addinivalue_line(
            "markers",
            "launch_test: mark a generate_test_description function as a launch test entrypoint",
        )

    def pytest_pycollect_makemodule(
        module_path: Path, parent: pytest.Collector
    ) -> pytest.Module | None:
        """Take files that may be launch tests."""
        if _ENTRY not in module_path.read_text(encoding="utf-8", errors="replace"):
            return None
        from pocket_ros import hook

        hook.install()
        return LaunchTestModule.from_parent(parent, path=module_path)
