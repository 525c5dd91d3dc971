"""Work of invoices that falls due by the clock."""

import structlog
from prometheus_client import Gauge

from tallybook.domains.invoices import service
from tallybook.kit.db.tx import Environment
from tallybook.kit.http.metrics import registry
from tallybook.values.errors import TallybookError

log = structlog.get_logger("tallybook.invoices")

_not_closing = Gauge(
    "tallybook_contracts_not_closing",
    "Contracts whose due invoices could not be made final.",
    ["environment"],
    registry=registry,
)

CONTRACTS_AT_ONCE = 50
CALLS_LEFT_OUT_MAX = 600
ACTOR = "worker"


class CloseDue:
    """Finalizes every usage invoice whose grace period is over.

    Many contracts share one commit. A contract that cannot be closed is logged and left as it was; it
    holds up no other, and is tried again, after ever more calls up to `CALLS_LEFT_OUT_MAX`.
    """

    def __init__(self) -> None:
        """Start with none that failed."""
        self._failures: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def __call__(self, environment: Environment, *, is_patient: bool) -> int:
        """Close what is due; returns how many invoices. Unless patient, those that failed are tried too."""
        if not is_patient:
            self._left_out.clear()
        waiting = {key for key, calls in self._left_out.items() if calls > 0}
        self._left_out = {key: self._left_out[key] - 1 for key in waiting}
        done = 0
        while True:
            with environment.read(ACTOR) as tx:
                found = service.contracts_to_close(tx, CONTRACTS_AT_ONCE + len(waiting))
                due = [contract for contract in found if contract.id not in waiting]
                ahead = service.read_ahead(tx, due)
            if not due:
                # All that is due is found by now: what is not was closed, or archived meanwhile.
                still = {contract.id for contract in found}
                self._failures = {key: times for key, times in self._failures.items() if key in still}
                _not_closing.labels(environment.name).set(len(self._failures))
                return done
            with environment.write(ACTOR) as writing:
                loader = service.Loader(writing, ahead)
                for contract_id in [contract.id for contract in due]:
                    step = writing.sql.begin_nested()
                    try:
                        done += service.close_contract(writing, loader, contract_id)
                        step.commit()
                    except Exception as error:  # noqa: BLE001  # told, and tried again
                        step.rollback()
                        waiting.add(contract_id)
                        self._leave_out(contract_id)
                        _tell(environment.name, contract_id, error)

    def _leave_out(self, contract_id: str) -> None:
        times = self._failures.get(contract_id, 0)
        self._failures[contract_id] = times + 1
        self._left_out[contract_id] = min(2 ** min(times, 10), CALLS_LEFT_OUT_MAX)


def _tell(environment: str, contract_id: str, error: Exception) -> None:
    """Log why a contract could not be closed: a reason where it is known, else all there is."""
    if isinstance(error, TallybookError):
        log.error("close_failed", environment=environment, contract_id=contract_id, reason=error.message)
    else:
        log.error("close_failed", environment=environment, contract_id=contract_id, exc_info=error)
