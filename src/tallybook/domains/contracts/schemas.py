"""Wire shapes of contracts and their conversions."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import asdict

from tallybook.domains import integrations
from tallybook.domains.contracts.model import (
    ChargeConsolidation,
    Contract,
    MultiplierPrioritization,
    StatementDay,
)
from tallybook.domains.contracts.service import (
    ConfigurationChoice,
    ContractDetail,
    ContractDraft,
    ContractFilter,
    ScheduleDraft,
)
from tallybook.domains.rate_cards import RateRow, RateSelector
from tallybook.domains.rate_cards.schemas import (
    RateResponse,
    RateSelectorRequest,
    RateWindowResponse,
    row_to_wire,
)
from tallybook.kit.http.wire import (
    UNSET,
    CustomFields,
    Instant,
    Request,
    Response,
    UnsetType,
    Uuid,
    or_unset,
)
from tallybook.rating.statements import StatementFrequency
from tallybook.values.errors import Invalid, NotBuilt

Terms = list[dict[str, Any]]
"""Terms that are recognised and not offered yet; an empty list of them is fine."""
NoTerms = tuple[dict[str, Any], ...]
"""Where those terms will be shown; empty until then."""

COPIED = (
    "customer_id", "starting_at", "ending_before", "name", "uniqueness_key", "rate_card_id",
    "rate_card_alias", "net_payment_terms_days", "total_contract_value", "netsuite_sales_order_id",
    "salesforce_opportunity_id", "scheduled_charges_on_usage_invoices",
)  # fmt: skip
"""What a draft takes as it was sent."""

SHOWN_TERMS = (
    "starting_at", "created_at", "created_by", "name", "ending_before", "rate_card_id",
    "net_payment_terms_days", "total_contract_value", "netsuite_sales_order_id", "salesforce_opportunity_id",
    "scheduled_charges_on_usage_invoices",
)  # fmt: skip
"""What both shapes of a contract show under the name it is stored by."""


class StatementScheduleRequest(Request, frozen=True):
    """How usage statements are to be cut."""

    frequency: StatementFrequency
    day: StatementDay | None = None
    billing_anchor_date: Instant | None = None
    invoice_generation_starting_at: Instant | None = None

    def to_draft(self) -> ScheduleDraft:
        """The draft that the service takes."""
        return ScheduleDraft(
            frequency=self.frequency,
            day=self.day or StatementDay.FIRST_OF_MONTH,
            billing_anchor_date=self.billing_anchor_date,
            invoice_generation_starting_at=self.invoice_generation_starting_at,
        )


class BillingProviderChoice(Request, frozen=True):
    """A billing-provider configuration of the customer: its id, or provider and delivery method."""

    billing_provider_configuration_id: Uuid | None = None
    billing_provider: integrations.InlineBillingProvider | None = None
    delivery_method: integrations.DeliveryMethod | None = None

    def to_choice(self) -> ConfigurationChoice:
        """The choice that the service takes."""
        return ConfigurationChoice(
            configuration_id=self.billing_provider_configuration_id,
            provider=self.billing_provider,
            delivery_method=self.delivery_method,
        )


class RevenueSystemChoice(Request, frozen=True):
    """A revenue-system configuration of the customer: its id, or provider and delivery method."""

    revenue_system_configuration_id: Uuid | None = None
    provider: integrations.RevenueProvider | None = None
    delivery_method: integrations.RevenueDeliveryMethod | None = None

    def to_choice(self) -> ConfigurationChoice:
        """The choice that the service takes."""
        return ConfigurationChoice(
            configuration_id=self.revenue_system_configuration_id,
            provider=self.provider,
            delivery_method=self.delivery_method,
        )


class TermsNotBuilt(Request, frozen=True):
    """Terms of a contract that are recognised and refused, so that they are never ignored."""

    package_id: Uuid | None = None
    package_alias: str | None = None
    commits: Terms | None = None
    credits: Terms | None = None
    recurring_commits: Terms | None = None
    recurring_credits: Terms | None = None
    overrides: Terms | None = None
    scheduled_charges: Terms | None = None
    subscriptions: Terms | None = None
    discounts: Terms | None = None
    professional_services: Terms | None = None
    reseller_royalties: Terms | None = None
    transition: dict[str, Any] | None = None
    usage_filter: dict[str, Any] | None = None
    spend_threshold_configuration: dict[str, Any] | None = None
    prepaid_balance_threshold_configuration: dict[str, Any] | None = None
    spend_trackers: Terms | None = None
    hierarchy_configuration: dict[str, Any] | None = None

    def require_none(self) -> None:
        """Raise NotBuilt naming the first of these terms that is given and not an empty list."""
        for name in TermsNotBuilt.__struct_fields__:
            if getattr(self, name) not in (None, []):
                raise NotBuilt(f"{name}: not available in this version; leave it out")


class CreateContractRequest(TermsNotBuilt, frozen=True, kw_only=True):
    """A contract to create."""

    customer_id: Uuid
    starting_at: Instant
    ending_before: Instant | None = None
    name: str | None = None
    uniqueness_key: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    rate_card_id: Uuid | None = None
    rate_card_alias: Annotated[str, Meta(min_length=1)] | None = None
    net_payment_terms_days: Decimal | None = None
    usage_statement_schedule: StatementScheduleRequest | None = None
    total_contract_value: Decimal | None = None
    multiplier_override_prioritization: MultiplierPrioritization | None = None
    scheduled_charges_on_usage_invoices: ChargeConsolidation | None = None
    netsuite_sales_order_id: str | None = None
    salesforce_opportunity_id: str | None = None
    billing_provider_configuration: BillingProviderChoice | None = None
    revenue_system_configuration: RevenueSystemChoice | None = None
    custom_fields: CustomFields | None = None

    def to_draft(self) -> ContractDraft:
        """The draft that the service takes. Raises NotBuilt naming a term that is not offered yet."""
        self.require_none()
        schedule = self.usage_statement_schedule
        billing, revenue = self.billing_provider_configuration, self.revenue_system_configuration
        return ContractDraft(
            schedule=schedule.to_draft() if schedule else ScheduleDraft(),
            multiplier_override_prioritization=(
                self.multiplier_override_prioritization or MultiplierPrioritization.LOWEST_MULTIPLIER
            ),
            billing_provider=billing.to_choice() if billing else None,
            revenue_system=revenue.to_choice() if revenue else None,
            custom_fields=self.custom_fields or {},
            **{name: getattr(self, name) for name in COPIED},
        )


class GetContractRequest(Request, frozen=True):
    """A contract of a customer. Balances and ledgers are shown with commits and credits only."""

    customer_id: Uuid
    contract_id: Uuid
    include_balance: bool | None = None
    include_ledgers: bool | None = None


class GetContractV2Request(GetContractRequest, frozen=True):
    """A contract of a customer, as it was at an instant if asked."""

    as_of_date: Instant | None = None
    webhook_notification_id: str | None = None

    def instant(self) -> datetime | None:
        """The instant to show the contract at. Raises Invalid when ledgers are asked for too."""
        if self.as_of_date is not None and self.include_ledgers:
            raise Invalid("as_of_date: excludes include_ledgers; send one of the two")
        return self.as_of_date


class ListContractsRequest(Request, frozen=True):
    """Which contracts of a customer to list."""

    customer_id: Uuid
    covering_date: Instant | None = None
    starting_at: Instant | None = None
    include_archived: bool | None = None
    include_balance: bool | None = None
    include_ledgers: bool | None = None

    def to_filter(self) -> ContractFilter:
        """The filter that the service takes."""
        return ContractFilter(
            starting_at=self.starting_at,
            covering_date=self.covering_date,
            include_archived=bool(self.include_archived),
        )


class StatementScheduleResponse(Response, frozen=True):
    """How usage statements are cut."""

    frequency: StatementFrequency
    billing_anchor_date: datetime


class ConfigurationResponse(Response, frozen=True):
    """A configuration that a contract chose."""

    id: str
    customer_id: str
    configuration: dict[str, Any]
    delivery_method: str
    delivery_method_configuration: dict[str, Any]
    delivery_method_id: str
    archived_at: datetime | None


class BillingProviderResponse(ConfigurationResponse, frozen=True):
    """Where the contract's invoices go."""

    billing_provider: str


