"""Closes statement periods: when the grace period is over, the draft is stored as it then stands."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice, takewhile

from tallybook.domains import contracts, customers, metrics
from tallybook.domains.contracts import Contract
from tallybook.domains.invoices import store
from tallybook.domains.invoices.model import Invoice, InvoiceStatus, RatedFrom, Stub
from tallybook.domains.invoices.service.build import build, stubs_of
from tallybook.domains.invoices.service.load import Answers, Loader
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.rating.model import AccountTerms
from tallybook.values.instant import hour_of

PERIODS_AT_ONCE = 24
"""How many periods of one contract are closed in one transaction."""


def contracts_to_close(tx: ReadTx, count: int) -> list[Contract]:
    """At most `count` contracts that have a period whose grace is over, oldest period first."""
    return contracts.due_contracts(tx, tx.now - tx.grace, count)


def raw_events_needed_from(tx: ReadTx) -> datetime | None:
    """From when on raw events are needed for invoices to come; None where they are needed for none.

    Metrics in SQL are computed from them, over statement periods that are not billed yet.
    """
    has_sql = any(metric.definition.sql for metric in metrics.all_metrics(tx, include_archived=True))
    return contracts.earliest_open(tx) if has_sql else None


def read_ahead(tx: ReadTx, contracts_: Iterable[Contract]) -> Answers:
    """What metrics in SQL give for the due periods of contracts.

    Read before the transaction that closes them, so that nobody waits to write while queries run.
    """
    answers: Answers = {}
    if all(metric.definition.sql is None for metric in metrics.all_metrics(tx, include_archived=True)):
        return answers
    loader = Loader(tx)
    for contract in contracts_:
        try:
            if loader.has_sql(contract):
                periods = {contract.id: [stub.period for stub in _due(loader, contract)]}
                customer = customers.get_customer(tx, contract.customer_id)
                answers |= loader.read_ahead(customer, periods, [contract])
        except Exception:  # noqa: BLE001, S112  # closing this contract will say what is wrong with it
            continue
    return answers


def _due(loader: Loader, contract: Contract) -> list[Stub]:
    over = takewhile(lambda stub: stub.issued_at <= loader.tx.now, stubs_of(loader, [contract]))
    return list(islice(over, PERIODS_AT_ONCE))


def close_contract(tx: Tx, loader: Loader, contract_id: str) -> int:
    """Finalize the contract's next due periods, in order; returns how many.

    Doing it again changes nothing: what is billed already is no longer open.
    """
    contract = contracts.get_contract(tx, contract_id)
    due = _due(loader, contract)
    if not due:
        return 0
    customer = customers.get_customer(tx, contract.customer_id)
    invoices, rated_from = build(loader, customer, {contract.id: contract}, due)
    for invoice in invoices:
        final = replace(invoice, status=InvoiceStatus.FINALIZED)
        store.insert_invoice(tx, final, _of_invoice(rated_from, final))
    contracts.mark_billed(tx, contract.id, due[-1].period.ending_before)
    return len(due)


def _of_invoice(rated_from: RatedFrom, invoice: Invoice) -> RatedFrom:
    """The part of what was rated that decides this one invoice."""
    period = invoice.content.draft.period
    hours = range(hour_of(period.starting_at), hour_of(period.ending_before))
    terms: AccountTerms = rated_from.terms
    return RatedFrom(
        terms=replace(terms, contracts=tuple(replace(item, periods=(period,)) for item in terms.contracts)),
        usage=tuple(
            replace(piece, spans=tuple(item for item in piece.spans if item.hour in hours))
            for piece in rated_from.usage
        ),
    )
