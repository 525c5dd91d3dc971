"""Open periods become rated invoices: the one way in which draft and final invoices come about."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tallybook.domains import custom_fields
from tallybook.domains.contracts import Contract
from tallybook.domains.customers import Customer
from tallybook.domains.invoices.model import Content, Invoice, InvoiceStatus, Labels, RatedFrom, Stub
from tallybook.domains.invoices.service.load import Loader
from tallybook.kit.db.tx import ReadTx
from tallybook.rating.account import open_periods, rate
from tallybook.rating.model import InvoiceDraft
from tallybook.values.ids import usage_invoice_id
from tallybook.values.instant import later_by
from tallybook.values.period import Period


def stubs_of(loader: Loader, contracts: Iterable[Contract]) -> Iterator[Stub]:
    """The usage invoices that exist but are not final yet, of contracts that are not archived.

    Those of one contract come in order of time, each worked out only when it is asked for.
    """
    tx = loader.tx
    return (
        Stub(
            id=usage_invoice_id(tx.environment, contract.id, period.starting_at),
            contract_id=contract.id,
            period=period,
            issued_at=later_by(period.ending_before, tx.grace),
            credit_type_id=loader.fiat_of(contract),
        )
        for contract in contracts
        if contract.archived_at is None
        for period in open_periods(
            contract.schedule, contract.starting_at, contract.ending_before, contract.billed_until, tx.now
        )
    )


def build(
    loader: Loader, customer: Customer, contracts: Mapping[str, Contract], stubs: Sequence[Stub]
) -> tuple[list[Invoice], RatedFrom]:
    """Rate the given open invoices of one customer; also what they were rated from."""
    periods: dict[str, list[Period]] = {}
    for stub in stubs:
        periods.setdefault(stub.contract_id, []).append(stub.period)
    wanted = [contracts[key] for key in periods]
    rated_from = loader.load(customer, periods, wanted)
    ids = {(stub.contract_id, stub.period): stub.id for stub in stubs}
    invoices = [
        Invoice(
            id=ids[draft.contract_id, draft.period],
            customer_id=customer.id,
            status=InvoiceStatus.DRAFT,
            content=Content(draft=draft, labels=_labels(loader.tx, customer, contracts, draft)),
        )
        for draft in rate(rated_from.terms, rated_from.usage).invoices
    ]
    return invoices, rated_from


def _labels(tx: ReadTx, customer: Customer, contracts: Mapping[str, Contract], draft: InvoiceDraft) -> Labels:
    contract = contracts[draft.contract_id]
    ids = sorted({line.product_id for line in draft.lines if line.product_id is not None})
    return Labels(
        customer_custom_fields=custom_fields.read_one(tx, "customer", customer.id),
        contract_custom_fields=custom_fields.read_one(tx, "contract", contract.id),
        product_custom_fields=custom_fields.read(tx, "contract_product", ids),
        net_payment_terms_days=contract.net_payment_terms_days,
        netsuite_sales_order_id=contract.netsuite_sales_order_id,
        salesforce_opportunity_id=contract.salesforce_opportunity_id,
        billable_status=customer.billable_status_at(draft.period.starting_at).value,
    )
