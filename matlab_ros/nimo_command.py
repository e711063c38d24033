"""``matlab-ros nimo``: our planner as an algorithm of a NIMO loop, and lists for its algorithms."""

from __future__ import annotations

import argparse
from pathlib import Path

from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.planning.nimo_files import (
    candidates_of,
    read_candidates,
    write_candidates,
    write_proposals,
)
from matlab_ros.planning.nimo_loop import propose_actions
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.space_config import space_of

EXHAUSTED = 1
"""Exit code where fewer candidates were left than were wanted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``nimo`` with what it can do."""
    verbs = parser.add_subparsers(required=True, metavar="WHAT")
    propose = verbs.add_parser("propose", help="choose from candidates.csv, write proposals.csv")
    propose.add_argument("candidates", type=Path, help="NIMO's candidates.csv")
    propose.add_argument("proposals", type=Path, help="the file to write, NIMO's proposals.csv")
    propose.add_argument("--count", type=int, default=1, help="proposals wanted (default: 1)")
    propose.add_argument("--method", default="bayesian", help="planner (default: bayesian)")
    propose.add_argument("--minimize", action="store_true", help="look for small objectives")
    propose.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    propose.add_argument(
        "--initial", type=int, default=6, help="experiments before a model is used (default: 6)"
    )
    propose.set_defaults(run=_propose)
    listing = verbs.add_parser("candidates", help="write a campaign's search space for NIMO")
    listing.add_argument("campaign", type=Path, help="the campaign, a YAML file")
    listing.add_argument("candidates", type=Path, help="the file to write, NIMO's candidates.csv")
    listing.set_defaults(run=_candidates)


def _propose(options: argparse.Namespace) -> int:
    candidates = read_candidates(options.candidates)
    actions = propose_actions(
        candidates,
        options.count,
        method=options.method,
        direction=Direction.MINIMIZE if options.minimize else Direction.MAXIMIZE,
        seed=options.seed,
        initial_experiments=options.initial,
    )
    write_proposals(options.proposals, candidates, actions)
    print(f"{options.proposals}: candidates {', '.join(map(str, actions)) or 'none'}")
    return 0 if len(actions) == options.count else EXHAUSTED


def _candidates(options: argparse.Namespace) -> int:
    found = candidates_of(space_of(load_campaign(options.campaign)))
    write_candidates(options.candidates, found)
    print(f"{options.candidates}: {len(found.rows)} candidates of {', '.join(found.names)}")
    return 0
