"""How far contracts are billed, which are due, and their end by archiving."""

from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from tallybook.domains import custom_fields
from tallybook.domains.contracts import store
from tallybook.domains.contracts.model import Contract
from tallybook.domains.contracts.service.show import contracts_of, get_contract
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.rating.statements import statement_periods
from tallybook.values.ids import usage_invoice_id
from tallybook.values.instant import later_by


def due_contracts(tx: ReadTx, ended_by: datetime, count: int) -> list[Contract]:
    """At most `count` contracts whose next unbilled statement period has ended by `ended_by`.

    The oldest end comes first, then the earliest contract start. Archived contracts are never due.
    """
    return store.select_due(tx, ended_by, count)


def earliest_open(tx: ReadTx) -> datetime | None:
    """Where the earliest statement period of any contract begins that is not billed yet."""
    return store.select_earliest_open(tx)


def mark_billed(tx: Tx, contract_id: str, billed_until: datetime) -> Contract:
    """Note that every statement period ending by `billed_until` is billed. Raises NotFound."""
    contract = replace(get_contract(tx, contract_id), billed_until=billed_until)
    store.update_progress(tx, [contract])
    register_drafts(tx, contract)
    return contract


def register_drafts(tx: Tx, contract: Contract) -> None:
    """Let the contract's draft invoices carry custom fields: all that can be open until the next close.

    Drafts are not stored, so what hangs on their ids is registered ahead: when the contract is made
    and whenever a period of it is closed.
    """
    following = contract.next_statement()
    if following is None:
        return
    open_until = later_by(following.ending_before, tx.grace)
    periods = statement_periods(
        contract.schedule, contract.starting_at, contract.ending_before, since=contract.billed_until
    )
    starts = [
        period.starting_at for period in takewhile(lambda item: item.starting_at <= open_until, periods)
    ]
    ids = [usage_invoice_id(tx.environment, contract.id, start) for start in starts]
    custom_fields.register(tx, "invoice", ids)


def archive_contracts_of(tx: Tx, customer_id: str) -> list[Contract]:
    """Archive the customer's contracts, so that none is ever due again; gives those it archived."""
    archived = [replace(contract, archived_at=tx.now) for contract in contracts_of(tx, customer_id)]
    store.update_progress(tx, archived)
    return archived
