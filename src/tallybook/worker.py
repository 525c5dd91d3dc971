"""Does what is due by the clock: closes periods. One per environment, in a thread of its own."""

from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from typing import Protocol

import structlog

from tallybook.domains.invoices.jobs import CloseDue
from tallybook.kit.db.tx import Environment
from tallybook.values.errors import TallybookError

log = structlog.get_logger("tallybook.worker")


class Job(Protocol):
    """Does some due work and returns how many items it did; 0 when nothing is left."""

    def __call__(self, environment: Environment, *, is_patient: bool) -> int:
        """Do some; when patient, what failed lately may wait."""
        ...


JOBS: tuple[Callable[[], Job], ...] = (CloseDue,)
"""Everything that falls due by the clock, in the order in which it is done; a worker makes its own."""

POLL_S = 1.0


class Worker:
    """Runs jobs until nothing is due, whenever the clock is moved and once a second."""

    def __init__(self, environment: Environment, jobs: Sequence[Callable[[], Job]] = JOBS) -> None:
        """Prepare to run `jobs`, in order, for one environment."""
        self._environment = environment
        self._jobs = [make() for make in jobs]
        self._running = Lock()
        self._stopping = Event()
        self._thread = Thread(target=self._poll, name=f"worker-{environment.name}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the item at hand and stop."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_due(self, *, is_patient: bool = False) -> int:
        """Do everything that is due by the environment's clock; returns how many items were done.

        When patient, what failed lately may wait.
        """
        done = 0
        with self._running:
            for job in self._jobs:
                while not self._stopping.is_set() and (
                    count := job(self._environment, is_patient=is_patient)
                ):
                    done += count
        return done

    def _poll(self) -> None:
        while not self._stopping.wait(POLL_S):
            try:
                self.run_due(is_patient=True)
            except TallybookError as error:
                log.warning("work_postponed", environment=self._environment.name, reason=error.message)
            except Exception:
                # A fault in one item must not end the worker: it is logged, and tried again.
                log.exception("work_failed", environment=self._environment.name)
