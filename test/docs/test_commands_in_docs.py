"""What pages tell people to type is understood: no command or option that does not exist."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    REPOSITORY / "README.md",
    REPOSITORY / "config" / "init" / "README.md",
    REPOSITORY / "pocket_ros" / "README.md",
]
_FENCE = re.compile(r"^ *```.*?$(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}|\t)(.*)$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PROGRAM = re.compile(r"^(?:matlab-ros|pocket-ros) ")
_PLACEHOLDER = re.compile(r"\.\.\.|…|\[.*\]|^\|$|^\|\|$|^>$")


class _Refused(Exception):
    pass


def _refuse(parser: argparse.ArgumentParser, message: str) -> None:
    raise _Refused(f"{parser.prog}: {message}")


@cache
def _parsers() -> dict[str, argparse.ArgumentParser]:
    import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
    from matlab_ros.cli import whole_parser
    from pocket_ros.cli import whole_parser as pocket_parser

    return {"matlab-ros": whole_parser(), "pocket-ros": pocket_parser()}


def _lines(text: str) -> Iterator[str]:
    """Commands of blocks: of several in a line each, without prompts and remarks."""
    blocks = [match.group(1) for match in _FENCE.finditer(text)]
    blocks += _INDENTED.findall(_FENCE.sub("", text))
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" && |; ", line.strip().removeprefix("$ ")):
                found = part.split(" #")[0].strip()
                if _PROGRAM.match(found):
                    yield found


def _understood(command: str) -> None:
    """Raise `_Refused` where a whole command is not one."""
    words = []
    for word in shlex.split(command):
        if _PLACEHOLDER.search(word):
            break
        words.append(word)
    program, *arguments = words
    if program == "pocket-ros" and arguments[:1] == ["test"]:
        return
    try:
        _parsers()[program].parse_args(arguments)
    except _Refused as refused:
        # What is left out by dots may be what is missing.
        if len(words) < len(shlex.split(command)) and "required" in str(refused):
            return
        raise


def _known(mention: str) -> None:
    """Raise `_Refused` where words in the middle of a sentence name no command or option."""
    program, *words = mention.split()
    parser = _parsers()[program]
    for word in words:
        below = next(
            (item for item in parser._actions if isinstance(item, argparse._SubParsersAction)), None
        )
        if below is not None and word in below.choices:
            parser = below.choices[word]
        elif below is not None and re.fullmatch(r"[a-z][a-z-]*", word):
            raise _Refused(f"{parser.prog} has no {word}")
        elif word.startswith("--"):
            name = re.match(r"--[a-z-]+", word)
            options = {option for item in parser._actions for option in item.option_strings}
            if name and name.group(0) not in options:
                raise _Refused(f"{parser.prog} has no {name.group(0)}")


@pytest.fixture(autouse=True)
def _no_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argparse.ArgumentParser, "error", _refuse)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_command_is_understood(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wrong = []
    for command in _lines(text):
        try:
            _understood(command)
        except (_Refused, SystemExit, ValueError) as problem:
            wrong.append(f"{command}\n    {problem}")
    for mention in _INLINE.findall(_FENCE.sub("", text)):
        if _PROGRAM.match(mention):
            try:
                _known(mention)
            except _Refused as problem:
                wrong.append(f"{mention}\n    {problem}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_wrong_command_would_be_seen() -> None:
    for command in (
        "matlab-ros demo --experimnts 3",
        "matlab-ros monitr",
        "matlab-ros lab resolve",
    ):
        with pytest.raises(_Refused):
            _understood(command)
    for mention in ("matlab-ros lab resolv", "matlab-ros report --arkive"):
        with pytest.raises(_Refused):
            _known(mention)


def test_commands_are_found_wherever_they_stand() -> None:
    page = (
        "a\n\n```bash\n$ matlab-ros demo && matlab-ros init x  # b\n```\n\n    pocket-ros doctor\n"
    )
    assert list(_lines(page)) == ["matlab-ros demo", "matlab-ros init x", "pocket-ros doctor"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_arguments_of_launch_files_exist(page: Path) -> None:
    files = [*(REPOSITORY / "launch").glob("*.xml"), *(REPOSITORY / "urdf").glob("*.xacro")]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    known = set(re.findall(r'<(?:xacro:)?arg name="(\w+)"', text)) | {"name", "NAME"}
    text = re.sub(r"--ros-args.*", "", page.read_text(encoding="utf-8"))
    assert set(re.findall(r"\b([A-Za-z_]\w*):=", text)) <= known
