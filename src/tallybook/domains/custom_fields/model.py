"""Entities that carry custom fields, and the rule for values."""

from dataclasses import dataclass
from enum import StrEnum

VALUE_LENGTH_MAX = 200


class Entity(StrEnum):
    """The kinds of object that carry custom fields (metering.md 6.6)."""

    ALERT = "alert"
    BILLABLE_METRIC = "billable_metric"
    CHARGE = "charge"
    COMMIT = "commit"
    CONTRACT_CREDIT = "contract_credit"
    CONTRACT_PRODUCT = "contract_product"
    CONTRACT = "contract"
    CUSTOMER = "customer"
    DISCOUNT = "discount"
    INVOICE = "invoice"
    PROFESSIONAL_SERVICE = "professional_service"
    PRODUCT = "product"
    RATE_CARD = "rate_card"
    SCHEDULED_CHARGE = "scheduled_charge"
    SUBSCRIPTION = "subscription"
    PACKAGE_COMMIT = "package_commit"
    PACKAGE_CREDIT = "package_credit"
    PACKAGE_SUBSCRIPTION = "package_subscription"
    PACKAGE_SCHEDULED_CHARGE = "package_scheduled_charge"


@dataclass(frozen=True, slots=True)
class Key:
    """A declared key; `ordinal` counts declarations."""

    entity: Entity
    key: str
    enforce_uniqueness: bool
    ordinal: int
