"""One call from several."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ReadyAggregator:
    """Calls a function when its own `ready_fn` has been called a number of times."""

    def __init__(self, ready_fn: Callable[[], object], num_to_aggregate: int) -> None:
        self._ready = ready_fn
        self._missing = num_to_aggregate
        self._lock = threading.Lock()

    def ready_fn(self) -> None:
        """One of the calls."""
        with self._lock:
            self._missing -= 1
            is_last = self._missing == 0
        if is_last:
            self._ready()
