"""Reading contracts, and the prices they pay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tallybook.domains import custom_fields, customers, integrations, rate_cards
from tallybook.domains.contracts import store
from tallybook.domains.contracts.model import Contract
from tallybook.kit.db.tx import ReadTx
from tallybook.values.errors import Invalid, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFilter:
    """Which of a customer's contracts to list."""

    starting_at: datetime | None
    covering_date: datetime | None
    include_archived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetail:
    """A contract with what belongs to it elsewhere."""

    contract: Contract
    custom_fields: dict[str, str]
    billing_provider: integrations.CustomerConfiguration | None
    revenue_system: integrations.CustomerConfiguration | None


def get_contract(tx: ReadTx, contract_id: str, field_name: str = "contract_id") -> Contract:
    """The contract, archived or not. Raises NotFound naming `field_name`."""
    contract = store.select_contract(tx, contract_id)
    if contract is None:
        raise NotFound(f"{field_name}: no contract has the id {contract_id} in this environment")
    return contract


def get_contract_of(
    tx: ReadTx, customer_id: str, contract_id: str, *, as_of: datetime | None = None
) -> Contract:
    """The contract of this customer, as it was at `as_of` if given (pricing.md 9.5).

    Raises NotFound when either is unknown or they do not belong together.
    """
    customers.get_customer(tx, customer_id)
    contract = get_contract(tx, contract_id)
    if contract.customer_id != customer_id:
        raise NotFound(f"contract_id: customer {customer_id} has no contract {contract_id}")
    if as_of is not None and contract.archived_at is not None and as_of < contract.archived_at:
        return replace(contract, archived_at=None)
    return contract


def detail_of(tx: ReadTx, contract: Contract) -> ContractDetail:
    """The contract with what belongs to it elsewhere."""
    return details_of(tx, [contract])[0]


def details_of(tx: ReadTx, found: Sequence[Contract]) -> list[ContractDetail]:
    """Contracts with what belongs to them elsewhere, in the same order."""
    fields = custom_fields.read(tx, "contract", [contract.id for contract in found])
    chosen = [
        key
        for contract in found
        for key in (contract.billing_provider_configuration_id, contract.revenue_system_configuration_id)
        if key is not None
    ]
    known = integrations.configurations_by_id(tx, chosen)
    return [
        ContractDetail(
            contract=contract,
            custom_fields=fields.get(contract.id, {}),
            billing_provider=known.get(contract.billing_provider_configuration_id or ""),
            revenue_system=known.get(contract.revenue_system_configuration_id or ""),
        )
        for contract in found
    ]


def rates_of(
    tx: ReadTx,
    contract: Contract,
    at: datetime,
    selectors: Sequence[rate_cards.RateSelector],
    *,
    after: int,
    count: int,
) -> list[rate_cards.RateRow]:
    """At most `count` rates that the contract is entitled to at `at`, after a row's key.

    None without a rate card. Raises NotFound for an unknown product in a selector.
    """
    if contract.rate_card_id is None:
        return []
    return rate_cards.rates_at(
        tx, contract.rate_card_id, at, selectors, after=after, count=count, only_entitled=True
    )


def list_contracts(tx: ReadTx, customer_id: str, wanted: ContractFilter) -> list[Contract]:
    """The customer's contracts that pass the filter, oldest first. Raises NotFound, Invalid."""
    if wanted.starting_at is not None and wanted.covering_date is not None:
        raise Invalid("covering_date: excludes starting_at; send one of the two")
    customers.get_customer(tx, customer_id)
    found = contracts_of(tx, customer_id, include_archived=wanted.include_archived)
    chosen = [
        contract
        for contract in found
        if (wanted.starting_at is None or contract.starting_at >= wanted.starting_at)
        and (wanted.covering_date is None or contract.covers(wanted.covering_date))
    ]
    return sorted(chosen, key=lambda contract: (contract.created_at, contract.id))


def contracts_of(tx: ReadTx, customer_id: str, *, include_archived: bool = False) -> list[Contract]:
    """The customer's contracts by start, then id."""
    return store.select_of_customer(tx, customer_id, include_archived=include_archived)
