"""Use cases of contracts."""

from dataclasses import replace
from datetime import datetime

from tallybook.domains.contracts import store
from tallybook.domains.contracts.model import Contract
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.values.errors import NotFound


def get_contract(tx: ReadTx, contract_id: str, field_name: str = "contract_id") -> Contract:
    """The contract, archived or not. Raises NotFound naming `field_name`."""
    contract = store.select_contract(tx, contract_id)
    if contract is None:
        raise NotFound(f"{field_name}: no contract has the id {contract_id} in this environment")
    return contract


def contracts_of(tx: ReadTx, customer_id: str, *, include_archived: bool = False) -> list[Contract]:
    """The customer's contracts by start, then id."""
    return store.select_of_customer(tx, customer_id, include_archived=include_archived)


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
