"""What launch tests assert: exit codes, and what processes have written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pocket_ros.launch_api.launch_testing.tools import (
    build_text_match,
    remove_ansi_escape_sequences,
)
from pocket_ros.launch_api.launch_testing.util import NO_CMD_ARGS, resolveProcesses

__all__ = [
    "EXIT_OK",
    "EXIT_SIGINT",
    "EXIT_SIGKILL",
    "EXIT_SIGQUIT",
    "EXIT_SIGSEGV",
    "NO_CMD_ARGS",
    "SequentialTextChecker",
    "assertDefaultStream",
    "assertExitCodes",
    "assertInStderr",
    "assertInStdout",
    "assertInStream",
    "assertSequentialStdout",
]

EXIT_OK = 0
EXIT_SIGINT = 130
EXIT_SIGQUIT = 131
EXIT_SIGKILL = 137
EXIT_SIGSEGV = 139


def assertExitCodes(
    proc_info: Any,
    allowable_exit_codes: Iterable[int] = (EXIT_OK,),
    process: Any = None,
    cmd_args: Any = None,
    *,
    strict_proc_matching: bool = True,
) -> None:
    """Assert that processes, by default all, ended with one of the codes."""
    codes = list(allowable_exit_codes)
    for code in codes:
        _assert(isinstance(code, int), f"Provided exit code {code} is not an int")
    for action in resolveProcesses(
        proc_info, process=process, cmd_args=cmd_args, strict_proc_matching=strict_proc_matching
    ):
        info = proc_info[action]
        _assert(
            info.returncode in codes,
            f"Proc {info.process_name} exited with code {info.returncode}",
        )


def assertInStream(
    proc_output: Any,
    expected_output: Any,
    process: Any,
    cmd_args: Any = None,
    *,
    output_filter: Callable[[str], str] | None = None,
    strict_proc_matching: bool = True,
    strip_ansi_escape_sequences: bool = True,
    stream: str = "stderr",
) -> None:
    """Assert that a process, or one of all if `process` is None, has written something.

    Args:
        proc_output: of the test's arguments.
        expected_output: a text, a compiled pattern, or several of them in this order.
        process: an action, a part of a process's name, or None.
        cmd_args: with a name: arguments that the process must have, or NO_CMD_ARGS.
        output_filter: what to make of the output first.
        strict_proc_matching: a name must mean one process only.
        strip_ansi_escape_sequences: leave colours out.
        stream: "stdout" or "stderr".
    """
    if stream not in ("stdout", "stderr"):
        raise ValueError("Invalid value for stream; must be 'stdout' or 'stderr'")
    if output_filter is not None and not callable(output_filter):
        raise ValueError("output_filter is not callable")
    actions = resolveProcesses(
        proc_output, process=process, cmd_args=cmd_args, strict_proc_matching=strict_proc_matching
    )
    match = build_text_match(expected_output)
    for action in actions:
        events = [e for e in proc_output[action] if getattr(e, f"from_{stream}")]
        text = b"".join(event.text for event in events).decode(errors="replace")
        text = text.replace("\r\n", "\n")
        if strip_ansi_escape_sequences:
            text = remove_ansi_escape_sequences(text)
        if output_filter is not None:
            text = output_filter(text)
        if match(text) is not None:
            return
    names = ", ".join(sorted(action.process_details["name"] for action in actions))
    raise AssertionError(
        f"Did not find '{expected_output}' in output for any of the matching processes: {names}"
    )


def assertInStdout(
    proc_output: Any,
    expected_output: Any,
    process: Any,
    cmd_args: Any = None,
    *,
    output_filter: Callable[[str], str] | None = None,
    strict_proc_matching: bool = True,
    strip_ansi_escape_sequences: bool = True,
) -> None:
    """`assertInStream` for the standard output."""
    assertInStream(
        proc_output,
        expected_output,
        process,
        cmd_args,
        output_filter=output_filter,
        strict_proc_matching=strict_proc_matching,
        strip_ansi_escape_sequences=strip_ansi_escape_sequences,
        stream="stdout",
    )


def assertInStderr(
    proc_output: Any,
    expected_output: Any,
    process: Any,
    cmd_args: Any = None,
    *,
    output_filter: Callable[[str], str] | None = None,
    strict_proc_matching: bool = True,
    strip_ansi_escape_sequences: bool = True,
) -> None:
    """`assertInStream` for the standard error."""
    assertInStream(
        proc_output,
        expected_output,
        process,
        cmd_args,
        output_filter=output_filter,
        strict_proc_matching=strict_proc_matching,
        strip_ansi_escape_sequences=strip_ansi_escape_sequences,
        stream="stderr",
    )


def assertDefaultStream() -> str:
    """The stream that `assertInStream` looks at by default."""
    return "stderr"


class SequentialTextChecker:
    """Finds texts in an output, each behind the one before."""

    def __init__(self, output: Iterable[str]) -> None:
        self._text = "".join(output)
        self._position = 0

    def assertInStdout(self, msg: str) -> None:
        """Assert that the text comes behind the one found before."""
        at = self._text.find(msg, self._position)
        _assert(
            at >= 0,
            f"'{msg}' not found in sequence after previous match.  "
            f"The output after it:\n{self._text[self._position :]}",
        )
        self._position = at + len(msg)

    assertInText = assertInStdout


@contextlib.contextmanager
def assertSequentialStdout(
    proc_output: Any, process: Any, cmd_args: Any = None
) -> Iterator[SequentialTextChecker]:
    """A checker for what one process has written."""
    [action] = resolveProcesses(
        proc_output, process=process, cmd_args=cmd_args, strict_proc_matching=True
    )
    yield SequentialTextChecker(e.text.decode(errors="replace") for e in proc_output[action])


def _assert(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
