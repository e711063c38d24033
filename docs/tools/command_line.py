"""Reference page of the commands, from the parsers that read them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from matlab_ros.cli import whole_parser
from pocket_ros.cli import whole_parser as pocket_parser

EXIT_CODES = """\
| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it ran and did not end well; of `pocket-ros`: it failed |
| 2 | bad input: a sentence names file, key and what was expected; nothing was started |
| 130 | interrupted by Ctrl-C or SIGTERM; what it had started was ended |
| 141 | nobody read its output any more, as behind `| head` |

`matlab-ros analyse` and `matlab-ros target` say more with theirs:
[Analysing patterns](../analyse.md), [Targets](../chemistry.md)."""


def command_line_page() -> str:
    """Every command with its arguments, and the exit codes."""
    lines = [
        "# Command line",
        "",
        "`COMMAND --help` prints the same. `matlab-ros completion bash`, `zsh` or `fish` prints "
        "what "
        "makes a shell complete the commands.",
        "",
        "## Exit codes",
        "",
        EXIT_CODES,
        "",
        "## matlab-ros",
        "",
        "`matlab-ros --version`; `matlab-ros --verbose COMMAND` says more about what is done.",
    ]
    for name, about, parser in commands(whole_parser()):
        lines += _command(f"matlab-ros {name}", about, parser)
    lines += [
        "",
        "## pocket-ros",
        "",
        "Words, options and output of `ros2`, without ROS 2. `pocket-ros test` takes the "
        "options of "
        "`launch_test`.",
    ]
    for name, about, parser in commands(pocket_parser()):
        lines += _command(f"pocket-ros {name}", about, parser)
    return "\n".join(lines) + "\n"


def commands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Name, help and parser of each command, those of commands with verbs for each verb."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        abouts = {item.dest: item.help or "" for item in action._choices_actions}
        for name, each in action.choices.items():
            below = list(commands(each))
            if below:
                for verb, about, of_verb in below:
                    yield f"{name} {verb}", about, of_verb
            else:
                yield name, abouts.get(name, ""), each


def _command(name: str, about: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = ["", f"### {name}", "", f"{_text(about[:1].upper() + about[1:])}."]
    rows = [
        f"| {_invocation(action)} | {_text(_help(action, parser))} |"
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction) and action.help is not argparse.SUPPRESS
    ]
    if rows:
        lines += ["", "| argument | meaning |", "|---|---|", *rows]
    if parser.epilog:
        lines += ["", _text(parser.epilog)]
    return lines


def _invocation(action: argparse.Action) -> str:
    if action.choices is not None:
        words = ",".join(str(item) for item in action.choices)
        value = f"{{{words}}}"
    elif action.metavar is not None:
        value = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    else:
        value = action.dest.upper()
    if not action.option_strings:
        return f"`{_escaped(value)}`"
    if action.nargs == 0:
        value = ""
    return ", ".join(f"`{_escaped(f'{word} {value}'.strip())}`" for word in action.option_strings)


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = action.help or ""
    if "%" in text:
        text = text % {**vars(action), "prog": parser.prog}
    if action.required and action.option_strings:
        text = f"{text} (needed)"
    return text


def _text(text: str) -> str:
    """Words of the help as Markdown: nothing in them is markup."""
    return _escaped(" ".join(text.split())).replace("*", r"\*").replace("<", "&lt;")


def _escaped(text: str) -> str:
    return text.replace("|", "&#124;")
