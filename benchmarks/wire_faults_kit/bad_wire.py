"""A transport that damages what it carries, by seed."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matlab_ros.instruments.transport import PassThrough, Transport, unreachable

Foreign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Damage:
    """What goes wrong, and how often.

    Attributes:
        per_byte: share of bytes, each way, that something happens to: half of them have a bit
            flipped; the others are lost, come twice, have a stray byte before them, or are late
            with everything behind them.
        late_s: shortest and longest time by which late bytes are late.
        half: share of messages of which only a part arrives.
        hang_up: share of messages after which the connection is gone.
        foreign: share of answers before which another unit answers.
    """

    per_byte: float = 0.01
    late_s: tuple[float, float] = (0.005, 0.12)
    half: float = 0.01
    hang_up: float = 0.003
    foreign: float = 0.01


SOUND = Damage(0.0, (0.0, 0.0), 0.0, 0.0, 0.0)


class BadWire(PassThrough):
    """A transport around another one.

    Args:
        inner: the sound wire.
        rng: decides what happens.
        foreign: makes another unit's answer out of a unit's; None: there is no other unit.
    """

    def __init__(
        self, inner: Transport, rng: np.random.Generator, foreign: Foreign | None = None
    ) -> None:
        super().__init__(inner)
        self.damage = SOUND
        self.happened: Counter[str] = Counter()
        self._rng = rng
        self._foreign = foreign
        self._coming: deque[tuple[float, bytes]] = deque()

    @property
    def ended(self) -> bool:
        return self._inner.ended and not self._coming

    def close(self) -> None:
        self._coming.clear()
        super().close()

    def write(self, data: bytes) -> None:
        if self._happens(self.damage.hang_up, "hang-ups"):
            self.close()
            raise unreachable(self.name, "the adapter is gone")
        # A late request is one whose answer is late: what is held back is the answer.
        sound = b"".join(piece for _, piece in self._damaged(data, may_be_late=False))
        self._inner.write(sound)

    def read(self, wait_s: float) -> bytes:
        end = time.monotonic() + wait_s
        while True:
            now = time.monotonic()
            if self._coming and self._coming[0][0] <= now:
                return self._coming.popleft()[1]
            until = min(end, self._coming[0][0]) if self._coming else end
            data = self._inner.read(max(0.0, until - now)) if not self._inner.ended else b""
            if self._inner.ended and self._coming:
                time.sleep(max(0.0, self._coming[0][0] - now) if self._coming[0][0] < end else 0.0)
            if data:
                self._take(data)
            elif time.monotonic() >= end or (self._inner.ended and not self._coming):
                if self._coming and self._coming[0][0] <= time.monotonic():
                    continue
                return b""

    def discard_input(self) -> None:
        now = time.monotonic()
        while self._coming and self._coming[0][0] <= now:
            self._coming.popleft()
        self._inner.discard_input()

    def _take(self, data: bytes) -> None:
        now = time.monotonic()
        if self._foreign is not None and self._happens(self.damage.foreign, "foreign answers"):
            self._put(now, self._foreign(data))
        for late_s, piece in self._damaged(data, may_be_late=True):
            if piece:
                self._put(now + late_s, piece)

    def _put(self, moment: float, data: bytes) -> None:
        """Bytes keep their order, whatever is late."""
        earliest = self._coming[-1][0] if self._coming else 0.0
        self._coming.append((max(moment, earliest), data))

    def _damaged(self, data: bytes, *, may_be_late: bool) -> list[tuple[float, bytes]]:
        if self._happens(self.damage.half, "half messages"):
            data = data[: int(self._rng.integers(len(data)))]
        late_s = 0.0
        pieces: list[tuple[float, bytes]] = []
        piece = bytearray()
        for byte in data:
            if not self._happens(self.damage.per_byte, "damaged bytes"):
                piece.append(byte)
                continue
            kind = int(self._rng.integers(8))
            if kind < 4:
                piece.append(byte ^ 1 << int(self._rng.integers(8)))
                self.happened["flipped"] += 1
            elif kind == 4:
                self.happened["lost"] += 1
            elif kind == 5:
                piece += bytes([byte, byte])
                self.happened["doubled"] += 1
            elif kind == 6:
                piece += bytes([int(self._rng.integers(256)), byte])
                self.happened["stray"] += 1
            else:
                self.happened["late"] += 1
                if may_be_late:
                    pieces.append((late_s, bytes(piece)))
                    piece = bytearray()
                    late_s += float(self._rng.uniform(*self.damage.late_s))
                piece.append(byte)
        pieces.append((late_s, bytes(piece)))
        return pieces

    def _happens(self, share: float, what: str) -> bool:
        if share <= 0 or self._rng.random() >= share:
            return False
        self.happened[what] += 1
        return True
