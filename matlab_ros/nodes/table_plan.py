"""A lab that can carry out a recorded campaign, made from the campaign itself."""

from __future__ import annotations

from pathlib import Path

from matlab_ros.lab.experiment_values import CampaignPlan, Mixture
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.lab_config import (
    ContainerSet,
    DeviceConfig,
    DeviceKind,
    FurnaceLimits,
    LabConfig,
    PositionGrid,
    StationConfig,
    StationKind,
    StockItem,
)
from matlab_ros.model.recipe import Recipe


def table_lab_of(campaign: CampaignConfig) -> LabConfig:
    """A lab that can carry out a recorded campaign: its powders in stock, a crucible for each run.

    Powders go by their formulas; furnaces go as far as the search space.
    """
    substances: list[str] = []
    for item in campaign.precursor_sets:
        substances.extend(name for name in item.substances if name not in substances)
    count = campaign.budget.experiments
    rack = _station("rack", StationKind.RACK, 0.0, count)
    return LabConfig(
        name="table_lab",
        simulated=True,
        stations=(
            rack,
            _station("dispenser", StationKind.DISPENSER, 2.0, 1),
            _station("furnace_1", StationKind.FURNACE, 4.0, 4),
            _station("furnace_2", StationKind.FURNACE, 6.0, 4),
            _station("diffractometer", StationKind.DIFFRACTOMETER, 8.0, 1),
        ),
        devices=(
            DeviceConfig(name="dispenser", kind=DeviceKind.DISPENSER, station="dispenser"),
            DeviceConfig(name="arm", kind=DeviceKind.ARM),
            *(
                DeviceConfig(
                    name=name,
                    kind=DeviceKind.FURNACE,
                    station=name,
                    furnace=FurnaceLimits(max_temperature_c=1800, max_ramp_c_per_min=50),
                )
                for name in ("furnace_1", "furnace_2")
            ),
            DeviceConfig(
                name="characterisation",
                kind=DeviceKind.CHARACTERISATION,
                station="diffractometer",
            ),
        ),
        containers=ContainerSet(
            count=count, station="rack", capacity_mg=2.0 * campaign.sample_mass_mg
        ),
        stock=tuple(
            StockItem(
                name=name,
                formula=name,
                slot=index + 1,
                mass_g=campaign.sample_mass_mg * count / 1000.0,
            )
            for index, name in enumerate(substances)
        ),
    )


def _station(name: str, kind: StationKind, x_m: float, count: int) -> StationConfig:
    grid = PositionGrid(
        count=count, columns=min(count, 12), origin_m=(x_m, 0.5, 0.8), pitch_m=(0.08, 0.08)
    )
    return StationConfig(name=name, kind=kind, base_pose=(x_m, 0.0, 1.5708), grid=grid)


def equal_shares(campaign: CampaignConfig) -> tuple[Mixture, ...]:
    """Mixtures of equal parts, for a table that knows nothing of masses."""
    return tuple(
        Mixture(item.name, item.substances, (1.0 / len(item.substances),) * len(item.substances))
        for item in campaign.precursor_sets
    )


def table_plan(
    campaign: CampaignConfig, recipe: Recipe, file: str | Path
) -> tuple[LabConfig, CampaignPlan]:
    """A lab for a recorded campaign, and the campaign checked against it.

    Args:
        campaign: to be run on a table.
        recipe: that it names.
        file: the campaign's, for errors.

    Raises:
        ConfigError: the campaign does not fit its recipe.
    """
    lab = table_lab_of(campaign)
    phases = {campaign.target.phase}
    return lab, check_campaign(campaign, lab, recipe, phases, file, equal_shares(campaign))
