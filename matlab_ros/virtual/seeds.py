"""Random numbers of the virtual lab: each purpose has its own stream, whoever asks first."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A fresh generator that depends on the seed and the words of the purpose, on nothing else.

    Two calls with the same arguments give generators that yield the same numbers, so results do
    not depend on the order in which samples are handled.
    """
    text = "\x1f".join([str(seed), *(str(word) for word in purpose)])
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
