"""How far contracts are billed, which are due, and their end by archiving."""

from dataclasses import replace
from datetime import datetime

from tallybook.domains.contracts import store
from tallybook.domains.contracts.model import Contract
from tallybook.domains.contracts.service.show import contracts_of, get_contract
from tallybook.kit.db.tx import ReadTx, Tx


def due_contracts(tx: ReadTx, ended_by: datetime, count: int) -> list[Contract]:
    """At most `count` contracts whose next unbilled statement period has ended by `ended_by`.

    The oldest end comes first, then the earliest contract start. Archived contracts are never due.
    """
    return store.select_due(tx, ended_by, count)


def mark_billed(tx: Tx, contract_id: str, billed_until: datetime) -> Contract:
    """Note that every statement period ending by `billed_until` is billed. Raises NotFound."""
    contract = replace(get_contract(tx, contract_id), billed_until=billed_until)
    store.update_progress(tx, [contract])
    return contract


def archive_contracts_of(tx: Tx, customer_id: str) -> list[Contract]:
    """Archive the customer's contracts, so that none is ever due again; gives those it archived."""
    archived = [replace(contract, archived_at=tx.now) for contract in contracts_of(tx, customer_id)]
    store.update_progress(tx, archived)
    return archived
