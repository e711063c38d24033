"""The operators' commands: ``matlab-ros lab status | faults | resolve | ...``."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from matlab_ros.model.campaign_config import CampaignConfig, CategoricalParameter, load_campaign
from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.model.lab_words import Resolution, SampleState
from matlab_ros.nodes import monitor_view, operator_view
from matlab_ros.nodes.conversions import campaign_to_message, settings_to
from matlab_ros.nodes.operator_client import OperatorClient
from matlab_ros.share import own_file
from matlab_ros_interfaces import action, srv

DONE, FAILED = 0, 1
PATIENCE_S = 15.0
DECISIONS = {
    item.name.lower().replace("_", "-"): item for item in Resolution if item is not Resolution.OPEN
}
STATES = {
    item.name.lower().replace("_", "-"): item
    for item in (
        SampleState.ACTIVE,
        SampleState.AT_REST,
        SampleState.COMPROMISED,
        SampleState.LOST,
        SampleState.DISPOSED,
    )
}

Run = Callable[[OperatorClient, argparse.Namespace, Console], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands below ``matlab-ros lab``."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str, run: Run) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument(
            "--connect", metavar="ADDRESS", help="router of the lab's graph, such as tcp/host:7447"
        )
        made.add_argument(
            "--wait", type=float, default=PATIENCE_S, help="seconds for the lab manager's answers"
        )
        made.set_defaults(run=_connected(run))
        return made

    def audited(made: argparse.ArgumentParser, word: str) -> None:
        made.add_argument(
            "--operator", default=_user(), help="who says so (default: the user logged in)"
        )
        made.add_argument(f"--{word}", default="", help="why, for the journal")

    def told(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made.add_argument("--json", action="store_true", help="for programs")
        return made

    told(command("status", "the lab at a glance", _status))
    made = told(command("faults", "open faults", _faults))
    made.add_argument("--all", action="store_true", help="those too that were decided")
    made = told(command("alerts", "the last alerts", _alerts))
    made.add_argument("--follow", action="store_true", help="go on with those to come")

    made = command("resolve", "decide about a fault", _resolve)
    made.add_argument("fault", help="its id, such as fault-0003")
    made.add_argument("decision", choices=tuple(DECISIONS))
    audited(made, "remark")

    made = command("pause", "begin nothing new; what runs goes on to a safe point", _pause)
    made.add_argument("subject", nargs="?", default="", help="campaign, experiment or sample")
    audited(made, "reason")
    made = command("resume", "go on", _resume)
    made.add_argument("subject", nargs="?", default="", help="as it was paused")
    audited(made, "reason")
    made = command("cancel", "end early, and wait until everything is safe", _cancel)
    made.add_argument("subject", help="campaign, experiment or sample; or the word lab")
    made.add_argument("--no-wait", action="store_true", help="do not wait until it is safe")
    audited(made, "reason")
    made = command("estop", "emergency stop of every device, latched", _estop)
    made.add_argument("--release", action="store_true", help="open the latch; starts nothing")
    audited(made, "reason")

    made = told(command("locate", "where a sample is", _locate))
    made.add_argument("sample")
    made = command("correct", "say where a sample is, having looked; moves nothing", _correct)
    made.add_argument("sample")
    made.add_argument("position", nargs="?", default="", help="none: it is not in the lab any more")
    made.add_argument(
        "--state", choices=tuple(STATES), help="default: at-rest, without position lost"
    )
    audited(made, "remark")
    made = command("look", "say what a position holds, having looked; moves nothing", _look)
    made.add_argument("position")
    made.add_argument("container", nargs="?", default="", help="none: it is empty")
    audited(made, "remark")
    made = command("clear", "say that you emptied a position and put what stood there home", _clear)
    made.add_argument("position")
    audited(made, "remark")
    made = command("restock", "say that clean crucibles are in the rack", _restock)
    made.add_argument("containers", nargs="*", help="none: all that are used and at home")
    audited(made, "remark")

    made = command("run", "run one experiment, in the campaign or beside it", _run)
    made.add_argument("file", type=Path, help="a campaign's file: what the settings mean")
    made.add_argument("settings", nargs="+", metavar="NAME=VALUE", help="each parameter once")
    made.add_argument("--id", default="", help="the same id again waits for the same experiment")
    made.add_argument("--operator", default=_user(), help=argparse.SUPPRESS)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def _connected(run: Run) -> Callable[[argparse.Namespace], int]:
    def connected(options: argparse.Namespace) -> int:
        if options.connect:
            os.environ["ZENOH_CONFIG_OVERRIDE"] = f'connect/endpoints=["{options.connect}"]'
        with OperatorClient(options.wait) as client:
            return run(client, options, Console(highlight=False))

    return connected


# --- looking ----------------------------------------------------------------------------------


def _status(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    snapshot = client.snapshot()
    if options.json:
        return _print_json(monitor_view.snapshot_values(snapshot))
    console.print(operator_view.status(snapshot))
    _propose(snapshot, options, console)
    return DONE


def _propose(snapshot: Any, options: argparse.Namespace, console: Console) -> None:
    """Print what can be done now, each command on a line of its own."""
    connect = f"--connect {options.connect}" if options.connect else ""
    lines = operator_view.next_steps(snapshot, connect)
    if lines:
        console.print("[bold]next[/]")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _faults(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    snapshot = client.snapshot()
    if options.json:
        found = monitor_view.snapshot_values(snapshot)["faults"]
        chosen = {k: v for k, v in found.items() if options.all or v["resolution"] == "open"}
        return _print_json(chosen)
    console.print(operator_view.faults(snapshot, everything=options.all))
    _propose(snapshot, options, console)
    return DONE


def _alerts(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    def tell(item: Any) -> None:
        if options.json:
            # A line each, so that who follows can read them as they come.
            print(json.dumps(monitor_view.alert_values(item)), flush=True)
        else:
            console.print(operator_view.alert(item))

    client.alerts(tell, follow=options.follow)
    return DONE


def _locate(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    answer = client.call(srv.LocateSample, "locate_sample", sample_id=options.sample)
    if not answer.found:
        raise LabError(answer.message)
    if options.json:
        return _print_json(monitor_view.sample_values(answer.sample))
    console.print(operator_view.sample(answer.sample))
    return DONE


def _print_json(values: Any) -> int:
    print(json.dumps(values, allow_nan=False, indent=2))
    return DONE


# --- deciding ---------------------------------------------------------------------------------


def _resolve(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    message = client.command(
        srv.ResolveFault,
        "resolve_fault",
        fault_id=options.fault,
        resolution=int(DECISIONS[options.decision]),
        operator_name=options.operator,
        remark=options.remark,
    )
    console.print(message or f"{options.fault}: {options.decision}.")
    return DONE


def _scoped(
    client: OperatorClient, options: argparse.Namespace, kind: Any, name: str
) -> tuple[Any, str, str]:
    scope, subject = client.subject(options.subject)
    message = client.command(
        kind,
        name,
        scope=int(scope),
        id=subject,
        operator_name=options.operator,
        reason=options.reason,
    )
    return scope, subject, message


def _pause(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    _, subject, message = _scoped(client, options, srv.Pause, "pause")
    console.print(f"{subject or 'The lab'} is paused. {message}".rstrip())
    return DONE


def _resume(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    _, subject, _ = _scoped(client, options, srv.Resume, "resume")
    console.print(f"{subject or 'The lab'} goes on.")
    return DONE


def _cancel(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    scope, subject = client.subject(options.subject)
    name = subject or "The campaign"

    def cancel() -> None:
        _, _, message = _scoped(client, options, srv.Cancel, "cancel")
        console.print(f"{name} is cancelled. {message}".rstrip())

    wait = client.end_early(cancel, scope, subject)
    if not options.no_wait:
        wait()
        console.print(f"{name} is safe and put away.")
    return DONE


def _estop(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    message = client.command(
        srv.EmergencyStop,
        "emergency_stop",
        engage=not options.release,
        operator_name=options.operator,
        reason=options.reason,
    )
    if options.release:
        console.print(f"The emergency stop is released. {message}".rstrip())
    else:
        console.print("[bold white on red] EMERGENCY STOP [/] every device says that it is safe.")
    return DONE


# --- correcting -------------------------------------------------------------------------------


def _correct(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    word = options.state or ("at-rest" if options.position else "lost")
    client.command(
        srv.CorrectSample,
        "correct_sample",
        sample_id=options.sample,
        position=options.position,
        state=int(STATES[word]),
        operator_name=options.operator,
        remark=options.remark,
    )
    where = f"is at {options.position}" if options.position else "is not in the lab any more"
    console.print(f"{options.sample} {where}; noted, nothing was moved.")
    return DONE


def _look(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    client.command(
        srv.CorrectPosition,
        "correct_position",
        position=options.position,
        container_id=options.container,
        operator_name=options.operator,
        remark=options.remark,
    )
    console.print(f"{options.position} holds {options.container or 'nothing'}; noted.")
    return DONE


def _clear(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    client.command(
        srv.CorrectPosition,
        "correct_position",
        position=options.position,
        cleared=True,
        operator_name=options.operator,
        remark=options.remark,
    )
    console.print(f"{options.position} is free; what stood there is in its own place. Noted.")
    return DONE


def _restock(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    answer = client.call(
        srv.Restock,
        "restock",
        container_ids=options.containers,
        operator_name=options.operator,
        remark=options.remark,
    )
    if not answer.success:
        raise LabError(answer.message)
    console.print(f"{answer.message} {', '.join(answer.restocked)}".rstrip())
    return DONE


# --- running ----------------------------------------------------------------------------------


def _run(client: OperatorClient, options: argparse.Namespace, console: Console) -> int:
    from matlab_ros.nodes.virtual_campaign import prepare

    campaign = load_campaign(options.file)
    plan, _ = prepare(campaign, options.file, own_file("labs", campaign.lab, options.file))
    goal = action.RunExperiment.Goal(
        experiment_id=options.id,
        campaign=campaign_to_message(plan),
        settings=settings_to(_settings(campaign, options.settings)),
        operator_name=options.operator,
    )
    told = ""

    def tell(step: str, progress: float) -> None:
        nonlocal told
        if step and step != told:
            told = step
            console.print(f"[dim]{100 * progress:3.0f} %[/] {step}")

    def interrupted() -> None:
        console.print("Cancelled; waiting until everything is safe. Ctrl-C again leaves it alone.")

    found = client.run_experiment(goal, tell, interrupted)
    console.print(operator_view.result(found))
    if found.error_code:
        print(found.error_message, file=sys.stderr)
        return FAILED
    return DONE


def _settings(campaign: CampaignConfig, given: list[str]) -> dict[str, float | str]:
    """The settings of a command line, as the campaign's parameters take them.

    Raises:
        ConfigError: one is unknown, missing, or of another kind.
    """
    found: dict[str, float | str] = {}
    names = [item.name for item in campaign.parameters]
    for word in given:
        name, _, value = word.partition("=")
        parameter = campaign.parameter(name)
        if parameter is None:
            raise ConfigError(
                "command line", word, "is unknown", f"NAME=VALUE of {', '.join(names)}"
            )
        if isinstance(parameter, CategoricalParameter):
            found[name] = value
            continue
        try:
            found[name] = float(value)
        except ValueError:
            raise ConfigError("command line", name, f"is {value!r}", "a number") from None
    for parameter in campaign.parameters:
        name = parameter.name
        if name not in found and not parameter.when:
            raise ConfigError("command line", name, "is missing", f"{name}=VALUE")
    return found
