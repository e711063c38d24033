"""The tree of frames over time: what is known of each frame's place in its parent, and queries.

Times are in nanoseconds; 0 asks for the latest time at which all that is needed is known. Not
locked: the buffer does that.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from pocket_ros.tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    LookupException,
)
from pocket_ros.tf2_ros.geometry import IDENTITY, Rigid, compose, interpolate, inverse

LATEST = 0
_LONGEST_CHAIN = 1000


@dataclass(slots=True)
class Track:
    """A frame's transforms to its parents, by time; a static one holds at all times."""

    is_static: bool
    times: list[int] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)
    transforms: list[Rigid] = field(default_factory=list)

    def insert(self, time: int, parent: str, transform: Rigid, cache_ns: int) -> bool:
        """Add a transform; False if it is older than what is kept."""
        if self.is_static:
            self.times, self.parents, self.transforms = [time], [parent], [transform]
            return True
        if self.times and time < self.times[-1] - cache_ns:
            return False
        at = bisect.bisect_left(self.times, time)
        if at < len(self.times) and self.times[at] == time:
            self.parents[at], self.transforms[at] = parent, transform
        else:
            self.times.insert(at, time)
            self.parents.insert(at, parent)
            self.transforms.insert(at, transform)
        expired = bisect.bisect_left(self.times, self.times[-1] - cache_ns)
        del self.times[:expired], self.parents[:expired], self.transforms[:expired]
        return True

    def parent_at(self, time: int) -> str:
        """The parent at a time; raises ExtrapolationException."""
        return self._sample(time)[0]

    def at(self, time: int) -> tuple[str, Rigid]:
        """Parent and transform at a time; raises ExtrapolationException."""
        return self._sample(time)

    def _sample(self, time: int) -> tuple[str, Rigid]:
        if self.is_static or time == LATEST:
            return self.parents[-1], self.transforms[-1]
        at = bisect.bisect_left(self.times, time)
        if at < len(self.times) and self.times[at] == time:
            return self.parents[at], self.transforms[at]
        if at == len(self.times):
            raise _extrapolation("into the future", time, "latest", self.times[-1], len(self.times))
        if at == 0:
            raise _extrapolation("into the past", time, "earliest", self.times[0], len(self.times))
        before = at - 1
        if self.parents[before] != self.parents[at]:
            # It has moved from one parent to another: no place in between.
            return self.parents[before], self.transforms[before]
        ratio = (time - self.times[before]) / (self.times[at] - self.times[before])
        return self.parents[at], interpolate(self.transforms[before], self.transforms[at], ratio)


class FrameTree:
    """All frames.

    Args:
        cache_ns: how long transforms are kept, back from each frame's latest.
    """

    def __init__(self, cache_ns: int) -> None:
        self.cache_ns = cache_ns
        self.tracks: dict[str, Track] = {}
        self._parents: set[str] = set()

    def clear(self) -> None:
        """Forget all but what is static."""
        self.tracks = {name: track for name, track in self.tracks.items() if track.is_static}
        self._parents = {parent for track in self.tracks.values() for parent in track.parents}

    def insert(
        self, child: str, parent: str, time: int, transform: Rigid, *, is_static: bool
    ) -> bool:
        """Add a transform; False if it is too old to be kept."""
        track = self.tracks.get(child)
        if track is None or track.is_static != is_static:
            track = self.tracks[child] = Track(is_static)
        self._parents.add(parent)
        return track.insert(time, parent, transform, self.cache_ns)

    def frames(self) -> set[str]:
        """Names of all frames."""
        return self._parents | set(self.tracks)

    def lookup(self, target: str, source: str, time: int) -> tuple[int, Rigid]:
        """What takes coordinates in `source` to those in `target`, and its time.

        Raises LookupException, ConnectivityException or ExtrapolationException.
        """
        self._require(target, "target_frame")
        self._require(source, "source_frame")
        if time == LATEST:
            time = self.latest_common_time(target, source)
        if target == source:
            return time, IDENTITY
        try:
            return time, self._relative(target, source, time)
        except ExtrapolationException as error:
            raise ExtrapolationException(
                f"{error}, when looking up transform from frame [{source}] to frame [{target}]"
            ) from None

    def latest_common_time(self, target: str, source: str) -> int:
        """The latest time at which both are known relative to each other; 0 if that is static.

        Raises ConnectivityException.
        """
        of_target, of_source = self._path(target), self._path(source)
        shared = set(of_target) & set(of_source)
        if not shared:
            raise self._unconnected(target, source)
        moving = [
            self.tracks[frame].times[-1]
            for frame in [*of_target, *of_source]
            if frame not in shared and frame in self.tracks and not self.tracks[frame].is_static
        ]
        return min(moving, default=LATEST)

    def _relative(self, target: str, source: str, time: int) -> Rigid:
        """Climb from the source, then from the target until both meet."""
        climbed: dict[str, Rigid] = {}
        gap: ExtrapolationException | None = None
        frame, so_far = source, IDENTITY
        while True:
            climbed[frame] = so_far
            if frame == target:
                return so_far
            if frame not in self.tracks:
                break
            try:
                parent, step = self.tracks[frame].at(time)
            except ExtrapolationException as error:
                gap = error
                break
            so_far = compose(step, so_far)
            frame = self._checked(parent, climbed)
        frame, so_far = target, IDENTITY
        seen: dict[str, Rigid] = {}
        while frame not in climbed:
            seen[frame] = so_far
            if frame not in self.tracks:
                raise gap or self._unconnected(target, source)
            parent, step = self.tracks[frame].at(time)
            so_far = compose(step, so_far)
            frame = self._checked(parent, seen)
        return compose(inverse(so_far), climbed[frame])

    def _path(self, frame: str) -> list[str]:
        """A frame and its ancestors, as they are known latest."""
        path = [frame]
        while path[-1] in self.tracks:
            if len(path) > _LONGEST_CHAIN:
                raise LookupException(f'The tf tree contains a loop at frame "{frame}"')
            path.append(self.tracks[path[-1]].parents[-1])
        return path

    def _checked(self, frame: str, passed: dict[str, Rigid]) -> str:
        if frame in passed:
            raise LookupException(f'The tf tree contains a loop at frame "{frame}"')
        return frame

    def _require(self, frame: str, argument: str) -> None:
        if frame not in self.tracks and frame not in self._parents:
            raise LookupException(
                f'"{frame}" passed to lookupTransform argument {argument} does not exist. '
            )

    def _unconnected(self, target: str, source: str) -> ConnectivityException:
        return ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not "
            "part of the same tree. Tf has two or more unconnected trees."
        )


def _extrapolation(
    direction: str, time: int, which: str, known: int, count: int
) -> ExtrapolationException:
    if count == 1:
        return ExtrapolationException(
            f"Lookup would require extrapolation at time {time / 1e9:.9f}, "
            f"but only time {known / 1e9:.9f} is in the buffer"
        )
    return ExtrapolationException(
        f"Lookup would require extrapolation {direction}.  Requested time {time / 1e9:.9f} "
        f"but the {which} data is at time {known / 1e9:.9f}"
    )
