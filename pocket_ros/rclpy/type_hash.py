"""Type hashes: which version of an interface an endpoint speaks."""

from __future__ import annotations

from dataclasses import dataclass

_PREFIX = "RIHS"


@dataclass(frozen=True)
class TypeHash:
    """A hash by REP 2011. ``version`` is 1 and ``value`` has 32 bytes, or there is none."""

    TYPE_HASH_SIZE = 32

    version: int = -1
    value: bytes = bytes(TYPE_HASH_SIZE)

    @classmethod
    def _read(cls, text: str) -> TypeHash:
        """Read ``RIHS01_<hex>``; anything else counts as no hash."""
        head, _, digits = text.partition("_")
        try:
            return cls(int(head.removeprefix(_PREFIX)), bytes.fromhex(digits))
        except ValueError:
            return cls()

    def __str__(self) -> str:
        if self.version <= 0 or len(self.value) != self.TYPE_HASH_SIZE:
            return "INVALID"
        return f"{_PREFIX}{self.version:02d}_{self.value.hex()}"