class RevenueSystemResponse(ConfigurationResponse, frozen=True):
    """Where the contract's revenue records go."""

    provider: str


class BillingProviderSegment(Response, frozen=True):
    """From when on invoices go to a configuration."""

    billing_provider_configuration: BillingProviderResponse
    effective_at: datetime


class RevenueSystemSegment(Response, frozen=True):
    """From when on revenue records go to a configuration."""

    revenue_system_configuration: RevenueSystemResponse
    effective_at: datetime


class HasMoreResponse(Response, frozen=True):
    """Whether there are more commits and credits than are shown."""

    commits: bool = False
    credits: bool = False


class TermsResponse(Response, frozen=True):
    """The terms that both shapes of a contract share; those not offered yet are empty lists."""

    starting_at: datetime
    created_at: datetime
    created_by: str
    usage_statement_schedule: StatementScheduleResponse
    name: str | UnsetType = UNSET
    ending_before: datetime | UnsetType = UNSET
    rate_card_id: str | UnsetType = UNSET
    net_payment_terms_days: int | UnsetType = UNSET
    total_contract_value: Decimal | UnsetType = UNSET
    netsuite_sales_order_id: str | UnsetType = UNSET
    salesforce_opportunity_id: str | UnsetType = UNSET
    scheduled_charges_on_usage_invoices: ChargeConsolidation | UnsetType = UNSET
    commits: NoTerms = ()
    credits: NoTerms = ()
    recurring_commits: NoTerms = ()
    recurring_credits: NoTerms = ()
    overrides: NoTerms = ()
    scheduled_charges: NoTerms = ()
    transitions: NoTerms = ()
    discounts: NoTerms = ()
    professional_services: NoTerms = ()
    reseller_royalties: NoTerms = ()


