"""A campaign in a lab that runs already: real instruments, or a virtual lab of somebody else's."""

from __future__ import annotations

import time
from pathlib import Path

from rcl_interfaces.srv import GetParameters
from rich.console import Console

from matlab_ros.lab.journal_tables import JournalError
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.errors import LabError
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.campaign_view import CampaignView
from matlab_ros.nodes.operator_client import OperatorClient
from matlab_ros.nodes.virtual_campaign import CampaignClient, override, prepare
from matlab_ros.share import own_file
from matlab_ros_interfaces.action import RunCampaign

PATIENCE_S = 15.0


def run_in_running_lab(
    file: Path,
    results: Path,
    *,
    seed: int | None = None,
    experiments: int | None = None,
    plain: bool = False,
    console: Console | None = None,
) -> int:
    """Ask the lab manager of this terminal's graph for a campaign, and watch it.

    Ctrl-C ends the watching; the campaign goes on, and the same command watches again.

    Args:
        file: the campaign.
        results: folder of all campaigns' results; its report is written there where this machine
            can read the lab's journal.
        seed: instead of the campaign's own.
        experiments: budget instead of the campaign's own.
        plain: print lines instead of a live picture.
        console: where to; the terminal by default.

    Returns:
        0 when the campaign ended well, 1 otherwise.

    Raises:
        ConfigError: the campaign makes no sense in this lab.
        LabError: there is no lab, or it refused.
    """
    campaign = override(load_campaign(file), file, seed, experiments)
    lab_file = own_file("labs", campaign.lab, file)
    plan, lab = prepare(campaign, file, lab_file)
    url = _journal_url()
    folder = CampaignFolder.for_run(results, plan.name, url)
    folder.keep(plan.config, lab_file, own_file("recipes", campaign.recipe, file), {})
    began = time.monotonic()
    beginning = (
        f"The lab runs already; Ctrl-C leaves it, `matlab-ros lab cancel {plan.name}` ends it."
    )
    with (
        CampaignView(plan, lab, folder, plain=plain, beginning=beginning, console=console) as view,
        CampaignClient(cancels=False) as client,
    ):
        outcome = client.run(plan, view.show, lambda: None)
    try:
        report: Path | None = folder.write_report()
    except JournalError:
        report = None
    view.conclude(outcome, report, time.monotonic() - began)
    well = outcome.error_code == RunCampaign.Result.NONE and outcome.experiments_succeeded > 0
    return 0 if well else 1


def _journal_url() -> str:
    """Where the lab keeps its journal.

    Raises:
        LabError: no lab manager answers.
    """
    with OperatorClient(PATIENCE_S) as client:
        answer = client.call(GetParameters, "lab_manager/get_parameters", names=["journal_url"])
    url = str(answer.values[0].string_value) if answer.values else ""
    if not url:
        raise LabError("The lab manager does not say where its journal is; is it of this version?")
    return url
