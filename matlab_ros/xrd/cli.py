"""``matlab-ros analyse``: phases and weight fractions of a measured pattern."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.xrd.analyse import analyse
from matlab_ros.xrd.composition import parse_elements
from matlab_ros.xrd.eligibility import Atmosphere
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern

BAD_INPUT = 2
NOBODY_READS = 141  # what a shell reports of a program ended by SIGPIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``analyse`` to a parser."""
    parser.add_argument("file", type=Path, help="pattern: .xrdml, .xy, .xye, .dat, .csv or .txt")
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
        "--cif",
        metavar="DIR",
        type=Path,
        action="append",
        required=True,
        help="folder of CIFs; may be given more than once",
    )
    parser.add_argument(
        "--atmosphere",
        choices=[a.value for a in Atmosphere],
        default=Atmosphere.AIR.value,
        help="what the sample was fired in (default: air, which leaves no bare metal)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--plot", metavar="FILE", type=Path, help="write a picture: .html, .png, .svg or .pdf"
    )


def run(arguments: argparse.Namespace) -> int:
    """Carries the command out; bad input is one sentence on stderr and exit code 2.

    A reader that has seen enough, such as ``head``, ends it without a word.
    """
    try:
        _analyse(arguments)
    except BrokenPipeError:
        # Else the interpreter complains when it flushes what is left in the buffer at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except LabError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


def _analyse(arguments: argparse.Namespace) -> None:
    where = "command line"
    if bool(arguments.elements) == bool(arguments.phases):
        raise ConfigError(
            where,
            "--elements",
            "neither or both of --elements and --phases are given",
            "one of them, such as --elements La,In,Ti,O,H",
        )
    elements = None
    if arguments.elements:
        try:
            elements = parse_elements(arguments.elements)
        except ValueError as error:
            raise ConfigError(where, "--elements", str(error), "symbols such as La,In,O") from error
    phases = None
    if arguments.phases:
        phases = [name.strip() for name in arguments.phases.split(",") if name.strip()]
    if arguments.plot is not None:
        # Imported only when asked for: the plotting library is slow to load.
        from matlab_ros.xrd.plot import check_plot_path

        check_plot_path(arguments.plot)
    library = Library(arguments.cif)
    pattern = read_pattern(arguments.file)
    analysis = analyse(
        pattern,
        library,
        elements=elements,
        phases=phases,
        atmosphere=Atmosphere(arguments.atmosphere),
    )
    if arguments.plot is not None:
        from matlab_ros.xrd.plot import write_plot

        write_plot(analysis, arguments.plot)
    print(analysis.to_json() if arguments.json else analysis.table(), flush=True)