class ContractResponse(Response, frozen=True):
    """A contract as version 1 shows it: as created, what changed it, and as it is."""

    id: str
    customer_id: str
    initial: TermsResponse
    current: TermsResponse
    custom_fields: CustomFields
    amendments: NoTerms = ()
    subscriptions: NoTerms = ()
    uniqueness_key: str | UnsetType = UNSET
    scheduled_charges_on_usage_invoices: ChargeConsolidation | UnsetType = UNSET
    customer_billing_provider_configuration: BillingProviderResponse | UnsetType = UNSET
    archived_at: datetime | UnsetType = UNSET


class ContractV2Response(TermsResponse, frozen=True, kw_only=True):
    """A contract as version 2 shows it: its present state, flat."""

    id: str
    customer_id: str
    custom_fields: CustomFields
    multiplier_override_prioritization: MultiplierPrioritization
    billing_provider_configuration_schedule: list[BillingProviderSegment]
    revenue_system_configuration_schedule: list[RevenueSystemSegment]
    usage_filter: NoTerms = ()
    subscriptions: NoTerms = ()
    has_more: HasMoreResponse = HasMoreResponse()
    uniqueness_key: str | UnsetType = UNSET
    customer_billing_provider_configuration: BillingProviderResponse | UnsetType = UNSET
    archived_at: datetime | UnsetType = UNSET


class CreatedContractResponse(Response, frozen=True):
    """The contract created; later revisions show it whole."""

    id: str
    contract: ContractV2Response


