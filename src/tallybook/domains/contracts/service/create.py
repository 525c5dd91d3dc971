"""Creating a contract."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tallybook.domains import custom_fields, customers, integrations, rate_cards
from tallybook.domains.contracts import store
from tallybook.domains.contracts.model import (
    ChargeConsolidation,
    Contract,
    MultiplierPrioritization,
    StatementDay,
    anchor_of,
    check_term,
    payment_terms_of,
)
from tallybook.domains.contracts.service.progress import register_drafts
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.rating.statements import StatementFrequency, StatementSchedule
from tallybook.values.errors import Conflict, Invalid
from tallybook.values.instant import require_on_the_hour
from tallybook.values.money import USD_CENTS_ID

USD_ONLY = ("aws_marketplace", "azure_marketplace")
"""Marketplaces that take invoices in US dollars only (pricing.md 9.15)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDraft:
    """How usage statements are to be cut."""

    frequency: StatementFrequency = StatementFrequency.MONTHLY
    day: StatementDay = StatementDay.FIRST_OF_MONTH
    billing_anchor_date: datetime | None = None
    invoice_generation_starting_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationChoice:
    """One of the customer's configurations: by its id, or by provider and delivery method."""

    configuration_id: str | None
    provider: StrEnum | None
    delivery_method: StrEnum | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDraft:
    """A contract to create."""

    customer_id: str
    name: str | None
    uniqueness_key: str | None
    starting_at: datetime
    ending_before: datetime | None
    rate_card_id: str | None
    rate_card_alias: str | None
    net_payment_terms_days: Decimal | None
    schedule: ScheduleDraft
    total_contract_value: Decimal | None
    multiplier_override_prioritization: MultiplierPrioritization
    scheduled_charges_on_usage_invoices: ChargeConsolidation | None
    netsuite_sales_order_id: str | None
    salesforce_opportunity_id: str | None
    billing_provider: ConfigurationChoice | None
    revenue_system: ConfigurationChoice | None
    custom_fields: dict[str, str]


def create_contract(tx: Tx, draft: ContractDraft) -> Contract:
    """Store a contract.

    Raises Invalid naming the field, NotFound for an unknown customer, rate card or configuration, and
    Conflict when the uniqueness key was used before, by an archived contract too.
    """
    check_term(draft.starting_at, draft.ending_before)
    schedule = _schedule_of(draft)
    payment_terms = payment_terms_of(draft.net_payment_terms_days)
    customers.require_active(tx, draft.customer_id)
    if draft.uniqueness_key is not None and store.is_key_used(tx, draft.uniqueness_key):
        message = f"uniqueness_key: {draft.uniqueness_key!r} was used before; nothing was created"
        raise Conflict(f"{message}. Use a new key for a new contract")
    card = _rate_card_of(tx, draft)
    contract = Contract(
        id=tx.new_id(),
        customer_id=draft.customer_id,
        name=draft.name,
        uniqueness_key=draft.uniqueness_key,
        starting_at=draft.starting_at,
        ending_before=draft.ending_before,
        rate_card_id=card.id if card else None,
        net_payment_terms_days=payment_terms,
        schedule=schedule,
        total_contract_value=draft.total_contract_value,
        multiplier_override_prioritization=draft.multiplier_override_prioritization,
        scheduled_charges_on_usage_invoices=draft.scheduled_charges_on_usage_invoices,
        netsuite_sales_order_id=draft.netsuite_sales_order_id,
        salesforce_opportunity_id=draft.salesforce_opportunity_id,
        billing_provider_configuration_id=_billing_provider_of(tx, draft, card),
        revenue_system_configuration_id=_revenue_system_of(tx, draft),
        created_at=tx.now,
        created_by=tx.actor,
        archived_at=None,
        billed_until=None,
    )
    store.insert_contract(tx, contract)
    custom_fields.attach(tx, "contract", contract.id, draft.custom_fields)
    register_drafts(tx, contract)
    return contract


def _schedule_of(draft: ContractDraft) -> StatementSchedule:
    given = draft.schedule
    generation = given.invoice_generation_starting_at
    if generation is not None:
        require_on_the_hour(generation, "usage_statement_schedule.invoice_generation_starting_at")
    return StatementSchedule(
        frequency=given.frequency,
        anchor=anchor_of(given.day, draft.starting_at, given.billing_anchor_date),
        invoice_generation_starting_at=generation,
    )


def _rate_card_of(tx: ReadTx, draft: ContractDraft) -> rate_cards.RateCard | None:
    if draft.rate_card_alias is None:
        if draft.rate_card_id is None:
            return None
        return rate_cards.require_active(tx, draft.rate_card_id)
    if draft.rate_card_id is not None:
        raise Invalid("rate_card_alias: excludes rate_card_id; send one of the two")
    return rate_cards.resolve_alias(tx, draft.rate_card_alias, draft.starting_at)


def _billing_provider_of(tx: ReadTx, draft: ContractDraft, card: rate_cards.RateCard | None) -> str | None:
    choice = draft.billing_provider
    if choice is None:
        return None
    found = integrations.find_billing_configuration(
        tx,
        draft.customer_id,
        configuration_id=choice.configuration_id,
        provider=choice.provider,
        delivery_method=choice.delivery_method,
    )
    if found.provider in USD_ONLY and card is not None and card.fiat_credit_type_id != USD_CENTS_ID:
        message = f"billing_provider_configuration: {found.provider} takes invoices in US dollars only"
        raise Invalid(f"{message}; choose a rate card in US dollars")
    return found.id


def _revenue_system_of(tx: ReadTx, draft: ContractDraft) -> str | None:
    choice = draft.revenue_system
    if choice is None:
        return None
    return integrations.find_revenue_configuration(
        tx,
        draft.customer_id,
        configuration_id=choice.configuration_id,
        provider=choice.provider,
        delivery_method=choice.delivery_method,
    ).id
