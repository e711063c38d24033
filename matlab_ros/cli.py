"""The command line: ``matlab-ros demo | campaign | lab | recipe | analyse | report``.

Exit codes: 0 done, 1 it ran and did not end well, 2 bad input and nothing was started, 130
interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
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
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="matlab-ros",
        description="A self-driving materials laboratory on ROS 2.",
        epilog="Exit codes: 0 done, 1 did not end well, 2 bad input (nothing was started).",
    )
    parser.add_argument("--version", action="version", version=f"matlab-ros {__version__}")
    parser.add_argument("--verbose", action="store_true", help="say more about what is done")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="run the demo campaign in a virtual lab")
    _virtual_options(demo)
    demo.set_defaults(run=_demo)

    campaign = commands.add_parser("campaign", help="run a campaign")
    campaign.add_argument("file", type=Path, help="the campaign, a YAML file")
    campaign.add_argument(
        "--world",
        choices=("virtual", "recorded"),
        default="virtual",
        help="virtual: all processes against emulated instruments (default); recorded: the engine "
        "and the planner on a table of real experiments, in this process",
    )
    campaign.add_argument(
        "--data", type=Path, help="folder with the recorded experiments, with --world recorded"
    )
    _virtual_options(campaign)
    campaign.set_defaults(run=_campaign)

    lab = commands.add_parser(
        "lab", help="look at a running lab, decide about faults, pause, cancel, stop, correct"
    )
    _lab_arguments(lab)

    analyse = commands.add_parser("analyse", help="phases and fractions of a measured pattern")
    _analyse_arguments(analyse)

    recipe = commands.add_parser("recipe", help="check a recipe before anything runs")
    _recipe_arguments(recipe)

    report = commands.add_parser("report", help="write the report of a campaign again")
    report.add_argument("folder", type=Path, help="the campaign's folder, such as results/demo")
    report.set_defaults(run=_report)

    metrics = commands.add_parser("metrics", help="what self-driving labs are judged by")
    metrics.add_argument(
        "source", help="a campaign's folder, a journal's file, or a journal's URL (postgresql://…)"
    )
    metrics.add_argument("--campaign", help="its name; default: the last one of the journal")
    metrics.add_argument("--json", action="store_true", help="for programs")
    metrics.set_defaults(run=_metrics)
    return parser


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
    from matlab_ros.lab import recipe_command

    recipe_command.add_arguments(parser)


def _analyse_arguments(parser: argparse.ArgumentParser) -> None:
    # The analysis loads compiled code; the other commands need not wait for it.
    from matlab_ros.xrd import cli as xrd

    xrd.add_arguments(parser)
    parser.set_defaults(run=xrd.run)


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
