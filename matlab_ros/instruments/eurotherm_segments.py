"""Programs of Eurotherm controllers that keep typed segments: ramps, dwells and an end.

The 2416 and the EPC3016 hold program 1 from register 8328 on, segment n at 8336 + 8 (n - 1): type,
target, rate or duration. A ramp and its dwell are two segments, and a dwell longer than the
register can say is several. Register 22 selects the program.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from matlab_ros.instruments.eurotherm import Block, EurothermController, Setting, signed
from matlab_ros.instruments.heat_controller import ProgramState
from matlab_ros.instruments.heat_program import HeatSegment

PROGRAM_NUMBER = 22
SEGMENT_NUMBER = 56
HOLDBACK_TYPE, RAMP_UNITS, DWELL_UNITS, CYCLES = 8328, 8330, 8331, 8332
_FIRST_SEGMENT, _SEGMENT_STEP = 8336, 8

END, _RAMP_RATE, _DWELL = 0, 1, 3
_IN_MINUTES = 1
END_TYPE_RESET = 1


class SegmentedController(EurothermController):
    """A controller whose program is a list of typed segments with an end."""

    state_words: ClassVar = {
        1: ProgramState.RESET,
        2: ProgramState.RUN,
        4: ProgramState.HOLD,
        8: ProgramState.RUN,
        16: ProgramState.END,
    }
    command_words: ClassVar = {ProgramState.RESET: 1, ProgramState.RUN: 2, ProgramState.HOLD: 4}
    obeys_within_s = 1.0

    @abstractmethod
    def _rate_scale(self) -> int:
        """What ramp rates in degrees per minute are multiplied with."""

    @abstractmethod
    def _dwell_scale(self) -> tuple[int, int]:
        """What dwells in minutes are multiplied with, and the largest number of one segment."""

    @abstractmethod
    def _end_words(self) -> tuple[int, ...]:
        """The registers of the segment that ends the program."""

    def _settings(self, scale: int) -> Sequence[Setting]:
        return (
            Setting(PROGRAM_NUMBER, 1, "program number"),
            Setting(HOLDBACK_TYPE, 0, "holdback type"),
            Setting(RAMP_UNITS, _IN_MINUTES, "ramp units"),
            Setting(DWELL_UNITS, _IN_MINUTES, "dwell units"),
            Setting(CYCLES, 1, "number of cycles"),
        )

    def _stored(self, program: Sequence[HeatSegment]) -> int:
        scale, most = self._dwell_scale()
        dwells = sum(len(_pieces(round(s.dwell_min * scale), most)) for s in program)
        return len(program) + dwells + 1

    def _encode(self, program: Sequence[HeatSegment], scale: int) -> Sequence[Block]:
        rate_scale = self._rate_scale()
        dwell_scale, most = self._dwell_scale()
        segments: list[tuple[int, ...]] = []
        for segment in program:
            target = round(segment.target_c * scale) & 0xFFFF
            rate = math.floor(segment.ramp_c_per_min * rate_scale + 1e-6)
            segments.append((_RAMP_RATE, target, rate))
            for piece in _pieces(round(segment.dwell_min * dwell_scale), most):
                # The target of a dwell means nothing; it is kept at the ramp's for whoever looks.
                segments.append((_DWELL, target, piece))
        segments.append(self._end_words())
        return [Block(_address(index), words) for index, words in enumerate(segments)]

    def _read_blocks(self) -> Sequence[Block]:
        blocks: list[Block] = []
        while len(blocks) < self.segments and (not blocks or blocks[-1].words[0] != END):
            address = _address(len(blocks))
            blocks.append(Block(address, self._modbus.read(address, 3)))
        return blocks

    def _decode(self, blocks: Sequence[Block], scale: int) -> tuple[HeatSegment, ...]:
        rate_scale = self._rate_scale()
        dwell_scale, _ = self._dwell_scale()
        held: list[HeatSegment] = []
        for index, block in enumerate(blocks):
            kind, target, amount = block.words[:3]
            if kind == END:
                break
            if kind == _RAMP_RATE:
                held.append(HeatSegment(signed(target) / scale, amount / rate_scale, 0.0))
            elif kind == _DWELL and held:
                last = held[-1]
                dwell_min = last.dwell_min + amount / dwell_scale
                held[-1] = HeatSegment(last.target_c, last.ramp_c_per_min, dwell_min)
            else:
                raise self._refused(
                    f"holds a program that was not written here (segment {index + 1} of type "
                    f"{kind}); write the program anew"
                )
        return tuple(held)

    def _end_address(self) -> int | None:
        """Where the program's end stands; None where it has none."""
        last = self._read_blocks()[-1]
        return last.address if last.words[0] == END else None


def _address(index: int) -> int:
    """Of the segment at `index`, from 0."""
    return _FIRST_SEGMENT + _SEGMENT_STEP * index


def _pieces(amount: int, most: int) -> list[int]:
    """An amount as the fewest numbers of at most `most`."""
    whole, rest = divmod(amount, most)
    return [most] * whole + ([rest] if rest else [])
