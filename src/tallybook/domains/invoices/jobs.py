"""Work of invoices that falls due by the clock."""

import structlog

from tallybook.domains.invoices import service
from tallybook.kit.db.tx import Environment

log = structlog.get_logger("tallybook.invoices")

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
                return done
            with environment.write(ACTOR) as writing:
                loader = service.Loader(writing, ahead)
                for contract_id in [contract.id for contract in due]:
                    step = writing.sql.begin_nested()
                    try:
                        done += service.close_contract(writing, loader, contract_id)
                        step.commit()
                        self._failures.pop(contract_id, None)
                    except Exception:
                        step.rollback()
                        waiting.add(contract_id)
                        self._leave_out(contract_id)
                        log.exception("close_failed", environment=environment.name, contract_id=contract_id)

    def _leave_out(self, contract_id: str) -> None:
        times = self._failures.get(contract_id, 0)
        self._failures[contract_id] = times + 1
        self._left_out[contract_id] = min(2**times, CALLS_LEFT_OUT_MAX)
