"""``matlab-ros structures``: folders of CIFs that belong to every analysis."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.table import Table

from matlab_ros.console import console
from matlab_ros.model.errors import ConfigError, DataError, LabError
from matlab_ros.share import share_dir
from matlab_ros.xrd import terminal
from matlab_ros.xrd.composition import parse_elements
from matlab_ros.xrd.structure_index import StructureIndex, place

SOME_BROKEN = 1
BAD_INPUT = 2
# So few are read in the blink of an eye; a bar would only flicker.
_FEW = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the subcommands of ``structures`` to a parser."""
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    add = commands.add_parser(
        "add", help="index a folder of CIFs, or an export of the Materials Project, for good"
    )
    add.add_argument("source", type=Path, help="folder, such as one of the COD; or a .json file")
    add.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that read")
    add.set_defaults(work=_add)
    remove = commands.add_parser("remove", help="take a folder out again; its files stay")
    remove.add_argument("folder", type=Path)
    remove.set_defaults(work=_remove)
    listed = commands.add_parser("list", help="which folders there are")
    listed.set_defaults(work=_list)
    search = commands.add_parser("search", help="structures made of some elements")
    search.add_argument("elements", metavar="E,E,...", help="made of some or all of these")
    search.add_argument("--every", action="store_true", help="made of all of these")
    search.add_argument("--structures", type=Path, action="append", default=[], metavar="FOLDER")
    search.set_defaults(work=_search)
    check = commands.add_parser("check", help="read every CIF and name those that cannot be used")
    check.add_argument("folders", type=Path, nargs="*", help="default: all there are")
    check.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that read")
    check.set_defaults(work=_check)


def run(arguments: argparse.Namespace) -> int:
    """Carries the command out.

    Returns:
        0: done; 1: ``check`` has found CIFs that cannot be used; 2: bad input.
    """
    try:
        work: Callable[[argparse.Namespace], int] = arguments.work
        return work(arguments)
    except LabError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def shipped_folder() -> Path:
    """The structures that come with the package."""
    return share_dir() / "config" / "structures"


def folders_of(given: Sequence[Path]) -> tuple[Path, ...]:
    """The folders named on a command line, or else the shipped one and those added for good."""
    if given:
        return tuple(given)
    index = StructureIndex()
    kept = [state.path for state in index.folders() if state.kept]
    index.close()
    here = []
    for folder in kept:
        if folder.is_dir():
            here.append(folder)
        else:
            print(f"{folder}: the folder of structures is gone, it is left out", file=sys.stderr)
    return (shipped_folder(), *here)


def refresh_with_progress(
    folders: Sequence[Path], jobs: int, index: StructureIndex | None = None, thorough: bool = False
) -> None:
    """Brings the index up to date, with a bar where that takes long.

    Raises:
        DataError: a folder does not exist.
    """
    index = index or StructureIndex()
    for folder in folders:
        with ExitStack() as stack:
            index.refresh(
                folder, thorough=thorough, jobs=jobs, progress=_Bar(f"reading {folder}", stack)
            )


class _Bar:
    """A progress bar that appears when it turns out to be worth it."""

    def __init__(self, what: str, stack: ExitStack) -> None:
        self._what = what
        self._stack = stack
        self._advance: terminal.Advance | None = None
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        if total >= _FEW and self._advance is None:
            self._advance = self._stack.enter_context(terminal.progress(self._what, total))
        if self._advance is not None:
            self._advance("", done - self._done)
        self._done = done


def _add(arguments: argparse.Namespace) -> int:
    source: Path = arguments.source
    folder = source
    if source.suffix.lower() == ".json":
        # Loaded here: it brings its own library of symmetries.
        from matlab_ros.xrd.structure_import import import_structures

        folder = place() / source.stem
        imported = import_structures(source, folder)
        print(f"{len(imported.written)} structures were written to {folder}")
        for problem in imported.problems:
            print(problem, file=sys.stderr)
    index = StructureIndex()
    refresh_with_progress([folder], arguments.jobs, index, thorough=True)
    if not index.count([folder]):
        index.forget(folder)
        raise DataError(folder, "there is no CIF in it", "name a folder of CIF files")
    index.keep(folder)
    broken = len(index.broken([folder]))
    print(
        f"{index.count([folder])} CIFs, {broken} of them not usable"
        + (" (`matlab-ros structures check` says why)" if broken else "")
    )
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    index = StructureIndex()
    folder: Path = arguments.folder.resolve()
    if all(state.path != folder for state in index.folders()):
        raise ConfigError(
            "command line", "folder", f"{folder} is not in the index", "one of `structures list`"
        )
    index.forget(folder)
    return 0


def _list(_arguments: argparse.Namespace) -> int:
    index = StructureIndex()
    index.refresh(shipped_folder())
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("folder", overflow="fold")
    for name in ("CIFs", "read", "not usable"):
        table.add_column(name, justify="right")
    table.add_column("in every analysis")
    for state in index.folders():
        shipped = state.path == shipped_folder().resolve()
        use = "shipped" if shipped else "yes" if state.kept else "no"
        if not state.path.is_dir():
            use = "gone"
        table.add_row(str(state.path), str(state.files), str(state.read), str(state.broken), use)
    out = console()
    out.print(table)
    out.print(f"The index is {index.file or 'in memory only'}.")
    return 0


def _search(arguments: argparse.Namespace) -> int:
    try:
        elements = parse_elements(arguments.elements)
    except ValueError as error:
        raise ConfigError("command line", "elements", str(error), "symbols such as La,O") from error
    index = StructureIndex()
    folders = folders_of(arguments.structures)
    refresh_with_progress(folders, 1, index)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("formula", "file", "group", "source"):
        table.add_column(name, overflow="fold")
    entries = index.described(index.made_of(folders, elements, arguments.every))
    rows = [(entry, entry.summary) for entry in entries]
    for entry, summary in sorted(rows, key=lambda row: row[1].formula if row[1] else "~"):
        if summary is None:
            table.add_row("", entry.path.stem, "", entry.reason, style="dim")
        else:
            table.add_row(summary.formula, entry.path.stem, summary.space_group, summary.citation)
    out = console()
    out.print(table)
    out.print(f"{len(rows)} structures")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    index = StructureIndex()
    folders = tuple(arguments.folders) or folders_of(())
    refresh_with_progress(folders, arguments.jobs, index, thorough=True)
    broken = index.broken(folders)
    for entry in broken:
        print(f"{entry.path}: {entry.reason}")
    print(f"{index.count(folders)} CIFs, {len(broken)} of them not usable")
    return SOME_BROKEN if broken else 0