class ContractRateScheduleRequest(Request, frozen=True):
    """Whose prices to show, as of when."""

    customer_id: Uuid
    contract_id: Uuid
    at: Instant | None = None
    selectors: list[RateSelectorRequest] | None = None

    def to_selectors(self) -> list[RateSelector]:
        """The selectors that the service takes."""
        return [selector.to_selector() for selector in self.selectors or ()]


class ContractRateResponse(RateWindowResponse, frozen=True, kw_only=True):
    """A price that a contract pays."""

    rate_card_id: str
    list_rate: RateResponse


def contract_to_wire(detail: ContractDetail) -> ContractResponse:
    """The shape of version 1. Nothing changes a contract yet, so it is as it was created."""
    contract = detail.contract
    terms = TermsResponse(**_terms(contract))
    return ContractResponse(
        id=contract.id,
        customer_id=contract.customer_id,
        initial=terms,
        current=terms,
        custom_fields=detail.custom_fields,
        uniqueness_key=or_unset(contract.uniqueness_key),
        scheduled_charges_on_usage_invoices=terms.scheduled_charges_on_usage_invoices,
        customer_billing_provider_configuration=_present(detail.billing_provider),
        archived_at=or_unset(contract.archived_at),
    )


def contract_to_wire_v2(detail: ContractDetail) -> ContractV2Response:
    """The shape of version 2."""
    contract, billing, revenue = detail.contract, detail.billing_provider, detail.revenue_system
    start = contract.starting_at
    return ContractV2Response(
        id=contract.id,
        customer_id=contract.customer_id,
        custom_fields=detail.custom_fields,
        multiplier_override_prioritization=contract.multiplier_override_prioritization,
        billing_provider_configuration_schedule=[
            BillingProviderSegment(billing_provider_configuration=_billing_to_wire(item), effective_at=start)
            for item in (billing,)
            if item is not None
        ],
        revenue_system_configuration_schedule=[
            RevenueSystemSegment(revenue_system_configuration=_revenue_to_wire(item), effective_at=start)
            for item in (revenue,)
            if item is not None
        ],
        uniqueness_key=or_unset(contract.uniqueness_key),
        customer_billing_provider_configuration=_present(billing),
        archived_at=or_unset(contract.archived_at),
        **_terms(contract),
    )


def contract_rate_to_wire(contract: Contract, row: RateRow) -> ContractRateResponse:
    """A rate of the contract's card, as the contract pays it."""
    shown = asdict(row_to_wire(row))
    return ContractRateResponse(
        rate_card_id=contract.rate_card_id or "", list_rate=shown.pop("rate"), **shown
    )


def _terms(contract: Contract) -> dict[str, Any]:
    schedule = contract.schedule
    return {name: or_unset(getattr(contract, name)) for name in SHOWN_TERMS} | {
        "usage_statement_schedule": StatementScheduleResponse(
            frequency=schedule.frequency, billing_anchor_date=schedule.anchor
        )
    }


def _present(found: integrations.CustomerConfiguration | None) -> BillingProviderResponse | UnsetType:
    """The configuration that invoices go to; a contract loses one that is archived."""
    return UNSET if found is None or found.archived_at is not None else _billing_to_wire(found)


def _billing_to_wire(found: integrations.CustomerConfiguration) -> BillingProviderResponse:
    return BillingProviderResponse(billing_provider=found.provider.value, **_configuration(found))


def _revenue_to_wire(found: integrations.CustomerConfiguration) -> RevenueSystemResponse:
    return RevenueSystemResponse(provider=found.provider.value, **_configuration(found))


def _configuration(found: integrations.CustomerConfiguration) -> dict[str, Any]:
    return {
        "id": found.id,
        "customer_id": found.customer_id,
        "configuration": found.configuration,
        "delivery_method": found.delivery_method.value,
        "delivery_method_configuration": found.delivery_method_configuration,
        "delivery_method_id": found.delivery_method_id,
        "archived_at": found.archived_at,
    }
