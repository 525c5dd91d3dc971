"""Runs a load: several batches on their way at once, progress only over acknowledged ones."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event as Flag

from tallybook.cli.ingest.batches import Batch, Item, Reject
from tallybook.cli.ingest.checkpoint import Checkpoint, Progress
from tallybook.cli.ingest.rejects import Rejects
from tallybook.cli.ingest.sender import GaveUp, Stopped

SHOWN_MAX = 20
_CHECKPOINT_S = 0.5

Deliver = Callable[[list[Item]], list[Reject]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a load ended. `failure` says why it stopped early; None when the whole input was gone through."""

    progress: Progress
    resumed_from: int
    failure: str | None
    is_interrupted: bool


class Load:
    """One load of one input."""

    def __init__(
        self,
        deliver: Deliver,
        checkpoint: Checkpoint,
        rejects: Rejects,
        *,
        connections: int,
        stopping: Flag,
        advanced: Callable[[Progress, Batch], None],
    ) -> None:
        """`advanced` is told after every batch that is done with."""
        self._deliver = deliver
        self._checkpoint = checkpoint
        self._rejects = rejects
        self._connections = connections
        self._stopping = stopping
        self._advanced = advanced
        self._kept_at = time.monotonic()

    def run(self, progress: Progress, batches: Iterable[Batch]) -> Outcome:
        """Deliver every batch after `progress`; whatever happens, what was acknowledged is kept."""
        resumed_from, failure, is_interrupted = progress.records, None, False
        window: deque[tuple[Batch, Future[list[Reject]]]] = deque()
        with ThreadPoolExecutor(self._connections, thread_name_prefix="send") as pool:
            try:
                for batch in batches:
                    if self._stopping.is_set():
                        is_interrupted = True
                        break
                    if batch.records_end <= resumed_from:
                        self._advanced(progress, batch)
                        continue
                    window.append((batch, pool.submit(self._deliver, batch.items)))
                    if len(window) > 2 * self._connections:
                        self._settle(progress, *window[0])
                        window.popleft()
                while window:
                    self._settle(progress, *window[0])
                    window.popleft()
            except Stopped:
                is_interrupted = True
            except GaveUp as error:
                failure = str(error)
            finally:
                self._stopping.set()
                self._settle_rest(progress, window)
        if failure is None and not is_interrupted:
            self._checkpoint.remove()
        else:
            self._keep(progress)
        return Outcome(progress, resumed_from, failure, is_interrupted)

    def _settle_rest(self, progress: Progress, window: deque[tuple[Batch, "Future[list[Reject]]"]]) -> None:
        """After a stop: count what was acknowledged without a gap."""
        try:
            while window:
                self._settle(progress, *window[0])
                window.popleft()
        except (Stopped, GaveUp):
            for _, future in window:
                future.cancel()

    def _settle(self, progress: Progress, batch: Batch, future: "Future[list[Reject]]") -> None:
        """Wait for a batch and count it. Raises Stopped or GaveUp when it was not acknowledged."""
        refused = future.result()
        left_out = sorted([*batch.rejects, *refused], key=lambda reject: (reject.file, reject.line))
        progress.taken += len(batch.items) - len(refused)
        progress.rejected += len(left_out)
        progress.records = batch.records_end
        for reject in left_out[: SHOWN_MAX - len(progress.shown)]:
            progress.shown.append({"file": reject.file, "line": reject.line, "reason": reject.reason})
        progress.rejects_bytes = self._rejects.write(left_out)
        self._advanced(progress, batch)
        if time.monotonic() - self._kept_at > _CHECKPOINT_S:
            self._keep(progress)

    def _keep(self, progress: Progress) -> None:
        self._rejects.flush()
        self._checkpoint.write(progress)
        self._kept_at = time.monotonic()
