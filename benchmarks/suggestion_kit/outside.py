"""One suggestion of another planner, for a process that has it: JSON in, JSON out.

python outside.py baybe|ax SIZE < history.json
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version

import pandas as pd

POWDERS = ("li", "mn", "fe", "ti")
GASES = ("air", "oxygen", "nitrogen", "argon")


def baybe(rows: list[dict[str, object]], pending: list[dict[str, object]]) -> tuple[str, float]:
    """BayBE's default recommender on a continuous space with its simplex as a constraint."""
    from baybe import Campaign
    from baybe.constraints import ContinuousLinearConstraint
    from baybe.objectives import SingleTargetObjective
    from baybe.parameters import CategoricalParameter, NumericalContinuousParameter
    from baybe.searchspace import SearchSpace
    from baybe.targets import NumericalTarget

    parameters = [
        *(NumericalContinuousParameter(name, (0, 1)) for name in POWDERS),
        NumericalContinuousParameter("temperature_c", (600, 1200)),
        NumericalContinuousParameter("dwell_h", (0.5, 48)),
        CategoricalParameter("atmosphere", GASES),
    ]
    simplex = ContinuousLinearConstraint(list(POWDERS), "=", [1.0] * 4, 1.0)
    space = SearchSpace.from_product(parameters, [simplex])
    campaign = Campaign(space, SingleTargetObjective(NumericalTarget("yield")))
    campaign.add_measurements(pd.DataFrame(rows))
    began = time.process_time()
    campaign.recommend(4, pending_experiments=pd.DataFrame(pending))
    return f"BayBE {version('baybe')}", time.process_time() - began


def ax(rows: list[dict[str, object]], pending: list[dict[str, object]]) -> tuple[str, float]:
    """Ax's default; its equality being unknown to it, the last share is what is left."""
    from ax.api.client import Client
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    client = Client()
    client.configure_experiment(
        parameters=[
            *(
                RangeParameterConfig(name=name, parameter_type="float", bounds=(0.0, 1.0))
                for name in POWDERS[:3]
            ),
            RangeParameterConfig(
                name="temperature_c", parameter_type="float", bounds=(600.0, 1200.0)
            ),
            RangeParameterConfig(
                name="dwell_h", parameter_type="float", bounds=(0.5, 48.0), scaling="log"
            ),
            ChoiceParameterConfig(
                name="atmosphere", parameter_type="str", values=list(GASES), is_ordered=False
            ),
        ],
        parameter_constraints=["li + mn + fe <= 1"],
    )
    client.configure_optimization("yield_")
    for row in rows:
        settings = {name: value for name, value in row.items() if name not in ("ti", "yield")}
        index = client.attach_trial(settings)
        client.complete_trial(index, raw_data={"yield_": (row["yield"], 0.02)})
    for row in pending:
        client.attach_trial({name: value for name, value in row.items() if name != "ti"})
    began = time.process_time()
    client.get_next_trials(4)
    return f"Ax {version('ax-platform')}", time.process_time() - began


def main() -> int:
    """Run one."""
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    given = json.load(sys.stdin)
    name, seconds = {"baybe": baybe, "ax": ax}[sys.argv[1]](given["observations"], given["pending"])
    print(json.dumps({"name": name, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
