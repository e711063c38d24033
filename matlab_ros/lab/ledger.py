"""State and journal together: an event is applied when it happens and written before it matters."""

from __future__ import annotations

from collections.abc import Callable

from matlab_ros.lab.events import Event
from matlab_ros.lab.floor import Floor
from matlab_ros.lab.journal import Journal, JournalEntry
from matlab_ros.lab.state import CampaignRun, LabState
from matlab_ros.lab.touched import Touched
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import LabConfig


class Ledger:
    """What happened, what follows from it, and what of it is on disk.

    Args:
        lab: its configuration.
        journal: where events go.
        on_entry: called with each entry after it was written.
    """

    def __init__(
        self,
        lab: LabConfig,
        journal: Journal,
        on_entry: Callable[[JournalEntry], None] | None = None,
    ) -> None:
        self.floor = Floor(lab)
        self.state = LabState(self.floor)
        self.touched = Touched()
        """Experiments that something happened to."""
        self.now_ns = 0
        """ROS time of what happens now; never runs back."""
        self._journal = journal
        self._on_entry = on_entry
        self._fresh: list[Event] = []
        self._is_broken = False

    def replay(self, on_replayed: Callable[[JournalEntry], None] | None = None) -> None:
        """Take in everything that the journal holds.

        Args:
            on_replayed: called with each entry.

        Raises:
            JournalError: it cannot be understood.
        """
        for entry in self._journal.read():
            self.state.apply(entry.event, entry.ros_time_ns)
            if on_replayed is not None:
                on_replayed(entry)
        self.now_ns = self.state.time_ns
        self.touched.add_all(self.state)

    def set_time(self, now_ns: int) -> None:
        """Go on to a moment; one before the last event is taken for that event's.

        Raises:
            LabError: the journal could not be written before.
        """
        if self._is_broken:
            raise LabError("The journal could not be written before; start the lab manager again.")
        self.now_ns = max(now_ns, self.now_ns, self.state.time_ns)

    def emit(self, event: Event) -> None:
        """Let an event happen now."""
        self.state.apply(event, self.now_ns)
        self.touched.note(event, self.state)
        self._fresh.append(event)

    def commit(self) -> None:
        """Write what happened since the last time, all or none.

        Raises:
            JournalError: it could not be written; this ledger is not usable any more, since its
                state holds what nobody would know after a restart.
        """
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        campaign = self.state.campaign
        name = campaign.plan.name if campaign is not None else ""
        try:
            entries = self._journal.append(name, self.now_ns, fresh)
        except LabError:
            self._is_broken = True
            raise
        if self._on_entry is not None:
            for entry in entries:
                self._on_entry(entry)

    def open_campaign(self) -> CampaignRun | None:
        """The campaign under way, if there is one."""
        campaign = self.state.campaign
        return campaign if campaign is not None and campaign.running else None

    def campaign(self) -> CampaignRun:
        """The campaign under way, where one is known to be."""
        assert self.state.campaign is not None
        return self.state.campaign

    def next_fault_id(self) -> str:
        """Id for a new fault."""
        return f"fault-{len(self.state.faults) + 1:04d}"
