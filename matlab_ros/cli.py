"""The command line, ``matlab-ros COMMAND``.

Exit codes: 0 done, 1 it ran and did not end well, 2 bad input and nothing was started, 130
interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from matlab_ros import __version__
from matlab_ros.model.errors import ConfigError, LabError

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
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


def _commands() -> dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]:
    """What each command does, and who adds its arguments."""
    return {
        "demo": ("run the demo campaign in a virtual lab", _demo_arguments),
        "campaign": ("run a campaign", _campaign_arguments),
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
        "recipe": ("check a recipe before anything runs", _recipe_arguments),
        "doctor": (
            "look at a lab's ports, cables, disk, versions and calibrations",
            _doctor_arguments,
        ),
        "emulate": ("run one emulated instrument alone", _emulate_arguments),
        "replay": ("say again on the graph what a recording holds", _replay_arguments),
        "report": ("write the report of a campaign again", _report_arguments),
        "metrics": ("what self-driving labs are judged by", _metrics_arguments),
    }


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    _virtual_options(parser)
    parser.set_defaults(run=_demo)


def _campaign_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the campaign, a YAML file")
    parser.add_argument(
        "--world",
        choices=("virtual", "recorded"),
        default="virtual",
        help="virtual: all processes against emulated instruments (default); recorded: the engine "
        "and the planner on a table of real experiments, in this process",
    )
    parser.add_argument(
        "--data", type=Path, help="folder with the recorded experiments, with --world recorded"
    )
    _virtual_options(parser)
    parser.set_defaults(run=_campaign)


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the campaign's folder, such as results/demo")
    parser.set_defaults(run=_report)


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


def _lab_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros.nodes import operator_commands

    operator_commands.add_arguments(parser)


def _recipe_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import recipe_command

    recipe_command.add_arguments(parser)


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    from matlab_ros import doctor_command

    doctor_command.add_arguments(parser)


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
    if options.world == "recorded":
        from matlab_ros.nodes.recorded_campaign import run_recorded_campaign

        data = options.data or os.environ.get(DATA_VARIABLE)
        if data is None:
            raise ConfigError(
                "command line", "--data", "is missing", "the folder of the recorded experiments"
            )
        return run_recorded_campaign(
            options.file, Path(data), options.results, seed=options.seed, out=sys.stdout
        )
    if options.data is not None:
        raise ConfigError("command line", "--data", "given", "it with --world recorded only")
    from matlab_ros.nodes.virtual_campaign import VirtualCampaign

    return VirtualCampaign(
        options.file,
        options.results,
        seed=options.seed,
        experiments=options.experiments,
        speed=options.speed,
        launch_arguments=_launch_arguments(options.set),
        plain=options.plain or not sys.stdout.isatty(),
    ).run()


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

    print(CampaignFolder.existing(options.folder).write_report())
    return DONE


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
