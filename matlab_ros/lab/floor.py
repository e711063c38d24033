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
    StepAction.MIX: DeviceKind.DISPENSER,
    StepAction.GRIND: DeviceKind.DISPENSER,
    StepAction.HEAT: DeviceKind.FURNACE,
    StepAction.MEASURE: DeviceKind.CHARACTERISATION,
    StepAction.ANALYSE: DeviceKind.CHARACTERISATION,
}
"""Which kind of device carries out a step; the others are transfers."""


GRIPPER = "gripper"
"""The position of what an arm holds: ``<name of the arm>/gripper``."""


@dataclass(frozen=True)
class Place:
    """One position."""

    name: str
    station: str
    """Of a gripper: its arm."""
    kind: StationKind | None
    """None: a gripper."""
    device: str
    """That serves its station; empty for a rack."""

    @property
    def is_gripper(self) -> bool:
        """Whether it is an arm's own."""
        return self.kind is None


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
        self.homes: dict[str, str] = lab.container_homes()
        """Home position of each container; nothing else ever stands there."""
        self.arms = tuple(device.name for device in lab.devices_of(DeviceKind.ARM))
        self.grippers: dict[str, str] = {arm: f"{arm}/{GRIPPER}" for arm in self.arms}
        """Position of what each arm holds."""
        for arm, name in self.grippers.items():
            self.places[name] = Place(name, arm, None, arm)
        self._of_kind: dict[StationKind, tuple[Place, ...]] = {
            kind: tuple(place for place in self.places.values() if place.kind is kind)
            for kind in StationKind
        }
        self._at: dict[str, tuple[Place, ...]] = {
            station: tuple(place for place in self.places.values() if place.station == station)
            for station in dict.fromkeys(place.station for place in self.places.values())
        }
        self._named: dict[str, tuple[Place, ...]] = {
            **{name: (place,) for name, place in self.places.items()},
            **self._at,
            **{kind.value: places for kind, places in self._of_kind.items()},
        }
        self.station_places: tuple[Place, ...] = tuple(
            place for place in self.places.values() if place.device and not place.is_gripper
        )
        """Positions at which devices act."""
        self._overlapping = {
            device.name: device.analyses_at_once
            for device in lab.devices
            if device.overlaps_analysis
        }
        self._limits = {device.name: device.furnace for device in lab.devices}

    def places_of(self, kind: StationKind) -> tuple[Place, ...]:
        """Positions at all stations of a kind."""
        return self._of_kind[kind]

    def places_at(self, station: str) -> tuple[Place, ...]:
        """Positions of one station."""
        return self._at[station]

    def places_named(self, word: str) -> tuple[Place, ...]:
        """Positions of a kind of station, of a station, or the one of that name.

        A word that is a kind and a station means the kind, as recipes do.
        """
        return self._named.get(word, ())

    def devices_for(self, action: StepAction) -> tuple[DeviceConfig, ...]:
        """Devices that can carry out an action."""
        return self.lab.devices_of(ACTING_KIND[action])

    def overlaps_analysis(self, device: str) -> bool:
        """Whether a device can analyse one pattern while it measures another."""
        return device in self._overlapping

    def analyses_at_once(self, device: str) -> int:
        """How many patterns a device that overlaps analyses takes before the first is done."""
        return self._overlapping.get(device, 1)

    def can_heat(self, device: str, profile: HeatProfile) -> bool:
        """Whether a furnace's limits allow a profile."""
        limits = self._limits.get(device)
        return (
            limits is not None
            and all(
                limits.min_temperature_c <= segment.target_c <= limits.max_temperature_c
                for segment in profile.segments
            )
            and profile.fastest_ramp_c_per_min <= limits.max_ramp_c_per_min
        )
