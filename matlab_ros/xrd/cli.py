"""``matlab-ros analyse``: phases and weight fractions of measured patterns."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from matlab_ros.console import console
from matlab_ros.model.errors import ConfigError, DataError, LabError
from matlab_ros.xrd.composition import parse_elements
from matlab_ros.xrd.eligibility import Atmosphere
from matlab_ros.xrd.readers import PATTERN_SUFFIXES

if TYPE_CHECKING:
    from matlab_ros.xrd.analysis_job import Done

SOME_FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130
NOBODY_READS = 141  # what a shell reports of a program ended by SIGPIPE
WHERE = "command line"
OUT = Path("analysis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``analyse`` to a parser."""
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help=f"pattern, or a folder of them: {', '.join(PATTERN_SUFFIXES)}",
    )
    parser.add_argument(
        "--elements",
        metavar="E,E,...",
        help="elements that can be in the sample; structures made of them are searched for",
    )
    parser.add_argument(
        "--phases",
        metavar="P,P,...",
        help="formulas or names of the phases; these are fitted and nothing is searched",
    )
    parser.add_argument(
        "--structures",
        "--cif",
        metavar="FOLDER",
        type=Path,
        action="append",
        default=[],
        help="folder of CIFs, and no others; may be given more than once (default: the shipped "
        "ones and those of `matlab-ros structures add`)",
    )
    parser.add_argument(
        "--atmosphere",
        choices=[a.value for a in Atmosphere],
        default=Atmosphere.AIR.value,
        help="what the sample was fired in (default: air, which leaves no bare metal)",
    )
    parser.add_argument(
        "--scan", type=int, metavar="N", help="which scan of a file with several, from 1"
    )
    parser.add_argument(
        "--no-confirm",
        action="store_true",
        help="leave out the second refinement, without which nothing is confirmed",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="with one pattern: write a picture, .html, .png, .svg or .pdf",
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        help="write .json, .html and .png of every pattern there (default with several patterns: "
        f"{OUT}; with one: nothing)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        default=os.cpu_count() or 1,
        help="patterns analysed at a time (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Carries the command out; bad input is one sentence on stderr and exit code 2.

    Returns:
        0: everything was analysed; 1: some patterns were not; 2: none was; 130: interrupted, and
        what was finished until then is there. A reader that has seen enough, such as ``head``,
        ends it without a word.
    """
    try:
        return _run(arguments)
    except BrokenPipeError:
        # Else the interpreter complains when it flushes what is left in the buffer at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except LabError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _run(arguments: argparse.Namespace) -> int:
    # Loaded here: the other commands of the program need not wait for it.
    from matlab_ros.xrd import terminal
    from matlab_ros.xrd.analyse_many import analyse_many, planned
    from matlab_ros.xrd.analysis_job import Request
    from matlab_ros.xrd.structures_command import folders_of, refresh_with_progress

    elements, phases = _asked(arguments)
    if arguments.jobs < 1:
        raise ConfigError(WHERE, "--jobs", "it is below 1", "a number of processes")
    files = _files(arguments.files)
    single = len(files) == 1
    _check_plot(arguments.plot, single)
    folder: Path | None = arguments.out
    if folder is None and not single:
        folder = OUT
    if folder is not None:
        _make(folder)
    request = Request(
        structures=folders_of(arguments.structures),
        elements=elements,
        phases=phases,
        atmosphere=Atmosphere(arguments.atmosphere),
        confirm=not arguments.no_confirm,
        scan=arguments.scan,
    )
    refresh_with_progress(request.structures, arguments.jobs)
    endings = () if folder is None else (".json", ".html", ".png")
    jobs = planned(files, folder or Path(), endings)
    if arguments.plot is not None:
        jobs = [type(job)(job.file, (*job.outputs, arguments.plot)) for job in jobs]
    results: list[Done] = []
    interrupted = False
    with terminal.progress("analysing", len(jobs)) as advance:
        try:
            with closing(analyse_many(jobs, request, arguments.jobs)) as finished:
                for done in finished:
                    results.append(done)
                    advance(done.job.file.name, 1)
        except KeyboardInterrupt:
            interrupted = True
    results.sort(key=lambda done: files.index(done.job.file))
    _tell(results, arguments.json, single, len(jobs), folder)
    if interrupted:
        print(f"interrupted; {len(results)} of {len(jobs)} are finished", file=sys.stderr)
        return INTERRUPTED
    failures = sum(bool(done.error) for done in results)
    return BAD_INPUT if failures == len(results) else SOME_FAILED if failures else 0


def _tell(
    results: Sequence[Done], as_json: bool, single: bool, total: int, folder: Path | None
) -> None:
    from matlab_ros.xrd import terminal

    for done in results:
        if done.error:
            print(done.error, file=sys.stderr)
    if as_json:
        documents = [done.document for done in results]
        if not single:
            print(json.dumps(documents, indent=2), flush=True)
        elif documents and not results[0].error:
            print(json.dumps(documents[0], indent=2), flush=True)
        return
    out = console()
    if single:
        for done in results:
            if not done.error:
                out.print(terminal.one(done.document))
    else:
        out.print(terminal.many(results))
        out.print(terminal.counts(results, total, folder))
    out.file.flush()


def _asked(arguments: argparse.Namespace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Elements or phases."""
    if bool(arguments.elements) == bool(arguments.phases):
        raise ConfigError(
            WHERE,
            "--elements",
            "neither or both of --elements and --phases are given",
            "one of them, such as --elements La,In,Ti,O,H",
        )
    if arguments.phases:
        return (), tuple(name.strip() for name in arguments.phases.split(",") if name.strip())
    try:
        return tuple(sorted(parse_elements(arguments.elements))), ()
    except ValueError as error:
        raise ConfigError(WHERE, "--elements", str(error), "symbols such as La,In,O") from error


def _files(given: Sequence[Path]) -> list[Path]:
    """The patterns that are meant; of a folder those whose endings are patterns' alone."""
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            # A folder of results has texts and tables of all kinds; those must be named.
            inside = sorted(
                p
                for p in path.iterdir()
                if p.suffix.lower() in PATTERN_SUFFIXES
                and p.suffix.lower() not in (".txt", ".csv", ".dat")
            )
            if not inside:
                raise DataError(path, "there is no pattern in this folder", "name the files")
            files += inside
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def _check_plot(plot: Path | None, single: bool) -> None:
    if plot is None:
        return
    from matlab_ros.xrd.plot import check_plot_path

    if not single:
        raise ConfigError(WHERE, "--plot", "there are several patterns", "--out FOLDER with them")
    check_plot_path(plot)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            WHERE, "--out", f"{folder} cannot be made ({error.strerror})", "another folder"
        ) from error
