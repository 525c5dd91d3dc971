"""One environment's whole path from an ingest request to readable usage.

Three threads stand behind it: the committer (adapters/log), the applier, and the checkpointer. What
has been answered is in the log; everything else can be rebuilt from it.
"""

from pathlib import Path

from tallybook.adapters.log.committer import NO_RATE, Committer, IngestLimits
from tallybook.applier.follower import Follower
from tallybook.ports import Clock
from tallybook.values.errors import Unavailable

STOPPED = "Metering has stopped after a fault; see the server's log and restart it"


class Metering(Follower):
    """Takes events durably and answers how much was used. Any thread may call."""

    def __init__(self, folder: Path, clock: Clock, limits: IngestLimits = NO_RATE) -> None:
        """Open or make `events.db` and `cells.db` in `folder` and catch up with the log."""
        super().__init__(folder)
        self._committer = Committer(self._log, clock, self.follow, lambda: self.wanted, limits)

    async def ingest(self, body: bytes) -> None:
        """Store the events of one request; see ports.EventSink."""
        if self._has_failed:
            raise Unavailable(STOPPED)
        await self._committer.ingest(body)

    def fault(self) -> str | None:
        """Why events cannot be taken or applied now; None when they can."""
        return STOPPED if self._has_failed else self._committer.fault()

    def close(self) -> None:
        """Store and apply everything that was taken, checkpoint, close the files."""
        self._committer.close()
        super().close()
