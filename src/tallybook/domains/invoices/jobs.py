"""Work of invoices that falls due by the clock."""

import structlog

from tallybook.domains.invoices import service
from tallybook.kit.db.tx import Environment

log = structlog.get_logger("tallybook.invoices")

CONTRACTS_AT_ONCE = 50
ACTOR = "worker"


def close_due(environment: Environment) -> int:
    """Finalize every usage invoice whose grace period is over; returns how many.

    Many contracts share one commit. A contract that cannot be closed is logged and left as it was;
    it holds up no other, and is tried again the next time.
    """
    done, failed = 0, set[str]()
    while True:
        with environment.read(ACTOR) as tx:
            found = service.contracts_to_close(tx, CONTRACTS_AT_ONCE + len(failed))
            due = [contract for contract in found if contract.id not in failed]
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
                except Exception:
                    step.rollback()
                    failed.add(contract_id)
                    log.exception("close_failed", environment=environment.name, contract_id=contract_id)
