"""The lab's fixed facts in the form that scheduling needs: who serves which position."""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.lab.goals import HeatProfile
from matlab_ros.model.lab_config import (
    DeviceConfig,
    DeviceKind,
    LabConfig,
    StationKind,
    position_names,
)
from matlab_ros.model.lab_words import StepAction

ACTING_KIND: dict[StepAction, DeviceKind] = {
    StepAction.DISPENSE: DeviceKind.DISPENSER,
    StepAction.HEAT: DeviceKind.FURNACE,
    StepAction.MEASURE: DeviceKind.CHARACTERISATION,
    StepAction.ANALYSE: DeviceKind.CHARACTERISATION,
}
"""Which kind of device carries out a step; the others are transfers."""


@dataclass(frozen=True)
class Place:
    """One position."""

    name: str
    station: str
    kind: StationKind
    device: str
    """That serves its station; empty for a rack."""


class Floor:
    """Positions, devices and containers of a lab, all in the order of its file."""

    def __init__(self, lab: LabConfig) -> None:
        self.lab = lab
        serving = {device.station: device.name for device in lab.devices if device.station}
        self.places: dict[str, Place] = {
            name: Place(name, station.name, station.kind, serving.get(station.name, ""))
            for station in lab.stations
            for name in position_names(station)
        }
        self.homes: dict[str, str] = {
            f"{lab.containers.kind}-{index + 1:02d}": name
            for index, name in enumerate(
                position_names(lab.station(lab.containers.station))[: lab.containers.count]
            )
        }
        """Home position of each container; nothing else ever stands there."""
        self.arms = tuple(device.name for device in lab.devices_of(DeviceKind.ARM))

    def places_of(self, kind: StationKind) -> tuple[Place, ...]:
        """Positions at all stations of a kind."""
        return tuple(place for place in self.places.values() if place.kind is kind)

    def places_at(self, station: str) -> tuple[Place, ...]:
        """Positions of one station."""
        return tuple(place for place in self.places.values() if place.station == station)

    def devices_for(self, action: StepAction) -> tuple[DeviceConfig, ...]:
        """Devices that can carry out an action."""
        return self.lab.devices_of(ACTING_KIND[action])

    def can_heat(self, device: str, profile: HeatProfile) -> bool:
        """Whether a furnace's limits allow a profile."""
        limits = self.lab.device(device).furnace
        return (
            limits is not None
            and all(
                limits.min_temperature_c <= segment.target_c <= limits.max_temperature_c
                for segment in profile.segments
            )
            and profile.fastest_ramp_c_per_min <= limits.max_ramp_c_per_min
        )
