"""The command line, ``matlab-ros COMMAND``.

Exit codes: 0 done, 1 it ran and did not end well, 2 bad input and nothing was started, 130
interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from matlab_ros import __version__
from matlab_ros.model.errors import ConfigError, LabError

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
NOBODY_READS = 141  # what a shell reports of a program ended by SIGPIPE
DATA_VARIABLE = "MATLAB_ROS_DATA"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = next((word for word in words if not word.startswith("-")), None)
    options = _parser(command).parse_args(words)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    # Whoever ends this process means the processes of its lab too.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(options.run(options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except LabError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Else the interpreter complains when it flushes what is left in the buffer at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser(command: str | None) -> argparse.ArgumentParser:
    """The parser; only the named command has its arguments, so that none waits for the others'
    imports."""
    parser = argparse.ArgumentParser(
        prog="matlab-ros",
        description="A self-driving materials laboratory on ROS 2.",
        epilog="Exit codes: 0 done, 1 did not end well, 2 bad input (nothing was started).",
    )
    parser.add_argument("--version", action="version", version=f"matlab-ros {__version__}")
    parser.add_argument("--verbose", action="store_true", help="say more about what is done")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (about, add_arguments) in _commands().items():
        added = commands.add_parser(name, help=about)
        if name == command:
            add_arguments(added)
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """With the arguments of every command."""
    parser = argparse.ArgumentParser(prog="matlab-ros")
    parser.add_argument("--version", action="store_true", help="the version of this software")
    parser.add_argument("--verbose", action="store_true", help="say more about what is done")
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, (about, add_arguments) in _commands().items():
        add_arguments(commands.add_parser(name, help=about))
    return parser


def _commands() -> dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]:
    """What each command does, and who adds its arguments."""
    return {
        "demo": ("run the demo campaign in a virtual lab", _demo_arguments),
        "campaign": ("run a campaign", _campaign_arguments),
        "monitor": ("the lab live, on a page in the browser", _monitor_arguments),
        "lab": (
            "look at a running lab, decide about faults, pause, cancel, stop, correct",
            _lab_arguments,
        ),
        "analyse": ("phases and fractions of measured patterns", _analyse_arguments),
        "structures": (
            "folders of CIFs that belong to every analysis: add, search, check",
            _structures_arguments,
        ),
        "simulate": (
            "a test pattern of known structures, as a file and a picture",
            _simulate_arguments,
        ),
        "target": (
            "whether a target can exist, its pattern, and what competes with it",
            _target_arguments,
        ),
        "precursors": (
            "which powders of the stock make a target: sets, masses, driving force, safety",
            _precursors_arguments,
        ),
        "advice": (
            "how a target might be made, by the literature or a chat endpoint; for people to read",
            _advice_arguments,
        ),
        "recipe": ("check a recipe before anything runs", _recipe_arguments),
        "doctor": (
            "look at a lab's ports, cables, disk, versions and calibrations",
            _doctor_arguments,
        ),
        "world": (
            "look at a virtual chemistry, or let a planner loose on a table",
            _world_arguments,
        ),
        "emulate": ("run one emulated instrument alone", _emulate_arguments),
        "repeat": ("run a campaign again from what it kept, and compare", _repeat_arguments),
        "init": ("write a lab of your own, which runs at once", _init_arguments),
        "completion": ("what makes a shell complete these commands", _completion_arguments),
        "replay": ("say again on the graph what a recording holds", _replay_arguments),
        "nimo": ("our planner in a NIMO loop, by its files", _nimo_arguments),
        "report": ("write the report of a campaign again", _report_arguments),
        "explain": ("why an experiment was asked for, what was learned", _explain_arguments),
        "metrics": ("what self-driving labs are judged by", _metrics_arguments),
    }


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    _virtual_options(parser)
    parser.set_defaults(run=_demo)


def _campaign_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the campaign, a YAML file")
    parser.add_argument(
        "--world",
        choices=("virtual", "recorded", "running"),
        default="virtual",
        help="virtual: all processes against emulated instruments (default); recorded: the engine "
        "and the planner on a table of real experiments, in this process; running: a lab that was "
        "started already, in this terminal's graph",
    )
    parser.add_argument(
        "--data", type=Path, help="folder with the recorded experiments, with --world recorded"
    )
    _virtual_options(parser)
    parser.set_defaults(run=_campaign)


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the campaign's folder, such as results/demo")
    parser.add_argument(
        "--archive",
        type=Path,
        metavar="FOLDER",
        help="a new folder for everything of it: tables as CSV and Parquet, raw files checked by "
        "their hashes, the report, described as an RO-Crate",
    )
    parser.set_defaults(run=_report)


def _nimo_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import nimo_command

    nimo_command.add_arguments(parser)


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
    from matlab_ros.nodes import explain_command

    explain_command.add_arguments(parser)


def _metrics_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", help="a campaign's folder, a journal's file, or a journal's URL (postgresql://…)"
    )
    parser.add_argument("--campaign", help="its name; default: the last one of the journal")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_metrics)


def _virtual_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="folder of all campaigns' results (default: results)",
    )
    parser.add_argument("--seed", type=int, help="instead of the campaign's own")
    parser.add_argument("--experiments", type=int, help="budget instead of the campaign's own")
    parser.add_argument(
        "--speed",
        type=float,
        default=0.0,
        help="virtual seconds in a second; 0 (default): as fast as everybody is done",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="argument of the launch file, such as furnace_1_offset_c:=-80; may be repeated",
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of a live picture")
    parser.add_argument(
        "--json", action="store_true", help="how it ended, for programs; the lines go to stderr"
    )


def _lab_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros.nodes import operator_commands

    operator_commands.add_arguments(parser)


def _monitor_arguments(parser: argparse.ArgumentParser) -> None:
    import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
    from matlab_ros.nodes import monitor_command

    monitor_command.add_arguments(parser)


def _target_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import target_command

    target_command.add_arguments(parser)


def _precursors_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import precursors_command

    precursors_command.add_arguments(parser)


def _advice_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import advice_command

    advice_command.add_arguments(parser)


def _recipe_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import recipe_command

    recipe_command.add_arguments(parser)


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import doctor_command

    doctor_command.add_arguments(parser)


def _world_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros.virtual import world_command

    verbs = parser.add_subparsers(required=True, metavar="WHAT")
    world_command.add_arguments(verbs)
    replay = verbs.add_parser(
        "replay", help="let a planner look for the best recipes of a table of real experiments"
    )
    replay.add_argument("file", type=Path, help="description of the table, a YAML file")
    replay.add_argument("--data", type=Path, help="folder with the table")
    replay.add_argument("--seed", type=int, default=0)
    replay.add_argument("--method", default="bayesian", help="planner (default: bayesian)")
    replay.add_argument("--experiments", type=int, help="to stop at")
    replay.set_defaults(run=_replay_table)


def _emulate_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros.virtual import emulate_command

    emulate_command.add_arguments(parser)


def _analyse_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros.xrd import cli as xrd

    xrd.add_arguments(parser)
    parser.set_defaults(run=xrd.run)


def _simulate_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros.xrd import simulate_command

    simulate_command.add_arguments(parser)
    parser.set_defaults(run=simulate_command.run)


def _structures_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros.xrd import structures_command

    structures_command.add_arguments(parser)
    parser.set_defaults(run=structures_command.run)


def _repeat_arguments(parser: argparse.ArgumentParser) -> None:
    import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
    from matlab_ros.nodes import repeat_command

    repeat_command.add_arguments(parser)


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import init_command

    init_command.add_arguments(parser)


def _completion_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import completion_command

    completion_command.add_arguments(parser)
    parser.set_defaults(build_parser=whole_parser)


def _replay_arguments(parser: argparse.ArgumentParser) -> None:
    import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
    from matlab_ros.nodes import replay_command

    replay_command.add_arguments(parser)


def _demo(options: argparse.Namespace) -> int:
    from matlab_ros.share import config_file

    options.file = config_file("campaigns", "demo")
    options.world, options.data = "virtual", None
    return _campaign(options)


def _campaign(options: argparse.Namespace) -> int:
    console = None
    if options.json:
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
    code = _run_campaign(options, console)
    if options.json:
        from matlab_ros.model.campaign_config import load_campaign
        from matlab_ros.nodes.campaign_folder import CampaignFolder

        folder = CampaignFolder.existing(options.results / load_campaign(options.file).name)
        print(json.dumps(folder.summary(), allow_nan=False))
    return code


def _run_campaign(options: argparse.Namespace, console: Console | None) -> int:
    if options.world == "recorded":
        from matlab_ros.nodes.recorded_campaign import run_recorded_campaign

        return run_recorded_campaign(
            options.file,
            _data_folder(options.data),
            options.results,
            seed=options.seed,
            out=sys.stderr if options.json else sys.stdout,
        )
    if options.data is not None:
        raise ConfigError("command line", "--data", "given", "it with --world recorded only")
    plain = options.plain or options.json or not sys.stdout.isatty()
    if options.world == "running":
        if options.set or options.speed:
            raise ConfigError("command line", "--set, --speed", "given", "them where it is started")
        import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
        from matlab_ros.nodes.running_campaign import run_in_running_lab

        return run_in_running_lab(
            options.file,
            options.results,
            seed=options.seed,
            experiments=options.experiments,
            plain=plain,
            console=console,
        )
    from matlab_ros.nodes.virtual_campaign import VirtualCampaign

    return VirtualCampaign(
        options.file,
        options.results,
        seed=options.seed,
        experiments=options.experiments,
        speed=options.speed,
        launch_arguments=_launch_arguments(options.set),
        plain=plain,
        console=console,
    ).run()


def _replay_table(options: argparse.Namespace) -> int:
    from matlab_ros.nodes.table_replay import replay

    return replay(
        options.file,
        _data_folder(options.data),
        seed=options.seed,
        method=options.method,
        experiments=options.experiments,
        out=sys.stdout,
    )


def _data_folder(given: Path | None) -> Path:
    data = given or os.environ.get(DATA_VARIABLE)
    if data is None:
        raise ConfigError(
            "command line", "--data", "is missing", "the folder of the recorded experiments"
        )
    return Path(data)


def _launch_arguments(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for item in given:
        name, separator, value = item.partition(":=")
        if not separator or not name:
            raise ConfigError("command line", "--set", f"{item!r}", "NAME:=VALUE")
        found[name] = value
    return found


def _report(options: argparse.Namespace) -> int:
    from matlab_ros.nodes.campaign_folder import CampaignFolder

    folder = CampaignFolder.existing(options.folder)
    if options.archive is None:
        print(folder.write_report())
        return DONE
    done = folder.write_archive(options.archive)
    for sentence in done.missing:
        print(sentence, file=sys.stderr)
    print(f"{done.folder}: tables, report and {done.raw_files} raw files")
    return FAILED if done.missing else DONE


def _metrics(options: argparse.Namespace) -> int:
    from matlab_ros.monitor.metrics_text import metrics_json, metrics_text
    from matlab_ros.nodes.campaign_folder import open_journal
    from matlab_ros.nodes.campaign_metrics import figures

    journal = open_journal(options.source)
    try:
        found = figures(journal.read(), options.campaign)
    finally:
        journal.close()
    print(metrics_json(found) if options.json else metrics_text(found))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
