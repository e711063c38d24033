"""The program `launch_test`: runs the tests of one file, without pytest."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import unittest
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

from pocket_ros import hook
from pocket_ros.launch_api.launch_testing.loader import TestRun, load_test_runs
from pocket_ros.launch_api.launch_testing.test_runner import (
    LaunchTestRunner,
    own_graph,
    was_successful,
)

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The program's arguments, also for those who have it as a command."""
    parser.add_argument("launch_test_file", type=Path, help="file with the tests")
    parser.add_argument("launch_arguments", nargs="*", metavar="name:=value")
    parser.add_argument("-v", "--verbose", action="store_true", help="accepted")
    parser.add_argument(
        "-s", "--show-args", action="store_true", help="print the launch's arguments and stop"
    )
    parser.add_argument("--package-name", help="name of the package in reports")
    parser.add_argument("--junit-xml", type=Path, metavar="FILE", help="write an xUnit report")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the tests; the exit code: 0, 1 (a test failed) or 2 (bad input)."""
    hook.install()
    file: Path = options.launch_test_file
    if not file.is_file():
        print(f"launch_test: the test file {file} does not exist", file=sys.stderr)
        return EXIT_BAD_INPUT
    with own_graph():
        module = _load(file)
        if not hasattr(module, "generate_test_description"):
            print(f"launch_test: {file} has no generate_test_description()", file=sys.stderr)
            return EXIT_BAD_INPUT
        runs = load_test_runs(module)
        try:
            runner = LaunchTestRunner(runs, options.launch_arguments)
            runner.validate()
        except (TypeError, ValueError) as error:
            print(f"launch_test: {error}", file=sys.stderr)
            return EXIT_BAD_INPUT
        if options.show_args:
            for argument in runs[0].describe(lambda: None)[0].get_launch_arguments():
                print(f"{argument.name}: {argument.description}")
            return 0
        results = runner.run()
    if options.junit_xml is not None:
        _report(options, results)
    return 0 if was_successful(results) else EXIT_FAILED


def _report(options: argparse.Namespace, results: dict[TestRun, list[unittest.TestResult]]) -> None:
    """Write the xUnit report."""
    file = options.launch_test_file
    name = f"{options.package_name or file.stem}.{file.stem}"
    report = ElementTree.Element("testsuites", name=name)
    for test_run, many in results.items():
        suite = ElementTree.SubElement(report, "testsuite", name=str(test_run))
        suite.set("tests", str(sum(result.testsRun for result in many)))
        wrong = {
            case.id(): text for result in many for case, text in result.failures + result.errors
        }
        skipped = {case.id() for result in many for case, _ in result.skipped}
        suite.set("failures", str(len(wrong)))
        for case in test_run.cases():
            entry = ElementTree.SubElement(suite, "testcase", name=case.id())
            if case.id() in wrong:
                ElementTree.SubElement(entry, "failure").text = wrong[case.id()]
            elif case.id() in skipped:
                ElementTree.SubElement(entry, "skipped")
    ElementTree.ElementTree(report).write(options.junit_xml, encoding="utf-8", xml_declaration=True)


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="launch_test", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem.replace(".", "_"), file.absolute())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
